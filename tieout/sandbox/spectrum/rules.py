"""Spectrum's rules for `POST /vendor/invoice`: which invoice is taken, which is rejected whole and why.

Field names, widths and rules are Spectrum's documented ones.
The wording of the messages is modelled, and so is that an unknown field is refused: where Spectrum may be lenient the
stand-in is strict, so that a misspelt field is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

Row = dict[str, Any]
LARGEST_AMOUNT = Decimal("999999999.99")
CENT = Decimal("0.01")

HEADER_FIELDS = frozenset(
    "Company_Code Vendor_Code Invoice_Number Invoice_Type_Code Approval_Status Routing_Code GL_Date"
    " Invoice_Date Invoice_Amount Sales_Tax_Amount VAT_Code Total_VAT_Amt Total_VAT_Amount Contract_Number"
    " Retention_Amount Batch_Code Payment_Due_Date Discount_Due_Date Discount_Amount Status Payment_Status"
    " Bank_Account_Code Check_Number Check_Date Card_Number AP_GL_Account Cost_Center Remarks Images"
    " APInvoiceDetails".split()
)
DETAIL_FIELDS = frozenset(
    "Distribution Item_Code Item_Description Unit_Of_Measure Quantity Amount Tax_Code Job Equipment"
    " Work_Order Remark".split()
)
DATE = re.compile(r"(\d\d)/(\d\d)/(\d{4})")


@dataclass
class Books:
    """The master data and open business that an invoice is judged by, in memory."""

    company_code: str
    operator_code: str
    first_day: date | None = None  # of the A/P processing range; None: the dates are not set
    last_day: date | None = None
    vendors: dict[str, tuple[str, str]] = field(default_factory=dict)  # code -> name, status
    jobs: dict[str, str] = field(default_factory=dict)  # number -> status
    cost_types: dict[str, str] = field(default_factory=dict)  # code -> general ledger account
    phases: dict[tuple[str, str, str], str] = field(default_factory=dict)  # job, phase, cost type -> status
    subcontracts: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # -> job, status
    accounts: dict[str, tuple[str, str]] = field(default_factory=dict)  # account -> kind, status
    banks: set[str] = field(default_factory=set)
    taken: set[tuple[str, str]] = field(default_factory=set)  # vendor, invoice number: in any state
    document_ids: set[str] = field(default_factory=set)

    def processing_date(self, today: date) -> date:
        """Return the day that an entry without a date gets: today, moved into the open range."""
        assert self.first_day and self.last_day
        return min(max(today, self.first_day), self.last_day)


@dataclass
class Judged:
    """What became of one invoice: rows to store, or the reasons why not."""

    header: Row
    details: list[Row]
    document_ids: list[str]
    errors: list[Row]


def judge(document: Any, books: Books, today: date) -> Judged:
    """Read one invoice of a call as Spectrum does."""
    if not isinstance(document, dict):
        return Judged({}, [], [], [_error("I", "An invoice must be an object", "APInvoices")])
    reader = _Reader(document, HEADER_FIELDS)
    header = _header(reader, books, today)
    _check_parties(reader, header, books)
    _check_amounts(reader, header)
    _check_payment(reader, header, books)
    details = _details(reader, header, books)
    _check_total(reader, header, details)
    images = _images(reader, books)
    return Judged(header, details, images, reader.errors)


def _header(reader: _Reader, books: Books, today: date) -> Row:
    processing = books.processing_date(today)
    return {
        "Company_Code": reader.text("Company_Code", 3, is_required=True),
        "Vendor_Code": reader.text("Vendor_Code", 10, is_required=True),
        "Invoice_Number": reader.text("Invoice_Number", 20, is_required=True),
        "Invoice_Type_Code": reader.choice("Invoice_Type_Code", "IC"),
        "Approval_Status": reader.choice("Approval_Status", "AU"),
        "Routing_Code": reader.text("Routing_Code", 10),
        "GL_Date": reader.day("GL_Date") or processing,
        "Invoice_Date": reader.day("Invoice_Date") or processing,
        "Invoice_Amount": reader.amount("Invoice_Amount", 14),
        "Sales_Tax_Amount": reader.amount("Sales_Tax_Amount", 12) or Decimal(0),
        "VAT_Code": reader.text("VAT_Code", 10),
        "Total_VAT_Amount": reader.amount("Total_VAT_Amount", 13) or reader.amount("Total_VAT_Amt", 13) or Decimal(0),
        "Contract_Number": reader.text("Contract_Number", 10),
        "Retention_Amount": reader.amount("Retention_Amount", 12) or Decimal(0),
        "Batch_Code": reader.text("Batch_Code", 10) or books.operator_code,
        "Payment_Due_Date": reader.day("Payment_Due_Date"),
        "Discount_Due_Date": reader.day("Discount_Due_Date"),
        "Discount_Amount": reader.amount("Discount_Amount", 12) or Decimal(0),
        "Status": reader.choice("Status", "OH"),
        "Payment_Status": reader.choice("Payment_Status", "UMC"),
        "Bank_Account_Code": reader.text("Bank_Account_Code", 10),
        "Check_Number": reader.text("Check_Number", 6),
        "Check_Date": reader.day("Check_Date"),
        "Card_Number": reader.text("Card_Number", 10),
        "AP_GL_Account": reader.text("AP_GL_Account", 12),
        "Cost_Center": reader.text("Cost_Center", 10),
        "Remarks": reader.text("Remarks", 30),
    }


def _check_parties(reader: _Reader, header: Row, books: Books) -> None:
    vendor, number, contract = header["Vendor_Code"], header["Invoice_Number"], header["Contract_Number"]
    if header["Company_Code"] and header["Company_Code"] != books.company_code:
        reader.invalid("Company_Code", f"Company {header['Company_Code']} is not set up for this Authorization ID")
    name, status = books.vendors.get(vendor, ("", ""))
    header["Vendor_Name"] = name
    if vendor and not status:
        reader.invalid("Vendor_Code", f"Vendor {vendor} does not exist")
    if status == "N":
        reader.invalid("Vendor_Code", f"Vendor {vendor} has status Not used")
    if number and (vendor, number) in books.taken:
        reader.invalid("Invoice_Number", f"Invoice {number} already exists for vendor {vendor}")
    job, contract_status = books.subcontracts.get((vendor, contract), ("", ""))
    header["Subcontract_Job"] = job
    if contract and not contract_status:
        reader.invalid("Contract_Number", f"Subcontract {contract} does not exist for vendor {vendor}")
    if contract_status == "C":
        reader.invalid("Contract_Number", f"Subcontract {contract} is Completed")


def _check_amounts(reader: _Reader, header: Row) -> None:
    for name in ("Sales_Tax_Amount", "Total_VAT_Amount", "Retention_Amount", "Discount_Amount"):
        if header[name] < 0:
            reader.invalid(name, f"{name} must not be negative")
    if header["Retention_Amount"] and header["Payment_Status"] != "U":
        reader.invalid("Payment_Status", "Payment_Status must be U when Retention_Amount is not zero")


def _check_payment(reader: _Reader, header: Row, books: Books) -> None:
    first, last = books.first_day, books.last_day
    assert first and last
    if header["Approval_Status"] == "A" and not first <= header["GL_Date"] <= last:
        reader.invalid("GL_Date", f"GL_Date is outside the A/P processing range {_written(first)} - {_written(last)}")
    if header["Invoice_Date"] > last:
        reader.invalid("Invoice_Date", f"Invoice_Date may not be later than {_written(last)}")
    if header["Bank_Account_Code"] and header["Bank_Account_Code"] not in books.banks:
        reader.invalid("Bank_Account_Code", f"Bank account {header['Bank_Account_Code']} does not exist")
    if header["Payment_Status"] == "M":
        for name in ("Bank_Account_Code", "Check_Number", "Check_Date"):
            if not header[name]:
                reader.missing(name)
    if header["AP_GL_Account"]:
        _check_account(reader, "AP_GL_Account", header["AP_GL_Account"], books)
        if books.accounts.get(header["AP_GL_Account"], ("", ""))[0] == "direct":
            reader.invalid("AP_GL_Account", "AP_GL_Account must not be a direct job cost account")


def _check_account(reader: _Reader, column: str, account: str, books: Books) -> None:
    if "-" in account:
        return reader.invalid(column, f"{column} must be given without dashes")
    kind, status = books.accounts.get(account, ("", ""))
    if not kind:
        reader.invalid(column, f"GL account {account} does not exist")
    if status == "N":
        reader.invalid(column, f"GL account {account} has status Not used")


def _check_total(reader: _Reader, header: Row, details: list[Row]) -> None:
    total = sum((row["amount"] or Decimal(0) for row in details), Decimal(0))
    amount = header["Invoice_Amount"]
    if amount is None:
        amount = header["Invoice_Amount"] = total
    elif total != amount and details:
        reader.invalid("Invoice_Amount", f"Invoice_Amount {amount} is not the sum of the details {total}")
    if not 0 < amount <= LARGEST_AMOUNT:
        reader.invalid("Invoice_Amount", f"Invoice_Amount must be above zero and at most {LARGEST_AMOUNT:,}")
    if amount <= header["Discount_Amount"]:
        reader.invalid("Invoice_Amount", "Invoice_Amount must be greater than Discount_Amount")
    if header["Retention_Amount"] > amount:
        reader.invalid("Retention_Amount", "Retention_Amount must not be more than Invoice_Amount")


def _details(reader: _Reader, header: Row, books: Books) -> list[Row]:
    given = reader.document.get("APInvoiceDetails")
    if not isinstance(given, list) or not given:
        reader.errors.append(_error("M", "The invoice has no details", "APInvoiceDetails"))
        return []
    return [_detail(sequence, line, reader, header, books) for sequence, line in enumerate(given, 1)]


def _detail(sequence: int, line: Any, header_reader: _Reader, header: Row, books: Books) -> Row:
    reader = _Reader(line if isinstance(line, dict) else {}, DETAIL_FIELDS, f"Detail {sequence}: ")
    where = reader.nested("Distribution", {"Company_Code", "GL_Account", "Cost_Center"})
    company, account = where.text("Company_Code", 3), where.text("GL_Account", 12, is_required=True)
    if company and company != header["Company_Code"]:
        where.invalid("Company_Code", f"Company {company} is not the company of the invoice")
    if account:
        _check_account(where, "GL_Account", account, books)
    row: Row = {
        "Sequence": sequence,
        "GL_Account": account,
        "Cost_Center": where.text("Cost_Center", 10),
        "Item_Code": reader.text("Item_Code", 15),
        "Item_Description": reader.text("Item_Description", 35),
        "Unit_Of_Measure": reader.text("Unit_Of_Measure", 3),
        "Quantity": reader.amount("Quantity", 12, is_money=False) or Decimal(0),
        "amount": reader.amount("Amount", 14, is_required=True),
        "Tax_Code": reader.text("Tax_Code", 15),
        "Remarks": reader.text("Remark", 30) or header["Remarks"],
        "WO_Number": "",
        **_job(reader, account, header, books),
    }
    for name in ("Equipment", "Work_Order"):
        if any(reader.nested(name, None).document.values()):
            reader.invalid(name, f"{name} does not exist: the sandbox keeps none")
    header_reader.errors += where.errors + reader.errors
    return row


def _job(reader: _Reader, account: str, header: Row, books: Books) -> Row:
    given = reader.nested("Job", {"Job_Number", "Phase_Code", "Cost_Type"})
    row = {
        "Job_Number": given.text("Job_Number", 10),
        "Phase_Code": given.text("Phase_Code", 20),
        "Cost_Type": given.text("Cost_Type", 3),
    }
    _check_job(given, row, books.accounts.get(account, ("", ""))[0], books)
    job = header["Subcontract_Job"]
    if job and row["Job_Number"] and row["Job_Number"] != job:
        given.invalid("Job_Number", f"Job {row['Job_Number']} is not the job {job} of the subcontract")
    if not given.errors and row["Cost_Type"] and books.cost_types.get(row["Cost_Type"], account) != account:
        given.invalid("GL_Account", "Invalid GL account for job/phase/cost type")
    reader.errors += given.errors
    return row


def _check_job(given: _Reader, row: Row, account_kind: str, books: Books) -> None:
    if account_kind != "direct":
        if account_kind and any(row.values()):
            given.invalid("Job_Number", "A job may be given only with a direct job cost account")
        return
    empty = [name for name, value in row.items() if not value]
    for name in empty:
        given.missing(name)
    if empty:
        return
    job, phase, cost_type = row["Job_Number"], row["Phase_Code"], row["Cost_Type"]
    if "-" in phase:
        given.invalid("Phase_Code", "Phase_Code must be given without dashes")
    elif job not in books.jobs:
        given.invalid("Job_Number", f"Job {job} does not exist")
    elif books.jobs[job] == "C":
        given.invalid("Job_Number", f"Job {job} is Completed")
    elif cost_type not in books.cost_types:
        given.invalid("Cost_Type", f"Cost type {cost_type} does not exist")
    elif (job, phase, cost_type) not in books.phases:
        given.invalid("Phase_Code", f"Job {job}, phase {phase}, cost type {cost_type} is not a valid combination")
    elif books.phases[job, phase, cost_type] != "A":
        given.invalid("Phase_Code", f"Job {job}, phase {phase}, cost type {cost_type} is not active")


def _images(reader: _Reader, books: Books) -> list[str]:
    fields = {"Image_File", "Image_Type", "Document_ID", "Image_Description"}
    found: list[str] = []
    for image in reader.document.get("Images") or ():
        one = _Reader(image if isinstance(image, dict) else {}, frozenset(fields), "Image: ")
        document_id = one.text("Document_ID", 19)
        one.text("Image_Description", 40)
        if not one.document.get("Image_File"):
            one.missing("Image_File")
        if document_id and (document_id in books.document_ids or document_id in found):
            one.invalid("Document_ID", f"Document_ID {document_id} is in use")
        found.append(document_id)
        reader.errors += one.errors
    return [document_id for document_id in found if document_id]


class _Reader:
    """Reads the fields of one object and collects what is wrong with them."""

    def __init__(self, document: Mapping[str, Any], fields: frozenset[str] | None, prefix: str = "") -> None:
        self.document, self.prefix = document, prefix
        self.errors: list[Row] = []
        for name in document:
            if fields is not None and name not in fields:
                self.invalid(str(name), f"{name} is not a field")

    def invalid(self, column: str, words: str) -> None:
        self.errors.append(_error("I", self.prefix + words, column))

    def missing(self, column: str) -> None:
        self.errors.append(_error("M", f"{self.prefix}{column} is missing", column))

    def nested(self, name: str, fields: set[str] | None) -> _Reader:
        given = self.document.get(name) or {}
        if not isinstance(given, dict):
            self.invalid(name, f"{name} must be an object")
            given = {}
        return _Reader(given, None if fields is None else frozenset(fields), self.prefix)

    def text(self, name: str, width: int, is_required: bool = False) -> str:
        value = self.document.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is not None and not isinstance(value, str):
            self.invalid(name, f"{name} must be text")
            return ""
        value = (value or "").strip()
        if is_required and not value:
            self.missing(name)
        if len(value) > width:
            self.invalid(name, f"{name} is {len(value)} characters long; at most {width} are allowed")
        if any(ord(character) < 32 for character in value):
            self.invalid(name, f"{name} has a control character")
        return value

    def choice(self, name: str, codes: str) -> str:
        """Read a one-letter code; the first of them is the default."""
        value = self.text(name, 1)
        if value and value not in codes:
            self.invalid(name, f"{name} must be one of {', '.join(codes)}")
        return value or codes[0]

    def amount(self, name: str, width: int, is_required: bool = False, is_money: bool = True) -> Decimal | None:
        value = self.document.get(name)
        if value is None or value == "":
            if is_required:
                self.missing(name)
            return None
        try:
            amount = Decimal(str(value)) if isinstance(value, str | int | Decimal) else Decimal("NaN")
        except InvalidOperation:
            amount = Decimal("NaN")
        if isinstance(value, bool) or not amount.is_finite():
            self.invalid(name, f"{name} is not an amount")
            return Decimal(0)
        if len(str(value)) > width or abs(amount) > LARGEST_AMOUNT:
            self.invalid(name, f"{name} is too large")
        elif is_money and amount % CENT:
            self.invalid(name, f"{name} has partial cents")
        return amount

    def day(self, name: str) -> date | None:
        value = self.text(name, 10)
        if not value:
            return None
        written = DATE.fullmatch(value)
        try:
            month, day, year = written.groups() if written else ("", "", "")
            return date(int(year), int(month), int(day))
        except ValueError:
            self.invalid(name, f"{name} must be a date written MM/DD/CCYY")
            return None


def _error(code: str, words: str, column: str) -> Row:
    return {"error_code": code, "desc": words, "column": column}


def _written(day: date) -> str:
    return f"{day:%m/%d/%Y}"
