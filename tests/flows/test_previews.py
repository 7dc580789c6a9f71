"""A dry run of a flow writes nothing to Procore, the ERP or the ledger, and the run after it does what it said."""

import inspect
import json
import re
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import APPROVER, SENDER

from tasks.watch import deployments
from tieout.ledger.items import Item

GIVEN = {
    "reason": "twice",
    "note": "released",
    **dict.fromkeys(("sent_by", "retrieved_by", "requested_by"), SENDER),
    **dict.fromkeys(("rejected_by", "unlinked_by", "acknowledged_by", "confirmed_by"), APPROVER),
}


@pytest.mark.sandbox(projects=1, invoices=8, no_troubles=True)
def test_a_dry_run_of_every_flow_writes_nothing_and_the_runs_after_it_do_what_it_said(stage: Any, tmp_path: Path):
    drifted, uncertain, changed, first, second = a_day(stage)
    meant = {"acknowledge-drift": drifted, "settle-uncertain": uncertain, "refresh-invoice": changed}
    before = everything(stage, tmp_path)
    forget_requests(stage)

    ends = {}
    for flow in deployments():
        item = meant.get(flow, first)
        given = {**GIVEN, "company": item.company_id, "invoice": item.invoice_id, "project": item.project_id}
        given |= {"invoices": [str(second.invoice_id)], "dry_run": True}
        wanted = {name: given[name] for name in asked_for(flow) & given.keys()}
        ends[flow] = stage.play(flow, **wanted)
    # Who cannot be told to write nothing writes nothing.
    assert {flow for flow, end in ends.items() if end.name != "Previewed"} == {"show-invoices"}, ends
    assert (everything(stage, tmp_path), writes(stage)) == (before, {})

    [due] = table(stage, "sync-invoices-preview")
    payload = json.loads(re.findall(r"```json\n(.*?)```", artifact(stage, "sync-invoices-payloads"), re.DOTALL)[0])
    assert (due["invoice"], due["in the ERP"], due["would"]) == (first.number, "new", "it is sent")
    assert table(stage, "export-invoice-preview") == [due]
    assert table(stage, "retrieve-invoices-preview") == [{"invoice": second.number, "would be": "RETRIEVED", "why": ""}]
    assert [row["would be"] for row in table(stage, "reject-invoices-preview")] == ["REJECTED"]
    offered = {row["invoice"]: row["would"] for row in table(stage, "review-invoices-preview")}
    assert offered[second.number] == "it is sent, once it is accepted"
    assert "**≠** $0.00" in artifact(stage, "settle-uncertain-preview")
    assert f"{changed.number} | CHANGED-1" in artifact(stage, "refresh-invoice-preview")
    assert f"{drifted.number} " in ends["acknowledge-drift"].message
    assert "is Drifted and would be Exported. Changed in Spectrum since its export" in ends["acknowledge-drift"].message
    assert "item runs created: 0" not in ends["keep-watch"].message
    assert {"what": "uncertain invoices looked for", "how many": "1"} in table(stage, "keep-watch-preview")

    stage.play("sync-invoices")
    assert first.invoice_id in {item.invoice_id for item in stage.items("EXPORTED")}
    [row] = [each for each in stage.sandbox.spectrum("invoices") if each["Remarks"].strip() == payload["Remarks"]]
    assert {name: str(row[name]).strip() for name in ("Vendor_Code", "Invoice_Number", "Batch_Code")} == {
        name: payload[name] for name in ("Vendor_Code", "Invoice_Number", "Batch_Code")
    }
    assert float(row["Invoice_Amount"]) == float(payload["Invoice_Amount"])
    stage.play("retrieve-invoices", project=first.project_id, retrieved_by=SENDER, invoices=[str(second.invoice_id)])
    assert [item.invoice_id for item in stage.items("RETRIEVED")] == [second.invoice_id]
    stage.play("acknowledge-drift", company=drifted.company_id, invoice=drifted.invoice_id, acknowledged_by=APPROVER,
               reason="twice")  # fmt: skip
    assert stage.runs("Drifted") == []


@pytest.mark.sandbox(projects=1, invoices=6, no_troubles=True)
def test_payments_are_foreseen(stage: Any, tmp_path: Path):
    stage.accept_by_policy()
    stage.play("nightly-sync")
    paid: Item = stage.items("EXPORTED")[0]
    check = stage.sandbox.post_and_pay(paid, "100.00")
    before = everything(stage, tmp_path)

    state = stage.play("sync-payments", dry_run=True)

    assert state.name == "Previewed", state.message
    assert [(row["check"], row["amount"]) for row in table(stage, "sync-payments-preview")] == [(check, "100.00")]
    assert (everything(stage, tmp_path), stage.sandbox.procore("payments")) == (before, [])
    stage.play("sync-payments", asked_by=APPROVER)
    [row] = stage.sandbox.procore("payments")
    assert (row["check_number"], row["origin_id"]) == (
        check,
        table(stage, "sync-payments-preview")[0]["origin id"],
    )


def a_day(stage: Any) -> list[Item]:
    """Play until something waits for every flow.

    Return one that drifted, an uncertain one, one that was changed in Procore, one that is due, one that is offered.
    """
    stage.play("nightly-sync")
    ready = stage.items("READY")
    for item in ready[:2]:
        stage.accept(item)
    stage.turn_up(ready[1], Retention_Amount="0.00")
    stage.play("sync-invoices")
    [drifted], [uncertain] = stage.items("EXPORTED"), stage.items("UNCERTAIN")
    which = {"vendor_code": drifted.vendor_erp, "invoice_number": drifted.number_erp}
    stage.sandbox.spectrum("invoices/edit", {**which, "fields": {"Invoice_Amount": "77.00"}})
    stage.play("sync-payments", asked_by=APPROVER)
    changed, first, second, *_ = stage.items("READY")
    stage.accept(first)
    stage.sandbox.procore(f"requisitions/{changed.invoice_id}/edit", {"invoice_number": "CHANGED-1"})
    stage.settled("review-invoices")  # a worker opens them
    return [drifted, uncertain, changed, first, second]


def asked_for(flow: str) -> set[str]:
    """Return the fields of a flow's form."""
    name = flow.replace("-", "_")
    return set(inspect.signature(getattr(import_module(f"flows.{name}"), name).fn).parameters)


def everything(stage: Any, folder: Path) -> dict[str, Any]:
    """Return all that the ledger, both outside systems and the views in Prefect hold."""
    kept = {
        "ledger": stored(folder / "ledger.sqlite"),
        "procore": stored(folder / "procore.sqlite", "records", "requisitions"),
    }
    kept["spectrum"] = stored(folder / "spectrum.sqlite")
    shown = [run for flow in ("export-invoice", "review-invoices") for run in stage.runs(flow=flow)]
    return kept | {"prefect": {run.id: run.state_id for run in shown}}


def stored(path: Path, *tables: str) -> dict[str, int]:
    """Return what a database holds, a number for each of these tables, or of all."""
    with closing(sqlite3.connect(path)) as database:
        every = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: hash(tuple(database.execute(f"SELECT * FROM {name}"))) for name in tables or every}


def urls(stage: Any) -> list[str]:
    facts = stage.sandbox.facts
    return [facts["procore"]["api_url"], facts["spectrum"]["url"]]


def forget_requests(stage: Any) -> None:
    for url in urls(stage):
        httpx.delete(f"{url}/_sandbox/requests", timeout=30).raise_for_status()


def writes(stage: Any) -> dict[str, int]:
    """Every request that could have changed something in either outside system; Procore's tokens are none."""
    found = {}
    for url in urls(stage):
        found |= httpx.get(f"{url}/_sandbox/requests", timeout=30).json()["by_route"]
    return {route: times for route, times in found.items() if not route.startswith("GET ") and "oauth" not in route}


def artifact(stage: Any, key: str) -> str:
    found = stage.client.request("GET", "/artifacts/{key}/latest", path_params={"key": key}).json()
    return str(found["data"])


def table(stage: Any, key: str) -> list[dict[str, str]]:
    return list(json.loads(artifact(stage, key)))
