"""The landing page: how everything stands now, what moved since midnight, and where to click for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from data_contracts.money import in_words
from data_contracts.reference import Problem
from tieout.ledger import states, tallies, watermarks
from tieout.ledger.book import Ledger
from tieout.ledger.tallies import Tally
from tieout.office import Office
from tieout.views.standing import DRIFTED, FAILED_TO_EXPORT, HELD, TO_RELEASE, UNCERTAIN
from tieout.watch import alarms
from tieout.wording import cell

KEY = "today"  # of the artifact: its address never changes
WAITING = (states.READY, states.ACCEPTED, states.EXPORTING, states.FAILED, states.HELD, states.UNCERTAIN)
_BY_CAUSE = ((states.FAILED, FAILED_TO_EXPORT), (states.HELD, HELD))
_NINETY_DAYS = 90 * 24 * 60 * 60
ITEMS, REVIEWS, NIGHT = "export-invoice", "review-invoices", "nightly-sync"


@dataclass(frozen=True)
class Screen:
    """What Prefect knows that the page needs: where it is, the ids of deployments by name, when the next night is."""

    url: str
    deployments: dict[str, str] = field(default_factory=dict)
    next_night: datetime | None = None

    def runs(self, deployment: str, state: str = "", tag: str = "") -> str:
        """Return the address of a list of runs, filtered as the saved view of that name does."""
        query = {"state": state, "deployment": self.deployments.get(deployment, ""), "tag": tag}
        given = {name: value for name, value in query.items() if value}
        return f"{self.url}/runs?{urlencode(given | {'type': 'span', 'seconds': -_NINETY_DAYS})}"


@dataclass(frozen=True)
class Today:
    """The facts of the page at one moment."""

    now: datetime
    zone: ZoneInfo
    screen: Screen
    waiting: Sequence[Tally]
    drifted: Sequence[Tally]
    to_release: Sequence[Tally]
    exported: Sequence[Tally]
    paid: Sequence[Tally]
    last_night: datetime | None
    alarms: Sequence[Problem]

    def markdown(self) -> str:
        """Return the page."""
        lines = [f"# Today, {self.now.astimezone(self.zone):%A %Y-%m-%d}", "", f"As of {self._at(self.now)}.", ""]
        if self.alarms:
            lines += ["## Alarms", "", *(f"- {cell(each.message)} {cell(each.remedy)}" for each in self.alarms), ""]
        lines += ["| what | how many | amount |", "|---|---:|---:|", *self._rows(), "", *self._nights()]
        return "\n".join(lines) + "\n"

    def in_short(self) -> str:
        """Return the figures in one line."""
        parts = [("waiting", states.READY), ("failed", states.FAILED), ("held", states.HELD)]
        told = [f"{name}: {sum(each.number for each in self._in(state))}" for name, state in parts]
        return ", ".join([*told, f"exported today: {sum(each.number for each in self.exported)}"])

    def _rows(self) -> list[str]:
        runs = self.screen.runs
        rows = [_row("waiting for an approver", runs(REVIEWS, "Suspended"), self._in(states.READY))]
        rows += [_row("accepted, on the way", "", self._in(states.ACCEPTED, states.EXPORTING))]
        for state, name in _BY_CAUSE:
            rows += [_row(name, runs(ITEMS, name), self._in(state)), *self._causes(state, name)]
        rows += [_row(UNCERTAIN, runs(ITEMS, UNCERTAIN), self._in(states.UNCERTAIN))]
        rows += [_row(DRIFTED, runs(ITEMS, DRIFTED), self.drifted)]
        rows += [_row(TO_RELEASE, runs(ITEMS, TO_RELEASE), self.to_release)]
        rows += [_row("exported since midnight", runs(NIGHT), self.exported)]
        return [*rows, _row("paid since midnight", "", self.paid)]

    def _causes(self, state: str, name: str) -> list[str]:
        groups: dict[str, list[Tally]] = {}
        for each in self._in(state):
            groups.setdefault(each.cause, []).append(each)
        most_first = sorted(groups.items(), key=lambda group: (-sum(each.number for each in group[1]), group[0]))
        return [
            _row(f"· {cause}", self.screen.runs(ITEMS, name, f"cause:{cause}"), tally)
            for cause, tally in most_first
            if cause
        ]

    def _nights(self) -> list[str]:
        last = self._at(self.last_night) if self.last_night else "none yet"
        coming = self._at(self.screen.next_night) if self.screen.next_night else "none is scheduled"
        return [f"- Last night finished: {last}", f"- Next night: {coming}"]

    def _in(self, *wanted: str) -> list[Tally]:
        return [each for each in self.waiting if each.state in wanted]

    def _at(self, moment: datetime) -> str:
        return f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M %Z}"


def gather(ledger: Ledger, screen: Screen, office: Office) -> Today:
    """Read what the page tells; midnight is the company's."""
    now, zone = office.clock(), office.settings.company.zone
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    with ledger.reading() as connection:
        return Today(
            now=now,
            zone=zone,
            screen=screen,
            waiting=tallies.standing(connection, WAITING),
            drifted=tallies.drifted(connection),
            to_release=tallies.to_release(connection),
            exported=tallies.exported_since(connection, midnight),
            paid=tallies.paid_since(connection, midnight),
            last_night=watermarks.moved_at(connection, watermarks.NIGHT_JOB),
            alarms=alarms.ringing(ledger, office),
        )


def _row(what: str, link: str, tally: Iterable[Tally]) -> str:
    tally = list(tally)
    amounts: dict[str, list[Tally]] = {}
    for each in tally:
        amounts.setdefault(each.currency, []).append(each)
    sums = [(currency, sum((each.amount for each in group), Decimal(0))) for currency, group in sorted(amounts.items())]
    told = " + ".join(in_words(amount, currency) for currency, amount in sums)
    name = f"[{cell(what)}]({link})" if link else cell(what)
    return f"| {name} | {sum(each.number for each in tally)} | {told} |"
