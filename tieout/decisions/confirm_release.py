"""Record that retention was released by hand in the ERP, or why it need not be."""

from data_contracts.money import in_words
from tieout.decisions.choice import named_invoice
from tieout.judgement.release import is_by_hand, open_release
from tieout.ledger import states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.items import Item
from tieout.ledger.links import RELEASING
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import APPROVER, Signature


def confirm(ledger: Ledger, company_id: int, invoice_id: int, by: Signature, note: str, office: Office) -> None:
    """Record in an approver's name that the retention was released, or why no release is needed; twice is once.

    Raises RefusedError without an approver's right, without a note, and where nothing is to be released.
    """
    named_invoice(ledger, invoice_id, company_id)
    because = {"note": note.strip(), **rights.facts(office.settings, APPROVER)}
    with ledger.transaction(office.clock(), by.name) as tx:
        problems = rights.objections(tx, office.settings, by, APPROVER)
        found = tx.items(company_id=company_id, invoice_id=invoice_id, state=RELEASING)
        waiting = [item for item in found if open_release(item)]
        if not waiting and any(is_by_hand(item.reasons) for item in found):
            return
        problems += [] if because["note"] else ["a note is needed: what was released, or why no release is needed"]
        problems += [] if waiting else ["no retention of it is to be released by hand"]
        if not problems:
            _close(tx, waiting[0], because)
    rights.refuse(f"invoice {invoice_id}", problems)


def _close(tx: Transaction, item: Item, because: dict[str, str]) -> None:
    facts = because | {"released": in_words(item.to_release, item.currency)}
    tx.move(item, states.CONFIRM, item.state, facts, to_release_minor=0)
