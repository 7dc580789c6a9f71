"""Take over what was changed in Procore since an invoice was sent: show what differs, ask, judge again (R52 to R54).

What the ERP holds is changed only unposted, and only where the ERP lets it be; else it is said how (AM-17).
"""

from dataclasses import dataclass
from decimal import Decimal

from data_contracts.forms import APPLY, LEAVE, RefreshAnswer
from data_contracts.invoice import ZERO, Invoice
from data_contracts.money import in_words, round_half_up
from tieout.connectors.base import ERP, Capabilities
from tieout.connectors.procore import parse_invoice
from tieout.decisions.choice import named_invoice
from tieout.export import amendment, drift
from tieout.judgement import batch, cases, placement
from tieout.judgement.basis import Basis
from tieout.ledger import history, sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.digests import canonical, digest_of
from tieout.ledger.history import Happened
from tieout.ledger.items import Item
from tieout.ledger.sightings import Sighting
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import APPROVER, Signature

_PAST_UNPOSTED = (states.POSTED, states.PART_PAID, states.PAID)


@dataclass(frozen=True)
class Change:
    """What the ledger holds of an invoice beside what Procore shows of it now."""

    item: Item
    seen: Sighting
    figures: dict[str, tuple[str, str]]  # gross, retention held, due now: as judged, as they come to now
    differences: dict[str, tuple[str, str]]  # everything else, line by line
    refusal: str = ""  # why it cannot be taken over, and what to do instead

    @property
    def question(self) -> str:
        """Return what stands for all that is shown: an answer counts for nothing else."""
        shown = canonical([self.item.version, self.seen.content_hash, self.seen.status, self.seen.is_gone])
        return f"change-{digest_of(shown, canonical(self.figures))[:16]}"


def compare(ledger: Ledger, capabilities: Capabilities, company_id: int, invoice_id: int) -> Change | None:
    """Return what differs between the ledger and what Procore showed last; None where nothing does."""
    item = named_invoice(ledger, invoice_id, company_id)
    with ledger.reading() as connection:
        seen = sightings.sightings_of(connection, [invoice_id])[invoice_id]
        bodies = sightings.bodies(connection, filter(None, (item.snapshot_id, seen.snapshot_id)))
        held, now = (
            parse_invoice(bodies.get(each or 0, ""), company_id, invoice_id)
            for each in (item.snapshot_id, seen.snapshot_id)
        )
        whole = cases.completed(connection, [now]) if isinstance(now, Invoice) else {}
    figures = _figures(item, whole.get(invoice_id))
    differences = drift.since(held, now, seen)
    if not figures and not differences:
        return None
    return Change(item, seen, figures, differences, _refusal(item, seen.may_be_sent, capabilities))


def apply(
    ledger: Ledger,
    erp: ERP,
    basis: Basis,
    change: Change,
    answer: RefreshAnswer,
    by: Signature,
    run_id: str,
    office: Office,
) -> list[str]:
    """Judge the invoice by what Procore shows now, in an approver's name; return what is wrong with the answer.

    With problems nothing is taken over. What somebody else moved meanwhile stays as they left it. One that is in the
    ERP is changed there, which raises as `amending.amend` does.
    """
    decision = answer.decision.strip().casefold()
    if decision == LEAVE:
        return []
    if decision == APPLY and change.item.state == states.EXPORTED:
        amendment.settle(
            ledger, erp, office.in_name_of(by.name), [change.item.invoice_id]
        )  # an earlier try may have been sent
        if refreshed(ledger, change.item, run_id):
            return []
        return amendment.amend(ledger, erp, basis, change.item, change.seen, by, run_id, office)
    with ledger.transaction(office.clock(), by.name) as tx:
        problems = [] if decision == APPLY else [f"the decision is {APPLY} or {LEAVE}, not {answer.decision!r}"]
        problems += rights.objections(tx, office.settings, by, APPROVER)
    if not problems:
        item, because = change.item, {"refresh": run_id, **rights.facts(office.settings, APPROVER)}
        batch.rejudge(ledger, basis, [item.invoice_id], office.in_name_of(by.name), refresh=because)
    return problems


def refreshed(ledger: Ledger, item: Item, run_id: str) -> Happened | None:
    """Return what came of the invoice when this run took the change over, if it did."""
    with ledger.reading() as connection:
        happened = history.events(connection, item.item_id)
    return next((each for each in happened if each.facts.get("refresh") == run_id), None)


def _figures(item: Item, now: Invoice | None) -> dict[str, tuple[str, str]]:
    """Return the amounts that are others now, though perhaps only because the invoice before it was changed."""
    if now is None or not placement.moved(item, now):
        return {}
    gross, held = (round_half_up(each, now.currency) for each in (now.gross, max(now.held, ZERO)))
    pairs: dict[str, tuple[Decimal, Decimal]] = {
        "gross": (item.gross, gross),
        "retention held": (item.held, held),
        "due now": (item.net, gross - held),
    }
    return {name: (in_words(was, item.currency), in_words(is_, now.currency)) for name, (was, is_) in pairs.items()}


def _refusal(item: Item, may_be_sent: bool, capabilities: Capabilities) -> str:
    """Say why a change cannot be taken over where the invoice stands now; empty where it can (R53)."""
    system, ids = item.erp.capitalize(), f"with company {item.company_id} and invoice {item.invoice_id}"
    menu, document = capabilities.menu_path, item.document_id_erp
    again = f"run unlink-invoice {ids}, and send it again with send-invoices"
    if item.state == states.EXPORTED and capabilities.update:
        return (
            ""
            if may_be_sent
            else (
                f"{system} has it, unposted, and in Procore it may not be sent any more. If nobody should pay it, have "
                f"accounting delete document {document} under {menu}, and run unlink-invoice {ids}."
            )
        )
    words = {
        states.EXPORTING: "It is being exported just now; run this again when that is over.",
        states.UNCERTAIN: f"Nobody knows yet whether {system} has it; run settle-uncertain {ids} first.",
        states.EXPORTED: f"{system} has it, unposted, and does not let tieout change it. "
        f"Have accounting delete document {document} under {menu}, {again}.",
        states.GONE: f"It was exported and is gone from {system}: {again}.",
        **dict.fromkeys(
            _PAST_UNPOSTED,
            f"It is posted in {system} as document {document}, which tieout cannot change. Have accounting enter "
            f"the difference in {system}, or the project manager put the invoice back in Procore; "
            f"to leave both as they are, run acknowledge-drift {ids}.",
        ),
        **dict.fromkeys(states.OUTSIDE, f"It is {item.state}: nothing waits. send-invoices sends it as it is now."),
    }
    return words.get(item.state, "")
