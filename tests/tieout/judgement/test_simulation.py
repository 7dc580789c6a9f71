"""Another policy is tried on what is stored: what it would change is what it changes, and trying it writes nothing."""

import gc
import json
import sys
from typing import Any

import pytest
from click.testing import Result
from desk import Desk
from ledgers import ON_BOTH_DATABASES
from sqlalchemy import select
from typer.testing import CliRunner

from tieout import settings
from tieout.cli import app
from tieout.judgement.rulebook import judge
from tieout.judgement.simulation import Simulation, simulate
from tieout.ledger import schema

TWO_PROJECTS = pytest.mark.sandbox(projects=2, invoices=8)


def simulated(desk: Desk, **changes: Any) -> Simulation:
    return simulate(desk.ledger, desk.basis, settings.read().policy_with(changes), desk.clock())


def tieout(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["policy", "simulate", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def rows(desk: Desk) -> dict[str, list[Any]]:
    with desk.ledger.reading() as connection:
        return {table.name: connection.execute(select(table)).all() for table in schema.metadata.sorted_tables}


@ON_BOTH_DATABASES
def test_what_another_policy_would_hold_is_what_it_holds_and_nothing_was_written(desk: Desk):
    newest = max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]
    desk.bill_more(newest, "900000.00")
    desk.night()
    before, states = rows(desk), desk.states()

    result = simulated(desk, over_billing="stop")

    assert rows(desk) == before
    assert [(each.invoice_id, each.now.state, each.then.state) for each in result.differences] == [
        (newest, "READY", "HELD")
    ]
    assert {each.told["rules"] for each in result.differences} == {("over-billed (warn)", "over-billed (hold)")}

    desk.set("policy", over_billing="stop")
    desk.judge()
    held = {each for each, state in desk.states().items() if state != states[each]}
    assert held == {newest}
    assert simulated(desk, over_billing="stop").differences == []


@TWO_PROJECTS
def test_a_policy_also_says_what_is_sent_accepted_and_passed_over(desk: Desk):
    desk.night()
    one, other = sorted(desk.projects)[:2]
    first = min(desk.states())
    desk.set_status(first, "approved_as_noted")
    desk.read()

    sent = simulated(desk, auto_send_statuses=["approved", "approved_as_noted"]).differences
    passed = simulated(desk, skip_projects=[one], auto_accept_projects=[other]).differences

    assert [(each.invoice_id, each.now.state, each.then.state) for each in sent if each.now.state != "READY"] == [
        (first, "not sent", "READY")
    ]
    assert {each.then.state for each in passed} == {"project skipped", "ACCEPTED"}


def test_what_the_erp_would_get_otherwise_is_told(desk: Desk):
    desk.night()

    by_number = simulated(desk, invoice_number="with_commitment").differences
    by_batch = simulated(desk, batch_weekday=4).differences

    assert {tuple(each.told) for each in by_number if each.then.state == "READY"} == {("number",)}
    assert {each.told["batch"] for each in by_batch} == {("20260307", "20260306")}


def test_the_command_takes_values_and_files_and_refuses_what_is_no_policy(desk: Desk):
    desk.night()
    file = desk.folder / "other.toml"
    file.write_text("[policy]\nbatch_weekday = 4\n", encoding="utf-8")

    from_file = json.loads(tieout("--file", str(file), "--json").stdout)
    as_table = tieout("--set", "batch_weekday=4")

    assert from_file["judged"] == len(desk.requisitions()) == len(from_file["differences"])
    assert "would differ" in as_table.output
    assert "batch" in as_table.output
    assert tieout("--file", str(file), "--set", "batch_weekday=5", "--json").exit_code == 0
    for wrong in (["--set", "over_billing=maybe"], ["--set", "colour=red"], ["--set", "colour"], []):
        assert tieout(*wrong).exit_code != 0


def test_the_search_for_garbage_does_not_disturb_a_simulation(desk: Desk):
    desk.night()
    searching: set[bool] = set()
    sys.setprofile(lambda frame, *_: searching.add(gc.isenabled()) if frame.f_code is judge.__code__ else None)
    try:
        simulated(desk, batch_weekday=4)
    finally:
        sys.setprofile(None)

    assert (searching, gc.isenabled()) == ({False}, True)
