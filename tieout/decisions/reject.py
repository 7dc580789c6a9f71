"""Reject what was sent for acceptance: it goes back to its project with a reason, and whoever made it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_contracts.voucher import Voucher
from tieout.connectors.base import ERP, invoice_key
from tieout.decisions.answers import REFUSED, Answer, Answers
from tieout.export import look
from tieout.ledger import history, states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.intents import close_intent, live_intents, newest_intents
from tieout.ledger.items import Item
from tieout.ledger.letters import unlock
from tieout.office import Office
from tieout.outbox import notices
from tieout.people import rights
from tieout.people.rights import Signature
from tieout.settings import Settings

_AFTER_ACCEPTANCE = (states.ACCEPTED, states.FAILED)
_WHY_NOT = {
    states.EXPORTING: "it is being exported just now",
    states.UNCERTAIN: "nobody knows whether the ERP has it; settle it first",
    states.HELD: "a check stopped it before it came to accounting; its project may take it back",
}


@dataclass(frozen=True)
class Rejected(Answers):
    """What came of rejecting some invoices; `untold` are sentences about creators whom no mail can reach."""

    untold: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Whom no mail can reach."""
        return [*super().notes, *self.untold]


def reject_item(tx: Transaction, settings: Settings, item: Item, reason: str, because: dict[str, Any]) -> str:
    """Move one item, have it unlocked and its creator told, all in one commit; return what the approver must know."""
    item = tx.move(item, states.REJECT, states.REJECTED, {**because, "reason": reason}, cause="", lease_until=None)
    unlock(tx, item)
    return notices.tell_of_rejection(tx, settings, item, reason)


def reject(
    ledger: Ledger,
    erp: ERP,
    project_id: int,
    invoice_ids: Sequence[int] | None,
    by: Signature,
    reason: str,
    run_id: str,
    office: Office,
) -> Rejected:
    """Reject these invoices of a project, or all that wait for accounting or failed to export (R29 to R33).

    Raises RefusedError without the right or a reason; a single invoice that cannot be rejected is answered with why.
    """
    reason = reason.strip()
    seen = _chosen(ledger, project_id, invoice_ids, run_id)
    there = _in_erp(ledger, erp, [item for item in seen if item.state in _AFTER_ACCEPTANCE])
    because = {"run": run_id, **rights.facts(office.settings, rights.APPROVER)}
    missing = set(invoice_ids or ()) - {item.invoice_id for item in seen}
    answers = [Answer(each, str(each), REFUSED, "it was never sent") for each in sorted(missing)]
    untold = []
    with ledger.transaction(office.clock(), by.name) as tx:
        problems = rights.objections(tx, office.settings, by, rights.APPROVER)
        problems += [] if reason else ["a reason is needed"]
        unmoved = tx.unmoved(seen)
        for item in tx.items(item_id=[item.item_id for item in seen]) if not problems else ():
            if item.state == states.REJECTED:  # by an earlier try
                answers.append(Answer(item.invoice_id, item.number, states.REJECTED, ""))
                continue
            if why := _why_not(item, item.item_id in unmoved, there.get(item.item_id, "")):
                answers.append(Answer(item.invoice_id, item.number, REFUSED, why))
                continue
            if intent := live_intents(tx.connection, [item]).get(item.item_id):
                close_intent(tx, item, "rejected", intent.evidence, is_live=False)
            untold.append(reject_item(tx, office.settings, item, reason, because))
            answers.append(Answer(item.invoice_id, item.number, states.REJECTED, ""))
    rights.refuse("the rejection", problems)
    return Rejected("rejected", tuple(answers), tuple(filter(None, untold)))


def _chosen(ledger: Ledger, project_id: int, invoice_ids: Sequence[int] | None, run_id: str) -> list[Item]:
    """Return these, or all that can be rejected and what an earlier try of this step has rejected already."""
    if invoice_ids is not None:
        return ledger.items(project_id=project_id, invoice_id=list(invoice_ids))
    found = ledger.items(project_id=project_id, state=(states.READY, states.FAILED, states.REJECTED))
    with ledger.reading() as connection:
        mine = history.left_by(connection, [item for item in found if item.state == states.REJECTED], run_id)
    return [item for item in found if item.state != states.REJECTED or item in mine]


def _in_erp(ledger: Ledger, erp: ERP, items: Sequence[Item]) -> dict[int, str]:
    """Say why those must not go that the ERP shows after all, by item id; another's invoice is in nobody's way."""
    with ledger.reading() as connection:
        sent = {item_id: intent.voucher for item_id, intent in newest_intents(connection, items).items()}
    vouchers = {item.item_id: sent.get(item.item_id) or _never_sent(item) for item in items}
    found = look.find(erp, list(vouchers.values()))
    system, why = erp.capabilities.name.capitalize(), {}
    for item_id, voucher in vouchers.items():
        ours = [
            each
            for each in found.there.get(voucher.key, [])
            if each.state != "void" and (each.key == voucher.key or each.equals(voucher))
        ]
        if error := found.unreadable.get(voucher.key):
            why[item_id] = f"{error}, so nobody knows whether it is there; have its record corrected in {system} first"
        elif ours:
            document = f"document {ours[0].document_id_erp}"
            why[item_id] = (
                f"{system} has it as {document}; delete that there first, or retry the invoice to have it found"
            )
    return why


def _never_sent(item: Item) -> Voucher:
    """Return by what the ERP is asked for an invoice of which this ledger holds no intent: our key."""
    return Voucher(
        key=invoice_key(item.company_id, item.invoice_id),
        company_erp=item.company_erp,
        vendor_erp=item.vendor_erp or "",
        contract_erp="",
        invoice_number=item.number_erp or item.number,
        invoice_on=item.changed_at.date(),
        accounting_on=item.changed_at.date(),
        batch_code=item.batch_code or "",
        currency=item.currency,
        gross=item.gross,
        retention=item.held,
        lines=(),
    )


def _why_not(item: Item, is_unmoved: bool, in_erp: str) -> str:
    """Say why an item cannot be rejected now; empty where it can."""
    if item.state == states.READY:
        return ""
    if item.state not in _AFTER_ACCEPTANCE:
        return _WHY_NOT.get(item.state, f"it is {item.state}")
    if in_erp:
        return in_erp
    return "" if is_unmoved else f"somebody else moved it in the meantime; it is {item.state}"
