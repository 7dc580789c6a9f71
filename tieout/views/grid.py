"""The import grid: every invoice of a project that Procore ever showed us, and whether it was imported (R55 to R68)."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, Final, Literal
from uuid import uuid4
from zoneinfo import ZoneInfo

from data_contracts.invoice import ZERO, Invoice
from data_contracts.money import from_minor, in_words
from tieout import settings
from tieout.connectors.procore import parse_invoice
from tieout.decisions.choice import named_project
from tieout.errors import RefusedError
from tieout.export.drift import open_drift
from tieout.judgement.cases import completed
from tieout.ledger import database, grids, sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.database import Reader
from tieout.ledger.items import Item
from tieout.ledger.links import LINKED
from tieout.ledger.sightings import Sighting
from tieout.office import Office
from tieout.views.standing import in_brief
from tieout.wording import ERROR, IMPORTED, IN_QUEUE, NOT_IMPORTED, STATUSES

DateBasis = Literal["changed", "billed"]
PROVENANCE: Final = "Invoice Imported From Procore"  # R67
_NO_REASON_YET: Final = {
    states.UNCERTAIN: "It was sent and the answer was lost; tieout looks for it in the ERP.",
    states.GONE: "It is no longer in the ERP.",
}
_IN_ORDER = (NOT_IMPORTED, IN_QUEUE, IMPORTED, ERROR)
_PIECE = 125  # invoices whose bodies are read together
_LONGEST = 36_525  # days, a hundred years
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which invoices are meant: all of a project, or those of the past days; day 0 is today (AM-14)."""

    project_id: int
    past_days: int | None = None
    date_basis: DateBasis = "changed"  # last changed in Procore, or billed

    @property
    def key(self) -> str:
        """Return under what the list is kept: one name for each project and each way to narrow it."""
        if self.past_days is None:
            return f"invoices-of-project-{self.project_id}"
        return f"invoices-of-project-{self.project_id}-{self.date_basis}-past-{self.past_days}-days"

    @property
    def words(self) -> str:
        """Return the range as people say it."""
        if self.past_days is None:
            return "all"
        days = "today" if self.past_days == 0 else f"today and the {self.past_days} days before"
        return f"{'last changed in Procore' if self.date_basis == 'changed' else 'billed'} {days}"

    def first_day(self, now: datetime, zone: ZoneInfo) -> date | None:
        """Return the first whole day of the range in the company's time zone; RefusedError for a senseless number."""
        if self.past_days is None:
            return None
        if not 0 <= self.past_days <= _LONGEST:
            raise RefusedError("Ledger", f"past_days {self.past_days}", f"it must be 0 (today) to {_LONGEST}")
        return now.astimezone(zone).date() - timedelta(days=self.past_days)


@dataclass(frozen=True, slots=True)
class Row:
    """One invoice; amounts are None where nobody has judged it and its figures cannot be read."""

    status: str
    number: str
    vendor: str
    error: str
    commitment: str
    period: str
    gross: Decimal | None
    retainage: Decimal | None
    net: Decimal | None
    paid: Decimal | None
    currency: str
    document: str
    batch: str
    updated_at: datetime  # in Procore
    in_procore: str  # its status there
    state: str  # in the ledger
    provenance: str
    invoice_id: int


_COLUMNS = (
    *("status", "number", "vendor", "error message", "commitment", "period", "gross", "retainage", "net", "paid"),
    *("currency", "ERP document", "batch", "updated at", "status in Procore", "state", "provenance", "Procore id"),
)


_VALUES = attrgetter(*Row.__slots__)


@dataclass(frozen=True)
class Grid:
    """What was written of one scope: its first rows, how many there are of each status, and the file with them all."""

    scope: Scope
    project: str
    written_at: datetime
    counts: dict[str, int]
    first: list[Row] = field(default_factory=list)
    file: Path | None = None
    problem: str = ""  # why there is no file

    @property
    def in_short(self) -> str:
        """Return the counts in one line, and where all rows are."""
        told = ", ".join(f"{status} {self.counts[status]}" for status in _IN_ORDER)
        total = sum(self.counts.values())
        shown = "" if len(self.first) == total else f" The table shows the {len(self.first)} changed last."
        where = f" All {total} rows: {self.file}" if self.file else f" There is no file: {self.problem}."
        return f"{told} ({self.scope.words}).{shown}{where}"


def read(ledger: Ledger, scope: Scope, office: Office) -> Iterator[Row]:
    """Yield the invoices of the scope, newest change first; memory stays flat."""
    first_day, company = scope.first_day(office.clock(), office.settings.company.zone), office.settings.company
    changed_since = (
        datetime.combine(first_day, time(), company.zone) if first_day and scope.date_basis == "changed" else None
    )
    billed_since = first_day if scope.date_basis == "billed" else None
    with ledger.reading() as connection:
        found = grids.seen_with_items(connection, scope.project_id, changed_since, billed_since)
        for piece in database.in_pieces(found, _PIECE):
            invoices = _never_sent(connection, piece)
            for sighting, item in piece:
                yield _row(sighting, item, invoices.get(sighting.invoice_id), company)


def write(ledger: Ledger, scope: Scope, office: Office) -> Grid:
    """Write all rows into a CSV file and return the first ones; a folder that takes no file does not stop this.

    Raises RefusedError for a project that Procore never listed and for a senseless range.
    """
    project, now = named_project(ledger, scope.project_id).name, office.clock()
    file = office.settings.grid.folder / f"{scope.key}.csv"
    tally = Tally(office.settings.grid.rows)
    rows = tally.of(read(ledger, scope, office))
    problem = _try_to_write(rows, file)
    for _ in rows:  # what no file took is counted all the same
        pass
    return Grid(scope, project, now, tally.counts, tally.first, None if problem else file, problem)


def moved_projects(ledger: Ledger, office: Office, rest: timedelta = timedelta()) -> tuple[int, list[int]]:
    """Return the newest event, and the projects whose lists it or an earlier one made old.

    None are, within `rest` of the last time: a storm of small runs shall not write a list for each.
    """
    with ledger.reading() as connection:
        event_id, written_at, projects = grids.moved_since_written(connection)
    if written_at and timedelta() <= office.clock() - written_at < rest:
        return event_id, []
    return event_id, projects


def note_written(ledger: Ledger, event_id: int, office: Office) -> None:
    """Note that all lists show what happened up to this event."""
    with ledger.transaction(office.clock(), "grid") as tx:
        grids.note_written(tx, event_id)


def write_csv(rows: Iterable[Row], text: IO[str]) -> None:
    """Write rows as CSV with plain amounts; what a spreadsheet would take for a formula gets an apostrophe in front."""
    sheet = csv.writer(text)
    sheet.writerow(_COLUMNS)
    for row in rows:
        sheet.writerow([_plain(value) for value in _cells(row).values()])


def as_table(rows: Iterable[Row]) -> list[dict[str, str]]:
    """Return the rows as people read them in Prefect, with amounts in words."""
    return [{name: _in_words(value, row.currency) for name, value in _cells(row).items()} for row in rows]


@dataclass
class Tally:
    """Counts rows that pass by, and keeps the first ones."""

    most: int
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_IN_ORDER, 0))
    first: list[Row] = field(default_factory=list)

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows."""
        for row in rows:
            self.counts[row.status] += 1
            if len(self.first) < self.most:
                self.first.append(row)
            yield row


def _try_to_write(rows: Iterable[Row], file: Path) -> str:
    """Put the rows into the file, which is the old one until all of them are there; return what stood in the way."""
    partly = file.with_suffix(f".{uuid4().hex}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partly.open("w", encoding="utf-8-sig", newline="") as text:  # by that mark Excel knows the encoding
            write_csv(rows, text)
        partly.replace(file)
    except OSError as error:
        with suppress(OSError):
            partly.unlink(missing_ok=True)
        return str(error)
    return ""


def _row(seen: Sighting, item: Item | None, invoice: Invoice | None, company: settings.Company) -> Row:
    status = STATUSES[item.state] if item else NOT_IMPORTED
    gross, retainage, currency = None, None, company.currency
    if item:
        gross, retainage, currency = item.gross, item.held, item.currency
    elif invoice:
        gross, retainage, currency = invoice.gross, max(invoice.held, ZERO), invoice.currency
    return Row(
        status=status,
        error=_error(item) if item else "",
        number=item.number if item else seen.number,
        vendor=(item.vendor if item else "") or seen.vendor,
        commitment=seen.commitment,
        period=seen.period,
        gross=gross,
        retainage=retainage,
        net=None if gross is None or retainage is None else gross - retainage,
        paid=from_minor(item.settled_minor, item.currency) if item else None,
        currency=currency,
        document=(item.document_id_erp if item else "") or "",
        batch=(item.batch_code if item else "") or "",
        updated_at=seen.updated_at.astimezone(company.zone),
        in_procore="deleted" if seen.is_gone else seen.status.replace("_", " "),
        state=item.state if item else "",
        provenance=PROVENANCE if item and item.state in LINKED else "",
        invoice_id=seen.invoice_id,
    )


def _error(item: Item) -> str:
    if STATUSES[item.state] != ERROR and not open_drift(item):
        return ""
    return in_brief(item) or _NO_REASON_YET.get(item.state, "")


def _never_sent(connection: Reader, pairs: Sequence[tuple[Sighting, Item | None]]) -> dict[int, Invoice]:
    """Read the figures of those that no item holds, completed by the invoices before them."""
    unsent = [seen for seen, item in pairs if item is None and seen.snapshot_id is not None]
    bodies = sightings.bodies(connection, [seen.snapshot_id for seen in unsent if seen.snapshot_id is not None])
    parsed = [parse_invoice(bodies[seen.snapshot_id or 0], seen.company_id, seen.invoice_id) for seen in unsent]
    return completed(connection, [invoice for invoice in parsed if isinstance(invoice, Invoice)])


def _cells(row: Row) -> dict[str, Any]:
    return dict(zip(_COLUMNS, _VALUES(row), strict=True))


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_STARTS_A_FORMULA) else value
    return _text(value)


def _in_words(value: Any, currency: str) -> str:
    return in_words(value, currency) if isinstance(value, Decimal) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat(sep=" ", timespec="seconds") if isinstance(value, datetime) else str(value)
