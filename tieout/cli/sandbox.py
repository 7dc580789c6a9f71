"""`tieout sandbox`: stand-ins for Procore and Spectrum, with a believable contractor inside."""

import json as jsons
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tieout.cli.console import bar, notes


def sandbox(
    data: Annotated[Path, typer.Option(help="Folder of the stand-ins' databases.")] = Path(".tieout/sandbox"),
    seed: Annotated[int, typer.Option(help="Another seed is another contractor.")] = 1,
    projects: Annotated[int, typer.Option(min=1, help="Projects that tieout may see.")] = 4,
    invoices: Annotated[int, typer.Option(min=1, help="Invoices over all projects.")] = 60,
    lines: Annotated[int | None, typer.Option(min=1, help="Lines per invoice; default: as it comes.")] = None,
    limits: Annotated[Literal["on", "off"], typer.Option(help="Procore's rate limits.")] = "on",
    troubles: Annotated[bool, typer.Option(help="Invoices that the checks must catch.")] = True,
    procore_port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    spectrum_port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """Serve both stand-ins until Ctrl-C. When they take requests, one JSON line says where they are.

    It opens an existing data folder as it was left: seed and sizes count for a new one only.
    """
    waiting = ExitStack()

    def announce(facts: dict[str, Any]) -> None:
        waiting.close()
        print(jsons.dumps(facts), flush=True)

    with waiting:
        waiting.enter_context(bar("Building the contractor and starting both stand-ins"))
        from tieout.sandbox.serve import serve  # brings a web server along, which no other command needs
        from tieout.sandbox.sockets import SandboxError

        sizes = (seed, projects, invoices, lines, limits == "on")
        try:
            serve(data, *sizes, procore_port, spectrum_port, troubles=troubles, announce=announce)
        except (SandboxError, OSError) as error:
            waiting.close()
            notes().print(str(error), style="red", markup=False)
            raise typer.Exit(1) from None
