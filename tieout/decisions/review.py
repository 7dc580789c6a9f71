"""What is Ready to Export is offered to an accounting approver, whose decision is recorded before anything follows."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from data_contracts.forms import ALL, All
from data_contracts.invoice import Invoice
from tieout.connectors.procore import parse_invoice
from tieout.decisions.choice import named_project
from tieout.decisions.reject import reject_item
from tieout.errors import ContractError
from tieout.ledger import sightings, states
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.digests import canonical
from tieout.ledger.items import Item
from tieout.ledger.references import known_projects
from tieout.ledger.reviews import Review, close_review, open_review, read_review
from tieout.office import Office
from tieout.people import rights
from tieout.people.rights import Signature
from tieout.results import Figure, Result
from tieout.settings import Settings

_CLOSED = "this review was closed before the answer came; a new one offers what still waits"


@dataclass(frozen=True)
class Row:
    """One offered invoice as the approver sees it."""

    invoice_id: int
    content_hash: str
    number: str
    vendor: str
    commitment: str
    period: str
    gross: Decimal
    held: Decimal
    net: Decimal
    currency: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Offer:
    """What one review run offers; frozen when the run begins."""

    run_id: str
    project_id: int
    project: str
    rows: tuple[Row, ...]

    @property
    def total(self) -> Decimal:
        """Sum of the gross amounts."""
        return sum((row.gross for row in self.rows), Decimal(0))


@dataclass(frozen=True)
class Decided(Result):
    """What came of an answer; with problems nothing was recorded and the person is asked again."""

    accepted: tuple[int, ...] = ()
    rejected: tuple[int, ...] = ()
    too_late: tuple[tuple[str, str], ...] = ()  # (invoice number, why the decision no longer fits)
    untold: tuple[str, ...] = ()  # sentences about creators whom no mail can reach
    problems: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What the decision came too late for, and whom no mail can reach."""
        return [*(f"{number}: the decision came too late, {why}" for number, why in self.too_late), *self.untold]

    @property
    def figures(self) -> list[Figure]:
        """How many were accepted, and how many rejected."""
        return [("accepted", len(self.accepted)), ("rejected", len(self.rejected))]


def offer(ledger: Ledger, run_id: str, project_id: int, office: Office) -> Offer | None:
    """Freeze what this review run offers, or return what it offered before; None when nothing is READY.

    Raises RefusedError for a project that Procore never listed.
    """
    named_project(ledger, project_id)
    with ledger.transaction(office.clock(), f"run {run_id}") as tx:
        if read_review(tx.connection, run_id) is None:
            ready = tx.items(project_id=project_id, state=states.READY)
            if not ready:
                return None
            open_review(tx, run_id, project_id, [(item.invoice_id, item.content_hash) for item in ready])
    return open_offer(ledger, run_id)


def open_offer(ledger: Ledger, run_id: str) -> Offer:
    """Return what a review run offered, with the figures that were offered; LookupError if it never offered."""
    with ledger.reading() as connection:
        review = read_review(connection, run_id)
        if review is None:
            raise LookupError(f"run {run_id} never offered anything")
        offered = dict(review.offered)
        shown = sightings.bodies_shown(connection, offered)
    items = ledger.items(invoice_id=list(offered))
    project = known_projects(ledger, [review.project_id])[review.project_id].name
    rows = [_row(item, shown[item.invoice_id], offered[item.invoice_id]) for item in items]
    return Offer(run_id, review.project_id, project, _with_own_names(rows))


def waiting_projects(ledger: Ledger) -> dict[int, list[Item]]:
    """Return what is Ready to Export, by project."""
    waiting: dict[int, list[Item]] = {}
    for item in ledger.items(state=states.READY):
        waiting.setdefault(item.project_id, []).append(item)
    return waiting


def supersede(ledger: Ledger, run_id: str, office: Office) -> None:
    """Close a review whose list is no longer true; its invoices wait for the next one."""
    with ledger.transaction(office.clock(), f"run {run_id}") as tx:
        close_review(tx, run_id, "superseded")


def lapse(ledger: Ledger, run_ids: Sequence[str], office: Office) -> None:
    """Close reviews that nobody can answer any more: expired, cancelled, crashed, deleted."""
    with ledger.transaction(office.clock(), "watch") as tx:
        for run_id in run_ids:
            close_review(tx, run_id, "lapsed")


def decide(
    ledger: Ledger,
    run_id: str,
    by: Signature,
    accept: list[str] | All,
    reject: Sequence[tuple[str, str]],
    office: Office,
) -> Decided:
    """Record an approver's decision over the offered list in one commit; an answer given twice changes nothing.

    `accept` is invoice numbers or ALL that are not rejected; `reject` pairs numbers with reasons (R29).
    """
    offered = open_offer(ledger, run_id)
    with ledger.transaction(office.clock(), by.name) as tx:
        review = read_review(tx.connection, run_id)
        if review is None or not review.is_open:
            return _earlier(review) or Decided(too_late=tuple((row.number, _CLOSED) for row in offered.rows))
        problems, rejected = _check(offered, accept, reject)
        problems = rights.objections(tx, office.settings, by, rights.APPROVER) + problems
        if problems:
            return Decided(problems=tuple(problems))
        return _record(tx, office.settings, offered, _chosen(offered, accept, rejected), rejected)


def earlier_decision(ledger: Ledger, run_id: str) -> Decided | None:
    """Return what was decided in this review run, None when nothing was."""
    with ledger.reading() as connection:
        return _earlier(read_review(connection, run_id))


def accept_by_policy(ledger: Ledger, project_ids: Sequence[int], office: Office, policy_version: int) -> int:
    """Accept what is READY in the projects for which the policy says so; off by default."""
    allowed = set(office.settings.policy.auto_accept_projects) & set(project_ids)
    with ledger.transaction(office.clock(), f"policy v{policy_version}") as tx:
        ready = tx.items(state=states.READY, project_id=allowed)
        for item in ready:
            tx.move(item, states.ACCEPT, states.ACCEPTED, {"policy": policy_version})
    return len(ready)


def _record(
    tx: Transaction, settings: Settings, offered: Offer, accepted: Sequence[Row], rejected: dict[int, str]
) -> Decided:
    because = {"run": offered.run_id, **rights.facts(settings, rights.APPROVER)}
    shown = {row.invoice_id: row for row in offered.rows}
    items = {item.invoice_id: item for item in tx.items(invoice_id=list(shown))}
    taken: list[int] = []
    dropped: list[int] = []
    too_late: list[tuple[str, str]] = []
    untold: list[str] = []
    for row in offered.rows:
        item = items[row.invoice_id]
        is_accepted = row in accepted
        if not is_accepted and row.invoice_id not in rejected:
            continue
        if item.state != states.READY or item.content_hash != row.content_hash:
            too_late.append((row.number, _why_stale(item, row)))
        elif is_accepted:
            tx.move(item, states.ACCEPT, states.ACCEPTED, because | {"hash": row.content_hash})
            taken.append(row.invoice_id)
        else:
            untold.append(reject_item(tx, settings, item, rejected[row.invoice_id], because))
            dropped.append(row.invoice_id)
    decided = Decided(tuple(taken), tuple(dropped), tuple(too_late), tuple(filter(None, untold)))
    body = canonical({"accepted": taken, "rejected": dropped, "refused": too_late, "untold": decided.untold})
    close_review(tx, offered.run_id, "decided", tx.actor, body)
    return decided


def _earlier(review: Review | None) -> Decided | None:
    if review is None or review.outcome != "decided":
        return None
    body = json.loads(review.decision)
    lists = (body["accepted"], body["rejected"], map(tuple, body["refused"]), body["untold"])
    return Decided(*map(tuple, lists))


def _check(
    offered: Offer, accept: list[str] | All, reject: Sequence[tuple[str, str]]
) -> tuple[list[str], dict[int, str]]:
    problems: list[str] = []
    rejected: dict[int, str] = {}
    for number, reason in reject:
        rows = [row for row in offered.rows if row.number == number]
        if not rows:
            problems.append(f"{number!r} is not on this list")
        if not reason.strip():
            problems.append(f"a reason is needed for rejecting {number}")
        rejected |= {row.invoice_id: reason.strip() for row in rows}
    if accept is not ALL:
        known = {row.number for row in offered.rows}
        problems += [f"{number!r} is not on this list" for number in accept if number not in known]
        both = {number for number, _ in reject} & set(accept)
        problems += [f"{number} is both accepted and rejected" for number in sorted(both)]
    return problems, rejected


def _chosen(offered: Offer, accept: list[str] | All, rejected: dict[int, str]) -> list[Row]:
    rest = [row for row in offered.rows if row.invoice_id not in rejected]
    return rest if accept is ALL else [row for row in rest if row.number in accept]


def _why_stale(item: Item, row: Row) -> str:
    if item.state != states.READY:
        return f"it is {item.state} by now"
    return "its figures were changed in Procore after this list was shown; a new review offers them"


def _row(item: Item, body: str, content_hash: str) -> Row:
    invoice = parse_invoice(body, item.company_id)
    if not isinstance(invoice, Invoice):
        # It was READY, so it was readable.
        raise ContractError("Ledger", f"invoice {item.number}", "; ".join(invoice.reasons))
    # The figures that were judged and will be exported; a list that is stale by now shows Procore's own.
    is_current = item.content_hash == content_hash
    gross, held = (item.gross, item.held) if is_current else (invoice.gross, invoice.held)
    return Row(
        invoice_id=item.invoice_id,
        content_hash=content_hash,
        number=invoice.invoice_number,
        vendor=invoice.vendor_name,
        commitment=invoice.commitment_name,
        period=f"{invoice.period_start} to {invoice.period_end}",
        gross=gross,
        held=held,
        net=gross - held,
        currency=invoice.currency,
        warnings=tuple(finding.message for finding in item.reasons if finding.severity == "warn"),
    )


def _with_own_names(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Add the vendor to numbers that two subcontractors use, so that each row is called by a name of its own."""
    uses = Counter(row.number for row in rows)
    return tuple(
        row if uses[row.number] == 1 else replace(row, number=f"{row.number} {row.vendor} {row.commitment}")
        for row in rows
    )
