"""The Spectrum stand-in takes, refuses, posts and pays as Spectrum is documented to."""

import sqlite3
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tieout.sandbox.contractor import erp_books
from tieout.sandbox.spectrum import app
from tieout.sandbox.spectrum.company import Company, set_up
from tieout.sandbox.spectrum.rules import judge
from tieout.sandbox.spectrum.tables import DOCUMENTED_COLUMNS, INFO_LINK, open_database

TODAY = date(2026, 9, 10)


def a_line(amount: str = "1000.00", **changes: Any) -> dict[str, Any]:
    job = {"Job_Number": "24001", "Phase_Code": "03100", "Cost_Type": "S"}
    return {"Distribution": {"GL_Account": "50200"}, "Amount": amount, "Job": job} | changes


def an_invoice(**changes: Any) -> dict[str, Any]:
    header = {
        "Company_Code": "ACM",
        "Vendor_Code": "CONC01",
        "Invoice_Number": "APP-1",
        "GL_Date": "09/10/2026",
        "Invoice_Date": "08/31/2026",
        "Invoice_Amount": "1000.00",
        "Contract_Number": "SC-1001",
        "Retention_Amount": "100.00",
        "Batch_Code": "20260912",
        "Remarks": "P00000000000000000000000001",
        "APInvoiceDetails": [a_line()],
    }
    return header | changes


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, spectrum_books: erp_books.ErpBooks) -> Company:
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('rules')}/spectrum.sqlite")

    def now() -> datetime:
        return datetime(2026, 9, 10, 12, tzinfo=UTC)

    set_up(engine, spectrum_books, now)
    return Company(engine, now)


def reasons(company: Company, **changes: Any) -> list[tuple[str, str]]:
    errors = judge(an_invoice(**changes), company.books, TODAY).errors
    return [(error["error_code"], error["column"]) for error in errors]


def test_a_sound_invoice_has_nothing_against_it(company: Company) -> None:
    assert reasons(company) == []


@pytest.mark.parametrize(
    ("changes", "error_code", "column"),
    [
        ({"Company_Code": ""}, "M", "Company_Code"),
        ({"Company_Code": "XYZ"}, "I", "Company_Code"),
        ({"Vendor_Code": ""}, "M", "Vendor_Code"),
        ({"Vendor_Code": "OLD01", "Contract_Number": ""}, "I", "Vendor_Code"),
        ({"Vendor_Code": "NOBODY", "Contract_Number": ""}, "I", "Vendor_Code"),
        ({"Invoice_Number": "  "}, "M", "Invoice_Number"),
        ({"Invoice_Number": "N" * 21}, "I", "Invoice_Number"),
        ({"Invoice_Number": "HAND-1"}, "I", "Invoice_Number"),
        ({"Invoice_Type_Code": "X"}, "I", "Invoice_Type_Code"),
        ({"Approval_Status": "X"}, "I", "Approval_Status"),
        ({"Routing_Code": "R" * 11}, "I", "Routing_Code"),
        ({"GL_Date": "08/31/2026"}, "I", "GL_Date"),
        ({"GL_Date": "2026-09-10"}, "I", "GL_Date"),
        ({"Invoice_Date": "10/01/2026"}, "I", "Invoice_Date"),
        ({"Invoice_Date": "02/30/2026"}, "I", "Invoice_Date"),
        ({"Invoice_Amount": "999.99"}, "I", "Invoice_Amount"),
        ({"Invoice_Amount": "1000.001"}, "I", "Invoice_Amount"),
        ({"Invoice_Amount": "1e400"}, "I", "Invoice_Amount"),
        ({"Invoice_Amount": True}, "I", "Invoice_Amount"),
        ({"Discount_Amount": "1000.00"}, "I", "Invoice_Amount"),
        ({"Sales_Tax_Amount": "-1.00"}, "I", "Sales_Tax_Amount"),
        ({"Contract_Number": "SC-1002"}, "I", "Contract_Number"),
        ({"Contract_Number": "SC-10010000"}, "I", "Contract_Number"),
        ({"Contract_Number": "SC-0900", "APInvoiceDetails": [a_line()]}, "I", "Contract_Number"),
        ({"Retention_Amount": "-1.00"}, "I", "Retention_Amount"),
        ({"Retention_Amount": "1000.01"}, "I", "Retention_Amount"),
        ({"Payment_Status": "C"}, "I", "Payment_Status"),
        ({"Payment_Status": "M", "Retention_Amount": ""}, "M", "Check_Number"),
        ({"Batch_Code": "20260912-01"}, "I", "Batch_Code"),
        ({"Status": "X"}, "I", "Status"),
        ({"Bank_Account_Code": "NOBANK"}, "I", "Bank_Account_Code"),
        ({"AP_GL_Account": "50200"}, "I", "AP_GL_Account"),
        ({"AP_GL_Account": "20-000"}, "I", "AP_GL_Account"),
        ({"Remarks": "R" * 31}, "I", "Remarks"),
        ({"Remarks": "one\ntwo"}, "I", "Remarks"),
        ({"Remark": "misspelt"}, "I", "Remark"),
        ({"APInvoiceDetails": []}, "M", "APInvoiceDetails"),
        ({"Images": [{"Image_File": "AA==", "Document_ID": "CL0000000001"}]}, "I", "Document_ID"),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(
    company: Company, changes: dict[str, Any], error_code: str, column: str
) -> None:
    assert (error_code, column) in reasons(company, **changes)


def a_job(job: str, phase: str, cost_type: str) -> dict[str, Any]:
    return {"Job": {"Job_Number": job, "Phase_Code": phase, "Cost_Type": cost_type}}


@pytest.mark.parametrize(
    ("changes", "error_code", "column"),
    [
        ({"Amount": None}, "M", "Amount"),
        ({"Amount": "1000.005"}, "I", "Amount"),
        ({"Distribution": {}}, "M", "GL_Account"),
        ({"Distribution": {"GL_Account": "99999"}}, "I", "GL_Account"),
        ({"Distribution": {"GL_Account": "50100"}}, "I", "GL_Account"),  # not the cost type's account
        ({"Distribution": {"GL_Account": "61000"}}, "I", "Job_Number"),  # a job with an overhead account
        ({"Distribution": {"GL_Account": "50200", "Company_Code": "XYZ"}}, "I", "Company_Code"),
        ({"Job": {}}, "M", "Job_Number"),
        (a_job("24001", "", "S"), "M", "Phase_Code"),
        (a_job("99999", "03100", "S"), "I", "Job_Number"),
        (a_job("23009", "03100", "S"), "I", "Job_Number"),
        (a_job("24001", "03-100", "S"), "I", "Phase_Code"),
        (a_job("24001", "09900", "S"), "I", "Phase_Code"),
        (a_job("24001", "05100", "S"), "I", "Phase_Code"),
        (a_job("24001", "03100", "Z"), "I", "Cost_Type"),
        ({"Item_Description": "D" * 36}, "I", "Item_Description"),
        ({"Remark": "R" * 31}, "I", "Remark"),
        ({"Equipment": {"Equipment_Code": "E1"}}, "I", "Equipment"),
    ],
)
def test_a_detail_that_breaks_a_rule_refuses_the_whole_invoice(
    company: Company, changes: dict[str, Any], error_code: str, column: str
) -> None:
    details = [a_line("0.00"), a_line() | changes]

    assert (error_code, column) in reasons(company, APInvoiceDetails=details)


def test_header_and_details_are_refused_with_all_reasons_at_once(company: Company) -> None:
    details = [a_line() | a_job("24001", "09900", "S"), a_line("0.00") | a_job("99999", "03100", "S")]

    assert reasons(company, Vendor_Code="OLD01", APInvoiceDetails=details) == [
        ("I", "Vendor_Code"),
        ("I", "Contract_Number"),
        ("I", "Phase_Code"),
        ("I", "Job_Number"),
    ]


def test_a_negative_detail_is_taken_while_the_total_stays_positive(company: Company) -> None:
    assert reasons(company, APInvoiceDetails=[a_line("1500.00"), a_line("-500.00")]) == []
    assert ("I", "Invoice_Amount") in reasons(
        company, Invoice_Amount="", APInvoiceDetails=[a_line("100.00"), a_line("-100.00")]
    )


def test_one_refused_invoice_does_not_take_the_others_with_it(spectrum_company: Any) -> None:
    entered = spectrum_company.enter(
        an_invoice(), an_invoice(), an_invoice(Invoice_Number="APP-2", Approval_Status="U"), "no invoice"
    )

    assert [one["Status"] for one in entered] == ["Imported", "Rejected", "Imported", "Rejected"]
    assert entered[0]["Document_ID"].startswith("SD")
    assert entered[1]["Errors"][0]["column"] == "Invoice_Number"
    state = spectrum_company.look("state")
    assert state["invoices"]["unposted"] == {"count": 1, "amount": "1000.00", "retention": "100.00"}
    assert state["invoices"]["unapproved"]["count"] == 1


def test_what_info_link_shows_is_padded_and_exact(spectrum_company: Any) -> None:
    spectrum_company.enter(an_invoice(Invoice_Amount="1000.10", APInvoiceDetails=[a_line("1000.10")]))
    query = "select Vendor_Code, Remarks, Invoice_Amount, Batch_Code from VN_INVOICE_TRAN_HEADER_MC"
    with sqlite3.connect(database_of(spectrum_company)) as connection:
        row = connection.execute(query).fetchone()

    assert row == ("CONC01    ", "P00000000000000000000000001   ", "1000.10", "20260912  ")


def database_of(spectrum_company: Any) -> str:
    return str(spectrum_company.info_link_url).split("file:")[1].split("?")[0]


def test_the_same_number_is_refused_in_every_state_until_it_is_deleted(spectrum_company: Any) -> None:
    one = {"vendor_code": "CONC01", "invoice_number": "APP-1"}
    spectrum_company.enter(an_invoice())
    spectrum_company.control("invoices/delete", one)
    assert spectrum_company.enter(an_invoice())[0]["Status"] == "Imported"
    spectrum_company.control("post", {"batch_code": "20260912"})
    assert spectrum_company.enter(an_invoice())[0]["Status"] == "Rejected"
    spectrum_company.control("invoices/void", one)

    assert spectrum_company.enter(an_invoice())[0]["Status"] == "Rejected"
    assert spectrum_company.look("state")["invoices"]["void"]["count"] == 1


def test_posting_a_batch_moves_its_rows_and_leaves_the_others(spectrum_company: Any) -> None:
    spectrum_company.enter(an_invoice(), an_invoice(Invoice_Number="APP-2", Batch_Code="20260919"))

    assert spectrum_company.control("post", {"batch_code": "20260912"}) == {"posted": 1}
    found = {one["Invoice_Number"]: one for one in spectrum_company.look("invoices")}
    assert (found["APP-1"]["state"], found["APP-2"]["state"]) == ("posted", "unposted")
    assert [line["Debit_Amount"] for line in found["APP-1"]["lines"]] == ["1000.00"]
    assert found["APP-1"]["Remarks"] == "P00000000000000000000000001"


def test_a_check_pays_what_is_due_without_retention_and_can_be_voided(spectrum_company: Any) -> None:
    spectrum_company.enter(an_invoice(), an_invoice(Invoice_Number="APP-2"))
    spectrum_company.control("post")
    applications = [
        {"invoice_number": "APP-1", "discount": "9.00"},
        {"invoice_number": "APP-2", "amount": "400.00"},
        {"invoice_number": "APP-2", "kind": "retention"},
    ]
    check = spectrum_company.control("checks", {"vendor_code": "CONC01", "applications": applications})
    rest = [{"invoice_number": "APP-2"}]
    second = spectrum_company.control("checks", {"vendor_code": "CONC01", "applications": rest})

    assert check["amount"] == "1391.00"  # 900.00 - 9.00, 400.00, 100.00 retention
    assert second["amount"] == "500.00"
    assert spectrum_company.control(f"checks/{check['check_number']}/void") == {"voided": 3}
    assert spectrum_company.look("state")["payments"] == {"count": 5, "voided": 3, "amount": "1250.00"}


def test_only_posted_invoices_are_paid(spectrum_company: Any) -> None:
    spectrum_company.enter(an_invoice())
    check = {"vendor_code": "CONC01", "applications": [{"invoice_number": "APP-1"}]}
    answer = spectrum_company.rest.post("/_sandbox/checks", json=check)

    assert answer.status_code == 409
    assert "posted" in answer.json()["error"]


def test_a_clerk_edits_an_invoice_and_the_lines_still_add_up(spectrum_company: Any) -> None:
    spectrum_company.enter(an_invoice(APInvoiceDetails=[a_line("600.00"), a_line("400.00")]))
    fields = {"Invoice_Amount": "900.00", "Remarks": "gone", "Invoice_Number": "APP-1A"}
    edit = {"vendor_code": "CONC01", "invoice_number": "APP-1", "fields": fields}
    spectrum_company.control("invoices/edit", edit)
    (one,) = [one for one in spectrum_company.look("invoices") if one["state"] == "unposted"]

    assert (one["Invoice_Number"], one["Invoice_Amount"], one["Remarks"]) == ("APP-1A", "900.00", "gone")
    assert [line["Debit_Amount"] for line in one["lines"]] == ["600.00", "300.00"]


def test_accounting_mends_the_master_data_and_the_invoice_is_taken(spectrum_company: Any) -> None:
    steel = an_invoice(APInvoiceDetails=[a_line() | a_job("24001", "05100", "S")])
    assert spectrum_company.enter(steel)[0]["Status"] == "Rejected"
    phase = {"job": "24001", "phase_code": "05100", "cost_type": "S", "status": "A"}
    spectrum_company.control("phases", phase)

    assert spectrum_company.enter(steel)[0]["Status"] == "Imported"


def test_wrong_or_revoked_credentials_are_answered_401(spectrum_company: Any) -> None:
    wrong = httpx.post(f"{spectrum_company.url}/vendor/invoice", auth=("ACM", "guess"), trust_env=False)
    spectrum_company.control("authorization", {"enabled": False})
    revoked = spectrum_company.rest.get("/vendors/ACM")
    spectrum_company.control("authorization", {"enabled": True})

    assert (wrong.status_code, revoked.status_code) == (401, 401)
    assert "Authorization ID is not setup" in wrong.text
    assert len(spectrum_company.rest.get("/vendors/ACM").json()["Vendors"]) == 3


def test_unset_processing_dates_are_an_http_500_in_the_documented_words(spectrum_company: Any) -> None:
    spectrum_company.control("period", {"first_day": None, "last_day": None})
    answer = spectrum_company.rest.post("/vendor/invoice", json={"APInvoices": [an_invoice()]})

    assert answer.status_code == 500
    assert "There was an error processing your request. It has been logged" in answer.text


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"APInvoices": 1}', b'{"APInvoices": [NaN]}', b"\xff", b"[" * 100_000])
def test_what_is_no_list_of_invoices_is_answered_400(spectrum_company: Any, body: bytes) -> None:
    assert spectrum_company.rest.post("/vendor/invoice", content=body).status_code == 400


def test_a_table_taken_from_info_link_cannot_be_read_and_the_stand_in_goes_on(spectrum_company: Any) -> None:
    table = "VN_INVOICE_TRAN_HEADER_MC"
    spectrum_company.control("info_link", {"table": table, "enabled": False})
    spectrum_company.enter(an_invoice())
    with sqlite3.connect(database_of(spectrum_company)) as connection:
        with pytest.raises(sqlite3.OperationalError, match=table):
            connection.execute(f"select * from {table}")
        spectrum_company.control("info_link", {"table": table, "enabled": True})

        assert len(connection.execute(f"select * from {table}").fetchall()) == 1


def test_a_reopened_stand_in_goes_on_where_it_was(tmp_path: Path, spectrum_books: erp_books.ErpBooks) -> None:
    def now() -> datetime:
        return datetime(2026, 9, 10, 12, tzinfo=UTC)

    url = f"sqlite:///{tmp_path}/spectrum.sqlite"
    engine = open_database(url)
    set_up(engine, spectrum_books, now)
    first = Company(engine, now).enter([an_invoice()])
    app.create_app(url, None, "AUTH", now)
    again = Company(open_database(url), now)

    assert again.enter([an_invoice()])[0]["Status"] == "Rejected"
    assert again.enter([an_invoice(Invoice_Number="APP-2")])[0]["Document_ID"] > first[0]["Document_ID"]


def test_fifty_invoices_of_twenty_lines_are_taken_within_the_time_of_a_call(company: Company) -> None:
    lines = [a_line("50.00") for _ in range(20)]
    invoices = [an_invoice(Invoice_Number=f"BULK-{number}", APInvoiceDetails=lines) for number in range(50)]
    started = time.perf_counter()
    entered = company.enter(invoices)
    seconds = time.perf_counter() - started

    assert {one["Status"] for one in entered} == {"Imported"}
    assert seconds < 0.5
    bulk = [one for one in company.invoices() if one["Invoice_Number"].startswith("BULK-")]
    assert sum(one["Invoice_Amount"] for one in bulk) == Decimal("50000.00")


def test_every_documented_info_link_table_is_there() -> None:
    expected = {
        "VN_GL_DISTRIBUTION_HEADER_MC", "VN_GL_DISTRIBUTION_DETAIL_MC", "VN_INVOICE_APPROVAL_HDR_MC",
        "VN_INVOICE_APPROVAL_DET_MC", "VN_INVOICE_TRAN_HEADER_MC", "VN_INVOICE_TRAN_DETAIL_MC", "VN_PAYMENT_HISTORY_MC",
        "BR_BANK_ACCOUNT_MC", "VN_MANUAL_CHECK_WORK_MC", "VN_SUBCONTRACT_MC", "VN_SUBCONTRACT_PHASE_MC",
        "JC_JOB_MASTER_MC", "JC_PHASE_MASTER_MC", "JC_COST_TYPE_MASTER_MC", "VN_VENDOR_MASTER_MC", "GL_MASTER_MC",
    }  # fmt: skip

    assert expected <= set(INFO_LINK)
    assert {column.name for table in INFO_LINK.values() for column in table.columns} >= DOCUMENTED_COLUMNS
