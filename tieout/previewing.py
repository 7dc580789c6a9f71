"""The exact payload behind an invoice that did not make it: what was sent of it, or what would be sent now."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data_contracts.invoice import Invoice
from data_contracts.voucher import Voucher
from tieout import exporting
from tieout.connectors.base import ERP
from tieout.connectors.procore import parse_invoice
from tieout.errors import SettingsError
from tieout.ledger import records
from tieout.ledger.book import Item, Ledger
from tieout.ledger.intents import newest_intents
from tieout.terms import Terms, load_terms


@dataclass(frozen=True, slots=True)
class Payload:
    """One request body as the ERP gets it; without one, `missing` says why none can be made."""

    is_frozen: bool  # it may have been sent; else it is what would be sent as things stand now
    body: dict[str, Any] | None = None
    missing: str = ""


def payloads(ledger: Ledger, erp: ERP, items: Iterable[Item], clock: Callable[[], datetime]) -> dict[int, Payload]:
    """Return by item id what was sent of each invoice, or would be; none where it cannot be told. Sends nothing."""
    items = list(items)
    with ledger.reading() as connection:
        frozen = {
            item_id: intent.voucher
            for item_id, intent in newest_intents(connection, items).items()
            if intent.sent_at and intent.content_hash == intent.item.content_hash
        }
    found = {item_id: Payload(True, erp.preview(voucher)) for item_id, voucher in frozen.items()}
    rest = [item for item in items if item.item_id not in frozen]
    with suppress(SettingsError):  # codes that cannot be read are told of by the step that needs them
        found |= _as_of_now(ledger, erp, load_terms(ledger, erp, clock()), rest, clock()) if rest else {}
    return found


def _as_of_now(ledger: Ledger, erp: ERP, terms: Terms, items: list[Item], now: datetime) -> dict[int, Payload]:
    with ledger.reading() as connection:
        bodies = records.bodies(connection, [item.snapshot_id for item in items])
        readable = [
            item
            for item in items
            if item.project_id in terms.books
            and isinstance(parse_invoice(bodies[item.snapshot_id], item.company_id), Invoice)
        ]
        made = exporting.vouchers(connection, terms, readable, now)
    return {
        item_id: Payload(False, erp.preview(each))
        if isinstance(each, Voucher)
        else Payload(False, missing=each.message)
        for item_id, each in made.items()
    }
