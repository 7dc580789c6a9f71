"""How many items a second the ledger takes through send, accept, claim and settle together, in chunks of 100.

Nothing is left out of a step: events, seals, intents with their vouchers, letters and claims are those of the engine,
and the garbage collector looks as often as in the process of a run. Of twenty turns the best counts: what else the
machine is at does not belong to the ledger.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from statistics import median
from typing import Any

from benchmarks import postgresql
from benchmarks.figures import figure
from data_contracts.money import from_minor
from data_contracts.voucher import Created, Voucher, VoucherLine
from tieout.connectors.base import invoice_key
from tieout.export import outcome
from tieout.garbage import collect_seldom
from tieout.ledger import sightings, states, tallies
from tieout.ledger.book import Ledger
from tieout.ledger.claims import free, still_ours
from tieout.ledger.database import upgrade
from tieout.ledger.intents import Intent, live_intents, mark_sent, open_intent
from tieout.ledger.letters import lock
from tieout.ledger.sightings import Sighting
from tieout.views import today

_CHUNK, _TURNS, _ITEMS = 100, 20, 5_000
_COMPANY, _PROJECTS = 4711, 40
_TERMS = "f" * 32
_BOUND = 5_000
_START = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)


def main() -> None:
    """Measure, print, and exit with status 1 when a bound is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--stored", type=int, default=500_000, help="items that the full ledger holds already")
    options.add_argument("--items", type=int, default=_ITEMS, help="items that are measured in a turn")
    raise SystemExit(0 if measure(**vars(options.parse_args())) else 1)


def measure(stored: int, items: int = _ITEMS) -> bool:
    """Print items a second on SQLite, empty and full, and on PostgreSQL beside it; return whether bounds are kept."""
    collect_seldom()
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as folder, ExitStack() as stack:
        empty, full = (stack.enter_context(_ledger(f"sqlite:///{folder}/{name}.sqlite")) for name in ("empty", "full"))
        numbers = count(1)
        while next(numbers) < stored:
            _pass(full, numbers, 10_000, chunk=5_000)
        _pass(empty, numbers, 2_000)
        # By turns: on a machine that others use as well, what is measured minutes apart cannot be compared.
        turns = [(_pass(empty, numbers, items), _pass(full, numbers, items)) for _ in range(_TURNS)]
        began = time.perf_counter()
        with full.reading() as connection:  # not its alarms: here Procore was never told of anything
            tallies.standing(connection, today.WAITING)
            tallies.drifted(connection)
            tallies.exported_since(connection, _START + timedelta(days=2))
            tallies.paid_since(connection, _START + timedelta(days=2))
        page = time.perf_counter() - began
    share = median(when_full / when_empty for when_empty, when_full in turns)
    when_empty, when_full = map(max, zip(*turns, strict=True))
    kept = [
        figure("ledger, SQLite: send + accept + claim + settle", when_empty, "items/s", f">= {_BOUND}"),
        figure(f"the same with {stored} items stored", when_full, "items/s"),
        figure(f"the tallies of the landing page with {stored} items stored", page, "s", "<= 0.2"),
        figure("share of the speed that is left when it is full", share, "", ">= 0.8"),
    ]
    with postgresql.running() as server, _ledger(server.new_ledger()) as book:
        numbers = count(1)
        _pass(book, numbers, 2_000)
        kept.append(figure("the same on PostgreSQL, empty", _pass(book, numbers, items), "items/s"))
    return all(kept)


@contextmanager
def _ledger(url: str) -> Iterator[Ledger]:
    upgrade(url)
    with Ledger(url) as ledger:
        yield ledger


def _pass(ledger: Ledger, numbers: Iterator[int], items: int, chunk: int = _CHUNK) -> float:
    """Take so many new items through all four steps; return items a second."""
    took = 0.0
    for _ in range(items // chunk):
        # What Procore shows, what judging and billing make of it, and what the ERP answers are not the ledger's work.
        vouchers = {each: _voucher(each) for each in (next(numbers) for _ in range(chunk))}
        answers = {each.key: Created(key=each.key, document_id_erp=each.key) for each in vouchers.values()}
        judged = list(zip(map(_facts, vouchers), _fetch(ledger, vouchers), strict=True))
        began = time.perf_counter()
        _send(ledger, judged)
        _accept(ledger, list(vouchers))
        intents = _claim(ledger, vouchers)
        _settle(ledger, intents, answers)
        took += time.perf_counter() - began
        if len(intents) != chunk:
            raise AssertionError(f"{len(intents)} of {chunk} were claimed")
    return items / took


def _fetch(ledger: Ledger, invoice_ids: Iterable[int]) -> list[Sighting]:
    seen = [_sighting(each) for each in invoice_ids]
    with ledger.transaction(_START, "intake") as tx:
        for sighting in seen:
            sightings.store_sighting(tx, sighting)
    return seen


def _send(ledger: Ledger, judged: Sequence[tuple[dict[str, Any], Sighting]]) -> None:
    with ledger.transaction(_START, "policy v1") as tx:
        for facts, sighting in judged:
            sightings.note_judged(tx, sighting)
            item = tx.open_item(facts, states.READY, {"policy": 1, "findings": []}, states.SENT)
            lock(tx, item)


def _accept(ledger: Ledger, invoice_ids: Sequence[int]) -> None:
    with ledger.transaction(_START, "Dana Reyes") as tx:
        for item in tx.items(invoice_id=invoice_ids, state=states.READY):
            tx.move(item, states.ACCEPT, states.ACCEPTED, {"run": "r", "hash": item.content_hash})


def _claim(ledger: Ledger, vouchers: dict[int, Voucher]) -> list[Intent]:
    prints = dict.fromkeys(range(_PROJECTS), _TERMS)
    with ledger.transaction(_START, "run r") as tx:
        items = free(tx, lambda _: prints, len(vouchers), None)
        live_intents(tx.connection, [item for item in items if item.lease_token])
        return [open_intent(tx, item, vouchers[item.invoice_id], {}, timedelta(minutes=5)) for item in items]


def _settle(ledger: Ledger, intents: Sequence[Intent], answers: dict[str, Created]) -> None:
    with ledger.transaction(_START, "run r") as tx:
        mark_sent(tx, intents, tx.now)
    with ledger.transaction(_START, "run r") as tx:
        ours = still_ours(tx, [intent.item for intent in intents])
        for intent in (each for each in intents if each.item.item_id in ours):
            outcome.settle_answer(tx, intent, answers[intent.voucher.key])


def _sighting(invoice_id: int) -> Sighting:
    return Sighting(
        company_id=_COMPANY,
        invoice_id=invoice_id,
        project_id=invoice_id % _PROJECTS,
        commitment_id=invoice_id // 12,
        status="approved",
        updated_at=_START,
        snapshot_id=invoice_id,
        content_hash=f"{invoice_id:064x}",
        number_key=f"{invoice_id // 12}/INV-{invoice_id}",
        is_fresh=True,
        is_gone=False,
    )


def _facts(invoice_id: int) -> dict[str, Any]:
    return {
        "company_id": _COMPANY,
        "invoice_id": invoice_id,
        "project_id": invoice_id % _PROJECTS,
        "commitment_id": invoice_id // 12,
        "erp": "spectrum",
        "company_erp": "ACM",
        "revision": 1,
        "snapshot_id": invoice_id,
        "content_hash": f"{invoice_id:064x}",
        "judged_by": _TERMS,
        "number": f"INV-{invoice_id}",
        "vendor": f"Acme Concrete {invoice_id % 97}",
        "project": f"Riverside Tower {invoice_id % _PROJECTS}",
        "gross_minor": _gross_minor(invoice_id),
        "held_minor": 125_000,
    }


def _voucher(invoice_id: int) -> Voucher:
    """A voucher of two lines: what a voucher costs to write down grows with its lines."""
    gross, half = from_minor(_gross_minor(invoice_id), "USD"), Decimal("6000.00")
    lines = tuple(
        VoucherLine(line_id_procore=number, job="24001", phase="03100", cost_type="S", amount=each)
        for number, each in enumerate((half, gross - half))
    )
    return Voucher(
        key=invoice_key(_COMPANY, invoice_id),
        company_erp="ACM",
        vendor_erp=f"V{invoice_id % 97}",
        contract_erp="SC-1001",
        invoice_number=f"INV-{invoice_id}",
        invoice_on=date(2026, 3, 1),
        accounting_on=date(2026, 3, 4),
        batch_code="20260307",
        currency="USD",
        gross=gross,
        retention=Decimal("1250.00"),
        lines=lines,
    )


def _gross_minor(invoice_id: int) -> int:
    return 1_250_000 + invoice_id


if __name__ == "__main__":
    main()
