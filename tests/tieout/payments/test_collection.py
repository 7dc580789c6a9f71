"""What accounting posts, pays, voids and deletes in Spectrum comes into the ledger, each application once."""

import sqlite3
from decimal import Decimal
from typing import Any

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, SENDER, Desk, amount, due, issued, of_one_vendor

from tieout.decisions import send
from tieout.payments import collection
from tieout.people.rights import Signature

pytestmark = AFTER_AN_EXPORT

ONE = Decimal("1.00")


def test_only_what_is_posted_counts(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    desk.cut_check([first], {"is_posted": False})  # a manual check that accounting has not posted yet
    desk.pay()

    assert issued(desk) == {}
    assert desk.states()[first] == "POSTED"


def test_states_follow_the_erp_in_both_directions(desk: Desk):
    ours = of_one_vendor(desk, is_posted=False)
    desk.pay()
    assert {desk.states()[each] for each in ours} == {"EXPORTED"}
    desk.post([ours[0]])
    desk.pay()
    assert [desk.states()[each] for each in ours] == ["POSTED", "EXPORTED", "EXPORTED"]
    half = (due(desk, ours[0]) / 2).quantize(ONE)
    first = desk.cut_check([ours[0]], amount=str(half))
    desk.pay()
    assert desk.states()[ours[0]] == "PART_PAID"
    desk.cut_check([ours[0]])
    desk.pay()
    assert desk.states()[ours[0]] == "PAID"
    assert sum(issued(desk)[ours[0]]) == due(desk, ours[0])
    desk.void_check(first["check_number"])
    desk.pay()
    assert desk.states()[ours[0]] == "PART_PAID"


def test_a_discount_settles_without_being_shown_as_money(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    desk.cut_check([first], discount="25.00", amount=str(due(desk, first) - 25))
    desk.pay()

    assert issued(desk) == {first: [due(desk, first) - 25]}
    assert "Discount taken 25.00" in desk.payments_issued()[0]["notes"]
    assert desk.states()[first] == "PAID"


def test_retention_that_is_held_does_not_keep_an_invoice_from_being_paid(desk: Desk):
    ours = of_one_vendor(desk)
    held = max(ours, key=lambda each: amount(desk.exported()[each], "Retention_Amount"))
    retention = amount(desk.exported()[held], "Retention_Amount")
    assert retention > 0
    desk.cut_check([held])
    desk.pay()
    assert desk.states()[held] == "PAID"

    desk.cut_check([held], kind="retention", amount=str(retention))
    desk.pay()
    assert issued(desk)[held] == [due(desk, held), retention]
    assert desk.payments_issued()[-1]["notes"].startswith("Retention.")
    assert desk.states()[held] == "PAID"


def test_a_void_is_a_reversing_row_and_history_stays(desk: Desk):
    ours = of_one_vendor(desk)
    check = desk.cut_check(ours)
    desk.pay()
    desk.clock.advance(days=3)
    desk.void_check(check["check_number"])
    desk.pay()

    assert issued(desk) == {each: [due(desk, each), -due(desk, each)] for each in ours}
    origins = [payment["origin_id"] for payment in desk.payments_issued()]
    assert sorted(each for each in origins if each.endswith(":void")) == sorted(
        f"{each}:void" for each in origins if not each.endswith(":void")
    )
    assert {payment["date"] for payment in desk.payments_issued()[3:]} == {"2026-03-07"}
    assert {desk.states()[each] for each in ours} == {"POSTED"}


def test_a_void_that_we_see_together_with_its_payment_is_both(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    check = desk.cut_check([first])
    desk.void_check(check["check_number"])
    desk.pay()

    assert issued(desk) == {first: [due(desk, first), -due(desk, first)]}


def test_void_and_reissue_come_to_one_live_payment(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    check = desk.cut_check([first])
    desk.pay()
    desk.void_check(check["check_number"])
    desk.cut_check([first])
    desk.pay()

    assert issued(desk) == {first: [due(desk, first), -due(desk, first), due(desk, first)]}
    assert desk.states()[first] == "PAID"


def test_payments_of_invoices_that_accounting_typed_in_are_not_shown(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    row = desk.exported()[first]
    pay_by_hand(desk, {**erp_document(row), "Invoice_Number": "TYPED-1", "Remarks": "typed by hand"})
    desk.pay()

    assert desk.payments_issued() == []


def erp_document(row: dict[str, Any]) -> dict[str, Any]:
    """Turn a row of Spectrum's tables back into what is posted to enter such an invoice."""
    lines = [
        {
            "Distribution": {"Company_Code": line["Company_Code"], "GL_Account": line["GL_Account"]},
            "Item_Description": line["Item_Description"],
            "Amount": line["Debit_Amount"],
            "Job": {name: line[name] for name in ("Job_Number", "Phase_Code", "Cost_Type")},
        }
        for line in row["lines"]
    ]
    names = ("Company_Code", "Vendor_Code", "Invoice_Type_Code", "Invoice_Amount", "Contract_Number", "Status",
             "Retention_Amount", "Batch_Code", "Payment_Status")  # fmt: skip
    dates = dict.fromkeys(("GL_Date", "Invoice_Date"), "03/04/2026")
    return {name: row[name] for name in names} | dates | {"Approval_Status": "A", "APInvoiceDetails": lines}


@AFTER_A_NIGHT
def test_a_payment_that_came_before_the_link_is_shown(desk: Desk):
    """AM-21: whether the invoice's id was captured is the only question."""
    desk.night()
    accepted = desk.accept()
    documents = [desk.payload(each) for each in accepted]
    pay_by_hand(desk, documents[0])  # an answer was lost long ago, accounting posted and paid what it had written
    first = next(iter(desk.exported()))
    desk.clock.advance(days=1)
    pay_by_hand(desk, {**documents[1], "Invoice_Number": "TYPED-1", "Remarks": ""})
    desk.pay()
    assert issued(desk) == {}
    desk.clock.advance(days=1)
    desk.night()

    assert issued(desk) == {first: [due(desk, first)]}
    assert desk.states()[first] == "PAID"


def pay_by_hand(desk: Desk, document: dict[str, Any]) -> None:
    """Accounting enters an invoice, posts it and pays it."""
    desk.enter(document)
    desk.post()
    body = {"vendor_code": document["Vendor_Code"], "applications": [{"invoice_number": document["Invoice_Number"]}]}
    desk.play("spectrum", "checks", body)


def test_an_invoice_that_is_gone_in_two_looks_is_gone_and_never_exported_again(desk: Desk):
    ours = of_one_vendor(desk, is_posted=False)
    delete(desk, ours[0])
    desk.pay()
    assert desk.states()[ours[0]] == "EXPORTED"
    desk.clock.advance(seconds=119)
    desk.pay()
    assert desk.states()[ours[0]] == "EXPORTED"
    desk.clock.advance(seconds=2)
    desk.pay()
    assert desk.states()[ours[0]] == "GONE"
    desk.clock.advance(days=8)
    desk.edit(ours[-1], billing_date="2026-03-02")
    desk.night()
    desk.night()

    assert desk.states()[ours[0]] == "GONE"
    assert ours[0] not in desk.exported()
    project_id = desk.item(ours[0]).project_id
    [answer] = send.send(desk.ledger, desk.basis, project_id, [ours[0]], Signature(SENDER), desk.office)
    assert answer.reason == "it was sent before and is GONE"


def delete(desk: Desk, invoice_id: int) -> dict[str, Any]:
    row = desk.exported()[invoice_id]
    body = {"vendor_code": row["Vendor_Code"], "invoice_number": row["Invoice_Number"]}
    desk.play("spectrum", "invoices/delete", body)
    return row


def test_an_invoice_that_is_seen_again_after_one_look_was_never_gone(desk: Desk):
    ours = of_one_vendor(desk, is_posted=False)
    row = delete(desk, ours[0])
    desk.pay()
    enter_again(desk, row)
    desk.pay()
    delete(desk, ours[0])
    desk.clock.advance(seconds=121)
    desk.pay()

    assert desk.states()[ours[0]] == "EXPORTED"  # this was the first look of a new count


def enter_again(desk: Desk, row: dict[str, Any]) -> None:
    desk.enter(erp_document(row) | {"Invoice_Number": row["Invoice_Number"], "Remarks": row["Remarks"]})


def test_what_was_gone_and_is_seen_again_is_back(desk: Desk):
    ours = of_one_vendor(desk, is_posted=False)
    row = delete(desk, ours[0])
    desk.pay()
    desk.clock.advance(seconds=121)
    desk.pay()
    assert desk.states()[ours[0]] == "GONE"
    enter_again(desk, row)
    desk.pay()

    assert desk.states()[ours[0]] == "EXPORTED"


def test_an_invoice_voided_after_posting_is_gone(desk: Desk):
    ours = of_one_vendor(desk)
    row = desk.exported()[ours[0]]
    body = {"vendor_code": row["Vendor_Code"], "invoice_number": row["Invoice_Number"]}
    desk.play("spectrum", "invoices/void", body)
    desk.pay()
    desk.clock.advance(seconds=121)
    desk.pay()

    assert desk.states()[ours[0]] == "GONE"
    assert desk.audit() == []


def test_a_joint_check_is_one_payment_whose_note_names_the_other_payee(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    desk.cut_check([first], {"joint_payee": "Tri-County Supply"})
    desk.pay()
    [payment] = desk.payments_issued()

    assert issued(desk) == {first: [due(desk, first)]}
    assert "Joint check with Tri-County Supply." in payment["notes"]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("Payment_Amount", "100.005", "a part of the smallest unit"), ("Check_Date", None, "is unreadable")],
)
def test_a_payment_that_cannot_be_right_is_told_every_night_and_takes_no_other_with_it(
    desk: Desk, column: str, value: str | None, words: str
):
    [first, second, *_] = of_one_vendor(desk)
    wrong = desk.cut_check([first])["check_number"]
    desk.cut_check([second])
    before = in_spectrum(desk, f"SELECT {column} FROM VN_PAYMENT_HISTORY WHERE trim(Check_Number) = ?", wrong)
    in_spectrum(desk, f"UPDATE VN_PAYMENT_HISTORY SET {column} = ? WHERE trim(Check_Number) = ?", value, wrong)
    for _ in range(2):
        [told] = collection.collect(desk.ledger, desk.erp, desk.office).not_shown
        assert words in told
    desk.pay()
    assert issued(desk) == {second: [due(desk, second)]}

    in_spectrum(desk, f"UPDATE VN_PAYMENT_HISTORY SET {column} = ? WHERE trim(Check_Number) = ?", before, wrong)
    desk.pay()

    assert issued(desk) == {first: [due(desk, first)], second: [due(desk, second)]}


def in_spectrum(desk: Desk, sql: str, *values: Any) -> Any:
    """Somebody works on Spectrum's database; return the first cell."""
    with sqlite3.connect(desk.folder / "spectrum.sqlite") as connection:
        found = connection.execute(sql, [str(each) if each is not None else None for each in values]).fetchone()
    return found[0] if found else None
