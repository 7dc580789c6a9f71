"""A decision takes the person's one-time code, and what is worth something to a thief is nowhere afterwards."""

import os
import re
from typing import Any

import pytest
from desk import APPROVER
from phones import enrol
from sqlalchemy import create_engine, inspect, text

pytestmark = pytest.mark.sandbox(projects=1, invoices=4, no_troubles=True)


def test_a_review_asks_again_for_a_code_until_it_is_right_and_no_secret_is_left_behind(stage: Any):
    stage.set("approval", proof="totp")
    phone = enrol()
    stage.play("nightly-sync")
    review = stage.waiting_review()
    form = stage.form_schema(review.id)
    assert "code" in form["required"]

    answer, wrong = {"decided_by": APPROVER, "accept": "all"}, phone.wrong_code()
    for left in ("4 more wrong ones", "3 more wrong ones"):  # each answer counts once, however often it is read again
        assert stage.resume(review.id, **answer, code=wrong).state_name == "Suspended"
        assert f"the code is wrong; {left}" in stage.form_description(review.id)
    assert {item.state for item in stage.items()} == {"READY"}

    right = phone.code()
    run = stage.resume(review.id, **answer, code=right)
    assert run.state_name == "Decided", run.state.message
    exported = stage.items("EXPORTED")
    assert len(exported) == stage.sandbox.procore("state")["with_origin_data"] == 4

    who = {"company": exported[0].company_id, "invoice": exported[0].invoice_id}
    again = stage.play("unlink-invoice", **who, unlinked_by=APPROVER, reason="billed twice", code=right)
    assert "this code was used already" in again.message
    refused = stage.play("sync-payments", asked_by=APPROVER, code=right)
    assert ("this code was used already" in refused.message, refused.is_failed()) == (True, True)
    paid = stage.play("sync-payments", asked_by=APPROVER, code=phone.code())
    assert paid.is_completed(), paid.message

    said, stored = what_prefect_says(stage), what_is_stored(stage)
    assert any("Decided" in each for each in said)
    typed = re.compile(rf"\b({right}|{wrong})\b")
    assert [each for each in said if typed.search(each)] == []
    secrets = (os.environ["TIEOUT_APPROVAL__KEY"], str(phone.app.secret))
    assert [each for each in [*said, *stored] if any(secret in each for secret in secrets)] == []


def what_prefect_says(stage: Any) -> list[str]:
    """Return what people read: logs, messages of states, artifacts."""
    after = stage.began.isoformat()
    logs = stage.client.request("POST", "/logs/filter", json={"logs": {"timestamp": {"after_": after}}, "limit": 200})
    artifacts = stage.client.request("POST", "/artifacts/filter", json={"limit": 200}).json()
    runs = stage.client.request("POST", "/flow_runs/filter", json={"limit": 200}).json()
    states = [f"{run['name']} {run['state_name']} {run['state']['message']}" for run in runs if run["state"]]
    described = [str(each.get("data")) + str(each.get("description")) for each in artifacts]
    return [each["message"] for each in logs.json()] + states + described


def what_is_stored(stage: Any) -> list[str]:
    """Return what is kept: runs with their parameters, the answers to forms, every row of the ledger."""
    runs = stage.client.request("POST", "/flow_runs/filter", json={"limit": 200}).json()
    tasks = stage.client.request("POST", "/task_runs/filter", json={"limit": 200}).json()
    inputs = [str(stage.client.filter_flow_run_input(run["id"], "", 50, set())) for run in runs]
    engine = create_engine(stage.ledger_url)
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        rows = [str(tuple(row)) for each in tables for row in connection.execute(text(f"SELECT * FROM {each}"))]
    engine.dispose()
    return [*map(str, [*runs, *tasks]), *inputs, *rows]
