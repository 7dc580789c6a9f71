"""Nothing that the demo starts outlives it, not even what hides in a session of its own and heeds no signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tieout.cli.demo.processes import EndedError, Processes, marked

# Ignores SIGTERM and starts another one in a session of its own, as a Prefect worker does with its flow runs.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""
PARENT = """
import os, sys, time
from pathlib import Path
from tieout.cli.demo.processes import Processes
with Processes(dict(os.environ), Path(sys.argv[1])) as processes:
    processes.start("stubborn", [sys.executable, "-c", sys.argv[2]])
    print(processes.mark, flush=True)
    time.sleep(600)
"""


def eventually(is_so: Callable[[], bool], seconds: float = 15.0) -> bool:
    give_up_at = time.monotonic() + seconds
    while not is_so() and time.monotonic() < give_up_at:
        time.sleep(0.05)
    return is_so()


def test_what_hides_from_its_group_is_ended_too(tmp_path: Path):
    with Processes(dict(os.environ), tmp_path) as processes:
        log = processes.start("stubborn", [sys.executable, "-c", STUBBORN])
        assert eventually(lambda: log.read_text() == "ready\n" and len(marked(processes.mark)) == 2)

    assert marked(processes.mark) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path, number: signal.Signals):
    command = [sys.executable, "-c", PARENT, str(tmp_path), STUBBORN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        mark = parent.stdout.readline().strip()
        assert eventually(lambda: len(marked(mark)) == 2)
        parent.send_signal(number)

    assert eventually(lambda: marked(mark) == [])


def test_a_process_that_ends_too_early_is_told_with_the_end_of_its_log(tmp_path: Path):
    with Processes(dict(os.environ), tmp_path) as processes:
        processes.start("short", [sys.executable, "-c", "print('no such port'); raise SystemExit(3)"])

        with pytest.raises(EndedError, match=r"short ended with status 3:\nno such port"):
            eventually(lambda: processes.check() or False)


def test_a_process_that_never_finishes_is_not_waited_for(tmp_path: Path):
    with Processes(dict(os.environ), tmp_path) as processes:
        processes.start("slow", [sys.executable, "-c", "import time; time.sleep(600)"])

        with pytest.raises(EndedError, match="slow took longer than 0 s"):
            processes.finish("slow", 0.2)
