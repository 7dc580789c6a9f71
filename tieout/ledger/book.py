"""The ledger itself: transactions in which items move, events are chained and every commit is sealed."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Row, Select, create_engine, event, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from data_contracts.money import from_minor
from data_contracts.reference import Finding
from tieout.errors import MismatchError, SettingsError
from tieout.ledger import schema
from tieout.ledger.states import is_allowed

Reader: TypeAlias = Connection  # an open connection that reads one consistent state
VARIABLES = 500  # bound variables per IN list; databases have a limit


@dataclass(frozen=True, slots=True)
class Item:
    """One Procore invoice as the ledger knows it now; a row of the projection, never changed in place."""

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
    judged_by: str
    findings: str
    cause: str
    number: str
    vendor: str
    project: str
    currency: str
    gross_minor: int
    held_minor: int
    released_minor: int
    settled_minor: int
    vendor_erp: str | None
    number_erp: str | None
    batch_code: str | None
    document_id_erp: str | None
    sequence: int | None
    attempts: int
    lease_token: int
    lease_until: datetime | None
    sent_by: str
    changed_at: datetime
    chain_length: int
    chain_hash: str

    @property
    def gross(self) -> Decimal:
        """Amount earned this period."""
        return from_minor(self.gross_minor, self.currency)

    @property
    def held(self) -> Decimal:
        """Retention newly held."""
        return from_minor(self.held_minor, self.currency)

    @property
    def net(self) -> Decimal:
        """What is due now: gross less the retention held."""
        return self.gross - self.held

    @property
    def reasons(self) -> list[Finding]:
        """Why it was stopped or warned about."""
        return [Finding.model_validate(each) for each in json.loads(self.findings)]


class LostRaceError(MismatchError):
    """Somebody else moved the item first; the message says where it stands now."""

    verb = "was moved by somebody else:"


class Ledger:
    """An open ledger. SQLite (WAL, synchronous FULL) by default, PostgreSQL in production."""

    def __init__(self, url: str) -> None:
        """Open the database of this URL; its tables must be there (see `upgrade`)."""
        self.engine = _engine(url)

    def __enter__(self) -> "Ledger":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.engine.dispose()

    @contextmanager
    def transaction(self, now: datetime, actor: str) -> Iterator["Transaction"]:
        """Do everything inside in one commit, sealed by one link of the overall chain, or nothing."""
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # One writer at a time, as SQLite has it: the overall chain has one end.
                connection.execute(text("SELECT pg_advisory_xact_lock(7400)"))
            tx = Transaction(connection, now, actor)
            yield tx
            tx.seal()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one consistent state without holding up writers."""
        with self.engine.connect().execution_options(reading=True) as connection:
            yield connection

    def items(self, **columns: Any) -> list[Item]:
        """Return the items whose columns have these values (or one of a sequence of values), oldest first."""
        with self.reading() as connection:
            return find_items(connection, **columns)


def find_items(connection: Connection, **columns: Any) -> list[Item]:
    """Return the items whose columns have these values (or one of a sequence of values), oldest first."""
    table, single, lists = schema.item.c, [], {}
    for name, value in columns.items():
        if isinstance(value, list | tuple | set):
            lists[name] = sorted(value)
        else:
            single.append(table[name] == value)
    longest = max(lists, key=lambda name: len(lists[name]), default=None)
    rest = [table[name].in_(values) for name, values in lists.items() if name != longest]
    query = select(schema.item).where(*single, *rest)
    if longest is None:
        return read_items(connection, query)
    values, found = lists[longest], []
    for start in range(0, len(values), VARIABLES):
        found += read_items(connection, query.where(table[longest].in_(values[start : start + VARIABLES])))
    return sorted(found, key=lambda item: item.item_id)


class Transaction:
    """One unit of work; made by `Ledger.transaction` only."""

    def __init__(self, connection: Connection, now: datetime, actor: str) -> None:
        """Work at the moment `now` in the name of `actor`."""
        self.connection, self.now, self.actor = connection, now.astimezone(UTC), actor
        self._events: list[dict[str, Any]] = []

    def items(self, **columns: Any) -> list[Item]:
        """Return the items whose columns have these values (or one of a sequence of values), oldest first."""
        return find_items(self.connection, **columns)

    def unmoved(self, items: Iterable[Item]) -> set[int]:
        """Return the ids of those that nobody has moved since they were read."""
        versions = {item.item_id: item.version for item in items}
        return {item.item_id for item in self.items(item_id=list(versions)) if item.version == versions[item.item_id]}

    def open_item(self, facts: dict[str, Any], state: str, because: dict[str, Any], kind: str) -> Item:
        """Enter an invoice that was never sent before."""
        if not is_allowed(None, kind, state):
            raise ValueError(f"no item begins as {state} by {kind}")
        row = {**facts, "state": state, "version": 1, "changed_at": self.now}
        item_id = self.connection.execute(insert(schema.item).values(row)).inserted_primary_key[0]  # type: ignore[index]
        entered = self.items(item_id=item_id)[0]
        return self._append(entered, None, kind, because)

    def move(self, item: Item, kind: str, state: str, because: dict[str, Any], **changes: Any) -> Item:
        """Move an item by compare-and-set on (state, version); LostRaceError tells the present state."""
        if not is_allowed(item.state, kind, state):
            raise ValueError(f"{kind} may not take an item from {item.state} to {state}")
        moved = replace(item, state=state, version=item.version + 1, changed_at=self.now, **changes)
        return self._append(moved, item.state, kind, because, item.version, changes)

    def note(self, item: Item, **changes: Any) -> Item:
        """Change a fact that is no transition (what was seen, how often it was tried); the state stays."""
        table = schema.item
        self.connection.execute(update(table).where(table.c.item_id == item.item_id).values(changes))
        return replace(item, **changes)

    def put(self, item: Item, kind: str, facts: dict[str, Any]) -> None:
        """Put a letter into the outbox, in the same commit as the decision that caused it (law 8)."""
        letter = {"item_id": item.item_id, "kind": kind, "facts": canonical(facts), "put_at": self.now}
        self.connection.execute(insert(schema.outbox).values(letter))

    def seal(self) -> None:
        """Write the events of this commit and one link of the overall chain over them."""
        if not self._events:
            return
        self.connection.execute(insert(schema.event), self._events)
        last = self.connection.execute(
            select(schema.seal.c.hash).order_by(schema.seal.c.seal_id.desc()).limit(1)
        ).scalar_one_or_none()
        digest = digest_of(*(each["hash"] for each in self._events))
        previous = last or ""
        link = {"events": len(self._events), "digest": digest, "previous_hash": previous}
        self.connection.execute(insert(schema.seal).values({**link, "hash": digest_of(previous, digest)}))
        self._events = []

    def _append(
        self,
        item: Item,
        before: str | None,
        kind: str,
        because: dict[str, Any],
        version: int = 1,
        changes: dict[str, Any] | None = None,
    ) -> Item:
        happened: dict[str, Any] = {
            "item_id": item.item_id,
            "position": item.chain_length + 1,
            "at": self.now,
            "actor": self.actor,
            "kind": kind,
            "before": before,
            "after": item.state,
            "revision": item.revision,
            "content_hash": item.content_hash,
            "facts": canonical(because),
            "previous_hash": item.chain_hash,
        }
        link = event_hash(happened)
        happened["hash"] = link
        chained = replace(item, chain_length=item.chain_length + 1, chain_hash=link)
        table = schema.item
        values = {
            **(changes or {}),
            "state": item.state,
            "version": item.version,
            "changed_at": self.now,
            "chain_length": chained.chain_length,
            "chain_hash": chained.chain_hash,
        }
        matches = (table.c.item_id == item.item_id, table.c.version == version)
        if self.connection.execute(update(table).where(*matches).values(values)).rowcount != 1:
            now = self.items(item_id=item.item_id)[0]
            raise LostRaceError("Ledger", f"invoice {now.number}", f"it is {now.state} now")
        self._events.append(happened)
        return chained


def event_hash(happened: dict[str, Any] | Row[Any]) -> str:
    """Return the hash of an event over all its fields and the hash of the event before it."""
    fields = happened if isinstance(happened, dict) else happened._asdict()
    kept = {name: fields[name] for name in sorted(fields) if name not in ("hash", "event_id")}
    kept["at"] = fields["at"].isoformat()
    return digest_of(canonical(kept))


def digest_of(*parts: str) -> str:
    """Return the SHA-256 of the parts, each closed by a newline so that no two lists give the same bytes."""
    text = "".join(f"{part}\n" for part in parts)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def canonical(facts: Any) -> str:
    """Return the one JSON text that stands for these facts."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def upgrade(url: str) -> None:
    """Bring the ledger's tables to the newest version; safe to call at every start."""
    database = make_url(url)
    if database.get_backend_name() == "sqlite" and database.database:
        Path(database.database).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = _engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def read_items(connection: Connection, query: Select[Any]) -> list[Item]:
    """Return the items that a query over the item table selects, oldest first."""
    return [Item(**row._mapping) for row in connection.execute(query.order_by(schema.item.c.item_id))]


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url)
    except (ArgumentError, ImportError) as error:  # the URL may hold a password and is not repeated
        raise SettingsError("Ledger", "its database", f"the URL is not usable ({type(error).__name__})") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: a read that later turns into a write could not be retried by SQLite.
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
