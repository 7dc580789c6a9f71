"""Tryton's server from an environment of its own, over SQLite files or a PostgreSQL server, and its template databases.

`make tryton` installs it into `.tryton/`; nothing of it is imported here.
"""

import hashlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Protocol

import httpx

from deployments.tryton import company, contractor
from deployments.tryton.rpc import Tryton
from tieout.sandbox.contractor.erp_books import ErpBooks
from tieout.sandbox.sockets import HOST, free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HOME, TEMPLATES = ROOT / ".tryton", ROOT / ".tieout" / "tryton-templates"
Say = Callable[[str], None]
_START_SECONDS, _STOP_SECONDS = 60.0, 10.0


class ServerError(Exception):
    """Tryton could not be installed, started or set up; the message says where its own words are."""


class Databases(Protocol):
    """Where Tryton keeps its databases."""

    uri: str  # as Tryton's configuration names it
    folder: Path  # of files, configuration and logs

    @property
    def templates(self) -> "Databases":
        """Where those are kept that others are cloned from."""

    def exists(self, name: str) -> bool:
        """Say whether there is such a database."""

    def create(self, name: str) -> None:
        """Make a database without tables."""

    def clone(self, template: str, name: str) -> None:
        """Make a database that is the same as one that nobody uses."""

    def rename(self, name: str, to: str) -> None:
        """Give a database that nobody uses another name."""

    def execute(self, name: str, statement: str) -> None:
        """Do what only the owner of the database may."""


class SQLiteFiles:
    """A file for each database."""

    uri = "sqlite://"

    def __init__(self, folder: Path, templates: Path | None = None) -> None:
        """Keep them in this folder, and those that others are cloned from perhaps in one that many share."""
        self.folder = folder
        self.templates = SQLiteFiles(templates) if templates else self
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return the file of a database."""
        return self.folder / f"{name}.sqlite"

    def exists(self, name: str) -> bool:
        """Say whether there is such a database."""
        return self.path(name).exists()

    def create(self, name: str) -> None:
        """Make a database without tables."""
        self.path(name).touch()

    def clone(self, template: str, name: str) -> None:
        """Make a database that is the same as one that nobody uses."""
        home = self if self.exists(template) else self.templates
        copy_database(home.path(template), self.path(name))

    def rename(self, name: str, to: str) -> None:
        """Give a database that nobody uses another name."""
        self.clone(name, to)
        for path in self.folder.glob(f"{name}.sqlite*"):
            path.unlink()

    def execute(self, name: str, statement: str) -> None:
        """Do what only the owner of the database may."""
        with closing(sqlite3.connect(self.path(name))) as connection, connection:
            connection.execute(statement)


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite database with what a server left in its log beside it; the copy appears whole or not at all."""
    part = target.with_suffix(f".{os.getpid()}")
    overwrite(source, part)
    part.rename(target)


def overwrite(source: Path, target: Path) -> None:
    """Make a SQLite database the same as another, in one transaction, though a server may have it open."""
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)


class PostgreSQLDatabases:
    """The databases of a PostgreSQL server, under a role that may create them."""

    def __init__(self, url: str, folder: Path) -> None:
        """Work on the server at `postgresql://ROLE@HOST:PORT`; the folder is for configuration and logs."""
        self.uri, self.folder, self.templates = f"{url}/", folder, self
        folder.mkdir(parents=True, exist_ok=True)

    def exists(self, name: str) -> bool:
        """Say whether there is such a database."""
        return bool(self._do("postgres", "SELECT 1 FROM pg_database WHERE datname = %s", (name,)))

    def create(self, name: str) -> None:
        """Make a database without tables."""
        self._do("postgres", f'CREATE DATABASE "{name}"')

    def clone(self, template: str, name: str) -> None:
        """Make a database that is the same as one that nobody uses."""
        self._do("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    def rename(self, name: str, to: str) -> None:
        """Give a database that nobody uses another name."""
        self._do("postgres", f'ALTER DATABASE "{name}" RENAME TO "{to}"')

    def execute(self, name: str, statement: str) -> None:
        """Do what only the owner of the database may."""
        self._do(name, statement)

    def _do(self, database: str, statement: str, values: tuple[str, ...] = ()) -> int:
        import psycopg  # an extra of ours, which SQLite does without

        with psycopg.connect(f"{self.uri}{database}", autocommit=True) as connection:
            return connection.execute(statement, values or None).rowcount


@contextmanager
def serving(databases: Databases, port: int = 0) -> Iterator[str]:
    """Run the server over all these databases until the block ends; yield its address."""
    port = port or free_port()
    config, log = _configure(databases, port), databases.folder / f"trytond-{port}.log"
    with log.open("ab") as out:
        process = subprocess.Popen([_program("trytond"), "-c", config], stdout=out, stderr=out)
        try:
            url = f"http://{HOST}:{port}"
            _await_answer(url, process, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            config.unlink(missing_ok=True)


def wake(url: str, database: str) -> None:
    """Have the server load a database: with 8.2 a login fails that comes first, any question over REST does not.

    Which databases there are it remembers for a while, for each name by which it is asked.
    """
    headers, where = {"Host": database}, f"{url}/{database}/rest/model/res.user"
    httpx.get(where, headers=headers, trust_env=False, verify=False, timeout=_START_SECONDS)


def template(databases: Databases, today: date, say: Say) -> str:
    """Return the name of a database with a company that has no vendors yet; built where it is not there."""
    made_from = [HERE / "requirements.lock", HERE / "company.py"]
    marked = _mark(*(path.read_text() for path in made_from), str(today.year))
    template = f"company_{marked}"
    if databases.exists(template):
        return template
    began, unfinished = time.monotonic(), f"unfinished_{marked}_{os.getpid()}"
    say("Building a company in Tryton, once: about a minute")
    databases.create(unfinished)
    _activate(databases, unfinished)
    databases.execute(unfinished, company.UNIQUE_KEY)
    with serving(databases) as url:
        wake(url, unfinished)
        tryton = Tryton(url, unfinished, "admin", company.PASSWORD_OF["admin"])
        company.set_up(tryton, today)
        tryton.close()
    databases.rename(unfinished, template)
    say(f"The company is built, in {time.monotonic() - began:.0f} s")
    return template


def company_of(databases: Databases, books: ErpBooks, today: date, say: Say) -> str:
    """Return the name of a database with the contractor's company; built where it is not there."""
    empty = template(databases, today, say)
    filled = f"contractor_{_mark(empty, repr(books), (HERE / 'contractor.py').read_text())}"
    if databases.exists(filled):
        return filled
    unfinished = f"{filled}_{os.getpid()}"
    fill(databases, empty, unfinished, books)
    databases.rename(unfinished, filled)
    return filled


def fill(databases: Databases, template: str, name: str, books: ErpBooks) -> None:
    """Copy a company without vendors, and let this contractor move in."""
    databases.clone(template, name)
    with serving(databases) as url:
        wake(url, name)
        tryton = Tryton(url, name, "admin", company.PASSWORD_OF["admin"])
        contractor.fill(tryton, books, date(company.FIRST_YEAR, 1, 5))
        tryton.close()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others out while something is installed, or built in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        flock(lock, LOCK_EX)
        yield


def install() -> None:
    """Install the server where it is not; ServerError when there is no package index, for example."""
    if (HOME / "bin" / "trytond").exists():
        return
    done = subprocess.run(["make", ".tryton/.stamp"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"Tryton could not be installed: {done.stderr[-500:]}")


def _program(name: str) -> Path:
    return HOME / "bin" / name


def _configure(databases: Databases, port: int) -> Path:
    config = databases.folder / f"trytond-{port}.conf"
    config.write_text(
        f"[database]\nuri = {databases.uri}\npath = {databases.folder}\n\n[web]\nlisten = {HOST}:{port}\n"
    )
    return config


def _activate(databases: Databases, name: str) -> None:
    """Create Tryton's tables and activate the modules."""
    config, secret = _configure(databases, 0), databases.folder / "admin-password"
    secret.write_text(company.PASSWORD_OF["admin"])
    command: list[str | Path] = [_program("trytond-admin"), "-c", config, "-d", name]
    environment = os.environ | {"TRYTONPASSFILE": str(secret)}
    for more in (["--all", "--email", "admin@example.invalid"], ["--activate-dependencies", "-u", *company.MODULES]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise ServerError(f"trytond-admin failed: {done.stderr[-2000:]}")
    secret.unlink()


def _await_answer(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    question = {"id": 0, "method": "common.server.version", "params": []}
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            httpx.post(f"{url}/rpc/", json=question, trust_env=False, verify=False, timeout=5.0)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise ServerError(f"Tryton does not answer: {log.read_text()[-2000:]}")


def _mark(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
