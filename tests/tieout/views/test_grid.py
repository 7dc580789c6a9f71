"""The import grid lists every invoice that Procore showed, with its status and, where something is wrong, the error."""

import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from builders import an_office
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, Desk, Killed
from ledgers import ON_BOTH_DATABASES

from tieout import settings, wording
from tieout.errors import RefusedError
from tieout.export import chunk
from tieout.ledger import states
from tieout.views import grid
from tieout.views.grid import Row, Scope


def listed(desk: Desk, **scope: Any) -> dict[int, Row]:
    [project_id] = {row["project_id"] for row in desk.requisitions().values()}
    return {row.invoice_id: row for row in grid.read(desk.ledger, Scope(project_id, **scope), desk.office)}


def only_project(desk: Desk) -> int:
    [project_id] = {row["project_id"] for row in desk.requisitions().values()}
    return int(project_id)


def accept_only(desk: Desk, invoice_ids: list[int]) -> None:
    offered = desk.offer(only_project(desk))
    assert offered
    numbers = [row.number for row in offered.rows if row.invoice_id in invoice_ids]
    assert set(desk.decide(offered, accept=numbers).accepted) == set(invoice_ids)


def test_every_state_of_the_ledger_has_a_status():
    assert set(wording.STATUSES) == set(states.ALL)
    assert set(wording.STATUSES.values()) == {"Not imported", "In Queue", "Imported", "Error"}


@ON_BOTH_DATABASES
@pytest.mark.sandbox(invoices=14, lines=1)
def test_each_invoice_is_listed_with_its_status_whatever_became_of_it(desk: Desk):
    draft, noted = sorted(desk.requisitions())[:2]
    desk.set_status(draft, "draft")
    desk.set_status(noted, "approved_as_noted")
    desk.night()
    chosen = [item.invoice_id for item in desk.items("READY")]
    exported, posted, paid, gone, failed, uncertain, claimed, accepted, rejected, retrieved, held, *_ = chosen
    story = play_every_state(desk, exported, posted, paid, gone, failed, uncertain)
    offered = desk.offer(only_project(desk))
    assert offered
    [number] = [row.number for row in offered.rows if row.invoice_id == rejected]
    desk.decide(offered, accept=[], reject=[(number, "wrong period")])
    accept_only(desk, [claimed, accepted])
    desk.edit(held, invoice_number="")
    desk.set_status(retrieved, "under_review")
    desk.read()
    desk.judge()
    die_at_work(desk, claimed)

    rows = listed(desk)
    told = {each: (rows[each].state, rows[each].status) for each in rows}

    assert {each: told[each] for each in (draft, noted)} == dict.fromkeys((draft, noted), ("", "Not imported"))
    assert {each: told[each] for each in story} == {
        exported: ("EXPORTED", "Imported"),
        posted: ("POSTED", "Imported"),
        paid: ("PAID", "Imported"),
        gone: ("GONE", "Error"),
        failed: ("FAILED", "Error"),
        uncertain: ("UNCERTAIN", "Error"),
    }
    assert {each: told[each] for each in (claimed, accepted, rejected, retrieved, held)} == {
        claimed: ("EXPORTING", "In Queue"),
        accepted: ("ACCEPTED", "In Queue"),
        rejected: ("REJECTED", "Not imported"),
        retrieved: ("RETRIEVED", "Not imported"),
        held: ("HELD", "Error"),
    }
    assert set(rows) == set(desk.requisitions())
    assert {each for each, row in rows.items() if row.error} == {
        each for each, row in rows.items() if row.status == "Error"
    }
    assert (rows[draft].in_procore, rows[draft].gross) == ("draft", None)
    assert f"already has invoice {rows[failed].number}" in rows[failed].error


def die_at_work(desk: Desk, invoice_id: int) -> None:
    """Have a worker claim the invoice and die."""

    def clock() -> datetime:
        if desk.states()[invoice_id] == "EXPORTING":
            raise Killed
        return desk.clock()

    with pytest.raises(Killed):
        chunk.export_chunk(desk.ledger, desk.erp, desk.basis, an_office(clock), [invoice_id])


def play_every_state(
    desk: Desk, exported: int, posted: int, paid: int, gone: int, failed: int, uncertain: int
) -> list[int]:
    """Bring these invoices to where their names say; the ERP's clerks help."""
    sent = [exported, posted, paid, gone]
    accept_only(desk, [*sent, failed, uncertain])
    desk.enter(preview(desk, failed) | {"Remarks": "", "Retention_Amount": "1.00"})
    desk.export([*sent, failed])
    desk.fault("spectrum", "POST /vendor/invoice", "reset_before")
    desk.export([uncertain])
    desk.post([posted, paid])
    desk.cut_check([paid])
    desk.act_on(desk.exported()[gone], "delete")
    for _ in range(2):
        desk.pay()
        desk.clock.advance(minutes=10)
    return [*sent, failed, uncertain]


def preview(desk: Desk, invoice_id: int) -> dict[str, Any]:
    document = desk.payload(invoice_id)
    return document


@ON_BOTH_DATABASES
@AFTER_AN_EXPORT
def test_what_was_imported_shows_where_it_is_and_what_was_paid(desk: Desk):
    first, *_ = sorted(desk.exported())
    desk.post([first])
    desk.cut_check([first])
    desk.pay()
    row, item, there = listed(desk)[first], desk.item(first), desk.requisition(first)

    assert (row.document, row.batch) == (item.document_id_erp, item.batch_code)
    assert row.provenance == "Invoice Imported From Procore"
    assert (row.number, row.vendor) == (there["invoice_number"], there["vendor_name"])
    assert row.commitment
    assert row.period[:10] <= there["billing_date"] <= row.period[-10:]
    assert row.gross is not None
    assert row.retainage is not None
    assert (str(row.gross), row.net, row.paid) == (
        desk.requisitions()[first]["gross"],
        row.gross - row.retainage,
        row.net,
    )


@AFTER_A_NIGHT
def test_one_that_was_never_sent_shows_the_figures_that_judging_it_would_give(desk: Desk):
    judged = listed(desk)
    desk.set("policy", auto_send_statuses="[]")
    desk.set("ledger", url=desk.ledgers.new_ledger())
    desk.night()
    never_sent = listed(desk)

    assert desk.items() == []
    assert {each: (row.gross, row.retainage, row.net) for each, row in never_sent.items()} == {
        each: (row.gross, row.retainage, row.net) for each, row in judged.items()
    }
    assert {row.status for row in never_sent.values()} == {"Not imported"}


@ON_BOTH_DATABASES
@AFTER_A_NIGHT
def test_the_past_days_are_whole_days_of_the_company_with_today_as_day_0(desk: Desk):
    late, early, *_ = sorted(desk.requisitions())
    # 23:30 of the 10th in New York is the 11th in UTC; 00:30 of the 11th is a day of its own there.
    for invoice_id, at in ((late, "2026-03-11T03:30:00+00:00"), (early, "2026-03-11T04:30:00+00:00")):
        desk.clock.now = datetime.fromisoformat(at)
        desk.edit(invoice_id, comment="seen")
    desk.clock.now = datetime(2026, 3, 11, 20, 0, tzinfo=UTC)
    desk.read()

    assert set(listed(desk, past_days=0)) == {early}
    assert set(listed(desk, past_days=1)) == {early, late}
    assert set(listed(desk, past_days=6)) == {early, late}
    assert len(listed(desk, past_days=7)) == len(listed(desk)) == len(desk.requisitions())


@AFTER_A_NIGHT
def test_days_may_count_from_the_billing_date(desk: Desk):
    billed = {each: desk.requisition(each)["billing_date"] for each in desk.requisitions()}
    today = desk.clock().date()
    days = sorted({(today - datetime.fromisoformat(each).date()).days for each in billed.values()})[0]
    newest_day = max(billed.values())

    assert set(listed(desk, past_days=days, date_basis="billed")) == {
        each for each, on in billed.items() if on == newest_day
    }


@pytest.mark.parametrize("days", [-1, 1_000_000_000])
@AFTER_A_NIGHT
def test_a_senseless_number_of_days_is_refused(desk: Desk, days: int):
    with pytest.raises(RefusedError, match="it must be 0"):
        listed(desk, past_days=days)
    with pytest.raises(RefusedError, match="Procore never listed it"):
        grid.write(desk.ledger, Scope(404), desk.office)


@AFTER_A_NIGHT
def test_a_csv_gives_back_what_it_was_given_and_starts_no_formula(desk: Desk):
    odd = {
        "comma, quote \" and semicolon;": "comma, quote \" and semicolon;",
        "=HYPERLINK(\"http://x\")": "'=HYPERLINK(\"http://x\")",
        "+1": "'+1",
        "-1": "'-1",
        "@SUM(A1)": "'@SUM(A1)",
        "Ünïted Bau GmbH": "Ünïted Bau GmbH",
    }  # fmt: skip
    changed = dict(zip(sorted(desk.requisitions()), odd, strict=True))
    for invoice_id, number in changed.items():
        desk.edit(invoice_id, invoice_number=number)
    desk.read()
    desk.judge()
    written = grid.write(desk.ledger, Scope(only_project(desk)), desk.office)
    assert written.file
    with written.file.open(encoding="utf-8-sig", newline="") as text:
        rows = {int(row["Procore id"]): row for row in csv.DictReader(text)}

    assert {each: rows[each]["number"] for each in changed} == {each: odd[number] for each, number in changed.items()}
    assert {each: Decimal(rows[each]["gross"]) for each in rows} == {
        each: Decimal(row["gross"]) for each, row in desk.requisitions().items()
    }
    assert list(written.file.parent.iterdir()) == [written.file]


@AFTER_A_NIGHT
def test_lines_and_amounts_below_zero_stay_what_they_are(desk: Desk, tmp_path: Path):
    row = replace(next(iter(listed(desk).values())), error='one,\n"two"\n=three', gross=Decimal("-1.50"))
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as text:
        grid.write_csv([row], text)
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as text:
        [read] = csv.DictReader(text)

    assert (read["error message"], read["gross"]) == (row.error, "-1.50")


@AFTER_A_NIGHT
def test_the_table_shows_the_first_rows_and_the_file_all(desk: Desk):
    desk.set("grid", rows=2)
    written = grid.write(desk.ledger, Scope(only_project(desk)), desk.office)
    assert written.file

    assert len(written.first) == 2
    assert len(written.file.read_text(encoding="utf-8-sig").splitlines()) == 1 + len(desk.requisitions())
    assert "The table shows the 2 changed last." in written.in_short
    assert str(written.file) in written.in_short
    assert "$" in grid.as_table(written.first)[0]["gross"]


@AFTER_A_NIGHT
def test_a_folder_that_takes_no_file_leaves_the_table(desk: Desk):
    (desk.folder / "taken").write_text("a file")
    desk.set("grid", folder=desk.folder / "taken" / "below")
    written = grid.write(desk.ledger, Scope(only_project(desk)), desk.office)

    assert (written.file, len(written.first)) == (None, len(desk.requisitions()))
    assert "There is no file: " in written.in_short


@ON_BOTH_DATABASES
@pytest.mark.sandbox(projects=2)
def test_the_lists_of_the_projects_in_which_anything_happened_are_old(desk: Desk):
    desk.night()
    projects = sorted({row["project_id"] for row in desk.requisitions().values()})
    event_id, moved = grid.moved_projects(desk.ledger, desk.office)
    assert moved == projects
    grid.note_written(desk.ledger, event_id, desk.office)
    assert grid.moved_projects(desk.ledger, desk.office) == (event_id, [])

    desk.clock.advance(seconds=30)
    offered = desk.offer(projects[1])
    assert offered
    desk.decide(offered)

    assert grid.moved_projects(desk.ledger, desk.office)[1] == projects[1:]
    assert grid.moved_projects(desk.ledger, desk.office, rest=timedelta(minutes=1))[1] == []
    desk.clock.advance(minutes=1)
    assert grid.moved_projects(desk.ledger, desk.office, rest=timedelta(minutes=1))[1] == projects[1:]


def test_a_relative_folder_begins_where_the_settings_are(desk: Desk):
    assert settings.read().grid.folder == desk.folder / ".tieout" / "grids"
