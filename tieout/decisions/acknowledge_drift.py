"""Let a difference between what was exported and what both sides show now stand."""

from tieout.decisions.choice import named_invoice
from tieout.export import drift
from tieout.ledger import states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.items import Item
from tieout.ledger.links import LINKED
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import APPROVER, Signature


def acknowledge(ledger: Ledger, company_id: int, invoice_id: int, by: Signature, reason: str, office: Office) -> None:
    """Let the open differences of an invoice stand until other ones arise; twice is once.

    Raises RefusedError without an approver's right, without a reason, and where nothing differs.
    """
    named_invoice(ledger, invoice_id, company_id)
    because = {"reason": reason.strip(), **rights.facts(office.settings, APPROVER)}
    with ledger.transaction(office.clock(), by.name) as tx:
        problems = rights.objections(tx, office.settings, by, APPROVER)
        found = tx.items(company_id=company_id, invoice_id=invoice_id, state=LINKED)
        differing = [item for item in found if drift.open_drift(item)]
        if not differing and any(item.acknowledged for item in found):
            return
        problems += [] if because["reason"] else ["a reason is needed"]
        problems += [] if differing else ["nothing differs from what was exported"]
        problems += [why for item in differing for why in drift.unread(item)]
        if not problems:
            _let_stand(tx, differing[0], because)
    rights.refuse(f"invoice {invoice_id}", problems)


def _let_stand(tx: Transaction, item: Item, because: dict[str, str]) -> None:
    findings = drift.open_drift(item)
    facts = because | {"differences": [each.message for each in findings]}
    told = {"drift": drift.as_text([]), "acknowledged": drift.digest(findings)}
    tx.move(item, states.ACKNOWLEDGE, item.state, facts, **told)
