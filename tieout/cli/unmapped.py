"""`tieout unmapped`: the codes of Procore that no ERP code is known for, with those that the ERP has."""

import csv
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from tieout import opening
from tieout.cli.console import open_office, out, print_json, readable_ledger, table
from tieout.judgement.basis import read_basis
from tieout.judgement.mapping import COLUMNS
from tieout.judgement.unmapped import Unmapped
from tieout.judgement.unmapped import unmapped as find_unmapped


def unmapped(
    rows: Annotated[bool, typer.Option("--csv", help="Print rows of the mapping table to fill in.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the codes without a translation that hold invoices, and the codes that the ERP has.

    The candidates are the codes with the most similar spelling, as a hint only: choose one, and link it in Procore or
    add a row to the mapping table.
    """
    office = open_office()
    with readable_ledger(office) as ledger, opening.open_erp(office) as erp:
        found = find_unmapped(ledger, read_basis(ledger, erp, office.settings, office.settings.policy), office.clock())
    if json:
        print_json({"unmapped": [asdict(each) for each in found]})
    elif rows:
        writer = csv.DictWriter(sys.stdout, COLUMNS)
        writer.writeheader()
        writer.writerows(_row(each) for each in found)
    elif found:
        headings = ("kind", "in Procore", "called", "job", "holds invoices>", "the ERP has")
        out().print(table(f"{len(found)} codes", headings, map(_cells, found)))
    else:
        out().print("Every code is mapped.")


def _row(each: Unmapped) -> dict[str, str]:
    code = each.code
    job = code.job if code.kind in ("phase", "cost_type") else ""
    return {"kind": code.kind, "procore": code.procore, "job": job, "erp": "", "valid_from": ""}


def _cells(each: Unmapped) -> tuple[str, ...]:
    code = each.code
    told = ", ".join(f"{known} {name}".strip() for known, name in each.candidates)
    return code.kind, code.procore, code.name, code.job, str(each.invoices), told or "nothing of the kind"
