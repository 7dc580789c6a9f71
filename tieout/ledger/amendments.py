"""Amendments: what an unposted AP invoice shall become in the ERP, committed before every attempt and settled after it.

An amendment is an intent beside the live one, which stays the link until the ERP has taken the change.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from data_contracts.voucher import Voucher
from tieout.ledger import schema, states
from tieout.ledger.book import Transaction
from tieout.ledger.digests import canonical
from tieout.ledger.intents import intent_row, live_intents
from tieout.ledger.items import Item, find_items

_TABLE = schema.intent


@dataclass(frozen=True)
class Amendment:
    """A change that may have been sent and whose outcome is not known."""

    intent_id: int
    item: Item
    voucher: Voucher  # what the ERP's invoice shall be
    before: Voucher  # what it is by our last knowledge
    change: dict[str, Any]  # what the item says once the ERP has taken it, and because of what
    opened_at: datetime

    @property
    def run_id(self) -> str:
        """The run that sent it."""
        return str(self.change["because"]["refresh"])


def open_amendments(connection: Connection, only: Sequence[int] | None = None) -> list[Amendment]:
    """Return the amendments without an outcome: all, or those of these Procore invoices."""
    query = select(_TABLE).where(schema.IS_AMENDING).order_by(_TABLE.c.intent_id)
    rows = connection.execute(query if only is None else query.where(_TABLE.c.invoice_id.in_(only))).all()
    items = {item.item_id: item for item in find_items(connection, item_id=[row.item_id for row in rows])}
    links = live_intents(connection, list(items.values()))
    return [
        Amendment(
            intent_id=row.intent_id,
            item=items[row.item_id],
            voucher=Voucher.model_validate_json(row.voucher),
            before=links[row.item_id].voucher,
            change=json.loads(row.change),
            opened_at=row.opened_at,
        )
        for row in rows
        if row.item_id in links  # else it was unlinked since, and nothing follows from it any more
    ]


def open_amendment(
    tx: Transaction, item: Item, voucher: Voucher, payload: dict[str, Any], content_hash: str, change: dict[str, Any]
) -> None:
    """Freeze what will be sent; the item's chain tells it, as it tells what was frozen to be exported."""
    row, because = intent_row(tx, item, voucher, payload)
    item = tx.move(item, states.AMEND, item.state, because)
    later = {"content_hash": content_hash, "change": canonical(change), "sent_at": tx.now, "is_live": False}
    tx.insert(_TABLE, row | later, item.item_id)


def take_over(tx: Transaction, amendment: Amendment, document_id: str) -> Item:
    """Record that the ERP has it: from now on it is the link, which came into the ERP when the first one did."""
    item = amendment.item
    link = select(_TABLE.c.outcome_at).where(_TABLE.c.item_id == item.item_id, _TABLE.c.is_live)
    came_at = tx.connection.execute(link).scalar_one()
    tx.update(_TABLE, {"item_id": item.item_id, "is_live": True}, {"is_live": False}, item.item_id)
    tx.flush()  # one live link at a time
    taken = {"is_live": True, "outcome": "created", "outcome_at": came_at, "evidence": document_id}
    tx.update(_TABLE, {"intent_id": amendment.intent_id}, taken, item.item_id)
    voucher, facts = amendment.voucher, amendment.change["facts"]
    names = {"vendor_erp": voucher.vendor_erp, "number_erp": voucher.invoice_number, "document_id_erp": document_id}
    return tx.move(item, states.AMENDED, item.state, amendment.change["because"], **facts, **names)


def close_amendment(tx: Transaction, amendment: Amendment, outcome: str, evidence: str = "") -> None:
    """Write why the ERP has not taken it; the link stays as it was."""
    settled = {"outcome": outcome, "outcome_at": tx.now, "evidence": evidence}
    tx.update(_TABLE, {"intent_id": amendment.intent_id}, settled, amendment.item.item_id)
