"""The Spectrum stand-in's database: Info-Link tables by their real names, text columns padded with blanks.

What is documented of Info-Link are the names of the tables and the columns in `DOCUMENTED_COLUMNS`.
Every other column is modelled on the fields of the web service, and `AP_PROCESSING_DATES_MC` is modelled whole.
Each table is stored without the suffix `_MC` and shown under its real name by a view, so that reading one of
them can be switched off as a Spectrum administrator would, while the stand-in itself goes on.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Connection, Date, Engine, Integer, MetaData, String, Table, create_engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

DOCUMENTED_COLUMNS = frozenset(
    "Company_Code Vendor_Code Vendor_Name Invoice_Number Invoice_Type_Code Invoice_Amount Check_Number"
    " Check_Date Status Remarks Date_Stamp Subcontract_Job Sequence Job_Number Phase_Code Cost_Type"
    " Debit_Amount Credit_Amount Quantity Item_Code WO_Number Payment_Amount".split()
)


class Char(TypeDecorator[str]):
    """A CHAR column: what is stored, and therefore read, is filled up with blanks."""

    impl = String
    cache_ok = True

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.width = width

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return ("" if value is None else str(value)).ljust(self.width)

    def process_result_value(self, value: Any, dialect: Dialect) -> str:
        return (value or "").strip()


class Exact(TypeDecorator[Decimal]):
    """A DECIMAL(14,2) column; SQLite has none and would make it a float, so here it is text."""

    impl = String(17)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else f"{Decimal(value):.2f}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


metadata = MetaData()


def _table(name: str, keys: str, **columns: Any) -> Table:
    primary = keys.split()
    made = [Column(column, kind, primary_key=column in primary) for column, kind in columns.items()]
    return Table(name, metadata, *made)


STAMP = {"Date_Stamp": Date, "Time_Stamp": Char(8)}
INVOICE_KEY = {"Company_Code": Char(3), "Vendor_Code": Char(10), "Invoice_Number": Char(20)}
HEADER = {
    **INVOICE_KEY,
    "Vendor_Name": Char(30),
    "Invoice_Type_Code": Char(1),
    "Invoice_Date": Date,
    "GL_Date": Date,
    "Invoice_Amount": Exact,
    "Sales_Tax_Amount": Exact,
    "VAT_Code": Char(10),
    "Total_VAT_Amount": Exact,
    "Contract_Number": Char(10),
    "Subcontract_Job": Char(10),
    "Retention_Amount": Exact,
    "Batch_Code": Char(10),
    "Payment_Due_Date": Date,
    "Discount_Due_Date": Date,
    "Discount_Amount": Exact,
    "Status": Char(1),  # H on hold, O open
    "Payment_Status": Char(1),
    "Bank_Account_Code": Char(10),
    "Check_Number": Char(6),
    "Check_Date": Date,
    "AP_GL_Account": Char(12),
    "Cost_Center": Char(10),
    "Remarks": Char(30),
    "Routing_Code": Char(10),
    "Document_ID": Char(19),
    **STAMP,
}
DETAIL = {
    **INVOICE_KEY,
    "Sequence": Integer,
    "Job_Number": Char(10),
    "Phase_Code": Char(20),
    "Cost_Type": Char(3),
    "GL_Account": Char(12),
    "Cost_Center": Char(10),
    "Debit_Amount": Exact,
    "Credit_Amount": Exact,
    "Quantity": Exact,
    "Unit_Of_Measure": Char(3),
    "Item_Code": Char(15),
    "Item_Description": Char(35),
    "Tax_Code": Char(15),
    "WO_Number": Char(10),
    "Remarks": Char(30),
}
ONE_INVOICE = "Company_Code Vendor_Code Invoice_Number"
ONE_LINE = f"{ONE_INVOICE} Sequence"

unapproved = _table("VN_INVOICE_APPROVAL_HDR", ONE_INVOICE, **HEADER)
unapproved_lines = _table("VN_INVOICE_APPROVAL_DET", ONE_LINE, **DETAIL)
unposted = _table("VN_INVOICE_TRAN_HEADER", ONE_INVOICE, **HEADER)
unposted_lines = _table("VN_INVOICE_TRAN_DETAIL", ONE_LINE, **DETAIL)
posted = _table("VN_GL_DISTRIBUTION_HEADER", ONE_INVOICE, **HEADER, Void_Flag=Char(1), Void_Date=Date)
posted_lines = _table("VN_GL_DISTRIBUTION_DETAIL", ONE_LINE, **DETAIL)
payments = _table(
    "VN_PAYMENT_HISTORY",
    "Company_Code Bank_Account_Code Check_Number Vendor_Code Invoice_Number Sequence",
    **INVOICE_KEY,
    Bank_Account_Code=Char(10),
    Check_Number=Char(6),
    Sequence=Integer,
    Check_Date=Date,
    Payment_Amount=Exact,
    Discount_Amount=Exact,
    Payment_Kind=Char(1),  # P progress, R retention
    Payment_Method=Char(1),  # C check, D card, E electronic
    Joint_Payee=Char(30),  # modelled: no public page names a column for it
    Contract_Number=Char(10),
    Void_Flag=Char(1),
    Void_Date=Date,
    **STAMP,
)
manual_checks = _table(
    "VN_MANUAL_CHECK_WORK",
    "Company_Code Bank_Account_Code Check_Number Vendor_Code Invoice_Number",
    **INVOICE_KEY,
    Bank_Account_Code=Char(10),
    Check_Number=Char(6),
    Check_Date=Date,
    Payment_Amount=Exact,
)
COMPANY = {"Company_Code": Char(3)}
banks = _table(
    "BR_BANK_ACCOUNT",
    "Company_Code Bank_Account_Code",
    **COMPANY,
    Bank_Account_Code=Char(10),
    Description=Char(30),
    GL_Account=Char(12),
    Currency_Code=Char(3),
)
vendors = _table(
    "VN_VENDOR_MASTER",
    "Company_Code Vendor_Code",
    **COMPANY,
    Vendor_Code=Char(10),
    Vendor_Name=Char(30),
    Status=Char(1),
)
jobs = _table(
    "JC_JOB_MASTER",
    "Company_Code Job_Number",
    **COMPANY,
    Job_Number=Char(10),
    Job_Description=Char(25),
    Status=Char(1),
)
cost_types = _table(
    "JC_COST_TYPE_MASTER",
    "Company_Code Cost_Type",
    **COMPANY,
    Cost_Type=Char(3),
    Description=Char(25),
    GL_Account=Char(12),
)
phases = _table(
    "JC_PHASE_MASTER",
    "Company_Code Job_Number Phase_Code Cost_Type",
    **COMPANY,
    Job_Number=Char(10),
    Phase_Code=Char(20),
    Cost_Type=Char(3),
    Description=Char(25),
    Status=Char(1),
)
subcontracts = _table(
    "VN_SUBCONTRACT",
    "Company_Code Vendor_Code Contract_Number",
    **COMPANY,
    Vendor_Code=Char(10),
    Contract_Number=Char(10),
    Job_Number=Char(10),
    Description=Char(30),
    Status=Char(1),
    Contract_Amount=Exact,
)
subcontract_phases = _table(
    "VN_SUBCONTRACT_PHASE",
    "Company_Code Contract_Number Phase_Code Cost_Type",
    **COMPANY,
    Contract_Number=Char(10),
    Phase_Code=Char(20),
    Cost_Type=Char(3),
    Contract_Amount=Exact,
)
accounts = _table(
    "GL_MASTER",
    "Company_Code GL_Account",
    **COMPANY,
    GL_Account=Char(12),
    Description=Char(30),
    Account_Kind=Char(8),
    Status=Char(1),
)
periods = _table(
    "AP_PROCESSING_DATES",
    "Company_Code",
    **COMPANY,
    First_Date=Date,
    Last_Date=Date,
    Currency_Code=Char(3),
)

INFO_LINK = {f"{table.name}_MC": table for table in metadata.sorted_tables}

settings = Table(  # the stand-in's own memory, no part of Spectrum
    "sandbox_setting", metadata, Column("name", String, primary_key=True), Column("value", String)
)


def open_database(url: str) -> Engine:
    """Open the stand-in's database, with its tables and views made if they are missing."""
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")  # readers through Info-Link are never kept waiting
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA busy_timeout=5000")

    with engine.begin() as connection:
        is_new = not connection.dialect.has_table(connection, settings.name)
        metadata.create_all(connection)
        for table in INFO_LINK if is_new else ():
            set_readable(connection, table, True)
    return engine


def set_readable(connection: Connection, info_link_table: str, is_readable: bool) -> None:
    """Show a table to Info-Link under its real name, or take it away."""
    table = INFO_LINK[info_link_table]
    connection.exec_driver_sql(f'DROP VIEW IF EXISTS "{info_link_table}"')
    if is_readable:
        connection.exec_driver_sql(f'CREATE VIEW "{info_link_table}" AS SELECT * FROM "{table.name}"')
