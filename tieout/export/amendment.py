"""Take a change made in Procore over into an unposted AP invoice, where the ERP lets one be changed (R53, AM-17).

The laws are those of an export: intent, look, send, look, settle. The invoice stays EXPORTED meanwhile, linked as it
was. A change whose answer was lost is looked for by our key before anything else is sent; to send it twice would do no
harm, since it states the whole invoice.
"""

from collections.abc import Sequence
from datetime import datetime

from data_contracts.voucher import Created, ErpInvoice, Outcome, Voucher
from tieout.connectors.base import ERP
from tieout.errors import SettingsError, TransientError, UnconfirmedError
from tieout.export import look, vouchers
from tieout.judgement import batch
from tieout.judgement.basis import Basis
from tieout.judgement.batch import Shown
from tieout.ledger import states
from tieout.ledger.amendments import Amendment, close_amendment, open_amendment, open_amendments, take_over
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.digests import canonical
from tieout.ledger.intents import live_intents
from tieout.ledger.items import Item
from tieout.ledger.sightings import Sighting
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import APPROVER, Signature


def amend(
    ledger: Ledger, erp: ERP, basis: Basis, item: Item, seen: Sighting, by: Signature, run_id: str, office: Office
) -> list[str]:
    """Make the ERP's unposted invoice what Procore was seen to show, in an approver's name; return why it cannot be.

    Raises TransientError when surely nothing was written, UnconfirmedError when the answer was lost and the ERP does
    not show the change yet; in either case the same run may call it again.
    """
    shown, voucher, problems = _plan(ledger, basis, item, office.clock())
    problems = problems or _in_the_way(ledger, erp, item)
    with ledger.transaction(office.clock(), by.name) as tx:
        problems = rights.objections(tx, office.settings, by, APPROVER) + problems
        [there] = tx.items(item_id=[item.item_id])
        as_seen = (states.EXPORTED, item.content_hash, seen.content_hash)
        if (there.state, there.content_hash, shown.facts["content_hash"]) != as_seen:
            problems.append("it is no longer as it was shown; look again")
        on_its_way = open_amendments(tx.connection, [item.invoice_id])
        if any(each.run_id != run_id for each in on_its_way):
            problems.append("another change of it is on its way to the ERP; answer again in a few minutes")
        if problems or voucher is None:
            return problems
        if not on_its_way:  # else an earlier try of ours has frozen it
            because = {**shown.because, "refresh": run_id, **rights.facts(office.settings, APPROVER)}
            change = {"facts": shown.facts, "because": because}
            open_amendment(tx, there, voucher, erp.preview(voucher), seen.content_hash, change)
    return _send(ledger, erp, item, office.in_name_of(by.name))


def settle(ledger: Ledger, erp: ERP, office: Office, only: Sequence[int] | None = None) -> int:
    """Look for the changes whose outcome is not known, and return how many the ERP has taken.

    One that it does not show when none can be under way any more was not taken: what differs is told as drift.
    """
    with ledger.reading() as connection:
        sent = open_amendments(connection, only)
    if not sent:
        return 0
    looked_at = office.clock()
    found = look.find(erp, [each.voucher for each in sent])
    patience = office.settings.export.lease + erp.capabilities.request_timeout + erp.capabilities.settles_within
    taken = 0
    with ledger.transaction(office.clock(), office.actor) as tx:
        for each in open_amendments(tx.connection, [amendment.item.invoice_id for amendment in sent]):
            there = found.there.get(each.voucher.key, [])
            if each.voucher.key in found.unreadable:
                continue  # nobody can say
            if _is_taken(each, there):
                take_over(tx, each, there[0].document_id_erp)
                taken += 1
            elif looked_at - each.opened_at > patience:
                close_amendment(tx, each, "not taken")
    return taken


def _plan(ledger: Ledger, basis: Basis, item: Item, now: datetime) -> tuple[Shown, Voucher | None, list[str]]:
    """Build what the ERP's invoice shall be: in the batch and period that it is in; else say why it cannot."""
    with ledger.reading() as connection:
        shown = batch.as_shown(connection, basis, item, now)
        if shown.stops:
            return shown, None, [f"{each.message} {each.remedy}" for each in shown.stops]
        made = vouchers.vouchers(connection, basis, [item._replace(**shown.facts)], now)[item.item_id]
        link = live_intents(connection, [item])[item.item_id].voucher
    if not isinstance(made, Voucher):
        return shown, None, [f"{made.message} {made.remedy}"]
    where_it_is = {"batch_code": link.batch_code, "accounting_on": link.accounting_on}
    return shown, made.model_copy(update=where_it_is), []


def _in_the_way(ledger: Ledger, erp: ERP, item: Item) -> list[str]:
    """Look before the first send: what somebody changed there is not overwritten, what is posted not touched."""
    with ledger.reading() as connection:
        link = live_intents(connection, [item])[item.item_id].voucher
        if open_amendments(connection, [item.invoice_id]):
            return []  # sent already, and not taken yet
    there = look.find(erp, [link]).there.get(link.key, [])
    if len(there) == 1 and there[0].equals(link) and there[0].state == "unposted":
        return []
    system = item.erp.capitalize()
    return [f"{system} no longer shows it unposted and as it was exported; see its run in the view Drifted"]


def _send(ledger: Ledger, erp: ERP, item: Item, office: Office) -> list[str]:
    with ledger.reading() as connection:
        [amendment] = open_amendments(connection, [item.invoice_id])
    if office.clock() + erp.capabilities.request_timeout >= amendment.opened_at + office.settings.export.lease:
        raise UnconfirmedError(item.erp.capitalize(), f"the change of {item.number}", "it took too long to be sent")
    try:
        outcome = erp.update(amendment.voucher)
    except (TransientError, SettingsError):
        _close(ledger, amendment, "not sent", "", office)
        raise
    except UnconfirmedError:
        if settle(ledger, erp, office, [item.invoice_id]):
            return []
        raise
    return _settle_answer(ledger, amendment, outcome, office)


def _settle_answer(ledger: Ledger, amendment: Amendment, outcome: Outcome, office: Office) -> list[str]:
    if not isinstance(outcome, Created):
        _close(ledger, amendment, "refused", canonical(outcome.reasons), office)
        return [f"{amendment.item.erp.capitalize()} refuses it: {'; '.join(outcome.reasons)}"]
    with ledger.transaction(office.clock(), office.actor) as tx:
        for mine in _still_open(tx, amendment):
            take_over(tx, mine, outcome.document_id_erp)
    return []


def _close(ledger: Ledger, amendment: Amendment, outcome: str, evidence: str, office: Office) -> None:
    with ledger.transaction(office.clock(), office.actor) as tx:
        for mine in _still_open(tx, amendment):
            close_amendment(tx, mine, outcome, evidence)


def _still_open(tx: Transaction, amendment: Amendment) -> list[Amendment]:
    """Return it with its invoice as that is now; nothing when somebody else has settled it."""
    found = open_amendments(tx.connection, [amendment.item.invoice_id])
    return [each for each in found if each.intent_id == amendment.intent_id]


def _is_taken(amendment: Amendment, there: Sequence[ErpInvoice]) -> bool:
    """Whether the ERP shows the change; what only differs in what no look shows is sent again rather than believed."""
    return len(there) == 1 and there[0].equals(amendment.voucher) and not there[0].equals(amendment.before)
