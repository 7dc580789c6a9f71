"""`tieout doctor`: whether a night could run now, and what stands in its way."""

from typing import Annotated, Any

import typer

from tieout.cli.console import notes, open_office, out, print_json, table
from tieout.watch import preflight
from tieout.watch.preflight import Preflight, Rights

_RIGHTS = ("export", "invoices", "commitments", "payments_issued")


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check settings, ledger, Procore, ERP, mapping and every project; exit status 1 if something prevents a night."""
    found = preflight.inspect(open_office())
    if json:
        print_json(_facts(found))
    else:
        _print(found)
    raise typer.Exit(1 if found.is_blocked else 0)


def _facts(found: Preflight) -> dict[str, Any]:
    projects = [
        {"project_id_procore": rights.project.project_id_procore, "project": rights.project.name}
        | {name: getattr(rights, name) or "ok" for name in _RIGHTS}
        for rights in found.projects
    ]
    problems = [problem.model_dump(mode="json") for problem in found.problems]
    return {
        "is_blocked": found.is_blocked,
        "problems": problems,
        "projects": projects,
        "versions": found.versions,
    }


def _print(found: Preflight) -> None:
    console = out()
    if found.projects:
        headings = ("project", "export", "invoices", "commitments", "payments issued")
        console.print(table("Projects", headings, [_row(rights) for rights in found.projects]))
    if found.problems:
        rows = [
            ("blocks" if each.is_blocking else "warning", each.system, each.message, each.remedy)
            for each in found.problems
        ]
        console.print(table("Problems", ("", "system", "what is wrong", "what to do"), rows))
    console.print(", ".join(f"{name} {number}" for name, number in found.versions.items()))
    if found.is_blocked:
        notes().print("A night cannot run.", style="bold red")
    else:
        notes().print("A night can run.", style="bold green")


def _row(rights: Rights) -> tuple[str, ...]:
    first = next((name for name in _RIGHTS if getattr(rights, name)), None)
    after = _RIGHTS.index(first) if first else len(_RIGHTS)
    cells = ["yes" if place < after else "no" if place == after else "-" for place in range(len(_RIGHTS))]
    return rights.project.name, *cells
