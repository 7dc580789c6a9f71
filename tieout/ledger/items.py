"""One invoice as the ledger knows it now, and how items are found."""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, TypedDict, TypeVar, Unpack

from pydantic import TypeAdapter
from sqlalchemy import BindParameter, ColumnElement, Connection, Select, bindparam, select

from data_contracts.money import from_minor
from data_contracts.reference import Finding
from tieout.ledger import schema
from tieout.ledger.database import READING, VARIABLES, fits

Value = TypeVar("Value", int, str)
OneOf: TypeAlias = Value | list[Value] | tuple[Value, ...] | set[Value]


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


class Columns(TypedDict, total=False):
    """By what items are found."""

    item_id: OneOf[int]
    company_id: OneOf[int]
    invoice_id: OneOf[int]
    project_id: OneOf[int]
    state: OneOf[str]
    cause: OneOf[str]
    number: OneOf[str]
    number_erp: OneOf[str]
    document_id_erp: OneOf[str]


_FINDINGS = TypeAdapter(list[Finding])
ITEM = tuple(schema.item.c[name] for name in Item._fields)


def find_items(connection: Connection, **columns: Unpack[Columns]) -> list[Item]:
    """Return the items whose columns have these values (or one of a sequence of values), oldest first."""
    given: dict[str, Any] = {**columns}
    if not all(map(fits, given.values())):
        return []
    lists = {
        name: sorted(filter(fits, value)) for name, value in given.items() if isinstance(value, list | tuple | set)
    }
    query = _query(tuple(given), tuple(lists), not connection.get_execution_options().get(READING))
    longest = max(lists, key=lambda name: len(lists[name]), default=None)
    given |= lists
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


def read_items(connection: Connection, query: Select[Any], given: dict[str, Any] | None = None) -> list[Item]:
    """Return the items that a query over `ITEM` selects, with its parameters."""
    return [Item._make(row) for row in connection.execute(query, given).all()]
