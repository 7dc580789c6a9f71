"""What is foreseen is what is sent, to the last byte, and foreseeing it writes nothing anywhere."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, Desk
from ledgers import ON_BOTH_DATABASES
from stand_ins import StandIns
from typer.testing import CliRunner

from tieout.cli import app
from tieout.export import outcome
from tieout.ledger import states


def writes(desk: Desk) -> dict[str, int]:
    """Every request that could have changed something in either outside system; Procore's tokens are none."""
    return {
        route: times
        for system in desk.urls
        for route, times in desk.requests(system).items()
        if not route.startswith("GET ") and "/oauth/" not in route
    }


def ledger_rows(desk: Desk) -> dict[str, list[Any]]:
    with desk.ledger.reading() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        return {name: list(connection.exec_driver_sql(f"SELECT * FROM {name}").all()) for name in names}


def listen(stand_ins: StandIns) -> list[dict[str, Any]]:
    """Keep every invoice that reaches Spectrum's web service, as it was sent."""
    heard: list[dict[str, Any]] = []
    inner = stand_ins.spectrum.app

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        body = bytearray()

        async def overhear() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        await inner(scope, overhear, send)
        if scope.get("path") == "/vendor/invoice":
            heard.extend(json.loads(bytes(body))["APInvoices"])

    stand_ins.spectrum.app = listening
    return heard


@AFTER_A_NIGHT
def test_a_run_sends_exactly_what_was_foreseen(desk: Desk, stand_ins: StandIns):
    accepted = desk.accept()
    rows, before = ledger_rows(desk), desk.erp_invoices()
    desk.forget_requests()
    foreseen = desk.foresee()

    assert [each.presence for each in foreseen] == ["new"] * len(accepted)
    assert (writes(desk), ledger_rows(desk), desk.erp_invoices()) == ({}, rows, before)
    heard = listen(stand_ins)
    desk.export()
    by_key = {each["Remarks"]: each for each in heard}
    assert {each.body["Remarks"]: each.body for each in foreseen if each.body} == by_key
    there = desk.exported()
    assert {(each.item.invoice_id, each.voucher.batch_code) for each in foreseen if each.voucher} == {
        (invoice_id, row["Batch_Code"].strip()) for invoice_id, row in there.items()
    }


def equal(desk: Desk, invoice_id: int) -> None:
    desk.enter(desk.payload(invoice_id))


def stranger(desk: Desk, invoice_id: int) -> None:
    desk.enter(desk.payload(invoice_id) | {"Remarks": "typed by hand", "Retention_Amount": "0.00"})


def edited(desk: Desk, invoice_id: int) -> None:
    desk.enter(desk.payload(invoice_id) | {"Retention_Amount": "0.00"})


def untouched(desk: Desk, invoice_id: int) -> None:
    return


@pytest.mark.parametrize(
    ("happens", "presence", "state"),
    [
        (untouched, "new", states.EXPORTED),
        (equal, "equal", states.EXPORTED),
        (stranger, "taken", states.FAILED),
        (edited, "different", states.UNCERTAIN),
    ],
)
@AFTER_A_NIGHT
def test_what_the_erp_holds_already_is_foreseen(
    desk: Desk, happens: Callable[[Desk, int], None], presence: str, state: str
):
    first, *_ = desk.accept()
    happens(desk, first)
    [foreseen] = desk.foresee([first])

    assert foreseen.presence == presence
    assert bool(foreseen.differences) is (presence in ("taken", "different"))
    desk.export([first])
    assert desk.item(first).state == state


@AFTER_A_NIGHT
def test_what_is_stopped_or_changed_is_told_with_the_reason(desk: Desk):
    stopped, *_, changed = desk.accept()
    desk.bill_more(changed)
    desk.edit(stopped, invoice_number="")
    desk.read()
    told = {each.item.invoice_id: each.would for each in desk.foresee()}

    assert "wait for a new acceptance" in told[changed]
    assert "wait for a new acceptance" in told[stopped]
    desk.judge()
    [held] = desk.foresee([stopped])
    assert held.body is None
    assert held.item.reasons[0].message in held.would


@AFTER_AN_EXPORT
def test_an_exported_invoice_is_compared_with_what_the_erp_holds(desk: Desk):
    first, second, *_ = (item.invoice_id for item in desk.items())
    desk.act_on(desk.exported()[second], "edit", fields={"Retention_Amount": "0.00"})
    alike, otherwise = desk.foresee([first, second])

    assert (alike.presence, alike.differences) == ("equal", {})
    assert list(otherwise.differences) == ["retention"]
    assert "nothing is sent" in alike.would


@AFTER_A_NIGHT
def test_the_command_prints_what_is_foreseen_and_writes_nothing(desk: Desk):
    first, *_ = desk.accept()
    desk.set("policy", over_billing="stop")  # a policy that no run has seen yet
    rows = ledger_rows(desk)
    desk.forget_requests()
    run = CliRunner().invoke
    everything = json.loads(run(app, ["preview", "--json"]).stdout)["forecasts"]
    one = run(app, ["preview", str(first), "--payload"])
    project = run(app, ["preview", str(desk.item(first).project_id)])

    assert {each["invoice_id_procore"] for each in everything} == set(desk.states())
    assert all(each["batch"] == each["payload"]["Batch_Code"] for each in everything)
    assert desk.item(first).number in one.stdout
    assert f'"Batch_Code": "{everything[0]["batch"]}"' in one.stdout
    assert project.exit_code == 0
    assert run(app, ["preview", "no such number"]).exit_code == 1
    assert (writes(desk), ledger_rows(desk)) == ({}, rows)


@ON_BOTH_DATABASES
def test_a_rehearsal_leaves_nothing_behind(desk: Desk):
    desk.night()
    before, head = desk.states(), desk.audit()
    with desk.ledger.rehearsal():
        desk.accept()
        assert set(desk.states().values()) == {states.ACCEPTED}
        outcome.revive_transient(desk.ledger, desk.office)

    assert (desk.states(), desk.audit()) == (before, head)
    assert desk.accept()
