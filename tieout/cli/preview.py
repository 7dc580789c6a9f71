"""`tieout preview`: what the next export would send, beside what the ERP holds now; writes nothing anywhere."""

import json as jsons
from typing import Annotated, Any

import typer

from tieout import opening
from tieout.cli.console import notes, open_office, out, plain, print_json, readable_ledger, table
from tieout.export.preview import Forecast, as_rows, due, foresee, read_basis
from tieout.ledger import states
from tieout.ledger.book import Ledger
from tieout.ledger.items import Item


def preview(
    what: Annotated[str, typer.Argument(help="Invoice number, or an id in Procore: invoice or project.")] = "",
    payload: Annotated[bool, typer.Option("--payload", help="Print each request body, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the exact payload of what would be exported now, and whether the ERP has it: new, equal or different.

    Without an argument: what the next night exports. For a project, also what waits to be accepted or failed.
    Goes by the last reading of Procore, and the ERP's current master data.
    Exit status 1: nothing of that name in the ledger.
    """
    office = open_office()
    with readable_ledger(office) as ledger, opening.open_erp(office) as erp:
        basis = read_basis(ledger, erp, office)
        chosen = _chosen(ledger, what) if what else due(ledger, basis)
        forecasts = foresee(ledger, erp, basis, chosen, office.clock())
    if what and not chosen:
        notes().print(f"Nothing of {what!r} was ever sent.", style="red", markup=False)
        raise typer.Exit(1)
    if json:
        print_json({"forecasts": [_facts(each) for each in forecasts]})
    else:
        _print(forecasts, payload)


def _chosen(ledger: Ledger, what: str) -> list[Item]:
    if what.isascii() and what.isdigit() and len(what) < 19:
        project = ledger.items(project_id=int(what), state=(states.ACCEPTED, states.READY, states.FAILED, states.HELD))
        if found := ledger.items(invoice_id=int(what)) or project:
            return found
    return ledger.items(number=what) or ledger.items(number_erp=what)


def _facts(each: Forecast) -> dict[str, Any]:
    [row] = as_rows([each])
    return row | {
        "invoice_id_procore": each.item.invoice_id,
        "state": each.item.state,
        "payload": each.body,
        "there": [record.model_dump(mode="json") for record in each.there],
        "differences": each.differences,
    }


def _print(forecasts: list[Forecast], payload: bool) -> None:
    rows = as_rows(forecasts)
    if not rows:
        out().print("Nothing would be exported.")
        return
    headings = [f"{name}>" if name in ("gross", "retention") else name for name in rows[0]]
    out().print(table(f"{len(rows)} invoices", headings, [tuple(row.values()) for row in rows]))
    for each in forecasts if payload else []:
        out().print(plain(jsons.dumps(each.body, indent=2, ensure_ascii=False, default=str)))
