"""Bring Procore's invoices into the ledger as they came, before anything is decided from them (law 7)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from data_contracts.fetched import FetchedInvoice, InvoiceStub
from data_contracts.invoice import UNSENDABLE, Invoice
from tieout.connectors.procore import Procore, parse_invoice
from tieout.errors import RefusedError
from tieout.ledger import census, database, sightings, watermarks
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.digests import digest_of, digest_of_facts
from tieout.ledger.letters import Origin, put_right
from tieout.ledger.references import known_projects, project_name
from tieout.ledger.sightings import Sighting
from tieout.office import Office
from tieout.progress import Progress, followed, unseen
from tieout.results import Figure, Result

# Rows may move between pages while we list, and Procore's clock is not ours: read a little again each time.
_OVERLAP = timedelta(minutes=5)
_WHOLE_EVERY = timedelta(days=7)
_PIECE = 100  # bodies in memory at once, and per commit
# What a body may change without a new decision; only used where a body breaks its contract and cannot be parsed.
_VOLATILE = ("updated_at", "origin_id", "origin_data", "erp_status", "status", "attachments", "payment_summary")


@dataclass(frozen=True)
class Fetched(Result):
    """What one project's listing gave."""

    project_id: int
    project: str  # its name
    seen: int = 0
    changed: int = 0
    problems: tuple[str, ...] = ()
    skipped: str = ""  # why the project was passed over, in Procore's words

    @property
    def notes(self) -> list[str]:
        """Whether the project was passed over, and what could not be read in it."""
        passed_over = [f"{self.project} skipped: {self.skipped}"] if self.skipped else []
        return [*passed_over, *(f"{self.project}: {problem}" for problem in self.problems)]

    @property
    def figures(self) -> list[Figure]:
        """How many invoices are other ones than before."""
        return [("changed in Procore", self.changed)]


def fetch_changed(
    ledger: Ledger, procore: Procore, project_id: int, office: Office, progress: Progress = unseen
) -> Fetched:
    """Store every invoice of the project that changed since the last time; a 403 passes the project over.

    Once a week everything is listed: an invoice that was deleted shows in no listing of what changed (law 9). So it is
    after a census in which Procore and the ledger did not agree.
    """
    name, whole, answered = f"procore/{project_id}/invoices", whole_listing(project_id), watermarks.answered(project_id)
    project = project_name(known_projects(ledger, [project_id]), project_id)
    with ledger.reading() as connection:
        since, listed_at = watermarks.watermark(connection, name), watermarks.moved_at(connection, whole)
        counted = census.last(connection, project_id)
    is_recent = listed_at is not None and timedelta() <= office.clock() - listed_at < _WHOLE_EVERY
    is_doubted = listed_at is not None and counted is not None and counted.is_doubtful_since(listed_at)
    is_whole = since is None or not is_recent or is_doubted
    try:
        stubs, problems = procore.changed_invoices(
            project_id,
            None if is_whole or since is None else since - _OVERLAP,
            until=office.clock() + timedelta(days=1),
        )
    except RefusedError as refusal:
        with ledger.transaction(office.clock(), "intake") as tx:
            watermarks.move_watermark(tx, answered, tx.now)  # a refusal is an answer, and told as such
        return Fetched(project_id, project, skipped=str(refusal))
    listed = {stub.invoice_id_procore for stub in stubs}
    with ledger.reading() as connection:  # as much as was listed, however much is stored
        known = sightings.sightings(connection, project_id) if is_whole else sightings.sightings_of(connection, listed)
    news = [stub for stub in stubs if _is_news(stub, known.get(stub.invoice_id_procore))]
    complaints = [problem.message for problem in problems]
    for piece in followed(database.in_pieces(news, _PIECE), len(news), progress, len):
        complaints += _store(ledger, procore, project_id, piece, office)
    if not complaints:  # what was not seen is read again: the watermark stays
        if is_whole:
            _mark_deleted(ledger, procore, known.keys() - listed, office)
        with ledger.transaction(office.clock(), "intake") as tx:
            if reached := [stub.updated_at for stub in stubs if stub.updated_at]:
                watermarks.move_watermark(tx, name, max(reached))
            if is_whole:
                watermarks.move_watermark(tx, whole, tx.now)
            watermarks.move_watermark(tx, answered, tx.now)
    return Fetched(project_id, project, len(stubs), len(news), tuple(complaints))


def refetch_one(ledger: Ledger, procore: Procore, invoice_id: int, office: Office) -> None:
    """Read one invoice again; an answer of 404 marks it gone."""
    with ledger.reading() as connection:
        before = sightings.sightings_of(connection, [invoice_id])
    fetched = procore.invoice(before[invoice_id].project_id, invoice_id)
    with ledger.transaction(office.clock(), "intake") as tx:
        if fetched is None:
            _mark_gone(tx, before[invoice_id])
        else:
            store_bodies(tx, procore.company_id, [fetched], before)


def store_bodies(
    tx: Transaction, company_id: int, fetched: Sequence[FetchedInvoice], before: Mapping[int, Sighting]
) -> set[int]:
    """Store full bodies and note each as what Procore shows now; return the ids of those that were noted.

    `before` is what was known when reading began. What somebody else stored since then, and is newer, stays.
    """
    now = sightings.sightings_of(tx.connection, [each.invoice_id_procore for each in fetched], is_to_change=True)
    shown: dict[int, Origin] = {}
    for each in fetched:
        invoice_id = each.invoice_id_procore
        sighting = _sighting(tx, company_id, each, now.get(invoice_id))
        if not _is_overtaken(sighting, before.get(invoice_id), now.get(invoice_id)):
            sightings.store_sighting(tx, sighting)
            shown[invoice_id] = (each.origin_id, each.origin_data)
    put_right(tx, shown)
    return set(shown)


def _is_overtaken(sighting: Sighting, before: Sighting | None, now: Sighting | None) -> bool:
    """Whether somebody stored a newer state while we read; what was known before was older, whatever its time says."""
    return now is not None and not _is_as_before(before, now) and now.updated_at > sighting.updated_at


def _is_as_before(before: Sighting | None, now: Sighting) -> bool:
    return before is not None and replace(now, is_fresh=before.is_fresh) == before  # it may have been judged since


def _sighting(tx: Transaction, company_id: int, fetched: FetchedInvoice, known: Sighting | None) -> Sighting:
    """Keep a body as a snapshot and return what it shows."""
    parsed = parse_invoice(fetched.body, company_id, fetched.invoice_id_procore)
    seen = {"company_id": company_id, "project_id": fetched.project_id_procore, "body": fetched.body}
    seen |= {"invoice_id": fetched.invoice_id_procore}
    if isinstance(parsed, Invoice):
        content_hash, status, updated_at = parsed.content_hash(), parsed.status, parsed.updated_at
        key = parsed.number_key()
        commitment_id: int | None = parsed.commitment_id_procore
        shown = _as_listed(parsed)
    else:
        content_hash, status, key, commitment_id = _hash_of_unreadable(fetched.body), "approved", "", None
        updated_at, shown = fetched.updated_at or tx.now, {}
    snapshot_id = sightings.store_snapshot(tx, {**seen, "content_hash": content_hash})
    is_same = known is not None and (known.content_hash, known.status) == (content_hash, status) and not known.is_gone
    return Sighting(
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
        **shown,
    )


def _as_listed(invoice: Invoice) -> dict[str, str]:
    """Return what a list shows of an invoice, whether it is ever sent or not."""
    return {
        "number": invoice.invoice_number[:200],
        "vendor": invoice.vendor_name[:300],
        "commitment": invoice.commitment_name[:300],
        "period": invoice.period,
        "billed_on": str(invoice.billed_on or ""),
    }


def _is_news(stub: InvoiceStub, known: Sighting | None) -> bool:
    return known is None or stub.updated_at is None or known.updated_at != stub.updated_at or known.is_gone


def _store(ledger: Ledger, procore: Procore, project_id: int, stubs: list[InvoiceStub], office: Office) -> list[str]:
    # A status that we do not know is read too, so that it ends as a named reason on its invoice.
    readable = {stub.invoice_id_procore: stub for stub in stubs if stub.status not in UNSENDABLE}
    with ledger.reading() as connection:
        before = sightings.sightings_of(connection, [stub.invoice_id_procore for stub in stubs])
    fetched = procore.invoices(project_id, list(readable))
    with ledger.transaction(office.clock(), "intake") as tx:
        # All of them first: storing bodies locks items, after which no more of these may be locked.
        now = sightings.sightings_of(tx.connection, [stub.invoice_id_procore for stub in stubs], is_to_change=True)
        store_bodies(
            tx, procore.company_id, [_dated(each, readable[each.invoice_id_procore]) for each in fetched], before
        )
        for stub in (each for each in stubs if each.invoice_id_procore not in readable):
            known = now.get(stub.invoice_id_procore)
            sighting = _bare(tx, procore.company_id, project_id, stub, known)
            if not _is_overtaken(sighting, before.get(stub.invoice_id_procore), known):
                sightings.store_sighting(tx, sighting)
    missing = readable.keys() - {each.invoice_id_procore for each in fetched}
    return [
        f"Procore listed invoice {invoice_id} but did not show it; the next run tries again" for invoice_id in missing
    ]


def _dated(fetched: FetchedInvoice, stub: InvoiceStub) -> FetchedInvoice:
    return fetched if fetched.updated_at else fetched.model_copy(update={"updated_at": stub.updated_at})


def _bare(tx: Transaction, company_id: int, project_id: int, stub: InvoiceStub, known: Sighting | None) -> Sighting:
    updated_at = stub.updated_at or tx.now
    if known is not None:
        return replace(known, status=stub.status, updated_at=updated_at, is_fresh=True, is_gone=False)
    return Sighting(
        company_id, stub.invoice_id_procore, project_id, None, stub.status, updated_at, None, "", "", False, False
    )


def _mark_deleted(ledger: Ledger, procore: Procore, missing: Iterable[int], office: Office) -> None:
    with ledger.reading() as connection:
        suspects = [each for each in sightings.sightings_of(connection, missing).values() if not each.is_gone]
    for each in suspects:
        if procore.invoice(each.project_id, each.invoice_id) is None:
            with ledger.transaction(office.clock(), "intake") as tx:
                _mark_gone(tx, each)


def _mark_gone(tx: Transaction, before: Sighting) -> None:
    """Note that an invoice answers 404, unless somebody has seen it since."""
    now = sightings.sightings_of(tx.connection, [before.invoice_id], is_to_change=True)[before.invoice_id]
    if _is_as_before(before, now):
        sightings.store_sighting(tx, replace(now, is_gone=True, is_fresh=True))


def whole_listing(project_id: int) -> str:
    return f"procore/{project_id}/whole"


def _hash_of_unreadable(body: str) -> str:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return digest_of(body)
    if not isinstance(fields, dict):
        return digest_of(body)
    return digest_of_facts({name: value for name, value in fields.items() if name not in _VOLATILE})
