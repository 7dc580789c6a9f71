"""Move one invoice to where its judgement puts it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_contracts.invoice import ZERO, Invoice
from data_contracts.money import round_half_up, to_minor
from data_contracts.reference import Finding
from data_contracts.verdicts import verdict
from tieout.judgement import billing, release
from tieout.judgement.basis import Basis
from tieout.ledger import sightings, states
from tieout.ledger.book import Transaction
from tieout.ledger.digests import canonical
from tieout.ledger.items import Item
from tieout.ledger.letters import lock, unlock
from tieout.ledger.links import RELEASING
from tieout.ledger.reviews import supersede_reviews
from tieout.ledger.sightings import Sighting


@dataclass(frozen=True)
class Reading:
    """One sighting with its item, its parsed body or the reasons why it has none, and what the checks found."""

    sighting: Sighting
    item: Item | None
    invoice: Invoice | None
    findings: list[Finding]
    body_hash: str  # of the body as it came
    refresh: dict[str, str] | None = None  # who wants the figures of now taken over, whatever they were: for the event

    @property
    def stops(self) -> list[Finding]:
        """The findings that stop it; warnings do not."""
        return [finding for finding in self.findings if finding.severity != "warn"]


def place(tx: Transaction, basis: Basis, project: str, reading: Reading, asked: bool) -> Item | None:
    """Move one invoice to where its reading puts it; None when it stays outside."""
    item, sighting = reading.item, reading.sighting
    if item is not None and item.state in (states.EXPORTING, states.UNCERTAIN):
        return item  # first its fate in the ERP must be known; it stays fresh and is judged then
    if sighting.is_fresh:
        sightings.note_judged(tx, sighting)
    is_sendable = sighting.may_be_sent
    if item is None or item.state in states.OUTSIDE:
        return _enter(tx, basis, project, reading, asked) if is_sendable else item
    if item.state in states.IN_ERP or item.state == states.GONE:
        return item  # a later change in Procore is drift: never acted on
    if not is_sendable:
        why = "it is gone from Procore" if sighting.is_gone else f"its status in Procore is {sighting.status}"
        item = tx.move(item, states.WITHDRAW, states.RETRIEVED, {"why": why, **(reading.refresh or {})}, cause="")
        unlock(tx, item)
        return item
    return _again(tx, basis, project, reading, item)


def _enter(tx: Transaction, basis: Basis, project: str, reading: Reading, asked: bool) -> Item | None:
    """Send an invoice that is outside: by a person, or by the policy where it is new or its content changed."""
    item, sighting = reading.item, reading.sighting
    by_policy = sighting.status in basis.policy.auto_send_statuses and (
        item is None or item.content_hash != sighting.content_hash
    )
    if not (asked or by_policy):
        return item
    state = verdict(reading.findings)
    facts = facts_of(basis, project, reading, state, item) | {"sent_by": tx.actor if asked else ""}
    because = because_of(basis, reading)
    if item is None:
        keys: dict[str, Any] = {"company_id": sighting.company_id, "invoice_id": sighting.invoice_id, "erp": basis.erp}
        keys["company_erp"] = basis.reference.company_erp
        item = tx.open_item({**keys, **facts}, state, because, states.SENT)
    else:
        item = tx.move(item, states.SENT, state, because, **facts)
    if state == states.READY:
        lock(tx, item)
    return item


def _again(tx: Transaction, basis: Basis, project: str, reading: Reading, item: Item) -> Item:
    """Judge an invoice again that was sent before and is not in the ERP."""
    has_moved = reading.refresh is not None and reading.invoice is not None and moved(item, reading.invoice)
    is_changed = item.content_hash != reading.sighting.content_hash or has_moved
    state = verdict(reading.findings)
    because = because_of(basis, reading)
    facts = facts_of(basis, project, reading, state, item)
    told = {name: facts[name] for name in ("findings", "cause", "judged_by")}
    if has_moved:
        supersede_reviews(tx, item.project_id)  # what they show is not what would be accepted, though the hash is
    if item.state in (states.ACCEPTED, states.FAILED):
        if is_changed:
            return _sent_again(tx, tx.move(item, states.CHANGE, state, because, **facts))
        return _still_accepted(tx, reading, item, because, told)
    if item.state == state and not is_changed:
        return _told_anew(tx, item, states.REJUDGE, because, told)
    return _sent_again(tx, tx.move(item, states.REJUDGE, state, because, **facts))


def _still_accepted(
    tx: Transaction, reading: Reading, item: Item, because: dict[str, Any], told: dict[str, Any]
) -> Item:
    """The figures are those that were accepted: they go on, or fail with the reasons of now."""
    if reading.stops:
        if item.state == states.FAILED and item.cause == told["cause"]:
            return _told_anew(tx, item, states.REFUSE, because, told)
        failed = tx.move(item, states.REFUSE, states.FAILED, because, **told)
        unlock(tx, failed)
        return failed
    if item.state == states.FAILED:
        accepted = tx.move(item, states.RETRY, states.ACCEPTED, because, attempts=0, **told)
        lock(tx, accepted)
        return accepted
    return tx.note_basis(item, told["judged_by"])


def because_of(basis: Basis, reading: Reading) -> dict[str, Any]:
    """Return what a judgement was made of: the policy, what was found, and the body as it came."""
    rules = [finding.rule for finding in reading.findings]
    return {"policy": basis.policy_version, "findings": rules, "body": reading.body_hash, **(reading.refresh or {})}


def _told_anew(tx: Transaction, item: Item, kind: str, because: dict[str, Any], told: dict[str, Any]) -> Item:
    """It stays where it is; only other reasons than those it is known for are something that happened."""
    if (item.findings, item.cause) == (told["findings"], told["cause"]):
        return tx.note_basis(item, told["judged_by"])
    return tx.move(item, kind, item.state, because, **told)


def _sent_again(tx: Transaction, item: Item) -> Item:
    if item.state == states.READY:
        lock(tx, item)
    else:
        unlock(tx, item)
    return item


def facts_of(basis: Basis, project: str, reading: Reading, state: str, item: Item | None) -> dict[str, Any]:
    """Return what the item's row says after this reading; the revision counts how often it became READY."""
    sighting, invoice = reading.sighting, reading.invoice
    sent_before = item.revision if item is not None else 0
    facts: dict[str, Any] = {
        "project_id": sighting.project_id,
        "project": project[:300],
        "snapshot_id": sighting.snapshot_id,
        "content_hash": sighting.content_hash,
        "revision": sent_before + 1 if state == states.READY else sent_before,
        "judged_by": basis.prints[sighting.project_id],
        "findings": canonical([finding.model_dump(mode="json") for finding in reading.findings]),
        "cause": reading.stops[0].rule if reading.stops else "",
        "attempts": 0,
    }
    if invoice is None:
        # What was readable once still names the invoice, and lets Procore be told.
        return facts if item else facts | {"number": str(sighting.invoice_id), "vendor": "", "commitment_id": None}
    return facts | {
        "commitment_id": invoice.commitment_id_procore,
        "number": invoice.invoice_number[:200] or f"#{invoice.number_on_commitment} (no invoice number)",
        "vendor": invoice.vendor_name[:300],
        "sequence": invoice.number_on_commitment,
        "currency": invoice.currency,
        **_amounts(invoice),
        "to_release_minor": _to_release(reading.findings, invoice, item),
    }


def moved(item: Item, invoice: Invoice) -> bool:
    """Whether the invoice, completed by the one before it, comes to other figures than those that were judged."""
    return any(getattr(item, name) != amount for name, amount in _amounts(invoice).items())


def _amounts(invoice: Invoice) -> dict[str, int]:
    held = max(invoice.held, ZERO)  # held below zero counts as a release (A10)
    figures = {"gross_minor": invoice.gross, "held_minor": held, "released_minor": invoice.released}
    try:
        return {name: to_minor(amount, invoice.currency) for name, amount in figures.items()}
    except ValueError:
        return {}  # a fraction of a cent: the rules hold such an invoice and show the exact figures


def _to_release(findings: Sequence[Finding], invoice: Invoice, item: Item | None) -> int:
    """Return what a person is to release by hand in the ERP; nothing where we tell the ERP, or they said it is done."""
    is_confirmed = item is not None and item.state in RELEASING and not item.to_release_minor
    if not release.is_by_hand(findings) or (is_confirmed and item and item.released == invoice.released):
        return 0
    return to_minor(round_half_up(billing.to_release(invoice), invoice.currency), invoice.currency)
