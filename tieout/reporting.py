"""What a person is shown of the ledger: counts, failures by cause, one invoice's story, icons of payment status."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from data_contracts.money import from_minor, in_words
from tieout.ledger import schema, states
from tieout.ledger.book import Item, Ledger
from tieout.ledger.states import EXPORTED, FAILED, HELD, NOT_EXPORTABLE, UNCERTAIN

# R83 with AM-13: blue is sent and pending, green has a confirmed ERP id, yellow was taken back.
BLUE, GREEN, YELLOW = "blue", "green", "yellow"


@dataclass(frozen=True)
class Happened:
    """One event of an invoice, in words."""

    at: datetime
    actor: str
    kind: str
    before: str | None
    after: str
    facts: dict[str, Any]


def counts(ledger: Ledger) -> dict[str, int]:
    """Return how many items are in each state, every state named."""
    table = schema.item.c.state
    with ledger.reading() as connection:
        found: dict[str, int] = dict(connection.execute(select(table, func.count()).group_by(table)).tuples().all())
    return {state: found.get(state, 0) for state in states.ALL}


def stopped(ledger: Ledger) -> dict[str, dict[str, list[Item]]]:
    """Return what did not make it, by state and cause, the most frequent cause first."""
    groups: dict[str, dict[str, list[Item]]] = {}
    for state in (FAILED, UNCERTAIN, HELD, NOT_EXPORTABLE):
        by_cause: dict[str, list[Item]] = {}
        for item in ledger.items(schema.item.c.state == state):
            by_cause.setdefault(item.cause or "unknown outcome", []).append(item)
        groups[state] = dict(sorted(by_cause.items(), key=lambda pair: -len(pair[1])))
    return groups


def done_by(ledger: Ledger, actors: Sequence[str], since: datetime) -> dict[str, list[Item]]:
    """Return the items that these actors moved since then, by the state that they ended in."""
    table = schema.event.c
    with ledger.reading() as connection:
        query = select(table.item_id).where(table.actor.in_(actors), table.at >= since).distinct()
        ids = set(connection.execute(query).scalars())
    ended: dict[str, list[Item]] = {}
    for item in ledger.items():
        if item.item_id in ids:
            ended.setdefault(item.state, []).append(item)
    return ended


def batches(items: Sequence[Item]) -> dict[str, int]:
    """Return how many of these items are in each batch of the ERP."""
    return dict(Counter(item.batch_code or "" for item in items))


def timeline(ledger: Ledger, item: Item) -> list[Happened]:
    """Return everything that happened to an invoice, in order."""
    table = schema.event
    with ledger.reading() as connection:
        rows = connection.execute(select(table).where(table.c.item_id == item.item_id).order_by(table.c.position)).all()
    return [Happened(row.at, row.actor, row.kind, row.before, row.after, json.loads(row.facts)) for row in rows]


def payments(ledger: Ledger, item: Item) -> list[dict[str, Any]]:
    """Return the payment applications of an invoice, voids included, with whether Procore shows them."""
    table = schema.payment
    with ledger.reading() as connection:
        rows = connection.execute(select(table).where(table.c.item_id == item.item_id).order_by(table.c.payment_id))
        return [
            {
                "check": row.check_number,
                "paid_on": row.paid_on,
                "amount": in_words(from_minor(row.amount_minor, row.currency), row.currency),
                "discount": in_words(from_minor(row.discount_minor, row.currency), row.currency),
                "icon": GREEN if row.payment_id_procore else BLUE,
                "problem": row.problem,
            }
            for row in rows
        ]


def icon(item: Item) -> str:
    """Return the colour under which Procore's users know this state (R83, AM-13)."""
    if item.state in states.OUTSIDE:
        return YELLOW
    return GREEN if item.state in states.IN_ERP and item.document_id_erp else BLUE


def label(item: Item) -> str:
    """Return the name by which people find the invoice everywhere."""
    return " · ".join(
        part for part in (item.number, item.vendor, in_words(item.gross, item.currency), item.project) if part
    )


def summary(ledger: Ledger) -> dict[str, Any]:
    """Return the counts that `tieout status` and the demo print."""
    found = counts(ledger)
    exported = ledger.items(schema.item.c.state.in_(states.IN_ERP))
    with ledger.reading() as connection:
        paid = connection.execute(
            select(func.count(), func.coalesce(func.sum(schema.payment.c.amount_minor), 0)).where(
                schema.payment.c.written_at.is_not(None)
            )
        ).one()
    return {
        "states": {state: count for state, count in found.items() if count},
        "in the ERP": len(exported),
        "batches": batches([item for item in exported if item.state == EXPORTED]),
        "payments in Procore": int(paid[0]),
    }
