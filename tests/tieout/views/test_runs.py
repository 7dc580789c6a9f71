"""After a plan is carried out Prefect shows what the ledger holds, whatever happened to the runs in between."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import CHANGED, an_item
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from data_contracts.reference import Finding
from tieout.export.drift import as_text
from tieout.ledger import states
from tieout.ledger.items import Item
from tieout.ledger.reviews import Review
from tieout.views.runs import PASSING, ReviewRun, Run, plan_items, plan_reviews
from tieout.views.standing import DRIFTED, FAILING, LOST, Standing, key_of, standing_of, tags_of
from tieout.wording import run_name

NOW = datetime(2026, 9, 10, 12, 0, tzinfo=UTC)
PATIENCE = timedelta(minutes=15)


def a_run(item: Item, **changes: Any) -> Run:
    made = Run(
        run_id="run-1",
        invoice=(item.company_id, item.invoice_id),
        key=key_of(item),
        name=run_name(item),
        tags=frozenset(tags_of(item)),
        standing=standing_of(item),
    )
    return replace(made, **changes)


def test_a_run_that_shows_its_item_is_left_alone():
    item = an_item()

    plan = plan_items([item], [a_run(item)], NOW, PATIENCE)

    assert (plan.creations, plan.moves) == ([], [])


def test_an_exported_run_is_moved_when_its_invoice_drifts_and_back_when_it_does_not():
    healthy = an_item(state=states.POSTED, cause="")
    drifted = an_item(state=states.POSTED, cause="", drifted=[CHANGED])

    [there] = plan_items([drifted], [a_run(healthy)], NOW, PATIENCE).moves
    [back] = plan_items([healthy], [a_run(drifted)], NOW, PATIENCE).moves

    assert (there.seen, there.standing.name) == ("Exported", DRIFTED)
    assert (back.seen, back.standing.name) == (DRIFTED, "Exported")


def test_a_new_reason_changes_message_and_tags_of_the_run_that_is_there():
    before, item = an_item(), an_item(cause="closed-period", reasons=[])

    [move] = plan_items([item], [a_run(before)], NOW, PATIENCE).moves

    assert (move.standing, set(move.tags)) == (standing_of(item), set(tags_of(item)))


@pytest.mark.parametrize("type_", ["SCHEDULED", "PENDING", "RUNNING"])
def test_a_run_that_is_retried_counts_as_its_item(type_: str):
    run = a_run(an_item(), standing=Standing(type_, "AwaitingRetry"))

    plan = plan_items([an_item()], [run], NOW, PATIENCE)

    assert (plan.creations, plan.moves) == ([], [])


def test_a_run_whose_worker_died_is_put_right_once_it_is_closed():
    run = a_run(an_item(), standing=LOST)

    [move] = plan_items([an_item()], [run], NOW, PATIENCE).moves

    assert move.standing.name == "Failed to Export"


def test_an_unknown_outcome_is_shown_only_when_it_stays_unknown():
    young, old = an_item(state=states.UNCERTAIN, changed_at=NOW), an_item(state=states.UNCERTAIN)

    assert plan_items([young], [], NOW, PATIENCE).creations == []
    assert [each.standing.name for each in plan_items([old], [], NOW, PATIENCE).creations] == ["Uncertain"]


def test_a_run_of_an_older_revision_gives_way_to_a_new_one():
    old = a_run(an_item())

    plan = plan_items([an_item(revision=2)], [old], NOW, PATIENCE)

    assert [each.key for each in plan.creations] == [key_of(an_item(revision=2))]
    assert [(each.run_id, each.standing.name) for each in plan.moves] == [(old.run_id, "Superseded")]


def test_a_run_of_an_invoice_that_the_ledger_does_not_hold_is_closed():
    [move] = plan_items([], [a_run(an_item())], NOW, PATIENCE).moves

    assert (move.standing.type, move.standing.name) == ("COMPLETED", "Superseded")


def test_a_run_that_a_form_started_with_an_id_that_nobody_knows_stays_red():
    run = a_run(an_item(), key=None, standing=Standing("FAILED", "Finished with Failures"))

    assert plan_items([], [run], NOW, PATIENCE).moves == []


class Histories(RuleBasedStateMachine):
    """A ledger and a Prefect to which anything may happen between two passes."""

    def __init__(self) -> None:
        super().__init__()
        self.items = {number: an_item(invoice_id=number, state=states.READY) for number in range(4)}
        self.runs: dict[str, Run] = {}
        self.is_published = False

    @rule(number=st.integers(0, 3), state=st.sampled_from(states.ALL), is_sent_again=st.booleans())
    def an_item_moves(self, number: int, state: str, is_sent_again: bool) -> None:
        item = self.items[number]
        self.items[number] = item._replace(state=state, revision=item.revision + is_sent_again)
        self.is_published = False

    @rule(number=st.integers(0, 3), drifted=st.sampled_from([[], [CHANGED]]))
    def one_side_is_changed_or_put_back(self, number: int, drifted: list[Finding]) -> None:
        self.items[number] = self.items[number]._replace(drift=as_text(drifted))
        self.is_published = False

    @precondition(lambda self: self.runs)
    @rule(
        data=st.data(),
        standing=st.sampled_from(
            [
                Standing("SCHEDULED", "AwaitingRetry"),
                Standing("RUNNING", "Running"),
                Standing("CANCELLED", "Cancelled"),
                Standing("CRASHED", "Crashed"),
                Standing("FAILED", "Failed"),
                Standing("COMPLETED", "Sent"),
            ]
        ),
    )
    def something_happens_to_a_run(self, data: st.DataObject, standing: Standing) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.runs)))
        self.runs[run_id] = replace(self.runs[run_id], standing=standing)
        self.is_published = False

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def a_person_deletes_a_run(self, data: st.DataObject) -> None:
        del self.runs[data.draw(st.sampled_from(sorted(self.runs)))]
        self.is_published = False

    @rule(number=st.integers(0, 3))
    def a_person_starts_the_flow_by_hand(self, number: int) -> None:
        run_id = f"hand-{len(self.runs)}-{number}"
        standing = Standing("FAILED", "Failed to Export", "by hand")
        self.runs[run_id] = a_run(self.items[number], run_id=run_id, key=None, standing=standing)
        self.is_published = False

    @rule()
    def a_pass(self) -> None:
        """Do what tasks/items.py does with the plan."""
        shown = [run for run in self.runs.values() if run.standing.type != "COMPLETED" or run.standing.name in PASSING]
        plan = plan_items(self.items.values(), shown, NOW, PATIENCE)
        keys = {each.key for each in plan.creations}
        ended_well = [run for run in self.runs.values() if run.key in keys]
        plan = plan_items(self.items.values(), shown + ended_well, NOW, PATIENCE)
        for each in plan.creations:
            run_id = f"run-{each.key}"
            assert run_id not in self.runs
            tags = frozenset(each.tags)
            self.runs[run_id] = Run(run_id, each.invoice, each.key, each.name, tags, each.standing)
        for move in plan.moves:
            run = self.runs[move.run_id]
            assert run.standing.name == move.seen
            changes: dict[str, Any] = {"name": move.name, "tags": frozenset(move.tags)} if move.name else {}
            self.runs[move.run_id] = replace(run, standing=move.standing, **changes)
        self.is_published = True

    @invariant()
    def prefect_shows_the_ledger(self) -> None:
        if not self.is_published:
            return
        resting = [run for run in self.runs.values() if not run.is_going_on]
        going_on = {run.key for run in self.runs.values() if run.is_going_on}
        for name in (*FAILING.values(), DRIFTED):
            wanted = {key_of(item) for item in self.items.values() if shown(item) == name} - going_on
            assert [run for run in resting if run.standing.name == name and run.key is None] == []
            assert {run.key for run in resting if run.standing.name == name} == wanted
        assert {run.standing.type for run in resting} <= {"FAILED", "COMPLETED"}


def shown(item: Item) -> str | None:
    """The view in which a person must find the item."""
    if item.state in (*states.IN_ERP, states.GONE):
        return DRIFTED if item.drift != "[]" else None
    return FAILING.get(item.state)


TestHistories = Histories.TestCase

LIST = frozenset({(1, "a"), (2, "b")})


def a_review(**changes: Any) -> Review:
    return replace(Review(run_id="r", project_id=41, offered=LIST, is_open=True, outcome=""), **changes)


def a_review_run(**changes: Any) -> ReviewRun:
    return replace(ReviewRun(run_id="r", project_id=41, type="PAUSED"), **changes)


@pytest.mark.parametrize(
    ("runs", "offers", "superseded", "wanted"),
    [
        ([], {}, [], [41]),
        ([a_review_run()], {"r": a_review()}, [], []),
        ([a_review_run()], {"r": a_review(offered=frozenset({(1, "a")}))}, ["r"], [41]),
        ([a_review_run(type="SCHEDULED")], {}, [], []),
        ([a_review_run(type="RUNNING")], {"r": a_review()}, [], []),
        ([a_review_run(type="RUNNING")], {"r": a_review(is_open=False, outcome="decided")}, [], [41]),
        ([a_review_run(), a_review_run(run_id="s")], {"r": a_review(), "s": a_review(run_id="s")}, ["s"], []),
        ([a_review_run()], {}, ["r"], [41]),
    ],
    ids=[
        "none yet", "the present list", "an old list", "one about to start", "one being answered", "one just decided",
        "two of the same", "one that the ledger forgot",
    ],
)  # fmt: skip
def test_one_review_stays_open_with_the_present_list(
    runs: list[ReviewRun], offers: dict[str, Review], superseded: list[str], wanted: list[int]
):
    plan = plan_reviews({41: LIST}, runs, offers)

    assert (plan.superseded, plan.wanted) == (superseded, wanted)


def test_a_review_of_a_project_with_nothing_ready_is_superseded():
    plan = plan_reviews({}, [a_review_run()], {"r": a_review()})

    assert (plan.superseded, plan.wanted) == (["r"], [])
