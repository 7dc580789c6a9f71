"""Make a ledger hold many times what was read into it: other invoices on other commitments of the same projects.

Each is as hard to judge as the one that it is a copy of: figures, codes and dates stay, and no number is there twice.
To have the stand-ins make and show as many would take far longer than to judge them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import insert

from data_contracts.commitment import Commitment, ProjectBooks
from data_contracts.invoice import normalised_number
from tieout.judgement.basis import Basis, projects_with_books
from tieout.ledger import database, references, schema, sightings
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.sightings import Sighting

_STEP = 10**12  # farther than the ids of a stand-in lie apart
_PIECE = 100  # bodies in memory, before they are copied
_LINE_IDS = ("id", "line_item_id", "commitment_line_item_id")


def multiply(ledger: Ledger, basis: Basis, times: int, now: datetime) -> None:
    """Add to each invoice in the ledger so many copies that it is there `times` times."""
    with ledger.reading() as connection:
        basis = basis.with_books(connection, projects_with_books(connection))
        seen = [each for project_id in basis.books for each in sightings.sightings(connection, project_id).values()]
    with ledger.transaction(now, "copies") as tx:
        for project_id, books in basis.books.items():
            body = _more_commitments(basis, books, times, now).model_dump_json()
            references.store_reference(tx, f"books/{project_id}", body)
    for piece in database.in_pieces(seen, _PIECE):
        with ledger.transaction(now, "copies") as tx:
            _more_invoices(tx, piece, times)


def _more_commitments(basis: Basis, books: ProjectBooks, times: int, now: datetime) -> ProjectBooks:
    code_of = basis.mapping(books.project.project_id_procore, now.date()).subcontract
    copies = [
        _moved(each, copy * _STEP, code_of(each.commitment_id_procore))
        for copy in range(1, times)
        for each in books.commitments
    ]
    return books.model_copy(update={"commitments": (*books.commitments, *copies)})


def _moved(commitment: Commitment, by: int, code: str | None) -> Commitment:
    lines = [line.model_copy(update={"line_id_procore": line.line_id_procore + by}) for line in commitment.lines]
    ours = {"commitment_id_procore": commitment.commitment_id_procore + by, "erp_code": code, "lines": tuple(lines)}
    return commitment.model_copy(update=ours)


def _more_invoices(tx: Transaction, seen: list[Sighting], times: int) -> None:
    bodies = sightings.bodies(tx.connection, [each.snapshot_id or 0 for each in seen])
    pairs = [pair for each in seen for pair in _copies(each, orjson.loads(bodies[each.snapshot_id or 0]), times)]
    tx.connection.execute(insert(schema.snapshot), [{**snapshot, "fetched_at": tx.now} for snapshot, _ in pairs])
    tx.connection.execute(insert(schema.sighting), [asdict(sighting) for _, sighting in pairs])


def _copies(seen: Sighting, body: dict[str, Any], times: int) -> Iterator[tuple[dict[str, Any], Sighting]]:
    ids = {name: body[name] for name in ("id", "commitment_id", "previous_requisition_id")}
    lines = [{name: item[name] for name in _LINE_IDS if item.get(name)} for item in body["items"]]
    number, vendor = body["invoice_number"], body["vendor_id"]
    for copy in range(1, times):
        by = copy * _STEP
        body |= {name: value and value + by for name, value in ids.items()}
        body["invoice_number"] = f"{number}-{copy}"
        for item, known in zip(body["items"], lines, strict=True):
            item.update((name, value + by) for name, value in known.items())
        text = orjson.dumps(body)
        sighting = replace(
            seen,
            invoice_id=seen.invoice_id + by,
            commitment_id=(seen.commitment_id or 0) + by,
            snapshot_id=(seen.snapshot_id or 0) + by,
            content_hash=hashlib.sha256(text).hexdigest(),  # it need only be another one than any other
            number_key=f"{vendor}|{normalised_number(body['invoice_number'])}",
            number=body["invoice_number"],
        )
        names = ("company_id", "project_id", "invoice_id", "snapshot_id", "content_hash")
        yield {name: getattr(sighting, name) for name in names} | {"body": text.decode()}, sighting
