"""`tieout ledger` and `tieout audit`: bring the tables up to date, keep a copy, prove that nobody changed anything."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tieout import settings
from tieout.cli.console import bar, notes, open_office, out, print_json, readable_ledger
from tieout.ledger.audit import head as newest_link
from tieout.ledger.audit import rebuild as derive_again
from tieout.ledger.audit import verify as find_breaks
from tieout.ledger.database import copy_to
from tieout.ledger.database import upgrade as bring_up_to_date

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

ledger = typer.Typer(no_args_is_help=True, help="The ledger's tables.")
audit = typer.Typer(no_args_is_help=True, help="The ledger's hash chains.")


@ledger.command()
def upgrade() -> None:
    """Create the ledger's tables or bring them to this release. Safe to run at every start."""
    bring_up_to_date(settings.read().ledger_url)
    notes().print("The ledger is up to date.")


@ledger.command()
def backup(file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")]) -> None:
    """Copy the ledger into a file while work goes on. For SQLite; PostgreSQL has `pg_dump`."""
    with bar("Copying the ledger") as progress:
        copy_to(settings.read().ledger_url, file, progress)
    notes().print(f"The ledger was copied to {file}.")


@audit.command()
def verify(
    anchor: Annotated[str, typer.Option(help="A head kept from an earlier report, as `number:hash`.")] = "",
    json: Json = False,
) -> None:
    """Prove that nobody changed, removed or added anything behind the ledger's back; exit status 1 if somebody did.

    Every run's report ends with the ledger's head. Give one as --anchor to prove that nobody cut anything off since.
    """
    with readable_ledger(open_office()) as opened, bar("Checking every commit and invoice", hidden=json) as progress:
        breaks, head = find_breaks(opened, anchor, progress), newest_link(opened)
    _tell(breaks, {"is_whole": not breaks, "breaks": breaks, "head": head}, f"The chains are whole. Head: {head}", json)


@audit.command()
def rebuild(json: Json = False) -> None:
    """Derive every invoice's state and figures again from its events and compare; exit status 1 if one differs."""
    with readable_ledger(open_office()) as opened, bar("Deriving every invoice again", hidden=json) as progress:
        derived, differences = derive_again(opened, progress)
    facts = {"derived": derived, "differences": differences}
    _tell(differences, facts, f"All {derived} invoices match their events.", json)


def _tell(problems: list[str], facts: dict[str, Any], good: str, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    elif problems:
        for each in problems:
            out().print(each, markup=False)
        notes().print(f"[bold red]{len(problems)} found.[/] Do not go on: see docs/runbook.md.")
    else:
        out().print(good, markup=False)
    raise typer.Exit(1 if problems else 0)
