"""Take back what was sent for acceptance, before accounting has decided on it (R20)."""

from collections.abc import Iterable, Sequence

from tieout.decisions.answers import REFUSED, Answer
from tieout.ledger import history, states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.items import Item
from tieout.ledger.letters import unlock
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import Signature

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


def retrieve(
    ledger: Ledger, project_id: int, invoice_ids: Sequence[int] | None, by: Signature, run_id: str, office: Office
) -> list[Answer]:
    """Take these invoices back, or all of the project that wait, and have them unlocked in Procore (R20).

    Raises RefusedError without the right; an invoice that cannot be taken back is answered with why.
    """
    right = rights.sender(project_id)
    answers = []
    with ledger.transaction(office.clock(), by.name) as tx:
        problems = rights.objections(tx, office.settings, by, right)
        found = {item.invoice_id: item for item in tx.items(project_id=project_id)}
        wanted = _all(tx, found.values(), run_id) if invoice_ids is None else invoice_ids
        for invoice_id in wanted if not problems else ():
            item = found.get(invoice_id)
            if item is None:
                answers.append(Answer(invoice_id, str(invoice_id), REFUSED, "it was never sent"))
            elif item.state == states.RETRIEVED:  # by an earlier try
                answers.append(Answer(invoice_id, item.number, states.RETRIEVED, ""))
            elif item.state in _WAITING:
                unlock(
                    tx,
                    tx.move(
                        item,
                        states.RETRIEVE,
                        states.RETRIEVED,
                        {"run": run_id, **rights.facts(office.settings, right)},
                        cause="",
                    ),
                )
                answers.append(Answer(invoice_id, item.number, states.RETRIEVED, ""))
            else:
                answers.append(Answer(invoice_id, item.number, REFUSED, _why_not(item)))
    rights.refuse("the retrieval", problems)
    return answers


def _all(tx: Transaction, items: Iterable[Item], run_id: str) -> list[int]:
    """Return the invoices that wait, and those that an earlier try of this step has taken back already."""
    retrieved = [item for item in items if item.state == states.RETRIEVED]
    mine = {item.invoice_id for item in history.left_by(tx.connection, retrieved, run_id)}
    return [item.invoice_id for item in items if item.state in _WAITING or item.invoice_id in mine]


def _why_not(item: Item) -> str:
    return f"it is {item.state}: {_WHY_NOT[item.state]}"
