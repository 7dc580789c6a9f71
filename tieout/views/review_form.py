"""What an approver reads: the narrow table of the form and the whole table beside it; pure."""

from collections.abc import Sequence

from data_contracts.money import in_words
from tieout.decisions.review import Offer, Row
from tieout.wording import cell


def description(offer: Offer, problems: Sequence[str] = ()) -> str:
    """Return the text above the form: what was wrong with the last answer, then a narrow table."""
    lines = [f"**Please answer again:** {cell(problem)}." for problem in problems]
    lines += [f"**{cell(offer.project)}**: {len(offer.rows)} to decide. Every figure is on the run's Artifacts tab."]
    table = ["| number | gross | vendor |", "|---|---:|---|"]
    table += [f"| {cell(row.number)} | {_money(row)} | {_mark(row)}{cell(row.vendor)[:24]} |" for row in offer.rows]
    return "\n\n".join(lines) + "\n\n" + "\n".join(table)


def whole_table(offer: Offer) -> str:
    """Return everything that is known of each offered invoice, in tables that a narrow window shows whole."""
    lines = [f"# Ready to Export: {cell(offer.project)}", ""]
    lines += ["| number | gross | retention held | due now | vendor |", "|---|---:|---:|---:|---|"]
    for row in offer.rows:
        amounts = [in_words(amount, row.currency) for amount in (row.gross, row.held, row.net)]
        lines.append(f"| {' | '.join([cell(row.number), *amounts, _mark(row) + cell(row.vendor)])} |")
    warned = [f"- **{cell(row.number)}**: {cell(warning)}" for row in offer.rows for warning in row.warnings]
    lines += ["", "## ⚠ Warnings", "", *warned] if warned else []
    lines += ["", "## What they bill", "", "| number | period | commitment |", "|---|---|---|"]
    lines += [f"| {cell(row.number)} | {cell(row.period)} | {cell(row.commitment)} |" for row in offer.rows]
    return "\n".join(lines) + "\n"


def _money(row: Row) -> str:
    return in_words(row.gross, row.currency)


def _mark(row: Row) -> str:
    return "⚠ " if row.warnings else ""
