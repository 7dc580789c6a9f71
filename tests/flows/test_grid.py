"""The import grid in the Prefect UI: a table with a history for each project, and a file with all rows."""

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.sandbox(projects=1, invoices=6, no_troubles=True)


def test_every_run_keeps_the_list_of_the_projects_that_it_changed(stage: Any):
    stage.play("nightly-sync")
    [project] = {item.project_id for item in stage.items()}
    [first] = versions(stage, project)
    assert {row["status"] for row in json.loads(first["data"])} == {"In Queue"}

    stage.accept_by_policy()
    stage.play("sync-invoices")
    newest, *older = versions(stage, project)
    assert [each["id"] for each in older] == [first["id"]]
    assert {row["provenance"] for row in json.loads(newest["data"])} == {"Invoice Imported From Procore"}

    stage.play("sync-invoices")  # nothing happened
    assert len(versions(stage, project)) == 2


def test_a_person_lists_a_project_and_is_told_where_all_rows_are(stage: Any):
    stage.play("nightly-sync")
    [project] = {item.project_id for item in stage.items()}

    run = stage.run("show-invoices", project=project, past_days=36500)
    [table] = [
        each for each in versions(stage, project, "-changed-past-36500-days") if each["flow_run_id"] == str(run.id)
    ]
    file = Path(run.state.message.partition("rows: ")[2].partition(" The table")[0])

    assert (run.state_name, run.state.is_completed()) == ("Listed", True), run.state.message
    assert f"/artifacts/key/{table['key']}" in run.state.message
    with file.open(encoding="utf-8-sig", newline="") as text:
        assert {row["number"] for row in csv.DictReader(text)} == {item.number for item in stage.items()}

    refused = stage.play("show-invoices", project=project, past_days=-1)
    assert (refused.name, "it must be 0 (today)" in refused.message) == ("Finished with Failures", True)


def versions(stage: Any, project: int, range_: str = "") -> list[dict[str, Any]]:
    """Return the tables that this story kept of a project, newest first: others have projects of the same ids."""
    wanted = {"artifacts": {"key": {"any_": [f"invoices-of-project-{project}{range_}"]}}, "sort": "CREATED_DESC"}
    found = stage.client.request("POST", "/artifacts/filter", json=wanted).json()
    return [each for each in found if datetime.fromisoformat(each["created"]) >= stage.began]
