"""Judge what Procore shows, many invoices at once: what is sound goes to Ready to Export, the rest is held."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from data_contracts.fetched import UnreadableInvoice
from data_contracts.invoice import Invoice
from data_contracts.reference import Finding
from data_contracts.verdicts import unreadable
from tieout.connectors.procore.translation import parse_invoice
from tieout.garbage import undisturbed
from tieout.judgement.basis import Basis
from tieout.judgement.cases import previous_invoices, read_cases
from tieout.judgement.placement import Reading, because_of, facts_of, place
from tieout.judgement.related import with_held_before
from tieout.judgement.rulebook import judge, rules_version
from tieout.ledger import database, judgements, sightings, states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.database import Reader
from tieout.ledger.digests import digest_of
from tieout.ledger.items import Item, find_items
from tieout.ledger.judgements import Judgement
from tieout.ledger.references import known_projects
from tieout.office import Office
from tieout.progress import Progress, followed, unseen

_PIECE = 500  # invoices that are judged together, in one batch of checks and one commit
_JUDGED_AGAIN = (*states.JUDGED, states.ACCEPTED, states.FAILED)


@dataclass(frozen=True)
class Judged:
    """How many invoices went where."""

    counts: dict[str, int] = field(default_factory=dict)


def judge_projects(
    ledger: Ledger, basis: Basis, project_ids: Iterable[int], office: Office, progress: Progress = unseen
) -> Judged:
    """Judge what is new in these projects and, where its basis changed, what was judged before.

    Raises SettingsError for a project of which the commitments were never read, when all others are judged.
    """
    with ledger.reading() as connection:
        seen = {
            project_id: sightings.unjudged(connection, project_id, _JUDGED_AGAIN, judged_by)
            for project_id, judged_by in basis.prints_now(connection, list(project_ids)).items()
        }
        basis = basis.with_books(connection, [project_id for project_id, ours in seen.items() if ours])
    counts: Counter[str] = Counter()
    for piece in _pieces(basis, seen, progress):
        counts.update(_judge_piece(ledger, basis, piece, office))
    return Judged(dict(counts))


def rejudge_one(ledger: Ledger, basis: Basis, invoice_id: int, office: Office) -> Item:
    """Judge one invoice again by what Procore shows now, whatever the basis was before; a person asked for it."""
    rejudge(ledger, basis, [invoice_id], office)
    return ledger.items(invoice_id=invoice_id)[0]


def rejudge(
    ledger: Ledger,
    basis: Basis,
    invoice_ids: Sequence[int],
    office: Office,
    refresh: dict[str, str] | None = None,
    progress: Progress = unseen,
) -> None:
    """Judge these invoices, sent before or not, because a person asked for it.

    With `refresh`, which the event tells, an accepted one whose figures are others now waits for a new acceptance,
    though its own content is the same: figures hang on the invoice before it.
    """
    by_project: dict[int, list[int]] = {}
    with ledger.reading() as connection:
        for sighting in sightings.sightings_of(connection, invoice_ids).values():
            by_project.setdefault(sighting.project_id, []).append(sighting.invoice_id)
        basis = basis.with_books(connection, by_project.keys())
    for piece in _pieces(basis, by_project, progress):
        _judge_piece(ledger, basis, piece, office, asked=True, refresh=refresh)


def _pieces(basis: Basis, by_project: Mapping[int, Sequence[int]], progress: Progress) -> Iterator[Sequence[int]]:
    """Yield what is judged together, whatever the project: a batch costs much the same however large it is.

    Last come the projects that lack what judging needs, each by itself, so that they stop no other.
    """
    together = [each for project_id, ours in by_project.items() if project_id in basis.books for each in ours]
    pieces: list[Sequence[int]] = list(database.in_pieces(together, _PIECE))
    pieces += [ours for project_id, ours in by_project.items() if project_id not in basis.books and ours]
    return followed(pieces, sum(map(len, pieces)), progress, len)


@undisturbed()
def _judge_piece(
    ledger: Ledger,
    basis: Basis,
    invoice_ids: Sequence[int],
    office: Office,
    asked: bool = False,
    refresh: dict[str, str] | None = None,
) -> Counter[str]:
    now = office.clock()
    with ledger.reading() as connection:
        readings = _read(connection, basis, invoice_ids, now)
    counts: Counter[str] = Counter()
    projects = known_projects(ledger, {reading.sighting.project_id for reading in readings})
    with ledger.transaction(office.clock(), office.actor) as tx:
        readings = _still_true(tx, readings)
        for reading in readings:
            project = projects[reading.sighting.project_id].name
            item = place(tx, basis, project, replace(reading, refresh=refresh), asked)
            if item is not None:
                counts[item.state] += 1
        _keep_results(tx, basis, readings, now)
    return counts


def _keep_results(tx: Transaction, basis: Basis, readings: Sequence[Reading], now: datetime) -> None:
    """Keep what came of judging, of invoices that stay outside too; of one that was never read there is nothing."""
    results = [
        Judgement(each.sighting.company_id, each.sighting.invoice_id, each.sighting.snapshot_id, each.findings)
        for each in readings
        if each.sighting.snapshot_id is not None
    ]
    judgements.keep(tx, now.astimezone(basis.zone).date(), rules_version(), basis.policy_version, results)


def _still_true(tx: Transaction, readings: Sequence[Reading]) -> list[Reading]:
    """Leave out what somebody else read or moved while we judged: it was judged by them, or is judged next time."""
    invoice_ids = [reading.sighting.invoice_id for reading in readings]
    seen = sightings.sightings_of(tx.connection, invoice_ids, is_to_change=True)
    versions = {item.invoice_id: item.version for item in tx.items(invoice_id=invoice_ids)}
    return [
        reading
        for reading in readings
        if seen[reading.sighting.invoice_id] == reading.sighting
        and versions.get(reading.sighting.invoice_id) == (reading.item.version if reading.item else None)
    ]


def _read(connection: Reader, basis: Basis, invoice_ids: Sequence[int], now: datetime) -> list[Reading]:
    seen = sightings.sightings_of(connection, invoice_ids)
    bodies = sightings.bodies(connection, [each.snapshot_id for each in seen.values() if each.snapshot_id is not None])
    company_ids = {each.invoice_id: each.company_id for each in seen.values()}
    parsed = {
        invoice_id: parse_invoice(bodies[each.snapshot_id], company_ids[invoice_id], invoice_id)
        for invoice_id, each in seen.items()
        if each.snapshot_id is not None
    }
    readable = {invoice_id: invoice for invoice_id, invoice in parsed.items() if isinstance(invoice, Invoice)}
    previous = previous_invoices(connection, readable.values(), readable)
    by_project: dict[int, list[Invoice]] = {}
    for invoice_id, invoice in readable.items():
        by_project.setdefault(seen[invoice_id].project_id, []).append(invoice)
    cases = [
        case
        for project_id, ours in by_project.items()
        for case in read_cases(connection, basis, project_id, ours, now, previous)
    ]
    # As the case has it: Procore's view omits what a line started from, and the amounts depend on that.
    sound = {case.invoice.invoice_id_procore: case.invoice for case in cases}
    findings = with_held_before(cases, judge(cases)) if cases else {}
    items = {item.invoice_id: item for item in find_items(connection, invoice_id=list(invoice_ids))}
    readings = []
    for invoice_id, sighting in seen.items():
        read = parsed.get(invoice_id)
        found = [unreadable(read.reasons)] if isinstance(read, UnreadableInvoice) else findings.get(invoice_id, [])
        body_hash = digest_of(bodies[sighting.snapshot_id]) if sighting.snapshot_id is not None else ""
        readings.append(Reading(sighting, items.get(invoice_id), sound.get(invoice_id), found, body_hash))
    return readings


@dataclass(frozen=True)
class Shown:
    """What Procore shows now of an invoice that the ERP holds."""

    stops: list[Finding]
    facts: dict[str, Any]  # what its row would say of it
    because: dict[str, Any]  # what the judgement was made of


def as_shown(connection: Reader, basis: Basis, item: Item, now: datetime) -> Shown:
    """Judge an invoice that the ERP holds as Procore shows it now; nothing is moved."""
    basis = basis.with_books(connection, [item.project_id])
    [reading] = _read(connection, basis, [item.invoice_id], now)
    return Shown(reading.stops, facts_of(basis, item.project, reading, item.state, item), because_of(basis, reading))
