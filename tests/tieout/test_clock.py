"""Clocks that jump or are changed in the night, weeks and years that end: nothing is doubled, nothing waits for ever.

It is our clock that jumps; the outside systems go by the true time, and what they hold is counted there.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, cycle

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, Desk, SettableClock

from tieout.errors import TransientError
from tieout.export import chunk
from tieout.ledger import turns
from tieout.ledger.intents import live_intents

ENTER, PAY = "POST /vendor/invoice", "POST /rest/v1.0/contract_payments"
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
JUMPS = pytest.mark.parametrize(
    ("before", "after"),
    [(timedelta(), HOUR), (timedelta(), -HOUR), (YEAR, timedelta()), (timedelta(), YEAR)],
    ids=["an hour ahead", "an hour back", "right again after a year", "a year ahead"],
)


@dataclass
class OurClock:
    """It is off the true time by so much."""

    true: SettableClock
    off: timedelta

    def __call__(self) -> datetime:
        return self.true() + self.off

    def advance(self, **of_time: float) -> None:
        self.true.advance(**of_time)


@dataclass
class Watched:
    """A clock at whose look of that number something happens."""

    clock: Callable[[], datetime]
    number: int
    happen: Callable[[], object]
    looks: int = 0

    def __call__(self) -> datetime:
        self.looks += 1
        if self.looks == self.number:
            self.happen()
        return self.clock()


class Died(Exception):
    """The worker is gone."""


def die() -> None:
    raise Died


@pytest.fixture
def ours(desk: Desk) -> Iterator[OurClock]:
    """Our own clock; what the desk does goes by it."""
    clock = OurClock(desk.clock, timedelta())
    desk.clock = clock
    yield clock
    desk.clock = clock.true


def dies_at(desk: Desk, number: int, work: Callable[[], object]) -> bool:
    """Let a worker die at its look at the clock of that number; return whether it came so far."""
    own = desk.clock
    desk.clock = Watched(own, number, die)
    try:
        work()
    except Died:
        return True
    finally:
        desk.clock = own
    return False


def export_one(desk: Desk, invoice_id: int) -> None:
    chunk.export_chunk(desk.ledger, desk.erp, desk.basis, desk.office, [invoice_id])


def nights(desk: Desk, minutes: int = 4) -> None:
    """Let a quarter of an hour pass: a lease, the longest request, and two looks."""
    for _ in range(4):
        desk.clock.advance(minutes=minutes)
        desk.night()


@JUMPS
@pytest.mark.sandbox(invoices=8, after="night")
def test_whatever_an_export_had_come_to_when_the_clock_jumps(
    desk: Desk, ours: OurClock, before: timedelta, after: timedelta
):
    ours.off = before
    desk.night()
    lost, *accepted = desk.accept()
    desk.fault("spectrum", ENTER, "reset_before")
    export_one(desk, lost)
    for number, invoice_id in enumerate(accepted, 2):  # at the first look, nothing has begun
        dies_at(desk, number, lambda invoice_id=invoice_id: export_one(desk, invoice_id))
    assert {"UNCERTAIN", "EXPORTING"} <= set(desk.states().values())
    ours.off = after
    nights(desk)

    assert set(desk.exported()) == {lost, *accepted}
    assert set(desk.states().values()) == {"EXPORTED"}
    assert desk.audit() == []


@JUMPS
@AFTER_AN_EXPORT
def test_whatever_a_payment_had_come_to_when_the_clock_jumps(
    desk: Desk, ours: OurClock, before: timedelta, after: timedelta
):
    accepted = desk.export_everything()
    ours.off = before
    desk.post()
    for invoice_id in accepted:
        desk.cut_check([invoice_id], amount="100.00")
    desk.fault("procore", PAY, "reset_before")
    desk.pay()
    for number in count(2):
        if not dies_at(desk, number, desk.pay):
            break
    ours.off = after
    nights(desk)

    assert sorted((row["requisition_id"], row["amount"]) for row in desk.payments_issued()) == [
        (invoice_id, "100.00") for invoice_id in sorted(accepted)
    ]
    assert set(desk.states().values()) == {"PART_PAID"}


@AFTER_AN_EXPORT
def test_an_invoice_that_is_gone_is_known_to_be_though_the_first_look_was_by_a_clock_that_was_ahead(
    desk: Desk, ours: OurClock
):
    accepted = desk.export_everything()
    row = desk.exported()[accepted[0]]
    names = {"vendor_code": row["Vendor_Code"], "invoice_number": row["Invoice_Number"]}
    desk.play("spectrum", "invoices/delete", names)
    ours.off = YEAR
    desk.pay()
    ours.off = timedelta()
    nights(desk)

    assert desk.states()[accepted[0]] == "GONE"


@JUMPS
@AFTER_A_NIGHT
def test_whatever_a_letter_had_come_to_when_the_clock_jumps(
    desk: Desk, ours: OurClock, before: timedelta, after: timedelta
):
    ours.off = before
    desk.read()
    desk.judge()
    [project_id] = {item.project_id for item in desk.items()}
    offered = desk.offer(project_id)
    assert offered
    desk.decide(offered, accept=[], reject=[(row.number, "wrong period") for row in offered.rows])
    for number in count(1):
        if not dies_at(desk, number, desk.deliver):
            break
    ours.off = after
    nights(desk)

    assert {desk.requisition(row.invoice_id)["origin_id"] for row in offered.rows} == {None}


@AFTER_A_NIGHT
def test_two_looks_that_only_seem_far_apart_double_nothing(desk: Desk, ours: OurClock):
    desk.night()
    accepted = desk.accept()
    desk.fault("spectrum", ENTER, "reset_before")
    desk.export()
    with desk.ledger.reading() as connection:
        lost = {each.item.invoice_id: each.voucher for each in live_intents(connection, desk.items()).values()}
    ours.off = HOUR
    desk.settle()
    assert set(desk.states().values()) == {"ACCEPTED"}  # though no time has passed
    for number, invoice_id in zip(cycle((1, 2, 3)), accepted):
        # A proxy had kept the first request, and lets it through at one moment or another of the second attempt:
        # when the invoice is claimed, when it was looked for, when it is marked as sent.
        own, late = desk.clock, desk.erp.preview(lost[invoice_id])
        desk.clock = Watched(own, number, lambda late=late: desk.enter(late))
        export_one(desk, invoice_id)
        desk.clock = own

    assert set(desk.exported()) == set(accepted)
    assert set(desk.states().values()) == {"EXPORTED"}


@pytest.mark.parametrize("jump", [HOUR, -HOUR, YEAR])
@AFTER_A_NIGHT
def test_a_review_is_answered_though_the_clock_jumped_while_it_was_open(desk: Desk, ours: OurClock, jump: timedelta):
    desk.night()
    [project_id] = {item.project_id for item in desk.items()}
    offered = desk.offer(project_id)
    assert offered
    ours.off = jump
    decided = desk.decide(offered)
    again = desk.decide(offered)
    desk.night()

    assert again == decided
    assert set(desk.exported()) == set(decided.accepted) == {row.invoice_id for row in offered.rows}


@pytest.mark.parametrize("jump", [HOUR, -HOUR, -3 * timedelta(days=1), YEAR])
def test_what_changes_in_procore_is_seen_when_our_clock_is_right_again(desk: Desk, ours: OurClock, jump: timedelta):
    desk.night()
    changed = max(desk.states())
    ours.off = jump
    desk.night()
    desk.bill_more(changed)
    desk.night()
    ours.off = timedelta()
    desk.night()

    assert (desk.states()[changed], desk.item(changed).revision) == ("READY", 2)


def test_a_clock_that_was_ahead_does_not_put_off_the_next_whole_listing(desk: Desk, ours: OurClock):
    ours.off = YEAR
    desk.night()
    ours.off = timedelta()
    gone = max(desk.states())
    desk.play("procore", f"requisitions/{gone}", method="DELETE")
    desk.clock.advance(days=1)
    desk.night()

    assert desk.states()[gone] == "RETRIEVED"


@AFTER_A_NIGHT
def test_a_payment_of_an_invoice_that_was_found_late_is_read_though_the_clock_was_ahead(desk: Desk, ours: OurClock):
    desk.night()
    found, known, *_ = desk.accept()
    desk.fault("spectrum", ENTER, "reset_before")
    export_one(desk, found)
    with desk.ledger.reading() as connection:
        [intent] = live_intents(connection, [desk.item(found)]).values()
    desk.enter(desk.erp.preview(intent.voucher))  # it arrives late
    export_one(desk, known)
    for invoice_id in (found, known):
        desk.post([invoice_id])
        desk.cut_check([invoice_id], amount="100.00")
        desk.clock.advance(hours=1)
    ours.off = HOUR
    desk.pay()
    ours.off = timedelta()
    desk.night()

    assert sorted(row["requisition_id"] for row in desk.payments_issued()) == sorted([found, known])


@pytest.mark.parametrize(("back", "who"), [(timedelta(minutes=1), "first"), (HOUR, None), (YEAR, None)])
def test_a_turn_that_was_taken_by_a_clock_that_was_ahead_is_no_ones(desk: Desk, back: timedelta, who: str | None):
    lease = timedelta(minutes=5)
    with desk.ledger.transaction(desk.clock() + back, "first") as tx:
        turns.take_turn(tx, "payments", "first", lease)
    with desk.ledger.transaction(desk.clock(), "second") as tx:
        assert turns.take_turn(tx, "payments", "second", lease) == who


# In New York, clocks go from two to three on 8 March 2026, and from two back to one on 1 November.


@pytest.mark.parametrize(
    "instants",
    [
        (datetime(2026, 3, 8, 6, 59, tzinfo=UTC), datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)),
    ],
    ids=["the hour that does not exist", "the hour that happens twice"],
)
@AFTER_A_NIGHT
def test_two_runs_in_the_night_of_the_change_are_one_night_of_one_batch(
    desk: Desk, instants: tuple[datetime, datetime]
):
    desk.night()
    first, *others = desk.accept()
    for instant, chosen in zip(instants, ([first], others), strict=True):
        desk.clock.now = instant
        desk.read()
        desk.judge()
        desk.export(chosen)
    sunday = instants[0].date()

    assert set(desk.exported()) == {first, *others}
    assert {row["Batch_Code"] for row in desk.exported().values()} == {f"{sunday + timedelta(days=6):%Y%m%d}"}
    sent = desk.requests("spectrum")[ENTER]
    desk.night()
    assert desk.requests("spectrum")[ENTER] == sent


# A week that ends in the next year: Saturday, 2 January 2027.

THURSDAY, MONDAY = datetime(2026, 12, 31, 22, tzinfo=UTC), datetime(2027, 1, 4, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fault", "batch"),
    [("reset_before", "20270102"), ("429", "20270109")],
    ids=["frozen while nobody knows", "new where surely nothing was sent"],
)
@AFTER_A_NIGHT
def test_a_batch_over_new_year_and_a_second_attempt_in_the_next_week(desk: Desk, fault: str, batch: str):
    desk.night()
    accepted = desk.accept()
    desk.clock.now = THURSDAY
    desk.fault("spectrum", ENTER, fault, retry_after=3600)
    with suppress(TransientError):
        desk.export()
    assert desk.exported() == {}
    desk.clock.now = MONDAY
    nights(desk)

    assert set(desk.exported()) == set(accepted)
    assert {row["Batch_Code"] for row in desk.exported().values()} == {batch}
