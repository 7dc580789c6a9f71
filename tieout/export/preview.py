"""What would be sent now, to the last field, beside what the ERP holds of it; writes nothing anywhere.

Also the exact payload behind an invoice that did not make it: what was sent of it, or would be.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from data_contracts.case import Case
from data_contracts.money import in_words
from data_contracts.reference import Finding
from data_contracts.voucher import ErpInvoice, Voucher
from tieout.connectors.base import ERP
from tieout.errors import SettingsError
from tieout.export import look, vouchers
from tieout.export.look import Found
from tieout.export.reasons import TRANSIENT
from tieout.intake import reference
from tieout.judgement.basis import Basis, load_basis
from tieout.judgement.rulebook import judge
from tieout.ledger import sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.database import Reader
from tieout.ledger.intents import Intent, live_intents, sent_vouchers
from tieout.ledger.items import Item
from tieout.ledger.sightings import Sighting
from tieout.office import Office

_SENT: Final = (states.EXPORTING, states.UNCERTAIN, *states.IN_ERP, states.GONE)
_WOULD: Final = {
    "new": "it is sent",
    "equal": "nothing is sent: document {documents} is found to be this invoice",
    "different": "nothing is sent: document {documents} has our key and a person must settle what it is",
    "taken": "nothing is sent: it fails, as document {documents} has its number",
    "unreadable": "nothing is sent: it fails, as {error}",
}
_ONCE: Final = dict.fromkeys(states.ALL, "once it is sent to accounting again and accepted") | {
    states.READY: "once it is accepted",
    states.FAILED: "when it is tried again",
    states.HELD: "once it is judged again and accepted",
}


@dataclass(frozen=True, slots=True)
class Payload:
    """One request body as the ERP gets it; without one, `missing` says why none can be made."""

    is_frozen: bool  # it may have been sent; else it is what would be sent as things stand now
    body: dict[str, Any] | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would become of one invoice if it were exported now, by what was last read of both systems."""

    item: Item
    would: str
    voucher: Voucher | None = None
    body: dict[str, Any] | None = None  # exactly what is sent, or was
    presence: str = ""  # see `settling.Presence`, or unreadable; empty where nothing can be sent
    there: tuple[ErpInvoice, ...] = ()  # what the ERP holds of it

    @property
    def differences(self) -> dict[str, tuple[str, str]]:
        """Return what the ERP holds otherwise, by field: what would be or was sent, what is there."""
        if self.voucher is None or self.presence not in ("different", "taken"):
            return {}
        return self.there[0].differences(self.voucher)


def read_basis(ledger: Ledger, erp: ERP, office: Office) -> Basis:
    """Read by what is judged, with the ERP's master data as it is at this moment; nothing of it is kept."""
    with ledger.rehearsal():
        reference.read_reference(ledger, erp, office)
        return load_basis(ledger, erp, office)


def due(ledger: Ledger, basis: Basis) -> list[Item]:
    """Return what the next night exports if nothing else changes: accepted, by the policy too, or to be tried again."""
    by_policy = basis.policy.auto_accept_projects
    return [
        *ledger.items(state=states.ACCEPTED),
        *ledger.items(state=states.FAILED, cause=TRANSIENT),
        *(ledger.items(state=states.READY, project_id=by_policy) if by_policy else []),
    ]


def foresee(ledger: Ledger, erp: ERP, basis: Basis, items: Sequence[Item], now: datetime) -> list[Forecast]:
    """Say of each invoice what would be sent of it and what the ERP holds now; only looks, on either side."""
    with ledger.reading() as connection:
        frozen = {
            item_id: intent
            for item_id, intent in live_intents(connection, items).items()
            if intent.is_kept or intent.item.state in _SENT
        }
        seen = sightings.sightings_of(connection, [item.invoice_id for item in items])
        rest = [item for item in items if item.item_id not in frozen and item.state not in _SENT]
        made = _made(connection, basis, rest, now)
    intents = frozen | {item_id: each for item_id, each in made.items() if isinstance(each, Intent)}
    stopped = {item_id: each for item_id, each in made.items() if not isinstance(each, Intent)}
    found = look.look(erp, list(intents.values()))
    return [
        _forecast(erp, intents[item.item_id], found, seen)
        if item.item_id in intents
        else Forecast(item, _stopped(stopped[item.item_id]))
        for item in items
    ]


def _made(connection: Reader, basis: Basis, items: Sequence[Item], now: datetime) -> dict[int, Intent | list[Finding]]:
    """Judge each by the basis of now and build its voucher; what stops it otherwise."""
    made: dict[int, Intent | list[Finding]] = {}
    cases = vouchers.cases_of(connection, basis, items, now)
    findings = judge([case for _, case in cases if isinstance(case, Case)])
    for item, case in cases:
        if isinstance(case, Finding):
            made[item.item_id] = [case]
            continue
        stops = [each for each in findings[item.invoice_id] if each.severity != "warn"]
        voucher = stops or vouchers.voucher_of(basis, item, case, now)
        if isinstance(voucher, Voucher):
            made[item.item_id] = Intent(item, voucher, item.content_hash)
        else:
            made[item.item_id] = voucher if isinstance(voucher, list) else [voucher]
    return made


def _stopped(stops: Sequence[Finding]) -> str:
    return f"nothing is sent: {'; '.join(each.message for each in stops)}"


def _forecast(erp: ERP, intent: Intent, found: Found, seen: dict[int, Sighting]) -> Forecast:
    item, there = intent.item, found.there.get(intent.voucher.key, [])
    error = found.unreadable.get(intent.voucher.key)
    presence = "unreadable" if error else look.compare(intent, there)
    shown = seen.get(item.invoice_id)
    if item.state in _SENT:
        would = f"nothing is sent: it is {item.state}"
    elif shown is not None and shown.content_hash != item.content_hash:
        would = "nothing is sent: it was changed in Procore and would wait for a new acceptance"
    else:
        would = _WOULD[presence].format(documents=", ".join(each.document_id_erp for each in there), error=error)
        would = would if item.state in (states.ACCEPTED, states.EXPORTING) else f"{would}, {_ONCE[item.state]}"
    return Forecast(item, would, intent.voucher, erp.preview(intent.voucher), presence, tuple(there))


def as_rows(forecasts: Iterable[Forecast]) -> list[dict[str, str]]:
    """Return the forecasts as a table."""
    return [_row(each) for each in forecasts]


def _row(each: Forecast) -> dict[str, str]:
    voucher, currency = each.voucher, each.item.currency
    figures = (voucher.gross, voucher.retention) if voucher else (each.item.gross, each.item.held)
    differences = (f"{name}: {ours} here, {theirs} there" for name, (ours, theirs) in each.differences.items())
    return {
        "invoice": each.item.number,
        "vendor": each.item.vendor,
        "project": each.item.project,
        "gross": in_words(figures[0], currency),
        "retention": in_words(figures[1], currency),
        "batch": voucher.batch_code if voucher else "",
        "accounting date": voucher.accounting_on.isoformat() if voucher else "",
        "in the ERP": each.presence,
        "would": "; ".join([each.would, *differences]),
    }


def payloads(ledger: Ledger, erp: ERP, items: Iterable[Item], office: Office) -> dict[int, Payload]:
    """Return by item id what was sent of each invoice, or would be; none where it cannot be told. Sends nothing."""
    items = list(items)
    with ledger.reading() as connection:
        frozen = sent_vouchers(connection, items)
    found = {item_id: Payload(True, erp.preview(voucher)) for item_id, voucher in frozen.items()}
    rest = [item for item in items if item.item_id not in frozen]
    with suppress(SettingsError):  # codes that cannot be read are told of by the step that needs them
        found |= _as_of_now(ledger, erp, load_basis(ledger, erp, office), rest, office.clock()) if rest else {}
    return found


def _as_of_now(ledger: Ledger, erp: ERP, basis: Basis, items: list[Item], now: datetime) -> dict[int, Payload]:
    with ledger.reading() as connection:
        made = vouchers.vouchers(connection, basis, items, now)
    return {
        item_id: Payload(False, erp.preview(each))
        if isinstance(each, Voucher)
        else Payload(False, missing=each.message)
        for item_id, each in made.items()
    }
