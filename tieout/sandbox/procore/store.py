"""The stand-in Procore's memory: documents in SQLite, kept as the JSON text that goes over the wire.

A list of long invoices is put together from stored text, without reading it. Keys that begin with `_` are the
stand-in's own and never leave it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tieout.sandbox.contractor.contractor import Contractor
from tieout.sandbox.contractor.documents import Document

SCHEMA = """
create table if not exists meta (key text primary key, value text not null);
create table if not exists records (
    kind text not null, id integer not null, project_id integer, parent_id integer, status text, type text,
    origin_id text, created_at text, updated_at text, body text not null, brief text not null, raw text not null,
    primary key (kind, id));
create index if not exists records_by_project on records (kind, project_id);
create index if not exists records_by_parent on records (kind, parent_id);
create table if not exists requisitions (
    id integer primary key, project_id integer not null, commitment_id integer not null, period_id integer,
    number integer, status text, origin_id text, created_at text not null, updated_at text not null,
    header text not null, items text not null, packages text not null, verbatim text);
create index if not exists requisitions_by_project on requisitions (project_id, updated_at desc);
create index if not exists requisitions_by_commitment on requisitions (commitment_id, number);
create table if not exists tokens (
    token text primary key, kind text not null, owner text not null, created_at real not null,
    expires_at real not null);
"""
LISTS = ("line_items", "change_order_packages", "payments_issued")  # what only a long view of a contract shows
INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"

COMMITMENT, PAYMENT, PERIOD = "commitment", "payment", "billing_period"
PROJECT, VENDOR, USER, COST_CODE = "project", "vendor", "user", "cost_code"


def dumps(value: Any) -> str:
    """Write JSON as Procore sends it: compact, and in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Store:
    """One connection, used by one event loop: no request sees another half done."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._sql = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._sql.row_factory = sqlite3.Row
        self._sql.executescript("pragma journal_mode=wal; pragma synchronous=normal;" + SCHEMA)

    def get(self, key: str, default: Any = None) -> Any:
        row = self._sql.execute("select value from meta where key = ?", (key,)).fetchone()
        return json.loads(row["value"]) if row else default

    def set(self, key: str, value: Any) -> None:
        self._sql.execute("insert or replace into meta values (?, ?)", (key, json.dumps(value)))

    def seconds(self) -> float:
        return self._clock().timestamp()

    def today(self) -> str:
        return self._clock().date().isoformat()

    def instant(self) -> str:
        """The server's time, later than any it gave before, by a microsecond if need be."""
        now = self._clock().astimezone(UTC)
        last = datetime.strptime(self.get("last_instant"), INSTANT).replace(tzinfo=UTC)
        text = max(now, last + timedelta(microseconds=1)).strftime(INSTANT)
        self.set("last_instant", text)
        return text

    def new_id(self) -> int:
        number = int(self.get("last_id")) + 1
        self.set("last_id", number)
        return number

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return self._sql.execute(sql, values).fetchall()

    def write(self, sql: str, values: Sequence[Any] = ()) -> None:
        self._sql.execute(sql, values)

    def begin(self) -> None:
        self._sql.execute("begin immediate")

    def commit(self) -> None:
        if self._sql.in_transaction:
            self._sql.execute("commit")

    def rollback(self) -> None:
        if self._sql.in_transaction:
            self._sql.execute("rollback")

    def close(self) -> None:
        """Leave one whole file behind, which may be copied."""
        self._sql.close()

    def put(self, kind: str, raw: Document) -> None:
        """Store a record; its public text is made once, here."""
        public = _public(raw)
        brief = {key: value for key, value in public.items() if key not in LISTS}
        project = raw.get("_project_id") or raw.get("project_id") or (raw.get("project") or {}).get("id")
        values = (
            kind,
            raw["id"],
            project,
            raw.get("contract_id"),
            raw.get("status"),
            raw.get("_type"),
            raw.get("origin_id"),
            normal_instant(raw.get("created_at")),
            normal_instant(raw.get("updated_at")),
            dumps(public),
            dumps(brief),
            dumps(raw),
        )
        self._sql.execute(f"insert or replace into records values ({','.join('?' * len(values))})", values)

    def find(self, kind: str, record_id: int) -> Document | None:
        rows = self.rows("select raw from records where kind = ? and id = ?", (kind, record_id))
        return json.loads(rows[0]["raw"]) if rows else None

    def all(self, kind: str) -> list[Document]:
        return [
            json.loads(row["raw"]) for row in self.rows("select raw from records where kind = ? order by id", (kind,))
        ]

    def remove(self, kind: str, record_id: int) -> None:
        self._sql.execute("delete from records where kind = ? and id = ?", (kind, record_id))

    def put_requisition(self, document: Document) -> None:
        values = (
            *(document[name] for name in ("id", "project_id", "commitment_id", "period_id", "number", "status")),
            document["origin_id"],
            document["created_at"],
            document["updated_at"],
            dumps(header_of(document)),
            dumps(document["items"]),
            dumps(document["item_packages"]),
        )
        self._sql.execute(f"insert or replace into requisitions values ({','.join('?' * len(values))}, null)", values)

    def put_header(self, document: Document) -> None:
        """Store the head of an invoice whose items did not change."""
        sql = "update requisitions set status = ?, origin_id = ?, updated_at = ?, header = ? where id = ?"
        names = ("status", "origin_id", "updated_at")
        self._sql.execute(sql, (*(document[name] for name in names), dumps(header_of(document)), document["id"]))

    def find_header(self, requisition_id: int) -> Document | None:
        rows = self.rows("select header from requisitions where id = ?", (requisition_id,))
        return json.loads(rows[0]["header"]) if rows else None

    def find_requisition(self, requisition_id: int | None) -> Document | None:
        rows = self.rows("select * from requisitions where id = ?", (requisition_id,))
        return as_document(rows[0]) if rows else None

    def newest_requisition(self, commitment_id: int) -> Document | None:
        sql = "select * from requisitions where commitment_id = ? order by number desc, id desc limit 1"
        rows = self.rows(sql, (commitment_id,))
        return as_document(rows[0]) if rows else None

    def is_empty(self) -> bool:
        return self.get("contractor") is None

    def fill(self, contractor: Contractor) -> None:
        """Take the contractor in, in one transaction."""
        self.begin()
        kinds: tuple[tuple[str, Iterable[Document]], ...] = (
            (PROJECT, contractor.projects),
            (VENDOR, contractor.vendors),
            (USER, contractor.users),
            (COST_CODE, contractor.cost_codes),
            (PERIOD, contractor.billing_periods),
            (COMMITMENT, contractor.commitments),
        )
        for kind, documents in kinds:
            for document in documents:
                self.put(kind, document)
        for requisition in contractor.requisitions:
            self.put_requisition(requisition)
        self._remember(contractor)
        self.commit()

    def _remember(self, contractor: Contractor) -> None:
        names = ("company_id", "company_name", "client_id", "client_secret")
        self.set("contractor", {name: getattr(contractor, name) for name in names})
        self.set("troubles", contractor.troubles)
        self.set("repairs", contractor.repairs)
        self.set("forbidden", list(contractor.forbidden_projects))
        newest = [requisition["updated_at"] for requisition in contractor.requisitions]
        self.set("last_instant", max(newest, default="2020-01-01T00:00:00.000000Z"))
        highest = self.rows(
            "select max(id) as id from (select max(id) as id from records union select max(id) from requisitions)"
        )
        items = (item["id"] for requisition in contractor.requisitions for item in requisition["items"])
        self.set("last_id", max([*items, highest[0]["id"]]) + 1000)


def header_of(document: Document) -> Document:
    return {key: value for key, value in document.items() if key not in ("items", "item_packages")}


def as_document(row: sqlite3.Row) -> Document:
    """Read a stored invoice, whole."""
    header: Document = json.loads(row["header"])
    return header | {"items": json.loads(row["items"]), "item_packages": json.loads(row["packages"])}


def as_text(row: sqlite3.Row, view: str) -> str:
    """Put the wire text of a stored invoice together without reading it; what was set verbatim goes as it is."""
    if row["verbatim"] is not None:
        return str(row["verbatim"])
    if view == "extended":
        return f'{row["header"][:-1]},"items":{row["items"]},"item_packages":{row["packages"]}}}'
    if view == "items":
        return f'{{"id":{row["id"]},"items":{row["items"]},"item_packages":{row["packages"]}}}'
    return str(row["header"])


def normal_instant(text: str | None) -> str | None:
    """Write an instant so that text order is time order."""
    if not text:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).strftime(INSTANT)


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _public(inner) for key, inner in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [_public(inner) for inner in value]
    return value
