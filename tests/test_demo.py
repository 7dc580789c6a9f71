"""The first command of the README, as a new user runs it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def processes_under(folder: Path) -> list[str]:
    """Return the command lines that name the folder, of processes that are there now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            surroundings = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has gone meanwhile
        if int(process.name) != os.getpid() and str(folder) in words + surroundings:
            found.append(words.replace("\0", " "))
    return found


@pytest.mark.timeout(600)
def test_make_demo_runs_a_night_ends_by_itself_and_leaves_nothing_behind(tmp_path: Path):
    command = ["make", "--silent", "demo", "ONCE=1", "JSON=1", f"DATA={tmp_path / 'demo'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=540, check=False)

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    states = facts["states"]
    in_erp = sum(states.get(each, 0) for each in ("EXPORTED", "POSTED", "PART_PAID", "PAID"))
    assert facts["problems"] == []
    assert facts["erp"]["ours"] == facts["in_erp"] == in_erp > 0
    assert facts["runs"]["nightly-sync"] == "Finished with Failures"  # the ERP refused one, so the night is red
    assert len(facts["links"]["items"]) == states["FAILED"] > 0
    assert len(facts["links"]["reviews"]) == 1
    assert states["PAID"] and states["PART_PAID"] and states["HELD"] and states["REJECTED"]
    assert processes_under(tmp_path) == []
