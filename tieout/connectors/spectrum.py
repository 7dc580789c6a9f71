"""Trimble Spectrum: AP invoices written by REST, everything read from Info-Link's SQL tables.

Vendor's pages, under help.trimble.com/en/spectrum/spectrum/api-web-services: Vendor Invoice Multi-Line
(`POST /vendor/invoice`), Get Vendors (`GET /vendors/{Company_Code}`); tables: Info-Link's guide to Spectrum files.
- An invoice with an error is refused whole, with every reason; the others of the same call are taken.
- A vendor's invoice number is taken once for ever: unapproved, unposted, posted, voided and rejected ones count.
- Text columns are CHAR, filled up with blanks; codes may stand at either end of them.
- Unset processing dates are an HTTP 500. No web service tells of payments: they come from the payment history.

Modelled, because no public page shows it: the body of the answer, the table of processing dates, and the columns
marked `modelled` below. Not supported: purchase orders, release of retention, tax, credit memos, changing an
invoice, images, the SOAP services, hosted OAuth.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr, ValidationError
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
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

from data_contracts.reference import (
    ErpJob,
    ErpPhase,
    ErpSubcontract,
    ErpVendor,
    Problem,
    Reference,
)
from data_contracts.text import plain
from data_contracts.voucher import (
    Created,
    ErpInvoice,
    ErpState,
    Outcome,
    Payment,
    Refused,
    Unreadable,
    Voucher,
    VoucherLine,
)
from tieout.connectors.base import Capabilities, all_readable, found_for, parse_key, readable
from tieout.connectors.wire import PATIENCE, Basic, Client, parse, request_id
from tieout.errors import ContractError, RefusedError, SettingsError, TransientError, UnconfirmedError
from tieout.settings import Section, read_section

SYSTEM = "Spectrum"
_HINTS = {
    403: "let the Authorization ID use this web service, in Data Exchange Installation",
    404: "is the address in the settings right?",
}
KEYS_PER_QUERY = 200  # each key is asked for in three spellings; SQL Server takes 2,100 parameters
Row = Any


class Settings(Section):
    """The section `[spectrum]`; TIEOUT_SPECTRUM__AUTHORIZATION_ID and __INFO_LINK_URL hold the secrets."""

    url: str
    company_code: str = Field(min_length=1, max_length=3)
    authorization_id: SecretStr
    info_link_url: SecretStr
    currency: str = "USD"
    time_zone: str = "UTC"  # of the server that writes the stamps
    timeout: float = Field(60.0, gt=0)  # seconds
    settles_seconds: float = Field(120.0, ge=0)  # a write is visible to Info-Link after this at the latest
    invoices_per_call: int = Field(50, ge=1, le=500)


# Translation to Spectrum: field, its source in words, its value. `field_mapping` makes the documentation of it.
_HEADER: dict[str, tuple[str, Callable[[Voucher], str]]] = {
    "Company_Code": ("company_code of the settings", lambda v: v.company_erp),
    "Vendor_Code": ("vendor, mapped", lambda v: v.vendor_erp),
    "Invoice_Number": ("invoice number", lambda v: v.invoice_number),
    "Invoice_Type_Code": ("always I, an invoice", lambda v: "I"),
    "Approval_Status": ("always A: entered, unposted", lambda v: "A"),
    "GL_Date": ("accounting date, in the open period", lambda v: _day(v.accounting_on)),
    "Invoice_Date": ("billing date", lambda v: _day(v.invoice_on)),
    "Invoice_Amount": ("sum of the lines, retention included", lambda v: _money(v.gross)),
    "Contract_Number": ("commitment, mapped", lambda v: v.contract_erp),
    "Retention_Amount": ("retainage held this period", lambda v: _money(v.retention)),
    "Batch_Code": ("week-ending day of the sync", lambda v: v.batch_code),
    "Status": ("O, open; H, on hold, where a paper is missing and the policy says so", lambda v: "OH"[v.holds_payment]),
    "Payment_Status": ("always U, unpaid", lambda v: "U"),
    "Remarks": ("key: Procore company and invoice id", lambda v: v.key),
}
_DETAIL: dict[str, tuple[str, Callable[[Voucher, VoucherLine], str | None]]] = {
    "Distribution.Company_Code": ("company_code of the settings", lambda v, line: v.company_erp),
    "Distribution.GL_Account": ("cost type's account in Spectrum", lambda v, line: line.gl_account),
    "Item_Description": ("line description, first 35 characters", lambda v, line: plain(line.description, 35)),
    "Amount": ("work + (stored now - stored before) + moved", lambda v, line: _money(line.amount)),
    "Job.Job_Number": ("project, mapped", lambda v, line: line.job),
    "Job.Phase_Code": ("cost code, mapped", lambda v, line: line.phase),
    "Job.Cost_Type": ("line item type, mapped", lambda v, line: line.cost_type),
    "Remark": ("provenance", lambda v, line: v.source.partition(":")[0][:30]),
}


# What an accountant may look for and not find, with the reason: the same page lists it.
_NOT_SENT = (
    ("payee, remit-to, pay location", "Spectrum takes those of its own vendor record; Procore is not asked for them"),
    ("second payee of a joint check", "it belongs to the payment, and comes back as a note on Payments Issued"),
    ("payment due date, terms, pay-when-paid", "Spectrum's own settings of vendor and subcontract decide"),
    ("tax", "no connector field carries it yet; an invoice with tax is held by the rule `tax-not-carried`"),
    ("retention released", "released by hand in Spectrum; see `Release Retention by Hand` in the operator's guide"),
    ("attachments", "they stay in Procore, where they may be edited after the export"),
)


class _WireError(BaseModel):
    desc: str = ""
    column: str = ""


class _WireResult(BaseModel):
    Vendor_Code: str
    Invoice_Number: str
    Document_ID: str = ""
    Status: Literal["Imported", "Rejected"]
    Errors: list[_WireError] = []


class _WireAnswer(BaseModel):
    APInvoices: list[_WireResult]


def _info_link(name: str, columns: str, dates: str = "") -> TableClause:
    texts: list[ColumnClause[Any]] = [column(each) for each in columns.split()]
    return table(f"{name}_MC", *texts, *(column(each, Date) for each in dates.split()))


_DATES = "Invoice_Date Date_Stamp"
_INVOICE = (
    "Company_Code Vendor_Code Invoice_Number Invoice_Amount Remarks"
    " Contract_Number Retention_Amount Batch_Code Document_ID Time_Stamp"  # modelled
)
# In the order in which an invoice moves: one that moves while we read is seen twice, never missed.
_INVOICE_TABLES: tuple[tuple[ErpState, TableClause], ...] = (
    ("unapproved", _info_link("VN_INVOICE_APPROVAL_HDR", _INVOICE, _DATES)),
    ("unposted", _info_link("VN_INVOICE_TRAN_HEADER", _INVOICE, _DATES)),
    ("posted", _info_link("VN_GL_DISTRIBUTION_HEADER", f"{_INVOICE} Void_Flag", _DATES)),
)
_PAYMENTS = _info_link(
    "VN_PAYMENT_HISTORY",
    "Company_Code Vendor_Code Check_Number Payment_Amount Sequence Invoice_Number"
    " Bank_Account_Code Discount_Amount Payment_Kind Payment_Method Joint_Payee Void_Flag Time_Stamp",  # modelled
    "Check_Date Void_Date Date_Stamp",
)
_VENDORS = _info_link("VN_VENDOR_MASTER", "Company_Code Vendor_Code Vendor_Name Status")
_JOBS = _info_link("JC_JOB_MASTER", "Company_Code Job_Number Job_Description Status")
_COST_TYPES = _info_link("JC_COST_TYPE_MASTER", "Company_Code Cost_Type GL_Account")
_PHASES = _info_link("JC_PHASE_MASTER", "Company_Code Job_Number Phase_Code Cost_Type Status")
_SUBCONTRACTS = _info_link("VN_SUBCONTRACT", "Company_Code Vendor_Code Contract_Number Job_Number Status")
_PERIODS = _info_link("AP_PROCESSING_DATES", "Company_Code", "First_Date Last_Date")  # modelled
_TABLES = (
    *(each for _, each in _INVOICE_TABLES),
    *(_PAYMENTS, _VENDORS, _JOBS, _COST_TYPES, _PHASES, _SUBCONTRACTS, _PERIODS),
)
_METHODS: dict[str, Literal["check", "credit_card", "electronic"]] = {
    "C": "check",
    "D": "credit_card",
    "E": "electronic",
}


def field_mapping() -> list[tuple[str, str]]:
    """Return every field that is sent, with where it comes from: the documentation is generated from this."""
    header = [(name, words) for name, (words, _) in _HEADER.items()]
    return header + [(f"APInvoiceDetails.{name}", words) for name, (words, _) in _DETAIL.items()]


def not_sent() -> list[tuple[str, str]]:
    """Return what is left to Spectrum or to Procore, with the reason."""
    return list(_NOT_SENT)


def _to_wire(voucher: Voucher) -> dict[str, Any]:
    document: dict[str, Any] = {name: value(voucher) for name, (_, value) in _HEADER.items()}
    document["APInvoiceDetails"] = [_detail_to_wire(voucher, line) for line in voucher.lines]
    return document


def _detail_to_wire(voucher: Voucher, line: VoucherLine) -> dict[str, Any]:
    detail: dict[str, Any] = {}
    for name, (_, value) in _DETAIL.items():
        group, _, field = name.rpartition(".")
        target = detail.setdefault(group, {}) if group else detail
        target[field] = value(voucher, line)
    return detail


def _outcomes(answer: _WireAnswer, vouchers: Sequence[Voucher], origin: str | None) -> list[Outcome]:
    """Tie each result to its voucher; ValueError when the answer is about something else."""
    sent = [(voucher.vendor_erp, voucher.invoice_number) for voucher in vouchers]
    if sent != [(result.Vendor_Code.strip(), result.Invoice_Number.strip()) for result in answer.APInvoices]:
        raise ValueError("the answer does not list the invoices that were sent")
    results = zip(vouchers, answer.APInvoices, strict=True)
    return [_outcome(voucher, result, origin) for voucher, result in results]


def _outcome(voucher: Voucher, result: _WireResult, origin: str | None) -> Outcome:
    if result.Status == "Imported":
        if not result.Document_ID.strip():
            raise ValueError("an imported invoice has no Document_ID")
        return Created(key=voucher.key, document_id_erp=result.Document_ID.strip())
    words = [plain(f"{error.desc} ({error.column})" if error.column else error.desc) for error in result.Errors]
    reasons = tuple(dict.fromkeys(words)) or ("rejected without a reason",)
    return Refused(key=voucher.key, reasons=reasons, request_id=origin)


def _from_wire(row: Row, state: ErpState, settings: Settings) -> ErpInvoice:
    remarks = _text(row.Remarks)
    is_void = state == "posted" and _text(row.Void_Flag) == "Y"
    return ErpInvoice(
        key=remarks if parse_key(remarks) else None,
        document_id_erp=_text(row.Document_ID),
        company_erp=_text(row.Company_Code),
        vendor_erp=_text(row.Vendor_Code),
        contract_erp=_text(row.Contract_Number) or None,
        invoice_number=_text(row.Invoice_Number),
        invoice_on=row.Invoice_Date,
        batch_code=_text(row.Batch_Code) or None,
        state="void" if is_void else state,
        currency=settings.currency,
        gross=_amount(row.Invoice_Amount),
        retention=_amount(row.Retention_Amount),
        changed_at=_stamp(row, settings),
    )


def _payment_from_wire(row: Row, settings: Settings) -> Payment:
    names = ("Company_Code", "Bank_Account_Code", "Check_Number", "Vendor_Code", "Invoice_Number", "Sequence")
    return Payment(
        application_id_erp="/".join(_text(getattr(row, name)) for name in names),
        company_erp=_text(row.Company_Code),
        vendor_erp=_text(row.Vendor_Code),
        invoice_number=_text(row.Invoice_Number),
        check_number=_text(row.Check_Number),
        method=_METHODS.get(_text(row.Payment_Method)),
        kind="retention" if _text(row.Payment_Kind) == "R" else "progress",
        joint_payee=plain(_text(row.Joint_Payee), 80),
        paid_on=row.Check_Date,
        amount=_amount(row.Payment_Amount),
        discount=_amount(row.Discount_Amount),
        currency=settings.currency,
        is_void=_text(row.Void_Flag) == "Y",
        voided_on=row.Void_Date,
        changed_at=_stamp(row, settings),
    )


def _named(row: Row) -> str:
    return f"invoice {_text(row.Invoice_Number)} of vendor {_text(row.Vendor_Code)}"


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _amount(value: Any) -> Decimal:
    if isinstance(value, float):
        raise ContractError(SYSTEM, "an amount in Info-Link", "it came as a binary fraction, not as a decimal")
    return Decimal(0) if value is None else Decimal(str(value).strip())


def _stamp(row: Row, settings: Settings) -> datetime | None:
    if row.Date_Stamp is None:
        return None
    moment = datetime.fromisoformat(f"{row.Date_Stamp}T{_text(row.Time_Stamp) or '00:00:00'}")
    return moment.replace(tzinfo=ZoneInfo(settings.time_zone))


def _day(day: date) -> str:
    return f"{day:%m/%d/%Y}"


def _money(amount: Decimal) -> str:
    if amount != amount.quantize(Decimal("0.01")):
        raise ContractError(SYSTEM, "a voucher", f"{amount} has a part of a cent")
    return f"{amount:.2f}"


class Connector:
    """Spectrum for one company."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open nothing yet: connections are made at the first use."""
        self.settings, self._now = settings, now
        self.capabilities = _capabilities(settings)
        basic = Basic(settings.company_code, settings.authorization_id.get_secret_value())
        self._http = Client(SYSTEM, settings.url, settings.timeout, basic)
        self._engine = _engine(settings.info_link_url.get_secret_value())

    @classmethod
    def from_settings(cls) -> "Connector":
        """Build the connector that the settings describe."""
        return cls(read_section(Settings, "spectrum"))

    def close(self) -> None:
        """Release sockets and database connections."""
        self._http.close()
        self._engine.dispose()

    def preview(self, voucher: Voucher) -> dict[str, Any]:
        """Return the exact payload that `create` would send for this voucher. No I/O."""
        return _to_wire(voucher)

    def create(self, vouchers: Sequence[Voucher]) -> list[Outcome]:
        """Write unposted invoices in one call; one outcome per voucher, in order."""
        document = f"{len(vouchers)} invoices" if len(vouchers) > 1 else f"invoice {vouchers[0].invoice_number}"
        body = {"APInvoices": [_to_wire(voucher) for voucher in vouchers]}
        try:
            response = self._http.write("POST", "/vendor/invoice", document, hints=_HINTS, json=body)
        except RefusedError as refusal:
            return self._refused_whole(vouchers, refusal)
        try:
            answer = _WireAnswer.model_validate(parse(response))
            return _outcomes(answer, vouchers, request_id(response))
        except ValueError as error:  # pydantic's ValidationError is one
            words = "the answer has an unknown form" if isinstance(error, ValidationError) else str(error)
            raise UnconfirmedError(SYSTEM, document, words, request_id(response)) from None

    def _refused_whole(self, vouchers: Sequence[Voucher], refusal: RefusedError) -> list[Outcome]:
        reasons, origin = (refusal.reason,), refusal.request_id
        return [Refused(key=voucher.key, reasons=reasons, request_id=origin) for voucher in vouchers]

    def update(self, voucher: Voucher) -> Outcome:
        """Refuse: no web service changes an invoice that was entered."""
        return Refused(key=voucher.key, reasons=("no web service of Spectrum changes an invoice that was entered",))

    def find(self, vouchers: Sequence[Voucher]) -> dict[str, list[ErpInvoice]]:
        """Return by key what Spectrum holds: by our key in Remarks, else by vendor and invoice number."""
        looks = (invoice for chunk in _chunks(vouchers, KEYS_PER_QUERY) for invoice in self._look(chunk))
        there = all_readable(SYSTEM, looks)
        records = {(each.vendor_erp, each.invoice_number): each for each in there}  # the last state of each
        return found_for(vouchers, records.values())

    def _look(self, vouchers: Sequence[Voucher]) -> Iterator[ErpInvoice | Unreadable]:
        keys = {voucher.key for voucher in vouchers}
        names = {(voucher.vendor_erp, voucher.invoice_number) for voucher in vouchers}
        numbers = {number for _, number in names}
        for state, invoices in _INVOICE_TABLES:
            ours = or_(_among(invoices, "Remarks", keys, 30), _among(invoices, "Invoice_Number", numbers, 20))
            for row in self._read(invoices, ours):
                named = (_text(row.Vendor_Code), _text(row.Invoice_Number))
                if _text(row.Remarks) in keys or named in names:  # another vendor's number is nobody's business
                    yield readable(_named(row), partial(_from_wire, row, state, self.settings))

    def invoices(self, since: datetime | None) -> Iterator[ErpInvoice | Unreadable]:
        """Yield invoices that carry our key and changed at or after `since`; the last state of each comes last."""
        for state, invoices in _INVOICE_TABLES:
            for row in self._read(invoices, invoices.c.Remarks.like("%P%"), *self._changed(invoices, since)):
                invoice = readable(_named(row), partial(_from_wire, row, state, self.settings))
                if isinstance(invoice, Unreadable) or (invoice.key and _is_since(invoice.changed_at, since)):
                    yield invoice

    def payments(self, since: datetime | None) -> Iterator[Payment | Unreadable]:
        """Yield posted payment applications that changed at or after `since`, voids included."""
        for row in self._read(_PAYMENTS, *self._changed(_PAYMENTS, since)):
            document = f"payment {_text(row.Check_Number)} of {_named(row)}"
            payment = readable(document, partial(_payment_from_wire, row, self.settings))
            if isinstance(payment, Unreadable) or _is_since(payment.changed_at, since):
                yield payment

    def reference(self) -> Reference:
        """Return the company's vendors, jobs, phases, subcontracts and open period."""
        accounts = {_text(row.Cost_Type): _text(row.GL_Account) for row in self._read(_COST_TYPES)}
        first, last = self._period()
        return Reference(
            company_erp=self.settings.company_code,
            currency=self.settings.currency,
            vendors=tuple(_vendor(row) for row in self._read(_VENDORS)),
            jobs=tuple(_job(row) for row in self._read(_JOBS)),
            phases=tuple(_phase(row, accounts) for row in self._read(_PHASES)),
            subcontracts=tuple(_subcontract(row) for row in self._read(_SUBCONTRACTS)),
            open_from=first,
            open_to=last,
        )

    def check(self) -> list[Problem]:
        """Return what stands in the way: the Authorization ID, unreadable tables, the processing dates."""
        problems = [*self._check_rest(), *self._check_tables()]
        return problems if any(problem.check == "tables" for problem in problems) else problems + self._check_period()

    def _check_rest(self) -> Iterator[Problem]:
        try:
            self._http.read("GET", f"/vendors/{self.settings.company_code}", "the preflight")
        except SettingsError as error:
            yield _problem("credentials", str(error), "Check company code and Authorization ID in Data Exchange.")
        except RefusedError as error:
            yield _problem("rights", str(error), "Let the Authorization ID use the vendor web services.")
        except TransientError as error:
            yield _problem("connection", str(error), "Check the address, and that Spectrum's port is open.")

    def _check_tables(self) -> Iterator[Problem]:
        for each in _TABLES:
            try:
                with self._connection(each) as connection:
                    connection.execute(select(each).limit(1)).first()
            except (SettingsError, TransientError) as error:
                yield _problem("tables", str(error), f"Let the Info-Link user read {each.name}.")

    def _check_period(self) -> list[Problem]:
        first, last = self._period()
        today = self._now().astimezone(ZoneInfo(self.settings.time_zone)).date()
        if first is None or last is None:
            return [_problem("period", "the A/P processing dates are not set", "Set them in Spectrum.")]
        if first <= today <= last:
            return []
        closed = f"today, {today}, is outside the A/P processing dates {first} to {last}"
        return [_problem("period", closed, "Open the period in Spectrum.", is_blocking=False)]

    def _period(self) -> tuple[date | None, date | None]:
        row = next(self._read(_PERIODS), None)
        return (row.First_Date, row.Last_Date) if row else (None, None)

    def _changed(self, rows: TableClause, since: datetime | None) -> list[ColumnElement[bool]]:
        day = since and since.astimezone(ZoneInfo(self.settings.time_zone)).date()
        return [rows.c.Date_Stamp >= day] if day else []

    def _read(self, rows: TableClause, *where: ColumnElement[bool]) -> Iterator[Row]:
        """Yield the company's rows of a table, a few at a time."""
        ours = _among(rows, "Company_Code", [self.settings.company_code], 3)
        with self._connection(rows) as connection:
            streaming = connection.execution_options(yield_per=1000)
            yield from streaming.execute(select(rows).where(and_(ours, *where)))

    @contextmanager
    def _connection(self, rows: TableClause) -> Iterator[Any]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._unreadable(rows, error) from None

    def _unreadable(self, rows: TableClause, error: SQLAlchemyError) -> SettingsError | TransientError:
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


def _capabilities(settings: Settings) -> Capabilities:
    return Capabilities(
        name="spectrum",
        purchase_orders=False,
        retention_release=False,
        credit_memos=False,
        tax=False,
        update=False,
        refuses_duplicates=True,
        settles_within=timedelta(seconds=settings.settles_seconds),
        # Connecting, sending and waiting may each take as long as the time-out, after a stated wait.
        request_timeout=timedelta(seconds=3 * settings.timeout + PATIENCE),
        invoices_per_call=settings.invoices_per_call,
        invoice_number_length=20,
        contract_number_length=10,
        menu_path="Accounts Payable > Data Entry > Vendor Invoices",
        # No public page names the screen, so this names the menu only.
        release_path="Accounts Payable > Data Entry, the retention of the subcontract",
        payment_hold=True,
    )


def _engine(url: str) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        # The words of some of these errors quote the whole URL with its password.
        words = f"info_link_url cannot be opened ({type(error).__name__}); is the driver installed?"
        raise SettingsError(SYSTEM, "Info-Link", words) from None


def _vendor(row: Row) -> ErpVendor:
    name, status = _text(row.Vendor_Name), _text(row.Status)
    return ErpVendor(code=_text(row.Vendor_Code), name=name, is_active=status == "A")


def _job(row: Row) -> ErpJob:
    name, status = _text(row.Job_Description), _text(row.Status)
    return ErpJob(number=_text(row.Job_Number), name=name, is_active=status == "A")


def _phase(row: Row, accounts: dict[str, str]) -> ErpPhase:
    cost_type = _text(row.Cost_Type)
    return ErpPhase(
        job=_text(row.Job_Number),
        phase=_text(row.Phase_Code),
        cost_type=cost_type,
        is_active=_text(row.Status) == "A",
        gl_account=accounts.get(cost_type) or None,
    )


def _subcontract(row: Row) -> ErpSubcontract:
    return ErpSubcontract(
        number=_text(row.Contract_Number),
        vendor=_text(row.Vendor_Code),
        job=_text(row.Job_Number),
        is_active=_text(row.Status) == "A",
    )


def _problem(check: str, message: str, remedy: str, is_blocking: bool = True) -> Problem:
    return Problem(system=SYSTEM, check=check, is_blocking=is_blocking, message=message, remedy=remedy)


def _is_since(changed_at: datetime | None, since: datetime | None) -> bool:
    return since is None or changed_at is None or changed_at >= since.replace(microsecond=0)


def _among(rows: TableClause, name: str, values: Iterable[str], width: int) -> ColumnElement[bool]:
    """Compare with a CHAR column in every way it may be filled up, so that the database can use its index."""
    wanted = sorted({spelling for value in values for spelling in (value, value.ljust(width), value.rjust(width))})
    return rows.c[name].in_(wanted)


def _chunks(vouchers: Sequence[Voucher], size: int) -> Iterator[Sequence[Voucher]]:
    return (vouchers[start : start + size] for start in range(0, len(vouchers), size))
