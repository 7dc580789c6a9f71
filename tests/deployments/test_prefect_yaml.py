"""What is deployed can run: every entrypoint loads for real, names agree, where code comes from is said."""

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint

from tieout import settings
from tieout.cli.deploy import variables
from tieout.views import run_report, standing

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8")
PLAN: dict[str, Any] = yaml.safe_load(TEXT)
DEPLOYMENTS: list[dict[str, Any]] = PLAN["deployments"]
VIEWS: list[dict[str, Any]] = json.loads((ROOT / "deployments" / "views.json").read_text(encoding="utf-8"))
WANTED = {"nightly-sync", "sync-invoices", "send-invoices", "review-invoices", "export-invoice", "retry-exports"}
WANTED |= {"retrieve-invoices", "reject-invoices", "sync-payments", "keep-watch"}
AUTOMATIONS = (ROOT / "deployments" / "automations.yaml").read_text(encoding="utf-8")


@pytest.fixture(params=DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def deployment(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def flow(deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Flow[..., Any]:
    monkeypatch.chdir(ROOT)
    # Prefect puts the flow's folder on the path and its file among the modules; later tests must not see them there.
    monkeypatch.setattr(sys, "path", [*sys.path])
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    sys.modules.pop(flow.fn.__name__, None)
    return flow


def test_every_flow_is_deployed():
    files = {path.stem.replace("_", "-") for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__"}
    names = {each["name"] for each in DEPLOYMENTS}

    assert names == files
    assert names >= WANTED


def test_an_entrypoint_loads_and_bears_the_name_of_its_file_and_deployment(
    deployment: dict[str, Any], flow: Flow[..., Any]
):
    path, _, function = deployment["entrypoint"].partition(":")

    assert (flow.name, function) == (deployment["name"], Path(path).stem)
    assert flow.name.replace("-", "_") == function


def test_each_field_of_a_form_says_what_to_fill_in(flow: Flow[..., Any]):
    said = {name: field.get("description", "") for name, field in flow.parameters.properties.items()}

    assert [name for name, words in said.items() if not words.endswith(".")] == []
    assert list(said) == list(inspect.signature(flow.fn).parameters)


def test_what_cannot_be_written_is_marked_before_a_flow_sees_it(flow: Flow[..., Any]):
    typed = {name: filled_in(field) for name, field in flow.parameters.properties.items()}

    taken = flow.validate_parameters(typed)

    assert json.dumps(taken) == json.dumps(typed).replace(r"\ud83d", r"\ufffd")


def filled_in(field: dict[str, Any]) -> Any:
    """Return what could be typed into a field, with half of a character in every text."""
    [kind] = [each for each in field.get("anyOf", [field]) if each["type"] != "null"]
    if kind["type"] == "array":
        return [filled_in(kind["items"])]
    return kind.get("enum", [{"string": "\ud83d", "integer": 1, "boolean": False}[kind["type"]]])[0]


def test_a_flow_tells_the_operator_what_red_means(flow: Flow[..., Any]):
    assert "red" in (inspect.getdoc(flow.fn) or "") or flow.name == "export-invoice"


def test_where_the_code_comes_from_is_always_said(deployment: dict[str, Any]):
    steps = deployment.get("pull", PLAN["pull"])

    assert steps == [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ $TIEOUT_ROOT }}"}}]


def test_a_retry_starts_one_process_only(deployment: dict[str, Any]):
    assert deployment["work_pool"]["job_variables"]["command"].endswith(" -m tieout.engine")


def test_a_run_gives_signs_of_life_often_enough_to_be_told_from_a_dead_one(deployment: dict[str, Any]):
    frequency = float(deployment["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])

    assert 10 * frequency <= settings.Prefect().silent_seconds


def test_an_item_gets_no_tags_but_its_own():
    [items] = [each for each in DEPLOYMENTS if each["name"] == "export-invoice"]

    assert "tags" not in items


def test_the_night_is_scheduled_in_the_company_s_time_zone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIEOUT_COMPANY__TIME_ZONE", "Europe/Vienna")
    [schedule] = next(each for each in DEPLOYMENTS if each["name"] == "nightly-sync")["schedules"]

    assert schedule["timezone"] == "{{ $TIEOUT_COMPANY__TIME_ZONE }}"
    assert variables(ROOT, settings.read())["TIEOUT_COMPANY__TIME_ZONE"] == "Europe/Vienna"


def test_every_variable_of_the_file_is_given_by_the_command():
    used = {part.partition(" }}")[0] for part in TEXT.split("{{ $")[1:]}

    assert used == set(variables(ROOT, settings.read()))


def test_no_secret_is_named():
    assert [
        word
        for word in ("secret", "password", "authorization")
        if word in TEXT.lower().replace("secrets are", "").replace("secret blocks", "")
    ] == []


def test_nobody_is_told_of_each_item():
    expected = [each["trigger"]["expect"] for each in yaml.safe_load(AUTOMATIONS.replace("$", ""))["automations"]]
    told = {event.removeprefix("prefect.flow-run.") for events in expected for event in events}

    assert told & {*standing.FAILING.values(), *standing.SETTLED.values()} == set()
    assert told >= {run_report.FINISHED_WITH_FAILURES, run_report.ALARM}


def test_a_view_looks_at_a_deployment_that_there_is():
    assert {each["deployment"] for each in VIEWS} <= {each["name"] for each in DEPLOYMENTS}
    items = ["Failed to Export", "Held", "Uncertain", "Drifted", "Release Retention by Hand"]
    assert [each["name"] for each in VIEWS] == [*items, "Ready to Export", "Exported"]
