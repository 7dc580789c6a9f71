"""A record in the ERP that cannot be read concerns its own invoice only: that one is neither sent nor given up."""

import sqlite3
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, APPROVER, Desk

from tieout.decisions import acknowledge_drift, reject, settle, unlink
from tieout.errors import RefusedError
from tieout.export import observation
from tieout.judgement import batch
from tieout.ledger.items import Item
from tieout.people.rights import Signature
from tieout.views.inquiry import timeline

ENTER = "POST /vendor/invoice"
TABLE = "VN_INVOICE_TRAN_HEADER"
SPOILT = "25:61:00"  # no time of day


def write_times(desk: Desk, time: str, **where: str) -> None:
    """Somebody at Spectrum's database, not at its screens, writes the time of change of these rows."""
    named = " AND ".join(f"trim({column}) = ?" for column in where)
    with closing(sqlite3.connect(desk.folder / "spectrum.sqlite")) as database, database:
        update = f"UPDATE {TABLE} SET Time_Stamp = ? WHERE {named}"
        assert database.execute(update, [time, *(value.strip() for value in where.values())]).rowcount == 1


def of(row: dict[str, Any]) -> dict[str, str]:
    return {name: row[name] for name in ("Vendor_Code", "Invoice_Number")}


def judge_again(desk: Desk, invoice_id: int) -> Item:
    """Press Retry."""
    batch.rejudge(desk.ledger, desk.basis, [invoice_id], desk.office)
    desk.export([invoice_id])
    return desk.item(invoice_id)


@pytest.mark.parametrize("remarks", [None, "typed by hand"], ids=["under our key", "under its number"])
@AFTER_A_NIGHT
def test_one_that_cannot_be_looked_for_is_not_sent_and_the_others_are(desk: Desk, remarks: str | None):
    first, *others = desk.accept()
    document = desk.payload(first)
    desk.enter(document | ({"Remarks": remarks} if remarks else {}))  # by a ledger that was lost, or by a clerk
    write_times(desk, SPOILT, **of(document))
    foreseen = desk.foresee([first])[0].would
    desk.export()
    failed = desk.item(first)

    assert {desk.states()[each] for each in others} == {"EXPORTED"}
    assert (failed.state, failed.cause) == ("FAILED", "unreadable-in-erp")
    assert f"invoice {failed.number} of vendor {failed.vendor_erp}: its record is unreadable" in foreseen
    assert failed.reasons[0].message in f"{foreseen}."
    assert "Have its record corrected in Spectrum" in failed.reasons[0].remedy
    assert (judge_again(desk, first).state, judge_again(desk, first).cause) == ("FAILED", "unreadable-in-erp")

    write_times(desk, "12:00:00", **of(document))
    assert judge_again(desk, first).state == "EXPORTED"  # its figures are ours, whoever entered it
    assert [row["Document_ID"] for row in desk.erp_invoices() if of(row) == of(desk.row(**names(document)))] == [
        desk.item(first).document_id_erp
    ]
    assert desk.audit() == []


def names(document: dict[str, Any]) -> dict[str, str]:
    return {"vendor": document["Vendor_Code"], "number": document["Invoice_Number"]}


@AFTER_A_NIGHT
def test_what_another_vendor_has_under_the_same_number_is_nobody_s_business(desk: Desk):
    accepted = desk.accept()
    document = desk.payload(accepted[0])
    other = next(each.code for each in desk.contractor.books.vendors if each.code != document["Vendor_Code"])
    plain = {name: document[name] for name in document if name not in ("Contract_Number", "Retention_Amount")}
    desk.enter({**plain, "Vendor_Code": other, "Remarks": "typed by hand"})
    write_times(desk, SPOILT, Vendor_Code=other, Invoice_Number=document["Invoice_Number"])
    desk.export()

    assert {desk.states()[each] for each in accepted} == {"EXPORTED"}


@AFTER_A_NIGHT
def test_one_that_is_unreadable_after_a_lost_answer_is_uncertain_and_the_others_are_found(desk: Desk):
    first, *others = desk.accept()
    number = desk.payload(first)["Invoice_Number"]
    with closing(sqlite3.connect(desk.folder / "spectrum.sqlite")) as database, database:
        database.execute(
            f"CREATE TRIGGER spoil AFTER INSERT ON {TABLE} WHEN trim(NEW.Invoice_Number) = '{number}' "
            f"BEGIN UPDATE {TABLE} SET Time_Stamp = '{SPOILT}' WHERE Invoice_Number = NEW.Invoice_Number; END"
        )
    desk.fault("spectrum", ENTER, "reset_after")
    desk.export()

    assert {desk.states()[each] for each in others} == {"EXPORTED"}
    assert (desk.item(first).state, desk.item(first).cause) == ("UNCERTAIN", "unreadable-in-erp")
    for _ in range(3):
        desk.clock.advance(days=1)
        desk.night()
    assert desk.states()[first] == "UNCERTAIN"
    assert len(desk.exported()) == len(others) + 1
    assert [each.kind for each in timeline(desk.ledger, desk.item(first))].count("looked") == 0  # told once


@AFTER_A_NIGHT
def test_an_uncertain_one_is_neither_settled_nor_sent_again_while_it_is_unreadable(desk: Desk):
    first, *others = desk.lose_answers()
    desk.settle()  # none of them is there
    row = desk.arrive(first)
    write_times(desk, SPOILT, **of(row))
    desk.clock.advance(minutes=10)
    company = desk.contractor.company_id

    def doubt() -> settle.Doubt | None:
        return settle.examine(desk.ledger, desk.erp, company, first, desk.office)

    assert doubt() is None
    assert "is unreadable" in settle.how_it_stands(desk.ledger, desk.erp, desk.item(first))
    for _ in range(3):
        desk.night()
        desk.clock.advance(minutes=10)

    assert {desk.states()[each] for each in others} == {"EXPORTED"}
    assert (desk.states()[first], desk.item(first).cause) == ("UNCERTAIN", "unreadable-in-erp")
    write_times(desk, "12:00:00", **of(row))
    desk.settle()
    assert desk.states()[first] == "EXPORTED"
    assert len(desk.exported()) == len(others) + 1
    assert desk.audit() == []


@AFTER_A_NIGHT
def test_looks_that_found_nothing_before_an_unreadable_one_do_not_count(desk: Desk):
    first, *_ = desk.lose_answers()
    desk.settle()
    row = desk.arrive(first)
    write_times(desk, SPOILT, **of(row))
    desk.clock.advance(minutes=10)
    desk.settle()
    desk.act_on(row, "delete")
    desk.settle()

    assert desk.states()[first] == "UNCERTAIN"
    desk.clock.advance(minutes=10)
    desk.settle()
    assert desk.states()[first] == "ACCEPTED"


@AFTER_A_NIGHT
def test_one_that_cannot_be_looked_for_is_not_rejected_and_the_others_are(desk: Desk):
    first, *others = desk.accept()
    document = desk.payload(first)
    desk.enter(document)
    write_times(desk, SPOILT, **of(document))
    desk.play("spectrum", "vendors", [{"code": each.code, "status": "N"} for each in desk.contractor.books.vendors])
    desk.export()
    project = desk.item(first).project_id
    done = reject.reject(
        desk.ledger, desk.erp, project, None, Signature(APPROVER), "billed twice", str(uuid4()), desk.office
    )
    refused = {each.invoice_id: each.reason for each in done.answers if not each.is_done}

    assert {desk.states()[each] for each in others} == {"REJECTED"}
    assert (list(refused), desk.states()[first]) == ([first], "FAILED")
    assert refused[first].endswith("have its record corrected in Spectrum first")


@pytest.mark.parametrize("let_stand", [False, True], ids=["first seen", "let stand before it was gone"])
@AFTER_AN_EXPORT
def test_one_that_was_gone_and_is_there_unreadable_is_neither_let_stand_nor_unlinked(desk: Desk, let_stand: bool):
    desk.export_everything()
    first, row = min(desk.exported().items())
    who = (desk.contractor.company_id, first, Signature(APPROVER))
    if let_stand:
        write_times(desk, SPOILT, **of(row))
        desk.pay()
        acknowledge_drift.acknowledge(desk.ledger, *who, "the clerk is on leave", desk.office)
        assert desk.item(first).acknowledged
    desk.act_on(row, "delete")
    for _ in range(2):
        desk.pay()
        desk.clock.advance(minutes=10)
    assert desk.states()[first] == "GONE"
    write_times(desk, SPOILT, **of(desk.arrive(first)))
    observation.observe(desk.ledger, desk.erp, desk.office, [first])

    with pytest.raises(RefusedError, match="its record is unreadable"):
        acknowledge_drift.acknowledge(desk.ledger, *who, "billed twice", desk.office)
    with pytest.raises(RefusedError, match="its record is unreadable"):
        unlink.unlink(desk.ledger, *who, "billed twice", "run-1", desk.office)

    assert desk.states()[first] == "GONE"


@AFTER_AN_EXPORT
def test_a_look_that_found_nothing_does_not_count_after_an_unreadable_one(desk: Desk):
    desk.export_everything()
    first, row = min(desk.exported().items())
    desk.act_on(row, "delete")
    desk.pay()
    back = desk.arrive(first)
    write_times(desk, SPOILT, **of(back))
    desk.clock.advance(minutes=10)
    desk.pay()
    desk.act_on(back, "delete")
    desk.clock.advance(minutes=10)
    desk.pay()

    assert desk.states()[first] == "EXPORTED"
    desk.clock.advance(minutes=10)
    desk.pay()
    assert desk.states()[first] == "GONE"
