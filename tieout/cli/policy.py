"""`tieout policy simulate`: what another policy would make of the invoices that Procore showed."""

import tomllib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tieout import opening
from tieout.cli.console import notes, open_office, out, print_json, readable_ledger, table
from tieout.errors import SettingsError
from tieout.judgement.basis import read_basis
from tieout.judgement.simulation import Simulation, simulate

policy = typer.Typer(no_args_is_help=True, help="What the company has decided.")


@policy.callback()
def _policy() -> None:
    """Keep `simulate` a command of its own, though it is the only one."""


@policy.command("simulate")
def simulate_policy(
    changed: Annotated[list[str] | None, typer.Option("--set", help="name=value, as in the section [policy].")] = None,
    file: Annotated[Path | None, typer.Option(help="A TOML file with a section [policy]; --set wins over it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge every stored invoice under another policy, too, and show those that would fare differently. Writes nothing.

    Both policies judge today, as if nothing had been sent: what is in the ERP stays there under both.
    """
    values = _from_file(file) | dict(map(_pair, changed or ()))
    if not values:
        raise typer.BadParameter("nothing to simulate: give --set or --file")
    office = open_office()
    wanted = office.settings.policy_with(values)
    with readable_ledger(office) as ledger, opening.open_erp(office) as erp:
        now = read_basis(ledger, erp, office.settings, office.settings.policy)
        result = simulate(ledger, now, wanted, office.clock())
    if json:
        print_json({"judged": result.judged, "differences": [asdict(each) for each in result.differences]})
    else:
        headings = ("invoice", "vendor", "project", "gross>", "in the ledger", "what", "now", "then")
        out().print(table("", headings, _rows(result)))
    moves = Counter((each.now.state, each.then.state) for each in result.differences)
    told = [f"{count} × {now} → {then}" for (now, then), count in moves.most_common() if now != then]
    words = [f"{result.judged:,} invoices judged, {len(result.differences):,} would differ", *told]
    notes().print("; ".join(words), markup=False)


def _rows(result: Simulation) -> list[list[str]]:
    rows = []
    for each in result.differences:
        head = [each.number, each.vendor, each.project, each.gross, each.in_ledger]
        for what, (now, then) in each.told.items():
            rows.append([*head, what.replace("_", " "), now or "none", then or "none"])
            head = [""] * len(head)
    return rows


def _pair(text: str) -> tuple[str, Any]:
    """Read `name=value`; a value that is no TOML is a word, so that quotes may be left out."""
    name, sign, value = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"{text!r} is not name=value")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        section = tomllib.loads(path.read_text(encoding="utf-8")).get("policy", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError("Settings", str(path), str(error)) from None
    if not isinstance(section, dict):
        raise SettingsError("Settings", str(path), "[policy] must be a table")
    return section
