"""Bring what judging looks up into the ledger: projects, commitments, papers, the ERP's master data."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from data_contracts.batches import check_reference, why_not_whole
from data_contracts.commitment import ProjectBooks
from data_contracts.invoice import Invoice
from data_contracts.reference import Problem
from tieout.connectors.base import ERP
from tieout.connectors.procore import Procore, parse_invoice
from tieout.errors import ContractError, RefusedError
from tieout.ledger import references, sightings, states, watermarks
from tieout.ledger.book import Ledger
from tieout.ledger.digests import canonical
from tieout.ledger.references import known_projects
from tieout.office import Office
from tieout.progress import Progress, followed, unseen
from tieout.settings import Policy

_Shown = TypeVar("_Shown")
_WAITING = (*states.JUDGED, states.ACCEPTED, states.FAILED)


def list_projects(ledger: Ledger, procore: Procore, office: Office) -> list[int]:
    """Return the projects that the policy does not pass over, after storing what Procore says of them."""
    skipped = office.settings.policy.skip_projects
    projects = [each for each in procore.projects() if each.is_active and each.project_id_procore not in skipped]
    known = known_projects(ledger)
    with ledger.transaction(office.clock(), "intake") as tx:
        for project in projects:
            references.store_reference(tx, f"project/{project.project_id_procore}", project.model_dump_json())
            if project.project_id_procore not in known:  # its silence counts from now on
                watermarks.move_watermark(tx, watermarks.answered(project.project_id_procore), tx.now)
    return [project.project_id_procore for project in projects]


def read_books(
    ledger: Ledger, procore: Procore, project_ids: Iterable[int], office: Office, progress: Progress = unseen
) -> list[Problem]:
    """Read the reference data of those projects in which something waits to be judged, and the vendors once."""
    policy, problems = office.settings.policy, list[Problem]()
    projects = known_projects(ledger, [project_id for project_id in project_ids if _waits(ledger, project_id)])
    if not projects:
        return []
    vendors = "\n".join(vendor.model_dump_json() for vendor in procore.vendors())
    with ledger.transaction(office.clock(), "intake") as tx:
        references.store_reference(tx, "vendors", vendors)
    for project_id, project in followed(projects.items(), len(projects), progress):
        try:
            books, found = procore.project_books(project)
        except RefusedError as refusal:
            problems.append(Problem(system="Procore", check="project", is_blocking=False, message=str(refusal)))
            continue
        if policy.asks_for_papers:
            books, missing = _read_papers(procore, books, _waiting_invoices(ledger, project_id), policy)
            found += missing
        problems += found
        with ledger.transaction(office.clock(), "intake") as tx:
            references.store_reference(tx, f"books/{project_id}", books.model_dump_json())
    return problems


def _read_papers(
    procore: Procore, books: ProjectBooks, waiting: Iterable[Invoice], policy: Policy
) -> tuple[ProjectBooks, list[Problem]]:
    """Read what the policy asks for of the invoices that wait; what Procore refuses to show counts as missing."""
    project_id, problems, invoices = books.project.project_id_procore, list[Problem](), list(waiting)
    billed = {each.commitment_id_procore for each in invoices}
    is_asked = {policy.insurance, policy.compliance_documents} != {"allow"}
    ours = [each for each in books.commitments if is_asked and each.commitment_id_procore in billed]
    shown = [_asked(partial(procore.compliance, project_id, each), problems) for each in ours]
    ids = {id_ for each in invoices for id_ in (each.invoice_id_procore, each.previous_invoice_id_procore)}
    asked = sorted(each for each in ids if each is not None) if policy.lien_waiver != "allow" else []
    waivers = [_asked(partial(procore.lien_waivers, project_id, each), problems) for each in asked]
    found = {
        "compliance": tuple(each for each in shown if each is not None),
        "lien_waivers": tuple(waiver for each in waivers for waiver in each or ()),
    }
    return books.model_copy(update=found), problems


def _asked(ask: Callable[[], _Shown], problems: list[Problem]) -> _Shown | None:
    try:
        return ask()
    except (RefusedError, ContractError) as error:
        problems.append(Problem(system="Procore", check="papers", is_blocking=False, message=str(error)))
        return None


def read_reference(ledger: Ledger, erp: ERP, office: Office) -> list[str]:
    """Read the ERP's vendors, jobs, phases and subcontracts; return what of them cannot be believed and is left out.

    Raises ContractError, and leaves all as it was read before, where so much is missing that nothing could be judged.
    """
    name = erp.capabilities.name
    system = name.capitalize()
    read = erp.reference()
    if why := why_not_whole(read):
        raise ContractError(system, "the master data", why)
    with ledger.reading() as connection:
        checked = references.references(connection, [_checked(name)]).get(_checked(name), "{}")
    before = json.loads(checked)
    if before.get("read") == read.fingerprint():
        return list(before["problems"])
    sound, findings = check_reference(read, system)
    problems = [f"{each.message} {each.remedy}" for each in findings]
    with ledger.transaction(office.clock(), "intake") as tx:
        references.store_reference(tx, f"erp/{name}", sound.model_dump_json())
        references.store_reference(tx, _checked(name), canonical({"read": read.fingerprint(), "problems": problems}))
    return problems


def _checked(name: str) -> str:
    """Return under which name it is kept what was found when the master data was checked last."""
    return f"checked/{name}"


def _waits(ledger: Ledger, project_id: int) -> bool:
    with ledger.reading() as connection:  # no basis has an empty fingerprint: all that may be judged is meant
        return bool(sightings.unjudged(connection, project_id, _WAITING, fingerprint=""))


def _waiting_invoices(ledger: Ledger, project_id: int) -> list[Invoice]:
    """Return the invoices that may be judged, as far as they can be read."""
    with ledger.reading() as connection:
        seen = sightings.sightings_of(connection, sightings.unjudged(connection, project_id, _WAITING, fingerprint=""))
        bodies = sightings.bodies(connection, [each.snapshot_id for each in seen.values() if each.snapshot_id])
    parsed = (parse_invoice(bodies[each.snapshot_id], each.company_id) for each in seen.values() if each.snapshot_id)
    return [each for each in parsed if isinstance(each, Invoice)]
