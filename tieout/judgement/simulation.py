"""Judge the stored snapshots again under another policy and say what would differ; writes nothing anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from data_contracts.case import Case
from data_contracts.fetched import UnreadableInvoice
from data_contracts.invoice import Invoice
from data_contracts.reference import Finding
from data_contracts.verdicts import unreadable, verdict
from tieout.connectors.procore import parse_invoice
from tieout.garbage import undisturbed
from tieout.judgement import billing
from tieout.judgement.basis import Basis, projects_with_books
from tieout.judgement.cases import previous_invoices, read_cases
from tieout.judgement.related import with_held_before
from tieout.judgement.rulebook import judge
from tieout.ledger import database, sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.database import Reader
from tieout.ledger.items import Item, find_items
from tieout.ledger.sightings import Sighting
from tieout.settings import Policy

PASSED_OVER, NOT_SENT = "project skipped", "not sent"
_PIECE = 1_000  # invoices that are judged together


@dataclass(frozen=True)
class Fate:
    """Where a policy takes an invoice that is judged today: its state, what is found, and what the ERP would get."""

    state: str
    rules: tuple[str, ...] = ()  # the rule's id with how grave it is: `over-billed (hold)`
    number: str = ""
    accounting_on: str = ""
    batch: str = ""


@dataclass(frozen=True)
class Difference:
    """One invoice that would not fare the same."""

    invoice_id: int
    number: str
    vendor: str
    project: str
    gross: str
    in_ledger: str  # the state of its item today; empty where it was never sent
    now: Fate
    then: Fate

    @property
    def told(self) -> dict[str, tuple[str, str]]:
        """Return what differs: its name, under the policy of now, under the other one."""
        here, there = ({each.name: getattr(fate, each.name) for each in fields(Fate)} for fate in (self.now, self.then))
        here["rules"], there["rules"] = (
            ", ".join(rule for rule in one.rules if rule not in other.rules)
            for one, other in ((self.now, self.then), (self.then, self.now))
        )
        return {name: (here[name], there[name]) for name in here if here[name] != there[name]}


@dataclass
class Simulation:
    """What came of judging under two policies."""

    judged: int = 0
    differences: list[Difference] = field(default_factory=list)


def simulate(ledger: Ledger, basis: Basis, policy: Policy, now: datetime) -> Simulation:
    """Compare the policy of `basis` with another one over every invoice that Procore shows and that may be sent."""
    result = Simulation()
    with ledger.reading() as connection:
        for project_id in projects_with_books(connection):
            ours = basis.with_books(connection, [project_id])
            other = replace(ours, policy=policy)
            for piece in _sendable(connection, project_id):
                result.judged += len(piece)
                result.differences += _compare(connection, ours, other, project_id, piece, now)
    return result


def _sendable(connection: Reader, project_id: int) -> Iterator[list[Sighting]]:
    seen = sightings.sightings(connection, project_id).values()
    return database.in_pieces((each for each in seen if each.may_be_sent), _PIECE)


@undisturbed()
def _compare(
    connection: Reader, basis: Basis, other: Basis, project_id: int, seen: Sequence[Sighting], now: datetime
) -> list[Difference]:
    bodies = sightings.bodies(connection, [each.snapshot_id for each in seen if each.snapshot_id is not None])
    parsed = {
        each.invoice_id: parse_invoice(bodies[each.snapshot_id], each.company_id, each.invoice_id)
        for each in seen
        if each.snapshot_id is not None
    }
    items = {item.invoice_id: item for item in find_items(connection, invoice_id=[each.invoice_id for each in seen])}
    readable = [invoice for invoice in parsed.values() if isinstance(invoice, Invoice)]
    previous = previous_invoices(connection, readable, {each.invoice_id_procore: each for each in readable})
    cases, cases_then = (read_cases(connection, each, project_id, readable, now, previous) for each in (basis, other))
    found = judge(cases) if cases else {}
    known = {case.invoice.invoice_id_procore: case for case in cases}
    changed = [case for case in cases_then if case != known[case.invoice.invoice_id_procore]]
    found_then = {**found, **judge(changed)} if changed else found  # most policies touch few cases
    stubs = {each.invoice_id: each for each in seen}
    unread = {key: each for key, each in parsed.items() if isinstance(each, UnreadableInvoice)}
    nows, thens = (
        _fates(each, project_id, stubs, unread, its_cases, its_found, now)
        for each, its_cases, its_found in ((basis, cases, found), (other, cases_then, found_then))
    )
    project = basis.books[project_id].project.name
    return [
        _difference(each, parsed.get(each.invoice_id), items.get(each.invoice_id), project, before, after)
        for each in seen
        if (before := nows[each.invoice_id]) != (after := thens[each.invoice_id])
    ]


def _difference(
    seen: Sighting,
    parsed: Invoice | UnreadableInvoice | None,
    item: Item | None,
    project: str,
    before: Fate,
    after: Fate,
) -> Difference:
    gross = f"{item.gross:,}" if item else f"{parsed.gross:,}" if isinstance(parsed, Invoice) else ""
    words = (seen.number, seen.vendor, project, gross, item.state if item else "")
    return Difference(seen.invoice_id, *words, before, after)


def _fates(
    basis: Basis,
    project_id: int,
    seen: dict[int, Sighting],
    unread: dict[int, UnreadableInvoice],
    cases: Sequence[Case],
    found: dict[int, list[Finding]],
    now: datetime,
) -> dict[int, Fate]:
    """Return what one policy makes of these invoices, as if none of them had been sent yet."""
    policy = basis.policy
    if project_id in policy.skip_projects:
        return dict.fromkeys(seen, Fate(PASSED_OVER))
    by_id = {case.invoice.invoice_id_procore: case for case in cases}
    told = with_held_before(cases, found) | {key: [unreadable(each.reasons)] for key, each in unread.items()}
    return {
        invoice_id: _fate(basis, project_id, by_id.get(invoice_id), told.get(invoice_id, []), now)
        if sighting.status in policy.auto_send_statuses
        else Fate(NOT_SENT)
        for invoice_id, sighting in seen.items()
    }


def _fate(basis: Basis, project_id: int, case: Case | None, findings: Sequence[Finding], now: datetime) -> Fate:
    policy = basis.policy
    state: str = verdict(findings)
    if state == states.READY and project_id in policy.auto_accept_projects:
        state = states.ACCEPTED
    rules = tuple(dict.fromkeys(f"{finding.rule} ({finding.severity})" for finding in findings))
    if case is None or state not in (states.READY, states.ACCEPTED):
        return Fate(state, rules)
    batch = billing.batch_code(now, basis.zone, policy.batch_weekday)
    return Fate(state, rules, case.number_erp, str(case.accounting_on or ""), batch)
