"""The ledger itself: transactions in which items move, events are chained and every commit is sealed."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, Unpack

from sqlalchemy import Connection, Row, Table, func, select, text

from tieout.errors import MismatchError
from tieout.ledger import schema
from tieout.ledger.database import READING, in_plain_words, open_engine
from tieout.ledger.digests import canonical, digest_of, digest_of_facts
from tieout.ledger.items import Columns, Item, find_items
from tieout.ledger.states import is_allowed
from tieout.ledger.writes import StaleRowsError, Writes

_PLACES = {name: place for place, name in enumerate(Item._fields)}
_NEW = dict.fromkeys(Item._fields) | Item._field_defaults  # every column, in order
# What an event says in columns of its own, and what none says.
TOLD_OTHERWISE = frozenset("item_id version changed_at judged_by chain_hash state".split())
_EVENT = tuple(each.name for each in schema.event.c if each.name != "event_id")  # the last is the hash of the others
_NEWEST_ITEM = select(func.max(schema.item.c.item_id))
_NEWEST_SEAL = select(schema.seal.c.hash).order_by(schema.seal.c.seal_id.desc()).limit(1)


class LostRaceError(MismatchError):
    """Somebody else moved the item first; the message says where it stands now."""

    verb = "was moved by somebody else:"


class Ledger:
    """An open ledger. SQLite (WAL, synchronous FULL) by default, PostgreSQL in production."""

    def __init__(self, url: str) -> None:
        """Open the database of this URL; its tables must be there (see `upgrade`)."""
        self.engine = open_engine(url)
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
        with in_plain_words(), self._beginning() as connection:
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
        options: dict[str, Any] = {READING: True}
        if self.engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"  # SQLite's readers have it so without asking
        with in_plain_words(), self.engine.connect().execution_options(**options) as connection:
            yield connection

    def items(self, **columns: Unpack[Columns]) -> list[Item]:
        """Return the items whose columns have these values (or one of a sequence of values), oldest first."""
        with self.reading() as connection:
            return find_items(connection, **columns)


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

    def items(self, **columns: Unpack[Columns]) -> list[Item]:
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

    def note_basis(self, item: Item, fingerprint: str) -> Item:
        """Note on which basis it was judged last: the one fact of an item that no event tells."""
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
