"""Count what stands where and add its amounts up: grouped queries, whose cost does not grow with what is stored."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, literal, select, text

from data_contracts.money import from_minor
from tieout.ledger import schema
from tieout.ledger.links import LINKED, RELEASING

_ITEM = schema.item.c


class Tally(NamedTuple):
    """How many invoices, or payments, of one state, cause and currency there are, and what they come to."""

    state: str
    cause: str
    currency: str
    number: int
    amount: Decimal


def standing(connection: Connection, states: Sequence[str]) -> list[Tally]:
    """Return the gross amounts of the invoices in these states, by state and cause."""
    return _invoices(connection, _ITEM.state, _ITEM.state.in_(states))


def drifted(connection: Connection) -> list[Tally]:
    """Return the gross amounts of the invoices with an open difference."""
    is_open = select(_ITEM.item_id).where(schema.IS_DRIFTED)  # of its own, or SQLite would read every item to group
    return [each for each in _invoices(connection, _ITEM.state, _ITEM.item_id.in_(is_open)) if each.state in LINKED]


def to_release(connection: Connection) -> list[Tally]:
    """Return the retention that is to be released by hand in the ERP, by the state of the invoices."""
    is_open = select(_ITEM.item_id).where(schema.IS_TO_RELEASE)
    found = _invoices(connection, _ITEM.state, _ITEM.item_id.in_(is_open), amount=_ITEM.to_release_minor)
    return [each for each in found if each.state in RELEASING]


def exported_since(connection: Connection, moment: datetime) -> list[Tally]:
    """Return the gross amounts of the invoices that came into the ERP since then and are tied to what is there."""
    intent = schema.intent.c
    came = (intent.outcome_at >= moment, intent.outcome == "created", intent.is_live, intent.item_id == _ITEM.item_id)
    return _invoices(connection, literal("exported"), *came)


def paid_since(connection: Connection, moment: datetime) -> list[Tally]:
    """Return the payments that Procore was told of since then; a void counts against them."""
    row = schema.payment.c
    query = select(row.currency, func.count(), func.sum(row.amount_minor)).where(row.delivered_at >= moment)
    rows = connection.execute(query.group_by(row.currency)).tuples()
    return [Tally("paid", "", currency, number, from_minor(int(minor), currency)) for currency, number, minor in rows]


def _invoices(
    connection: Connection,
    state: ColumnElement[str],
    *matches: ColumnElement[bool],
    amount: ColumnElement[int] = _ITEM.gross_minor,
) -> list[Tally]:
    groups = (state.label("stands"), _ITEM.cause, _ITEM.currency)
    query = select(*groups, func.count(), func.sum(amount)).where(*matches)
    rows = connection.execute(query.group_by(text("stands"), _ITEM.cause, _ITEM.currency)).tuples()
    return [
        Tally(stands, cause, currency, number, from_minor(int(minor), currency))
        for stands, cause, currency, number, minor in rows
    ]
