"""Prove that nobody changed what happened: every event chained to the one before, every commit to the commit before."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Row, select

from tieout.ledger import schema
from tieout.ledger.book import Ledger, digest_of, event_hash

_AS_LAST = {  # column of an item: what it is called in the item's last event
    "state": "after",
    "revision": "revision",
    "content_hash": "content_hash",
    "chain_length": "position",
    "chain_hash": "hash",
}


def verify(ledger: Ledger) -> list[str]:
    """Return what is wrong with the chains, a sentence each; an empty list says that they are whole."""
    with ledger.reading() as connection:
        events = connection.execute(select(schema.event).order_by(schema.event.c.event_id)).all()
        seals = connection.execute(select(schema.seal).order_by(schema.seal.c.seal_id)).all()
        items = connection.execute(select(*(schema.item.c[name] for name in ("item_id", "number", *_AS_LAST)))).all()
    problems = []
    last: dict[int, Row[Any]] = {}
    for event in events:
        before = last.get(event.item_id)
        position, previous = (before.position, before.hash) if before else (0, "")
        where = f"event {event.event_id} (item {event.item_id}, position {event.position})"
        if event_hash(event) != event.hash:
            problems.append(f"{where} was changed")
        if event.position != position + 1 or event.previous_hash != previous:
            problems.append(f"{where} does not follow position {position}: a row is missing, inserted or moved")
        last[event.item_id] = event
    problems += _check_items(items, last)
    return [*problems, *_check_seals(seals, iter(event.hash for event in events))]


def _check_items(items: Sequence[Row[Any]], last: dict[int, Row[Any]]) -> Iterator[str]:
    """Items only repeat what their last event says."""
    for item in items:
        event = last.pop(item.item_id, None)
        for name, name_of_event in _AS_LAST.items():
            said = getattr(event, name_of_event) if event else "no event"
            if getattr(item, name) != said:
                where = f"invoice {item.number} (item {item.item_id})"
                yield f"{where}: its {name} is {getattr(item, name)}, its last event says {said}"
    yield from (f"item {item_id} is gone, but its events are there" for item_id in last)


def _check_seals(seals: Sequence[Row[Any]], hashes: Iterator[str]) -> Iterator[str]:
    previous = ""
    for seal in seals:
        digest = digest_of(*islice(hashes, seal.events))
        if seal.previous_hash != previous or seal.hash != digest_of(previous, seal.digest):
            yield f"commit {seal.seal_id} does not follow the commit before it"
        if digest != seal.digest:
            yield f"commit {seal.seal_id} no longer holds the {seal.events} events that it was sealed over"
        previous = seal.hash
    if next(hashes, None) is not None:
        yield "events were added that no commit has sealed"
