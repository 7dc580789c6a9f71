"""The sandbox starts with one command, says where it is, reopens as it was, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

COMMAND = (sys.executable, "-m", "tieout.sandbox.serve", "--json", "--projects", "2", "--invoices", "20")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def run() -> tuple[subprocess.Popen[str], dict[str, Any]]:
        command = (*COMMAND, "--data", str(tmp_path))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        assert process.stdout
        return process, json.loads(process.stdout.readline())

    yield run
    for process in started:
        process.kill()
        process.communicate()


def vendors(facts: dict[str, Any]) -> httpx.Response:
    ours = facts["spectrum"]
    auth = (ours["company_code"], ours["authorization_id"])
    return httpx.get(f"{ours['url']}/vendors/{ours['company_code']}", auth=auth, trust_env=False)


def test_it_stops_on_sigterm_and_reopens_as_it_was(start: Any) -> None:
    process, facts = start()
    first = vendors(facts).json()
    period = {"first_day": "2020-01-01", "last_day": "2020-01-31"}
    httpx.post(f"{facts['spectrum']['url']}/_sandbox/period", json=period, trust_env=False).raise_for_status()
    mapping = Path(facts["mapping_csv"])
    mapping.write_text(mapping.read_text() + "vendor,1,,NEW,2020-01-01\n")
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=10)[0]
    _, again = start()

    assert (process.returncode, said) == (0, "")
    assert vendors(again).json() == first
    state = httpx.get(f"{again['spectrum']['url']}/_sandbox/state", trust_env=False).json()
    assert state["period"] == period
    assert mapping.read_text().endswith("NEW,2020-01-01\n")
    assert httpx.get(f"{again['procore']['api_url']}/_sandbox/state", trust_env=False).status_code == 200


def test_the_stand_ins_end_with_their_parent_however_it_ends(start: Any) -> None:
    process, _ = start()
    children = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(children, timeout=5)

    assert (len(gone), alive) == (2, [])


def test_when_one_stand_in_dies_the_other_is_stopped_and_the_failure_is_said(start: Any) -> None:
    process, _ = start()
    psutil.Process(process.pid).children()[0].kill()
    said = process.communicate(timeout=10)[0]

    assert process.returncode == 1
    assert "ended by itself" in said
