"""Deliver what decisions owe Procore: locks, confirmations, unlocks; absolute values, so that repeating is harmless."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from json import loads
from typing import Any

from sqlalchemy import select, update

from data_contracts.fetched import FetchedInvoice
from tieout import settings
from tieout.connectors.procore import Procore
from tieout.errors import RefusedError, TransientError, UnconfirmedError
from tieout.intake import store_body
from tieout.ledger import records, schema
from tieout.ledger.book import Item, Ledger, Transaction

Clock = Callable[[], datetime]
_PIECE = 50


@dataclass(frozen=True)
class Delivered:
    """What came of a pass; `refusals` need a person, `later` is tried again by the next pass."""

    done: int = 0
    later: int = 0
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Owed:
    """The newest letter of an item; it makes the older ones of the same item superfluous."""

    item: Item
    letter_ids: tuple[int, ...]
    facts: dict[str, str | None]


@dataclass(frozen=True)
class _Reply:
    owed: _Owed
    fetched: FetchedInvoice | None = None
    refusal: str = ""
    later: str = ""


def deliver(ledger: Ledger, procore: Procore, clock: Clock) -> Delivered:
    """Write every undelivered letter once; what Procore cannot take now stays for the next pass."""
    owed = _owed(ledger)
    if settings.export().lock == "watch":
        # This company lets another integration own the origin fields: nothing is written, the ledger alone knows.
        with ledger.transaction(clock(), "outbox") as tx:
            _mark(tx, [each for one in owed for each in one.letter_ids], delivered_at=tx.now)
        return Delivered()
    done, later, refusals = 0, 0, []
    with ThreadPoolExecutor(settings.export().writers) as pool:
        for piece in records.in_pieces(owed, _PIECE):
            replies = list(pool.map(lambda one: _write(procore, one), piece))
            with ledger.transaction(clock(), "outbox") as tx:
                for reply in replies:
                    _record(tx, procore.company_id, reply)
            done += sum(reply.fetched is not None for reply in replies)
            later += sum(bool(reply.later) for reply in replies)
            refusals += [reply.refusal for reply in replies if reply.refusal]
    return Delivered(done, later, tuple(refusals))


def undelivered(ledger: Ledger) -> list[tuple[str, str]]:
    """Return (invoice number, problem) of what Procore refused or could not take."""
    table = schema.outbox
    with ledger.reading() as connection:
        query = (
            select(schema.item.c.number, table.c.problem)
            .join(schema.item, schema.item.c.item_id == table.c.item_id)
            .where(table.c.delivered_at.is_(None), table.c.problem != "")
        )
        return [(row.number, row.problem) for row in connection.execute(query)]


def _owed(ledger: Ledger) -> list[_Owed]:
    table = schema.outbox
    with ledger.reading() as connection:
        open_ones = (table.c.delivered_at.is_(None), table.c.given_up_at.is_(None))
        letters = connection.execute(select(table).where(*open_ones).order_by(table.c.letter_id)).all()
    by_item: dict[int, list[Any]] = {}
    for letter in letters:
        by_item.setdefault(letter.item_id, []).append(letter)
    items = [item for piece in records.in_pieces(by_item) for item in ledger.items(schema.item.c.item_id.in_(piece))]
    return [
        _Owed(
            item,
            tuple(letter.letter_id for letter in by_item[item.item_id]),
            loads(by_item[item.item_id][-1].facts),
        )
        for item in items
    ]


def _write(procore: Procore, owed: _Owed) -> _Reply:
    item = owed.item
    if item.commitment_id is None:
        return _Reply(owed, refusal=f"{item.number}: its commitment is unknown, so Procore cannot be told")
    try:
        return _Reply(
            owed,
            procore.set_origin(
                item.project_id,
                item.commitment_id,
                item.invoice_id,
                origin_id=owed.facts["origin_id"],
                origin_data=owed.facts["origin_data"],
            ),
        )
    except (TransientError, UnconfirmedError) as error:
        return _Reply(owed, later=str(error))
    except RefusedError as refusal:
        return _Reply(owed, refusal=f"{item.number}: {refusal}")


def _record(tx: Transaction, company_id: int, reply: _Reply) -> None:
    letters = reply.owed.letter_ids
    if reply.fetched is not None:
        _mark(tx, letters, delivered_at=tx.now, problem="")
        known = records.sightings_of(tx.connection, [reply.owed.item.invoice_id])
        # Our own write moved Procore's updated_at; what came back tells whether somebody else changed it as well.
        store_body(tx, company_id, reply.fetched, known.get(reply.owed.item.invoice_id))
    elif reply.refusal:
        _mark(tx, letters, given_up_at=tx.now, problem=reply.refusal)
    else:
        _mark(tx, letters, attempts=schema.outbox.c.attempts + 1, problem=reply.later)


def _mark(tx: Transaction, letter_ids: Sequence[int], **values: Any) -> None:
    for piece in records.in_pieces(letter_ids):
        tx.connection.execute(update(schema.outbox).where(schema.outbox.c.letter_id.in_(piece)).values(values))
