"""Ledgers for tests, on SQLite and on PostgreSQL: how they are made, copied and tampered with."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import make_url

from tieout.ledger.database import upgrade

DATABASES = ["sqlite", "postgresql"]
ON_BOTH_DATABASES = pytest.mark.parametrize("database", DATABASES)


class Ledgers(Protocol):
    """Makes ledgers; `benchmarks.postgresql.PostgreSQL` is the other one."""

    def new_ledger(self, like: str = "") -> str:
        """Make a ledger with nothing in it, or a copy of the one at the URL `like`, which nobody has open."""

    def drop(self, url: str) -> None:
        """Remove a ledger."""


class SQLite:
    """Makes ledgers that are files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._paths = (folder / f"ledger_{number}.sqlite" for number in count(1))
        self._empty = f"sqlite:///{next(self._paths)}"
        upgrade(self._empty)

    def new_ledger(self, like: str = "") -> str:
        path = next(self._paths)
        shutil.copy(_path(like or self._empty), path)
        return f"sqlite:///{path}"

    def drop(self, url: str) -> None:
        for path in _path(url).parent.glob(f"{_path(url).name}*"):  # with its log, if somebody still has it open
            path.unlink()


@contextmanager
def unguarded(url: str) -> Iterator[Connection]:
    """Work on a ledger's tables behind its triggers' back, as whoever owns the database can."""
    engine = create_engine(url)
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            for name in connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in inspect(connection).get_table_names():
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        yield connection
    engine.dispose()


def _path(url: str) -> Path:
    return Path(make_url(url).database or "")
