"""Which accepted invoices may be claimed now, and who claims them (law 4)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import and_, exists, false, or_, select

from data_contracts.invoice import SENDABLE
from tieout.ledger import schema, states
from tieout.ledger.book import Item, LostRaceError, Transaction, read_items


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
    return [
        tx.move(each, states.CLAIM, states.EXPORTING, because, lease_token=each.lease_token + 1, lease_until=until)
        for each in read_items(tx.connection, select(schema.item).where(*where).limit(limit))
    ]


def refuse_if_taken_over(tx: Transaction, claimed: Sequence[Item]) -> None:
    """Raise LostRaceError when somebody else holds one of them by now."""
    ours = {item.item_id: item.lease_token for item in claimed}
    for item in tx.items(item_id=list(ours)):
        if item.state != states.EXPORTING or item.lease_token != ours[item.item_id]:
            raise LostRaceError("Ledger", f"invoice {item.number}", f"it is {item.state} now")
