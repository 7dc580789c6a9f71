"""Bring what Procore and the ERP know into the ledger, as it came, before anything is decided from it (law 7)."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from data_contracts.fetched import FetchedInvoice, InvoiceStub
from data_contracts.invoice import UNSENDABLE, Invoice
from data_contracts.reference import Problem
from tieout import settings
from tieout.connectors.base import ERP
from tieout.connectors.procore import Procore, parse_invoice
from tieout.errors import RefusedError
from tieout.ledger import records, states
from tieout.ledger.book import Ledger, Transaction, canonical, digest_of
from tieout.ledger.records import Sighting
from tieout.terms import known_projects

Clock = Callable[[], datetime]
# Rows may move between pages while we list, and Procore's clock is not ours: read a little again each time.
_OVERLAP = timedelta(minutes=5)
_WHOLE_EVERY = timedelta(days=7)
_PIECE = 100  # bodies in memory at once, and per commit
_WAITING = (*states.JUDGED, states.ACCEPTED, states.FAILED)
# What a body may change without a new decision; only used where a body breaks its contract and cannot be parsed.
_VOLATILE = ("updated_at", "origin_id", "origin_data", "erp_status", "status", "attachments", "payment_summary")


@dataclass(frozen=True)
class Fetched:
    """What one project's listing gave."""

    project_id: int
    seen: int = 0
    changed: int = 0
    problems: tuple[str, ...] = ()
    skipped: str = ""  # why the project was passed over, in Procore's words


def list_projects(ledger: Ledger, procore: Procore, clock: Clock) -> list[int]:
    """Return the projects that the policy does not pass over, after storing what Procore says of them."""
    skipped = settings.policy().skip_projects
    projects = [each for each in procore.projects() if each.is_active and each.project_id_procore not in skipped]
    with ledger.transaction(clock(), "intake") as tx:
        for project in projects:
            records.store_reference(tx, f"project/{project.project_id_procore}", project.model_dump_json())
    return [project.project_id_procore for project in projects]


def fetch_changed(ledger: Ledger, procore: Procore, project_id: int, clock: Clock) -> Fetched:
    """Store every invoice of the project that changed since the last time; a 403 passes the project over.

    Once a week everything is listed: an invoice that was deleted shows in no listing of what changed (law 9).
    """
    name, whole = f"procore/{project_id}/invoices", f"procore/{project_id}/whole"
    with ledger.reading() as connection:
        since, listed_at = records.watermark(connection, name), records.watermark(connection, whole)
    is_whole = since is None or listed_at is None or clock() - listed_at >= _WHOLE_EVERY
    try:
        stubs, problems = procore.changed_invoices(
            project_id, None if is_whole or since is None else since - _OVERLAP, until=clock() + timedelta(days=1)
        )
    except RefusedError as refusal:
        return Fetched(project_id, skipped=str(refusal))
    listed = {stub.invoice_id_procore for stub in stubs}
    with ledger.reading() as connection:  # as much as was listed, however much is stored
        known = records.sightings(connection, project_id) if is_whole else records.sightings_of(connection, listed)
    news = [stub for stub in stubs if _is_news(stub, known.get(stub.invoice_id_procore))]
    complaints = [problem.message for problem in problems]
    for piece in records.in_pieces(news, _PIECE):
        complaints += _store(ledger, procore, project_id, piece, clock)
    if not complaints:  # what was not seen is read again: the watermark stays
        if is_whole:
            _mark_deleted(ledger, procore, known.keys() - listed, clock)
        with ledger.transaction(clock(), "intake") as tx:
            if reached := [stub.updated_at for stub in stubs if stub.updated_at]:
                records.move_watermark(tx, name, max(reached))
            if is_whole:
                records.move_watermark(tx, whole, tx.now)
    return Fetched(project_id, len(stubs), len(news), tuple(complaints))


def refetch_one(ledger: Ledger, procore: Procore, invoice_id: int, clock: Clock) -> None:
    """Read one invoice again; an answer of 404 marks it gone."""
    with ledger.reading() as connection:
        known = records.sightings_of(connection, [invoice_id])[invoice_id]
    fetched = procore.invoice(known.project_id, invoice_id)
    with ledger.transaction(clock(), "intake") as tx:
        if fetched is None:
            records.store_sighting(tx, replace(known, is_gone=True, is_fresh=True))
        else:
            store_body(tx, procore.company_id, fetched, known)


def store_body(tx: Transaction, company_id: int, fetched: FetchedInvoice, known: Sighting | None) -> Sighting:
    """Store a full body as a snapshot and note it as what Procore shows now."""
    parsed = parse_invoice(fetched.body, company_id, fetched.invoice_id_procore)
    seen = {"company_id": company_id, "project_id": fetched.project_id_procore, "body": fetched.body}
    seen |= {"invoice_id": fetched.invoice_id_procore}
    if isinstance(parsed, Invoice):
        content_hash, status, updated_at = parsed.content_hash(), parsed.status, parsed.updated_at
        key = parsed.number_key(settings.policy().invoice_number == "with_commitment")
        commitment_id: int | None = parsed.commitment_id_procore
    else:
        content_hash, status, key, commitment_id = _hash_of_unreadable(fetched.body), "approved", "", None
        updated_at = fetched.updated_at or tx.now
    snapshot_id = records.store_snapshot(tx, {**seen, "content_hash": content_hash})
    is_same = known is not None and (known.content_hash, known.status) == (content_hash, status) and not known.is_gone
    sighting = Sighting(
        company_id=company_id,
        invoice_id=fetched.invoice_id_procore,
        project_id=fetched.project_id_procore,
        commitment_id=commitment_id,
        status=status,
        updated_at=updated_at,
        snapshot_id=snapshot_id,
        content_hash=content_hash,
        number_key=key,
        is_fresh=not is_same or (known is not None and known.is_fresh),
        is_gone=False,
    )
    records.store_sighting(tx, sighting)
    return sighting


def read_books(ledger: Ledger, procore: Procore, project_ids: Iterable[int], clock: Clock) -> list[Problem]:
    """Read the reference data of those projects in which something waits to be judged, and the vendors once."""
    projects, problems = known_projects(ledger), []
    waiting = [project_id for project_id in project_ids if project_id in projects and _waits(ledger, project_id)]
    if not waiting:
        return []
    vendors = "\n".join(vendor.model_dump_json() for vendor in procore.vendors())
    with ledger.transaction(clock(), "intake") as tx:
        records.store_reference(tx, "vendors", vendors)
    for project_id in waiting:
        try:
            books, found = procore.project_books(projects[project_id])
        except RefusedError as refusal:
            problems.append(Problem(system="Procore", check="project", is_blocking=False, message=str(refusal)))
            continue
        problems += found
        with ledger.transaction(clock(), "intake") as tx:
            records.store_reference(tx, f"books/{project_id}", books.model_dump_json())
    return problems


def read_reference(ledger: Ledger, erp: ERP, clock: Clock) -> None:
    """Read the ERP's vendors, jobs, phases and subcontracts."""
    body = erp.reference().model_dump_json()
    with ledger.transaction(clock(), "intake") as tx:
        records.store_reference(tx, f"erp/{settings.company().erp}", body)


def _is_news(stub: InvoiceStub, known: Sighting | None) -> bool:
    return known is None or stub.updated_at is None or known.updated_at != stub.updated_at or known.is_gone


def _store(ledger: Ledger, procore: Procore, project_id: int, stubs: list[InvoiceStub], clock: Clock) -> list[str]:
    # A status that we do not know is read too, so that it ends as a named reason on its invoice.
    readable = {stub.invoice_id_procore: stub for stub in stubs if stub.status not in UNSENDABLE}
    fetched = {each.invoice_id_procore: each for each in procore.invoices(project_id, list(readable))}
    with ledger.transaction(clock(), "intake") as tx:
        known = records.sightings_of(tx.connection, [stub.invoice_id_procore for stub in stubs])
        for stub in stubs:
            invoice_id = stub.invoice_id_procore
            if invoice_id in fetched:
                body = fetched[invoice_id]
                body = body if body.updated_at else body.model_copy(update={"updated_at": stub.updated_at})
                store_body(tx, procore.company_id, body, known.get(invoice_id))
            elif invoice_id not in readable:
                records.store_sighting(tx, _bare(tx, procore.company_id, project_id, stub, known.get(invoice_id)))
    missing = [invoice_id for invoice_id in readable if invoice_id not in fetched]
    return [
        f"Procore listed invoice {invoice_id} but did not show it; it is read again next time" for invoice_id in missing
    ]


def _bare(tx: Transaction, company_id: int, project_id: int, stub: InvoiceStub, known: Sighting | None) -> Sighting:
    updated_at = stub.updated_at or tx.now
    if known is not None:
        return replace(known, status=stub.status, updated_at=updated_at, is_fresh=True, is_gone=False)
    return Sighting(
        company_id, stub.invoice_id_procore, project_id, None, stub.status, updated_at, None, "", "", False, False
    )


def _mark_deleted(ledger: Ledger, procore: Procore, missing: Iterable[int], clock: Clock) -> None:
    with ledger.reading() as connection:
        suspects = [each for each in records.sightings_of(connection, missing).values() if not each.is_gone]
    for each in suspects:
        if procore.invoice(each.project_id, each.invoice_id) is None:
            with ledger.transaction(clock(), "intake") as tx:
                records.store_sighting(tx, replace(each, is_gone=True, is_fresh=True))


def _waits(ledger: Ledger, project_id: int) -> bool:
    with ledger.reading() as connection:  # no terms have an empty fingerprint: all that may be judged is meant
        return bool(records.unjudged(connection, project_id, _WAITING, fingerprint=""))


def _hash_of_unreadable(body: str) -> str:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return digest_of(body)
    if not isinstance(fields, dict):
        return digest_of(body)
    return digest_of(canonical({name: value for name, value in fields.items() if name not in _VOLATILE}))
