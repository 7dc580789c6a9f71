"""Look at what both sides show of every exported invoice: posted, paid, gone, or changed since we sent it."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from data_contracts.voucher import ErpInvoice
from tieout import matching
from tieout.connectors.base import ERP
from tieout.ledger import records, states
from tieout.ledger.book import Item, Ledger, Transaction
from tieout.ledger.intents import live_intents, note_absence

Clock = Callable[[], datetime]


def observe(ledger: Ledger, erp: ERP, clock: Clock, actor: str) -> dict[str, int]:
    """Look at every link that is not paid in full: posted, paid, or gone after two looks that find nothing."""
    watched = (*states.IN_ERP, states.GONE)
    counts: Counter[str] = Counter()
    for piece in records.in_pieces(ledger.items(state=watched), 500):
        with ledger.reading() as connection:
            intents = live_intents(connection, piece)
        found = erp.find([intent.voucher for intent in intents.values()])
        with ledger.transaction(clock(), actor) as tx:
            unmoved = tx.unmoved(piece)
            for intent in (each for each in intents.values() if each.item.item_id in unmoved):
                there = [each for each in found.get(intent.voucher.key, []) if each.state != "void"]
                after = _observed(tx, erp, intent.item, there, intent.absent_at)
                counts[after.state] += after.state != intent.item.state
    return {state: count for state, count in counts.items() if count}


def _observed(tx: Transaction, erp: ERP, item: Item, there: Sequence[ErpInvoice], absent_at: datetime | None) -> Item:
    if not there:
        if absent_at is None:
            note_absence(tx, item, tx.now)
            return item
        if item.state == states.GONE or tx.now - absent_at < erp.capabilities.settles_within:
            return item
        return tx.move(item, states.OBSERVE, states.GONE, {"why": "absent or void in two looks"})
    if absent_at is not None:
        note_absence(tx, item, None)
    due = item.gross_minor - item.held_minor
    now = matching.stage(there[0].state == "posted", item.settled_minor, due)
    if now == item.state:
        return item
    return tx.move(item, states.OBSERVE, now, {"state in the ERP": there[0].state, "settled": item.settled_minor})
