"""Ask the automatic import to take up again what it did not bring in: Not imported and Error only (R63, AM-16)."""

from collections.abc import Sequence

from data_contracts.invoice import SENDABLE
from tieout import wording
from tieout.decisions.answers import REFUSED, Answer
from tieout.judgement import batch
from tieout.judgement.basis import Basis
from tieout.ledger import sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item
from tieout.ledger.sightings import Sighting
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import Signature

_FIRST: dict[str, str] = {  # of what stands under Error in the grid, but is not for judging again
    states.UNCERTAIN: "nobody knows yet whether the ERP has it; wait until tieout finds out, or run settle-uncertain",
    states.GONE: "it was in the ERP and is gone; run unlink-invoice first",
}


def reprocess(
    ledger: Ledger, basis: Basis, project_id: int, invoice_ids: Sequence[int], by: Signature, office: Office
) -> list[Answer]:
    """Judge these invoices as Procore showed them last; say of each what came of it.

    What is sound and was never accepted waits in Ready to Export; what was accepted at these very figures may be
    exported. Raises RefusedError when they may not send invoices of this project.
    """
    rights.require(ledger, by, rights.sender(project_id), f"reprocessing in project {project_id}", office)
    with ledger.reading() as connection:
        seen = sightings.sightings_of(connection, invoice_ids)
    before = {item.invoice_id: item for item in ledger.items(invoice_id=list(invoice_ids))}
    reasons = {each: _why_not(basis, seen[each], before.get(each)) for each in invoice_ids}
    wanted = [invoice_id for invoice_id, reason in reasons.items() if not reason]
    batch.rejudge(ledger, basis, wanted, office.in_name_of(by.name))
    after = {item.invoice_id: item for item in ledger.items(invoice_id=wanted)}
    return [_answer(seen[each], reason, after.get(each)) for each, reason in reasons.items()]


def _why_not(basis: Basis, seen: Sighting, item: Item | None) -> str:
    """Say why this one is not reprocessed; empty where it is."""
    policy, status = basis.policy, wording.STATUSES[item.state] if item else wording.NOT_IMPORTED
    if seen.project_id in policy.skip_projects:
        return "automatic import is off for this project: the policy skips it (skip_projects)"
    if not policy.auto_send_statuses:
        return "automatic import is off: the policy sends nothing by itself (auto_send_statuses)"
    if item is not None and status not in (wording.NOT_IMPORTED, wording.ERROR):
        return f"it is {status} ({item.state}); only what is Not imported or Error is reprocessed"
    if item is not None and item.state in _FIRST:
        return _FIRST[item.state]
    if seen.is_gone:
        return "it is gone from Procore"
    if seen.status not in SENDABLE:
        return f"its status in Procore is {_words(seen.status)}, in which it cannot be sent"
    if status == wording.NOT_IMPORTED and seen.status not in policy.auto_send_statuses:
        automatic = ", ".join(map(_words, policy.auto_send_statuses))
        return f"its status is {_words(seen.status)}, and automatic import takes {automatic}; use send-invoices"
    return ""


def _answer(seen: Sighting, reason: str, after: Item | None) -> Answer:
    number = seen.number or str(seen.invoice_id)
    if after is None:
        return Answer(seen.invoice_id, number, REFUSED, reason or "it was changed just now; ask again")
    return Answer(seen.invoice_id, number, after.state, "; ".join(each.message for each in after.reasons))


def _words(status: str) -> str:
    return status.replace("_", " ").title()
