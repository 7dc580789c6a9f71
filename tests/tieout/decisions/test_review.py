"""An approver accepts or rejects exactly what was shown; whatever does not fit any more is refused by name."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from desk import AFTER_A_NIGHT, APPROVER, PEOPLE, Desk
from ledgers import ON_BOTH_DATABASES

from data_contracts.forms import ALL
from tieout.decisions import review
from tieout.decisions.review import Offer
from tieout.people.rights import Signature
from tieout.views.inquiry import timeline


def first_offer(desk: Desk) -> Offer:
    desk.night()
    offered = desk.offer(min(item.project_id for item in desk.items()))
    assert offered
    return offered


def states_of(desk: Desk, offered: Offer) -> list[str]:
    return [desk.states()[row.invoice_id] for row in offered.rows]


def newest_row(desk: Desk, offered: Offer) -> review.Row:
    numbers = {row["id"]: row["number"] for row in desk.requisitions().values()}
    return max(offered.rows, key=lambda row: numbers[row.invoice_id])


@AFTER_A_NIGHT
def test_what_is_offered_shows_the_figures_of_procore(desk: Desk):
    offered = first_offer(desk)
    shown = desk.requisitions()

    assert len(offered.rows) == sum(row["project_id"] == offered.project_id for row in shown.values())
    for row in offered.rows:
        there = shown[row.invoice_id]
        assert (str(row.gross), row.number, row.vendor) == (
            there["gross"],
            there["invoice_number"],
            there["vendor_name"],
        )
        assert row.net == row.gross - row.held
    assert offered.total == sum(row.gross for row in offered.rows)
    assert desk.ledger.items(project_id=offered.project_id, state="READY") != []


@AFTER_A_NIGHT
def test_nothing_is_offered_where_nothing_is_ready(desk: Desk):
    offered = first_offer(desk)
    desk.decide(offered)

    assert desk.offer(offered.project_id) is None
    with pytest.raises(LookupError):
        review.open_offer(desk.ledger, "never")


@AFTER_A_NIGHT
def test_some_are_accepted_some_rejected_and_the_rest_is_offered_again(desk: Desk):
    offered = first_offer(desk)
    one, two, *rest = offered.rows
    decided = desk.decide(offered, accept=[one.number], reject=[(two.number, "  wrong period ")])

    assert (decided.accepted, decided.rejected, decided.too_late) == ((one.invoice_id,), (two.invoice_id,), ())
    assert states_of(desk, offered) == ["ACCEPTED", "REJECTED", *["READY"] * len(rest)]
    event = timeline(desk.ledger, desk.item(two.invoice_id))[-1]
    assert (event.actor, event.kind, event.facts["reason"]) == (APPROVER, "rejected", "wrong period")
    again = desk.offer(offered.project_id)
    assert again
    assert [row.invoice_id for row in again.rows] == [row.invoice_id for row in rest]


@AFTER_A_NIGHT
def test_all_means_all_that_are_not_rejected(desk: Desk):
    offered = first_offer(desk)
    decided = desk.decide(offered, reject=[(offered.rows[0].number, "no")])

    assert len(decided.accepted) == len(offered.rows) - 1
    assert decided.rejected == (offered.rows[0].invoice_id,)


@AFTER_A_NIGHT
def test_a_rejected_invoice_is_editable_again_and_comes_back_only_when_it_was_changed(desk: Desk):
    offered = first_offer(desk)
    row = newest_row(desk, offered)
    assert desk.requisition(row.invoice_id)["origin_id"]
    desk.decide(offered, reject=[(row.number, "wrong period")])
    desk.night()
    desk.night()
    assert desk.states()[row.invoice_id] == "REJECTED"
    assert desk.requisition(row.invoice_id)["origin_id"] is None
    assert desk.requisition(row.invoice_id)["status"] == "approved"  # a rejection does not change Procore's own status
    assert row.invoice_id not in desk.exported()

    desk.bill_more(row.invoice_id)
    desk.night()
    assert (desk.item(row.invoice_id).state, desk.item(row.invoice_id).revision) == ("READY", 2)
    desk.accept()
    desk.night()
    assert row.invoice_id in desk.exported()


@AFTER_A_NIGHT
@pytest.mark.parametrize("blank", ["", "   ", "\n\t"])
def test_a_rejection_without_a_reason_is_asked_for_again(desk: Desk, blank: str):
    offered = first_offer(desk)
    decided = desk.decide(offered, reject=[(offered.rows[0].number, blank)])

    assert decided.problems == (f"a reason is needed for rejecting {offered.rows[0].number}",)
    assert states_of(desk, offered) == ["READY"] * len(offered.rows)
    assert desk.decide(offered).accepted == tuple(row.invoice_id for row in offered.rows)


@AFTER_A_NIGHT
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"accept": ["NO-SUCH"]}, "'NO-SUCH' is not on this list"),
        ({"reject": [("NO-SUCH", "why")]}, "'NO-SUCH' is not on this list"),
        ({"by": "Nobody Inparticular"}, "Nobody Inparticular is not an accounting approver"),
        ({"by": ""}, "Nobody is not an accounting approver"),
    ],
)
def test_an_answer_that_does_not_fit_the_list_records_nothing(desk: Desk, answer: dict, problem: str):
    offered = first_offer(desk)
    decided = desk.decide(offered, **answer)

    assert [each.startswith(problem) for each in decided.problems] == [True]
    assert (decided.accepted, decided.rejected) == ((), ())
    assert states_of(desk, offered) == ["READY"] * len(offered.rows)


@AFTER_A_NIGHT
def test_accepting_and_rejecting_the_same_is_a_problem_and_all_problems_are_told_together(desk: Desk):
    offered = first_offer(desk)
    number = offered.rows[0].number
    decided = desk.decide(offered, accept=[number, "X"], reject=[(number, " ")], by="Sam")

    assert len(decided.problems) == 4
    assert f"{number} is both accepted and rejected" in decided.problems


@AFTER_A_NIGHT
def test_an_answer_given_twice_changes_nothing_and_says_the_same(desk: Desk):
    offered = first_offer(desk)
    row = offered.rows[0]
    first = desk.decide(offered, accept=[row.number])
    desk.export()
    second = desk.decide(offered, accept=ALL, reject=[(row.number, "changed my mind")])

    assert second == first
    assert states_of(desk, offered) == ["EXPORTED", *["READY"] * (len(offered.rows) - 1)]


@AFTER_A_NIGHT
def test_an_answer_to_a_list_that_has_changed_is_refused_invoice_by_invoice(desk: Desk):
    offered = first_offer(desk)
    changed = newest_row(desk, offered)
    taken_back = next(row for row in offered.rows if row != changed)
    desk.bill_more(changed.invoice_id)
    desk.set_status(taken_back.invoice_id, "draft")
    desk.night()
    decided = desk.decide(offered)

    others = {row.invoice_id for row in offered.rows} - {changed.invoice_id, taken_back.invoice_id}
    assert set(decided.accepted) == others
    assert dict(decided.too_late) == {
        changed.number: "its figures were changed in Procore after this list was shown; a new review offers them",
        taken_back.number: "it is RETRIEVED by now",
    }
    assert desk.states()[changed.invoice_id] == "READY"


@AFTER_A_NIGHT
def test_a_list_stays_what_it_was_when_it_was_shown(desk: Desk):
    offered = first_offer(desk)
    changed = newest_row(desk, offered)
    desk.bill_more(changed.invoice_id)
    desk.night()

    assert review.open_offer(desk.ledger, offered.run_id) == offered
    again = desk.offer(offered.project_id)
    assert again
    assert again.total == offered.total + 100


@AFTER_A_NIGHT
def test_a_superseded_review_loses_nothing(desk: Desk):
    offered = first_offer(desk)
    review.supersede(desk.ledger, offered.run_id, desk.office)
    again = desk.offer(offered.project_id)

    assert again
    assert again.rows == offered.rows
    assert desk.decide(again).accepted == tuple(row.invoice_id for row in offered.rows)


def test_two_subcontractors_who_use_the_same_number_are_told_apart(desk: Desk):
    rows = list(desk.requisitions().values())
    mine = rows[0]
    other = next(row for row in rows if row["commitment_id"] != mine["commitment_id"])
    desk.edit(other["id"], invoice_number=mine["invoice_number"])
    offered = first_offer(desk)
    alike = [row for row in offered.rows if row.number.startswith(f"{mine['invoice_number']} ")]

    assert {row.invoice_id for row in alike} == {mine["id"], other["id"]}
    decided = desk.decide(offered, accept=[alike[0].number])
    assert decided.accepted == (alike[0].invoice_id,)


@pytest.mark.sandbox(projects=2, after="night")
def test_the_policy_accepts_in_the_projects_that_it_names_and_in_no_other(desk: Desk):
    offered = first_offer(desk)
    projects = {item.project_id for item in desk.items()}
    assert review.accept_by_policy(desk.ledger, sorted(projects), desk.office, 1) == 0
    desk.set("policy", auto_accept_projects=f"[{offered.project_id}]")
    count = review.accept_by_policy(desk.ledger, sorted(projects), desk.office, 2)

    assert count == len(offered.rows)
    assert {item.project_id for item in desk.items("ACCEPTED")} == {offered.project_id}
    assert timeline(desk.ledger, desk.item(offered.rows[0].invoice_id))[-1].actor == "policy v2"


@AFTER_A_NIGHT
def test_acceptance_survives_a_crash_before_the_export(desk: Desk):
    offered = first_offer(desk)
    desk.decide(offered)
    desk.close()  # whatever was open is gone
    desk.night()

    assert set(desk.exported()) == {row.invoice_id for row in offered.rows}


@AFTER_A_NIGHT
@pytest.mark.parametrize("how", ["superseded", "lapsed"])
def test_an_answer_to_a_review_that_was_closed_decides_nothing(desk: Desk, how: str):
    offered = first_offer(desk)
    if how == "superseded":
        review.supersede(desk.ledger, offered.run_id, desk.office)
    else:
        review.lapse(desk.ledger, [offered.run_id], desk.office)
    decided = desk.decide(offered)

    assert (decided.accepted, decided.rejected, decided.problems) == ((), (), ())
    assert {why.partition(" before")[0] for _, why in decided.too_late} == {"this review was closed"}
    assert states_of(desk, offered) == ["READY"] * len(offered.rows)


@ON_BOTH_DATABASES
@AFTER_A_NIGHT
def test_of_two_people_who_answer_at_once_one_decides_and_both_are_told_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    other = {**PEOPLE[0], "name": "Robin Okafor"}
    monkeypatch.setenv("TIEOUT_PEOPLE", json.dumps([*PEOPLE, other]))
    offered, start = first_offer(desk), Barrier(2)
    ledger = desk.ledger

    def answer(by: str) -> review.Decided:
        start.wait()
        reject = [] if by == APPROVER else [(row.number, "no") for row in offered.rows]
        return review.decide(ledger, offered.run_id, Signature(by), ALL, reject, desk.office)

    with ThreadPoolExecutor(2) as people:
        one, two = people.map(answer, [APPROVER, other["name"]])

    assert one == two
    assert {len(one.accepted), len(one.rejected)} == {0, len(offered.rows)}
    actors = {timeline(ledger, desk.item(row.invoice_id))[-1].actor for row in offered.rows}
    assert actors == {APPROVER if one.accepted else other["name"]}
