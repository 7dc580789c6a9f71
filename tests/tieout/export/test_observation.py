"""What either side changes after the export is told field by field, once, until it is put back."""

import json
import sqlite3
from typing import Any

import pytest
from desk import AFTER_AN_EXPORT, Desk, amount
from ledgers import ON_BOTH_DATABASES

from data_contracts.reference import Finding
from tieout.export import drift, observation
from tieout.views.inquiry import drifted, timeline

pytestmark = AFTER_AN_EXPORT


def look(desk: Desk) -> dict[str, int]:
    """Read what changed in Procore, then look at both sides of every link."""
    desk.read()
    return observation.observe(desk.ledger, desk.erp, desk.office)


def findings(desk: Desk, invoice_id: int) -> list[Finding]:
    return drift.open_drift(desk.item(invoice_id))


def happened(desk: Desk, invoice_id: int) -> list[str]:
    """The events after the export."""
    kinds = [each.kind for each in timeline(desk.ledger, desk.item(invoice_id))]
    return kinds[kinds.index("created") + 1 :]


def one_of(desk: Desk) -> int:
    return min(desk.exported())


@ON_BOTH_DATABASES
def test_an_amount_that_accounting_changed_is_told_once_and_closes_when_it_is_put_back(desk: Desk):
    first = one_of(desk)
    before = desk.act_on_ours(first, "edit", fields={"Invoice_Amount": "4321.00"})
    for _ in range(3):
        look(desk)

    [found] = findings(desk, first)
    assert found.rule == "changed-in-erp"
    assert found.numbers == {"gross": f"${amount(before, 'Invoice_Amount'):,.2f} → $4,321.00"}
    assert found.owner == "accounting"
    assert "Accounts Payable > Data Entry > Vendor Invoices" in found.remedy
    assert (desk.states()[first], happened(desk, first)) == ("EXPORTED", ["drifted"])
    assert [item.invoice_id for item in drifted(desk.ledger)] == [first]

    desk.act_on_ours(first, "edit", fields={"Invoice_Amount": before["Invoice_Amount"]})
    look(desk)
    look(desk)

    assert findings(desk, first) == []
    assert happened(desk, first) == ["drifted", "drifted"]
    assert drifted(desk.ledger) == []
    assert desk.audit() == []


def test_a_changed_vendor_is_told_with_what_it_does_to_the_payments(desk: Desk):
    first = one_of(desk)
    row = desk.exported()[first]
    other = next(vendor.code for vendor in desk.contractor.books.vendors if vendor.code != row["Vendor_Code"])
    desk.act_on_ours(first, "edit", fields={"Vendor_Code": other})
    look(desk)

    [found] = findings(desk, first)
    assert found.numbers == {"vendor": f"{row['Vendor_Code']} → {other}"}
    assert "tieout does not find its payments" in found.remedy


def test_a_key_that_a_clerk_wiped_and_a_new_date_are_told(desk: Desk):
    first = one_of(desk)
    row = desk.act_on_ours(first, "edit", fields={"Remarks": "", "Invoice_Date": "2026-03-31"})
    look(desk)

    [found] = findings(desk, first)
    assert found.numbers == {
        "our key": f"{row['Remarks'].strip()} → none",
        "invoice date": f"{row['Invoice_Date']} → 2026-03-31",
    }
    assert desk.states()[first] == "EXPORTED"


def test_posting_and_paying_and_another_batch_are_no_drift(desk: Desk):
    first, second, *_ = sorted(desk.exported())
    desk.act_on_ours(second, "edit", fields={"Batch_Code": "OTHER"})
    desk.post()
    desk.cut_check([first])
    desk.night()

    assert drifted(desk.ledger) == []
    assert desk.states()[first] == "PAID"


def test_what_was_deleted_in_the_erp_is_gone_and_a_drift_until_it_is_restored(desk: Desk):
    first = one_of(desk)
    row = desk.act_on_ours(first, "delete")
    look(desk)
    assert (desk.states()[first], findings(desk, first)) == ("EXPORTED", [])  # one look is no look
    desk.clock.advance(seconds=121)

    assert look(desk) == {"GONE": 1}
    [found] = findings(desk, first)
    assert (found.rule, found.numbers["in Spectrum"]) == ("gone-from-erp", "nothing")
    assert "unlink-invoice" in found.remedy
    enter_again(desk, row)
    assert look(desk) == {"EXPORTED": 1}

    assert findings(desk, first) == []
    assert happened(desk, first) == ["observed", "drifted", "observed", "drifted"]


def enter_again(desk: Desk, row: dict[str, Any], **changes: Any) -> None:
    """Accounting types an invoice in again."""
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
             "Retention_Amount", "Batch_Code", "Payment_Status", "Invoice_Number", "Remarks")  # fmt: skip
    year, month, day = row["Invoice_Date"].split("-")
    dates = {"GL_Date": "03/04/2026", "Invoice_Date": f"{month}/{day}/{year}"}
    document = {name: row[name] for name in names} | dates | {"Approval_Status": "A", "APInvoiceDetails": lines}
    desk.enter(document | changes)


def test_what_was_voided_in_the_erp_is_told_as_void(desk: Desk):
    first = one_of(desk)
    desk.post()
    desk.act_on_ours(first, "void")
    look(desk)
    desk.clock.advance(seconds=121)
    look(desk)

    [found] = findings(desk, first)
    assert (found.rule, found.numbers["in Spectrum"]) == ("gone-from-erp", "void")
    assert "void in Spectrum" in found.message


def test_two_ap_invoices_under_one_key_are_an_alarm_of_their_own(desk: Desk):
    first = one_of(desk)
    row = desk.exported()[first]
    enter_again(desk, row, Invoice_Number="COPY-1")
    look(desk)

    [found] = findings(desk, first)
    assert (found.rule, found.owner) == (drift.TWO, "controller")
    assert "Spectrum disagrees about invoice" in found.message
    assert "COPY-1" in found.message
    assert desk.states()[first] == "EXPORTED"
    copy = {"vendor_code": row["Vendor_Code"], "invoice_number": "COPY-1"}
    desk.play("spectrum", "invoices/delete", copy)
    look(desk)

    assert findings(desk, first) == []


@ON_BOTH_DATABASES
def test_what_a_project_manager_changes_after_the_export_is_told_line_by_line_and_exported_by_nobody(desk: Desk):
    first = one_of(desk)
    before = desk.exported()[first]
    desk.bill_more(first, "250.00")
    desk.night()
    desk.night()

    [found] = findings(desk, first)
    assert (found.rule, found.owner) == ("changed-in-procore", "project manager")
    [line] = [name for name in found.numbers if name.endswith(": work this period")]
    assert line.startswith("line 1 ")
    assert "payment due" in found.numbers
    assert "acknowledge-drift" in found.remedy
    assert (desk.states()[first], desk.exported()[first]) == ("EXPORTED", before)
    assert happened(desk, first) == ["drifted"]

    desk.bill_more(first, "-250.00")
    desk.night()
    assert findings(desk, first) == []


def test_an_exported_invoice_that_is_set_back_or_deleted_in_procore_is_told(desk: Desk):
    first, second, *_ = sorted(desk.exported())
    desk.set_status(first, "revise_and_resubmit")
    look(desk)
    assert findings(desk, first)[0].numbers == {"status": "could be sent → revise and resubmit"}

    desk.play("procore", f"requisitions/{second}", method="DELETE")
    desk.clock.advance(days=8)  # a deletion shows in no list of what changed, so all is listed once a week
    look(desk)
    assert [each.rule for each in findings(desk, second)] == ["deleted-in-procore"]


def test_an_exported_invoice_that_procore_shows_unreadable_is_told(desk: Desk):
    first = one_of(desk)
    desk.replace_body(first, json.dumps({"id": first, "status": "approved"}))
    look(desk)

    [found] = findings(desk, first)
    assert found.numbers["content"].startswith("readable → ")


def test_the_next_invoice_on_a_commitment_is_no_drift_of_the_one_before(desk: Desk):
    for commitment in {row["commitment_id"] for row in desk.requisitions().values()}:
        desk.clock.advance(seconds=2)
        desk.play("procore", "requisitions", {"commitment_id": commitment})
    desk.night()

    assert "READY" in desk.states().values()
    assert drifted(desk.ledger) == []


def test_both_sides_may_drift_at_once(desk: Desk):
    first = one_of(desk)
    desk.edit(first, invoice_number="RENAMED")
    desk.act_on_ours(first, "edit", fields={"Retention_Amount": "0.01"})
    look(desk)

    assert [each.rule for each in findings(desk, first)] == ["changed-in-erp", "changed-in-procore"]


def test_a_look_that_finds_nothing_new_writes_nothing(desk: Desk):
    first = one_of(desk)
    desk.act_on_ours(first, "edit", fields={"Retention_Amount": "0.01"})
    look(desk)
    desk.set("spectrum", timeout=5)
    with desk.ledger.transaction(desk.clock(), "somebody who holds the only write lock"):
        assert observation.observe(desk.ledger, desk.erp, desk.office) == {}


def test_one_invoice_can_be_looked_at_alone(desk: Desk):
    first, second, *_ = sorted(desk.exported())
    for each in (first, second):
        desk.act_on_ours(each, "edit", fields={"Retention_Amount": "0.01"})
    observation.observe(desk.ledger, desk.erp, desk.office, only=[second])

    assert [item.invoice_id for item in drifted(desk.ledger)] == [second]


@pytest.mark.parametrize(
    ("column", "value", "rules"),
    [
        ("Retention_Amount", "999999.00", ["changed-in-erp", "state-retention"]),
        ("Time_Stamp", "25:61:00", ["unreadable-in-erp"]),
    ],
)
def test_a_record_that_cannot_be_right_is_told_and_keeps_no_other_one_back(
    desk: Desk, column: str, value: str, rules: list[str]
):
    first, second, *_ = sorted(desk.exported())
    number = desk.exported()[first]["Invoice_Number"].strip()
    desk.act_on_ours(second, "edit", fields={"Invoice_Amount": "4321.00"})
    with sqlite3.connect(desk.folder / "spectrum.sqlite") as connection:
        where = "FROM VN_INVOICE_TRAN_HEADER WHERE trim(Invoice_Number) = ?"
        [before] = connection.execute(f"SELECT {column} {where}", [number]).fetchone()
        update = f"UPDATE VN_INVOICE_TRAN_HEADER SET {column} = ? WHERE trim(Invoice_Number) = ?"
        connection.execute(update, [value, number])
    look(desk)
    look(desk)

    assert [each.rule for each in findings(desk, first)] == rules
    assert [each.rule for each in findings(desk, second)] == ["changed-in-erp"]
    assert (desk.states()[first], happened(desk, first)) == ("EXPORTED", ["drifted"])

    with sqlite3.connect(desk.folder / "spectrum.sqlite") as connection:
        connection.execute(update, [before, number])
    look(desk)

    assert findings(desk, first) == []
