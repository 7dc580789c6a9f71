"""What a run says when it ends: the colour that it deserves and its report as Markdown; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from data_contracts.money import in_words
from tieout.judgement.release import open_release
from tieout.ledger.items import Item
from tieout.results import Figure
from tieout.views import today
from tieout.views.inquiry import colour
from tieout.views.quality import Quality, told_of
from tieout.views.standing import FAILED_TO_EXPORT, Standing, badge_of, in_brief
from tieout.wording import artifact_at, by_cause, cell, run_at, run_name, runs_at

FINISHED_WITH_FAILURES = "Finished with Failures"
ALARM = "Alarm"
_ROWS = 200  # of each table; the ledger has them all
_TOLD = 5  # of each kind, in the state's message


@dataclass
class RunReport:
    """The facts of one run, gathered when it ends."""

    title: str
    counts: dict[str, int] = field(default_factory=dict)  # items of the whole ledger by state
    exported: list[Item] = field(default_factory=list)  # in this run
    failed: list[Item] = field(default_factory=list)  # in this run: refused, or with an unknown outcome
    failing: list[Item] = field(default_factory=list)  # all that are failing now, old ones too
    drifted: list[Item] = field(default_factory=list)  # changed on either side since their export, and nobody let it be
    to_release: list[Item] = field(default_factory=list)  # whose retention a person has yet to release by hand (A10)
    not_exportable: list[Item] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)  # steps that did not finish, with their reason
    refused: list[str] = field(default_factory=list)  # what a person asked for and was not done, with the reason
    alarms: list[str] = field(default_factory=list)  # what is wrong that no single run would notice
    notes: list[str] = field(default_factory=list)  # projects passed over, odd rows, letters refused
    figures: list[Figure] = field(default_factory=list)  # what else there is to say, in order
    runs: dict[tuple[int, int], str] = field(default_factory=dict)  # the item run of each failing invoice
    quality: Quality = field(default_factory=Quality)  # how often each rule was broken, in the report of a night
    ui_url: str = ""
    menu_path: str = ""
    head: str = ""  # the newest link of the ledger's chain, kept here because nobody can change both

    def standing(self, green: str = "Completed") -> Standing:
        """Return the state that the run ends in: red for an alarm or a failure of its own, never for an older one."""
        parts = self.alarms[:_TOLD]
        parts += [f"and {len(self.alarms) - _TOLD} more alarms"] if len(self.alarms) > _TOLD else []
        if self.failed:
            causes = ", ".join(f"{len(items)} × {cause}" for cause, items in by_cause(self.failed).items())
            view = runs_at(self.ui_url, FAILED_TO_EXPORT)
            parts.append(f"{len(self.failed)} failed in this run ({causes}), see {view}")
        parts += [f"not finished: {step}" for step in self.unfinished[:_TOLD]]
        parts += [f"not done: {each}" for each in self.refused[:_TOLD]]
        parts += [f"and {len(self.refused) - _TOLD} more, see the Artifacts tab"] if len(self.refused) > _TOLD else []
        if parts:
            return Standing("FAILED", ALARM if self.alarms else FINISHED_WITH_FAILURES, "; ".join(parts))
        return Standing("COMPLETED", green, self.in_short())

    def in_short(self) -> str:
        """Return the figures in one line."""
        told = [("exported", len(self.exported)), *self.figures, ("failing now", len(self.failing))]
        told += [("drifted now", len(self.drifted))] if self.drifted else []
        told += [("retention to release by hand", len(self.to_release))] if self.to_release else []
        return ", ".join(f"{name}: {value}" for name, value in told)

    def markdown(self) -> str:
        """Return the whole report."""
        sections = [f"# {self.title}", self.in_short(), self._elsewhere(), *self._problems(), *self._failures()]
        sections += [*self._drifted(), *self._to_release(), *self._exported(), *self._not_exportable()]
        sections += [*self._counts(), *self._rules()]
        sections += [f"Head of the ledger: `{self.head}`"] if self.head else []
        return "\n\n".join(sections) + "\n"

    def _elsewhere(self) -> str:
        return f"The state of everything now: [today]({artifact_at(self.ui_url, today.KEY)})"

    def _problems(self) -> list[str]:
        lists = (
            ("Alarms", self.alarms),
            ("Not finished", self.unfinished),
            ("Not done", self.refused),
            ("Worth knowing", self.notes),
        )
        return [f"## {head}\n\n{_list(rows)}" for head, rows in lists if rows]

    def _failures(self) -> list[str]:
        groups = by_cause(self.failing).items()
        sections = [f"### {cell(cause)} ({len(items)})\n\n{self._told(items)}" for cause, items in groups]
        return ["## What fails, by cause", *sections] if sections else []

    def _drifted(self) -> list[str]:
        head = f"## Changed since their export ({len(self.drifted)})"
        return [head, self._told(self.drifted)] if self.drifted else []

    def _told(self, items: list[Item]) -> str:
        # A list, for its lines are broken: in a table the reason would be cut off at the edge.
        rows = [f"- {self._link(item)}, *{badge_of(item)}*: {cell(in_brief(item))}" for item in items[:_ROWS]]
        rows += [f"- … and {len(items) - _ROWS} more"] if len(items) > _ROWS else []
        return "\n".join(rows)

    def _exported(self) -> list[str]:
        rows = [
            [
                *map(cell, (item.number, item.vendor, item.project)),
                *(in_words(amount, item.currency) for amount in (item.gross, item.held)),
                *map(cell, (item.batch_code or "", item.document_id_erp or "")),
            ]
            for item in self.exported
        ]
        if not rows:
            return []
        heads = ("invoice", "vendor", "project", "gross", "retention held", "batch", "ERP document")
        where = f"Accounting finds them, unposted, under **{cell(self.menu_path)}**." if self.menu_path else ""
        return [f"## Exported ({len(rows)})", where, _table(heads, rows)]

    def _to_release(self) -> list[str]:
        rows = [
            [self._link(item), in_words(item.to_release, item.currency), cell(reason.remedy)]
            for item in self.to_release
            for reason in open_release(item)
        ]
        heads = ("invoice", "retention", "what to do")
        return [f"## Retention to release by hand ({len(rows)})", _table(heads, rows)] if rows else []

    def _not_exportable(self) -> list[str]:
        rows = [[cell(run_name(item)), cell(in_brief(item))] for item in self.not_exportable]
        return [f"## Not exportable ({len(rows)})", _table(("invoice", "why"), rows)] if rows else []

    def _counts(self) -> list[str]:
        rows = [[state, colour(state), str(number)] for state, number in self.counts.items() if number]
        return ["## All invoices by state", _table(("state", "icon", "invoices"), rows)] if rows else []

    def _rules(self) -> list[str]:
        quality = self.quality
        if not quality.days:
            return []
        told = told_of(quality.days, quality.judged)
        rows = [[each.rule, each.severity, str(each.counts[-1] or 0), f"`{each.line}`"] for each in quality.trends]
        where = f"[All pages]({quality.page})" if "://" in quality.page else f"All pages: `{quality.page}`"
        where = f"The pages were not written: {cell(quality.problem)}" if quality.problem else where
        return ["## Rules broken, day by day", told, _table(("rule", "severity", "last day", "by day"), rows), where]

    def _link(self, item: Item) -> str:
        run = self.runs.get((item.company_id, item.invoice_id))
        name = cell(run_name(item)).replace("[", "(").replace("]", ")")
        return f"[{name}]({run_at(self.ui_url, run)})" if run and self.ui_url else name


def _list(rows: list[str]) -> str:
    return "\n".join(f"- {cell(each)}" for each in rows[:_ROWS])


def _table(heads: Iterable[str], rows: list[list[str]]) -> str:
    heads = tuple(heads)
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(row)} |" for row in rows[:_ROWS]]
    more = len(rows) - _ROWS
    if more > 0:
        lines += ["", f"… and {more} more; the ledger has them all."]
    return "\n".join(lines)
