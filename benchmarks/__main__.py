"""`make bench`: a night over 1,000 new invoices of 20 lines, the night after it, judging, the screen, a real Tryton,
the ledger.

A Prefect server of its own, the stand-ins without rate limits, SQLite for both ledgers, all on this machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from benchmarks import judging, ledger, screen, tryton
from benchmarks.figures import figure
from benchmarks.stage import stand_ins
from tieout import settings
from tieout.cli.demo.processes import Processes
from tieout.cli.demo.screen import Screen
from tieout.ledger.database import upgrade
from tieout.sandbox.sockets import free_port

_PROJECTS = 4
_EVERY = '["approved","approved_as_noted","pending_owner_approval"]'


def main() -> None:
    """Measure, print, and exit with status 1 when a bound is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--invoices", type=int, default=1000)
    options.add_argument("--lines", type=int, default=20)
    options.add_argument("--stored", type=int, default=500_000, help="items in the full ledger")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tieout-bench-") as name:
        folder = Path(name)
        with stand_ins(folder, _PROJECTS, chosen.invoices, chosen.lines) as facts:
            kept = _measure(folder, facts, chosen.invoices)
    kept = judging.measure([1_000, 10_000, 50_000], chosen.lines) and kept
    kept = screen.measure(chosen.invoices) and kept
    kept = tryton.measure(chosen.invoices // 2, chosen.lines) and kept
    kept = ledger.measure(chosen.stored) and kept
    raise SystemExit(0 if kept else 1)


def _measure(folder: Path, facts: dict[str, Any], invoices: int) -> bool:
    upgrade(settings.read().ledger_url)
    port = free_port()
    os.environ.update(
        {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "MALLOC_ARENA_MAX": "2",  # as deployments/prefect.yaml sets it
            "DO_NOT_TRACK": "1",
            "GX_ANALYTICS_ENABLED": "false",
            "TIEOUT_POLICY__AUTO_SEND_STATUSES": _EVERY,
            "TIEOUT_POLICY__AUTO_ACCEPT_PROJECTS": json.dumps(_projects(facts)),
        }
    )
    with Processes(os.environ, folder / "logs") as processes:
        server = [sys.executable, "-m", "tieout.cli", "server", "--host", "127.0.0.1", "--port", str(port)]
        processes.start("prefect-server", server)
        Screen(f"http://127.0.0.1:{port}", processes.check).await_ready(120)
        subprocess.run([sys.executable, "-m", "tieout.cli", "deploy"], check=True, stderr=subprocess.DEVNULL)
        first, first_calls = _night(facts)
        there = httpx.get(f"{facts['spectrum']['url']}/_sandbox/state").json()["invoices"]["unposted"]["count"]
        second, second_calls = _night(facts)
    visible = _PROJECTS
    return all(
        [
            figure(f"night over {invoices} new invoices", first["seconds"], "s", "<= 90"),
            figure("peak memory of the flow process", first["peak_mb"], "MB", "<= 600"),
            figure("invoices in the ERP afterwards", there, "invoices", f"== {invoices}"),
            figure("Procore calls of that night", first_calls, "calls"),
            figure("hours that they need at 600 calls an hour", first_calls / 600, "h"),
            figure("hours that they need at 3,600 calls an hour", first_calls / 3600, "h"),
            figure("second night, nothing changed", second["seconds"], "s", "<= 10"),
            figure("Procore calls per project of the second night", second_calls / visible, "calls", "<= 6"),
        ]
    )


def _night(facts: dict[str, Any]) -> tuple[dict[str, float], int]:
    """Run one night in a process of its own; return what it measured of itself, and Procore's own count of calls."""
    log = f"{facts['procore']['api_url']}/_sandbox/requests"
    httpx.delete(log)
    done = subprocess.run([sys.executable, "-m", "benchmarks.night"], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), int(httpx.get(log).json()["total"])


def _projects(facts: dict[str, Any]) -> list[int]:
    found = httpx.get(f"{facts['procore']['api_url']}/_sandbox/contractor").json()["projects"]
    return [int(project["id"]) for project in found]


if __name__ == "__main__":
    main()
