"""Settle what no machine may decide: an ERP that shows something else than what was sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_contracts.forms import ADOPT, DISOWN, SettleAnswer
from data_contracts.voucher import ErpInvoice
from tieout.clock import lasts
from tieout.connectors.base import ERP, parse_key
from tieout.decisions.choice import named_invoice
from tieout.export import drift, outcome, reasons
from tieout.export.reasons import in_short
from tieout.ledger import states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.history import Happened, events
from tieout.ledger.intents import Intent, close_intent, live_intents
from tieout.ledger.items import Item
from tieout.ledger.links import LINKED
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import APPROVER, Signature

_DECISIONS = (states.ADOPT, states.DISOWN, states.UNLINK)


@dataclass(frozen=True)
class Doubt:
    """An invoice of which the ERP shows something else than what was sent; only a person can say what that is."""

    intent: Intent
    menu_path: str  # where accounting finds it in the ERP

    @property
    def item(self) -> Item:
        """The invoice, as it was when the ERP was looked at."""
        return self.intent.item

    @property
    def there(self) -> list[ErpInvoice]:
        """What the ERP shows."""
        return self.intent.there

    def chosen(self, document: str) -> ErpInvoice | None:
        """Return the document that is meant; where there is one only, it need not be named."""
        if len(self.there) == 1 and not document:
            return self.there[0]
        named = (each for each in self.there if each.document_id_erp.casefold() == document.casefold())
        return next(named, None)


def examine(ledger: Ledger, erp: ERP, company_id: int, invoice_id: int, office: Office) -> Doubt | None:
    """Look in the ERP again; return what a person must decide, None where a machine settled it or still waits.

    While our own request may be under way nothing is decided: it could still arrive beside what was adopted.
    """
    named_invoice(ledger, invoice_id, company_id)
    outcome.settle_uncertain(ledger, erp, office, only=[invoice_id])
    intent = _uncertain(ledger, company_id, invoice_id)
    if intent is None or not intent.there or lasts(_under_way_until(intent, erp), office.clock(), _patience(erp)):
        return None
    return Doubt(intent, erp.capabilities.menu_path)


def decide(ledger: Ledger, doubt: Doubt, answer: SettleAnswer, by: Signature, run_id: str, office: Office) -> list[str]:
    """Record what an approver says of it, in one commit; return what is wrong, and nothing is recorded.

    Raises LostRaceError when the invoice was settled, or something else was found, since it was looked at.
    """
    answer = answer.stripped()
    chosen = doubt.chosen(answer.document)
    because = {"reason": answer.reason, "run": run_id, **rights.facts(office.settings, APPROVER)}
    with ledger.transaction(office.clock(), by.name) as tx:
        problems = rights.objections(tx, office.settings, by, APPROVER)
        problems += filter(None, _problems(tx, doubt, answer, chosen))
        if problems:
            return problems
        if answer.decision == ADOPT and chosen:
            _adopt(tx, doubt, chosen, because)
        else:
            _disown(tx, doubt, because)
    return []


def decision_of(ledger: Ledger, item: Item, run_id: str) -> Happened | None:
    """Return what was decided of this invoice in this run, if it was."""
    with ledger.reading() as connection:
        decided = [each for each in events(connection, item.item_id) if each.kind in _DECISIONS]
    return decided[-1] if decided and decided[-1].facts["run"] == run_id else None


def how_it_stands(ledger: Ledger, erp: ERP, item: Item) -> str:
    """Return in words why there is nothing to decide of this invoice now, and what happens next."""
    system, settles = item.erp.capitalize(), erp.capabilities.settles_within
    intent = _uncertain(ledger, item.company_id, item.invoice_id)
    if intent is not None and intent.there:
        until = _under_way_until(intent, erp)
        return f"Our own request may still arrive in {system} until {until:%Y-%m-%d %H:%M} UTC; run this again then."
    if intent is not None and intent.absent_at:
        again = intent.absent_at + settles
        return (
            f"{system} does not show it. tieout looks again, and if nothing is there after "
            f"{again:%Y-%m-%d %H:%M} UTC either, it sends it again by itself. Do not enter it by hand."
        )
    if intent is not None:  # the last look found nothing that could be read
        return " ".join(f"{each.message} {each.remedy}" for each in intent.item.reasons[:1])
    with ledger.reading() as connection:
        link = live_intents(connection, [item]).get(item.item_id)
    if item.state in states.IN_ERP and link and link.absent_at:
        again = link.absent_at + settles
        return f"{system} does not show it now; a second look after {again:%Y-%m-%d %H:%M} UTC decides: run this again."
    words = {
        states.ACCEPTED: f"It certainly is not in {system}; the next export sends it as it was accepted.",
        states.EXPORTED: f"It is in {system}, unposted, as document {item.document_id_erp}.",
        states.EXPORTING: "It is being exported just now.",
    }
    return words.get(item.state, f"It is {item.state}.")


def _uncertain(ledger: Ledger, company_id: int, invoice_id: int) -> Intent | None:
    found = ledger.items(company_id=company_id, invoice_id=invoice_id, state=states.UNCERTAIN)
    with ledger.reading() as connection:
        return next(iter(live_intents(connection, found).values()), None)


def _under_way_until(intent: Intent, erp: ERP) -> datetime:
    """Return when a request of ours has arrived at the latest."""
    return intent.sent_at + _patience(erp) if intent.sent_at else intent.item.changed_at


def _patience(erp: ERP) -> timedelta:
    return erp.capabilities.request_timeout + erp.capabilities.settles_within


def _problems(tx: Transaction, doubt: Doubt, answer: SettleAnswer, chosen: ErpInvoice | None) -> Iterator[str]:
    if not answer.reason:
        yield "a reason is needed"
    if answer.decision not in (ADOPT, DISOWN):
        yield f"the decision is {ADOPT} or {DISOWN}, not {answer.decision!r}"
    elif answer.decision == ADOPT:
        yield _cannot_be_adopted(tx, doubt, chosen, answer.document)


def _cannot_be_adopted(tx: Transaction, doubt: Doubt, chosen: ErpInvoice | None, document: str) -> str:
    """Say why this document cannot be the invoice; empty when it can."""
    if chosen is None:
        names = ", ".join(each.document_id_erp for each in doubt.there)
        return f"{document!r} is not one of {names}" if document else f"name the document to adopt: {names}"
    if chosen.state == "void":
        return f"document {chosen.document_id_erp} is void; what is void cannot be this invoice"
    if chosen.key not in (None, doubt.intent.voucher.key):
        return f"document {chosen.document_id_erp} has the key of another invoice, {parse_key(chosen.key)}"
    others = tx.items(document_id_erp=chosen.document_id_erp, state=LINKED)
    return f"document {chosen.document_id_erp} is invoice {others[0].number} already" if others else ""


def _adopt(tx: Transaction, doubt: Doubt, chosen: ErpInvoice, because: dict[str, str]) -> Item:
    """The invoice is this document, under the names that it bears there: by those its payments are found."""
    voucher = doubt.intent.voucher
    differences = drift.in_erp(doubt.item, voucher, [chosen], doubt.menu_path)
    facts = {
        "state in the ERP": chosen.state,
        "differences": [each.message for each in differences],
        "also there": [in_short(each) for each in doubt.there if each is not chosen],
    }
    names = {
        "vendor_erp": chosen.vendor_erp,
        "number_erp": chosen.invoice_number,
        "batch_code": chosen.batch_code,
        "acknowledged": drift.digest(differences) if differences else "",
    }
    return outcome.exported(tx, doubt.intent, chosen.document_id_erp, states.ADOPT, because | facts, **names)


def _disown(tx: Transaction, doubt: Doubt, because: dict[str, str]) -> Item:
    """What is there is not this invoice, so ours is not there: it failed, and says what makes room for it."""
    close_intent(tx, doubt.item, "disowned", doubt.intent.evidence, is_live=False)
    documents = [in_short(each) for each in doubt.there]
    finding = reasons.disowned(doubt.intent, doubt.there, tx.actor, because["reason"])
    return outcome.fail(tx, doubt.item, [finding], states.DISOWN, because | {"documents": documents})
