"""Start processes that never outlive us, whatever becomes of us.

Each one leads a process group of its own and carries a mark in its environment, which all that it starts inherits:
a Prefect worker puts its flow runs into sessions of their own and does not always heed SIGTERM, so neither its group
nor its good will is enough. A guard, which is this file run as a script, ends what is left when we are killed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

MARK = "TIEOUT_DEMO_MARK"
PATIENCE_SECONDS = 4.0
_PROC = Path("/proc")


class EndedError(Exception):
    """A process ended that should have gone on; the message holds the end of its log."""


class Processes:
    """A set of processes that ends when its `with` block does, whichever way."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        """Give every process this environment, and a log file in that folder."""
        self.mark = uuid4().hex
        self.environment = {**environment, MARK: self.mark}
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Set the guard."""
        self._logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-S", __file__, self.mark]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """End everything, and say so when something is left; signals must wait for that."""
        before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            left = self._end_all()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if left and error is None:
            raise EndedError(f"processes {left} could not be ended")

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Path:
        """Start a process and return its log, to which its standard output goes; errors go there too."""
        log = self.log(name)
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                env={**self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[name] = process
        if self._guard and self._guard.stdin:
            self._guard.stdin.write(f"{process.pid}\n".encode())
            self._guard.stdin.flush()
        return log

    def log(self, name: str) -> Path:
        """Return where a process writes."""
        return self._logs / f"{name}.log"

    def check(self) -> None:
        """Raise EndedError when one has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise EndedError(f"{name} ended with status {process.returncode}:\n{self.tail(name)}")

    def finish(self, name: str, timeout: float) -> None:
        """Wait for a process that ends by itself; EndedError when it fails or takes too long."""
        process = self._running[name]
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise EndedError(f"{name} took longer than {timeout:.0f} s:\n{self.tail(name)}") from None
        del self._running[name]
        if status:
            raise EndedError(f"{name} ended with status {status}:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 25) -> str:
        """Return the end of a log."""
        text = self.log(name).read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _end_all(self) -> list[int]:
        groups = [process.pid for process in self._running.values()]
        _signal(groups, signal.SIGTERM)
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while any(process.poll() is None for process in self._running.values()) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        _signal(groups, signal.SIGKILL)
        for process in self._running.values():
            process.wait()
        self._running = {}
        sweep(self.mark)
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            self._guard.wait()
        return marked(self.mark)


def marked(mark: str) -> list[int]:
    """Return the processes that carry the mark, ours apart; where there is no /proc, none is seen."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has gone meanwhile, or belongs to someone else
            if wanted in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def sweep(mark: str) -> None:
    """Kill what carries the mark until nothing does: one may start another while we look."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (left := marked(mark)) and time.monotonic() < give_up_at:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _signal(groups: Iterable[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, number)


def _guard(mark: str) -> None:
    """Wait until the one that started us is gone, however it went, then end all that it started."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = [int(line) for line in sys.stdin]  # ends when the last other end of the pipe is closed
    if _PROC.is_dir():
        sweep(mark)
    else:
        _signal(groups, signal.SIGKILL)


if __name__ == "__main__":
    _guard(sys.argv[1])
