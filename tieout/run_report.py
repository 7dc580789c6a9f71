"""What a run says when it ends: the colour that it deserves and its report as Markdown; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from data_contracts.money import in_words
from tieout.ledger import states
from tieout.ledger.book import Item
from tieout.publishing import FAILING, Standing, by_cause, cell, run_name

FINISHED_WITH_FAILURES = "Finished with Failures"
_ROWS = 200  # of each table; the ledger has them all
_RED = (states.FAILED, states.UNCERTAIN)


@dataclass
class RunReport:
    """The facts of one run, gathered when it ends."""

    title: str
    counts: dict[str, int] = field(default_factory=dict)  # items of the whole ledger by state
    left: list[Item] = field(default_factory=list)  # items that this run moved
    failing: list[Item] = field(default_factory=list)  # all that are failing now, old ones too
    not_exportable: list[Item] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)  # steps that did not finish, with their reason
    notes: list[str] = field(default_factory=list)  # projects passed over, odd rows, letters refused
    figures: list[tuple[str, str]] = field(default_factory=list)  # what else there is to say, in order
    runs: dict[tuple[int, int], str] = field(default_factory=dict)  # the item run of each failing invoice
    ui_url: str = ""
    menu_path: str = ""

    def standing(self, green: str = "Completed") -> Standing:
        """Return the state that the run ends in: red for a failure of its own, never for an older one."""
        red = [item for item in self.left if item.state in _RED]
        causes = [f"{len(items)} × {cause}" for cause, items in by_cause(red).items()]
        parts = [f"{len(red)} invoice(s) failed in this run: {', '.join(causes)}."] if red else []
        parts += [f"Not finished: {step}." for step in self.unfinished[:5]]
        if parts:
            link = f" See {self._view('Failed to Export')}" if red else ""
            return Standing("FAILED", FINISHED_WITH_FAILURES, " ".join(parts) + link)
        return Standing("COMPLETED", green, self._in_short())

    def markdown(self) -> str:
        """Return the whole report."""
        sections = [f"# {self.title}", self._in_short(), *self._problems(), *self._failures(), *self._exported()]
        sections += [*self._not_exportable(), *self._counts()]
        return "\n\n".join(section for section in sections if section) + "\n"

    def _in_short(self) -> str:
        exported = [item for item in self.left if item.state in states.IN_ERP]
        told = [("exported", str(len(exported)))] if exported else []
        told += [*self.figures, ("failing now", str(len(self.failing)))]
        return ", ".join(f"{name}: {value}" for name, value in told) + "."

    def _problems(self) -> list[str]:
        lists = (("Not finished", self.unfinished), ("Worth knowing", self.notes))
        return [
            f"## {head}\n\n" + "\n".join(f"- {cell(each)}" for each in rows[:_ROWS]) for head, rows in lists if rows
        ]

    def _failures(self) -> list[str]:
        sections = []
        for cause, items in by_cause(self.failing).items():
            rows = [[self._link(item), FAILING[item.state], cell(_first_words(item))] for item in items]
            sections.append(f"### {cell(cause)} ({len(items)})\n\n" + _table(("invoice", "state", "why"), rows))
        return ["## What fails, by cause", *sections] if sections else []

    def _exported(self) -> list[str]:
        exported = [item for item in self.left if item.state in states.IN_ERP]
        if not exported:
            return []
        rows = [
            [cell(item.number), cell(item.vendor), cell(item.project), in_words(item.gross, item.currency)]
            + [in_words(item.held, item.currency), item.batch_code or "", item.document_id_erp or ""]
            for item in exported
        ]
        heads = ("invoice", "vendor", "project", "gross", "retention held", "batch", "ERP document")
        where = f"Accounting finds them, unposted, under **{cell(self.menu_path)}**.\n\n" if self.menu_path else ""
        return [f"## Exported ({len(exported)})\n\n{where}" + _table(heads, rows)]

    def _not_exportable(self) -> list[str]:
        rows = [[cell(run_name(item)), cell(_first_words(item))] for item in self.not_exportable]
        return [f"## Not exportable ({len(rows)})\n\n" + _table(("invoice", "why"), rows)] if rows else []

    def _counts(self) -> list[str]:
        rows = [[state, str(number)] for state, number in self.counts.items()]
        return ["## All invoices by state\n\n" + _table(("state", "invoices"), rows)] if rows else []

    def _link(self, item: Item) -> str:
        run = self.runs.get((item.company_id, item.invoice_id))
        name = cell(run_name(item)).replace("[", "(").replace("]", ")")
        return f"[{name}]({self.ui_url}/runs/flow-run/{run})" if run and self.ui_url else name

    def _view(self, state: str) -> str:
        return f"{self.ui_url}/runs?state={state.replace(' ', '%20')}"


def _first_words(item: Item) -> str:
    stopping = [reason.message for reason in item.reasons if reason.severity != "warn"]
    return stopping[0] if stopping else item.cause


def _table(heads: Iterable[str], rows: list[list[str]]) -> str:
    heads = tuple(heads)
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(row)} |" for row in rows[:_ROWS]]
    more = len(rows) - _ROWS
    return "\n".join(lines) + (
        f"\n\n… and {more} more; `tieout status` and the ledger have them all." if more > 0 else ""
    )
