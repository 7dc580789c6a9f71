"""Since when things are as they are: jobs, projects, invoices on their way, letters, payments."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from data_contracts.commitment import Project
from tieout.ledger import schema, states
from tieout.ledger.database import in_pieces
from tieout.ledger.items import Item, find_items

_NAME = (schema.item.c.number, schema.item.c.project)


class Waiting(NamedTuple):
    """One thing that waits: since when, what it is, and what stood in its way last, where that is known."""

    since: datetime
    what: str
    why: str = ""


def began_at(connection: Connection) -> datetime | None:
    """Return when the ledger was first worked with, None while it is empty."""
    at: datetime | None = connection.execute(select(func.min(schema.policy.c.since))).scalar()
    return at


def projects(connection: Connection) -> list[tuple[Project, datetime]]:
    """Return every project that Procore ever listed, with when it listed it last."""
    table = schema.reference.c
    rows = connection.execute(select(table.body, table.read_at).where(table.name.startswith("project/")))
    return [(Project.model_validate_json(row.body), row.read_at) for row in rows]


def visible(connection: Connection, at: datetime, project_ids: Iterable[int]) -> list[Project]:
    """Return which of these projects were in the newest list of projects at that moment."""
    found: list[Project] = []
    table = schema.reference.c
    listed = (table.name.startswith("project/"), table.read_at <= at)
    is_newest = table.read_at == select(func.max(table.read_at)).where(*listed).scalar_subquery()
    for piece in in_pieces(f"project/{each}" for each in project_ids):
        bodies = connection.execute(select(table.body).where(is_newest, table.name.in_(piece))).scalars()
        found += map(Project.model_validate_json, bodies)
    return found


def followed(connection: Connection) -> tuple[int, datetime | None]:
    """Return how many invoices in the ERP are followed for payments, and when the oldest of them came there."""
    table = schema.intent.c
    query = select(func.count(), func.min(table.outcome_at)).where(table.is_live, table.outcome == "created")
    count, since = connection.execute(query).one()
    return int(count), since


def accepted(connection: Connection, transient: str) -> list[Waiting]:
    """Return what was accepted and is not in the ERP, though nothing but the ERP's absence ever stopped it."""
    waiting = find_items(connection, state=states.ACCEPTED)
    waiting += find_items(connection, state=states.FAILED, cause=transient)
    return _on_their_way(connection, waiting)


def uncertain(connection: Connection) -> list[Waiting]:
    """Return what was sent and whose outcome is not known."""
    return _on_their_way(connection, find_items(connection, state=states.UNCERTAIN))


def exporting(connection: Connection) -> list[Waiting]:
    """Return what is claimed, since its lease is over."""
    claimed = find_items(connection, state=states.EXPORTING)
    return [Waiting(item.lease_until or item.changed_at, _named(item.number, item.project)) for item in claimed]


def ready(connection: Connection) -> dict[int, Waiting]:
    """Return by project what has waited longest for its approver; being judged again begins no new waiting."""
    by_id = {item.item_id: item for item in find_items(connection, state=states.READY)}
    since: dict[int, datetime] = {}
    table = schema.event.c
    for piece in in_pieces(by_id):
        query = select(table.item_id, table.before, table.after, table.at).where(table.item_id.in_(piece))
        for item_id, before, after, at in connection.execute(query.order_by(table.item_id, table.position)):
            if after == states.READY and before != states.READY:
                since[item_id] = at
    longest: dict[int, Waiting] = {}
    for item_id, item in sorted(by_id.items(), key=lambda pair: since[pair[0]]):
        longest.setdefault(item.project_id, Waiting(since[item_id], _named(item.number, item.project)))
    return longest


def mails(connection: Connection) -> list[Waiting]:
    """Return the mails that no server has taken yet; what was refused for good is told elsewhere."""
    row = schema.mail.c
    query = select(row.put_at, row.subject, row.problem).where(row.delivered_at.is_(None), row.given_up_at.is_(None))
    return [Waiting(*each) for each in connection.execute(query)]


def letters(connection: Connection) -> list[Waiting]:
    """Return what Procore is to be told and has not taken yet; what it refused for good is told elsewhere."""
    letter = schema.outbox.c
    still_open = (letter.delivered_at.is_(None), letter.given_up_at.is_(None))
    query = select(letter.put_at, *_NAME, letter.problem).where(*still_open, letter.item_id == schema.item.c.item_id)
    return [Waiting(at, _named(*name), problem) for at, *name, problem in connection.execute(query)]


def unwritten(connection: Connection) -> list[Waiting]:
    """Return the payments that Procore does not show yet."""
    row = schema.payment.c
    query = select(row.opened_at, *_NAME, row.problem)
    query = query.where(row.delivered_at.is_(None), row.item_id == schema.item.c.item_id)
    return [Waiting(at, _named(*name), problem) for at, *name, problem in connection.execute(query)]


def _on_their_way(connection: Connection, items: Iterable[Item]) -> list[Waiting]:
    """Tell since when, whatever the attempts in between: these are part of the waiting, each moves the item."""
    by_id = {item.item_id: item for item in items}
    since: dict[int, datetime] = {}
    table = schema.event.c
    for piece in in_pieces(by_id):
        query = select(table.item_id, table.kind, table.at).where(table.item_id.in_(piece))
        for item_id, kind, at in connection.execute(query.order_by(table.item_id, table.position)):
            if kind in (states.ACCEPT, states.LOSE, states.CLEAR) or (kind == states.RETRY and item_id not in since):
                since[item_id] = at
            elif kind == states.REFUSE:  # a person's move; the waiting begins again with the next attempt
                since.pop(item_id, None)
    return [
        Waiting(
            since.get(item_id, item.changed_at),
            _named(item.number, item.project),
            item.reasons[0].message if item.state in (states.FAILED, states.UNCERTAIN) and item.reasons else "",
        )
        for item_id, item in by_id.items()
    ]


def _named(number: str, project: str) -> str:
    return f"{number} of {project}"
