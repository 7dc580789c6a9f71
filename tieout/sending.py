"""Judge what Procore shows and send what is sound to Ready to Export; hold the rest with its reasons."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from data_contracts.case import Case
from data_contracts.invoice import SENDABLE, ZERO, Invoice
from data_contracts.money import round_half_up, to_minor
from data_contracts.reference import Finding
from data_contracts.verdicts import unreadable, verdict
from tieout import billing, releasing, rights
from tieout.connectors.procore import parse_invoice
from tieout.errors import SettingsError
from tieout.judging import build_case, judge, rules_version, undisturbed
from tieout.ledger import judgements, records, states
from tieout.ledger.book import Item, Ledger, Reader, Transaction, canonical, digest_of, find_items
from tieout.ledger.judgements import Judgement
from tieout.ledger.letters import lock, unlock
from tieout.ledger.links import RELEASING
from tieout.ledger.records import Sighting
from tieout.ledger.reviews import supersede_reviews
from tieout.others import others, with_held_before
from tieout.progress import Progress, followed, unseen
from tieout.rights import Signature
from tieout.terms import Terms, known_projects

Clock = Callable[[], datetime]
REFUSED = "refused"
_PIECE = 500  # invoices that are judged together, in one batch of checks and one commit
_JUDGED_AGAIN = (*states.JUDGED, states.ACCEPTED, states.FAILED)


@dataclass(frozen=True)
class Judged:
    """How many invoices went where."""

    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came of sending one invoice."""

    invoice_id: int
    number: str
    outcome: str
    reason: str

    @property
    def is_done(self) -> bool:
        """Whether what was asked for happened; an invoice that is Held was sent, and a check stopped it."""
        return self.outcome != REFUSED


@dataclass(frozen=True)
class Reading:
    """One sighting with its item, its parsed body or the reasons why it has none, and what the checks found."""

    sighting: Sighting
    item: Item | None
    invoice: Invoice | None
    findings: list[Finding]
    body_hash: str  # of the body as it came
    refresh: dict[str, str] | None = None  # who wants the figures of now taken over, whatever they were: for the event

    @property
    def stops(self) -> list[Finding]:
        """The findings that stop it; warnings do not."""
        return [finding for finding in self.findings if finding.severity != "warn"]


def judge_projects(
    ledger: Ledger, terms: Terms, project_ids: Iterable[int], clock: Clock, actor: str, progress: Progress = unseen
) -> Judged:
    """Judge what is new in these projects and, where its terms changed, what was judged before.

    Raises SettingsError for a project of which the commitments were never read, when all others are judged.
    """
    with ledger.reading() as connection:
        seen = {
            project_id: records.unjudged(connection, project_id, _JUDGED_AGAIN, terms.fingerprint(project_id))
            for project_id in project_ids
        }
    counts: Counter[str] = Counter()
    for piece in _pieces(terms, seen, progress):
        counts.update(_judge_piece(ledger, terms, piece, clock, actor))
    return Judged(dict(counts))


def rejudge_one(ledger: Ledger, terms: Terms, invoice_id: int, clock: Clock, actor: str) -> Item:
    """Judge one invoice again by what Procore shows now, whatever the terms were before; a person asked for it."""
    rejudge(ledger, terms, [invoice_id], clock, actor)
    return ledger.items(invoice_id=invoice_id)[0]


def rejudge(
    ledger: Ledger,
    terms: Terms,
    invoice_ids: Sequence[int],
    clock: Clock,
    actor: str,
    refresh: dict[str, str] | None = None,
    progress: Progress = unseen,
) -> None:
    """Judge these invoices, sent before or not, because a person asked for it.

    With `refresh`, which the event tells, an accepted one whose figures are others now waits for a new acceptance,
    though its own content is the same: figures hang on the invoice before it.
    """
    by_project: dict[int, list[int]] = {}
    with ledger.reading() as connection:
        for sighting in records.sightings_of(connection, invoice_ids).values():
            by_project.setdefault(sighting.project_id, []).append(sighting.invoice_id)
    for piece in _pieces(terms, by_project, progress):
        _judge_piece(ledger, terms, piece, clock, actor, asked=True, refresh=refresh)


def send(
    ledger: Ledger, terms: Terms, project_id: int, invoice_ids: Sequence[int] | None, by: Signature, clock: Clock
) -> list[Answer]:
    """Send the given invoices, or all sendable ones of the project, in a person's name (R1, R14 to R18).

    Raises RefusedError when they may not send invoices of this project.
    """
    rights.require(ledger, by, rights.sender(project_id), f"sending from project {project_id}", clock)
    with ledger.reading() as connection:
        known = records.sightings(connection, project_id)
    wanted = list(known if invoice_ids is None else invoice_ids)
    before = {item.invoice_id: item for item in ledger.items(project_id=project_id)}
    candidates = [each for each in wanted if each in known and _may_be_sent(known[each], before.get(each))]
    if invoice_ids is None:
        wanted = candidates
    rejudge(ledger, terms, candidates, clock, by.name)
    after = {item.invoice_id: item for item in ledger.items(project_id=project_id)}
    return [_answer(each, known.get(each), before.get(each), after.get(each)) for each in wanted]


def read_cases(
    connection: Reader,
    terms: Terms,
    project_id: int,
    invoices: Iterable[Invoice],
    now: datetime,
    previous: Mapping[int, Invoice] | None = None,
) -> list[Case]:
    """Put beside each invoice all that judging and exporting it look up; the `previous_invoices`, unless they came."""
    invoices = list(invoices)
    if project_id not in terms.books:
        raise SettingsError("Procore", f"project {project_id}", "its commitments were never read")
    today = now.astimezone(terms.zone).date()
    books, mapping = terms.books[project_id], terms.mapping(project_id, today)
    previous = previous_invoices(connection, invoices) if previous is None else previous
    complete = [billing.complete(each, previous.get(each.previous_invoice_id_procore or 0)) for each in invoices]
    known = others(connection, terms.policy, mapping, complete)
    return [
        build_case(
            invoice=invoice,
            books=books,
            vendors=terms.vendors,
            mapping=mapping,
            reference=terms.reference,
            capabilities=terms.capabilities,
            previous=previous.get(invoice.previous_invoice_id_procore or 0),
            others=known[invoice.invoice_id_procore],
            policy=terms.policy,
            today=today,
        )
        for invoice in complete
    ]


def place(tx: Transaction, terms: Terms, project: str, reading: Reading, asked: bool) -> Item | None:
    """Move one invoice to where its reading puts it; None when it stays outside."""
    item, sighting = reading.item, reading.sighting
    if item is not None and item.state in (states.EXPORTING, states.UNCERTAIN):
        return item  # first its fate in the ERP must be known; it stays fresh and is judged then
    if sighting.is_fresh:
        records.note_judged(tx, sighting)
    is_sendable = sighting.may_be_sent
    if item is None or item.state in states.OUTSIDE:
        return _enter(tx, terms, project, reading, asked) if is_sendable else item
    if item.state in states.IN_ERP or item.state == states.GONE:
        return item  # a later change in Procore is drift: never acted on
    if not is_sendable:
        why = "it is gone from Procore" if sighting.is_gone else f"its status in Procore is {sighting.status}"
        item = tx.move(item, states.WITHDRAW, states.RETRIEVED, {"why": why, **(reading.refresh or {})}, cause="")
        unlock(tx, item)
        return item
    return _again(tx, terms, project, reading, item)


def _pieces(terms: Terms, by_project: Mapping[int, Sequence[int]], progress: Progress) -> Iterator[Sequence[int]]:
    """Yield what is judged together, whatever the project: a batch costs much the same however large it is.

    Last come the projects that lack what judging needs, each by itself, so that they stop no other.
    """
    together = [each for project_id, ours in by_project.items() if project_id in terms.books for each in ours]
    pieces: list[Sequence[int]] = list(records.in_pieces(together, _PIECE))
    pieces += [ours for project_id, ours in by_project.items() if project_id not in terms.books and ours]
    return followed(pieces, sum(map(len, pieces)), progress, len)


@undisturbed()
def _judge_piece(
    ledger: Ledger,
    terms: Terms,
    invoice_ids: Sequence[int],
    clock: Clock,
    actor: str,
    asked: bool = False,
    refresh: dict[str, str] | None = None,
) -> Counter[str]:
    now = clock()
    with ledger.reading() as connection:
        readings = _read(connection, terms, invoice_ids, now)
    counts: Counter[str] = Counter()
    projects = known_projects(ledger)
    with ledger.transaction(clock(), actor) as tx:
        readings = _still_true(tx, readings)
        for reading in readings:
            project = projects[reading.sighting.project_id].name
            item = place(tx, terms, project, replace(reading, refresh=refresh), asked)
            if item is not None:
                counts[item.state] += 1
        _keep_results(tx, terms, readings, now)
    return counts


def _keep_results(tx: Transaction, terms: Terms, readings: Sequence[Reading], now: datetime) -> None:
    """Keep what came of judging, of invoices that stay outside too; of one that was never read there is nothing."""
    results = [
        Judgement(each.sighting.company_id, each.sighting.invoice_id, each.sighting.snapshot_id, each.findings)
        for each in readings
        if each.sighting.snapshot_id is not None
    ]
    judgements.keep(tx, now.astimezone(terms.zone).date(), rules_version(), terms.policy_version, results)


def _still_true(tx: Transaction, readings: Sequence[Reading]) -> list[Reading]:
    """Leave out what somebody else read or moved while we judged: it was judged by them, or is judged next time."""
    invoice_ids = [reading.sighting.invoice_id for reading in readings]
    seen = records.sightings_of(tx.connection, invoice_ids, is_to_change=True)
    versions = {item.invoice_id: item.version for item in tx.items(invoice_id=invoice_ids)}
    return [
        reading
        for reading in readings
        if seen[reading.sighting.invoice_id] == reading.sighting
        and versions.get(reading.sighting.invoice_id) == (reading.item.version if reading.item else None)
    ]


def _read(connection: Reader, terms: Terms, invoice_ids: Sequence[int], now: datetime) -> list[Reading]:
    seen = records.sightings_of(connection, invoice_ids)
    bodies = records.bodies(connection, [each.snapshot_id for each in seen.values() if each.snapshot_id is not None])
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
        for case in read_cases(connection, terms, project_id, ours, now, previous)
    ]
    # As the case has it: Procore's view omits what a line started from, and the amounts depend on that.
    sound = {case.invoice.invoice_id_procore: case.invoice for case in cases}
    findings = with_held_before(cases, judge(cases)) if cases else {}
    items = {item.invoice_id: item for item in find_items(connection, invoice_id=list(invoice_ids))}
    readings = []
    for invoice_id, sighting in seen.items():
        reasons = parsed.get(invoice_id)
        found = [unreadable(reasons)] if isinstance(reasons, list) else findings.get(invoice_id, [])
        body_hash = digest_of(bodies[sighting.snapshot_id]) if sighting.snapshot_id is not None else ""
        readings.append(Reading(sighting, items.get(invoice_id), sound.get(invoice_id), found, body_hash))
    return readings


def _enter(tx: Transaction, terms: Terms, project: str, reading: Reading, asked: bool) -> Item | None:
    """Send an invoice that is outside: by a person, or by the policy where it is new or its content changed."""
    item, sighting = reading.item, reading.sighting
    by_policy = sighting.status in terms.policy.auto_send_statuses and (
        item is None or item.content_hash != sighting.content_hash
    )
    if not (asked or by_policy):
        return item
    state = verdict(reading.findings)
    facts = _facts(terms, project, reading, state, item) | {"sent_by": tx.actor if asked else ""}
    because = _because(terms, reading)
    if item is None:
        keys: dict[str, Any] = {"company_id": sighting.company_id, "invoice_id": sighting.invoice_id, "erp": terms.erp}
        keys["company_erp"] = terms.reference.company_erp
        item = tx.open_item({**keys, **facts}, state, because, states.SENT)
    else:
        item = tx.move(item, states.SENT, state, because, **facts)
    if state == states.READY:
        lock(tx, item)
    return item


def _again(tx: Transaction, terms: Terms, project: str, reading: Reading, item: Item) -> Item:
    """Judge an invoice again that was sent before and is not in the ERP."""
    has_moved = reading.refresh is not None and reading.invoice is not None and moved(item, reading.invoice)
    is_changed = item.content_hash != reading.sighting.content_hash or has_moved
    state = verdict(reading.findings)
    because = _because(terms, reading)
    facts = _facts(terms, project, reading, state, item)
    told = {name: facts[name] for name in ("findings", "cause", "judged_by")}
    if has_moved:
        supersede_reviews(tx, item.project_id)  # what they show is not what would be accepted, though the hash is
    if item.state in (states.ACCEPTED, states.FAILED):
        if is_changed:
            return _sent_again(tx, tx.move(item, states.CHANGE, state, because, **facts))
        return _still_accepted(tx, reading, item, because, told)
    if item.state == state and not is_changed:
        return _told_anew(tx, item, states.REJUDGE, because, told)
    return _sent_again(tx, tx.move(item, states.REJUDGE, state, because, **facts))


def _still_accepted(
    tx: Transaction, reading: Reading, item: Item, because: dict[str, Any], told: dict[str, Any]
) -> Item:
    """The figures are those that were accepted: they go on, or fail with the reasons of now."""
    if reading.stops:
        if item.state == states.FAILED and item.cause == told["cause"]:
            return _told_anew(tx, item, states.REFUSE, because, told)
        failed = tx.move(item, states.REFUSE, states.FAILED, because, **told)
        unlock(tx, failed)
        return failed
    if item.state == states.FAILED:
        accepted = tx.move(item, states.RETRY, states.ACCEPTED, because, attempts=0, **told)
        lock(tx, accepted)
        return accepted
    return tx.note_terms(item, told["judged_by"])


def _because(terms: Terms, reading: Reading) -> dict[str, Any]:
    """Return what a judgement was made of: the policy, what was found, and the body as it came."""
    rules = [finding.rule for finding in reading.findings]
    return {"policy": terms.policy_version, "findings": rules, "body": reading.body_hash, **(reading.refresh or {})}


def _told_anew(tx: Transaction, item: Item, kind: str, because: dict[str, Any], told: dict[str, Any]) -> Item:
    """It stays where it is; only other reasons than those it is known for are something that happened."""
    if (item.findings, item.cause) == (told["findings"], told["cause"]):
        return tx.note_terms(item, told["judged_by"])
    return tx.move(item, kind, item.state, because, **told)


def _sent_again(tx: Transaction, item: Item) -> Item:
    if item.state == states.READY:
        lock(tx, item)
    else:
        unlock(tx, item)
    return item


def _facts(terms: Terms, project: str, reading: Reading, state: str, item: Item | None) -> dict[str, Any]:
    """Return what the item's row says after this reading; the revision counts how often it became READY."""
    sighting, invoice = reading.sighting, reading.invoice
    sent_before = item.revision if item is not None else 0
    facts: dict[str, Any] = {
        "project_id": sighting.project_id,
        "project": project[:300],
        "snapshot_id": sighting.snapshot_id,
        "content_hash": sighting.content_hash,
        "revision": sent_before + 1 if state == states.READY else sent_before,
        "judged_by": terms.fingerprint(sighting.project_id),
        "findings": canonical([finding.model_dump(mode="json") for finding in reading.findings]),
        "cause": reading.stops[0].rule if reading.stops else "",
        "attempts": 0,
    }
    if invoice is None:
        # What was readable once still names the invoice, and lets Procore be told.
        return facts if item else facts | {"number": str(sighting.invoice_id), "vendor": "", "commitment_id": None}
    return facts | {
        "commitment_id": invoice.commitment_id_procore,
        "number": invoice.invoice_number[:200] or f"#{invoice.number_on_commitment} (no invoice number)",
        "vendor": invoice.vendor_name[:300],
        "sequence": invoice.number_on_commitment,
        "currency": invoice.currency,
        **_amounts(invoice),
        "to_release_minor": _to_release(reading.findings, invoice, item),
    }


def moved(item: Item, invoice: Invoice) -> bool:
    """Whether the invoice, completed by the one before it, comes to other figures than those that were judged."""
    return any(getattr(item, name) != amount for name, amount in _amounts(invoice).items())


def _amounts(invoice: Invoice) -> dict[str, int]:
    held = max(invoice.held, ZERO)  # held below zero counts as a release (A10)
    figures = {"gross_minor": invoice.gross, "held_minor": held, "released_minor": invoice.released}
    try:
        return {name: to_minor(amount, invoice.currency) for name, amount in figures.items()}
    except ValueError:
        return {}  # a fraction of a cent: the rules hold such an invoice and show the exact figures


@dataclass(frozen=True)
class Shown:
    """What Procore shows now of an invoice that the ERP holds."""

    stops: list[Finding]
    facts: dict[str, Any]  # what its row would say of it
    because: dict[str, Any]  # what the judgement was made of


def as_shown(connection: Reader, terms: Terms, item: Item, now: datetime) -> Shown:
    """Judge an invoice that the ERP holds as Procore shows it now; nothing is moved."""
    [reading] = _read(connection, terms, [item.invoice_id], now)
    return Shown(reading.stops, _facts(terms, item.project, reading, item.state, item), _because(terms, reading))


def _to_release(findings: Sequence[Finding], invoice: Invoice, item: Item | None) -> int:
    """Return what a person is to release by hand in the ERP; nothing where we tell the ERP, or they said it is done."""
    is_confirmed = item is not None and item.state in RELEASING and not item.to_release_minor
    if not releasing.is_by_hand(findings) or (is_confirmed and item and item.released == invoice.released):
        return 0
    return to_minor(round_half_up(billing.to_release(invoice), invoice.currency), invoice.currency)


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


def completed(connection: Reader, invoices: Sequence[Invoice]) -> dict[int, Invoice]:
    """Return the invoices, by id, completed by those that they continue, as Procore showed them last."""
    earlier = previous_invoices(connection, invoices) if invoices else {}
    return {
        invoice.invoice_id_procore: billing.complete(invoice, earlier.get(invoice.previous_invoice_id_procore or 0))
        for invoice in invoices
    }


def previous_invoices(
    connection: Reader, invoices: Iterable[Invoice], known: Mapping[int, Invoice] | None = None
) -> dict[int, Invoice]:
    """Return the invoices that these continue, as Procore showed them last, by id; those `known` so are not read."""
    known = known or {}
    ids = {each for invoice in invoices if (each := invoice.previous_invoice_id_procore)}
    found = {each: known[each] for each in ids if each in known}
    seen = records.sightings_of(connection, ids - found.keys())
    bodies = records.bodies(connection, [each.snapshot_id for each in seen.values() if each.snapshot_id is not None])
    for invoice_id, sighting in seen.items():
        if sighting.snapshot_id is not None:
            parsed = parse_invoice(bodies[sighting.snapshot_id], sighting.company_id, invoice_id)
            if isinstance(parsed, Invoice):
                found[invoice_id] = parsed
    return found
