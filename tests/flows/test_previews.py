"""A dry run of a flow writes nothing to Procore, the ERP or the ledger, and the run after it does what it said."""

import inspect
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import APPROVER, SENDER

from tieout.ledger.book import Item
from tieout.opening import open_ledger

FLOWS = Path(__file__).parents[2] / "flows"
DESIGN = Path(__file__).parents[2] / "docs" / "design.md"


def test_every_flow_has_a_dry_run_or_the_design_says_why_not():
    names = {path.stem for path in FLOWS.glob("*.py")} - {"__init__"}
    flows = {name: getattr(import_module(f"flows.{name}"), name) for name in names}
    with_one = {name for name, flow in flows.items() if "dry_run" in inspect.signature(flow.fn).parameters}
    told = DESIGN.read_text("utf-8").split("## Dry runs")[1].split("\n## ")[0]
    without = re.findall(r"^\| `([\w-]+)` \|", told, re.MULTILINE)

    assert {each.replace("-", "_") for each in without} == names - with_one


@pytest.mark.sandbox(projects=1, invoices=8, no_troubles=True)
def test_no_dry_run_writes_anything_and_the_run_after_it_does_what_it_said(stage: Any):
    stage.play("nightly-sync")
    first, second, *_ = stage.items("READY")
    stage.accept(first)
    stage.settled("review-invoices")  # a worker opens them
    project, before = first.project_id, rows(stage)
    forget_requests(stage)

    for flow, parameters in {
        "nightly-sync": {},
        "sync-invoices": {},
        "sync-payments": {},
        "retry-exports": {},
        "send-invoices": {"project": project, "sent_by": SENDER},
        "retrieve-invoices": {"project": project, "retrieved_by": SENDER, "invoices": [str(second.invoice_id)]},
        "reject-invoices": {"project": project, "rejected_by": APPROVER, "reason": "twice"},
        "reprocess-invoices": {"project": project, "requested_by": SENDER, "invoices": [str(second.invoice_id)]},
        "unlink-invoice": {
            "company": first.company_id, "invoice": first.invoice_id, "unlinked_by": APPROVER, "reason": "twice",
        },
    }.items():  # fmt: skip
        state = stage.play(flow, dry_run=True, **parameters)
        assert state.name == "Previewed", (flow, state.message)
    assert (rows(stage), writes(stage)) == (before, {})

    [due] = table(stage, "sync-invoices-preview")
    payload = json.loads(re.findall(r"```json\n(.*?)```", artifact(stage, "sync-invoices-payloads"), re.DOTALL)[0])
    assert (due["invoice"], due["in the ERP"], due["would"]) == (first.number, "new", "it is sent")
    assert table(stage, "retrieve-invoices-preview") == [{"invoice": second.number, "would be": "RETRIEVED", "why": ""}]
    assert "REJECTED" in {row["would be"] for row in table(stage, "reject-invoices-preview")}

    stage.play("sync-invoices")
    [exported] = stage.items("EXPORTED")
    [row] = [each for each in stage.sandbox.spectrum("invoices") if each["Remarks"].strip() == payload["Remarks"]]
    assert exported.invoice_id == first.invoice_id
    assert {name: str(row[name]).strip() for name in ("Vendor_Code", "Invoice_Number", "Batch_Code")} == {
        name: payload[name] for name in ("Vendor_Code", "Invoice_Number", "Batch_Code")
    }
    assert float(row["Invoice_Amount"]) == float(payload["Invoice_Amount"])
    stage.play("retrieve-invoices", project=project, retrieved_by=SENDER, invoices=[str(second.invoice_id)])
    assert [item.invoice_id for item in stage.items("RETRIEVED")] == [second.invoice_id]


@pytest.mark.sandbox(projects=1, invoices=6, no_troubles=True)
def test_payments_are_foreseen(stage: Any):
    stage.accept_by_policy()
    stage.play("nightly-sync")
    paid: Item = stage.items("EXPORTED")[0]
    check = stage.sandbox.post_and_pay(paid, "100.00")
    before = rows(stage)

    state = stage.play("sync-payments", dry_run=True)

    assert state.name == "Previewed", state.message
    assert [(row["check"], row["amount"]) for row in table(stage, "sync-payments-preview")] == [(check, "100.00")]
    assert (rows(stage), stage.sandbox.procore("payments")) == (before, [])
    stage.play("sync-payments", asked_by=APPROVER)
    [row] = stage.sandbox.procore("payments")
    assert (row["check_number"], row["origin_id"]) == (
        check,
        table(stage, "sync-payments-preview")[0]["origin id"],
    )


def rows(stage: Any) -> dict[str, int]:
    """Return all that the ledger holds, a number for each table."""
    with open_ledger() as ledger, ledger.reading() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        return {name: hash(tuple(connection.exec_driver_sql(f"SELECT * FROM {name}").all())) for name in names}


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
