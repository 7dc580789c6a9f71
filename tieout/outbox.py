"""Deliver what decisions owe Procore: locks, confirmations, unlocks; absolute values, so that repeating is harmless."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from data_contracts.fetched import FetchedInvoice
from tieout import settings
from tieout.connectors.procore import Procore
from tieout.errors import RefusedError, TransientError, UnconfirmedError
from tieout.intake import store_body
from tieout.ledger import letters, records
from tieout.ledger.book import Item, Ledger, Transaction
from tieout.ledger.letters import Owed

Clock = Callable[[], datetime]
_PIECE = 50  # letters per commit


@dataclass(frozen=True)
class Delivered:
    """What came of a pass; `refusals` need a person, `later` is tried again by the next pass."""

    done: int = 0
    later: int = 0
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Reply:
    owed: Owed
    item: Item
    fetched: FetchedInvoice | None = None
    refusal: str = ""
    later: str = ""


def deliver(ledger: Ledger, procore: Procore, clock: Clock) -> Delivered:
    """Write the newest letter of every item once; what Procore cannot take now stays for the next pass."""
    with ledger.reading() as connection:
        owed = letters.owed(connection)
    if settings.export().lock == "watch":
        # Another integration owns this company's origin fields: nothing is written, the ledger alone knows.
        with ledger.transaction(clock(), "outbox") as tx:
            letters.mark_delivered(tx, [letter_id for each in owed for letter_id in each.letter_ids])
        return Delivered()
    replies: list[_Reply] = []
    with ThreadPoolExecutor(settings.export().writers) as pool:
        for piece in records.in_pieces(owed, _PIECE):
            items = {item.item_id: item for item in ledger.items(item_id=[each.item_id for each in piece])}
            answered = list(pool.map(lambda each, items=items: _write(procore, each, items[each.item_id]), piece))
            with ledger.transaction(clock(), "outbox") as tx:
                for reply in answered:
                    _record(tx, procore.company_id, reply)
            replies += answered
    return Delivered(
        done=sum(reply.fetched is not None for reply in replies),
        later=sum(bool(reply.later) for reply in replies),
        refusals=tuple(reply.refusal for reply in replies if reply.refusal),
    )


def undelivered(ledger: Ledger) -> list[tuple[str, str]]:
    """Return (invoice number, problem) of what Procore refused or could not take yet."""
    with ledger.reading() as connection:
        return letters.problems(connection)


def _write(procore: Procore, owed: Owed, item: Item) -> _Reply:
    if item.commitment_id is None:
        return _Reply(owed, item, refusal=f"{item.number}: its commitment is unknown, so Procore cannot be told")
    try:
        fetched = procore.set_origin(
            item.project_id,
            item.commitment_id,
            item.invoice_id,
            origin_id=owed.facts["origin_id"],
            origin_data=owed.facts["origin_data"],
        )
    except (TransientError, UnconfirmedError) as error:
        return _Reply(owed, item, later=str(error))
    except RefusedError as refusal:
        return _Reply(owed, item, refusal=f"{item.number}: {refusal}")
    return _Reply(owed, item, fetched)


def _record(tx: Transaction, company_id: int, reply: _Reply) -> None:
    letter_ids, invoice_id = reply.owed.letter_ids, reply.item.invoice_id
    if reply.fetched is not None:
        letters.mark_delivered(tx, letter_ids)
        # Our own write moved Procore's updated_at; what came back tells whether somebody else changed it as well.
        known = records.sightings_of(tx.connection, [invoice_id])
        store_body(tx, company_id, reply.fetched, known.get(invoice_id))
    elif reply.refusal:
        letters.mark_refused(tx, letter_ids, reply.refusal)
    else:
        letters.mark_tried(tx, letter_ids, reply.later)
