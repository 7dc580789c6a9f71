"""Take back what was sent for acceptance, before accounting has decided on it (R20)."""

from collections.abc import Callable, Sequence
from datetime import datetime

from tieout.ledger import states
from tieout.ledger.book import Item, Ledger
from tieout.ledger.letters import unlock
from tieout.sending import Answer

Clock = Callable[[], datetime]
_WAITING = (states.READY, states.HELD)
_WHY_NOT = {
    states.ACCEPTED: "accounting has accepted it; only an accounting approver can reject it now",
    states.EXPORTING: "it is being exported just now",
    states.UNCERTAIN: "nobody knows whether the ERP has it; accounting must settle it first",
    states.FAILED: "accounting has accepted it; it is unlocked, and a change of it needs a new acceptance",
    states.NOT_EXPORTABLE: "this ERP cannot take it; there is nothing to take back",
    **dict.fromkeys((*states.IN_ERP, states.GONE), "it was exported"),
    **dict.fromkeys(states.OUTSIDE, "it is with its project already"),
}


def retrieve(ledger: Ledger, invoice_ids: Sequence[int], by: str, run_id: str, clock: Clock) -> list[Answer]:
    """Take invoices back in a person's name and have them unlocked in Procore; answer each that cannot be with why."""
    with ledger.transaction(clock(), by) as tx:
        found = {item.invoice_id: item for item in tx.items(invoice_id=list(invoice_ids))}
        answers = []
        for invoice_id in invoice_ids:
            item = found.get(invoice_id)
            if item is None:
                answers.append(Answer(invoice_id, str(invoice_id), "refused", "it was never sent"))
            elif item.state in _WAITING:
                unlock(tx, tx.move(item, states.RETRIEVE, states.RETRIEVED, {"run": run_id}, cause=""))
                answers.append(Answer(invoice_id, item.number, states.RETRIEVED, ""))
            else:
                answers.append(Answer(invoice_id, item.number, "refused", _why_not(item)))
    return answers


def waiting(ledger: Ledger, project_id: int) -> list[int]:
    """Return what can be taken back in a project."""
    return [item.invoice_id for item in ledger.items(project_id=project_id, state=_WAITING)]


def _why_not(item: Item) -> str:
    return f"it is {item.state}: {_WHY_NOT[item.state]}"
