"""Pocket, an ERP that exists for the tests alone: bills over JSON, three to a call and two to a page.

It cannot do what others can (nothing there is unique), and does what others cannot: bills below zero, and changes.
Not supported: purchase orders, release of retention, tax.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from pydantic import SecretStr

from data_contracts.reference import ErpJob, ErpPhase, ErpSubcontract, ErpVendor, Problem, Reference
from data_contracts.voucher import Created, ErpInvoice, Outcome, Payment, Refused, Unreadable, Voucher
from tieout.connectors.base import Capabilities, all_readable, parse_key, readable
from tieout.connectors.wire import PATIENCE, Client, parse, request_id
from tieout.errors import RefusedError, SettingsError, TieoutError, UnconfirmedError
from tieout.settings import Section
from tieout.settings import Settings as CompanySettings

SYSTEM = "Pocket"
Row = dict[str, Any]


class Settings(Section):
    """The section `[pocket]`; TIEOUT_POCKET__API_KEY holds the secret."""

    url: str
    api_key: SecretStr
    timeout: float = 60.0
    settles_seconds: float = 120.0


class _Bearer:
    def __init__(self, key: str) -> None:
        self._header = f"Bearer {key}"

    def header(self) -> str:
        return self._header

    def renew(self, refused: str) -> bool:
        return False


def _to_wire(voucher: Voucher) -> Row:
    return {
        "key": voucher.key,
        "vendor": voucher.vendor_erp,
        "contract": voucher.contract_erp,
        "number": voucher.invoice_number,
        "billed": voucher.invoice_on.isoformat(),
        "booked": voucher.accounting_on.isoformat(),
        "batch": voucher.batch_code,
        "gross": str(voucher.gross),
        "retention": str(voucher.retention),
        "costs": [[each.job, each.phase, each.cost_type, str(each.amount)] for each in voucher.lines],
    }


def _from_wire(row: Row, company: str) -> ErpInvoice:
    return ErpInvoice(
        key=row["key"] if parse_key(row["key"]) else None,
        document_id_erp=str(row["id"]),
        company_erp=company,
        vendor_erp=row["vendor"],
        contract_erp=row["contract"],
        invoice_number=row["number"],
        invoice_on=datetime.fromisoformat(row["billed"]).date(),
        batch_code=row["batch"],
        state=row["state"],
        currency="USD",
        gross=Decimal(row["gross"]),
        retention=Decimal(row["retention"]),
        changed_at=datetime.fromisoformat(row["changed"]),
    )


def _payment_from_wire(row: Row, company: str) -> Payment:
    return Payment(
        application_id_erp=row["check"],
        company_erp=company,
        vendor_erp=row["vendor"],
        invoice_number=row["number"],
        check_number=row["check"],
        method="check",
        paid_on=datetime.fromisoformat(row["paid"]).date(),
        amount=Decimal(row["amount"]),
        discount=Decimal(0),
        currency="USD",
        is_void=row["voided"] is not None,
        voided_on=row["voided"] and datetime.fromisoformat(row["voided"]).date(),
        changed_at=datetime.fromisoformat(row["changed"]),
    )


class Connector:
    """Pocket for one company."""

    def __init__(self, settings: Settings) -> None:
        self._http = Client(SYSTEM, settings.url, settings.timeout, _Bearer(settings.api_key.get_secret_value()))
        self._codes: Row = {}
        self.capabilities = Capabilities(
            name="pocket",
            purchase_orders=False,
            retention_release=False,
            credit_memos=True,
            tax=False,
            update=True,
            refuses_duplicates=False,
            settles_within=timedelta(seconds=settings.settles_seconds),
            request_timeout=timedelta(seconds=3 * settings.timeout + PATIENCE),
            invoices_per_call=3,
            invoice_number_length=24,
            contract_number_length=24,
            menu_path="Bills",
            release_path="Bills > Retention",
        )

    @classmethod
    def from_settings(cls, settings: CompanySettings) -> "Connector":
        return cls(settings.section(Settings, "pocket"))

    def close(self) -> None:
        self._http.close()

    def check(self) -> list[Problem]:
        try:
            self._read("/codes")
        except TieoutError as error:
            return [Problem(system=SYSTEM, check="connection", is_blocking=True, message=str(error))]
        return []

    def reference(self) -> Reference:
        codes = self._read("/codes")
        return Reference(
            company_erp=codes["company"],
            currency="USD",
            vendors=tuple(ErpVendor(code=code, name=name, is_active=on) for code, name, on in codes["vendors"]),
            jobs=tuple(ErpJob(number=number, name=name, is_active=on) for number, name, on in codes["jobs"]),
            phases=tuple(
                ErpPhase(job=job, phase=phase, cost_type=kind, is_active=on, gl_account=account)
                for job, phase, kind, account, on in codes["phases"]
            ),
            subcontracts=tuple(
                ErpSubcontract(number=number, vendor=vendor, job=job, is_active=on)
                for number, vendor, job, on in codes["contracts"]
            ),
            open_from=datetime.fromisoformat(codes["open"][0]).date(),
            open_to=datetime.fromisoformat(codes["open"][1]).date(),
        )

    def preview(self, voucher: Voucher) -> Row:
        return _to_wire(voucher)

    def create(self, vouchers: Sequence[Voucher]) -> list[Outcome]:
        body = {"bills": [_to_wire(voucher) for voucher in vouchers]}
        return self._write("POST", "/bills", vouchers, body)

    def update(self, voucher: Voucher) -> Outcome:
        [outcome] = self._write("PUT", f"/bills/{voucher.key}", [voucher], {"bills": [_to_wire(voucher)]})
        return outcome

    def _write(self, method: str, path: str, vouchers: Sequence[Voucher], body: Row) -> list[Outcome]:
        try:
            response = self._http.write(method, path, f"{len(vouchers)} bills", json=body)
        except RefusedError as no:
            return [Refused(key=each.key, reasons=(no.reason,), request_id=no.request_id) for each in vouchers]
        told, origin = parse(response), request_id(response)
        if not isinstance(told, list) or len(told) != len(vouchers):
            raise UnconfirmedError(SYSTEM, "the bills", "the answer does not list what was sent", origin)
        return [
            Created(key=each.key, document_id_erp=str(row["id"]))
            if "id" in row
            else Refused(key=each.key, reasons=tuple(row["reasons"]), request_id=origin)
            for each, row in zip(vouchers, told, strict=True)
        ]

    def find(self, vouchers: Sequence[Voucher]) -> dict[str, list[ErpInvoice]]:
        found = {}
        for voucher in vouchers:
            asked = {"key": voucher.key, "vendor": voucher.vendor_erp, "number": voucher.invoice_number}
            there = list(all_readable(SYSTEM, self._bills(asked)))
            found[voucher.key] = [each for each in there if each.key == voucher.key] or there
        return found

    def invoices(self, since: datetime | None) -> Iterator[ErpInvoice | Unreadable]:
        bills = self._bills({"since": _moment(since)})
        return (bill for bill in bills if isinstance(bill, Unreadable) or bill.key)

    def _bills(self, asked: dict[str, str]) -> Iterator[ErpInvoice | Unreadable]:
        for row in self._pages("/bills", **asked):
            yield readable(f"bill {row['number']}", partial(_from_wire, row, self._company))

    def payments(self, since: datetime | None) -> Iterator[Payment | Unreadable]:
        for row in self._pages("/checks", since=_moment(since)):
            yield readable(f"check {row['check']}", partial(_payment_from_wire, row, self._company))

    def _pages(self, path: str, **asked: str) -> Iterator[Row]:
        """Yield all rows in the order in which they were made, page by page."""
        after = 0
        while page := self._read(path, **asked, after=after):
            yield from page
            after = page[-1]["id"]

    @property
    def _company(self) -> str:
        self._codes = self._codes or self._read("/codes")
        return str(self._codes["company"])

    def _read(self, path: str, **asked: Any) -> Any:
        try:
            return self._http.read_json("GET", path, path, params=asked)
        except RefusedError as refusal:
            raise SettingsError(SYSTEM, path, refusal.reason, refusal.request_id) from None


def _moment(since: datetime | None) -> str:
    return "" if since is None else since.astimezone(UTC).isoformat()
