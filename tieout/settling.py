"""Settle what became of an invoice that was or may have been sent: exported, refused, surely not sent, or unknown."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from data_contracts.money import in_words
from data_contracts.reference import Finding
from data_contracts.voucher import Created, ErpInvoice, Outcome, Refused
from tieout import settings
from tieout.connectors.base import ERP
from tieout.ledger import records, states
from tieout.ledger.book import Item, Ledger, Transaction, canonical
from tieout.ledger.intents import (
    Intent,
    as_text,
    close_intent,
    keep_evidence,
    live_intents,
    note_absence,
)
from tieout.ledger.letters import unlock

Clock = Callable[[], datetime]
TRANSIENT = "transient"  # the cause of a failure that needs nobody: the next night tries again


def settle_answer(tx: Transaction, intent: Intent, outcome: Outcome) -> Item:
    """Settle what the ERP answered."""
    if isinstance(outcome, Created):
        return exported(tx, intent, outcome.document_id_erp, states.CREATE, {})
    close_intent(tx, intent.item, "refused", canonical(outcome.reasons), is_live=False)
    return fail(tx, intent.item, _refusal(intent, outcome))


def settle_found(tx: Transaction, intent: Intent, there: Sequence[ErpInvoice]) -> Item:
    """Settle what a look found: ours and equal is exported, a stranger's is refused, the rest a person decides."""
    ours = [each for each in there if each.key == intent.voucher.key]
    if len(there) == 1 and there[0].equals(intent.voucher):
        return exported(tx, intent, there[0].document_id_erp, states.FIND, {"state in the ERP": there[0].state})
    if not ours and intent.sent_at is None:
        close_intent(tx, intent.item, "not sent", as_text(there), is_live=False)
        return fail(tx, intent.item, [_number_taken(intent, there[0])])
    keep_evidence(tx, intent.item, there)
    why = {"why": "the ERP holds something else than what we sent", "found": as_text(there)}
    return tx.move(intent.item, states.LOSE, states.UNCERTAIN, why, lease_until=None)


def exported(tx: Transaction, intent: Intent, document_id: str, kind: str, because: dict[str, str]) -> Item:
    """Record that the invoice exists in the ERP, and have Procore told."""
    voucher = intent.voucher
    close_intent(tx, intent.item, "created", document_id, is_live=True)
    warnings = [finding.model_dump(mode="json") for finding in intent.item.reasons if finding.severity == "warn"]
    item = tx.move(
        intent.item,
        kind,
        states.EXPORTED,
        {"document": document_id, "batch": voucher.batch_code, **because},
        document_id_erp=document_id,
        batch_code=voucher.batch_code,
        vendor_erp=voucher.vendor_erp,
        findings=canonical(warnings),
        cause="",
        lease_until=None,
    )
    origin_data = canonical({"batch": voucher.batch_code, "document": document_id, "erp": item.erp})
    tx.put(item, "exported", {"origin_id": voucher.key, "origin_data": origin_data})
    return item


def fail(tx: Transaction, item: Item, findings: Sequence[Finding]) -> Item:
    """Record a refusal with its reasons; the item becomes one of Failed to Export.

    It is unlocked in Procore, for the cause may have to be mended there; what changes needs a new acceptance anyway.
    """
    because = {"findings": [finding.rule for finding in findings]}
    failed = tx.move(item, states.REFUSE, states.FAILED, because, **_told(findings))
    unlock(tx, failed)
    return failed


def release(tx: Transaction, intent: Intent) -> Item:
    """Give back what surely was not sent; after the last attempt it is a failure that needs nobody."""
    item, attempts = intent.item, intent.item.attempts + 1
    if attempts < settings.export().attempts or intent.sent_at is not None:
        return tx.move(item, states.RELEASE, states.ACCEPTED, {}, attempts=attempts, lease_until=None)
    close_intent(tx, item, "not sent", "", is_live=False)
    why = {"attempts": attempts}
    return tx.move(item, states.RELEASE, states.FAILED, why, attempts=attempts, **_told([_unreachable(item, attempts)]))


def lose(tx: Transaction, intent: Intent, why: str, has_looked: bool) -> Item:
    """Record that the answer is lost; `has_looked` when the ERP was asked since and showed nothing."""
    if has_looked:
        note_absence(tx, intent.item, tx.now)
    return tx.move(intent.item, states.LOSE, states.UNCERTAIN, {"why": why}, lease_until=None)


def revive_transient(ledger: Ledger, clock: Clock, actor: str) -> int:
    """Let invoices whose last failure needed nobody be tried again."""
    with ledger.transaction(clock(), actor) as tx:
        failed = tx.items(state=states.FAILED, cause=TRANSIENT)
        for item in failed:
            tx.move(item, states.RETRY, states.ACCEPTED, {"cause": TRANSIENT}, attempts=0)
    return len(failed)


def release_expired(ledger: Ledger, erp: ERP, clock: Clock, actor: str) -> int:
    """Take over invoices whose claimer has died: surely unsent ones wait again, the others become UNCERTAIN."""
    with ledger.transaction(clock(), actor) as tx:
        deadline = tx.now - erp.capabilities.request_timeout
        claimed = tx.items(state=states.EXPORTING)
        dead = [item for item in claimed if item.lease_until is None or item.lease_until < deadline]
        intents = live_intents(tx.connection, dead)
        for item in dead:
            was_sent = item.item_id in intents and intents[item.item_id].sent_at is not None
            kind, state = (states.LOSE, states.UNCERTAIN) if was_sent else (states.RELEASE, states.ACCEPTED)
            tx.move(item, kind, state, {"why": "the worker that had claimed it died"}, lease_until=None)
    return len(dead)


def settle_uncertain(ledger: Ledger, erp: ERP, clock: Clock, actor: str) -> dict[str, int]:
    """Look for every invoice whose outcome is unknown; only after two empty looks may it be sent again (law 4)."""
    counts: Counter[str] = Counter()
    uncertain = ledger.items(state=states.UNCERTAIN)
    for piece in records.in_pieces(uncertain, settings.export().chunk):
        with ledger.reading() as connection:
            intents = live_intents(connection, piece)
        looked_at = clock()
        found = erp.find([intent.voucher for intent in intents.values()])
        with ledger.transaction(clock(), actor) as tx:
            unmoved = tx.unmoved(piece)  # another one may be settling at the same time
            for intent in (each for each in intents.values() if each.item.item_id in unmoved):
                item = _settle_later(tx, erp, intent, found.get(intent.voucher.key, []), looked_at)
                counts[item.state] += 1
    return dict(counts)


def _settle_later(tx: Transaction, erp: ERP, intent: Intent, there: Sequence[ErpInvoice], looked_at: datetime) -> Item:
    item = intent.item
    if len(there) == 1 and there[0].equals(intent.voucher):
        return exported(tx, intent, there[0].document_id_erp, states.FIND, {"state in the ERP": there[0].state})
    if there:
        is_news = keep_evidence(tx, item, there)
        return tx.move(item, states.LOOK, states.UNCERTAIN, {"found": as_text(there)}) if is_news else item
    if intent.absent_at is None:
        note_absence(tx, item, looked_at)
        return tx.move(item, states.LOOK, states.UNCERTAIN, {"found": "nothing"})
    if looked_at - intent.absent_at < erp.capabilities.settles_within:
        return item
    note_absence(tx, item, None)
    return tx.move(item, states.CLEAR, states.ACCEPTED, {"found": "nothing, twice"}, attempts=item.attempts + 1)


def _told(findings: Sequence[Finding]) -> dict[str, object]:
    body = canonical([finding.model_dump(mode="json") for finding in findings])
    return {"findings": body, "cause": findings[0].rule[:60], "lease_until": None}


def _refusal(intent: Intent, refused: Refused) -> list[Finding]:
    system = intent.item.erp.capitalize()
    request = f" (request {refused.request_id})" if refused.request_id else ""
    return [
        Finding(
            rule="erp-refused",
            severity="refuse",
            message=f"[{system} Error] {reason}{request}",
            remedy=f"Put it right in {system}, or have the invoice changed in Procore, then press Retry.",
            owner="accounting",
            numbers={"gross": in_words(intent.voucher.gross, intent.voucher.currency)},
        )
        for reason in refused.reasons
    ]


def _number_taken(intent: Intent, there: ErpInvoice) -> Finding:
    voucher, system = intent.voucher, intent.item.erp.capitalize()
    theirs, ours = (in_words(each.gross, each.currency) for each in (there, voucher))
    same = f"delete the one in {system} and press Retry"
    if there.state in ("posted", "void"):  # it cannot be deleted any more, and its number stays taken
        same = "have the project manager set this one back in Procore, so that it is not sent"
    return Finding(
        rule="already-in-erp",
        severity="refuse",
        message=(
            f"{system} already has invoice {voucher.invoice_number} of vendor {voucher.vendor_erp}: "
            f"{theirs}, {there.state}; this one is {ours}."
        ),
        remedy=(
            f"If it is the same invoice, {same}. "
            "If it is another, have the project manager give this one a different number in Procore and press Retry."
        ),
        owner="accounting",
        numbers={f"in {system}": theirs, "in Procore": ours},
    )


def _unreachable(item: Item, attempts: int) -> Finding:
    system = item.erp.capitalize()
    return Finding(
        rule=TRANSIENT,
        severity="refuse",
        message=f"{system} could not be reached in {attempts} attempts; nothing was written.",
        remedy=f"Nobody needs to act: the next night tries again. Or press Retry when {system} is back.",
        owner="nobody",
        numbers={},
    )
