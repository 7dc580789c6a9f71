"""A real terminal with the `tieout` command in it."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

COMMAND = [sys.executable, "-m", "tieout.cli"]


@dataclass
class Terminal:
    """A command in a terminal of its own."""

    process: "subprocess.Popen[bytes]"
    side: int
    seen: bytes = b""

    def read_until(self, words: str) -> str:
        """Return what is shown until these words come, and forget it."""
        deadline = time.monotonic() + 60
        while words.encode() not in self.seen:
            assert time.monotonic() < deadline, self.seen.decode()
            self.seen += self.read()
        shown, _, self.seen = self.seen.partition(words.encode())
        return shown.decode()

    def read_to_the_end(self) -> str:
        """Return all that is shown until the command ends."""
        with suppress(OSError):  # Linux's way to say that the other side is closed
            while more := os.read(self.side, 65536):
                self.seen += more
        return self.seen.decode()

    def read(self) -> bytes:
        try:
            return os.read(self.side, 65536)
        except OSError:  # as above
            raise AssertionError(f"it ended: {self.seen.decode()}") from None

    def type(self, words: str) -> None:
        os.write(self.side, f"{words}\n".encode())


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    """Run `tieout` with these arguments in a terminal."""
    ours, theirs = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color"}
    process = subprocess.Popen([*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    try:
        yield Terminal(process, ours)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
