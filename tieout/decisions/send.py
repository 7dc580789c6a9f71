"""Send invoices to Ready to Export in a person's name."""

from collections.abc import Sequence

from data_contracts.invoice import SENDABLE
from tieout.decisions.answers import REFUSED, Answer
from tieout.judgement.basis import Basis
from tieout.judgement.batch import rejudge
from tieout.ledger import sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item
from tieout.ledger.sightings import Sighting
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import Signature


def send(
    ledger: Ledger, basis: Basis, project_id: int, invoice_ids: Sequence[int] | None, by: Signature, office: Office
) -> list[Answer]:
    """Send the given invoices, or all sendable ones of the project, in a person's name (R1, R14 to R18).

    Raises RefusedError when they may not send invoices of this project.
    """
    rights.require(ledger, by, rights.sender(project_id), f"sending from project {project_id}", office)
    with ledger.reading() as connection:
        known = sightings.sightings(connection, project_id)
    wanted = list(known if invoice_ids is None else invoice_ids)
    before = {item.invoice_id: item for item in ledger.items(project_id=project_id)}
    candidates = [each for each in wanted if each in known and _may_be_sent(known[each], before.get(each))]
    if invoice_ids is None:
        wanted = candidates
    rejudge(ledger, basis, candidates, office.in_name_of(by.name))
    after = {item.invoice_id: item for item in ledger.items(project_id=project_id)}
    return [_answer(each, known.get(each), before.get(each), after.get(each)) for each in wanted]


def _may_be_sent(sighting: Sighting, item: Item | None) -> bool:
    return sighting.may_be_sent and (item is None or item.state in states.OUTSIDE)


def _answer(invoice_id: int, sighting: Sighting | None, before: Item | None, after: Item | None) -> Answer:
    number = after.number if after else str(invoice_id)
    if sighting is None:
        return Answer(invoice_id, number, REFUSED, "Procore does not show it in this project")
    if sighting.status not in SENDABLE:
        allowed = "Approved, Approved as Noted and Pending Owner Approval"
        return Answer(invoice_id, number, REFUSED, f"its status is {sighting.status}; only {allowed} can be sent")
    if before is not None and before.state not in states.OUTSIDE:
        return Answer(invoice_id, number, REFUSED, f"it was sent before and is {before.state}")
    if after is None:
        return Answer(invoice_id, number, REFUSED, "it is gone from Procore")
    return Answer(invoice_id, number, after.state, "; ".join(finding.message for finding in after.reasons))
