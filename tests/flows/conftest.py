"""The whole stack for stories: both stand-ins, a temporary ledger, one Prefect server, one worker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders import an_office
from desk import APPROVER, PEOPLE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Pending
from stand_ins import StandIns

from benchmarks.postgresql import find_programs, running
from tieout import settings
from tieout.cli.deploy import deploy
from tieout.clock import now
from tieout.decisions.review import decide
from tieout.decisions.review import offer as offer_review
from tieout.export import preview
from tieout.judgement.basis import load_basis
from tieout.ledger.book import Ledger
from tieout.ledger.database import upgrade
from tieout.ledger.items import Item
from tieout.opening import open_erp, open_ledger
from tieout.people.rights import Signature
from tieout.sandbox.contractor.contractor import Contractor, build
from tieout.sandbox.sockets import free_port

ROOT = Path(__file__).parents[2]
KEY = "a key of the company that is long enough"
_STOP_SECONDS = 3  # Prefect's worker does not always heed SIGTERM, and nothing of it has to be kept
_COMPANIES = count(9001)


@dataclass
class Sandbox:
    """Both stand-ins, running, with the control endpoints that play the other people."""

    facts: dict[str, dict[str, Any]]  # the settings that point tieout at them
    control: httpx.Client
    contractor: Contractor

    def post_and_pay(self, item: Item, amount: str) -> str:
        """Accounting posts an exported invoice and cuts a check; return its number."""
        self.spectrum("post", {"batch_code": item.batch_code})
        pays = {"invoice_number": item.number, "amount": amount}
        return str(self.spectrum("checks", {"vendor_code": item.vendor_erp, "applications": [pays]})["check_number"])

    def fail(self, system: str, **fault: Any) -> None:
        """Make a stand-in fail as `tieout/sandbox/faults.py` says; without a fault it works again."""
        url = self.facts[system].get("url") or self.facts[system]["api_url"]
        method = "POST" if fault else "DELETE"
        self.control.request(method, f"{url}/_sandbox/faults", json=fault).raise_for_status()

    def procore(self, action: str, body: dict[str, Any] | None = None) -> Any:
        return self._control(self.facts["procore"]["api_url"], action, body)

    def spectrum(self, action: str, body: dict[str, Any] | None = None) -> Any:
        return self._control(self.facts["spectrum"]["url"], action, body)

    def _control(self, url: str, action: str, body: dict[str, Any] | None) -> Any:
        method = "GET" if body is None else "POST"
        answer = self.control.request(method, f"{url}/_sandbox/{action}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Worker:
    """One Prefect worker, with the environment in which every story plays.

    A process for each run is most of what stories cost, and many look at no run that waits for a worker: so it stands
    still until the story asks for one.
    """

    environment: dict[str, str]
    process: "subprocess.Popen[str]"

    def stand_still(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Stage:
    """Where a story plays: the sandbox, the ledger and Prefect, deployed, with a worker that takes runs."""

    worker: Worker
    sandbox: Sandbox
    ledger_url: str
    ui_url: str
    client: SyncPrefectClient
    config: Path
    tables: dict[str, Any]
    began: datetime

    def set(self, section: str, **values: Any) -> None:
        """Change the settings from now on, as someone who edits `tieout.toml` would."""
        self.tables[section] = {**self.tables.get(section, {}), **values}
        write_toml(self.config, self.tables)

    def let_act(self, name: str, **rights: Any) -> None:
        """Add somebody to the people of the settings, or change what they may do."""
        others = [each for each in self.tables["people"] if each["name"] != name]
        self.tables["people"] = [*others, {"name": name, **rights}]
        write_toml(self.config, self.tables)

    def play(self, flow: str, **parameters: Any) -> State[Any]:
        """Run a flow here and now, which spares a process; what only a worker can do is told by `run`."""
        name = flow.replace("-", "_")
        state = getattr(import_module(f"flows.{name}"), name)(**parameters, return_state=True)
        assert isinstance(state, State)
        return state

    def run(self, flow: str, **parameters: Any) -> FlowRun:
        """Run a deployment by the worker and wait for its end, or for it to be suspended."""
        deployment = self.client.read_deployment_by_name(f"{flow}/{flow}")
        started = self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
        return self.wait_for(str(started.id))

    @contextmanager
    def at_work(self, flow: str, **parameters: Any) -> Iterator[tuple[FlowRun, "subprocess.Popen[str]"]]:
        """Run a deployment in a process of its own, as a worker's child, with no worker to tell how that ended."""
        deployment = self.client.read_deployment_by_name(f"{flow}/{flow}")
        run = self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=Pending())
        command = [sys.executable, "-m", "tieout.engine", str(run.id)]
        process = start(command, dict(os.environ), self.config.with_name(f"{run.id}.log"))
        try:
            yield run, process
        finally:
            stop(process)

    def wait_for(self, run_id: str, seconds: float = 90) -> FlowRun:
        self.worker.go_on()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            run = self.client.read_flow_run(run_id)
            if run.state and (run.state.is_final() or run.state.is_paused()):
                return run
            time.sleep(0.2)
        raise AssertionError(f"run {run.name} is still {run.state_name} after {seconds} s")

    def retry(self, run_id: str) -> FlowRun:
        """Do what the Retry button does, and wait for the end."""
        body = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}}
        self.client.request("POST", f"/flow_runs/{run_id}/set_state", json=body)
        return self.wait_for(run_id)

    def resume(self, run_id: str, **answer: Any) -> FlowRun:
        """Submit the review form, and wait until the run ends or asks again."""
        asked = self.client.read_flow_run(run_id)
        body = {"run_input": answer}
        done = self.client.request("POST", f"/flow_runs/{run_id}/resume", json=body).json()
        assert done["status"] == "ACCEPT", done
        return self.wait_after(asked)

    def wait_after(self, asked: FlowRun) -> FlowRun:
        """Wait until a run that was asked something ends or asks again."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            run = self.wait_for(str(asked.id))
            if run.state_id != asked.state_id:
                return run
            time.sleep(0.2)
        raise AssertionError("the run did not go on")

    def accept(self, item: Item) -> None:
        """Accept one invoice as its approver, without the form."""
        with open_ledger(an_office()) as ledger:
            offer = offer_review(ledger, f"story-{item.invoice_id}", item.project_id, an_office())
            assert offer
            decided = decide(ledger, offer.run_id, Signature(APPROVER), [item.number], [], an_office())
        assert decided.accepted == (item.invoice_id,), decided.problems

    def turn_up(self, item: Item, **changes: str) -> None:
        """What would be sent of an invoice turns up in the ERP under our key, changed so."""
        with open_ledger(an_office()) as ledger, open_erp(an_office()) as erp:
            items, basis = ledger.items(invoice_id=item.invoice_id), load_basis(ledger, erp, an_office())
            [forecast] = preview.foresee(ledger, erp, basis, items, now())
        spectrum = self.sandbox.facts["spectrum"]
        user = (spectrum["company_code"], spectrum["authorization_id"])
        body = {"APInvoices": [{**(forecast.body or {}), **changes}]}
        self.sandbox.control.post(f"{spectrum['url']}/vendor/invoice", json=body, auth=user).raise_for_status()

    def accept_by_policy(self) -> None:
        """Let the policy accept everything that is Ready to Export."""
        projects = self.sandbox.procore("contractor")["projects"]
        self.set("policy", auto_accept_projects=[each["id"] for each in projects])

    def report(self, run_id: Any) -> str:
        """Return the newest Markdown artifact of a run."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [str(run_id)]}, "type": {"any_": ["markdown"]}}}
        found = self.client.request("POST", "/artifacts/filter", json={**wanted, "sort": "CREATED_DESC"}).json()
        return str(found[0]["data"])

    def await_bars(self, ended: State[Any], *words: str) -> None:
        """Wait until the run that ended so shows full bars that say this; they are drawn on the side."""
        run = {"any_": [str(ended.state_details.flow_run_id)]}
        wanted = {"artifacts": {"flow_run_id": run, "type": {"any_": ["progress"]}}}

        def full() -> set[str]:
            found = self.client.request("POST", "/artifacts/filter", json=wanted).json()
            return {each["description"] for each in found if float(each["data"]) == 100}

        until(lambda: set(words) <= full(), 10, f"bars say {words}")

    def put_state(self, run_id: Any, type_: str, name: str) -> None:
        """Set a run's state as a person could."""
        body = {"state": {"type": type_, "name": name}, "force": True}
        self.client.request("POST", f"/flow_runs/{run_id}/set_state", json=body)

    def settled(self, flow: str) -> list[FlowRun]:
        """Return all runs of a deployment once none of them waits or works."""
        for run in self.runs(flow=flow):
            self.wait_for(str(run.id))
        return self.runs(flow=flow)

    def waiting_review(self) -> FlowRun:
        """Return the one review that waits for an answer."""
        [review] = [run for run in self.settled("review-invoices") if run.state_name == "Suspended"]
        return review

    def form_description(self, run_id: Any) -> str:
        """Return the Markdown above the form that the run waits with."""
        return str(self._form_part(run_id, "description"))

    def form_schema(self, run_id: Any) -> dict[str, Any]:
        """Return the fields of that form."""
        return dict(json.loads(self._form_part(run_id, "schema")))

    def _form_part(self, run_id: Any, part: str) -> str:
        key = self.client.read_flow_run(run_id).state.state_details.run_input_keyset[part]
        # Prefect suspends the run first, and then stores the form.
        until(lambda: self.client.filter_flow_run_input(run_id, key, 1, set()) != [], 30, "the form is there")
        return str(self.client.read_flow_run_input(run_id, key))

    def vendor_of(self, item: Item) -> str:
        """Return the ERP's code of the vendor of an invoice."""
        with open_ledger(an_office()) as ledger, open_erp(an_office()) as erp, ledger.reading() as connection:
            basis = load_basis(ledger, erp, an_office()).with_books(connection, [item.project_id])
        vendor_id = self.sandbox.procore(f"requisitions/{item.invoice_id}")["vendor_id"]
        code = basis.mapping(item.project_id, now().date()).vendor(vendor_id)
        assert code
        return code

    def runs(self, *states: str, flow: str = "export-invoice") -> list[FlowRun]:
        """Return the runs of a deployment, all or those in these states."""
        wanted: dict[str, Any] = {"deployments": {"name": {"any_": [flow]}}, "sort": "ID_DESC", "limit": 200}
        if states:
            wanted["flow_runs"] = {"state": {"name": {"any_": list(states)}}}
        found = self.client.request("POST", "/flow_runs/filter", json=wanted).json()
        return [run for run in map(FlowRun.model_validate, found) if run.created and run.created >= self.began]

    def items(self, *states: str) -> list[Item]:
        """Return the ledger's items, all or those in these states."""
        with Ledger(self.ledger_url) as ledger:
            return [item for item in ledger.items() if not states or item.state in states]


def start(command: list[str], env: dict[str, str], log: Path) -> "subprocess.Popen[str]":
    """Start a process in a group of its own, so that it can be ended with all its children."""
    with log.open("w") as file:
        return subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )


def stop(process: "subprocess.Popen[str]") -> None:
    """End a process with all its children."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline and _lives(process):
            time.sleep(0.05)
    process.wait()


def _lives(process: "subprocess.Popen[str]") -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(0.1)


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@dataclass
class PrefectServer:
    """A Prefect server that can be killed and started again, on the same port and database."""

    folder: Path
    database_url: str
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.start()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        env = os.environ | {
            "PREFECT_HOME": str(self.folder),
            "PREFECT_API_DATABASE_CONNECTION_URL": self.database_url,
            # Events are stored, and automations looked at, as often as stories have patience for.
            "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.5",
            # Task runs are recorded together: one by one they are most of the server's work. Whole seconds: it cuts
            # off the rest, and with 0 it never sleeps.
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
            "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_UI_URL": f"http://127.0.0.1:{self.port}",
            "PREFECT_UI_API_URL": self.api_url,
        }
        command = [sys.executable, "-m", "tieout.cli", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        log = self.folder / "server.log"
        self.process = start(command, env, log)
        until(lambda: healthy(self.api_url) or self.process.poll() is not None, 90, "the Prefect server answers")
        assert self.process.poll() is None, log.read_text()

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.process.kill()
        stop(self.process)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """Run one Prefect server for the session."""
    folder = tmp_path_factory.mktemp("prefect")
    with database_of_prefect(folder) as url:
        server = PrefectServer(folder, url)
        try:
            yield server
        finally:
            stop(server.process)


@contextmanager
def database_of_prefect(folder: Path) -> Iterator[str]:
    """Yield a URL: of PostgreSQL if it is there, on which Prefect's server answers sooner than on SQLite."""
    if find_programs():
        with running(is_durable=False) as postgresql:
            yield postgresql.new_database().replace("+psycopg", "+asyncpg")
    else:
        yield f"sqlite+aiosqlite:///{folder}/prefect.db"


@pytest.fixture(scope="session")
def prefect_server(server: PrefectServer) -> Iterator[str]:
    """Have everything here talk to the session's Prefect server; return the address of its API."""
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield server.api_url


@pytest.fixture
def sandbox(tmp_path: Path, request: pytest.FixtureRequest, stand_ins: StandIns) -> Iterator[Sandbox]:
    """Set up both stand-ins; `@pytest.mark.sandbox(projects=2, invoices=8)` says how large."""
    mark = request.node.get_closest_marker("sandbox")
    sizes = {"projects": 2, "invoices": 16, **(mark.kwargs if mark else {})}
    contractor = build(seed=7, troubles=not sizes.pop("no_troubles", False), today=now().date(), **sizes)
    # Another company every time: what earlier stories left in Prefect is nobody's business here.
    contractor = replace(contractor, company_id=next(_COMPANIES))
    with httpx.Client(trust_env=False, verify=False, timeout=30) as control:
        yield Sandbox(stand_ins.play(contractor, tmp_path, now), control, contractor)


@pytest.fixture(scope="session")
def worker(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Deploy the flows and start one worker for the session."""
    folder = tmp_path_factory.mktemp("worker")
    ours = {
        "TIEOUT_CONFIG": str(folder / "tieout.toml"),
        "TIEOUT_APPROVAL__KEY": KEY,
        "PREFECT_API_URL": prefect_server,
        "PREFECT_HOME": str(folder),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "TIEOUT_PREFECT__SCHEDULE": "0 0 1 1 *",  # neither a night nor a watch in the middle of a story
        "TIEOUT_PREFECT__WATCH_SCHEDULE": "0 0 1 1 *",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ours.items():
            patch.setenv(name, value)
        deploy()
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "tieout", "--type", "process"]
        process = start(command, dict(os.environ), folder / "worker.log")
    try:
        yield Worker(ours, process)
    finally:
        stop(process)


@pytest.fixture
def stage(worker: Worker, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Set the stage for one story: new stand-ins, an empty ledger, no runs in Prefect."""
    worker.stand_still()
    ours = worker.environment
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    config, ui_url = Path(ours["TIEOUT_CONFIG"]), ours["PREFECT_API_URL"].removesuffix("/api")
    tables = {
        **sandbox.facts,
        "ledger": {"url": f"sqlite:///{tmp_path}/ledger.sqlite"},
        "export": {"retry_delay_seconds": 0.2},
        "approval": {"proof": "name"},
        "people": PEOPLE,
        "prefect": {"ui_url": ui_url},
    }
    write_toml(config, tables)
    upgrade(settings.read().ledger_url)
    with get_client(sync_client=True) as client:
        yield Stage(worker, sandbox, settings.read().ledger_url, ui_url, client, config, tables, datetime.now(UTC))
        sweep(client)


def write_toml(path: Path, tables: dict[str, Any]) -> None:
    lines = []
    for name, found in tables.items():
        for table in found if isinstance(found, list) else [found]:
            lines += [f"[[{name}]]" if table is not found else f"[{name}]"]
            lines += [*(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""]
    path.write_text("\n".join(lines))


def sweep(client: SyncPrefectClient) -> None:
    """End what an earlier story left open.

    Nothing is deleted: Prefect records task runs a little later, and one whose flow run is gone blocks its database.
    """
    state = {"type": "COMPLETED", "name": "Swept"}
    still = [name for name in StateType.__members__ if name != "COMPLETED"]
    body = {"flow_runs": {"state": {"type": {"any_": still}}}, "state": state, "force": True, "limit": 50}
    while client.request("POST", "/flow_runs/bulk_set_state", json=body).json()["results"]:
        pass
