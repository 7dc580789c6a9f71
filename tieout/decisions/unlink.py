"""Cut the tie to an AP invoice that is gone from the ERP."""

from collections.abc import Iterator, Sequence

from data_contracts.money import from_minor, in_words
from tieout.decisions.choice import named_invoice
from tieout.export import drift
from tieout.ledger import states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.intents import close_intent
from tieout.ledger.items import Item
from tieout.ledger.letters import unlock
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import APPROVER, Signature


def unlink(
    ledger: Ledger, company_id: int, invoice_id: int, by: Signature, reason: str, run_id: str, office: Office
) -> None:
    """Cut the tie to an AP invoice that is gone from the ERP: it can be corrected in Procore and sent again.

    Raises RefusedError without an approver's right or a reason, where the ERP may still show it, and where a payment
    was made that is not voided.
    """
    named_invoice(ledger, invoice_id, company_id)
    because = {"reason": reason.strip(), "run": run_id, **rights.facts(office.settings, APPROVER)}
    with ledger.transaction(office.clock(), by.name) as tx:
        problems = rights.objections(tx, office.settings, by, APPROVER)
        found = tx.items(company_id=company_id, invoice_id=invoice_id)
        problems += filter(None, _why_not_unlinked(found, because["reason"]))
        if not problems:
            _unlink(tx, found[0], because)
    rights.refuse(f"invoice {invoice_id}", problems)


def _why_not_unlinked(found: Sequence[Item], reason: str) -> Iterator[str]:
    if not reason:
        yield "a reason is needed"
    for item in found:
        if item.state != states.GONE:
            yield f"it is {item.state}; only what is GONE from the ERP is unlinked"
        elif unread := drift.unread(item):
            yield from unread
        elif item.settled_minor:
            paid = in_words(from_minor(item.settled_minor, item.currency), item.currency)
            yield f"{paid} was paid on it and is not voided; void the payment first"


def _unlink(tx: Transaction, item: Item, because: dict[str, str]) -> None:
    facts = because | {"document": item.document_id_erp}
    close_intent(tx, item, "unlinked", item.document_id_erp or "", is_live=False)
    nothing = {"document_id_erp": None, "batch_code": None, "drift": drift.as_text([]), "acknowledged": ""}
    unlock(tx, tx.move(item, states.UNLINK, states.UNLINKED, facts, **nothing))
