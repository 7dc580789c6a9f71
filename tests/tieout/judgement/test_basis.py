"""What a chunk and a click stand on is read for their own projects, however many others there are."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from desk import Desk
from sqlalchemy import Connection, Engine, event

from tieout.export import chunk, preview
from tieout.intake import census
from tieout.judgement import batch
from tieout.ledger import references, watermarks
from tieout.views import grid
from tieout.watch import alarms

OTHERS = 57  # projects, beside the three that there are


@contextmanager
def rows_read() -> Iterator[Counter[str]]:
    """Count the rows that each query returns."""
    counts: Counter[str] = Counter()

    def count(connection: Connection, _: Any, statement: str, given: Any, *__: Any) -> None:
        if statement.startswith("SELECT"):
            cursor = connection.connection.cursor()
            counts[statement] += cursor.execute(f"SELECT count(*) FROM ({statement})", given).fetchone()[0]

    event.listen(Engine, "after_cursor_execute", count)
    try:
        yield counts
    finally:
        event.remove(Engine, "after_cursor_execute", count)


def add_projects(desk: Desk) -> None:
    """Let the ledger know other projects, each like the first one."""
    first = desk.projects[0]
    with desk.ledger.reading() as connection:
        stored = references.references(connection, [f"project/{first}", f"books/{first}", f"census/{first}"])
    with desk.ledger.transaction(desk.clock(), "intake") as tx:
        for number in range(1, OTHERS + 1):
            for name, body in stored.items():
                kind, project = name.split("/")
                references.store_reference(tx, f"{kind}/{project}{number}", body.replace(project, f"{project}{number}"))
            watermarks.move_watermark(tx, watermarks.answered(int(f"{first}{number}")), tx.now)


def export(desk: Desk, invoice_id: int) -> None:
    done = chunk.export_chunk(desk.ledger, desk.erp, desk.basis, desk.office, [invoice_id])
    assert done.counts == {"EXPORTED": 1}


def judge_again(desk: Desk, invoice_id: int) -> None:
    assert batch.rejudge_one(desk.ledger, desk.basis, invoice_id, desk.office).state == "ACCEPTED"


def foresee(desk: Desk, invoice_id: int) -> None:
    assert desk.payload(invoice_id)


def explain(desk: Desk, invoice_id: int) -> None:
    assert preview.payloads(desk.ledger, desk.erp, [desk.item(invoice_id)], desk.office)


def take_census(desk: Desk, invoice_id: int) -> None:
    assert census.take_census(desk.ledger, desk.procore, desk.item(invoice_id).project_id, desk.office) is None


def list_invoices(desk: Desk, invoice_id: int) -> None:
    assert grid.project_name(desk.ledger, desk.item(invoice_id).project_id)


def look_for_alarms(desk: Desk, _: int) -> None:
    """At the end of every run, for the page of today."""
    assert alarms.ringing(desk.ledger, desk.office) == []


def review(desk: Desk, invoice_id: int) -> None:
    offered = desk.offer(desk.item(invoice_id).project_id)
    assert offered
    assert desk.decide(offered, accept=[]).problems == ()


def refresh(desk: Desk, invoice_id: int) -> None:
    desk.bill_more(invoice_id, "0.01")
    assert desk.take_over(desk.see_change(invoice_id)) == []


def settle(desk: Desk, _: int) -> None:
    desk.settle()


def two_alike(desk: Desk) -> list[int]:
    """Return the first invoices of two commitments of a project that have as many."""
    rows = desk.requisitions().values()
    sizes = Counter(row["commitment_id"] for row in rows)
    alike: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        if row["number"] == 1:
            alike.setdefault((row["project_id"], sizes[row["commitment_id"]]), []).append(row["id"])
    return next(firsts[:2] for firsts in alike.values() if len(firsts) > 1)


READY, ACCEPTED = [review, look_for_alarms, take_census], [export, judge_again, foresee, explain, refresh, settle]


@pytest.mark.sandbox(projects=3, invoices=24, after="night")
@pytest.mark.parametrize("act", [*READY, *ACCEPTED], ids=lambda act: act.__name__)
def test_what_is_read_does_not_grow_with_the_projects(desk: Desk, act: Callable[[Desk, int], None]):
    if act in ACCEPTED:
        desk.accept()
    for project_id in desk.projects:
        census.take_census(desk.ledger, desk.procore, project_id, desk.office)
    alarms.note_night(desk.ledger, desk.office)
    one, other = two_alike(desk)
    with rows_read() as with_few:
        act(desk, one)
    add_projects(desk)

    with rows_read() as with_many:
        act(desk, other)

    assert with_many == with_few


def test_the_terms_of_a_project_are_others_with_its_own_books_and_with_no_others(desk: Desk):
    desk.night()
    [project_id] = desk.projects
    add_projects(desk)
    before = {each: desk.basis_of(each).prints[each] for each in desk.projects}
    with desk.ledger.transaction(desk.clock(), "intake") as tx:
        name = f"books/{project_id}"
        [body] = references.references(tx.connection, [name]).values()
        references.store_reference(tx, name, body.replace('"commitments":[', '"commitments": ['))

    after = {each: desk.basis_of(each).prints[each] for each in desk.projects}

    assert {each for each in after if after[each] != before[each]} == {project_id}
    assert len({*before.values()}) == 1 + OTHERS


def test_master_data_that_stayed_the_same_is_made_ready_once(desk: Desk):
    desk.night()
    first = desk.basis.codes
    assert desk.basis.codes is first

    desk.play("spectrum", "vendors", {"code": first.reference.vendors[0].code, "status": "I"})
    desk.read()

    assert desk.basis.codes.fingerprint != first.fingerprint
