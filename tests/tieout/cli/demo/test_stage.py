"""The demo empties no folder but its own, and shares it with no other demo."""

import fcntl
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "tieout.cli", "demo", "--once", "--data"]


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, str(folder)], capture_output=True, text=True, timeout=60, check=False)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("precious")
    done = demo(tmp_path)

    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_two_demos_do_not_share_a_folder(tmp_path: Path):
    with (tmp_path / "demo.json").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = demo(tmp_path)

    assert done.returncode == 1
    assert "another demo is running there" in done.stderr
