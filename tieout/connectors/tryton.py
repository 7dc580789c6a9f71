"""Tryton 8: supplier invoices written as drafts, states and payments read, all over its JSON-RPC.

Vendor's pages, under docs.tryton.org: the server's RPC, and the modules account_invoice, purchase, account_payment,
account_payment_check and the analytic ones; `deployments/tryton` sets a company up as it is expected here:
- vendor: a party, by its code; subcontract: a purchase, by its reference, whose lines tell phase and cost type;
- job, phase and cost type: accounts below three analytic roots, a phase under a view account that has its job's code;
- cost type: also a product of that code, whose accounting category tells the line's account;
- retention held: a line of quantity -1 on a liability account;
- attachments: a note on the invoice, with their addresses in Procore.

- A call is one transaction: where one record of a batch is refused, none is written. We halve the batch then.
- Errors come with HTTP 200, the message first; behind it may follow 50 kB of a field's definition.
- Nothing is unique by itself: only an index that its owner adds to the database refuses a second invoice with our key.
- Cancelling frees an invoice's number. Voiding one check may touch the others of its group.

Not supported: payments on hold, purchase orders, release of retention, tax, credit memos, amendments, payments that
were entered on the invoice without an `account.payment`, currencies other than the company's.
"""

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from threading import Lock
from typing import Any, Final, Literal

import httpx
from pydantic import Field, SecretStr

from data_contracts.reference import ErpJob, ErpPhase, ErpSubcontract, ErpVendor, Problem, Reference
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
from tieout.connectors.wire import PATIENCE, Client, parse, request_id
from tieout.errors import ContractError, RefusedError, SettingsError, TransientError, UnconfirmedError
from tieout.settings import Section, read_section

SYSTEM = "Tryton"
KEYS_PER_QUERY = 200
PAGE = 1000  # records that are asked for at a time
_JSON = {"Content-Type": "application/json"}
_BATCH = re.compile(r"^Batch (\S+)$", re.MULTILINE)
_STATES: dict[str, ErpState] = {
    "draft": "unposted",
    "validated": "unposted",
    "posted": "posted",
    "paid": "posted",
    "cancelled": "void",
}
_NOT_ISSUED = ("draft", "submitted", "approved")  # the states of a payment that may be given up without a trace
_IS_VOID = {"processing": False, "succeeded": False, "failed": True}
_SIGNED = ("confirmed", "processing")  # the states of a purchase that may be billed
_POSTING = ("validate_invoice", "post")  # what the user must not be able to do
_PROBE = "P" + "0" * 26  # a key that no invoice has
_PRODUCT = ["code", "default_uom", "account_category.account_expense.code"]
_ANALYTIC = ["code", "root", "parent.code"]
_PURCHASE_LINE = ["purchase.reference", "purchase.party"]
Axis = Literal["job", "phase", "cost_type"]
Row = dict[str, Any]


class Settings(Section):
    """The section `[tryton]`; TIEOUT_TRYTON__PASSWORD holds the secret."""

    url: str  # of the server, without the database
    database: str = Field(min_length=1)
    user: str = Field(min_length=1)
    password: SecretStr
    company: str = Field(min_length=1)  # the name of the company's party
    retention_account: str = Field(min_length=1)  # the code of the liability account
    job_root: str = "JOB"
    phase_root: str = "PHASE"
    cost_type_root: str = "COST TYPE"
    has_unique_key: bool = False  # an index in Tryton's database refuses a second invoice with our key
    timeout: float = Field(60.0, gt=0)  # seconds
    settles_seconds: float = Field(120.0, ge=0)  # a write whose answer was lost is committed after this at the latest
    invoices_per_call: int = Field(50, ge=1, le=500)

    @property
    def roots(self) -> dict[Axis, str]:
        """The codes of the analytic roots."""
        return {"job": self.job_root, "phase": self.phase_root, "cost_type": self.cost_type_root}


# Translation to Tryton: field, its source in words, its value. Records are named by their codes here; `_Codes` puts
# Tryton's own ids in their place. `field_mapping` makes the documentation of it.
_HEADER: dict[str, tuple[str, Callable[[Voucher], Any]]] = {
    "type": ("always in, a supplier invoice", lambda v: "in"),
    "company": ("company of the settings", lambda v: v.company_erp),
    "party": ("vendor, mapped", lambda v: v.vendor_erp),
    "reference": ("invoice number", lambda v: v.invoice_number),
    "description": ("key: Procore company and invoice id", lambda v: v.key),
    "invoice_date": ("billing date", lambda v: v.invoice_on),
    "accounting_date": ("accounting date, in the open period", lambda v: v.accounting_on),
    "currency": ("currency of the invoice", lambda v: v.currency),
    "comment": (
        "batch, the week-ending day of the sync, and provenance",
        lambda v: f"Batch {v.batch_code}\n{v.source}",
    ),
}
_LINE: dict[str, tuple[str, Callable[[Voucher, VoucherLine], Any]]] = {
    "origin": (
        "the subcontract's line of this phase and cost type",
        lambda v, line: f"{v.contract_erp}/{line.phase}/{line.cost_type}",
    ),
    "product": ("line item type, mapped: the product of that code", lambda v, line: line.cost_type),
    "account": ("expense account of that product's accounting category", lambda v, line: line.gl_account),
    "description": ("line description, first 200 characters", lambda v, line: plain(line.description, 200)),
    "quantity": ("always 1", lambda v, line: 1),
    "unit_price": ("work + (stored now - stored before) + moved", lambda v, line: _money(line.amount)),
    "analytic_accounts.job": ("project, mapped", lambda v, line: line.job),
    "analytic_accounts.phase": ("cost code, mapped", lambda v, line: line.phase),
    "analytic_accounts.cost_type": ("line item type, mapped", lambda v, line: line.cost_type),
}
_RETENTION: dict[str, tuple[str, Callable[[Voucher], Any]]] = {
    "description": ("always Retention held", lambda v: "Retention held"),
    "quantity": ("always -1", lambda v: -1),
    "unit_price": ("retainage held this period", lambda v: _money(v.retention)),
}


def field_mapping() -> list[tuple[str, str]]:
    """Return every field that is sent, with where it comes from: the documentation is generated from this."""
    header = [(name, words) for name, (words, _) in _HEADER.items()]
    lines = [(f"lines.{name}", words) for name, (words, _) in _LINE.items()]
    kept = [(f"retention line.{name}", words) for name, (words, _) in _RETENTION.items()]
    return [*header, *lines, *kept, ("retention line.account", "retention_account of the settings")]


def _to_wire(voucher: Voucher, settings: Settings) -> Row:
    document = {name: value(voucher) for name, (_, value) in _HEADER.items()}
    document["lines"] = [_line_to_wire(voucher, line) for line in voucher.lines]
    if voucher.retention:
        held = {name: value(voucher) for name, (_, value) in _RETENTION.items()}
        document["lines"].append({"account": settings.retention_account, **held})
    return document


def _line_to_wire(voucher: Voucher, line: VoucherLine) -> Row:
    document: Row = {}
    for name, (_, value) in _LINE.items():
        group, _, field = name.rpartition(".")
        target = document.setdefault(group, {}) if group else document
        target[field] = value(voucher, line)
    return document


def _from_wire(row: Row, home: "_Home", contracts: Mapping[int, str], retained: Mapping[int, Decimal]) -> ErpInvoice:
    key, retention = row["description"] or "", retained.get(row["id"], Decimal(0))
    batch = _BATCH.search(row["comment"] or "")
    return ErpInvoice(
        key=key if parse_key(key) else None,
        document_id_erp=str(row["id"]),
        company_erp=home.company,
        vendor_erp=row["party."]["code"] or "",
        contract_erp=", ".join(sorted({contracts[each] for each in row["purchases"]})) or None,
        invoice_number=row["reference"] or "",
        invoice_on=row["invoice_date"],
        batch_code=batch[1] if batch else None,
        state=_STATES[row["state"]],
        currency=row["currency."]["code"],
        gross=row["untaxed_amount"] + retention,
        retention=retention,
        changed_at=_changed_at(row),
    )


def _payment_from_wire(row: Row, invoice: Row, home: "_Home") -> Payment:
    is_check, is_void = row["process_method"] == "check", _IS_VOID[row["state"]]
    changed_at = _changed_at(row)
    return Payment(
        application_id_erp=str(row["id"]),
        company_erp=home.company,
        vendor_erp=invoice["party."]["code"] or "",
        invoice_number=invoice["reference"] or "",
        check_number=(row["check_number"] if is_check else row["number"]) or "",
        method="check" if is_check else None if row["process_method"] == "manual" else "electronic",
        paid_on=row["date"],
        amount=row["amount"],
        discount=Decimal(0),
        currency=row["currency."]["code"],
        is_void=is_void,
        voided_on=changed_at.date() if is_void else None,
        changed_at=changed_at,
    )


def _named(invoice: Row) -> str:
    vendor = invoice["party."] or {}
    return f"invoice {invoice['reference']} of vendor {vendor.get('code')}"


def _is_issued(row: Row) -> bool:
    """Whether money left: a check with its number, or another payment whose outcome the bank told."""
    if row["state"] in _NOT_ISSUED:
        return False
    return bool(row["check_number"]) if row["process_method"] == "check" else row["state"] != "processing"


def _changed_at(row: Row) -> datetime:
    changed: datetime = row["write_date"] or row["create_date"]
    return changed.replace(tzinfo=UTC)


def _since(since: datetime | None) -> list[Any]:
    """Return what a search asks for; a record that was never changed has no `write_date`."""
    if since is None:
        return []
    moment = since.astimezone(UTC).replace(tzinfo=None)
    never_changed = [["write_date", "=", None], ["create_date", ">=", moment]]
    return [["OR", ["write_date", ">=", moment], never_changed]]


def _money(amount: Decimal) -> Decimal:
    if amount != amount.quantize(Decimal("0.01")):
        raise ContractError(SYSTEM, "a voucher", f"{amount} has a part of a cent")
    return amount.quantize(Decimal("0.01"))


def _coded(value: Any) -> Any:
    """Say a value in Tryton's JSON."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if not isinstance(value, date):
        raise TypeError(f"{type(value).__name__} has no place in a call")
    day, time_of_day = ("year", "month", "day"), ("hour", "minute", "second", "microsecond")
    names = day + time_of_day if isinstance(value, datetime) else day
    return {"__class__": type(value).__name__, **{name: getattr(value, name) for name in names}}


_CLASSES: Final[dict[str, Callable[..., Any]]] = {"date": date, "datetime": datetime, "timedelta": timedelta}


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__class__")
    if kind == "Decimal":
        return Decimal(value["decimal"])
    if kind in _CLASSES:
        return _CLASSES[kind](**{name: each for name, each in value.items() if name != "__class__"})
    return {name: _decoded(each) for name, each in value.items()}


def _shown(value: Any) -> Any:
    """Return a document as plain JSON, for people."""
    if isinstance(value, dict):
        return {name: _shown(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shown(each) for each in value]
    return str(value) if isinstance(value, Decimal | date) else value


def _words(error: Any) -> str:
    """Return an error in its own words, without the field's definition that follows a validation's message."""
    kind, *more = error if isinstance(error, list) and error else [error]
    told = more[0] if kind in ("UserError", "UserWarning", "ConcurrencyException") and more else [kind]
    texts = [each for each in (told if isinstance(told, list) else [told])[:3] if isinstance(each, str) and each]
    told_twice = texts[1:] if kind == "UserWarning" else texts[:2]  # a warning begins with its name
    return plain("; ".join(dict.fromkeys(told_twice)) or str(kind), 300)


class _Session:
    """A session of the user, begun when needed and again when it was refused, by one thread at a time."""

    def __init__(self, client: Client, settings: Settings) -> None:
        """Begin nothing yet."""
        self._client, self._settings = client, settings
        self._header = ""
        self._lock = Lock()

    def header(self) -> str:
        """Return the header of a session."""
        with self._lock:
            if not self._header:
                self._begin()
            return self._header

    def renew(self, refused: str) -> bool:
        """Begin another session unless another thread just did."""
        with self._lock:
            if self._header == refused:
                self._begin()
            return True

    def _begin(self) -> None:
        user, secret = self._settings.user, self._settings.password.get_secret_value()
        body = {"id": 0, "method": "common.db.login", "params": [user, {"password": secret}, "en"]}
        try:
            answer = self._client.read_json("POST", _path(self._settings), "the session", json=body)
        except RefusedError as error:
            raise SettingsError(SYSTEM, "the session", error.reason, error.request_id) from None
        told = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(told, list) or len(told) < 2:
            raise SettingsError(SYSTEM, "the session", "user name or password are wrong")
        self._header = "Session " + b64encode(f"{user}:{told[0]}:{told[1]}".encode()).decode()


def _path(settings: Settings) -> str:
    return f"/{settings.database}/rpc/"


class _Calls:
    """Calls of Tryton's models, as the user, in the company."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self._login = Client(SYSTEM, settings.url, settings.timeout)
        self._http = Client(SYSTEM, settings.url, settings.timeout, _Session(self._login, settings))
        self._path = _path(settings)
        self.context: Row = {}

    def close(self) -> None:
        """Release the connections."""
        self._http.close()
        self._login.close()

    def read(self, model: str, method: str, *arguments: Any, **context: Any) -> Any:
        """Return what a call answers that changes nothing; a refusal is a matter of rights or of modules."""
        document = f"{model}.{method}"
        try:
            response = self._http.read("POST", self._path, document, **self._sent(model, method, arguments, context))
            answer = parse(response)
        except RefusedError as error:
            raise SettingsError(SYSTEM, document, error.reason, error.request_id) from None
        except ValueError as error:
            raise TransientError(SYSTEM, document, str(error)) from None
        return _result(answer, response, document, SettingsError)

    def write(self, model: str, method: str, document: str, *arguments: Any, **context: Any) -> Any:
        """Return what a call answers that changes something; RefusedError says that it changed nothing."""
        response = self._http.write("POST", self._path, document, **self._sent(model, method, arguments, context))
        return _result(parse(response), response, document, RefusedError)

    def every(self, model: str, domain: Sequence[Any], fields: Sequence[str], **context: Any) -> Iterator[Row]:
        """Yield all records of a search, in the order in which they were made, some at a time."""
        last = 0
        while True:
            where = [*domain, ["id", ">", last]]
            rows = self.read(model, "search_read", where, 0, PAGE, [["id", "ASC"]], list(fields), **context)
            yield from rows
            if len(rows) < PAGE:
                return
            last = rows[-1]["id"]

    def _sent(self, model: str, method: str, arguments: Sequence[Any], context: Row) -> Row:
        body = {"id": 0, "method": f"model.{model}.{method}", "params": [*arguments, {**self.context, **context}]}
        return {"content": json.dumps(body, default=_coded), "headers": _JSON}


def _result(
    answer: Any, response: httpx.Response, document: str, refusal: type[SettingsError] | type[RefusedError]
) -> Any:
    """Return the result of a call, or raise what its error means: nothing was written in either case."""
    if not isinstance(answer, dict) or not {"result", "error"} & answer.keys():
        unknown = TransientError if refusal is SettingsError else UnconfirmedError
        raise unknown(SYSTEM, document, "the answer has an unknown form", request_id(response))
    if error := answer.get("error"):
        kind = TransientError if error[0] == "ConcurrencyException" else refusal
        raise kind(SYSTEM, document, _words(error), request_id(response))
    return _decoded(answer.get("result"))


@dataclass(frozen=True)
class _Home:
    """Tryton's ids of what every invoice of the company shares."""

    company: str
    company_id: int
    currency: str
    currency_id: int
    journal_id: int
    payable_id: int  # what is owed to vendors that have no account of their own
    retention_id: int
    roots: dict[Axis, int]


@dataclass(frozen=True)
class _Codes:
    """Tryton's ids of all that some vouchers name by codes."""

    home: _Home
    vendors: dict[str, Row]
    accounts: dict[str, int]
    products: dict[str, Row]
    analytic: dict[tuple[Axis, str, str], int]  # axis, code, and of a phase its job
    origins: dict[tuple[str, int, int], Row]  # purchase, phase, cost type: the line of the purchase

    @classmethod
    def of(cls, calls: _Calls, home: _Home, vouchers: Sequence[Voucher]) -> "_Codes":
        """Look all of them up, with a few reads however many they are."""
        lines = [line for voucher in vouchers for line in voucher.lines]
        analytic = cls._analytic(calls, home, lines)
        contracts = sorted({voucher.contract_erp for voucher in vouchers})
        codes = sorted({voucher.vendor_erp for voucher in vouchers})
        fields = ["code", "active", "addresses", "account_payable"]
        parties = calls.every("party.party", [["code", "in", codes]], fields, active_test=False)
        wanted = sorted({line.gl_account for line in lines if line.gl_account})
        accounts = [["company", "=", home.company_id], ["code", "in", wanted], ["closed", "!=", True]]
        products = [["code", "in", sorted({line.cost_type for line in lines})]]
        return cls(
            home=home,
            vendors={row["code"]: row for row in parties},
            accounts={row["code"]: row["id"] for row in calls.every("account.account", accounts, ["code"])},
            products={row["code"]: row for row in calls.every("product.product", products, _PRODUCT)},
            analytic=analytic,
            origins=cls._origins(calls, home, contracts),
        )

    @staticmethod
    def _analytic(calls: _Calls, home: _Home, lines: Sequence[VoucherLine]) -> dict[tuple[Axis, str, str], int]:
        codes = sorted({code for line in lines for code in (line.job, line.phase, line.cost_type)})
        domain = [["root", "in", list(home.roots.values())], ["code", "in", codes], ["type", "=", "normal"]]
        axes = {root: axis for axis, root in home.roots.items()}
        found: dict[tuple[Axis, str, str], int] = {}
        for row in calls.every("analytic_account.account", [*domain, ["state", "=", "opened"]], _ANALYTIC):
            axis = axes[row["root"]]
            found[axis, row["code"], row["parent."]["code"] if axis == "phase" else ""] = row["id"]
        return found

    @staticmethod
    def _origins(calls: _Calls, home: _Home, contracts: Sequence[str]) -> dict[tuple[str, int, int], Row]:
        """Return the lines of these purchases by what they cost; of several alike the first."""
        domain: list[Any] = [["purchase.company", "=", home.company_id], ["purchase.reference", "in", contracts]]
        domain += [["purchase.state", "in", _SIGNED], ["type", "=", "line"]]
        lines = {f"purchase.line,{row['id']}": row for row in calls.every("purchase.line", domain, _PURCHASE_LINE)}
        spent: dict[str, dict[int, int]] = {}
        for origins in _pages(sorted(lines)):
            coded = [["origin", "in", origins], ["root", "in", [home.roots["phase"], home.roots["cost_type"]]]]
            for row in calls.every("analytic.account.entry", coded, ["origin", "root", "account"]):
                spent.setdefault(row["origin"], {})[row["root"]] = row["account"]
        found: dict[tuple[str, int, int], Row] = {}
        for origin, row in lines.items():
            by_root = spent.get(origin, {})
            coding = (by_root.get(home.roots["phase"]) or 0, by_root.get(home.roots["cost_type"]) or 0)
            found.setdefault((row["purchase."]["reference"], *coding), row)
        return found

    def document(self, voucher: Voucher, settings: Settings) -> Row | list[str]:
        """Return the record to create, or the reasons why it cannot be."""
        reasons: list[str] = []
        vendor, home = self._vendor(voucher.vendor_erp, reasons), self.home
        if voucher.currency != home.currency:
            reasons.append(f"Its currency is {voucher.currency}, the company's is {home.currency}")
        document = _to_wire(voucher, settings)
        lines = [self._line(voucher, *each, reasons) for each in zip(voucher.lines, document["lines"], strict=False)]
        if voucher.retention:
            lines.append(self._common() | document["lines"][-1] | {"account": home.retention_id})
        if reasons:
            return list(dict.fromkeys(reasons))
        return document | {
            "company": home.company_id,
            "currency": home.currency_id,
            "journal": home.journal_id,
            "party": vendor["id"],
            "invoice_address": vendor["addresses"][0],
            "account": vendor["account_payable"] or home.payable_id,
            "lines": [["create", lines]],
        }

    def _vendor(self, code: str, reasons: list[str]) -> Row:
        vendor = self.vendors.get(code, {})
        if not vendor:
            reasons.append(f"Vendor {code} does not exist")
        elif not vendor["active"]:
            reasons.append(f"Vendor {code} is not active")
        elif not vendor["addresses"]:
            reasons.append(f"Vendor {code} has no address")
        return vendor

    def _line(self, voucher: Voucher, line: VoucherLine, document: Row, reasons: list[str]) -> Row:
        job = self._known(self.analytic.get(("job", line.job, "")), f"Job {line.job}", reasons)
        phase = self._known(
            self.analytic.get(("phase", line.phase, line.job)), f"Phase {line.phase} of job {line.job}", reasons
        )
        kind = self._known(self.analytic.get(("cost_type", line.cost_type, "")), f"Cost type {line.cost_type}", reasons)
        product = self._known(self.products.get(line.cost_type), f"Product {line.cost_type}", reasons)
        account = self._known(self.accounts.get(line.gl_account or ""), f"Account {line.gl_account}", reasons)
        origin = self.origins.get((voucher.contract_erp, phase or 0, kind or 0))
        if origin is None:
            coding = f"phase {line.phase}, cost type {line.cost_type}"
            reasons.append(f"Subcontract {voucher.contract_erp} is not signed, or has no line of {coding}")
        if job is None or phase is None or kind is None or product is None or account is None or origin is None:
            return {}
        if origin["purchase."]["party"] != self.vendors.get(voucher.vendor_erp, {}).get("id"):
            reasons.append(f"Subcontract {voucher.contract_erp} is of another vendor than {voucher.vendor_erp}")
        roots = self.home.roots
        coded = ((roots["job"], job), (roots["phase"], phase), (roots["cost_type"], kind))
        return (
            self._common()
            | document
            | {
                "origin": f"purchase.line,{origin['id']}",
                "product": product["id"],
                "unit": product["default_uom"],
                "account": account,
                "analytic_accounts": [["create", [{"root": root, "account": each} for root, each in coded]]],
            }
        )

    def _common(self) -> Row:
        shared = {"company": self.home.company_id, "currency": self.home.currency_id}
        return {"type": "line", "invoice_type": "in", **shared}

    @staticmethod
    def _known(found: Any, what: str, reasons: list[str]) -> Any:
        if found is None:
            reasons.append(f"{what} does not exist, or is closed")
        return found


class Connector:
    """Tryton for one company."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open nothing yet: the session begins at the first use."""
        self.settings, self._now, self._monotonic = settings, now, monotonic
        self.capabilities = _capabilities(settings)
        self._calls = _Calls(settings)

    @classmethod
    def from_settings(cls) -> "Connector":
        """Build the connector that the settings describe."""
        return cls(read_section(Settings, "tryton"))

    def close(self) -> None:
        """Release the connections."""
        self._calls.close()

    def preview(self, voucher: Voucher) -> dict[str, Any]:
        """Return the exact payload of this voucher, with codes where Tryton's own ids will stand. No I/O."""
        shown: dict[str, Any] = _shown(_to_wire(voucher, self.settings))
        return shown

    def create(self, vouchers: Sequence[Voucher]) -> list[Outcome]:
        """Write drafts, all in one call unless one is refused; one outcome per voucher, in order."""
        until = self._monotonic() + self.settings.timeout
        codes = _Codes.of(self._calls, self._home, vouchers)
        made = {voucher.key: codes.document(voucher, self.settings) for voucher in vouchers}
        outcomes: dict[str, Outcome] = {
            key: Refused(key=key, reasons=tuple(each)) for key, each in made.items() if isinstance(each, list)
        }
        parts = [[voucher for voucher in vouchers if voucher.key not in outcomes]]
        while parts:
            part = parts.pop(0)
            try:
                outcomes.update(self._create_together(part, [made[voucher.key] for voucher in part], until))
            except RefusedError as refusal:
                if len(part) == 1:
                    outcomes[part[0].key] = self._refused(part[0], refusal)
                else:
                    parts[:0] = [part[: len(part) // 2], part[len(part) // 2 :]]
            except TransientError as away:
                if any(isinstance(each, Created) for each in outcomes.values()):
                    raise UnconfirmedError(SYSTEM, away.document, away.reason, away.request_id) from None
                raise
        return [outcomes[voucher.key] for voucher in vouchers]

    def _create_together(
        self, vouchers: Sequence[Voucher], documents: Sequence[Any], until: float
    ) -> dict[str, Outcome]:
        """Write these or none of them."""
        if not vouchers:
            return {}
        what = f"{len(vouchers)} invoices" if len(vouchers) > 1 else f"invoice {vouchers[0].invoice_number}"
        if self._monotonic() >= until:  # what began later might end after the sender's lease
            raise TransientError(SYSTEM, what, "too much time went by before it could be sent")
        ids = self._calls.write("account.invoice", "create", what, documents)
        if not isinstance(ids, list) or len(ids) != len(vouchers):
            raise UnconfirmedError(SYSTEM, what, "the answer does not list the invoices that were sent")
        pairs = list(zip(vouchers, ids, strict=True))
        self._note_attachments(pairs)
        return {voucher.key: Created(key=voucher.key, document_id_erp=str(each)) for voucher, each in pairs}

    def _note_attachments(self, pairs: Sequence[tuple[Voucher, int]]) -> None:
        """Leave a note on each invoice that has attachments in Procore, saying where they are."""
        notes = [
            {"resource": f"account.invoice,{each}", "message": "\n".join(voucher.attachments)}
            for voucher, each in pairs
            if voucher.attachments
        ]
        if notes:
            with suppress(
                TransientError, UnconfirmedError, RefusedError
            ):  # the invoice is there, with a note or without
                self._calls.write("ir.note", "create", f"{len(notes)} notes", notes)

    def _refused(self, voucher: Voucher, refusal: RefusedError) -> Outcome:
        """Say what one refusal means: where just this invoice is there already, that it was created."""
        there = [each for each in self.find([voucher])[voucher.key] if each.key == voucher.key]
        if len(there) == 1 and there[0].equals(voucher):
            return Created(key=voucher.key, document_id_erp=there[0].document_id_erp)
        return Refused(key=voucher.key, reasons=(refusal.reason,), request_id=refusal.request_id)

    def update(self, voucher: Voucher) -> Outcome:
        """Make the draft that bears this voucher's key what the voucher says now."""
        there = [each for each in self.find([voucher])[voucher.key] if each.key == voucher.key]
        present = [each for each in there if each.state != "void"]
        if len(present) != 1:
            return Refused(key=voucher.key, reasons=(f"Tryton holds {len(present)} invoices with its key",))
        invoice_id, what = int(present[0].document_id_erp), f"invoice {voucher.invoice_number}"
        [row] = self._calls.read("account.invoice", "read", [invoice_id], ["state", "lines", "_timestamp"])
        document = _Codes.of(self._calls, self._home, [voucher]).document(voucher, self.settings)
        if isinstance(document, list):
            return Refused(key=voucher.key, reasons=tuple(document))
        if row["state"] != "draft":
            return Refused(key=voucher.key, reasons=(f"it is {row['state']} in Tryton; only a draft is changed",))
        document["lines"].insert(0, ["delete", row["lines"]])
        unchanged = {f"account.invoice,{invoice_id}": row["_timestamp"]}  # else Tryton refuses the whole
        try:
            self._calls.write("account.invoice", "write", what, [invoice_id], document, _timestamp=unchanged)
        except RefusedError as refusal:
            return Refused(key=voucher.key, reasons=(refusal.reason,), request_id=refusal.request_id)
        return Created(key=voucher.key, document_id_erp=str(invoice_id))

    def find(self, vouchers: Sequence[Voucher]) -> dict[str, list[ErpInvoice]]:
        """Return by key what Tryton holds: by our key in the description, else by vendor and invoice number."""
        found: dict[str, list[ErpInvoice]] = {}
        for start in range(0, len(vouchers), KEYS_PER_QUERY):
            chunk = vouchers[start : start + KEYS_PER_QUERY]
            vendors = sorted({each.vendor_erp for each in chunk})
            by_number = [["party.code", "in", vendors], ["reference", "in", [each.invoice_number for each in chunk]]]
            there = self._invoices([["OR", ["description", "in", [each.key for each in chunk]], by_number]])
            found |= found_for(chunk, all_readable(SYSTEM, there))
        return found

    def invoices(self, since: datetime | None) -> Iterator[ErpInvoice | Unreadable]:
        """Yield invoices that carry our key and changed at or after `since`."""
        ours = self._invoices([["description", "like", "P%"], *_since(since)])
        return (each for each in ours if isinstance(each, Unreadable) or each.key)

    def _invoices(self, domain: Sequence[Any]) -> Iterator[ErpInvoice | Unreadable]:
        home = self._home
        fields = ["description", "reference", "invoice_date", "state", "comment", "untaxed_amount", "purchases"]
        fields += ["party.code", "currency.code", "write_date", "create_date"]
        ours = [["company", "=", home.company_id], ["type", "=", "in"]]
        for rows in _pages(self._calls.every("account.invoice", [*ours, *domain], fields)):
            purchases = {each for row in rows for each in row["purchases"]}
            contracts = {row["id"]: row["reference"] or "" for row in self._by_id("purchase.purchase", purchases)}
            retained: dict[int, Decimal] = {}
            held = [["invoice", "in", [row["id"] for row in rows]], ["account", "=", home.retention_id]]
            for line in self._calls.every("account.invoice.line", held, ["invoice", "amount"]):
                retained[line["invoice"]] = retained.get(line["invoice"], Decimal(0)) - line["amount"]
            for row in rows:
                yield readable(_named(row), partial(_from_wire, row, home, contracts, retained))

    def _by_id(self, model: str, ids: Iterable[int]) -> list[Row]:
        """Return the references, and the vendors, of purchases or invoices."""
        wanted = sorted(ids)
        rows: list[Row] = self._calls.read(model, "read", wanted, ["reference", "party.code"]) if wanted else []
        return rows

    def payments(self, since: datetime | None) -> Iterator[Payment | Unreadable]:
        """Yield payments of supplier invoices that changed at or after `since`, voids included."""
        fields = ["number", "amount", "date", "state", "check_number", "process_method", "line.move_origin"]
        fields += ["currency.code", "write_date", "create_date"]
        home = self._home
        domain = [["company", "=", home.company_id], ["kind", "=", "payable"], ["line", "!=", None], *_since(since)]
        for rows in _pages(self._calls.every("account.payment", domain, fields)):
            issued = [row for row in rows if _is_issued(row)]
            origins = [(row["line."]["move_origin"] or "").partition(",") for row in issued]
            ids = [int(each) if model == "account.invoice" else None for model, _, each in origins]
            invoices = {row["id"]: row for row in self._by_id("account.invoice", {each for each in ids if each})}
            for row, each in zip(issued, ids, strict=True):
                if each:
                    what = f"payment {row['check_number'] or row['number']} of {_named(invoices[each])}"
                    yield readable(what, partial(_payment_from_wire, row, invoices[each], home))

    def reference(self) -> Reference:
        """Return the company's vendors, jobs, phases, subcontracts and open periods."""
        home = self._home
        vendors = self._calls.every(
            "party.party", [["code", "!=", None]], ["code", "name", "active"], active_test=False
        )
        accounts = self._analytic_accounts()
        codes = {row["id"]: row["code"] or "" for row in accounts}
        jobs = [row for row in accounts if row["root"] == home.roots["job"]]
        open_from, open_to = self._open_period()
        return Reference(
            company_erp=home.company,
            currency=home.currency,
            vendors=tuple(
                ErpVendor(code=row["code"], name=row["name"] or "", is_active=bool(row["active"])) for row in vendors
            ),
            jobs=tuple(ErpJob(number=row["code"] or "", name=row["name"], is_active=_is_open(row)) for row in jobs),
            phases=tuple(self._phases(accounts)),
            subcontracts=tuple(self._subcontracts(codes)),
            open_from=open_from,
            open_to=open_to,
        )

    def _analytic_accounts(self) -> list[Row]:
        fields = ["code", "name", "root", "parent.code", "state", "active"]
        domain = [["root", "in", list(self._home.roots.values())], ["type", "=", "normal"]]
        return list(self._calls.every("analytic_account.account", domain, fields, active_test=False))

    def _phases(self, accounts: Sequence[Row]) -> Iterator[ErpPhase]:
        """Yield each phase of each job with each cost type: Tryton holds no list of what goes together."""
        roots = self._home.roots
        cost_types = [row for row in accounts if row["root"] == roots["cost_type"]]
        products = self._calls.every("product.product", [["code", "!=", None]], _PRODUCT)
        expenses = {row["code"]: _expense_account(row) for row in products}
        for row in (each for each in accounts if each["root"] == roots["phase"]):
            for kind in cost_types:
                yield ErpPhase(
                    job=(row["parent."] or {}).get("code") or "",
                    phase=row["code"] or "",
                    cost_type=kind["code"] or "",
                    is_active=_is_open(row) and _is_open(kind),
                    gl_account=expenses.get(kind["code"]),
                )

    def _subcontracts(self, codes: Mapping[int, str]) -> Iterator[ErpSubcontract]:
        home, jobs = self._home, dict[int, str]()
        lines = self._calls.every("purchase.line", [["purchase.company", "=", home.company_id]], ["purchase"])
        origins = {f"purchase.line,{row['id']}": row["purchase"] for row in lines}
        entries = [["root", "=", home.roots["job"]], ["origin", "like", "purchase.line,%"]]
        for row in self._calls.every("analytic.account.entry", entries, ["origin", "account"]):
            if row["origin"] in origins and row["account"] in codes:
                jobs[origins[row["origin"]]] = codes[row["account"]]
        named = [["company", "=", home.company_id], ["reference", "!=", None]]
        for row in self._calls.every("purchase.purchase", named, ["reference", "party.code", "state"]):
            yield ErpSubcontract(
                number=row["reference"],
                vendor=row["party."]["code"] or "",
                job=jobs.get(row["id"], ""),
                is_active=row["state"] in _SIGNED,
            )

    def _open_period(self) -> tuple[date | None, date | None]:
        domain = [["company", "=", self._home.company_id], ["state", "=", "open"], ["type", "=", "standard"]]
        rows = list(self._calls.every("account.period", domain, ["start_date", "end_date"]))
        if not rows:
            return None, None
        return min(row["start_date"] for row in rows), max(row["end_date"] for row in rows)

    @cached_property
    def _home(self) -> _Home:
        """Look up once what every invoice shares; SettingsError names what is missing."""
        company = self._one("company.company", [["party.name", "=", self.settings.company]], "company", "currency.code")
        self._calls.context = {"company": company["id"]}
        ours = ["company", "=", company["id"]]
        retention = self._one(
            "account.account", [ours, ["code", "=", self.settings.retention_account]], "retention_account"
        )
        roots: dict[Axis, int] = {
            axis: self._one("analytic_account.account", [ours, ["type", "=", "root"], ["code", "=", code]], code)["id"]
            for axis, code in self.settings.roots.items()
        }
        [config] = self._calls.read("account.configuration", "read", [1], ["default_account_payable"])
        return _Home(
            company=self.settings.company,
            company_id=company["id"],
            currency=company["currency."]["code"],
            currency_id=company["currency."]["id"],
            journal_id=self._one("account.journal", [["type", "=", "expense"]], "a journal of type expense")["id"],
            payable_id=config["default_account_payable"],
            retention_id=retention["id"],
            roots=roots,
        )

    def _one(self, model: str, domain: Sequence[Any], what: str, *fields: str) -> Row:
        rows: list[Row] = self._calls.read(model, "search_read", domain, 0, 1, [["id", "ASC"]], [*fields, "id"])
        if not rows:
            raise SettingsError(SYSTEM, what, f"Tryton has no {model} as the settings name it")
        return rows[0]

    def check(self) -> list[Problem]:
        """Return what stands in the way: the session, the company, a right to post, the retention account, the key."""
        try:
            home = self._home
            problems = [*self._check_rights(), *self._check_retention(home), *self._check_period()]
            if self.settings.has_unique_key and not problems:
                problems += self._check_unique_key(home)
        except SettingsError as error:
            return [
                _problem("set-up", str(error), "Compare [tryton] with the company in Tryton, and the user's groups.")
            ]
        except TransientError as error:
            return [_problem("connection", str(error), "Check the address, and that Tryton is running.")]
        return problems

    def _check_rights(self) -> Iterator[Problem]:
        """Press the buttons on no invoice at all: Tryton says whether this user may."""
        for button in _POSTING:
            try:
                self._calls.write("account.invoice", button, "the preflight", [])
            except RefusedError:
                continue
            except UnconfirmedError as error:
                raise TransientError(SYSTEM, "the preflight", error.reason, error.request_id) from None
            words = f"the user {self.settings.user} may {button.replace('_', ' ')}"
            yield _problem(
                "rights", words, f"Give the button {button} of account.invoice to a group without this user."
            )

    def _check_retention(self, home: _Home) -> Iterator[Problem]:
        [row] = self._calls.read("account.account", "read", [home.retention_id], ["type.debt", "type.payable"])
        if not row["type."]["debt"] or row["type."]["payable"]:
            words = f"account {self.settings.retention_account} cannot stand on a line of a supplier invoice"
            yield _problem("retention", words, "Give it an account type that is marked as debt, not as payable.")

    def _check_period(self) -> Iterator[Problem]:
        first, last = self._open_period()
        today = self._now().date()
        if first is None or last is None:
            yield _problem("period", "no accounting period is open", "Open one in Tryton.")
        elif not first <= today <= last:
            words = f"today, {today}, is outside the open periods, {first} to {last}"
            yield _problem("period", words, "Open the period in Tryton.", is_blocking=False)

    def _check_unique_key(self, home: _Home) -> list[Problem]:
        """Send two invoices with one key and a third that is never valid: whichever is refused, nothing is written."""
        party = self._one("party.party", [["addresses", "!=", None]], "a vendor with an address", "addresses")
        common = {"type": "in", "company": home.company_id, "currency": home.currency_id, "party": party["id"]}
        common |= {"invoice_address": party["addresses"][0], "description": _PROBE}
        probe = [{**common, "account": each} for each in (home.payable_id, home.payable_id, home.retention_id)]
        try:
            self._calls.write("account.invoice", "create", "the preflight", probe)
        except RefusedError as refusal:
            if "unique" in refusal.reason.lower():
                return []
        except UnconfirmedError as error:
            raise TransientError(SYSTEM, "the preflight", error.reason, error.request_id) from None
        words = "has_unique_key is set, but Tryton takes two invoices with one key"
        return [_problem("duplicates", words, "Create the index that docs/connectors.md names in Tryton's database.")]


def _capabilities(settings: Settings) -> Capabilities:
    return Capabilities(
        name="tryton",
        purchase_orders=False,
        retention_release=False,
        credit_memos=False,
        tax=False,
        update=True,
        refuses_duplicates=settings.has_unique_key,
        voids_free_numbers=True,
        settles_within=timedelta(seconds=settings.settles_seconds),
        # No call of `create` begins later than the time-out; connecting, sending and waiting may each take as long.
        request_timeout=timedelta(seconds=4 * settings.timeout + PATIENCE),
        invoices_per_call=settings.invoices_per_call,
        invoice_number_length=200,  # Tryton sets no limit; this is the ledger's
        contract_number_length=200,
        menu_path="Financial > Invoices > Supplier Invoices",
        release_path="Financial > Invoices > Supplier Invoices, a line on the retention account",
    )


def _expense_account(product: Row) -> str | None:
    category = product["account_category."] or {}
    return (category.get("account_expense.") or {}).get("code") or None


def _is_open(row: Row) -> bool:
    return bool(row["active"]) and row["state"] == "opened"


def _pages(rows: Iterable[Any]) -> Iterator[list[Any]]:
    page: list[Any] = []
    for row in rows:
        page.append(row)
        if len(page) == KEYS_PER_QUERY:
            yield page
            page = []
    if page:
        yield page


def _problem(check: str, message: str, remedy: str, is_blocking: bool = True) -> Problem:
    return Problem(system=SYSTEM, check=check, is_blocking=is_blocking, message=message, remedy=remedy)
