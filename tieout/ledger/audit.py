"""Prove that nobody changed what happened: every event chained to the one before, every commit to the commit before."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Row, select

from tieout.ledger import schema
from tieout.ledger.book import Ledger, digest_of, event_hash


def verify(ledger: Ledger) -> list[str]:
    """Return what is wrong with the chains, a sentence each; an empty list says that they are whole."""
    with ledger.reading() as connection:
        events = connection.execute(select(schema.event).order_by(schema.event.c.event_id)).all()
        seals = connection.execute(select(schema.seal).order_by(schema.seal.c.seal_id)).all()
        ends = connection.execute(
            select(schema.item.c.item_id, schema.item.c.number, schema.item.c.chain_length, schema.item.c.chain_hash)
        ).all()
    problems = []
    last: dict[int, tuple[int, str]] = {}
    for event in events:
        position, previous = last.get(event.item_id, (0, ""))
        where = f"event {event.event_id} (item {event.item_id}, position {event.position})"
        if event_hash(event) != event.hash:
            problems.append(f"{where} was changed")
        if event.position != position + 1 or event.previous_hash != previous:
            problems.append(f"{where} does not follow position {position}: a row is missing, inserted or moved")
        last[event.item_id] = (event.position, event.hash)
    for end in ends:
        if last.get(end.item_id, (0, "")) != (end.chain_length, end.chain_hash):
            problems.append(f"the chain of invoice {end.number} (item {end.item_id}) does not end where the item says")
    return [*problems, *_check_seals(seals, iter(event.hash for event in events))]


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
