"""How fast the operator's screen follows: a Retry from the press to its end, and 1,000 failures in one night.

A Prefect server of its own, on SQLite and on PostgreSQL, with two process workers that poll every two seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks import postgresql
from benchmarks.figures import figure
from benchmarks.stage import stand_ins
from data_contracts.forms import ALL
from tieout import settings
from tieout.cli.console import open_office
from tieout.cli.demo.processes import Processes
from tieout.cli.demo.screen import Run, Screen
from tieout.decisions import review
from tieout.ledger.database import upgrade
from tieout.opening import open_ledger
from tieout.people.rights import Signature
from tieout.sandbox.sockets import free_port
from tieout.views.standing import FAILED_TO_EXPORT

_APPROVER = {"name": "Dana Reyes", "erp_integrations": "standard", "can_push_to_accounting": True}
_PROJECTS, _LINES, _WORKERS, _RETRIES = 4, 3, 2, 3
_LONGEST = 600.0
_EVERY = '["approved","approved_as_noted","pending_owner_approval"]'
_LISTED = {"SQLite": 120, "PostgreSQL": 90}


def main() -> None:
    """Measure, print, and exit with status 1 when a bound is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--invoices", type=int, default=1000)
    raise SystemExit(0 if measure(options.parse_args().invoices) else 1)


def measure(invoices: int) -> bool:
    """Print the figures on both of Prefect's databases; return whether bounds are kept."""
    kept = [_measure("SQLite", None, invoices)]
    with postgresql.running() as server:
        kept.append(_measure("PostgreSQL", server.new_database().replace("+psycopg", "+asyncpg"), invoices))
    return all(kept)


def _measure(database: str, url: str | None, invoices: int) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="tieout-bench-") as name,
        stand_ins(Path(name), _PROJECTS, invoices, _LINES) as facts,
        _office(Path(name), facts, url) as screen,
    ):
        _run(screen, "nightly-sync")
        _accept_all()
        _set_vendors(facts, "N")
        night = _run(screen, "nightly-sync")
        failed = screen.runs("export-invoice", state={"name": {"any_": [FAILED_TO_EXPORT]}})
        _set_vendors(facts, "A")
        retries = [_retry(screen, run) for run in failed[:_RETRIES]]
        many = _run(screen, "retry-exports", dry_run=False)
        left = screen.runs("export-invoice", state={"name": {"any_": [FAILED_TO_EXPORT]}})
        exported = screen.runs("export-invoice", state={"name": {"any_": ["Exported"]}})
    on = f"Prefect on {database}"
    for part in retries[0]:
        figure(f"{on}: of that, {part}", _median([each[part] for each in retries]), "s")
    return all(
        [
            figure(f"{on}: Retry to final state", _median([sum(each.values()) for each in retries]), "s", "<= 8"),
            figure(f"{on}: night of {invoices} failures, until its end", _took(night), "s", f"<= {_LISTED[database]}"),
            figure(f"{on}: failures listed", len({run["name"] for run in failed}), "items", f"== {invoices}"),
            figure(f"{on}: retry-exports of the rest", _took(many), "s", "<= 120"),
            figure(f"{on}: failures left afterwards", len(left), "items", "== 0"),
            figure(f"{on}: moved to Exported", len(exported), "items", f"== {invoices}"),
        ]
    )


@contextmanager
def _office(folder: Path, facts: dict[str, Any], database: str | None) -> Iterator[Screen]:
    """Run a Prefect server and two workers, with the flows deployed and an empty ledger."""
    port = free_port()
    ours = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "TIEOUT_PREFECT__UI_URL": f"http://127.0.0.1:{port}",
        "TIEOUT_PREFECT__WATCH_SCHEDULE": "0 0 1 1 *",
        "TIEOUT_PREFECT__SCHEDULE": "0 0 1 1 *",
        "TIEOUT_POLICY__AUTO_SEND_STATUSES": _EVERY,
        "TIEOUT_APPROVAL__PROOF": "name",
        "TIEOUT_PEOPLE": json.dumps([_APPROVER]),
        **({"PREFECT_API_DATABASE_CONNECTION_URL": database} if database else {}),
    }
    with ExitStack() as stack:
        os.environ.update(ours)
        upgrade(settings.read().ledger_url)
        processes = stack.enter_context(Processes(os.environ, folder / "logs"))
        server = [sys.executable, "-m", "tieout.cli", "server", "--host", "127.0.0.1", "--port", str(port)]
        processes.start("prefect-server", server)
        screen = Screen(f"http://127.0.0.1:{port}", processes.check)
        stack.callback(screen.close)
        screen.await_ready(120)
        subprocess.run([sys.executable, "-m", "tieout.cli", "deploy"], check=True, stderr=subprocess.DEVNULL)
        worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", settings.read().prefect.work_pool]
        for number in range(_WORKERS):
            processes.start(f"worker-{number}", [*worker, "--type", "process"])
        yield screen


def _accept_all() -> None:
    office = open_office()
    with open_ledger(office) as ledger:
        for project_id in review.waiting_projects(ledger):
            offered = review.offer(ledger, f"bench-{project_id}", project_id, office)
            if offered is None:
                raise RuntimeError(f"nothing is Ready to Export in project {project_id}")
            by = Signature(str(_APPROVER["name"]))
            if decided := review.decide(ledger, offered.run_id, by, ALL, [], office).problems:
                raise RuntimeError("; ".join(decided))


def _set_vendors(facts: dict[str, Any], status: str) -> None:
    """Accounting makes every vendor inactive, or active again."""
    spectrum = facts["spectrum"]
    user = (spectrum["company_code"], spectrum["authorization_id"])
    listed = httpx.get(f"{spectrum['url']}/vendors/{spectrum['company_code']}", auth=user).raise_for_status().json()
    for vendor in listed["Vendors"]:
        body = {"code": vendor["Vendor_Code"], "status": status}
        httpx.post(f"{spectrum['url']}/_sandbox/vendors", json=body).raise_for_status()


def _run(screen: Screen, deployment: str, **parameters: Any) -> Run:
    run = screen.await_end(screen.start(deployment, **parameters), _LONGEST)
    if run["state"]["type"] == "CRASHED":
        raise RuntimeError(f"{deployment} crashed: {run['state']['message']}")
    return run


def _retry(screen: Screen, run: Run) -> dict[str, float]:
    """Press Retry and return the seconds of each part of the way to the end."""
    time.sleep(5)  # the workers are idle by then
    pressed = time.time()
    screen.retry(run["id"])
    ended = screen.await_end(run["id"], _LONGEST)
    if ended["state"]["name"] != "Exported":
        raise RuntimeError(f"{run['name']} ended {ended['state']['name']}: {ended['state']['message']}")
    moments = {
        state["name"]: _moment(state["timestamp"]) for state in screen.states(run["id"]) if _is_of(state, pressed)
    }
    return {
        "until a worker took it (poll)": moments["Pending"] - pressed,
        "until the flow began (process, imports)": moments["Running"] - moments["Pending"],
        "the flow": moments["Exported"] - moments["Running"],
    }


def _is_of(state: Run, since: float) -> bool:
    return _moment(state["timestamp"]) >= since


def _took(run: Run) -> float:
    """Seconds from the moment at which a run was started to its end."""
    return _moment(run["end_time"]) - _moment(run["created"])


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
