"""Look at what both sides show of every exported invoice: posted, paid, gone, or changed since we sent it.

A difference stays with the invoice until it is gone or a person lets it stand. Nothing is exported again because of it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from data_contracts.batches import check_states
from data_contracts.invoice import SENDABLE
from data_contracts.money import round_half_up, to_minor
from data_contracts.reference import Finding
from data_contracts.voucher import ErpInvoice
from tieout.clock import first_look
from tieout.connectors.base import ERP, Capabilities
from tieout.connectors.procore import parse_invoice
from tieout.export import drift, reasons
from tieout.export.look import find
from tieout.ledger import database, sightings, states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.database import Reader
from tieout.ledger.intents import Intent, live_intents, note_absence
from tieout.ledger.items import Item
from tieout.ledger.links import LINKED, linked
from tieout.ledger.sightings import Sighting
from tieout.office import Office
from tieout.payments import matching


@dataclass(frozen=True)
class Look:
    """What a look says of one invoice."""

    intent: Intent
    absent_at: datetime | None  # since when the ERP shows nothing
    state: str
    drift: str  # the open differences, as the ledger keeps them
    acknowledged: str
    because: dict[str, Any] = field(default_factory=dict)

    @property
    def is_news(self) -> bool:
        """Whether the ledger does not say so already."""
        item = self.intent.item
        known = (self.intent.absent_at, item.state, item.drift, item.acknowledged)
        return known != (self.absent_at, self.state, self.drift, self.acknowledged)


def observe(ledger: Ledger, erp: ERP, office: Office, only: Sequence[int] | None = None) -> dict[str, int]:
    """Look at every link to the ERP, or at those of these Procore invoices; return how many came to which state.

    A few hundred links cost one `find`, and a transaction only where there is news.
    """
    counts: Counter[str] = Counter()
    for piece in _links(ledger, only):
        with ledger.reading() as connection:
            intents = live_intents(connection, piece)
            in_procore = _changed_in_procore(connection, piece, erp.capabilities)
        looked_at = office.clock()
        found = find(erp, [intent.voucher for intent in intents.values()])
        doubts = _doubts(list(intents.values()), found.there, erp.capabilities.name.capitalize())
        looks = [
            _as_known(intent, reasons.unreadable(intent.item, found.unreadable[key], "warn"))
            if (key := intent.voucher.key) in found.unreadable
            else _look(
                intent,
                found.there.get(key, []),
                [*doubts.get(key, []), *in_procore.get(item_id, [])],
                erp.capabilities,
                looked_at,
            )
            for item_id, intent in intents.items()
        ]
        counts.update(_record(ledger, [look for look in looks if look.is_news], office))
    return dict(counts)


def _links(ledger: Ledger, only: Sequence[int] | None) -> Iterator[list[Item]]:
    with ledger.reading() as connection:
        item_ids = linked(connection, only)
    for piece in database.in_pieces(item_ids):
        yield ledger.items(item_id=piece, state=LINKED)


def _changed_in_procore(
    connection: Reader, items: Sequence[Item], capabilities: Capabilities
) -> dict[int, list[Finding]]:
    """Return by item id what Procore shows otherwise than it was exported; what has the same hash is not parsed."""
    seen = sightings.sightings_of(connection, [item.invoice_id for item in items])
    changed = [item for item in items if _may_differ(item, seen[item.invoice_id])]
    shown = {seen[item.invoice_id].snapshot_id or 0 for item in changed}
    bodies = sightings.bodies(connection, shown | {item.snapshot_id for item in changed})
    found = {}
    for item in changed:
        sighting = seen[item.invoice_id]
        exported, now = (
            parse_invoice(bodies.get(each or 0, ""), item.company_id, item.invoice_id)
            for each in (item.snapshot_id, sighting.snapshot_id)
        )
        found[item.item_id] = drift.in_procore(item, sighting, exported, now, capabilities)
    return found


def _may_differ(item: Item, seen: Sighting) -> bool:
    return seen.is_gone or seen.status not in SENDABLE or seen.content_hash != item.content_hash


def _doubts(intents: Sequence[Intent], found: Mapping[str, list[ErpInvoice]], system: str) -> dict[str, list[Finding]]:
    """Say by key which records cannot be right, whatever was sent."""
    there = [(intent.voucher, record) for intent in intents for record in found.get(intent.voucher.key, [])]
    sent = [(voucher.company_erp, voucher.currency) for voucher, _ in there]
    doubts: dict[str, list[Finding]] = {}
    for told in check_states([record for _, record in there], sent, system):
        doubts.setdefault(there[told.at][0].key, []).append(told.finding)
    return doubts


def _as_known(intent: Intent, why: Finding) -> Look:
    """Leave an invoice as it was known, since what the ERP shows of it cannot be read; so it is not absent, either."""
    item = intent.item
    may_stand = item.state != states.GONE and drift.digest([why]) == item.acknowledged
    return Look(intent, None, item.state, drift.as_text([] if may_stand else [why]), item.acknowledged)


def _look(
    intent: Intent,
    there: Sequence[ErpInvoice],
    besides: Sequence[Finding],
    capabilities: Capabilities,
    looked_at: datetime,
) -> Look:
    """Say how an invoice stands; a first look that finds nothing says little: it may be moving to another table."""
    item = intent.item
    as_known = Look(intent, intent.absent_at, item.state, item.drift, item.acknowledged)
    present = [each for each in there if each.state != "void"]
    if not present and not _is_gone(intent, capabilities, looked_at):
        return replace(as_known, absent_at=first_look(intent.absent_at, looked_at))
    findings = [*drift.in_erp(item, intent.voucher, there, capabilities.menu_path), *besides]
    may_stand = drift.digest(findings) == item.acknowledged
    compared = replace(
        as_known,
        drift=drift.as_text([] if may_stand else findings),
        acknowledged=item.acknowledged if findings else "",
    )
    if not present:
        return replace(compared, state=states.GONE, because={"why": "absent or void in two looks"})
    if len(present) > 1:
        return replace(compared, absent_at=None)  # a person says which one counts
    owed = present[0].gross - present[0].retention  # of an adopted one it may differ from ours
    due = to_minor(round_half_up(owed, item.currency), item.currency)
    stage = matching.stage(present[0].state == "posted", item.settled_minor, due)
    because = {"state in the ERP": present[0].state, "settled": item.settled_minor}
    return replace(compared, absent_at=None, state=stage, because=because)


def _is_gone(intent: Intent, capabilities: Capabilities, looked_at: datetime) -> bool:
    if intent.absent_at is None:
        return False
    apart = looked_at - first_look(intent.absent_at, looked_at)
    return intent.item.state == states.GONE or apart >= capabilities.settles_within


def _record(ledger: Ledger, news: Sequence[Look], office: Office) -> Counter[str]:
    """Write what is new of those that nobody moved since; return how many came to which state."""
    counts: Counter[str] = Counter()
    if news:
        with ledger.transaction(office.clock(), office.actor) as tx:
            unmoved = tx.unmoved([look.intent.item for look in news])
            for look in (each for each in news if each.intent.item.item_id in unmoved):
                counts[look.state] += look.state != look.intent.item.state
                _write(tx, look)
    return +counts


def _write(tx: Transaction, look: Look) -> None:
    item = look.intent.item
    if look.absent_at != look.intent.absent_at:
        note_absence(tx, item, look.absent_at)
    if look.state != item.state:
        item = tx.move(item, states.OBSERVE, look.state, look.because)
    told = {"drift": look.drift, "acknowledged": look.acknowledged}
    if told != {name: getattr(item, name) for name in told}:
        differences = [each.message for each in drift.open_drift(item._replace(drift=look.drift))]
        tx.move(item, states.DRIFT, item.state, {"differences": differences}, **told)
