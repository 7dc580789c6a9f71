"""What a dead worker, a dead server or a second run leaves behind is put right, and nobody needs to notice."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
from desk import APPROVER
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending, Running

from benchmarks.post_office import a_post_office
from tieout import settings
from tieout.cli.automations import save_automations
from tieout.connectors.base import parse_key

ROOT = Path(__file__).parents[2]

ENTER = "POST /vendor/invoice"
LEFT = ("Left to Another Run", True, True)
ONE_PROJECT = pytest.mark.sandbox(projects=1, invoices=8, no_troubles=True)


@dataclass
class Mailbox:
    """Someone who is told by Prefect: what came in, as text."""

    block: str
    received: list[str] = field(default_factory=list)

    def told(self, run: FlowRun, state: str) -> int:
        """Return how often it was told that the run is in this state."""
        return sum(f"is {state}" in text and str(run.id) in text for text in self.received)


@pytest.fixture
def mailbox(stage: Any) -> Iterator[Mailbox]:
    """Listen on a port, and have a notification block in Prefect that posts there; afterwards nobody is told."""
    box = Mailbox(f"custom-webhook/mailbox-{uuid4()}")

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            box.received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listener:
        Thread(target=listener.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{listener.server_port}"
        told = {"text": "{{subject}} {{body}}"}
        CustomWebhookNotificationBlock(name="mailbox", url=url, json_data=told).save(box.block.partition("/")[2])
        yield box
        stage.set("prefect", notification_block="", silent_seconds=600.0)
        stage.set("watch", night_hours=26.0)
        save_automations(stage.client, ROOT, settings.read())
        stage.settled("keep-watch")
        listener.shutdown()


@ONE_PROJECT
def test_other_runs_leave_to_a_night_until_it_is_killed_and_then_go_on_at_once(stage: Any):
    stage.accept_by_policy()
    stage.sandbox.fail("spectrum", route=ENTER, kind="slow_after", seconds=30)
    with stage.at_work("nightly-sync") as (run, process):
        wait_until(lambda: asked(stage, "spectrum", ENTER), process)
        left = [stage.play("nightly-sync"), stage.play("sync-payments", asked_by=APPROVER)]
        joined = stage.play("nightly-sync", projects=[project_of(stage)])
        process.kill()
        process.wait()
    assert [(end.name, end.is_completed(), "Night of " in end.message) for end in left] == [LEFT, LEFT]
    assert joined.name == "Completed", joined.message
    assert stage.client.read_flow_run(run.id).state_name == "Running"
    stage.set("prefect", silent_seconds=1.0)

    watch = stage.play("keep-watch")

    assert watch.name == "Completed", watch.message
    closed = stage.client.read_flow_run(run.id)
    assert (closed.state_name, "its worker died" in closed.state.message) == ("Crashed", True)
    night = stage.play("nightly-sync")
    assert night.name == "Completed", night.message
    assert in_erp(stage) == sorted(item.invoice_id for item in stage.items())


@pytest.mark.sandbox(projects=1, invoices=24)
def test_only_a_run_that_gives_no_sign_of_life_is_closed_and_its_item_shown_again(stage: Any):
    stage.accept_by_policy()
    stage.play("nightly-sync")
    stage.set("prefect", silent_seconds=4.0)
    item = stage.runs("Held")[0]
    stage.put_state(item.id, "RUNNING", "Running")  # someone pressed Retry, and the worker died
    beating, taken = begun(stage, Running()), begun(stage, Pending())
    with beats_of(stage, beating):
        time.sleep(4)
        stage.play("keep-watch")

    names = {run.id: run.state_name for run in stage.runs(flow="sync-payments")}
    assert names == {beating.id: "Running", taken.id: "Crashed"}
    again = stage.client.read_flow_run(item.id)
    assert (again.state_name, again.state.message) == ("Held", item.state.message)


@ONE_PROJECT
def test_a_review_that_nobody_can_answer_any_more_is_opened_again_and_its_approvers_are_reminded(stage: Any):
    stage.play("nightly-sync")
    old = stage.waiting_review()
    stage.put_state(old.id, "FAILED", "Failed")  # what Prefect does when the time is over
    with a_post_office() as post_office:
        stage.set("mail", **post_office.settings, operators=["ops@contractor.example"])
        stage.set("watch", review_hours=1e-6, night_hours=1e-6)
        stage.play("keep-watch")

    told = sorted(each["Subject"].split(": ")[1] for each in post_office.taken)
    assert told == ["A review waits", "Alarm"]
    new = stage.waiting_review()
    assert (new.name, new.id == old.id) == (old.name, False)
    assert stage.retry(old.id).state_name == "Nothing to Review"
    assert stage.waiting_review().id == new.id


@pytest.mark.sandbox(projects=1, invoices=4, no_troubles=True)
def test_the_server_itself_closes_a_dead_run_misses_the_night_and_tells_of_what_is_red(stage: Any, mailbox: Mailbox):
    stage.accept_by_policy()
    stage.set("prefect", notification_block=mailbox.block, silent_seconds=10.0)
    stage.set("watch", night_hours=10 / 3600)
    save_automations(stage.client, ROOT, settings.read())
    stage.worker.go_on()  # it runs what automations start
    switched_off = automations(stage)["tieout: notify when no worker is online"]["id"]
    stage.client.request("PATCH", f"/automations/{switched_off}", json={"enabled": False})
    for _ in range(2):
        save_automations(stage.client, ROOT, settings.read())
    assert [each["id"] for each in automations(stage).values() if not each["enabled"]] == [switched_off]
    stage.play("nightly-sync", projects=[project_of(stage)])  # there is work, and no whole night
    stage.sandbox.fail("procore", route=".*", kind="latency", seconds=60)
    with stage.at_work("nightly-sync") as (dead, process):
        wait_until(lambda: beats(stage, dead) > 0, process)
        process.kill()

    wait_until(lambda: mailbox.told(dead, "Crashed") > 0)
    wait_until(lambda: stage.runs("Alarm", flow="keep-watch") != [])
    alarm = stage.runs("Alarm", flow="keep-watch")[-1]
    wait_until(lambda: mailbox.told(alarm, "Alarm") > 0)
    assert "night" in alarm.state.message
    assert (mailbox.told(dead, "Crashed"), mailbox.told(alarm, "Alarm")) == (1, 1)


@pytest.mark.sandbox(projects=1, invoices=24)
def test_a_night_outlives_the_prefect_server_and_nothing_is_lost_or_doubled(stage: Any, server: Any):
    stage.accept_by_policy()
    stage.sandbox.fail("spectrum", route=ENTER, kind="slow_after", seconds=2)
    with stage.at_work("nightly-sync") as (run, process):
        wait_until(lambda: asked(stage, "spectrum", ENTER), process)
        server.kill()
        wait_until(lambda: stage.items("EXPORTED") != [], process)
        server.start()
        ended = stage.wait_for(str(run.id))

    assert ended.state_name == "Completed", ended.state.message
    exported, held = stage.items("EXPORTED"), stage.items("HELD")
    assert stage.play("nightly-sync").name == "Completed"
    assert in_erp(stage) == sorted(item.invoice_id for item in exported)
    assert {each.parameters["invoice"] for each in stage.runs("Held")} == {item.invoice_id for item in held}


def automations(stage: Any) -> dict[str, dict[str, Any]]:
    """Return the automations by name; each is there once."""
    kept = stage.client.request("POST", "/automations/filter", json={}).json()
    by_name = {each["name"]: each for each in kept}
    assert len(kept) == len(by_name) == 4
    return by_name


def asked(stage: Any, system: str, route: str) -> bool:
    return route in getattr(stage.sandbox, system)("requests")["by_route"]


def wait_until(is_so: Callable[[], bool], process: Any = None) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert process is None or process.poll() is None, "the process ended before"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def in_erp(stage: Any) -> list[int]:
    """Return which of our invoices Spectrum itself holds, by Procore's id; one that is there twice shows twice."""
    keys = [parse_key(row["Remarks"].strip()) for row in stage.sandbox.spectrum("invoices")]
    return sorted(key[1] for key in keys if key)


def project_of(stage: Any) -> int:
    return int(stage.sandbox.procore("contractor")["projects"][0]["id"])


def begun(stage: Any, state: Any) -> FlowRun:
    """A worker has taken a run of sync-payments, and nothing more is known."""
    deployment = stage.client.read_deployment_by_name("sync-payments/sync-payments")
    run: FlowRun = stage.client.create_flow_run_from_deployment(deployment.id, state=state)
    return run


@contextmanager
def beats_of(stage: Any, run: FlowRun) -> Iterator[None]:
    """Give the signs of life that Prefect's engine gives, only more often."""
    over = Event()

    def beat() -> None:
        while not over.wait(0.5):
            event = {
                "id": str(uuid4()),
                "occurred": datetime.now(UTC).isoformat(),
                "event": "prefect.flow-run.heartbeat",
                "resource": {"prefect.resource.id": f"prefect.flow-run.{run.id}"},
            }
            httpx.post(f"{stage.ui_url}/api/events", json=[event]).raise_for_status()

    heart = Thread(target=beat)
    heart.start()
    yield
    over.set()
    heart.join()


def beats(stage: Any, run: FlowRun) -> int:
    """Return how many signs of life Prefect has stored of a run."""
    wanted = {"event": {"name": ["prefect.flow-run.heartbeat"]}, "resource": {"id": [f"prefect.flow-run.{run.id}"]}}
    return int(stage.client.request("POST", "/events/filter", json={"filter": wanted}).json()["total"])
