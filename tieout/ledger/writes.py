"""The writes of one transaction, put off and grouped: many rows of one kind cost one statement."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, Table, and_, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from tieout.ledger.schema import Instant, instant_text

Row = dict[str, Any]
Values = tuple[Any, ...]
_Statement = tuple[Executable, tuple[str, ...]]  # with the names of its parameters, in the order of a row's values
_kinds: dict[str, dict[Hashable, "_Kind"]] = {}  # by dialect; there are as many as the code has kinds of writes


class StaleRowsError(Exception):
    """Rows that were to be changed are no longer as they were read."""

    def __init__(self, written: Sequence[Row]) -> None:
        """Keep what was to be written, each with the `where_...` by which it was to be found."""
        super().__init__(f"one or more of {len(written)} rows")
        self.written = written


class _Kind:
    """A statement, ready for the driver: to have SQLAlchemy bind every row would cost more than all the rest."""

    def __init__(self, dialect: Dialect, statement: Any, names: tuple[str, ...]) -> None:
        compiled: SQLCompiler = statement.compile(dialect=dialect)
        self.sql, self.names = str(compiled), names
        self._in_order = compiled.positiontup or ()
        self._moments = {name for name, value in compiled.binds.items() if isinstance(value.type, Instant)}

    def parameters(self, rows: Sequence[Values]) -> list[Values]:
        """Return the rows as the driver takes them; by columns, which is how Python does it fast."""
        columns = dict(zip(self.names, zip(*rows, strict=True), strict=True))
        for name in self._moments:
            columns[name] = tuple([value and instant_text(value) for value in columns[name]])
        return list(zip(*map(columns.__getitem__, self._in_order), strict=True))


@dataclass
class _Batch:
    must_match: bool
    rows: list[Values] = field(default_factory=list)


class Writes:
    """What a transaction means to write; `flush` hands it to the database, in an order that changes nothing."""

    def __init__(self, connection: Connection) -> None:
        """Write through this connection."""
        self._connection, self._kinds = connection, _kinds.setdefault(connection.dialect.name, {})
        self._batches: dict[_Kind, _Batch] = {}
        self._touched: dict[Hashable, _Kind] = {}  # what kind the newest write of a row was of

    def insert(self, table: Table, row: Row, identity: Hashable = None) -> None:
        """Add a row; `identity` tells it from other rows of the table that this transaction may write again."""
        key = ("insert", table.name, *row)
        self._batch(key, lambda: _insert_of(table, row), identity).append(tuple(row.values()))

    def insert_all(self, table: Table, names: Sequence[str], rows: Sequence[Values]) -> None:
        """Add rows, none of which this transaction writes again: their values in the order of these names."""
        self._batch(("insert", table.name, *names), lambda: _insert_of(table, names), None).extend(rows)

    def upsert(self, table: Table, keys: Sequence[str], row: Row) -> None:
        """Add a row, or change the one that has the same keys."""
        key = ("upsert", table.name, *row)
        identity = tuple([row[name] for name in keys])
        self._batch(key, lambda: self._upsert_of(table, keys, row), identity).append(tuple(row.values()))

    def update(self, table: Table, where: Row, values: Row, identity: Hashable, must_match: bool = False) -> None:
        """Change the rows whose columns equal `where`; with `must_match` finding none makes `flush` raise."""
        key = ("update", table.name, *where, "", *values)
        rows = self._batch(key, lambda: _update_of(table, where, values), identity, must_match)
        rows.append((*where.values(), *values.values()))

    def flush(self) -> None:
        """Hand everything to the database; raises StaleRowsError where rows were changed since they were read."""
        batches, self._batches, self._touched = self._batches, {}, {}
        for kind, batch in batches.items():
            done = self._connection.exec_driver_sql(kind.sql, kind.parameters(batch.rows))
            if batch.must_match and done.rowcount != len(batch.rows):
                raise StaleRowsError([dict(zip(kind.names, row, strict=True)) for row in batch.rows])

    def _batch(
        self, key: tuple[str, ...], make: Callable[[], _Statement], identity: Hashable, must_match: bool = False
    ) -> list[Values]:
        kind = self._kinds.get(key)  # once: to hash so many names is what this costs
        if kind is None:
            kind = self._kinds[key] = _Kind(self._connection.dialect, *make())
        if identity is not None:
            touched = (key[1], identity)
            if self._touched.get(touched, kind) is not kind:
                self.flush()  # two writes of one row keep their order
            self._touched[touched] = kind
        batch = self._batches.get(kind)
        if batch is None:
            batch = self._batches[kind] = _Batch(must_match)
        return batch.rows

    def _upsert_of(self, table: Table, keys: Sequence[str], row: Row) -> _Statement:
        adding = adding_to(self._connection, table)
        rest = {name: adding.excluded[name] for name in row if name not in keys}
        values: dict[str, Any] = {name: bindparam(name) for name in row}
        return adding.values(values).on_conflict_do_update(index_elements=list(keys), set_=rest), tuple(row)


def adding_to(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can say what happens when such a row is there already."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _insert_of(table: Table, names: Iterable[str]) -> _Statement:
    return insert(table).values({name: bindparam(name) for name in names}), tuple(names)


def _update_of(table: Table, where: Row, values: Row) -> _Statement:
    found_by = {name: f"where_{name}" for name in where}
    matches = and_(*(table.c[name] == bindparam(bound) for name, bound in found_by.items()))
    changing = update(table).where(matches).values({name: bindparam(name) for name in values})
    return changing, (*found_by.values(), *values)
