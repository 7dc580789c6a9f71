"""How an invoice, a project, a place and a sum are called, in runs, mails and reports alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from data_contracts.money import in_words
from tieout.ledger import states
from tieout.ledger.items import Item


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


def run_name(item: Item) -> str:
    """Return what the run is called: number, vendor, amount, project."""
    parts = (item.number or "(no number)", item.vendor, in_words(item.gross, item.currency), item.project)
    return " · ".join(printable(part, 80) for part in parts if part)


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
    return printable(text, 1_000).replace("|", "\\|").replace("<", "&lt;")


def printable(text: str, length: int) -> str:
    kept = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return kept if len(kept) <= length else kept[: length - 1] + "…"


NOT_IMPORTED: Final = "Not imported"
IN_QUEUE: Final = "In Queue"
IMPORTED: Final = "Imported"
ERROR: Final = "Error"
STATUSES: Final = {
    **dict.fromkeys((states.READY, states.ACCEPTED, states.EXPORTING), IN_QUEUE),
    **dict.fromkeys(states.IN_ERP, IMPORTED),
    **dict.fromkeys((states.HELD, states.NOT_EXPORTABLE, states.FAILED, states.UNCERTAIN, states.GONE), ERROR),
    **dict.fromkeys(states.OUTSIDE, NOT_IMPORTED),
}
