"""A PostgreSQL server of our own, for tests and measurements: in a temporary folder, gone when it is done with."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tieout.ledger.database import upgrade
from tieout.sandbox.sockets import HOST, free_port

ROLE = "tieout"
FAST, CRASH = signal.SIGINT, signal.SIGQUIT
_PROGRAMS = ("initdb", "postgres")
_START_SECONDS = _STOP_SECONDS = 60
# Nobody needs a password, because nobody gets far: over TCP one may be an ordinary role only, who owns nothing but
# these databases, and the superuser must come by the socket, which lies in a folder that is closed to others.
_WHO_MAY_CONNECT = f"local all all trust\nhost all {ROLE} {HOST}/32 trust\n"
_SUPERUSER = "postgres"


class PostgreSQLError(Exception):
    """The server cannot be run; the message says what failed."""


@dataclass
class PostgreSQL:
    """A server that was set up. Its databases outlive `stop`, and keep their URLs."""

    folder: Path
    programs: Path
    port: int
    user: str | None  # as whom it runs; None: as whoever runs us
    _process: "subprocess.Popen[Any] | None" = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with self._log.open("ab") as log:
            command: list[str | Path] = [self.programs / "postgres", "-D", self.folder / "data"]
            # Away from our terminal: Ctrl-C is for us, and we stop the server when we are done.
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **self._as_user)
        deadline = time.monotonic() + _START_SECONDS
        while self.is_running and time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                return self._sql("SELECT 1", as_=_SUPERUSER)
            time.sleep(0.02)
        raise PostgreSQLError(f"the server does not answer: {self._log.read_text()}")

    def stop(self, how: signal.Signals = FAST) -> None:
        """Stop the server: `FAST` breaks off what is open, `CRASH` lets the next start recover from its log."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(_STOP_SECONDS)

    @property
    def is_running(self) -> bool:
        """Whether the server is there."""
        return self._process is not None and self._process.poll() is None

    def new_ledger(self, like: str = "") -> str:
        """Make a ledger with nothing in it, or a copy of the one at the URL `like`; return its URL.

        Nobody may be connected to the one that is copied.
        """
        return self._create(like.rpartition("/")[2] if like else self._empty_ledger)

    def new_database(self) -> str:
        """Make a database without tables; return its URL."""
        return self._create("template1")

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it: each takes 8 MB."""
        # An ordinary role may not end the server's own clean-up, which may be at work there.
        self._sql(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)", as_=_SUPERUSER)

    def connect_without_triggers(self, url: str) -> psycopg.Connection[Any]:
        """Connect to a database as the superuser, who may even put back what the ledger never changes."""
        name = url.rpartition("/")[2]
        where = {"host": str(self.folder), "port": self.port, "user": _SUPERUSER, "dbname": name}
        return psycopg.connect(**where, options="-c session_replication_role=replica", autocommit=True)

    @cached_property
    def _empty_ledger(self) -> str:
        url = self.new_database()
        upgrade(url)
        return url.rpartition("/")[2]

    def _create(self, template: str) -> str:
        name = f"ledger_{next(self._numbers)}"
        # Copied by way of the log, which is the default, a sequence would give its numbers again after a crash.
        self._sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return f"postgresql+psycopg://{ROLE}@{HOST}:{self.port}/{name}"

    def _sql(self, statement: str, as_: str = ROLE) -> None:
        host = HOST if as_ == ROLE else str(self.folder)
        with psycopg.connect(host=host, port=self.port, user=as_, dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)

    def _set_up(self, is_durable: bool) -> None:
        data = self.folder / "data"
        command: list[str | Path] = [self.programs / "initdb", "-D", data, "-U", _SUPERUSER, "--auth=trust"]
        command += ["--no-sync", "--no-locale", "--encoding=UTF8"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._as_user)
        if done.returncode:
            raise PostgreSQLError(f"initdb failed: {done.stderr}")
        (data / "pg_hba.conf").write_text(_WHO_MAY_CONNECT)
        settings = [f"listen_addresses='{HOST}'", f"port={self.port}", f"unix_socket_directories='{self.folder}'"]
        if not is_durable:  # what was committed still survives a crash of the server, only not one of the machine
            settings += ["fsync=off", "full_page_writes=off"]
        with (data / "postgresql.conf").open("a") as file:
            file.write("\n".join([*settings, ""]))
        self.start()
        self._sql(f"CREATE ROLE {ROLE} LOGIN CREATEDB", as_=_SUPERUSER)

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    @property
    def _as_user(self) -> dict[str, Any]:
        # Not in our working directory, which that user may not be allowed to enter.
        whose: dict[str, Any] = {"cwd": self.folder}
        if self.user:
            whose |= {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
        return whose


def find_programs() -> Path | None:
    """Return the folder with the programs of the newest server on this machine, or None."""
    on_path = shutil.which(_PROGRAMS[0])
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    return next((each for each in folders if all((each / program).exists() for program in _PROGRAMS)), None)


@contextmanager
def running(is_durable: bool = True) -> Iterator[PostgreSQL]:
    """Run a server until the block ends; PostgreSQLError when its programs are not on this machine."""
    programs = find_programs()
    if not programs:
        raise PostgreSQLError("the programs of a PostgreSQL server (initdb, postgres) are not on this machine")
    user = _ordinary_user()
    with tempfile.TemporaryDirectory(prefix="tieout-postgresql-", dir=_open_to(user)) as name:
        if user:
            shutil.chown(name, user)
        server = PostgreSQL(Path(name), programs, free_port(), user)
        try:
            server._set_up(is_durable)
            yield server
        finally:
            server.stop(CRASH)  # its data go with it


def _ordinary_user() -> str | None:
    """Return as whom a server can run, which refuses to run as root."""
    if os.getuid() != 0:
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _open_to(user: str | None) -> str:
    """Return where temporary files go, or where another user may go too: root often keeps its own place closed."""
    own = tempfile.gettempdir()
    if not user or all(each.stat().st_mode & stat.S_IXOTH for each in [Path(own), *Path(own).parents]):
        return own
    return "/tmp"
