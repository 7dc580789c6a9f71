"""Which accepted invoices may be claimed now, and who claims them (law 4).

An export is no errand: its claim is a move of the item, whose chain tells the token, and only its state ends it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, exists, select

from data_contracts.invoice import SENDABLE
from tieout.ledger import schema, states
from tieout.ledger.book import Transaction
from tieout.ledger.items import ITEM, Item, read_items


def free(
    tx: Transaction, prints: Callable[[Collection[int]], Mapping[int, str]], limit: int, only: Sequence[int] | None
) -> list[Item]:
    """Return accepted invoices that may be claimed, locked until the commit.

    Only what Procore still shows as it was accepted, and what was judged on the basis of now, may be claimed. `prints`
    returns the fingerprints of this basis for the projects that it is given.
    """
    found: list[Item] = []
    given = {"after": 0, "most": limit, "only": [] if only is None else list(only)}
    while page := read_items(tx.connection, _free(only is not None), given):
        current = prints({item.project_id for item in page})
        found += [item for item in page if item.judged_by == current[item.project_id]]
        if len(found) >= limit or len(page) < limit:
            break
        given["after"] = page[-1].item_id
    return found[:limit]


def claim(tx: Transaction, item: Item, lease: timedelta, because: dict[str, Any], **changes: Any) -> Item:
    """Take an invoice under a lease with a new fencing token; the event tells what will be sent."""
    ours = {"lease_token": item.lease_token + 1, "lease_until": tx.now + lease}
    return tx.move(item, states.CLAIM, states.EXPORTING, because, **changes, **ours)


@cache
def _free(is_limited: bool) -> Select[Any]:
    """Return the query over what may be claimed; what another claimer holds right now is passed over."""
    item, seen = schema.item.c, schema.sighting.c
    is_shown = exists().where(
        seen.company_id == item.company_id,
        seen.invoice_id == item.invoice_id,
        seen.content_hash == item.content_hash,
        seen.status.in_(SENDABLE),
        seen.is_gone.is_(False),
    )
    where = [item.state == states.ACCEPTED, item.item_id > bindparam("after"), is_shown]
    if is_limited:
        where.append(item.invoice_id.in_(bindparam("only", expanding=True)))
    query = select(*ITEM).where(*where).order_by(item.item_id).limit(bindparam("most"))
    return query.with_for_update(of=schema.item, skip_locked=True)


def still_ours(tx: Transaction, claimed: Iterable[Item]) -> set[int]:
    """Return the ids of those that nobody has taken over from us."""
    tokens = {item.item_id: item.lease_token for item in claimed}
    rows = tx.connection.execute(_HELD, {"claimed": list(tokens)})
    return {item_id for item_id, token in rows.all() if token == tokens[item_id]}


_HELD = (
    select(schema.item.c.item_id, schema.item.c.lease_token)
    .where(schema.item.c.item_id.in_(bindparam("claimed", expanding=True)), schema.item.c.state == states.EXPORTING)
    .order_by(schema.item.c.item_id)
    .with_for_update()
)
