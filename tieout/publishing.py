"""What Prefect must show of the ledger: a pure plan of the item runs to create and to move (design section 3).

Carrying the plan out belongs to `tasks/items.py`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from data_contracts.money import in_words
from data_contracts.reference import Finding
from tieout.derivation import Derivation, sheets
from tieout.drift import TWO, open_drift
from tieout.ledger import states
from tieout.ledger.book import Item
from tieout.ledger.reviews import Review
from tieout.previewing import Payload
from tieout.releasing import open_release

FAILED_TO_EXPORT: Final = "Failed to Export"
HELD: Final = "Held"
UNCERTAIN: Final = "Uncertain"
DRIFTED: Final = "Drifted"
TO_RELEASE: Final = "Release Retention by Hand"
EXPORTED: Final = "Exported"
SENT: Final = "Sent"
ACCEPTED: Final = "Accepted"
SUPERSEDED: Final = "Superseded"

FAILING: Final = {states.FAILED: FAILED_TO_EXPORT, states.HELD: HELD, states.UNCERTAIN: UNCERTAIN}
SETTLED: Final = {
    states.READY: SENT,
    states.NOT_EXPORTABLE: "Not Exportable",
    states.ACCEPTED: ACCEPTED,
    states.EXPORTING: ACCEPTED,
    states.REJECTED: "Rejected",
    states.RETRIEVED: "Retrieved",
    states.UNLINKED: "Unlinked",
    **dict.fromkeys((*states.IN_ERP, states.GONE), EXPORTED),
}
# Looked at again though they have completed: an accepted invoice is on its way, and only a person's hand gives a
# completed run the badge of one that failed.
PASSING: Final = (ACCEPTED, *FAILING.values(), DRIFTED, TO_RELEASE)
_GOING_ON: Final = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
_LONGEST_MESSAGE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Standing:
    """The state that a run shows: its Prefect type, its name on the badge and the words under it."""

    type: str
    name: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """Where people click: the menu path to unposted invoices in the ERP, and an invoice's address in Procore."""

    menu_path: str = ""
    procore: str = ""  # a pattern with the fields {company}, {project}, {commitment} and {invoice}

    def in_procore(self, item: Item) -> str:
        """Return the address of the invoice in Procore; empty where it is not known."""
        ids = {"company": item.company_id, "project": item.project_id, "invoice": item.invoice_id}
        return self.procore.format(**ids, commitment=item.commitment_id or "")

    def of(self, item: Item) -> list[tuple[str, str]]:
        """Return where the invoice is found, by system."""
        found = (("Procore", self.in_procore(item)), (item.erp.capitalize(), self.menu_path))
        return [(system, place) for system, place in found if place]


NOWHERE: Final = Places()


@dataclass(frozen=True, slots=True)
class Run:
    """An item's run as Prefect holds it now."""

    run_id: str
    invoice: tuple[int, int]  # Procore company, invoice id
    key: str | None  # None when a person started it by hand
    name: str
    tags: frozenset[str]
    standing: Standing

    @property
    def is_going_on(self) -> bool:
        """Whether it waits for a worker or works: such a run counts as its item and is left alone."""
        return self.standing.type in _GOING_ON


@dataclass(frozen=True, slots=True)
class Creation:
    """A run that must come to be."""

    key: str
    invoice: tuple[int, int]
    name: str
    tags: tuple[str, ...]
    standing: Standing


@dataclass(frozen=True, slots=True)
class Move:
    """A run that must change; `seen` is the state name that the plan was made from."""

    run_id: str
    invoice: tuple[int, int]
    seen: str
    standing: Standing
    name: str | None = None  # None: it keeps its name and tags
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that must happen to the runs."""

    creations: list[Creation] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything must happen."""
        return bool(self.creations or self.moves)


@dataclass(frozen=True, slots=True)
class Story:
    """What is told of an item beside its own figures and reasons."""

    timeline: Sequence[tuple[str, str, str]] = ()  # when, what, by whom
    unfinished: Sequence[str] = ()  # steps that did not finish just now
    payload: Payload | None = None
    derived: Derivation | list[str] | None = None  # how its figures came about


NO_STORY: Final = Story()

# What a run becomes that has given no sign of life for too long.
LOST: Final = Standing(
    "CRASHED",
    "Crashed",
    "It gave no sign of life any more: its worker died. Nothing is lost or doubled. What it had begun is taken over by "
    "the next run; to have it done at once, start it again.",
)


def key_of(item: Item) -> str:
    """Return the idempotency key of the item's run: one run per invoice and time that it was sent."""
    return f"invoice/{item.company_id}/{item.invoice_id}/{item.revision}"


def run_name(item: Item) -> str:
    """Return what the run is called: number, vendor, amount, project."""
    parts = (item.number or "(no number)", item.vendor, in_words(item.gross, item.currency), item.project)
    return " · ".join(_printable(part, 80) for part in parts if part)


def tags_of(item: Item) -> tuple[str, ...]:
    """Return by what an operator may filter."""
    tags = (f"project:{_printable(item.project or str(item.project_id), 80)}", f"erp:{item.erp}")
    causes = [item.cause] if item.cause else []
    if drifted := {each.rule for each in open_drift(item)}:
        causes = ["drift", *drifted & {TWO}]
    elif open_release(item):
        causes = ["release"]
    return (*tags, *(f"cause:{_printable(each, 60)}" for each in causes))


def badge_of(item: Item) -> str | None:
    """Return the name of the state under which a person finds the item; None when nobody need act on it."""
    if badge := FAILING.get(item.state):
        return badge
    return DRIFTED if open_drift(item) else TO_RELEASE if open_release(item) else None


def standing_of(item: Item, places: Places = NOWHERE) -> Standing:
    """Return the state that the item's run must show."""
    if badge := badge_of(item):
        return Standing("FAILED", badge, _why(item, places))
    return Standing("COMPLETED", SETTLED[item.state], _settled_words(item, places.menu_path))


def plan_items(
    items: Iterable[Item], runs: Iterable[Run], now: datetime, patience: timedelta, places: Places = NOWHERE
) -> Plan:
    """Return what makes the runs show the items: every one with a badge, and every one that has a run here, is given.

    An outcome that is unknown for less than `patience` gets no run yet.
    """
    by_invoice = {(item.company_id, item.invoice_id): item for item in items}
    plan, present = Plan(), set()
    for run in runs:
        item = by_invoice.get(run.invoice)
        if run.key:
            present.add(run.key)
        if not run.is_going_on and (move := _move(run, item, places)):
            plan.moves.append(move)
    for item in by_invoice.values():
        if _wants_run(item, now, patience) and key_of(item) not in present:
            standing = standing_of(item, places)
            invoice = (item.company_id, item.invoice_id)
            plan.creations.append(Creation(key_of(item), invoice, run_name(item), tags_of(item), standing))
    return plan


def explanation(item: Item, story: Story = NO_STORY, places: Places = NOWHERE) -> str:
    """Return all that is known of an item as Markdown: reasons, numbers, remedies, payload, and what happened when."""
    figures = (("gross", item.gross), ("retention held", item.held), ("due now", item.net))
    shown = badge_of(item) or SETTLED[item.state]
    lines = [f"# {cell(run_name(item))}", "", f"**{shown}**, revision {item.revision}.", ""]
    lines += [line for step in story.unfinished for line in (f"**Not finished:** {cell(step)}", "")]
    lines += ["| figure | amount |", "|---|---:|"]
    lines += [f"| {name} | {in_words(amount, item.currency)} |" for name, amount in figures]
    lines += ["", *(f"- in {cell(system)}: {_link(cell(place))}" for system, place in places.of(item))]
    for difference in open_drift(item):
        lines += ["", *_in_full(difference, "Drifted:")]
    for reason in item.reasons:
        lines += ["", *_in_full(reason, "Warning:" if reason.severity == "warn" else "Stopped by")]
    lines += _payload(item, story.payload) if story.payload else []
    lines += _proof(story.derived) if isinstance(story.derived, Derivation) else []
    rows = [f"| {cell(at)} | {cell(what)} | {cell(actor)} |" for at, what, actor in story.timeline]
    if rows:
        lines += ["", "## What happened", "", "| when (UTC) | what | by |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def in_brief(item: Item) -> str:
    """Return the first reason why somebody must act on the item, without what to do."""
    acting = [reason.message for reason in _calling(item)]
    return _printable(acting[0] if acting else item.cause, 300)


def by_cause(items: Iterable[Item]) -> Mapping[str, list[Item]]:
    """Return the items grouped by cause, the most frequent cause first."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.cause or "unknown", []).append(item)
    return dict(sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])))


def in_sum(items: Sequence[Item], between: str = ", ") -> str:
    """Return how many invoices these are and what they come to, each currency by itself."""
    currencies = sorted({item.currency for item in items})
    totals = [sum((item.gross for item in items if item.currency == each), Decimal(0)) for each in currencies]
    amounts = " + ".join(in_words(total, each) for total, each in zip(totals, currencies, strict=True))
    return between.join(filter(None, (f"{len(items)} invoice{'' if len(items) == 1 else 's'}", amounts)))


def as_table(items: Iterable[Item]) -> list[dict[str, str]]:
    """Return a row for each invoice that somebody must act on, the most frequent cause first."""
    return [
        {
            "cause": cause,
            "invoice": item.number,
            "gross": in_words(item.gross, item.currency),
            "vendor": item.vendor,
            "project": item.project,
            "stands": badge_of(item) or SETTLED[item.state],
            "why": in_brief(item),
        }
        for cause, group in by_cause(items).items()
        for item in group
    ]


def run_at(ui_url: str, run_id: str) -> str:
    """Return the address of a run."""
    return f"{ui_url}/runs/flow-run/{run_id}"


def runs_at(ui_url: str, state: str) -> str:
    """Return the address of the list of all runs in the state of this name."""
    return f"{ui_url}/runs?state={quote(state)}"


def artifact_at(ui_url: str, key: str) -> str:
    """Return the address of what is written anew under this key; it shows every time that it was written."""
    return f"{ui_url}/artifacts/key/{key}"


def cell(text: str) -> str:
    """Return foreign words so that they neither break a Markdown table nor start markup."""
    return _printable(text, 1_000).replace("|", "\\|").replace("<", "&lt;")


def _move(run: Run, item: Item | None, places: Places) -> Move | None:
    if item is None:
        standing = Standing("COMPLETED", SUPERSEDED, "The ledger holds no such invoice.")
    elif badge_of(item) is None:
        standing = standing_of(item, places)
    elif run.key != key_of(item):
        standing = Standing("COMPLETED", SUPERSEDED, f"Another run stands for revision {item.revision} of it.")
    else:
        return _move_open(run, item, standing_of(item, places))
    # What is settled keeps its own words: only a wrong badge is put right.
    if (run.standing.type, run.standing.name) == (standing.type, standing.name):
        return None
    return Move(run.run_id, run.invoice, run.standing.name, standing)


def _move_open(run: Run, item: Item, standing: Standing) -> Move | None:
    name, tags = run_name(item), tags_of(item)
    is_called_so = (run.name, run.tags) == (name, frozenset(tags))
    if is_called_so and run.standing == standing:
        return None
    return Move(run.run_id, run.invoice, run.standing.name, standing, None if is_called_so else name, tags)


def _wants_run(item: Item, now: datetime, patience: timedelta) -> bool:
    return badge_of(item) is not None and (item.state != states.UNCERTAIN or now - item.changed_at >= patience)


def _calling(item: Item) -> list[Finding]:
    """Return what calls for somebody: how it drifted, what is to be released by hand, or the reasons that stop it."""
    return open_drift(item) or open_release(item) or [each for each in item.reasons if each.severity != "warn"]


def _why(item: Item, places: Places) -> str:
    parts = [line for reason in _calling(item) for line in _lines(reason)] or [f"Cause: {item.cause or 'unknown'}."]
    text = "\n".join(parts)
    # Many a remedy says so itself; and no Retry can see that retention was released.
    then = "" if "press Retry" in text or badge_of(item) == TO_RELEASE else "Then press Retry. "
    where = "".join(f"In {system}: {_printable(place, 300)}\n" for system, place in places.of(item))
    close = f"\n{where}{then}All figures are on the Artifacts tab."
    return text[: _LONGEST_MESSAGE - len(close)] + close


def _lines(reason: Finding) -> list[str]:
    told = (("", reason.message), ("What to do: ", reason.remedy), ("Whose move: ", reason.owner))
    return [f"{head}{_full_stop(_printable(words, 500))}" for head, words in told if words]


def _in_full(reason: Finding, head: str) -> list[str]:
    line = f" (line {reason.line_id_procore})" if reason.line_id_procore else ""
    lines = [f"## {head} {cell(reason.rule)}{line}", "", cell(reason.message)]
    lines += ["", f"**What to do:** {cell(reason.remedy)}"] if reason.remedy else []
    lines += ["", f"**Whose move:** {cell(reason.owner)}"] if reason.owner else []
    if reason.numbers:
        lines += ["", "| figure | value |", "|---|---:|"]
        lines += [f"| {cell(name.replace('_', ' '))} | {cell(value)} |" for name, value in reason.numbers.items()]
    return lines


def _link(place: str) -> str:
    # The address itself is longer than the page is wide, which cuts off what does not fit.
    return f"[open the invoice]({place})" if place.startswith(("http://", "https://")) else place


def _payload(item: Item, payload: Payload) -> list[str]:
    system = cell(item.erp.capitalize())
    head = f"## What was sent to {system}" if payload.is_frozen else f"## What would be sent to {system} now"
    if payload.body is None:
        return ["", head, "", f"Nothing yet: {cell(payload.missing)}"]
    return ["", head, "", "```json", json.dumps(payload.body, indent=2, ensure_ascii=False, default=str), "```"]


def _proof(derived: Derivation) -> list[str]:
    lines = ["", "## The arithmetic"]
    for sheet in sheets(derived):
        rule = "".join("---:|" if heading.endswith(">") else "---|" for heading in sheet.headings)
        lines += ["", f"**{sheet.title}**", "", _row(heading.rstrip(">") for heading in sheet.headings), f"|{rule}"]
        lines += [_row(row) for row in sheet.rows]
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(cell, cells))} |"


def _settled_words(item: Item, menu_path: str) -> str:
    if item.state in (*states.IN_ERP, states.GONE):
        batch = f" in batch {item.batch_code}" if item.batch_code else ""
        where = f"; in the ERP under {menu_path}" if menu_path else ""
        return f"Exported{batch}{where}."
    words = {
        states.READY: "It is Ready to Export and waits for an approver.",
        states.ACCEPTED: "It is accepted and waits for its export.",
        states.EXPORTING: "It is accepted and being exported.",
        states.REJECTED: "It was rejected; its project may correct it and send it again.",
        states.RETRIEVED: "It was taken back; its project may correct it and send it again.",
        states.UNLINKED: "It was unlinked from the ERP.",
        states.NOT_EXPORTABLE: "This ERP cannot take this kind of invoice.",
    }
    return words[item.state]


def _printable(text: str, length: int) -> str:
    kept = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return kept if len(kept) <= length else kept[: length - 1] + "…"


def _full_stop(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


@dataclass(frozen=True, slots=True)
class ReviewRun:
    """A review's run as Prefect holds it now; it has not ended."""

    run_id: str
    project_id: int
    type: str


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """Which reviews no longer tell the truth, and for which projects one must be opened."""

    superseded: list[str] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)


Offered = frozenset[tuple[int, str]]  # invoice id and content hash of each


def plan_reviews(
    ready: Mapping[int, Offered],
    runs: Iterable[ReviewRun],
    offers: Mapping[str, Review],
) -> ReviewPlan:
    """Return what leaves one open review with the present list for each project in which something is READY."""
    plan, covered = ReviewPlan(), set[int]()
    for run in runs:
        offer = offers.get(run.run_id)
        if run.type == "PAUSED":
            is_true = offer is not None and offer.is_open and offer.offered == ready.get(run.project_id)
            if not is_true or run.project_id in covered:
                plan.superseded.append(run.run_id)
                continue
        elif offer is not None and not offer.is_open:
            continue  # its decision is made: what is READY now came later
        covered.add(run.project_id)
    plan.wanted.extend(project_id for project_id, offered in ready.items() if offered and project_id not in covered)
    return plan


def review_name(items: Sequence[Item]) -> str:
    """Return what the review of these invoices is called."""
    return f"Ready to Export · {_printable(items[0].project, 80)} · {in_sum(items, ' · ')}"
