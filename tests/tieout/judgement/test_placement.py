"""What Procore shows is judged, sent or held with its rule, and judged again when the world around it changes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from desk import AFTER_A_NIGHT, NIGHT, SENDER, Desk

from tieout import opening
from tieout.decisions import send
from tieout.errors import SettingsError
from tieout.intake import invoices
from tieout.judgement import batch
from tieout.ledger import states
from tieout.ledger.items import Item
from tieout.outbox import letters
from tieout.people.rights import Signature
from tieout.views.inquiry import timeline

BIG = pytest.mark.sandbox(projects=4, invoices=60, troubles=True, lines=None)
NOT_EXPORTABLE = {"purchase-order", "release-only"}
DUPLICATE = "number-duplicate"
KNOWN_TO_THE_ERP_ONLY = "already-in-erp"


def newest(desk: Desk) -> int:
    """Return the newest invoice of a commitment: a change of another one would break the one after it."""
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


@BIG
def test_each_trouble_ends_where_its_rule_says_and_all_the_others_are_exported(desk: Desk):
    troubles = desk.contractor.troubles
    labels = {key: label for key, label in troubles.items() if label not in (DUPLICATE, KNOWN_TO_THE_ERP_ONLY)}
    desk.night()
    judged = {item.invoice_id: item for item in desk.items()}
    assert {key: judged[key].cause for key in labels} == labels
    assert {key: judged[key].state for key in labels} == {
        key: "NOT_EXPORTABLE" if label in NOT_EXPORTABLE else "HELD" for key, label in labels.items()
    }
    assert all(item.reasons[0].remedy and item.reasons[0].message for item in judged.values() if item.state == "HELD")

    pairs = [key for key, label in troubles.items() if label == DUPLICATE]
    assert [judged[key].state for key in sorted(pairs)] == ["READY", "HELD"] * (len(pairs) // 2)

    accepted = desk.accept()
    sent = {row["id"] for row in desk.requisitions().values() if row["status"] == "approved"} - set(labels)
    assert set(accepted) == sent - set(pairs[1::2])

    desk.night()
    in_erp_before = {key for key, label in troubles.items() if label == KNOWN_TO_THE_ERP_ONLY}
    assert {desk.item(key).cause for key in in_erp_before} == {KNOWN_TO_THE_ERP_ONLY}
    assert set(desk.exported()) == set(accepted) - in_erp_before
    assert {item.invoice_id for item in desk.items("FAILED")} == in_erp_before
    assert desk.audit() == []


@BIG
def test_what_is_held_is_judged_again_when_what_it_was_judged_by_is_mended(desk: Desk):
    """A mapping, master data or a change order is mended; the invoices themselves are not touched."""
    desk.night()
    by_cause = {item.cause: item for item in desk.items("HELD")}
    desk.clock.advance(days=1)

    unmapped = by_cause["vendor-unmapped"]
    rows = [*desk.contractor.mapping_rows, vendor_row(desk, unmapped.invoice_id)]
    desk.write_mapping(rows)
    inactive = by_cause["vendor-inactive"]
    desk.play("spectrum", "vendors", {"code": desk_vendor(desk, inactive.invoice_id), "status": "A"})
    for cause in ("subcontract-unmapped", "phase-unmapped", "cost-type-unmapped", "change-order-unapproved"):
        desk.edit(by_cause[cause].invoice_id, repair=True)
    activate_phases(desk, by_cause["coding-not-in-erp"])
    mended = {
        by_cause[cause].invoice_id: "READY"
        for cause in (
            "vendor-unmapped",
            "vendor-inactive",
            "subcontract-unmapped",
            "phase-unmapped",
            "cost-type-unmapped",
            "change-order-unapproved",
            "coding-not-in-erp",
        )
    }
    before = desk.states()
    desk.night()

    assert {key: state for key, state in desk.states().items() if state != before[key]} == mended
    assert [key for key in mended if desk.requisition(key)["origin_id"] is None] == []


@AFTER_A_NIGHT
def test_a_line_that_its_reviewer_rejected_in_procore_is_not_paid_though_the_invoice_is_approved(desk: Desk):
    ready = desk.items("READY")[0]
    billed = next(
        each for each in desk.requisition(ready.invoice_id)["items"] if float(each["work_completed_this_period"])
    )
    line = {"line_item_id": billed["line_item_id"]} if billed["line_item_id"] else {"id": billed["id"]}
    desk.edit(ready.invoice_id, items=[line | {"status": "rejected"}])
    desk.night()
    held = desk.item(ready.invoice_id)
    assert (held.state, held.cause) == ("HELD", "line-rejected")
    assert f'"{billed["description_of_work"]}"' in held.reasons[0].message

    desk.edit(ready.invoice_id, items=[line | {"status": "approved"}])
    desk.night()
    assert desk.states()[ready.invoice_id] == "READY"


def vendor_row(desk: Desk, invoice_id: int) -> dict[str, str]:
    name = desk.requisition(invoice_id)["vendor_name"]
    vendor_id = desk.requisition(invoice_id)["vendor_id"]
    contract = next(each for each in desk.contractor.commitments if each["vendor"]["id"] == vendor_id)
    code = next(
        each.vendor_code
        for each in desk.contractor.books.subcontracts
        if each.number == (contract["origin_code"] or contract["number"])
    )
    assert name
    return {"kind": "vendor", "procore": str(vendor_id), "job": "", "erp": code, "valid_from": "2020-01-01"}


def desk_vendor(desk: Desk, invoice_id: int) -> str:
    item = desk.item(invoice_id)
    mapping = desk.terms_of(item.project_id).mapping(item.project_id, desk.clock().date())
    code = mapping.vendor(desk.requisition(invoice_id)["vendor_id"])
    assert code
    return code


def activate_phases(desk: Desk, item: Item) -> None:
    """Accounting adds the combinations of job, phase and cost type that the reasons name."""
    names = [each.numbers for each in item.reasons if each.rule == "coding-not-in-erp"]
    rows = [{"job": x["job"], "phase_code": x["phase"], "cost_type": x["cost_type"], "status": "A"} for x in names]
    desk.play("spectrum", "phases", rows)


def test_only_approved_is_sent_by_the_night_and_the_other_two_by_a_person(desk: Desk):
    rows = sorted(desk.requisitions().values(), key=lambda row: row["id"])
    noted, pending, draft = (row["id"] for row in rows[:3])
    for invoice_id, status in ((noted, "approved_as_noted"), (pending, "pending_owner_approval"), (draft, "draft")):
        desk.set_status(invoice_id, status)
    desk.night()
    assert set(desk.states()) == {row["id"] for row in rows[3:]}

    [project_id] = {rows[at]["project_id"] for at in range(3)}
    terms = desk.terms
    answers = send.send(desk.ledger, terms, project_id, [noted, pending, draft, 1], Signature(SENDER), desk.clock)

    assert {each.invoice_id: each.outcome for each in answers} == {
        noted: "READY",
        pending: "READY",
        draft: "refused",
        1: "refused",
    }
    assert "its status is draft" in next(each.reason for each in answers if each.invoice_id == draft)
    assert {desk.states()[each] for each in (noted, pending)} == {"READY"}
    assert [each.actor for each in timeline(desk.ledger, desk.item(noted))] == ["Pat Lee"]
    again = send.send(desk.ledger, terms, project_id, [noted], Signature(SENDER), desk.clock)
    assert [(each.outcome, each.reason) for each in again] == [("refused", "it was sent before and is READY")]


def test_a_person_sends_all_that_may_be_sent(desk: Desk):
    desk.set("policy", auto_send_statuses="[]")
    desk.night()
    assert desk.items() == []
    project_id = desk.projects[0]
    answers = send.send(desk.ledger, desk.terms, project_id, None, Signature(SENDER), desk.clock)

    assert {each.outcome for each in answers} == {"READY"}
    assert len(answers) == sum(row["project_id"] == project_id for row in desk.requisitions().values())


@AFTER_A_NIGHT
@pytest.mark.parametrize("state", ["READY", "ACCEPTED"])
def test_what_is_no_longer_approved_is_taken_back_and_can_be_edited(desk: Desk, state: str):
    desk.night()
    if state == "ACCEPTED":
        desk.accept()
    back = newest(desk)
    assert desk.requisition(back)["origin_id"]
    desk.set_status(back, "revise_and_resubmit")
    desk.night()

    assert desk.item(back).state == "RETRIEVED"
    assert back not in desk.exported()
    assert desk.requisition(back)["origin_id"] is None


@AFTER_A_NIGHT
def test_what_was_taken_back_is_sent_again_by_the_night_only_when_it_was_changed(desk: Desk):
    desk.night()
    back = newest(desk)
    desk.set_status(back, "draft")
    desk.night()
    desk.set_status(back, "approved")
    desk.night()
    assert desk.item(back).state == "RETRIEVED"

    desk.bill_more(back)
    desk.night()
    item = desk.item(back)
    assert (item.state, item.revision) == ("READY", 2)


@AFTER_A_NIGHT
def test_a_person_sends_again_what_was_taken_back(desk: Desk):
    desk.night()
    back = newest(desk)
    desk.set_status(back, "draft")
    desk.night()
    desk.set_status(back, "approved")
    desk.read()
    [answer] = send.send(desk.ledger, desk.terms, desk.item(back).project_id, [back], Signature(SENDER), desk.clock)

    assert answer.outcome == "READY"
    assert desk.item(back).revision == 2


@AFTER_A_NIGHT
def test_a_change_before_the_decision_is_offered_anew(desk: Desk):
    desk.night()
    changed = newest(desk)
    before = desk.item(changed)
    desk.bill_more(changed, "300.00")
    desk.night()
    after = desk.item(changed)

    assert (after.state, after.revision, after.gross) == ("READY", 2, before.gross + 300)


@AFTER_A_NIGHT
def test_a_change_that_breaks_a_rule_holds_what_was_ready_and_unlocks_it(desk: Desk):
    desk.night()
    changed = newest(desk)
    desk.edit(changed, invoice_number="")
    desk.night()
    held = desk.item(changed)

    assert (held.state, held.cause) == ("HELD", "number-missing")
    assert desk.requisition(changed)["origin_id"] is None


@AFTER_A_NIGHT
def test_what_became_unreadable_is_held_and_unlocked_so_that_it_can_be_mended(desk: Desk):
    desk.night()
    broken = newest(desk)
    before = desk.item(broken)
    due = desk.requisition(broken)["summary"]
    desk.edit(broken, summary={**due, "current_payment_due": 1.5})
    desk.night()
    held = desk.item(broken)

    assert (held.state, held.cause) == ("HELD", "unreadable")
    assert "summary.current_payment_due: money must come as text" in held.reasons[0].message
    assert (held.number, held.vendor, held.commitment_id) == (before.number, before.vendor, before.commitment_id)
    assert desk.requisition(broken)["origin_id"] is None


@AFTER_A_NIGHT
def test_a_changed_status_that_may_still_be_sent_changes_nothing(desk: Desk):
    desk.night()
    noted = newest(desk)
    desk.set_status(noted, "approved_as_noted")
    desk.night()

    assert (desk.item(noted).state, desk.item(noted).revision) == ("READY", 1)


@AFTER_A_NIGHT
def test_an_invoice_deleted_in_procore_is_taken_back_by_its_retry(desk: Desk):
    desk.night()
    desk.accept()
    gone = newest(desk)
    desk.play("procore", f"requisitions/{gone}", method="DELETE")
    invoices.refetch_one(desk.ledger, desk.procore, gone, desk.clock)

    assert batch.rejudge_one(desk.ledger, desk.terms, gone, desk.clock, NIGHT).state == "RETRIEVED"
    desk.night()
    assert gone not in desk.exported()


@AFTER_A_NIGHT
def test_an_invoice_deleted_in_procore_is_found_within_a_week(desk: Desk):
    desk.night()
    gone = newest(desk)
    desk.play("procore", f"requisitions/{gone}", method="DELETE")
    desk.clock.advance(days=7, minutes=1)
    desk.night()

    assert desk.item(gone).state == "RETRIEVED"


@AFTER_A_NIGHT
def test_a_single_retry_of_a_changed_invoice_asks_for_a_new_acceptance(desk: Desk):
    desk.night()
    desk.accept()
    changed = newest(desk)
    desk.bill_more(changed)
    invoices.refetch_one(desk.ledger, desk.procore, changed, desk.clock)
    item = batch.rejudge_one(desk.ledger, desk.terms, changed, desk.clock, "Pat Lee")

    assert (item.state, item.revision) == (states.READY, 2)


@AFTER_A_NIGHT
def test_a_policy_has_a_version_that_is_kept_with_each_decision(desk: Desk):
    desk.night()
    first = desk.terms.policy_version
    desk.set("policy", over_billing="stop")
    second = desk.terms.policy_version
    desk.set("policy", over_billing="stop")

    assert (first, second, desk.terms.policy_version) == (1, 2, 2)
    events = timeline(desk.ledger, desk.items()[0])
    assert events[0].facts["policy"] == 1


def test_a_project_of_which_no_commitments_were_read_stops_no_other(desk: Desk):
    desk.fault("procore", "GET .*work_order_contracts", "5xx_before", status=403)
    desk.read()
    projects = {row["project_id"] for row in desk.requisitions().values()}
    [unread] = projects - {*desk.projects}

    with pytest.raises(SettingsError, match=f"project {unread}: its commitments were never read"):
        batch.judge_projects(desk.ledger, desk.terms, sorted(projects), desk.clock, NIGHT)

    assert {item.project_id for item in desk.items()} == projects - {unread}


def test_the_same_projects_judged_twice_at_the_same_time_come_to_no_harm(desk: Desk):
    desk.read()
    terms, projects = desk.terms, desk.projects

    def judge(project_ids: list[int]) -> None:
        with opening.open_ledger() as ledger:
            batch.judge_projects(ledger, terms, project_ids, desk.clock, NIGHT)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(judge, [*([each] for each in projects), projects, projects]))

    assert set(desk.states().values()) == {"READY"}
    assert {item.revision for item in desk.items()} == {1}
    assert len(desk.items()) == len(desk.requisitions())
    assert desk.audit() == []


def test_one_number_on_two_commitments_of_a_vendor_is_held_unless_the_policy_tells_them_apart(desk: Desk):
    rows = sorted(desk.requisitions().values(), key=lambda row: row["id"])
    first, other = rows[0], next(row for row in rows if row["commitment_id"] != rows[0]["commitment_id"])
    desk.edit(other["id"], invoice_number=first["invoice_number"], vendor_id=first["vendor_id"])
    desk.night()
    assert desk.item(other["id"]).reasons[0].rule == "number-duplicate"

    desk.set("policy", invoice_number="with_commitment")
    desk.read()
    desk.judge()
    assert "number-duplicate" not in [each.rule for each in desk.item(other["id"]).reasons]


def test_what_procore_refuses_to_lock_delays_nothing_and_is_told(desk: Desk):
    desk.read()
    desk.judge()
    desk.fault("procore", "PATCH .*requisitions", "5xx_before", times=100, status=422)
    delivered = desk.deliver()
    assert len(delivered.refusals) == len(desk.items())
    assert len(letters.undelivered(desk.ledger)) == len(desk.items())
    desk.heal("procore")
    accepted = desk.accept()
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert {desk.requisition(each)["origin_id"] for each in accepted} == {
        row["Remarks"] for row in desk.exported().values()
    }
