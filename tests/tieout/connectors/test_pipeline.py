"""The whole way of an invoice, and of its payment, with every ERP that is found: nothing but settings names it.

What came of it is counted in the ERP's own database and in Procore, never in our ledger.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from clerk import Clerk, Held, Hire
from desk import Desk, amount

from benchmarks import crash
from benchmarks.workers import Child, at_work
from data_contracts.voucher import Voucher
from tieout import opening
from tieout.connectors.base import parse_key
from tieout.errors import TransientError
from tieout.export import chunk, outcome
from tieout.judgement.basis import load_basis
from tieout.ledger import states
from tieout.ledger.intents import live_intents

# In the order in which they befall those who write: what gets lost on the way, and what comes too late to be told.
WEATHER: tuple[Any, ...] = ("answer lost", "request lost", "answer cut", "request late", "refused")
# How a worker comes to the boundaries of the export, by the names of `benchmarks.crash`.
STORIES: dict[str, Callable[["Trade"], None]] = {
    "an export": lambda trade: None,
    "the answer is lost": lambda trade: trade.clerk.line.befall("answer lost"),
    "surely not sent": lambda trade: trade.clerk.line.befall("refused", 9, 429, **{"Retry-After": "3600"}),
    "the ledger was restored": lambda trade: trade.forget_an_export(),
}
BOUNDARIES = [name for name, story in crash.BOUNDARIES.items() if name.startswith("exporting.") and story in STORIES]


@dataclass
class Trade:
    """A desk, and accounting in the ERP that its settings name."""

    desk: Desk
    clerk: Clerk

    def sent(self, invoice_id: int) -> Voucher:
        """Return what was sent, or is about to be, of an invoice."""
        item = self.desk.item(invoice_id)
        with self.desk.ledger.reading() as connection:
            return live_intents(connection, [item])[item.item_id].voucher

    def ours(self) -> dict[int, list[Held]]:
        """Return what the ERP holds of ours, by Procore's invoice id."""
        found: dict[int, list[Held]] = {}
        for each in self.clerk.held():
            if key := parse_key(each.key):
                found.setdefault(key[1], []).append(each)
        return found

    def ties_out(self) -> None:
        """Assert that the ERP holds each invoice once and to the cent, even when all that is late has come."""
        self.clerk.line.let_arrive()
        owed = {invoice_id: amount(row, "gross") for invoice_id, row in self.desk.requisitions().items()}
        assert {each: [one.gross for one in there] for each, there in self.ours().items()} == {
            each: [gross] for each, gross in owed.items()
        }

    def forget_an_export(self) -> None:
        """Export everything and restore the ledger from a backup of before."""
        before = self.desk.back_up()
        self.desk.export()
        self.desk.set("ledger", url=before)

    def wait(self) -> None:
        """Let the time go by until leases are over and two looks are far enough apart.

        What is late has come by then, as `settles_within` says, unless the ERP itself refuses it anyway.
        """
        if not self.desk.erp.capabilities.refuses_duplicates:
            self.clerk.line.let_arrive()
        self.desk.clock.advance(hours=1)


@pytest.fixture
def trade(desk: Desk, erp_name: str, hire: Hire, request: pytest.FixtureRequest) -> Iterator[Trade]:
    folder = desk.folder / "erp"
    folder.mkdir()
    with hire(desk.contractor.books, desk.clock, folder, request) as clerk:
        desk.set("company", erp=erp_name)
        desk.set(erp_name, **clerk.section)
        yield Trade(desk, clerk)
        desk.close()


def test_an_invoice_goes_all_the_way_and_its_payments_come_back(trade: Trade):
    desk, clerk = trade.desk, trade.clerk
    first, second, *others = desk.export_everything()
    trade.ties_out()
    assert {each.state for there in trade.ours().values() for each in there} == {"unposted"}

    clerk.post(trade.sent(first))
    clerk.post(trade.sent(second))
    check = clerk.pay(trade.sent(first), Decimal("100.10"))
    desk.pay()
    assert desk.states() == {
        first: states.PART_PAID, second: states.POSTED, **dict.fromkeys(others, states.EXPORTED)
    }  # fmt: skip

    clerk.pay(trade.sent(first))
    desk.pay()
    [there] = trade.ours()[first]
    net = there.gross - there.retention
    assert (desk.item(first).state, told(desk)) == (states.PAID, {first: net})

    clerk.void_check(check)
    desk.pay()
    assert (desk.item(first).state, told(desk)) == (states.PART_PAID, {first: net - Decimal("100.10")})
    assert desk.audit() == []


def told(desk: Desk) -> dict[int, Decimal]:
    """Return what Procore was told of payments, by invoice."""
    sums: dict[int, Decimal] = {}
    for row in desk.payments_issued():
        sums[row["requisition_id"]] = sums.get(row["requisition_id"], Decimal(0)) + amount(row, "amount")
    return sums


def test_what_accounting_edits_deletes_and_voids_is_seen(trade: Trade):
    desk, clerk = trade.desk, trade.clerk
    edited, deleted, voided, *_ = desk.export_everything()
    clerk.edit(trade.sent(edited), trade.sent(edited).gross + 1)
    clerk.post(trade.sent(voided))
    clerk.void(trade.sent(voided))
    clerk.delete(trade.sent(deleted))
    desk.pay()
    trade.wait()
    desk.pay()

    assert "gross" in desk.item(edited).drift
    assert (desk.item(deleted).state, desk.item(voided).state) == (states.GONE, states.GONE)
    assert desk.audit() == []


def test_a_change_in_procore_reaches_what_is_unposted_once_and_nothing_else(trade: Trade):
    desk, clerk = trade.desk, trade.clerk
    desk.export_everything()
    newest = max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]
    [before], asked = trade.ours()[newest], clerk.line.asked["write"]
    desk.bill_more(newest, "100.00")
    change = desk.see_change(newest)
    if not desk.erp.capabilities.update:
        assert "does not let tieout change it" in change.refusal
        assert clerk.line.asked["write"] == asked
        return

    clerk.line.befall("answer lost")
    assert (change.refusal, desk.take_over(change)) == ("", [])
    [after] = trade.ours()[newest]
    assert (after.gross, sum(after.lines)) == (before.gross + 100, before.gross + 100)
    trade.ties_out()

    desk.bill_more(newest, "50.00")
    change = desk.see_change(newest)
    clerk.post(trade.sent(newest))
    [problem] = desk.take_over(change, "run-2")
    desk.pay()
    assert "no longer shows it unposted and as it was exported" in problem
    assert [(each.state, each.gross) for each in trade.ours()[newest]] == [("posted", after.gross)]
    assert desk.item(newest).state == states.POSTED
    assert desk.audit() == []


def test_whatever_is_lost_on_the_way_each_invoice_is_there_once(trade: Trade):
    trade.desk.set("export", chunk=1)
    trade.desk.night()
    trade.desk.accept()
    for trouble in WEATHER:
        trade.clerk.line.befall(trouble, status=503)
    trade.desk.export(tries=4)
    after = set(trade.desk.states().values())
    for _ in range(3):
        trade.wait()
        trade.desk.night()

    assert after == {states.EXPORTED, states.UNCERTAIN}
    trade.ties_out()
    assert set(trade.desk.states().values()) == {states.EXPORTED}
    assert trade.desk.audit() == []


def test_a_ledger_that_was_restored_sends_nothing_twice(trade: Trade):
    trade.desk.night()
    trade.desk.accept()
    trade.forget_an_export()
    trade.desk.export()

    trade.ties_out()
    assert set(trade.desk.states().values()) == {states.EXPORTED}


def test_four_workers_at_once_write_each_invoice_once(trade: Trade):
    trade.desk.set("export", chunk=1)
    trade.desk.night()
    trade.desk.accept()
    four_at_work(trade)

    trade.ties_out()
    assert set(trade.desk.states().values()) == {states.EXPORTED}


@pytest.mark.chaos
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_worker_that_is_killed_at_a_boundary_of_the_export_leaves_each_invoice_once(trade: Trade, boundary: str):
    trade.desk.night()
    trade.desk.accept()
    STORIES[crash.BOUNDARIES[boundary]](trade)
    trade.desk.close()  # nothing of ours is shared with whoever dies
    with Child(partial(_export_and_die, trade.desk, boundary)) as child:
        status = child.wait()
    trade.clerk.line.heal()
    for _ in range(3):
        trade.wait()
        trade.desk.night()

    assert status == -signal.SIGKILL
    trade.ties_out()
    assert set(trade.desk.states().values()) == {states.EXPORTED}
    assert trade.desk.audit() == []


def _export_and_die(desk: Desk, boundary: str) -> None:
    watch = crash.Watch(boundary, lambda: os.kill(os.getpid(), signal.SIGKILL))
    with at_work(opening.open_ledger(desk.office), desk.clock) as worker, watch.over(worker) as watched:
        watched.export()


@pytest.mark.chaos
@pytest.mark.timeout(900)  # on a busy machine; forty seconds on one that is not
@pytest.mark.sandbox(invoices=100)
def test_workers_in_a_storm_leave_each_invoice_once(trade: Trade):
    trade.desk.set("export", chunk=3)
    trade.desk.night()
    trade.desk.accept()
    chance = random.Random(1)
    for _ in range(60):
        trade.clerk.line.befall(chance.choice(WEATHER), status=503)
    rounds = 0
    while set(trade.desk.states().values()) != {states.EXPORTED}:
        four_at_work(trade)
        trade.wait()
        rounds += 1
        assert rounds < 40, trade.desk.states()

    trade.ties_out()
    assert trade.desk.audit() == []


def four_at_work(trade: Trade) -> None:
    """Let four workers do what waits, at the same time, each over connections of its own."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_work, [trade.desk] * 4))


def _work(desk: Desk) -> None:
    """Do what one worker does with all that waits, once."""
    with opening.open_ledger(desk.office) as ledger, opening.open_erp(desk.office) as erp:
        outcome.release_expired(ledger, erp, desk.office)
        outcome.settle_uncertain(ledger, erp, desk.office)
        outcome.revive_transient(ledger, desk.office)
        basis = load_basis(ledger, erp, desk.office)
        with suppress(TransientError):
            while chunk.export_chunk(ledger, erp, basis, desk.office).invoice_ids:
                pass
