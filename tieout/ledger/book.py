"""The ledger itself: transactions in which items move, events are chained and every commit is sealed."""

import hashlib
import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import orjson
from pydantic import TypeAdapter
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, InternalError, OperationalError

from data_contracts.money import from_minor
from data_contracts.reference import Finding
from tieout.errors import MismatchError, SettingsError, TransientError
from tieout.ledger import schema
from tieout.ledger.states import is_allowed
from tieout.ledger.writes import StaleRowsError, Writes
from tieout.progress import Progress, unseen

Reader: TypeAlias = Connection  # an open connection that reads one consistent state
_READING = "reading"
# The size of a page, of a new database only: a commit writes whole pages, and costs least with these. Then 64 MiB of
# pages in memory, and a log that is emptied each 32 MiB.
_PAGE, _LARGE = "page_size=8192", ("cache_size=-65536", "wal_autocheckpoint=4000")
_INSTRUCTIONS = 10_000  # of SQLite's own, between two looks at how far a copy is: some milliseconds
VARIABLES = 500  # bound variables per IN list; databases have a limit


class Item(NamedTuple):
    """One Procore invoice as the ledger knows it now; a row of the projection, never changed in place.

    A default is a promise: what is so in every new item no event tells, so it must stay as it is.
    """

    item_id: int
    company_id: int
    invoice_id: int
    project_id: int
    commitment_id: int | None
    erp: str
    company_erp: str
    state: str
    version: int
    revision: int
    snapshot_id: int
    content_hash: str
    changed_at: datetime
    judged_by: str = ""
    findings: str = "[]"
    cause: str = ""
    number: str = ""
    vendor: str = ""
    project: str = ""
    currency: str = "USD"
    gross_minor: int = 0
    held_minor: int = 0
    released_minor: int = 0
    settled_minor: int = 0
    to_release_minor: int = 0  # retention that a person has yet to release by hand in the ERP
    vendor_erp: str | None = None
    number_erp: str | None = None
    batch_code: str | None = None
    document_id_erp: str | None = None
    sequence: int | None = None
    drift: str = "[]"  # open differences between what we sent and what both sides show now
    acknowledged: str = ""  # the digest of the differences that a person let stand
    attempts: int = 0
    lease_token: int = 0
    lease_until: datetime | None = None
    sent_by: str = ""
    chain_hash: str = ""

    @property
    def gross(self) -> Decimal:
        """Amount earned this period."""
        return from_minor(self.gross_minor, self.currency)

    @property
    def held(self) -> Decimal:
        """Retention newly held."""
        return from_minor(self.held_minor, self.currency)

    @property
    def released(self) -> Decimal:
        """Retention given back this period."""
        return from_minor(self.released_minor, self.currency)

    @property
    def to_release(self) -> Decimal:
        """Retention that a person has yet to release by hand in the ERP."""
        return from_minor(self.to_release_minor, self.currency)

    @property
    def net(self) -> Decimal:
        """What is due now: gross less the retention held."""
        return self.gross - self.held

    @property
    def reasons(self) -> list[Finding]:
        """Why it was stopped or warned about."""
        return _FINDINGS.validate_json(self.findings)


_FINDINGS = TypeAdapter(list[Finding])
_PLACES = {name: place for place, name in enumerate(Item._fields)}
_NEW = dict.fromkeys(Item._fields) | Item._field_defaults  # every column, in order
ITEM = tuple(schema.item.c[name] for name in Item._fields)
# What an event says in columns of its own, and what none says.
TOLD_OTHERWISE = frozenset("item_id version changed_at judged_by chain_hash state".split())
_EVENT = tuple(each.name for each in schema.event.c if each.name != "event_id")  # the last is the hash of the others
_NEWEST_ITEM = select(func.max(schema.item.c.item_id))
_NEWEST_SEAL = select(schema.seal.c.hash).order_by(schema.seal.c.seal_id.desc()).limit(1)
_AS_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z
_AS_LINE = _AS_JSON | orjson.OPT_APPEND_NEWLINE


class LostRaceError(MismatchError):
    """Somebody else moved the item first; the message says where it stands now."""

    verb = "was moved by somebody else:"


class Ledger:
    """An open ledger. SQLite (WAL, synchronous FULL) by default, PostgreSQL in production."""

    def __init__(self, url: str) -> None:
        """Open the database of this URL; its tables must be there (see `upgrade`)."""
        self.engine = _engine(url)
        self._is_rehearsing, self._rehearsed = False, list[Connection]()

    def __enter__(self) -> "Ledger":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.engine.dispose()

    @contextmanager
    def transaction(self, now: datetime, actor: str) -> Iterator["Transaction"]:
        """Do everything inside in one commit, sealed by one link of the overall chain, or nothing.

        Raises TransientError, in the database's words, when it cannot be reached or cannot write.
        """
        with _in_plain_words(), self._beginning() as connection:
            tx = Transaction(connection, now, actor, self._is_rehearsing)
            yield tx
            tx.seal()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Let everything inside happen as it would, and undo it at the end: what a dry run shows.

        Others who write wait from the first transaction inside to the end; so nothing inside may take long after it.
        """
        self._is_rehearsing = True
        try:
            yield
        finally:
            self._is_rehearsing = False
            while self._rehearsed:
                self._rehearsed.pop().close()  # which rolls back

    @contextmanager
    def _beginning(self) -> Iterator[Connection]:
        if not self._is_rehearsing:
            with self.engine.begin() as connection:
                yield connection
            return
        if not self._rehearsed:
            self._rehearsed.append(self.engine.connect())
            self._rehearsed[0].begin()
        with self._rehearsed[0].begin_nested():
            yield self._rehearsed[0]

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one consistent state without holding up writers; raises TransientError as `transaction` does."""
        if self._rehearsed:
            yield self._rehearsed[0]
            return
        options: dict[str, Any] = {_READING: True}
        if self.engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"  # SQLite's readers have it so without asking
        with _in_plain_words(), self.engine.connect().execution_options(**options) as connection:
            yield connection

    def items(self, **columns: Any) -> list[Item]:
        """Return the items whose columns have these values (or one of a sequence of values), oldest first."""
        with self.reading() as connection:
            return find_items(connection, **columns)


def find_items(connection: Connection, **columns: Any) -> list[Item]:
    """Return the items whose columns have these values (or one of a sequence of values), oldest first."""
    lists = {name: sorted(value) for name, value in columns.items() if isinstance(value, list | tuple | set)}
    query = _query(tuple(columns), tuple(lists), not connection.get_execution_options().get(_READING))
    longest = max(lists, key=lambda name: len(lists[name]), default=None)
    given = columns | lists
    if longest is None or len(lists[longest]) <= VARIABLES:
        return read_items(connection, query, given)
    values, found = lists[longest], []
    for start in range(0, len(values), VARIABLES):
        found += read_items(connection, query, given | {longest: values[start : start + VARIABLES]})
    return sorted(found, key=lambda item: item.item_id)


@lru_cache
def _query(names: tuple[str, ...], lists: tuple[str, ...], is_to_change: bool) -> Select[Any]:
    """Return the query over items by these columns; to build it anew each time would cost more than to run it."""

    def is_given(column: ColumnElement[Any]) -> ColumnElement[bool]:
        given: BindParameter[Any] = bindparam(column.key, expanding=column.key in lists)
        return column.in_(given) if given.expanding else column == given

    matches = [is_given(schema.item.c[name]) for name in names]
    if "project_id" in names and "state" not in names:
        # By what Procore shows, of which every item has a row, and which has an index of projects: another one would
        # be written to in as many places as there are projects whenever items are opened.
        seen = schema.sighting.c
        matches.append(schema.item.c.invoice_id.in_(select(seen.invoice_id).where(is_given(seen.project_id))))
    query = select(*ITEM).where(*matches).order_by(schema.item.c.item_id)
    return query.with_for_update() if is_to_change else query


class Transaction:
    """One unit of work; made by `Ledger.transaction` only."""

    def __init__(self, connection: Connection, now: datetime, actor: str, is_rehearsal: bool = False) -> None:
        """Work at the moment `now` in the name of `actor`; of a rehearsal nothing will remain."""
        self.now, self.actor, self.is_rehearsal = now.astimezone(UTC), actor, is_rehearsal
        self._connection, self._writes = connection, Writes(connection)
        self._events: list[tuple[Any, ...]] = []
        self._ids: Iterator[int] = iter(())

    @property
    def connection(self) -> Connection:
        """The open connection; it shows all that was written so far."""
        self.flush()
        return self._connection

    def items(self, **columns: Any) -> list[Item]:
        """Return the items whose columns have these values (or one of a sequence of values), oldest first.

        PostgreSQL locks their rows until the commit; SQLite has locked out every other writer already.
        """
        return find_items(self.connection, **columns)

    def unmoved(self, items: Iterable[Item]) -> set[int]:
        """Return the ids of those that nobody has moved since they were read."""
        versions = {item.item_id: item.version for item in items}
        return {item.item_id for item in self.items(item_id=list(versions)) if item.version == versions[item.item_id]}

    def open_item(self, facts: dict[str, Any], state: str, because: dict[str, Any], kind: str) -> Item:
        """Enter an invoice that was never sent before."""
        if not is_allowed(None, kind, state):
            raise ValueError(f"no item begins as {state} by {kind}")
        row = _NEW | facts | {"item_id": self._new_id(), "state": state, "version": 0, "changed_at": self.now}
        row |= self._happen(Item._make(row.values()), None, kind, because, facts | {"state": state})
        self.insert(schema.item, row, row["item_id"])
        return Item._make(row.values())

    def move(self, item: Item, kind: str, state: str, because: dict[str, Any], **changes: Any) -> Item:
        """Move an item by compare-and-set on its version; LostRaceError, at the latest when the transaction ends.

        An event that leaves the state as it is changes facts only.
        """
        if not is_allowed(item.state, kind, state):
            raise ValueError(f"{kind} may not take an item from {item.state} to {state}")
        changes["state"] = state
        changes = self._happen(item, item.state, kind, because, changes)
        where = {"item_id": item.item_id, "version": item.version}
        self._writes.update(schema.item, where, changes, item.item_id, must_match=True)
        row = list(item)  # `_replace` would go through every column
        for name, value in changes.items():
            row[_PLACES[name]] = value
        return Item._make(row)

    def note_terms(self, item: Item, fingerprint: str) -> Item:
        """Note by which terms it was judged last: the one fact of an item that no event tells."""
        self.update(schema.item, {"item_id": item.item_id}, {"judged_by": fingerprint}, item.item_id)
        return item._replace(judged_by=fingerprint)

    def put(self, item: Item, kind: str, facts: dict[str, Any]) -> None:
        """Put a letter into the outbox, in the same commit as the decision that caused it (law 8)."""
        letter = {"item_id": item.item_id, "kind": kind, "facts": canonical(facts), "put_at": self.now}
        self.insert(schema.outbox, letter)

    def insert(self, table: Table, row: dict[str, Any], identity: Hashable = None) -> None:
        """Add a row; `identity` tells it from others of the table that this transaction may write again."""
        self._writes.insert(table, row, identity)

    def upsert(self, table: Table, keys: Sequence[str], row: dict[str, Any]) -> None:
        """Add a row, or change the one that has the same keys."""
        self._writes.upsert(table, keys, row)

    def update(self, table: Table, where: dict[str, Any], values: dict[str, Any], identity: Hashable) -> None:
        """Change the rows whose columns equal `where`."""
        self._writes.update(table, where, values, identity)

    def flush(self) -> None:
        """Hand what was put off to the database; LostRaceError tells how an item stands that somebody else moved."""
        try:
            self._writes.flush()
        except StaleRowsError as stale:
            raise self._lost(stale.written) from None

    def seal(self) -> None:
        """Write the events of this commit and one link of the overall chain over them."""
        self.flush()
        if not self._events:
            return
        if self._connection.dialect.name == "postgresql":
            # One commit at a time from here on: the overall chain has one end, and its events lie in its order.
            self._connection.execute(text("SELECT pg_advisory_xact_lock(7400)"))
        self._writes.insert_all(schema.event, _EVENT, self._events)
        self.flush()
        previous = self._connection.execute(_NEWEST_SEAL).scalar_one_or_none() or ""
        digest = digest_of(*[each[-1] for each in self._events])
        link = {"events": len(self._events), "digest": digest, "previous_hash": previous}
        self.insert(schema.seal, {**link, "hash": digest_of(previous, digest)})
        self.flush()
        self._events = []

    def _happen(
        self, item: Item, before: str | None, kind: str, because: dict[str, Any], changes: dict[str, Any]
    ) -> dict[str, Any]:
        """Add an event to the item's chain; return all columns of the item that change with it."""
        version = item.version + 1
        happened = (  # as in `_EVENT`
            item.item_id,
            version,
            self.now,
            self.actor,
            kind,
            before,
            changes["state"],
            canonical(because),
            canonical({name: value for name, value in changes.items() if name not in TOLD_OTHERWISE}),
            item.chain_hash,
        )
        digest = digest_of_facts(happened)
        self._events.append((*happened, digest))
        return {**changes, "version": version, "changed_at": self.now, "chain_hash": digest}

    def _new_id(self) -> int:
        """Return the id of a new item, so that it need not be read back from the database."""
        for item_id in self._ids:
            return item_id
        if self._connection.dialect.name == "postgresql":
            sequence = "SELECT nextval(pg_get_serial_sequence('item', 'item_id')) FROM generate_series(1, 20)"
            self._ids = iter(self._connection.execute(text(sequence)).scalars().all())
        else:  # nobody else writes
            self._ids = count(1 + (self.connection.execute(_NEWEST_ITEM).scalar() or 0))
        return next(self._ids)

    def _lost(self, written: Sequence[dict[str, Any]]) -> LostRaceError:
        ours = {each["where_item_id"]: each["chain_hash"] for each in written}
        there = find_items(self._connection, item_id=list(ours))
        others = [item for item in there if item.chain_hash != ours[item.item_id]]
        if not others:
            return LostRaceError("Ledger", "an invoice", "it is no longer in the ledger")
        return LostRaceError("Ledger", f"invoice {others[0].number}", f"it is {others[0].state} now")


def event_hash(event: Row[Any]) -> str:
    """Return the hash of an event over all its fields and the hash of the event before it."""
    return digest_of_facts(tuple([event._mapping[name] for name in _EVENT[:-1]]))


def digest_of(*parts: str) -> str:
    """Return the SHA-256 of the parts, each closed by a newline so that no two lists give the same bytes."""
    return hashlib.sha256("\n".join([*parts, ""]).encode(errors="surrogatepass")).hexdigest()


def digest_of_facts(facts: Any) -> str:
    """Return the SHA-256 of the one JSON text that stands for these facts, as `digest_of` does of a text."""
    try:
        return hashlib.sha256(orjson.dumps(facts, default=str, option=_AS_LINE)).hexdigest()
    except TypeError:
        return digest_of(canonical(facts))


def canonical(facts: Any) -> str:
    """Return the one JSON text that stands for these facts."""
    try:
        return orjson.dumps(facts, default=str, option=_AS_JSON).decode()
    except TypeError:  # what only the slow one takes, such as half a character
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain)


def plain(value: Any) -> str:
    """Return as text what JSON has no form for, a moment as `canonical` writes it."""
    return orjson.dumps(value, option=_AS_JSON).decode().strip('"') if isinstance(value, datetime) else str(value)


def upgrade(url: str) -> None:
    """Bring the ledger's tables to the newest version; safe to call at every start."""
    database = make_url(url)
    if database.get_backend_name() == "sqlite" and database.database:
        Path(database.database).parent.mkdir(parents=True, exist_ok=True)
    from alembic import command  # a run that only works with the tables is spared the time that this takes
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = _engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def copy_to(url: str, file: Path, progress: Progress = unseen) -> None:
    """Write a SQLite ledger's present state into a new file; others may go on writing meanwhile.

    `progress` counts bytes, of as many as the ledger takes now.
    Raises SettingsError for PostgreSQL, whose own `pg_dump` does it, and when the file is there.
    """
    engine = _engine(url)
    if engine.dialect.name != "sqlite":
        raise SettingsError("Ledger", "a copy", "PostgreSQL is copied by its own pg_dump; see docs/deployment.md")
    if file.exists():
        raise SettingsError("Ledger", "a copy", f"{file} is there already")
    with _in_plain_words(), closing(engine.raw_connection()) as connection:  # for it is refused in a transaction
        _tell_copied(connection.driver_connection, file, progress)
        connection.cursor().execute("VACUUM INTO ?", (str(file),))
    engine.dispose()


def _tell_copied(connection: Any, file: Path, progress: Progress) -> None:
    """Have SQLite tell now and then how much of the copy is written."""
    [whole] = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()

    def tell() -> int:
        progress(min(file.stat().st_size, whole) if file.exists() else 0, whole)
        return 0  # go on

    connection.set_progress_handler(tell, _INSTRUCTIONS)


def read_items(connection: Connection, query: Select[Any], given: dict[str, Any] | None = None) -> list[Item]:
    """Return the items that a query over `ITEM` selects, with its parameters."""
    return [Item._make(row) for row in connection.execute(query, given).all()]


def to_change(connection: Connection, query: Select[Any], skip_locked: bool = False) -> Select[Any]:
    """Return the query so that in a transaction PostgreSQL locks what it finds; what is read only stays unlocked."""
    if connection.get_execution_options().get(_READING):
        return query
    return query.with_for_update(skip_locked=skip_locked)  # SQLite takes its one lock when a transaction begins


@contextmanager
def _in_plain_words() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        words = str(error.orig).strip().split("\n")[0]  # the rest is the statement and its values
        raise TransientError("Ledger", "its database", words) from None


def _engine(url: str) -> Engine:
    try:
        is_file = make_url(url).get_backend_name() == "sqlite"
        by_position = "qmark" if is_file else "format"  # see `writes`
        # A server that was started again is no step's failure; and what is in a row stays out of messages and logs.
        engine = create_engine(url, paramstyle=by_position, pool_pre_ping=not is_file, hide_parameters=True)
    except (ArgumentError, ImportError) as error:  # the URL may hold a password and is not repeated
        raise SettingsError("Ledger", "its database", f"the URL is not usable ({type(error).__name__})") from None
    if is_file:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    for pragma in (_PAGE, "journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON", *_LARGE):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: a read that later turns into a write could not be retried by SQLite.
    reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
