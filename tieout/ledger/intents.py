"""Intents: what we mean to write into the ERP, committed before every attempt and settled after it (law 2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, bindparam, or_, select, update

from data_contracts.voucher import ErpInvoice, Voucher
from tieout.ledger import schema, states
from tieout.ledger.book import Transaction
from tieout.ledger.claims import claim
from tieout.ledger.database import in_pieces
from tieout.ledger.digests import canonical, digest_of, digest_of_facts
from tieout.ledger.items import Item

_TABLE = schema.intent
_MARK_SENT = (
    update(_TABLE)
    .where(_TABLE.c.item_id.in_(bindparam("marked", expanding=True)), _TABLE.c.is_live)
    .values(sent_at=bindparam("at"))
)
_DOCUMENTS = TypeAdapter(list[ErpInvoice])


@dataclass(frozen=True)
class Intent:
    """One item with the voucher that is frozen for it and how far it got."""

    item: Item
    voucher: Voucher
    content_hash: str
    sent_at: datetime | None = None  # the last moment at which a request may have left; None: surely never sent
    absent_at: datetime | None = None  # when the first of two looks found nothing
    evidence: str = ""  # what the last look found, where that is for a person to decide

    @property
    def is_kept(self) -> bool:
        """Whether it is sent just as it was frozen: it may have been sent, and the invoice is the same (law 6)."""
        return self.sent_at is not None and self.content_hash == self.item.content_hash

    @property
    def there(self) -> list[ErpInvoice]:
        """What the last look found in the ERP."""
        return _DOCUMENTS.validate_json(self.evidence) if self.evidence else []


def live_intents(connection: Connection, items: Sequence[Item]) -> dict[int, Intent]:
    """Return the intents that are open or exist in the ERP, by item id."""
    return _read(connection, items, _TABLE.c.is_live)


def newest_intents(connection: Connection, items: Sequence[Item]) -> dict[int, Intent]:
    """Return the last intent of each item, live or not, by item id; an amendment only when the ERP has taken it."""
    return _read(connection, items, or_(_TABLE.c.is_live, _TABLE.c.change == ""))


def sent_vouchers(connection: Connection, items: Sequence[Item]) -> dict[int, Voucher]:
    """Return by item id what may have been sent of these invoices as they are now."""
    newest = newest_intents(connection, items)
    return {item_id: intent.voucher for item_id, intent in newest.items() if intent.is_kept}


def _read(connection: Connection, items: Sequence[Item], which: ColumnElement[bool]) -> dict[int, Intent]:
    by_id = {item.item_id: item for item in items}
    found = {}
    for piece in in_pieces(by_id):
        query = select(_TABLE).where(_TABLE.c.item_id.in_(piece), which).order_by(_TABLE.c.intent_id)
        for row in connection.execute(query):
            voucher = Voucher.model_validate_json(row.voucher)
            item = by_id[row.item_id]
            evidence = row.evidence if item.state == states.UNCERTAIN else ""
            found[row.item_id] = Intent(item, voucher, row.content_hash, row.sent_at, row.absent_at, evidence)
    return found


def open_intent(tx: Transaction, item: Item, voucher: Voucher, payload: dict[str, Any], lease: timedelta) -> Intent:
    """Claim an invoice and freeze key, batch and payload; the unique index refuses a second live link of it.

    The item's chain tells what was frozen, so that nobody changes that unseen either.
    """
    row, because = intent_row(tx, item, voucher, payload)
    names = {"batch_code": voucher.batch_code, "vendor_erp": voucher.vendor_erp, "number_erp": voucher.invoice_number}
    item = claim(tx, item, lease, because, **names)
    tx.insert(_TABLE, row | {"lease_token": item.lease_token}, item.item_id)
    return Intent(item, voucher, item.content_hash)


def intent_row(
    tx: Transaction, item: Item, voucher: Voucher, payload: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the row of what will be sent of an item, and what its event tells of that."""
    frozen = voucher.model_dump_json()
    payload_hash = digest_of_facts(payload)
    row = {
        "item_id": item.item_id,
        "company_id": item.company_id,
        "invoice_id": item.invoice_id,
        "erp": item.erp,
        "key": voucher.key,
        "batch_code": voucher.batch_code,
        "content_hash": item.content_hash,
        "voucher": frozen,
        "payload_hash": payload_hash,
        "lease_token": item.lease_token,
        "opened_at": tx.now,
        "is_live": True,
    }
    return row, {"key": voucher.key, "voucher": digest_of(frozen), "payload": payload_hash}


def take_up(tx: Transaction, intent: Intent, lease: timedelta) -> Intent:
    """Claim an invoice whose intent is open, which stays as it is (law 6)."""
    return replace(intent, item=claim(tx, intent.item, lease, {}))


def mark_sent(tx: Transaction, intents: Iterable[Intent], at: datetime | None) -> None:
    """Note that a request with these may leave now; None takes the note back when surely nothing left."""
    for piece in in_pieces(intent.item.item_id for intent in intents):
        tx.connection.execute(_MARK_SENT, {"marked": piece, "at": at})


def note_absence(tx: Transaction, item: Item, at: datetime | None) -> None:
    """Note when a look found nothing for the first time; None begins the count again."""
    _change(tx, item, absent_at=at)


def close_intent(tx: Transaction, item: Item, outcome: str, evidence: str, is_live: bool) -> None:
    """Write the outcome after the attempt; `is_live` while the invoice exists in the ERP.

    Looks that found nothing before that do not count for what becomes of it later.
    """
    ended = {} if is_live else {"is_live": False}  # what is written anew costs its index, changed or not
    _change(tx, item, outcome=outcome, outcome_at=tx.now, evidence=evidence, absent_at=None, **ended)


def keep_evidence(tx: Transaction, item: Item, there: Sequence[ErpInvoice]) -> bool:
    """Keep what the ERP shows under our key for the person who decides; False when it was known already."""
    evidence = as_text(there)
    query = select(_TABLE.c.evidence).where(_TABLE.c.item_id == item.item_id, _TABLE.c.is_live)
    if tx.connection.execute(query).scalar_one() == evidence:
        return False
    _change(tx, item, evidence=evidence)
    return True


def as_text(there: Sequence[ErpInvoice]) -> str:
    """Return what the ERP shows as one text."""
    return canonical([each.model_dump(mode="json") for each in there])


def _change(tx: Transaction, item: Item, **values: Any) -> None:
    tx.update(_TABLE, {"item_id": item.item_id, "is_live": True}, values, item.item_id)
