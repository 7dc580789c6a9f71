"""What Prefect must show of the ledger: a pure plan of the runs to create and to move (design section 3)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tieout.ledger import states
from tieout.ledger.items import Item
from tieout.ledger.reviews import Review
from tieout.views.standing import (
    ACCEPTED,
    DRIFTED,
    FAILING,
    SUPERSEDED,
    TO_RELEASE,
    Standing,
    badge_of,
    key_of,
    standing_of,
    tags_of,
)
from tieout.wording import NOWHERE, Places, in_sum, printable, run_name

# Looked at again though they have completed: an accepted invoice is on its way, and only a person's hand gives a
# completed run the badge of one that failed.
PASSING: Final = (ACCEPTED, *FAILING.values(), DRIFTED, TO_RELEASE)
_GOING_ON: Final = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")


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
class ItemRuns:
    """The run of each invoice that somebody must act on, by company and invoice."""

    runs: dict[tuple[int, int], str]


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


def _move(run: Run, item: Item | None, places: Places) -> Move | None:
    if item is None and run.key is None:
        return None  # a form started it with an id that nobody knows; its own end says so
    if item is None:
        standing = Standing("COMPLETED", SUPERSEDED, "The ledger holds no such invoice.")
    elif badge_of(item) is None:
        standing = standing_of(item, places)
    elif run.key != key_of(item):
        standing = Standing("COMPLETED", SUPERSEDED, f"Another run shows revision {item.revision} of it.")
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
    return f"Ready to Export · {printable(items[0].project, 80)} · {in_sum(items, ' · ')}"
