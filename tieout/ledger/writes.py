"""The writes of one transaction, put off and grouped: many rows of one kind cost one statement."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, Table, and_, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from tieout.ledger.schema import Instant, instant_text

Row = dict[str, Any]
_kinds: dict[str, dict[Hashable, "_Kind"]] = {}  # by dialect; there are as many as the code has kinds of writes


class StaleRowsError(Exception):
    """Rows that were to be changed are no longer as they were read."""

    def __init__(self, written: Sequence[Row]) -> None:
        """Keep what was to be written, each with the `where_...` by which it was to be found."""
        super().__init__(f"one or more of {len(written)} rows")
        self.written = written


class _Kind:
    """A statement, ready for the driver: to have SQLAlchemy bind every row would cost more than all the rest."""

    def __init__(self, dialect: Dialect, statement: Any) -> None:
        compiled: SQLCompiler = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._moments = [name for name, value in compiled.binds.items() if isinstance(value.type, Instant)]
        self._in_order = itemgetter(*compiled.positiontup) if compiled.positiontup else None

    def parameters(self, rows: list[Row]) -> list[Any]:
        """Return the rows as the driver takes them."""
        for name in self._moments:
            for row in rows:
                row[name] = row[name] and instant_text(row[name])
        return rows if self._in_order is None else [self._in_order(row) for row in rows]


@dataclass
class _Batch:
    must_match: bool
    rows: list[Row] = field(default_factory=list)


class Writes:
    """What a transaction means to write; `flush` hands it to the database, in an order that changes nothing."""

    def __init__(self, connection: Connection) -> None:
        """Write through this connection."""
        self._connection = connection
        self._batches: dict[_Kind, _Batch] = {}
        self._touched: dict[Hashable, _Kind] = {}  # what kind the newest write of a row was of

    def insert(self, table: Table, row: Row, identity: Hashable = None) -> None:
        """Add a row; `identity` tells it from other rows of the table that this transaction may write again."""
        self._batch(("insert", table.name, *row), lambda: _insert_of(table, row), identity).append(row)

    def insert_all(self, table: Table, rows: Sequence[Row]) -> None:
        """Add one or more rows of the same columns, none of which this transaction writes again."""
        self._batch(("insert", table.name, *rows[0]), lambda: _insert_of(table, rows[0]), None).extend(rows)

    def upsert(self, table: Table, keys: Sequence[str], row: Row) -> None:
        """Add a row, or change the one that has the same keys."""
        key = ("upsert", table.name, *row)
        identity = tuple([row[name] for name in keys])
        self._batch(key, lambda: self._upsert_of(table, keys, row), identity).append(row)

    def update(self, table: Table, where: Row, values: Row, identity: Hashable, must_match: bool = False) -> None:
        """Change the rows whose columns equal `where`; with `must_match` finding none makes `flush` raise."""
        key = ("update", table.name, *where, "", *values)
        rows = self._batch(key, lambda: _update_of(table, where, values), identity, must_match)
        rows.append(values | {f"where_{name}": value for name, value in where.items()})

    def flush(self) -> None:
        """Hand everything to the database; raises StaleRowsError where rows were changed since they were read."""
        batches, self._batches, self._touched = self._batches, {}, {}
        for kind, batch in batches.items():
            done = self._connection.exec_driver_sql(kind.sql, kind.parameters(batch.rows))
            if batch.must_match and done.rowcount != len(batch.rows):
                raise StaleRowsError(batch.rows)

    def _batch(
        self, key: tuple[str, ...], make: Callable[[], Executable], identity: Hashable, must_match: bool = False
    ) -> list[Row]:
        kind = _kind(self._connection.dialect, key, make)
        if identity is not None:
            touched = (key[1], identity)
            if self._touched.get(touched, kind) is not kind:
                self.flush()  # two writes of one row keep their order
            self._touched[touched] = kind
        batch = self._batches.get(kind)
        if batch is None:
            batch = self._batches[kind] = _Batch(must_match)
        return batch.rows

    def _upsert_of(self, table: Table, keys: Sequence[str], row: Row) -> Executable:
        adding = adding_to(self._connection, table)
        rest = {name: adding.excluded[name] for name in row if name not in keys}
        values: dict[str, Any] = {name: bindparam(name) for name in row}
        return adding.values(values).on_conflict_do_update(index_elements=list(keys), set_=rest)


def adding_to(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can say what happens when such a row is there already."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _insert_of(table: Table, row: Row) -> Executable:
    return insert(table).values({name: bindparam(name) for name in row})


def _update_of(table: Table, where: Row, values: Row) -> Executable:
    matches = and_(*(table.c[name] == bindparam(f"where_{name}") for name in where))
    return update(table).where(matches).values({name: bindparam(name) for name in values})


def _kind(dialect: Dialect, key: tuple[str, ...], make: Callable[[], Executable]) -> _Kind:
    known = _kinds.setdefault(dialect.name, {})
    kind = known.get(key)  # once: to hash so many names is what this costs
    if kind is None:
        kind = known[key] = _Kind(dialect, make())
    return kind
