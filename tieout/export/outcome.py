"""Settle what became of an invoice that was or may have been sent: exported, refused, surely not sent, or unknown."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from data_contracts.reference import Finding
from data_contracts.voucher import Created, Outcome
from tieout.clock import first_look, is_held
from tieout.connectors.base import ERP
from tieout.errors import ContractError
from tieout.export import reasons
from tieout.export.look import Found, compare, look
from tieout.export.reasons import TRANSIENT
from tieout.ledger import database, states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.digests import canonical
from tieout.ledger.intents import Intent, as_text, close_intent, keep_evidence, live_intents, note_absence
from tieout.ledger.items import Columns, Item
from tieout.ledger.letters import unlock
from tieout.office import Office

_DIED = "the worker that had claimed it died"


def settle_answer(tx: Transaction, intent: Intent, outcome: Outcome) -> Item:
    """Settle what the ERP answered."""
    if isinstance(outcome, Created):
        return exported(tx, intent, outcome.document_id_erp, states.CREATE, {})
    close_intent(tx, intent.item, "refused", canonical(outcome.reasons), is_live=False)
    return fail(tx, intent.item, reasons.refused(intent, outcome))


def settle_found(tx: Transaction, intent: Intent, found: Found) -> Item:
    """Settle what a look found: ours and equal is exported, a stranger's is refused, the rest a person decides."""
    if error := found.unreadable.get(intent.voucher.key):
        return _unread(tx, intent, error, states.LOSE)
    there = found.there[intent.voucher.key]
    presence = compare(intent, there)
    if presence == "equal":
        return exported(tx, intent, there[0].document_id_erp, states.FIND, {"state in the ERP": there[0].state})
    if presence == "taken":
        close_intent(tx, intent.item, "not sent", as_text(there), is_live=False)
        return fail(tx, intent.item, [reasons.number_taken(intent, there[0])])
    keep_evidence(tx, intent.item, there)
    return _unknown(tx, intent, states.LOSE, reasons.found_otherwise(intent, there), {"found": as_text(there)})


def _unread(tx: Transaction, intent: Intent, error: ContractError, kind: str) -> Item:
    """Record that nobody can say what the ERP shows of it: what was never sent is not, the rest stays unknown."""
    item, why = intent.item, reasons.unreadable(intent.item, error)
    if intent.sent_at is None:
        close_intent(tx, item, "not sent", str(error), is_live=False)
        return fail(tx, item, [why])
    keep_evidence(tx, item, [])
    note_absence(tx, item, None)
    return item if why in item.reasons else _unknown(tx, intent, kind, why, {"found": str(error)})


def exported(
    tx: Transaction, intent: Intent, document_id: str, kind: str, because: dict[str, Any], **others: Any
) -> Item:
    """Record that the invoice exists in the ERP, and have Procore told; `others` differ from what was sent."""
    close_intent(tx, intent.item, "created", document_id, is_live=True)
    changes = {"document_id_erp": document_id} | _told(intent.item) | others
    because = {"document": document_id, "batch": changes.get("batch_code", intent.item.batch_code), **because}
    item = tx.move(intent.item, kind, states.EXPORTED, because, **changes)
    origin_data = canonical({"batch": item.batch_code, "document": document_id, "erp": item.erp})
    tx.put(item, "exported", {"origin_id": intent.voucher.key, "origin_data": origin_data})
    return item


def fail(
    tx: Transaction,
    item: Item,
    findings: Sequence[Finding],
    kind: str = states.REFUSE,
    because: dict[str, Any] | None = None,
) -> Item:
    """Record a refusal with its reasons; the item becomes one of Failed to Export.

    It is unlocked in Procore, for the cause may have to be mended there; what changes needs a new acceptance anyway.
    """
    because = {"findings": [finding.rule for finding in findings]} | (because or {})
    failed = tx.move(item, kind, states.FAILED, because, **_told(item, *findings))
    unlock(tx, failed)
    return failed


def release(tx: Transaction, intent: Intent, most: int) -> Item:
    """Give back what surely was not sent; after the last of `most` attempts it is a failure that needs nobody."""
    item, attempts = intent.item, intent.item.attempts + 1
    if attempts < most or intent.sent_at is not None:
        return tx.move(item, states.RELEASE, states.ACCEPTED, {}, attempts=attempts, lease_until=None)
    close_intent(tx, item, "not sent", "", is_live=False)
    why = {"attempts": attempts}
    return tx.move(
        item, states.RELEASE, states.FAILED, why, attempts=attempts, **_told(item, reasons.unreachable(item, attempts))
    )


def lose(tx: Transaction, intent: Intent, why: str, has_looked: bool) -> Item:
    """Record that the answer is lost; `has_looked` when the ERP was asked since and showed nothing."""
    if has_looked:
        note_absence(tx, intent.item, tx.now)
    return _unknown(tx, intent, states.LOSE, reasons.answer_lost(intent, why), {"why": why})


def revive_transient(ledger: Ledger, office: Office) -> int:
    """Let invoices whose last failure needed nobody be tried again."""
    with ledger.transaction(office.clock(), office.actor) as tx:
        failed = tx.items(state=states.FAILED, cause=TRANSIENT)
        for item in failed:
            tx.move(item, states.RETRY, states.ACCEPTED, {"cause": TRANSIENT}, attempts=0, **_told(item))
    return len(failed)


def release_expired(ledger: Ledger, erp: ERP, office: Office) -> int:
    """Take over invoices whose claimer has died: surely unsent ones wait again, the others become UNCERTAIN."""
    with ledger.transaction(office.clock(), office.actor) as tx:
        lease, deadline = office.settings.export.lease, erp.capabilities.request_timeout
        dead = [
            item for item in tx.items(state=states.EXPORTING) if not is_held(item.lease_until, tx.now, lease, deadline)
        ]
        intents = live_intents(tx.connection, dead)
        for item in dead:
            intent = intents[item.item_id]
            if intent.sent_at:
                lose(tx, intent, _DIED, has_looked=False)
            else:
                tx.move(item, states.RELEASE, states.ACCEPTED, {"why": _DIED}, lease_until=None)
    return len(dead)


def settle_uncertain(ledger: Ledger, erp: ERP, office: Office, only: Sequence[int] | None = None) -> dict[str, int]:
    """Look for every invoice whose outcome is unknown, or for these of them.

    Only after two empty looks may one be sent again (law 4).
    """
    counts: Counter[str] = Counter()
    wanted: Columns = {"state": states.UNCERTAIN}
    if only is not None:
        wanted["invoice_id"] = list(only)
    uncertain = ledger.items(**wanted)
    for piece in database.in_pieces(uncertain, office.settings.export.chunk):
        with ledger.reading() as connection:
            intents = live_intents(connection, piece)
        looked_at = office.clock()
        found = look(erp, list(intents.values()))
        with ledger.transaction(office.clock(), office.actor) as tx:
            unmoved = tx.unmoved(piece)  # another one may be settling at the same time
            for intent in (each for each in intents.values() if each.item.item_id in unmoved):
                item = _settle_later(tx, erp, intent, found, looked_at)
                counts[item.state] += 1
    return dict(counts)


def _settle_later(tx: Transaction, erp: ERP, intent: Intent, found: Found, looked_at: datetime) -> Item:
    item, there = intent.item, found.there.get(intent.voucher.key, [])
    if error := found.unreadable.get(intent.voucher.key):
        return _unread(tx, intent, error, states.LOOK)
    if len(there) == 1 and there[0].equals(intent.voucher):
        return exported(tx, intent, there[0].document_id_erp, states.FIND, {"state in the ERP": there[0].state})
    if there:
        if not keep_evidence(tx, item, there):
            return item
        note_absence(tx, item, None)
        return _unknown(tx, intent, states.LOOK, reasons.found_otherwise(intent, there), {"found": as_text(there)})
    absent_at = first_look(intent.absent_at, looked_at)
    if absent_at != intent.absent_at:
        note_absence(tx, item, absent_at)
        keep_evidence(tx, item, there)
        why = f"it did not show it at {looked_at:%Y-%m-%d %H:%M} UTC"
        return _unknown(tx, intent, states.LOOK, reasons.answer_lost(intent, why), {"found": "nothing"})
    if looked_at - absent_at < erp.capabilities.settles_within:
        return item
    note_absence(tx, item, None)
    because = {"found": "nothing, twice"}
    return tx.move(item, states.CLEAR, states.ACCEPTED, because, attempts=item.attempts + 1, **_told(item))


def _unknown(tx: Transaction, intent: Intent, kind: str, finding: Finding, because: dict[str, Any]) -> Item:
    """Record why nobody knows what became of it."""
    return tx.move(intent.item, kind, states.UNCERTAIN, because, **_told(intent.item, finding))


def _told(item: Item, *findings: Finding) -> dict[str, Any]:
    """Return what the item's row says of why it stands still, or of nothing any more.

    Its warnings are kept for the day when it is exported.
    """
    warnings = [each for each in item.reasons if each.severity == "warn"]
    body = canonical([each.model_dump(mode="json") for each in (*findings, *warnings)])
    return {"findings": body, "cause": findings[0].rule[:60] if findings else "", "lease_until": None}
