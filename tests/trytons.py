"""A real Tryton for tests: installed and its companies built once for a checkout, one server, a copy for each test."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.postgresql import ROLE, PostgreSQL
from deployments.tryton import front, server
from deployments.tryton.__main__ import settings_of
from tieout.sandbox.contractor.erp_books import ErpBooks
from tieout.sandbox.sockets import HOST, serving


@dataclass
class TrytonCompany:
    """A contractor's company of its own: `control` plays accounting, `fault` breaks calls by their method."""

    settings: dict[str, Any]  # the section [tryton], through the front
    direct: str  # the server itself, without the front
    http: httpx.Client

    def control(self, action: str, body: Any = None) -> Any:
        answer = self.http.post(f"/_sandbox/{action}", json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def look(self, what: str) -> Any:
        return self.http.get(f"/_sandbox/{what}").json()

    def fault(self, method: str, kind: str, **more: Any) -> None:
        """Break the next call of a method, for example `account.invoice.create`."""
        self.control("faults", {"route": f"^POST /model.{method}$", "kind": kind, **more})


@dataclass
class TrytonServer:
    """Tryton's server over databases of its own."""

    databases: server.Databases
    url: str
    _free: list[str] = field(default_factory=list)  # databases that the server has loaded, which takes it two seconds
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @contextmanager
    def company(self, books: ErpBooks) -> Iterator[TrytonCompany]:
        """Copy the company of this contractor, and give its people a place; building it once takes some seconds."""
        with server.alone(server.TEMPLATES):
            template = server.company_of(self.databases.templates, books, _today(), _say)
        name = self._put(template)
        with (
            serving(front.create_app(self.url, name)) as address,
            httpx.Client(base_url=address, timeout=120, trust_env=False) as http,
        ):
            yield TrytonCompany(settings_of(address, name, books.company_name), self.url, http)
        self._free.append(name)

    def _put(self, template: str) -> str:
        """Write a copy into a file that nobody uses any more, else into a new database."""
        if self._free and isinstance(self.databases, server.SQLiteFiles):
            files = self.databases
            server.overwrite(files.templates.path(template), files.path(self._free[-1]))
            return self._free.pop()
        name = f"company{next(self._numbers)}"
        self.databases.clone(template, name)
        server.wake(self.url, name)
        return name


class OnThrowAway(server.PostgreSQLDatabases):
    """Databases of a PostgreSQL server that is thrown away: what was built on one is kept in a file for the next."""

    def __init__(self, postgresql: PostgreSQL, folder: Path) -> None:
        super().__init__(f"postgresql://{ROLE}@{HOST}:{postgresql.port}", folder)
        self._programs = postgresql.programs

    def exists(self, name: str) -> bool:
        """Say whether there is such a database, or can be."""
        if not super().exists(name) and _kept(name).exists():
            self.create(name)
            self._run("pg_restore", "--dbname", f"{self.uri}{name}", _kept(name))
        return super().exists(name)

    def rename(self, name: str, to: str) -> None:
        """Give a database that is finished its name, and keep it."""
        super().rename(name, to)
        part = _kept(to).with_suffix(f".{os.getpid()}")
        self._run("pg_dump", "--format=custom", "--file", part, f"{self.uri}{to}")
        part.rename(_kept(to))

    def _run(self, program: str, *options: str | Path) -> None:
        subprocess.run([self._programs / program, *options], check=True)


def _kept(name: str) -> Path:
    return server.TEMPLATES / f"{name}.dump"


@contextmanager
def a_tryton(databases: server.Databases) -> Iterator[TrytonServer]:
    """Run a server; where it cannot be installed, the tests that want it are left."""
    began = time.monotonic()
    try:
        with server.alone(server.TEMPLATES):
            server.install()
        if time.monotonic() - began > 2:
            _say(f"Tryton was installed, in {time.monotonic() - began:.0f} s")
        with server.serving(databases) as url:
            yield TrytonServer(databases, url)
    except server.ServerError as error:
        pytest.skip(f"what runs against a real Tryton: {error}")


def _today() -> date:
    return datetime.now(UTC).date()


def _say(words: str) -> None:
    """Tell whoever waits: a first run takes longer."""
    print(words, file=sys.__stderr__ if os.environ.get("PYTEST_XDIST_WORKER") else sys.stderr, flush=True)
