"""Codes that nothing translates are listed with those that the ERP has; a row that is filled in lets the invoice go."""

import csv
import io
import json

import pytest
from click.testing import Result
from desk import Desk
from typer.testing import CliRunner

from tieout.cli import app
from tieout.judgement.mapping import COLUMNS
from tieout.judgement.unmapped import RULES, unmapped
from tieout.sandbox.contractor.erp_codes import plain

TROUBLED = pytest.mark.sandbox(projects=5, invoices=56, lines=2, troubles=True)


def tieout(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["unmapped", *arguments])
    assert result.exit_code == 0, result.output
    return result


@TROUBLED
def test_every_unmapped_code_is_listed_with_candidates_and_a_chosen_one_mends_it(desk: Desk):
    desk.night()
    held = [item for item in desk.items("HELD") if any(each.rule in RULES for each in item.reasons)]
    found = unmapped(desk.ledger, desk.basis, desk.clock())
    kinds = {each.code.kind for each in found}
    reference = desk.basis.reference
    known = {
        "vendor": {each.code for each in reference.vendors},
        "job": {each.number for each in reference.jobs},
        "subcontract": {each.number for each in reference.subcontracts},
        "phase": {each.phase for each in reference.phases},
        "cost_type": {each.cost_type for each in reference.phases},
    }

    assert kinds == {"vendor", "job", "subcontract", "phase", "cost_type"}
    assert sum(each.invoices for each in found) >= len(held) > 0
    for each in found:
        assert {code for code, _ in each.candidates} <= known[each.code.kind]
        assert each.candidates

    [vendor] = [each for each in found if each.code.kind == "vendor"]
    names = {each.code: each.name for each in desk.contractor.books.vendors}
    assert names[vendor.candidates[0][0]] == plain(vendor.code.name)


@TROUBLED
def test_the_command_prints_a_table_rows_to_fill_in_and_json(desk: Desk):
    desk.night()

    rows = list(csv.DictReader(io.StringIO(tieout("--csv").stdout)))
    listed = json.loads(tieout("--json").stdout)["unmapped"]

    assert len(rows) == len(listed) > 0
    assert all(tuple(row) == COLUMNS and row["procore"] and not row["erp"] for row in rows)
    assert "the ERP has" in tieout().stdout


def test_where_everything_is_mapped_nothing_is_listed(desk: Desk):
    desk.night()

    assert "Every code is mapped" in tieout().stdout
