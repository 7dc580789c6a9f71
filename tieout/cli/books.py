"""`tieout ledger upgrade` and `tieout audit verify`: bring the ledger's tables up to date, prove its chains."""

from typing import Annotated

import typer

from tieout import settings
from tieout.cli.console import notes, out, print_json, readable_ledger
from tieout.ledger.audit import verify as find_breaks
from tieout.ledger.book import upgrade as bring_up_to_date

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

ledger = typer.Typer(no_args_is_help=True, help="The ledger's tables.")
audit = typer.Typer(no_args_is_help=True, help="The ledger's hash chains.")


@ledger.callback()
@audit.callback()
def _group() -> None:
    """Keep a group a group although it has one command."""


@ledger.command()
def upgrade() -> None:
    """Create the ledger's tables or bring them to this release. Safe to run at every start."""
    bring_up_to_date(settings.ledger_url())
    notes().print("The ledger is up to date.")


@audit.command()
def verify(json: Json = False) -> None:
    """Prove that no event was changed, removed or added behind the ledger's back; exit status 1 when one was."""
    with readable_ledger() as opened:
        breaks = find_breaks(opened)
    if json:
        print_json({"is_whole": not breaks, "breaks": breaks})
    elif breaks:
        for each in breaks:
            out().print(each, markup=False)
        notes().print(f"[bold red]{len(breaks)} breaks.[/] Do not go on: see docs/runbook.md.")
    else:
        out().print("The chains are whole.")
    raise typer.Exit(1 if breaks else 0)
