"""Which accepted invoices may be claimed now, and who claims them (law 4)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import and_, bindparam, exists, false, or_, select

from data_contracts.invoice import SENDABLE
from tieout.ledger import schema, states
from tieout.ledger.book import ITEM, Item, Transaction, to_change


def claim(
    tx: Transaction, fingerprints: Mapping[int, str], lease: timedelta, limit: int, only: Sequence[int] | None
) -> list[Item]:
    """Take accepted invoices under a lease with a new fencing token.

    Only what Procore still shows as it was accepted, and what was judged by the terms of now (a fingerprint per
    project), may be taken.
    """
    item, seen = schema.item.c, schema.sighting.c
    is_shown = exists().where(
        seen.company_id == item.company_id,
        seen.invoice_id == item.invoice_id,
        seen.content_hash == item.content_hash,
        seen.status.in_(SENDABLE),
        seen.is_gone.is_(False),
    )
    is_judged = [and_(item.project_id == each, item.judged_by == print_) for each, print_ in fingerprints.items()]
    where = [item.state == states.ACCEPTED, is_shown, or_(false(), *is_judged)]
    if only is not None:
        where.append(item.invoice_id.in_(only))
    until = tx.now + lease
    because = {"until": until.isoformat()}
    free = select(*ITEM).where(*where).order_by(item.item_id).limit(limit)
    # What another claimer holds right now is passed over, not waited for.
    rows = tx.connection.execute(to_change(tx.connection, free, skip_locked=True))
    return [
        tx.move(each, states.CLAIM, states.EXPORTING, because, lease_token=each.lease_token + 1, lease_until=until)
        for each in map(Item._make, rows)
    ]


def still_ours(tx: Transaction, claimed: Iterable[Item]) -> set[int]:
    """Return the ids of those that nobody has taken over from us."""
    tokens = {item.item_id: item.lease_token for item in claimed}
    row = schema.item.c
    held = select(row.item_id, row.lease_token).where(
        row.item_id.in_(bindparam("claimed", expanding=True)), row.state == states.EXPORTING
    )
    rows = tx.connection.execute(to_change(tx.connection, held.order_by(row.item_id)), {"claimed": list(tokens)})
    return {item_id for item_id, token in rows.all() if token == tokens[item_id]}
