"""What Procore knows is brought into the ledger as it came: what changed, each once, never past what was not seen."""

import json
from datetime import timedelta
from typing import Any

import pytest
from builders import an_office
from desk import AFTER_A_NIGHT, Desk, StoppingClock
from ledgers import ON_BOTH_DATABASES

from tieout import opening
from tieout.errors import TransientError
from tieout.intake import invoices
from tieout.ledger import sightings
from tieout.ledger.references import known_projects

LIST = "GET /rest/v1.1/requisitions"


def newest(desk: Desk) -> int:
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


def seen(desk: Desk) -> dict[int, sightings.Sighting]:
    with desk.ledger.reading() as connection:
        return {
            key: each
            for project in known_projects(desk.ledger)
            for key, each in sightings.sightings(connection, project).items()
        }


def bodies(desk: Desk) -> dict[int, str]:
    known = seen(desk)
    with desk.ledger.reading() as connection:
        kept = sightings.bodies(connection, [each.snapshot_id for each in known.values() if each.snapshot_id])
    return {key: kept[each.snapshot_id] for key, each in known.items() if each.snapshot_id}


def test_every_invoice_is_kept_as_it_came(desk: Desk):
    desk.read()
    rows = desk.requisitions()

    assert bodies(desk) == {key: desk.control.get(url(desk, key)).text for key in rows}
    assert all(each.is_fresh and not each.is_gone for each in seen(desk).values())


def url(desk: Desk, invoice_id: int) -> str:
    return f"{desk.urls['procore']}/_sandbox/requisitions/{invoice_id}"


def test_only_what_changed_is_read_again(desk: Desk):
    desk.read()
    desk.judge()
    changed = newest(desk)
    desk.clock.advance(minutes=30)
    desk.bill_more(changed)
    fetched = desk.read()

    assert sum(each.changed for each in fetched) == 1
    assert [key for key, each in seen(desk).items() if each.is_fresh] == [changed]


def test_one_with_a_status_that_cannot_be_sent_is_noted_and_not_read(desk: Desk):
    draft = newest(desk)
    desk.set_status(draft, "draft")
    desk.read()

    assert (seen(desk)[draft].status, seen(desk)[draft].snapshot_id) == ("draft", None)
    assert draft not in bodies(desk)


def test_an_approval_of_an_old_invoice_is_seen(desk: Desk):
    draft = newest(desk)
    desk.set_status(draft, "draft")
    desk.night()
    desk.clock.advance(days=3)
    desk.set_status(draft, "approved")
    desk.night()

    assert desk.states()[draft] == "READY"


@pytest.mark.sandbox(projects=2)
def test_a_project_that_procore_forbids_is_passed_over_with_its_words_and_caught_up(desk: Desk):
    projects = sorted({row["project_id"] for row in desk.requisitions().values()})
    desk.read()
    desk.judge()
    closed = projects[0]
    changed = next(
        row["id"] for row in desk.requisitions().values() if row["project_id"] == closed and row["number"] == 3
    )
    desk.bill_more(changed)
    desk.play("procore", f"projects/{closed}", {"access": False})
    fetched = {each.project_id: each for each in desk.read()}
    assert "permission" in fetched[closed].skipped
    assert fetched[projects[1]].skipped == ""

    desk.play("procore", f"projects/{closed}", {"access": True})
    desk.clock.advance(hours=2)
    desk.read()
    assert [key for key, each in seen(desk).items() if each.is_fresh] == [changed]


def test_a_listing_that_fails_moves_no_watermark(desk: Desk):
    desk.read()
    desk.judge()
    changed = newest(desk)
    desk.bill_more(changed)
    desk.fault("procore", LIST, "5xx_before", times=10)
    with pytest.raises(TransientError):
        desk.read()
    desk.heal("procore")
    desk.clock.advance(hours=2)
    desk.read()

    assert seen(desk)[changed].is_fresh


@AFTER_A_NIGHT
def test_what_was_edited_after_the_export_is_no_second_invoice(desk: Desk):
    accepted = desk.export_everything()
    before = desk.exported()
    desk.bill_more(newest(desk))
    desk.night()
    desk.accept()
    desk.night()

    assert desk.exported() == before
    assert set(desk.states().values()) == {"EXPORTED"}
    assert set(before) == set(accepted)


def test_a_whole_listing_once_a_week_finds_what_was_deleted(desk: Desk):
    desk.read()
    gone = newest(desk)
    desk.play("procore", f"requisitions/{gone}", method="DELETE")
    desk.clock.advance(days=6)
    desk.read()
    assert not seen(desk)[gone].is_gone
    desk.clock.advance(days=1, minutes=1)
    desk.read()

    assert seen(desk)[gone].is_gone
    assert [key for key, each in seen(desk).items() if each.is_gone] == [gone]


@pytest.mark.sandbox(projects=2)
def test_one_that_procore_forbids_to_look_at_is_not_taken_for_deleted(desk: Desk):
    desk.read()
    closed = min(row["project_id"] for row in desk.requisitions().values())
    desk.play("procore", f"projects/{closed}", {"access": False})
    desk.clock.advance(days=8)
    desk.read()

    assert not any(each.is_gone for each in seen(desk).values())


def test_a_deleted_invoice_that_comes_back_is_there_again(desk: Desk):
    desk.read()
    gone = newest(desk)
    with desk.ledger.transaction(desk.clock(), "test") as tx:
        known = sightings.sightings_of(tx.connection, [gone])[gone]
        fields: dict[str, Any] = {name: getattr(known, name) for name in sightings.Sighting.__slots__}
        sightings.store_sighting(tx, sightings.Sighting(**fields | {"is_gone": True}))
    desk.clock.advance(days=8)
    desk.read()

    assert not seen(desk)[gone].is_gone


def test_procores_clock_may_differ_from_ours(desk: Desk):
    """What is asked for begins with what Procore said last, not with our own time."""
    desk.read()
    desk.judge()
    ahead = timedelta(minutes=50)
    desk.clock.now -= ahead
    changed = newest(desk)
    desk.bill_more(changed)
    desk.read()

    assert seen(desk)[changed].is_fresh


def shown(desk: Desk, invoice_id: int) -> dict[str, Any]:
    return dict(json.loads(bodies(desk)[invoice_id]))


def reads(desk: Desk) -> int:
    """How often invoices were read, by lists or by themselves."""
    asked = desk.requests("procore")
    return asked.get(LIST, 0) + asked.get("GET /rest/v1.1/requisitions/{id}", 0)


@ON_BOTH_DATABASES
@pytest.mark.parametrize("is_alone", [True, False])
def test_of_two_that_read_at_the_same_time_the_older_reading_does_not_replace_the_newer(desk: Desk, is_alone: bool):
    desk.read()
    desk.judge()
    changed = newest(desk)
    desk.clock.advance(minutes=30)
    desk.edit(changed, invoice_number="FIRST")
    desk.forget_requests()

    def another() -> None:
        desk.edit(changed, invoice_number="SECOND")
        desk.read()
        desk.judge()

    slow = StoppingClock(desk.clock, lambda: reads(desk) >= (1 if is_alone else 2), another)
    with opening.open_ledger(an_office()) as ledger:
        if is_alone:
            invoices.refetch_one(ledger, desk.procore, changed, an_office(slow))
        else:
            invoices.fetch_changed(ledger, desk.procore, desk.requisitions()[changed]["project_id"], an_office(slow))

    assert slow.has_stopped
    assert shown(desk, changed)["invoice_number"] == "SECOND"
    assert not seen(desk)[changed].is_fresh  # as it was judged
    assert desk.item(changed).number == "SECOND"


def test_one_that_somebody_saw_again_since_is_not_taken_for_deleted(desk: Desk):
    desk.read()
    there = newest(desk)
    desk.forget_requests()

    def another() -> None:
        desk.edit(there, invoice_number="SECOND")
        desk.read()

    desk.fault("procore", f"GET .*/requisitions/{there}", "5xx_before", status=404)
    invoices.refetch_one(
        desk.ledger, desk.procore, there, an_office(StoppingClock(desk.clock, lambda: reads(desk) == 1, another))
    )

    assert not seen(desk)[there].is_gone
