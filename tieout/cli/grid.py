"""`tieout grid PROJECT`: every invoice of a project that Procore ever showed, and whether it was imported."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from tieout.cli.console import notes, open_office, out, print_json, readable_ledger, table
from tieout.decisions.choice import named_project
from tieout.views import grid as grids
from tieout.views.grid import DateBasis, Scope, Tally

_ALL = sys.maxsize
_SHOWN = ("status", "error message", "number", "vendor", "gross", "retainage", "net", "ERP document", "updated at")
_NUMBERS = ("gross", "retainage", "net")


def grid(
    project: Annotated[int, typer.Argument(help="The Procore project id.")],
    past_days: Annotated[int | None, typer.Option(help="Only the past N days; 0 is today. Without it: all.")] = None,
    date_basis: Annotated[DateBasis, typer.Option(help="What the days count from.")] = "changed",
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the invoices of one project with their import status, error message, amounts and ERP documents."""
    scope, tally = Scope(project, past_days, date_basis), Tally(_ALL)
    office = open_office()
    with readable_ledger(office) as ledger:
        name = named_project(ledger, project).name
        rows = tally.of(grids.read(ledger, scope, office))
        if csv:
            grids.write_csv(rows, sys.stdout)
        elif json:
            print_json({"project": name, "range": scope.words, "invoices": [asdict(row) for row in rows]})
        else:
            headings = [f"{each}>" if each in _NUMBERS else each for each in _SHOWN]
            told = [[each[column] for column in _SHOWN] for each in grids.as_table(rows)]
            out().print(table(f"{name}: {scope.words}", headings, told))
    counted = ", ".join(f"{status} {number}" for status, number in tally.counts.items())
    notes().print(counted, markup=False)
