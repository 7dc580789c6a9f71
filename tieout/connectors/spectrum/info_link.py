"""Info-Link, Spectrum's tables in SQL: which there are, and what is asked of them. Nothing is written here."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Date,
    Engine,
    TableClause,
    and_,
    column,
    create_engine,
    inspect,
    or_,
    select,
    table,
)
from sqlalchemy.exc import SQLAlchemyError

from data_contracts.text import plain
from data_contracts.voucher import ErpState, Voucher
from tieout.connectors.base import OpenPeriod
from tieout.connectors.spectrum.settings import SYSTEM, Settings
from tieout.connectors.spectrum.translation import Row, text
from tieout.errors import SettingsError, TransientError

KEYS_PER_QUERY = 200  # each key is asked for in three spellings; SQL Server takes 2,100 parameters


def _table(name: str, columns: str, dates: str = "") -> TableClause:
    texts: list[ColumnClause[Any]] = [column(each) for each in columns.split()]
    return table(f"{name}_MC", *texts, *(column(each, Date) for each in dates.split()))


_DATES = "Invoice_Date Date_Stamp"
_INVOICE = (
    "Company_Code Vendor_Code Invoice_Number Invoice_Amount Remarks"
    " Contract_Number Retention_Amount Batch_Code Document_ID Time_Stamp"  # modelled
)
# In the order in which an invoice moves: one that moves while we read is seen twice, never missed.
_INVOICES: dict[ErpState, TableClause] = {
    "unapproved": _table("VN_INVOICE_APPROVAL_HDR", _INVOICE, _DATES),
    "unposted": _table("VN_INVOICE_TRAN_HEADER", _INVOICE, _DATES),
    "posted": _table("VN_GL_DISTRIBUTION_HEADER", f"{_INVOICE} Void_Flag", _DATES),
}
_PAYMENTS = _table(
    "VN_PAYMENT_HISTORY",
    "Company_Code Vendor_Code Check_Number Payment_Amount Sequence Invoice_Number"
    " Bank_Account_Code Discount_Amount Payment_Kind Payment_Method Joint_Payee Void_Flag Time_Stamp",  # modelled
    "Check_Date Void_Date Date_Stamp",
)
VENDORS = _table("VN_VENDOR_MASTER", "Company_Code Vendor_Code Vendor_Name Status")
JOBS = _table("JC_JOB_MASTER", "Company_Code Job_Number Job_Description Status")
COST_TYPES = _table("JC_COST_TYPE_MASTER", "Company_Code Cost_Type GL_Account")
PHASES = _table("JC_PHASE_MASTER", "Company_Code Job_Number Phase_Code Cost_Type Status")
SUBCONTRACTS = _table("VN_SUBCONTRACT", "Company_Code Vendor_Code Contract_Number Job_Number Status")
_PERIODS = _table("AP_PROCESSING_DATES", "Company_Code", "First_Date Last_Date")  # modelled
_TABLES = (*_INVOICES.values(), _PAYMENTS, VENDORS, JOBS, COST_TYPES, PHASES, SUBCONTRACTS, _PERIODS)


class Seen(NamedTuple):
    """A row of an invoice, and the state that its table means."""

    row: Row
    state: ErpState


class InfoLink:
    """The tables of one company."""

    def __init__(self, settings: Settings) -> None:
        """Connect at the first use."""
        self._settings = settings
        self._engine = _engine(settings.info_link_url.get_secret_value())

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    def invoices_of(self, vouchers: Sequence[Voucher]) -> Iterator[Seen]:
        """Yield what bears the key of one of these, or its vendor and number; the last state of each comes last."""
        for start in range(0, len(vouchers), KEYS_PER_QUERY):
            chunk = vouchers[start : start + KEYS_PER_QUERY]
            keys = {voucher.key for voucher in chunk}
            names = {(voucher.vendor_erp, voucher.invoice_number) for voucher in chunk}
            numbers = {number for _, number in names}
            for state, rows in _INVOICES.items():
                ours = or_(_among(rows, "Remarks", keys, 30), _among(rows, "Invoice_Number", numbers, 20))
                for row in self.read(rows, ours):
                    named = (text(row.Vendor_Code), text(row.Invoice_Number))
                    if text(row.Remarks) in keys or named in names:  # another vendor's number is nobody's business
                        yield Seen(row, state)

    def invoices(self, since: datetime | None) -> Iterator[Seen]:
        """Yield what may carry our key and changed since that day; the last state of each comes last."""
        for state, rows in _INVOICES.items():
            for row in self.read(rows, rows.c.Remarks.like("%P%"), *self._changed(rows, since)):
                yield Seen(row, state)

    def payments(self, since: datetime | None) -> Iterator[Row]:
        """Yield the payment applications that changed since that day."""
        yield from self.read(_PAYMENTS, *self._changed(_PAYMENTS, since))

    def open_period(self) -> OpenPeriod:
        """Return the A/P processing dates."""
        row = next(self.read(_PERIODS), None)
        return OpenPeriod(row.First_Date, row.Last_Date) if row else OpenPeriod()

    def read(self, rows: TableClause, *where: ColumnElement[bool]) -> Iterator[Row]:
        """Yield the company's rows of a table, a few at a time."""
        ours = _among(rows, "Company_Code", [self._settings.company_code], 3)
        with self._connection(rows) as connection:
            streaming = connection.execution_options(yield_per=1000)
            yield from streaming.execute(select(rows).where(and_(ours, *where)))

    def unreadable(self) -> Iterator[tuple[str, SettingsError | TransientError]]:
        """Yield the name of each table that cannot be read, and why."""
        for each in _TABLES:
            try:
                with self._connection(each) as connection:
                    connection.execute(select(each).limit(1)).first()
            except (SettingsError, TransientError) as error:
                yield each.name, error

    def _changed(self, rows: TableClause, since: datetime | None) -> list[ColumnElement[bool]]:
        day = since and since.astimezone(self._settings.zone).date()
        return [rows.c.Date_Stamp >= day] if day else []

    @contextmanager
    def _connection(self, rows: TableClause) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._why_unread(rows, error) from None

    def _why_unread(self, rows: TableClause, error: SQLAlchemyError) -> SettingsError | TransientError:
        """Tell a table that is not there from a database that does not answer."""
        where, words = f"Info-Link table {rows.name}", self._without_secret(str(getattr(error, "orig", error)))
        try:
            if not inspect(self._engine).has_table(rows.name):
                return SettingsError(SYSTEM, where, "it does not exist or may not be read")
        except SQLAlchemyError:
            pass  # the database does not answer at all: transient, as said below
        return TransientError(SYSTEM, where, words)

    def _without_secret(self, words: str) -> str:
        password = self._engine.url.password
        return plain(words.replace(str(password), "***") if password else words, 300)


def _engine(url: str) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        # The words of some of these errors quote the whole URL with its password.
        words = f"info_link_url cannot be opened ({type(error).__name__}); is the driver installed?"
        raise SettingsError(SYSTEM, "Info-Link", words) from None


def _among(rows: TableClause, name: str, values: Iterable[str], width: int) -> ColumnElement[bool]:
    """Compare with a CHAR column in every way it may be filled up, so that the database can use its index."""
    wanted = sorted({spelling for value in values for spelling in (value, value.ljust(width), value.rjust(width))})
    return rows.c[name].in_(wanted)
