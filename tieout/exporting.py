"""Carry accepted invoices into the ERP, each exactly once: intent, look, send, look, settle (design section 2)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from data_contracts.invoice import Invoice
from data_contracts.money import in_words
from data_contracts.reference import Finding
from data_contracts.voucher import Voucher
from tieout import billing, settings, settling
from tieout.connectors.base import ERP, invoice_key
from tieout.connectors.procore import parse_invoice
from tieout.errors import SettingsError, TransientError, UnconfirmedError
from tieout.ledger import records, states
from tieout.ledger.book import Item, Ledger, Reader, Transaction
from tieout.ledger.claims import claim, refuse_if_taken_over
from tieout.ledger.intents import Intent, close_intent, live_intents, mark_sent, open_intent
from tieout.sending import read_cases
from tieout.terms import Terms

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Exported:
    """What became of a claimed chunk; `payloads` only in a dry run."""

    counts: dict[str, int] = field(default_factory=dict)
    invoice_ids: tuple[int, ...] = ()
    payloads: tuple[dict[str, Any], ...] = ()


def waiting(ledger: Ledger) -> int:
    """Return how many accepted invoices wait to be exported."""
    return len(ledger.items(state=states.ACCEPTED))


def export_chunk(
    ledger: Ledger, erp: ERP, terms: Terms, clock: Clock, actor: str, only: Sequence[int] | None = None
) -> Exported:
    """Claim one chunk of accepted invoices and carry it through; an empty result means that nothing was left.

    Raises TransientError after giving the claimed invoices back.
    """
    claimed = _claim(ledger, erp, terms, clock, actor, only)
    if not claimed:
        return Exported()
    intents = _open_intents(ledger, erp, terms, claimed, clock, actor)
    unseen = _look_first(ledger, erp, intents, clock, actor)
    if unseen:
        _send(ledger, erp, unseen, clock, actor)
    after = ledger.items(item_id=[item.item_id for item in claimed])
    return Exported(dict(Counter(item.state for item in after)), tuple(item.invoice_id for item in after))


def preview(ledger: Ledger, erp: ERP, terms: Terms, clock: Clock, only: Sequence[int] | None = None) -> Exported:
    """Show the exact payloads that would be sent now; writes nothing anywhere."""
    accepted = ledger.items(state=states.ACCEPTED)
    items = [item for item in accepted if only is None or item.invoice_id in only]
    with ledger.reading() as connection:
        vouchers = _vouchers(connection, terms, items, clock())
    payloads = tuple(erp.preview(each) for each in vouchers.values() if isinstance(each, Voucher))
    return Exported({"WOULD EXPORT": len(payloads)}, tuple(item.invoice_id for item in items), payloads)


def _claim(ledger: Ledger, erp: ERP, terms: Terms, clock: Clock, actor: str, only: Sequence[int] | None) -> list[Item]:
    patience = settings.export()
    size = min(patience.chunk, erp.capabilities.invoices_per_call)
    prints = {project_id: terms.fingerprint(project_id) for project_id in terms.books}
    with ledger.transaction(clock(), actor) as tx:
        return claim(tx, prints, patience.lease, size, only)


def _open_intents(
    ledger: Ledger, erp: ERP, terms: Terms, claimed: Sequence[Item], clock: Clock, actor: str
) -> list[Intent]:
    """Freeze what will be written and commit it before anything is sent.

    One that may have been sent is taken up as it is; one that surely was not gets today's batch and codes (law 6).
    """
    with ledger.reading() as connection:
        live = live_intents(connection, claimed)
        kept = {
            key: intent
            for key, intent in live.items()
            if intent.sent_at and intent.content_hash == intent.item.content_hash
        }
        vouchers = _vouchers(connection, terms, [item for item in claimed if item.item_id not in kept], clock())
    with ledger.transaction(clock(), actor) as tx:
        for item_id in live.keys() - kept.keys():
            outcome = "superseded" if live[item_id].sent_at else "not sent"
            close_intent(tx, live[item_id].item, outcome, "", is_live=False)
        intents = list(kept.values())
        for item in (each for each in claimed if each.item_id in vouchers):
            made = vouchers[item.item_id]
            if isinstance(made, Finding):
                settling.fail(tx, item, [made])
            else:
                intents.append(_freeze(tx, erp, item, made))
        return intents


def _freeze(tx: Transaction, erp: ERP, item: Item, voucher: Voucher) -> Intent:
    noted = tx.note(
        item, batch_code=voucher.batch_code, vendor_erp=voucher.vendor_erp, number_erp=voucher.invoice_number
    )
    return open_intent(tx, noted, voucher, erp.preview(voucher))


def _look_first(ledger: Ledger, erp: ERP, intents: Sequence[Intent], clock: Clock, actor: str) -> list[Intent]:
    """Look by our keys before the first send: a ledger restored from a backup must not send twice (law 2)."""
    try:
        found = erp.find([intent.voucher for intent in intents])
    except (TransientError, SettingsError):
        _release(ledger, intents, clock, actor)
        raise
    with ledger.transaction(clock(), actor) as tx:
        for intent in intents:
            if there := found.get(intent.voucher.key):
                settling.settle_found(tx, intent, there)
    return [intent for intent in intents if not found.get(intent.voucher.key)]


def _send(ledger: Ledger, erp: ERP, intents: Sequence[Intent], clock: Clock, actor: str) -> None:
    """Send, unless the lease might end while the request is under way."""
    until = min(intent.item.lease_until for intent in intents if intent.item.lease_until)
    if clock() + erp.capabilities.request_timeout >= until:
        _release(ledger, intents, clock, actor)
        return
    with ledger.transaction(clock(), actor) as tx:
        refuse_if_taken_over(tx, [intent.item for intent in intents])
        mark_sent(tx, intents, tx.now)
    try:
        outcomes = erp.create([intent.voucher for intent in intents])
    except (TransientError, SettingsError):
        _release(ledger, intents, clock, actor, was_marked=True)
        raise
    except UnconfirmedError as lost:
        _look_after(ledger, erp, intents, str(lost), clock, actor)
        return
    with ledger.transaction(clock(), actor) as tx:
        for intent, outcome in zip(intents, outcomes, strict=True):
            settling.settle_answer(tx, intent, outcome)


def _look_after(ledger: Ledger, erp: ERP, intents: Sequence[Intent], why: str, clock: Clock, actor: str) -> None:
    """The answer is lost: settle what the ERP shows; what it does not show stays UNCERTAIN until it has settled."""
    try:
        found, has_looked = erp.find([intent.voucher for intent in intents]), True
    except TransientError:
        found, has_looked = {}, False
    with ledger.transaction(clock(), actor) as tx:
        for intent in intents:
            if there := found.get(intent.voucher.key):
                settling.settle_found(tx, replace(intent, sent_at=tx.now), there)
            else:
                settling.lose(tx, intent, why, has_looked)


def _release(ledger: Ledger, intents: Sequence[Intent], clock: Clock, actor: str, was_marked: bool = False) -> None:
    with ledger.transaction(clock(), actor) as tx:
        if was_marked:
            mark_sent(tx, [intent for intent in intents if intent.sent_at is None], None)
        for intent in intents:
            settling.release(tx, intent)


def _vouchers(connection: Reader, terms: Terms, items: Sequence[Item], now: datetime) -> dict[int, Voucher | Finding]:
    """Build what each item becomes in the ERP, by item id; a Finding where a code is gone since."""
    made: dict[int, Voucher | Finding] = {}
    batch = billing.batch_code(now, terms.zone, terms.policy.batch_weekday)
    by_project: dict[int, list[Item]] = {}
    for item in items:
        by_project.setdefault(item.project_id, []).append(item)
    for project_id, group in by_project.items():
        bodies = records.bodies(connection, [item.snapshot_id for item in group])
        parsed = [parse_invoice(bodies[item.snapshot_id], item.company_id) for item in group]
        invoices = [invoice for invoice in parsed if isinstance(invoice, Invoice)]
        for item, case in zip(group, read_cases(connection, terms, project_id, invoices, now), strict=True):
            accounting_on = billing.accounting_on(case.invoice, terms.reference, terms.policy)
            key = invoice_key(item.company_id, item.invoice_id)
            voucher = billing.voucher(case, key, batch, accounting_on)
            made[item.item_id] = (isinstance(voucher, Voucher) and _moved(item, voucher)) or voucher
    return made


def _moved(item: Item, voucher: Voucher) -> Finding | None:
    """Say when the figures are no longer those that were accepted, though the invoice itself did not change."""
    if (voucher.gross, voucher.retention) == (item.gross, item.held):
        return None
    accepted, now = (
        f"{in_words(gross, item.currency)} with {in_words(held, item.currency)} retained"
        for gross, held in ((item.gross, item.held), (voucher.gross, voucher.retention))
    )
    return Finding(
        rule="figures-moved",
        severity="refuse",
        message=f"Accepted was {accepted}; by the invoice before this one it is {now}.",
        remedy="See what was changed on the commitment's previous invoice; have one of the two corrected, press Retry.",
        owner="project manager",
    )
