"""Procore's REST API: subcontractor invoices and their books read in bulk, origin fields and payments written.

Pages at developers.procore.com: requisitions (v1.1), work_order_contracts, purchase_order_contracts, cost_codes,
billing_periods, vendors, projects, contract_payments, lien_waivers,
commitment compliance (all v1.0). What the API does against expectation:

- Money is text, with one decimal place or two; a number is refused, and so do we. Percentages are ignored.
- `per_page` is clamped for each endpoint: the `Per-Page` header says to what. Rows move between pages.
- A service account gets 403 for each project that it was not added to, and 404 where a tool is off.
- Listings show no deletions. The list of payments takes no filter.
- An item of a change order names its commitment line in a field of its own.

Not supported: the ERP-only endpoints, which Procore opens to its partners alone, webhooks and files.
"""

import json
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from enum import Enum
from functools import partial
from http import HTTPStatus
from itertools import accumulate, takewhile
from threading import Lock
from typing import Any, Final, Literal, NamedTuple, TypeVar

import httpx
from pydantic import Field, SecretStr, ValidationError, field_validator

from data_contracts.commitment import (
    BillingPeriod,
    Commitment,
    Compliance,
    CostCode,
    LienWaiver,
    Project,
    ProjectBooks,
    Vendor,
)
from data_contracts.contract import Contract
from data_contracts.fetched import FetchedInvoice, FetchedPayment, InvoiceStub
from data_contracts.invoice import SENDABLE, Invoice
from data_contracts.reference import Problem
from data_contracts.voucher import ProcorePayment
from tieout.connectors.wire import (
    PATIENCE,
    Client,
    elements,
    parse_text,
    plain,
    request_id,
    server_time,
    without_controls,
)
from tieout.errors import ContractError, RefusedError, SettingsError, TieoutError, TransientError, UnconfirmedError
from tieout.settings import Section, read_section

SYSTEM = "Procore"
LARGEST_ID = 2**63 - 1
LARGEST_BODY = 20_000_000  # characters of one invoice
MOST_LINES = 10_000
LONGEST_TEXT = 10_000
MOST_REASONS = 20
URL_ROOM = 5_000  # of the 6,000 characters that proxies let through
MOST_PASSES = 3  # over a list whose rows move
MOST_PAGES = 5_000
MOST_SMALLER_PAGES = 100
SKEW = timedelta(seconds=60)


class Unchanged(Enum):
    """Leave a field as it is; None would clear it."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class Settings(Section):
    """The section `[procore]`; the secret belongs into TIEOUT_PROCORE__CLIENT_SECRET."""

    api_url: str = "https://api.procore.com"
    login_url: str = "https://login.procore.com"
    company_id: int
    client_id: str
    client_secret: SecretStr
    timeout: float = Field(60.0, gt=0)  # seconds
    per_page: int = Field(500, ge=1, le=2000)
    settles_seconds: float = Field(120.0, ge=0)  # a write is visible to a look after this at the latest
    # Where a person opens an invoice. Procore documents no such address, so this one is modelled.
    web_url: str = "https://app.procore.com/{project}/project/commitments/{commitment}/requisitions/{invoice}"

    @field_validator("web_url")
    @classmethod
    def _must_fit(cls, pattern: str) -> str:
        try:
            pattern.format(company=1, project=2, commitment=3, invoice=4)
        except (LookupError, ValueError, AttributeError):
            raise ValueError("it may hold {company}, {project}, {commitment} and {invoice} only") from None
        return pattern


def web_url() -> str:
    """Return the pattern of an invoice's address, with {company}, {project}, {commitment} and {invoice} in it."""
    return read_section(Settings, "procore").web_url


# Translation: our name on the left, Procore's on the right. A null counts as missing.

_HEADER = {
    "project_id_procore": "project_id",
    "invoice_id_procore": "id",
    "commitment_id_procore": "commitment_id",
    "commitment_kind": "commitment_type",
    "commitment_name": "contract_name",
    "previous_invoice_id_procore": "previous_requisition_id",
    "period_id_procore": "period_id",
    "number_on_commitment": "number",
    "invoice_number": "invoice_number",
    "kind": "invoice_type",
    "accounting_method": "accounting_method",
    "status": "status",
    "vendor_id_procore": "vendor_id",
    "vendor_name": "vendor_name",
    "billed_on": "billing_date",
    "period_start": "requisition_start",
    "period_end": "requisition_end",
    "moves_stored_materials": "move_materials_to_previous_work_completed",
    "created_by": "created_by",
    "updated_at": "updated_at",
    "origin_id": "origin_id",
    "origin_data": "origin_data",
}
_SUMMARY = {
    "original_contract_sum": "original_contract_sum",
    "net_change_orders": "net_change_by_change_orders",
    "contract_sum_to_date": "contract_sum_to_date",
    "completed_to_date": "total_completed_and_stored_to_date",
    "work_retainage": "completed_work_retainage_amount",
    "stored_retainage": "stored_materials_retainage_amount",
    "total_retainage": "total_retainage",
    "earned_less_retainage": "total_earned_less_retainage",
    "previous_certificates": "less_previous_certificates_for_payment",
    "payment_due": "current_payment_due",
    "balance_to_finish": "balance_to_finish_including_retainage",
    "tax": "tax_applicable_to_this_payment",
}
_ITEM = {
    "line_id_procore": "id",
    "kind": "item_type",
    "commitment_line_id_procore": "line_item_id",
    "change_order_id_procore": "change_order_package_id",
    "description": "description_of_work",
    "cost_code_id_procore": "cost_code_id",
    "scheduled_value": "scheduled_value",
    "work_before": "work_completed_from_previous_application",
    "work_this_period": "work_completed_this_period",
    "stored_now": "materials_presently_stored",
    "stored_before": "materials_presently_stored_from_previous_progress",
    "moved": "materials_moved",
    "completed_to_date": "total_completed_and_stored_to_date",
    "completed_before": "total_completed_and_stored_to_date_from_previous",
    "work_retainage_before": "work_completed_retainage_from_previous_application",
    "work_retained": "work_completed_retainage_retained_this_period",
    "work_released": "work_completed_retainage_released_this_period",
    "stored_retainage_now": "materials_stored_retainage_currently_retained",
    "stored_retainage_before": "materials_stored_retainage_from_previous_application",
    "stored_released": "materials_stored_retainage_released_this_period",
    "retainage_moved": "materials_retainage_retained_moved",
    "is_rejected": "status",
}
_UNIT_ITEM = {
    "quantity": "work_completed_this_period_quantity",
    "scheduled_quantity": "scheduled_quantity",
    "unit_price": "scheduled_unit_price",
}
_CHANGE_ITEM = _ITEM | {"commitment_line_id_procore": "commitment_line_item_id"}
_PERSON = {"user_id_procore": "id", "name": "name", "email": "login"}
_PROJECT = {"project_id_procore": "id", "name": "name", "number": "project_number", "is_active": "active"}
_VENDOR = {"vendor_id_procore": "id", "name": "name", "is_active": "is_active"}
_COST_CODE = {"cost_code_id_procore": "id", "code": "full_code"}
_PERIOD = {"period_id_procore": "id", "start_on": "start_date", "end_on": "end_date", "due_on": "due_date"}
_COMMITMENT = {"commitment_id_procore": "id", "number": "number", "title": "title", "status": "status"}
_COMMITMENT_LINE = {"line_id_procore": "id", "description": "description", "amount": "amount"}
_PAPER = {"name": "name", "status": "status", "expires_at": "expires_at"}
_INSURANCE_PAPER = _PAPER | {"kind": "insurance_type"}
_DOCUMENT = _PAPER | {"kind": "type"}
_COMPLIANCE = {
    "insurance_status": "insurance_status",
    "insurance_derived": "derived_insurance_status",
    "documents_status": "compliance_status",
    "documents_derived": "derived_compliance_status",
}
_WAIVER = {"waiver_id_procore": "id", "invoice_id_procore": "invoice_id", "kind": "type", "status": "status"}
_CHANGE_ORDER = {"change_order_id_procore": "id", "number": "number", "status": "status"}
_PAYMENT = {
    "payment_id_procore": "id",
    "commitment_id_procore": "contract_id",
    "invoice_id_procore": "requisition_id",
    "invoice_sequence": "draw_request_number",
    "amount": "amount",
    "paid_on": "date",
    "check_number": "check_number",
    "invoice_number": "invoice_number",
    "origin_id": "origin_id",
}
_REQUISITIONS = "/rest/v1.1/requisitions"
_ONLY_SENDABLE: Mapping[str, Any] = {"filters[status][]": SENDABLE}
_PAYMENTS = "/rest/v1.0/contract_payments"
_COMMITMENT_PATHS = {
    "/rest/v1.0/work_order_contracts": "subcontract",
    "/rest/v1.0/purchase_order_contracts": "purchase_order",
}
_LIST_NAMES = {"insurance_papers": "insurance_documents", "documents": "compliance_documents"}
_IDENTITY = ("payment_id_procore", "commitment_id_procore", "origin_id")
_COMMITMENT_KINDS = {"WorkOrderContract": "subcontract", "PurchaseOrderContract": "purchase_order"}


class _Names(NamedTuple):
    """Procore's names for the fields of one contract type, so that a reason speaks of what Procore sent."""

    fields: dict[str, str]
    nested: Mapping[str, "_Names"] = {}

    def path(self, location: Sequence[int | str]) -> str:
        """Return for example `items[3].work_completed_this_period`."""
        names, path = self, ""
        for step in location:
            if isinstance(step, int):
                path += f"[{step}]"
            else:
                path += ("." if path else "") + names.fields.get(step, step)
                names = names.nested.get(step, names)
        return path


_CURRENCY = {
    "currency": "currency_configuration.currency_iso_code",
    "base_currency": "currency_configuration.base_currency_iso_code",
}
_PARTS = {"lines": _Names(_ITEM | _UNIT_ITEM), "summary": _Names(_SUMMARY), "created_by": _Names(_PERSON)}
_COMMITMENT_PARTS = {"lines": _Names(_COMMITMENT_LINE), "change_orders": _Names(_CHANGE_ORDER)}
_INVOICE_NAMES = _Names(_HEADER | _CURRENCY | {"lines": "items"}, _PARTS)
_OLDER_INVOICE_NAMES = _Names(_INVOICE_NAMES.fields | {"summary": "g702"}, _PARTS)
_COMPLIANCE_NAMES = _Names(
    _COMPLIANCE | _LIST_NAMES, {"insurance_papers": _Names(_INSURANCE_PAPER), "documents": _Names(_DOCUMENT)}
)
_COMMITMENT_NAMES = _Names(
    _COMMITMENT | {"lines": "line_items", "change_orders": "change_order_packages"}, _COMMITMENT_PARTS
)


class _Unbelievable:
    """Stands where a number or a text of absurd size stood, so that the contract refuses it."""


def _day(value: Any) -> Any:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return value


def _moment(value: Any) -> Any:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return moment if moment.tzinfo else value


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return without_controls(value) if len(value) <= LONGEST_TEXT else _Unbelievable()


def _number_text(value: Any) -> Any:
    return str(value) if type(value) is int and abs(value) <= LARGEST_ID else _text(value)


def _instant_or_day(value: Any) -> Any:
    """Read an instant; a bare day is taken for its end, when what expires on it has expired."""
    moment = _moment(value)
    if isinstance(moment, str) and isinstance(day := _day(moment), date):
        return datetime.combine(day, clock_time.max, UTC)
    return moment


def _email(value: Any) -> Any:
    return value if isinstance(value, str) and "@" in value and len(value) <= 254 else None


def _commitment_kind(value: Any) -> Any:
    return _COMMITMENT_KINDS.get(value, value) if isinstance(value, str) else value


_READ: dict[str, Callable[[Any], Any]] = {  # by our name, which means the same in every contract
    **dict.fromkeys(("name", "vendor_name", "commitment_name", "description", "title", "origin_id"), _text),
    **dict.fromkeys(("origin_data", "status", "code", "kind"), _text),
    **dict.fromkeys(("invoice_number", "check_number", "number"), _number_text),
    **dict.fromkeys(("billed_on", "period_start", "period_end", "start_on", "end_on", "due_on", "paid_on"), _day),
    "is_rejected": lambda value: value == "rejected",
    "updated_at": _moment,
    "expires_at": _instant_or_day,
    "email": _email,
    "commitment_kind": _commitment_kind,
}


def _take(row: Any, names: Mapping[str, str]) -> Any:
    """Return the row under our names; what is not an object stays as it is for the contract to refuse."""
    if not isinstance(row, dict):
        return row
    fields: dict[str, Any] = {}
    for ours, theirs in names.items():
        value = row.get(theirs)
        if value is None:
            continue
        read = _READ.get(ours)
        if read:
            value = read(value)
        elif type(value) is int and not 0 <= value <= LARGEST_ID:
            value = _Unbelievable()
        fields[ours] = value
    return fields


AnyContract = TypeVar("AnyContract", bound=Contract)


def _checked(model: type[AnyContract], fields: Any, names: _Names) -> AnyContract | list[str]:
    """Return the contract, or in plain sentences why it cannot be made."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = [f"{names.path(each['loc'])}: {_words(each)}" for each in error.errors(include_url=False)]
        rest = [f"and {len(found) - MOST_REASONS} more"] if len(found) > MOST_REASONS else []
        return found[:MOST_REASONS] + rest


def _readable(made: AnyContract | list[str], document: str) -> AnyContract:
    if isinstance(made, list):
        raise ContractError(SYSTEM, document, "; ".join(made))
    return made


def _words(error: Mapping[str, Any]) -> str:
    """Say in plain words what pydantic found."""
    kind, value = error["type"], error["input"]
    if isinstance(value, _Unbelievable):
        return "is of an absurd size"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return plain(str(error["ctx"]["error"]), 120)
    shown = plain(json.dumps(value, default=str), 40)
    wanted = {
        "int_type": "a whole number",
        "string_type": "text",
        "bool_type": "true or false",
        "date_type": "a date such as 2026-01-31",
        "datetime_type": "an instant such as 2026-01-31T12:00:00Z",
        "model_type": "an object",
        "tuple_type": "a list",
        "literal_error": f"one of {error.get('ctx', {}).get('expected', 'the known values')}",
    }
    return f"must be {wanted[kind]}, not {shown}" if kind in wanted else f"{plain(error['msg'], 120)}: {shown}"


def parse_invoice(body: str, company_id: int, invoice_id: int | None = None) -> Invoice | list[str]:
    """Return the invoice that the JSON text describes, or in plain sentences why it cannot be believed. No I/O.

    With an `invoice_id`, the text of another invoice is one such reason.
    """
    if len(body) > LARGEST_BODY:
        return [f"the invoice is of an absurd size ({len(body):,} characters)"]
    try:
        wire = parse_text(body)
    except ValueError as error:
        return [str(error)]
    if not isinstance(wire, dict):
        return [f"the invoice must be an object, not {plain(json.dumps(wire), 40)}"]
    if invoice_id is not None and wire.get("id") != invoice_id:
        return [f"the answer is not invoice {invoice_id}"]
    if isinstance(wire.get("items"), list) and len(wire["items"]) > MOST_LINES:
        return [f"items: {len(wire['items']):,} lines are not believable"]
    invoice = _checked(Invoice, _invoice_fields(wire, company_id), _names_of(wire))
    return (_contradictions(invoice) or invoice) if isinstance(invoice, Invoice) else invoice


def invoice_paths(body: str) -> Callable[[Sequence[int | str]], str]:
    """Return what tells where a field of an invoice that was read from this text is in it: `items[3].id`. No I/O."""
    return _names_of(parse_text(body)).path


def _names_of(wire: dict[str, Any]) -> _Names:
    return _INVOICE_NAMES if wire.get("summary") is not None else _OLDER_INVOICE_NAMES


def _invoice_fields(wire: dict[str, Any], company_id: int) -> dict[str, Any]:
    fields: dict[str, Any] = _take(wire, _HEADER)
    fields["company_id_procore"] = company_id
    for nullable in ("vendor_id_procore", "billed_on"):
        fields.setdefault(nullable, None)
    fields.setdefault("invoice_number", "")  # empty is a rule's business: it happens, and the remedy is known
    if isinstance(wire.get("currency_configuration"), dict):
        money = wire["currency_configuration"]
        fields |= _take(money, {"currency": "currency_iso_code", "base_currency": "currency_iso_code"})
        fields |= _take(money, {"base_currency": "base_currency_iso_code"})
    if "created_by" in fields:
        fields["created_by"] = _person(fields["created_by"])
    fields["attachments"] = _attachments(wire.get("attachments"))
    g702 = wire.get("summary") if wire.get("summary") is not None else wire.get("g702")
    if g702 is not None:
        fields["summary"] = _take(g702, _SUMMARY)
    items = wire.get("items")
    if items is not None:
        fields["lines"] = tuple(map(_line_fields, items)) if isinstance(items, list) else items
    return fields


def _person(person: Any) -> Any:
    return {"name": "", **_take(person, _PERSON)} if isinstance(person, dict) else person


def _attachments(files: Any) -> tuple[str, ...]:
    """Return what was attached as name and address; what has no address is nothing to hold an invoice for."""
    named = [each for each in files if isinstance(each, dict)] if isinstance(files, list) else []
    pairs = [(each.get("filename") or "attachment", each.get("url")) for each in named]
    return tuple(plain(f"{name}: {url}", 1000) for name, url in pairs if isinstance(url, str) and url)


def _line_fields(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    fields = _take(item, _ITEM if item.get("commitment_line_item_id") is None else _CHANGE_ITEM)
    fields.setdefault("commitment_line_id_procore", None)
    if item.get("accounting_method") == "unit":
        fields |= _take(item, _UNIT_ITEM)
    wbs = item.get("wbs_code")
    if isinstance(wbs, dict) and wbs.get("flat_code") is not None:
        fields["wbs_code"] = _text(wbs["flat_code"])
    return fields


def _contradictions(invoice: Invoice) -> list[str]:
    """Return what is wrong with an invoice whose fields are each right by themselves."""
    times = Counter(line.line_id_procore for line in invoice.lines)
    twice = [line_id for line_id, count in times.items() if count > 1][:MOST_REASONS]
    found = [f"items: the line id {line_id} is there more than once" for line_id in twice]
    for name, code in (("currency", invoice.currency), ("base_currency", invoice.base_currency)):
        if not re.fullmatch("[A-Z]{3}", code):
            found.append(f"{_CURRENCY[name]}: {plain(code, 40)!r} is not a currency code")
    return found


def _commitment(
    row: dict[str, Any], project_id: int, kind: str, cost_codes: Mapping[int, CostCode]
) -> Commitment | list[str]:
    fields = _take(row, _COMMITMENT)
    fields |= {"project_id_procore": project_id, "kind": kind, "erp_code": _erp_code(row)}
    fields["vendor_id_procore"] = row["vendor"].get("id") if isinstance(row.get("vendor"), dict) else None
    lines, packages = row.get("line_items") or [], row.get("change_order_packages") or []
    if isinstance(lines, list):
        lines = tuple(_commitment_line(line, cost_codes) for line in lines)
    if isinstance(packages, list):
        packages = tuple(_take(package, _CHANGE_ORDER) for package in packages)
    fields |= {"lines": lines, "change_orders": packages}
    return _checked(Commitment, fields, _COMMITMENT_NAMES)


def _compliance(row: Any, commitment_id: int) -> Compliance | list[str]:
    fields = _take(row, _COMPLIANCE)
    if not isinstance(fields, dict):
        return ["the answer must be an object"]
    fields["commitment_id_procore"] = commitment_id
    for ours, names in (("insurance_papers", _INSURANCE_PAPER), ("documents", _DOCUMENT)):
        papers = row.get(_LIST_NAMES[ours]) or []
        fields[ours] = tuple(_take(each, names) for each in papers) if isinstance(papers, list) else papers
    return _checked(Compliance, fields, _COMPLIANCE_NAMES)


def _commitment_line(line: Any, cost_codes: Mapping[int, CostCode]) -> Any:
    """Return one line of a schedule of values; a code given by its id alone is looked up in the project's list."""
    fields = _take(line, _COMMITMENT_LINE)
    if not isinstance(line, dict):
        return fields
    cost_code, cost_type = line.get("cost_code"), line.get("line_item_type")
    if isinstance(cost_code, dict):
        known = cost_codes.get(cost_code["id"]) if isinstance(cost_code.get("id"), int) else None
        fields["cost_code_id_procore"] = cost_code.get("id")
        fields["cost_code"] = _code(cost_code, "full_code", "code") or (known.code if known else None)
        fields["cost_code_erp"] = _erp_code(cost_code) or (known.erp_code if known else None)
    if isinstance(cost_type, dict):
        fields["cost_type"], fields["cost_type_erp"] = _code(cost_type, "code"), _erp_code(cost_type)
    return fields


def _cost_code(row: dict[str, Any]) -> CostCode | list[str]:
    fields = _take(row, _COST_CODE) | {"erp_code": _erp_code(row)}
    fields["code"] = _code(row, "full_code", "code") or ""
    return _checked(CostCode, fields, _Names(_COST_CODE))


def _period(row: dict[str, Any]) -> BillingPeriod | list[str]:
    fields = _take(row, _PERIOD) | {"is_open": row.get("status") == "open"}
    return _checked(BillingPeriod, fields, _Names(_PERIOD))


def _project(row: dict[str, Any]) -> Project | list[str]:
    return _checked(Project, _take(row, _PROJECT) | {"erp_code": _erp_code(row)}, _Names(_PROJECT))


def _vendor(row: dict[str, Any]) -> Vendor | list[str]:
    return _checked(Vendor, _take(row, _VENDOR) | {"erp_code": _erp_code(row)}, _Names(_VENDOR))


def _payment(row: dict[str, Any], commitment_id: int) -> FetchedPayment | list[str]:
    """Return a row of Payments Issued; only what tells whether it is ours has to be readable."""
    fields = _take(row, _PAYMENT)
    fields.setdefault("commitment_id_procore", commitment_id)
    payment = _checked(FetchedPayment, fields, _Names(_PAYMENT))
    if isinstance(payment, list):
        identity = {name: fields[name] for name in _PAYMENT if name in _IDENTITY and name in fields}
        payment = _checked(FetchedPayment, identity, _Names(_PAYMENT))
    return payment


def _erp_code(row: Mapping[str, Any]) -> str | None:
    """Return what the ERP calls it: the code that people see, else the id that programs use."""
    return _code(row, "origin_code", "origin_id")


def _code(row: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        text = _number_text(row.get(name))
        if isinstance(text, str) and text:
            return text
    return None


class _Row(NamedTuple):
    """One row of a list: its text as it came and what it says."""

    text: str
    value: dict[str, Any]


class _Lost(NamedTuple):
    """A row that cannot be read, and its id where that much could be seen."""

    row_id: int | None
    words: str


class _Page(NamedTuple):
    """What one request for a list brought; `problem` says why the rest of it could not be read."""

    rows: dict[int, _Row]
    nameless: list[_Lost]  # rows without an id
    problem: str | None
    text: str
    size: int | None  # rows of a full page, where stated
    total: int | None  # rows of the whole list, where stated
    has_next: bool | None  # where stated

    @property
    def says_nothing(self) -> bool:
        """Whether no header tells about other pages: then the endpoint may not page at all."""
        return self.total is None and self.has_next is None

    def is_last(self, seen: int) -> bool:
        """Whether nothing follows, `seen` rows of the list having been read; headers may be absent."""
        if self.total is not None and seen >= self.total:
            return True
        if self.has_next is not None:
            return not self.has_next
        count = len(self.rows) + len(self.nameless)
        return self.problem is None and count < (self.size or 1)


class _List(NamedTuple):
    """A whole list, each row once, and what could not be read of it."""

    rows: dict[int, _Row]
    lost: list[_Lost]


_FIRST_ID = re.compile(r'\s*\[\s*\{\s*"id"\s*:\s*(\d{1,18})\b')


def _page(response: httpx.Response) -> _Page:
    """Take a page apart as far as it can be read."""
    text, problem = response.content.decode(errors="replace"), None
    rows: dict[int, _Row] = {}
    nameless: list[_Lost] = []
    try:
        for element, value in elements(text):
            row_id = value.get("id") if isinstance(value, dict) else None
            if type(row_id) is int and 0 <= row_id <= LARGEST_ID:
                rows[row_id] = _Row(element, value)
            else:
                nameless.append(_Lost(None, f"a row has no usable id: {plain(element, 80)}"))
    except ValueError as error:
        problem = str(error)
    link = response.headers.get("Link", "").strip()
    has_next = 'rel="next"' in link if link else None
    size, total = _stated_number(response, "Per-Page"), _stated_number(response, "Total")
    return _Page(rows, nameless, problem, text, size, total, has_next)


def _stated_number(response: httpx.Response, header: str) -> int | None:
    text = response.headers.get(header, "").strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None


class _Token:
    """A service account's access token, fetched when needed and renewed before it ends, by one thread at a time."""

    def __init__(self, login: Client, settings: Settings, clock: Callable[[], float]) -> None:
        """Fetch nothing yet."""
        self._login, self._settings, self._clock = login, settings, clock
        self._header, self._ends_at = "", 0.0
        self._lock = Lock()

    def header(self) -> str:
        """Return the header with a token that is still good for a while."""
        with self._lock:
            if self._clock() >= self._ends_at:
                self._fetch()
            return self._header

    def renew(self, refused: str) -> bool:
        """Fetch another token unless another thread just did."""
        with self._lock:
            if self._header == refused:
                self._fetch()
            return True

    def _fetch(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
        }
        asked_at = self._clock()
        try:
            answer = self._login.read_json("POST", "/oauth/token", "the access token", data=form)
        except RefusedError as error:
            raise SettingsError(SYSTEM, "the access token", error.reason, error.request_id) from None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise SettingsError(SYSTEM, "the access token", "the login address answered without a token")
        lifetime = answer.get("expires_in")
        lifetime = float(lifetime) if isinstance(lifetime, int | float) else 0.0
        self._header, self._ends_at = f"Bearer {token}", asked_at + lifetime - min(60.0, lifetime / 10)


class Procore:
    """One company in Procore, seen by one service account. Threads may share it."""

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open nothing yet."""
        self.company_id, self._per_page, self._clock = settings.company_id, settings.per_page, clock
        # Documented nowhere: long beside what a replica lags behind and what a proxy holds a request back.
        self.settles_within = timedelta(seconds=settings.settles_seconds)
        # To connect, to send and to wait for the answer may take the time-out each; a stated wait comes on top.
        self.request_timeout = timedelta(seconds=3 * settings.timeout + PATIENCE)
        company = {"Procore-Company-Id": str(settings.company_id)}
        self._login = Client(SYSTEM, settings.login_url, settings.timeout, sleep=sleep, clock=clock)
        token = _Token(self._login, settings, clock)
        self._api = Client(SYSTEM, settings.api_url, settings.timeout, token, company, sleep=sleep, clock=clock)
        self._largest_page: dict[str, int] = {}

    @classmethod
    def from_settings(cls) -> "Procore":
        """Return the connector as `tieout.toml` and the environment describe it."""
        return cls(read_section(Settings, "procore"))

    @property
    def calls(self) -> int:
        """How many requests were sent."""
        return self._api.calls + self._login.calls

    def close(self) -> None:
        """Release the connections."""
        self._api.close()
        self._login.close()

    def check(self) -> list[Problem]:
        """Return what stands in the way: address, credentials, company, clock, projects. Writes nothing."""
        try:
            return self._check()
        except SettingsError as error:
            return [_blocking("credentials", str(error), "Check login_url, client_id and the client secret.")]
        except RefusedError as error:
            return [_blocking("rights", str(error), "Have the app connected to the company in Procore.")]
        except TieoutError as error:
            return [_blocking("connection", str(error), "Check api_url, login_url and the network.")]

    def _check(self) -> list[Problem]:
        problems: list[Problem] = []
        response = self._api.read("GET", "/rest/v1.0/me", "the service account")
        server, ours = server_time(response), datetime.fromtimestamp(self._clock(), UTC)
        if server and abs(server - ours) > SKEW:
            message = f"This machine's clock is {abs(server - ours).total_seconds():.0f} s off Procore's."
            problems.append(_blocking("clock", message, "Set the clock, for example with NTP."))
        if self.company_id not in self._list("/rest/v1.0/companies", {}, "the companies").rows:
            message = f"The service account does not see company {self.company_id}."
            problems.append(_blocking("company", message, "Check company_id; have the app connected to it."))
        elif not self.projects():
            remedy = "In Procore, permit the service account on the projects it shall serve."
            problems.append(_blocking("projects", "The service account sees no active project.", remedy))
        return problems

    def projects(self) -> list[Project]:
        """Return the active projects that the service account sees."""
        rows = self._whole_list("/rest/v1.0/projects", {"company_id": self.company_id}, "the projects")
        found = []
        for project_id, row in rows.items():
            project = _project(row.value)
            # A project is never lost for a bad name: its invoices are judged all the same.
            if isinstance(project, list):
                project = Project(project_id_procore=project_id, name=f"Project {project_id}")
            found.append(project)
        return [project for project in found if project.is_active]

    def vendors(self) -> list[Vendor]:
        """Return the company's directory, as far as it is active."""
        params = {"company_id": self.company_id, "view": "extended"}
        rows = self._whole_list("/rest/v1.0/vendors", params, "the vendors")
        vendors = ((vendor_id, _vendor(row.value)) for vendor_id, row in rows.items())
        return [each if isinstance(each, Vendor) else Vendor(vendor_id_procore=i, name="") for i, each in vendors]

    def project_books(self, project: Project) -> tuple[ProjectBooks, list[Problem]]:
        """Return what judging the project's invoices needs, and a problem for each row that cannot be read."""
        project_id, problems = project.project_id_procore, list[Problem]()
        params: dict[str, Any] = {"project_id": project_id}
        extended = params | {"view": "extended"}
        codes = self._records(project_id, "/rest/v1.0/cost_codes", params, "cost code", _cost_code, problems)
        known = {code.cost_code_id_procore: code for code in codes}
        commitments: list[Commitment] = []
        for path, kind in _COMMITMENT_PATHS.items():
            make = partial(_commitment, project_id=project_id, kind=kind, cost_codes=known)
            commitments += self._records(project_id, path, extended, kind.replace("_", " "), make, problems)
        path = f"/rest/v1.0/projects/{project_id}/billing_periods"
        periods = self._records(project_id, path, {}, "billing period", _period, problems)
        books = ProjectBooks(
            project=project, commitments=tuple(commitments), cost_codes=tuple(codes), periods=tuple(periods)
        )
        return books, problems

    def compliance(self, project_id: int, commitment: Commitment) -> Compliance:
        """Return how the papers of a commitment stand; ContractError where that cannot be read."""
        path = next(path for path, kind in _COMMITMENT_PATHS.items() if kind == commitment.kind).rpartition("/")[2]
        commitment_id = commitment.commitment_id_procore
        document = f"the compliance of commitment {commitment_id}"
        where = f"/rest/v1.0/projects/{project_id}/{path}/{commitment_id}/compliance"
        found = self._api.read_json("GET", where, document)
        return _readable(_compliance(found, commitment_id), document)

    def lien_waivers(self, project_id: int, invoice_id: int) -> list[LienWaiver]:
        """Return the waivers that were asked for of an invoice; ContractError where one cannot be read."""
        document = f"the waivers of lien of invoice {invoice_id}"
        path = f"/rest/v1.0/projects/{project_id}/lien_waivers"
        rows = self._whole_list(path, {"invoice_id": invoice_id}, document)
        made = (_take(row.value, _WAIVER) | {"invoice_id_procore": invoice_id} for row in rows.values())
        return [_readable(_checked(LienWaiver, each, _Names(_WAIVER)), document) for each in made]

    def changed_invoices(
        self, project_id: int, since: datetime | None, until: datetime
    ) -> tuple[list[InvoiceStub], list[Problem]]:
        """Return which invoices changed from `since` to `until` (all, where `since` is None), each once.

        A problem means that something was not seen: the watermark must not move past it.
        """
        params: dict[str, Any] = {"project_id": project_id}
        if since is not None:
            params["filters[updated_at]"] = f"{_instant(since)}...{_instant(until + timedelta(seconds=1))}"
        found = self._list(_REQUISITIONS, params, f"the invoices of project {project_id}")
        stubs = {invoice_id: _stub(invoice_id, row.value) for invoice_id, row in found.rows.items()}
        for row_id in (row_id for row_id, _ in found.lost if row_id is not None):
            stubs.setdefault(row_id, _stub(row_id, {}))  # reading it by itself will say what is wrong with it
        unseen = [words for row_id, words in found.lost if row_id is None]
        return list(stubs.values()), [_problem("invoices", f"In project {project_id} {each}.") for each in unseen]

    def count_sendable(self, project_id: int) -> int:
        """Return how many of the project's invoices may be sent (R15): one request, of which only the count is read.

        Where an answer comes without `Total`, the rows are counted.
        """
        query = _pairs({"project_id": project_id, **_ONLY_SENDABLE})
        page = self._page(_REQUISITIONS, query, f"the number of invoices of project {project_id}", 1, 1)
        return len(self.sendable_invoices(project_id)) if page.total is None else page.total

    def sendable_invoices(self, project_id: int) -> set[int]:
        """Return the project's invoices that may be sent; one whose row cannot be read is taken for one of them."""
        params = {"project_id": project_id, **_ONLY_SENDABLE}
        found = self._list(_REQUISITIONS, params, f"the invoices of project {project_id} that may be sent")
        shown = {invoice_id for invoice_id, row in found.rows.items() if row.value.get("status") in SENDABLE}
        return shown | {row_id for row_id, _ in found.lost if row_id is not None}

    def invoices(self, project_id: int, ids: Sequence[int]) -> list[FetchedInvoice]:
        """Return these invoices in full, in that order; one that no longer exists is left out."""
        found: dict[int, FetchedInvoice] = {}
        waiting = list(dict.fromkeys(ids))
        while waiting:
            chunk = waiting[: self._chunk_length(waiting)]
            del waiting[: len(chunk)]
            found |= self._chunk_of_invoices(project_id, chunk)
        return [found[invoice_id] for invoice_id in dict.fromkeys(ids) if invoice_id in found]

    def invoice(self, project_id: int, invoice_id: int) -> FetchedInvoice | None:
        """Return one invoice in full, or None when Procore does not have it or does not show it."""
        fetched = self._invoice(project_id, invoice_id)
        if fetched and fetched.problem:  # an answer that was cut short is whole the second time
            fetched = self._invoice(project_id, invoice_id)
        return fetched

    def _invoice(self, project_id: int, invoice_id: int) -> FetchedInvoice | None:
        path, document = f"{_REQUISITIONS}/{invoice_id}", f"invoice {invoice_id}"
        params = {"project_id": project_id, "view": "extended"}
        response = self._api.read("GET", path, document, allow=(HTTPStatus.NOT_FOUND,), params=params)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        return _fetched_alone(project_id, invoice_id, response)

    def set_origin(
        self,
        project_id: int,
        commitment_id: int,
        invoice_id: int,
        origin_id: str | Literal[Unchanged.UNCHANGED] | None = UNCHANGED,
        origin_data: str | Literal[Unchanged.UNCHANGED] | None = UNCHANGED,
    ) -> FetchedInvoice:
        """Write the origin fields of an invoice (None clears one) and return the invoice as it is afterwards.

        That an invoice with an `origin_id` still takes a change of these two fields is modelled, not documented.
        """
        fields = {"origin_id": origin_id, "origin_data": origin_data}
        fields = {name: value for name, value in fields.items() if value is not UNCHANGED}
        body = {"project_id": project_id, "commitment_id": commitment_id, "requisition": fields}
        path, document = f"{_REQUISITIONS}/{invoice_id}", f"invoice {invoice_id}"
        response = self._api.write("PATCH", path, document, params={"view": "extended"}, json=body)
        fetched = _fetched_alone(project_id, invoice_id, response)
        if fetched.problem:
            raise UnconfirmedError(SYSTEM, document, fetched.problem, request_id(response))
        return fetched

    def payments(self, project_id: int, commitment_id: int) -> list[FetchedPayment]:
        """Return the rows of a commitment's Payments Issued tab; ContractError when one could be ours unseen."""
        params = {"project_id": project_id, "contract_id": commitment_id}
        hints = _payments_hints(project_id)
        rows = self._whole_list(_PAYMENTS, params, f"the payments of commitment {commitment_id}", hints)
        found = []
        for payment_id, row in rows.items():
            payment = _payment(row.value, commitment_id)
            if isinstance(payment, list):
                raise ContractError(SYSTEM, f"payment {payment_id}", "; ".join(payment))
            found.append(payment)
        return found

    def record_payment(self, payment: ProcorePayment) -> int:
        """Write one row of Payments Issued and return its id. Look with `payments` first: this writes each time."""
        document = f"payment {payment.origin_id}"
        hints = _payments_hints(payment.project_id_procore)
        response = self._api.write("POST", _PAYMENTS, document, hints, json=_payment_body(payment))
        answer = parse_text(response.text) if response.content else None
        payment_id = answer.get("id") if isinstance(answer, dict) else None
        if type(payment_id) is not int:
            raise UnconfirmedError(SYSTEM, document, "the answer has no payment id", request_id(response))
        return payment_id

    def _chunk_of_invoices(self, project_id: int, ids: Sequence[int]) -> dict[int, FetchedInvoice]:
        """Return these invoices by id. What does not come with the others is asked for by itself."""
        query = [("project_id", project_id), ("view", "extended"), *(("filters[id][]", each) for each in ids)]
        page = self._page(_REQUISITIONS, query, f"{len(ids)} invoices of project {project_id}", 1, len(ids))
        found = {each: _fetched(project_id, each, page.rows[each]) for each in ids if each in page.rows}
        rest = [each for each in ids if each not in found]
        if page.problem and len(ids) > 1:
            middle = (len(rest) + 1) // 2
            parts = [rest[:middle], rest[middle:]]
        elif found and page.total != len(page.rows):
            parts = [rest]  # the page was smaller than what was asked for
        else:
            alone = (self.invoice(project_id, each) for each in rest)
            return found | {each.invoice_id_procore: each for each in alone if each}
        for part in parts:
            found |= self._chunk_of_invoices(project_id, part) if part else {}
        return found

    def _chunk_length(self, ids: Sequence[int]) -> int:
        """Return how many of the ids fit into one address and onto one page."""
        lengths = accumulate(len(f"&filters%5Bid%5D%5B%5D={each}") for each in ids)
        fitting = sum(1 for _ in takewhile(lambda length: length <= URL_ROOM, lengths))
        return max(1, min(fitting, self._page_size(_REQUISITIONS)))

    def _records(
        self,
        project_id: int,
        path: str,
        params: Mapping[str, Any],
        what: str,
        make: Callable[[dict[str, Any]], AnyContract | list[str]],
        problems: list[Problem],
    ) -> list[AnyContract]:
        """Return what can be read of a project's list; each thing that cannot be is added to the problems."""
        found = self._list(path, params, f"the {what}s of project {project_id}")
        made = {row_id: make(row.value) for row_id, row in found.rows.items()}
        problems += [_problem(what, f"Among the {what}s of project {project_id} {words}.") for _, words in found.lost]
        for row_id, result in made.items():
            if isinstance(result, list):
                problems.append(_problem(what, f"Procore's {what} {row_id} cannot be read: {'; '.join(result)}."))
        return [result for result in made.values() if not isinstance(result, list)]

    def _whole_list(
        self, path: str, params: Mapping[str, Any], document: str, hints: Mapping[int, str] | None = None
    ) -> dict[int, _Row]:
        """Return a list of which no row may be missing."""
        found = self._list(path, params, document, hints)
        if found.lost:
            raise ContractError(SYSTEM, document, "; ".join(words for _, words in found.lost[:MOST_REASONS]))
        return found.rows

    def _list(
        self, path: str, params: Mapping[str, Any], document: str, hints: Mapping[int, str] | None = None
    ) -> _List:
        """Return every row of a list once, though rows move between pages while it is read."""
        rows: dict[int, _Row] = {}
        lost: dict[_Lost, None] = {}
        for _ in range(MOST_PASSES):
            total = self._pass(partial(self._page, path, _pairs(params), document, hints=hints), path, rows, lost)
            if total is None or len(rows) + len(lost) >= total:
                return _List(rows, [each for each in lost if each.row_id not in rows])
        missing = f"only {len(rows) + len(lost)} of {total} rows came"
        return _List(rows, [*lost, _Lost(None, missing)])

    def _pass(self, read: "_Reader", path: str, rows: dict[int, _Row], lost: dict[_Lost, None]) -> int | None:
        """Read a list once from front to back and return how many rows it is said to have."""
        seen: set[int] = set()
        stale = 0  # pages in a row that brought nothing new
        size = self._page_size(path)
        for number in range(1, MOST_PAGES):
            page = read(number, size)
            size = min(size, page.size or size)
            found, unread = page.rows, page.nameless
            if page.problem:
                salvaged = _salvage(read, number, size)
                found, unread = found | salvaged.rows, salvaged.lost
            stale = stale + 1 if found.keys() <= seen and not unread else 0
            seen |= found.keys()
            rows |= found
            lost |= dict.fromkeys(unread)
            # One such page may be a mere repetition where headers promise more; two are the end.
            if page.is_last(len(seen) + len(lost)) or stale == (1 if page.says_nothing else 2):
                return page.total
        raise TransientError(SYSTEM, path, f"the list has no end after {MOST_PAGES} pages")

    def _page(
        self,
        path: str,
        query: Sequence[tuple[str, Any]],
        document: str,
        number: int,
        size: int,
        hints: Mapping[int, str] | None = None,
    ) -> _Page:
        """Read one page and remember how large the server lets it be."""
        params = [*query, ("page", number), ("per_page", size)]
        response = self._api.read("GET", path, document, hints=hints, params=params)
        page = _page(response)
        if page.problem and not page.text.lstrip().startswith("["):
            raise TransientError(SYSTEM, document, page.problem, request_id(response))
        if page.size and page.size < size:
            self._largest_page[path] = page.size
        return page

    def _page_size(self, path: str) -> int:
        return min(self._per_page, self._largest_page.get(path, self._per_page))


_Reader = Callable[[int, int], _Page]


def _pairs(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the query of these parameters; one with several values is named for each of them."""
    return [(name, each) for name, value in params.items() for each in (value if type(value) is tuple else (value,))]


def _salvage(read: _Reader, number: int, size: int) -> _List:
    """Read a page again in smaller pages, so that no more is lost than the rows that cannot be read."""
    rows: dict[int, _Row] = {}
    lost: list[_Lost] = []
    waiting = deque(_smaller(number, size))
    for _ in range(MOST_SMALLER_PAGES):
        if not waiting:
            return _List(rows, lost)
        number, size = waiting.popleft()
        page = read(number, size)
        rows |= page.rows
        lost += page.nameless
        if not page.problem and len(page.rows) + len(page.nameless) < size:
            return _List(rows, lost)  # the list ends here
        if page.problem and size > 1:
            waiting.extendleft(reversed(_smaller(number, size)))
        elif page.problem:
            first_id = _FIRST_ID.match(page.text)
            lost.append(_Lost(int(first_id[1]) if first_id else None, f"a row cannot be read: {page.problem}"))
    raise TransientError(SYSTEM, "a list", f"too many unreadable rows: {lost[0].words if lost else 'no row is whole'}")


def _smaller(number: int, size: int) -> list[tuple[int, int]]:
    """Return the smaller pages, each (number, size), that cover a page."""
    parts = next(factor for factor in range(2, size + 1) if size % factor == 0) if size > 1 else 1
    return [((number - 1) * parts + part + 1, size // parts) for part in range(parts)]


def _fetched(project_id: int, invoice_id: int, row: _Row) -> FetchedInvoice:
    updated_at = _moment(row.value.get("updated_at"))
    return FetchedInvoice(
        invoice_id_procore=invoice_id,
        project_id_procore=project_id,
        body=row.text,
        updated_at=updated_at if isinstance(updated_at, datetime) else None,
        origin_id=_origin(row.value.get("origin_id")),
        origin_data=_origin(row.value.get("origin_data")),
    )


def _origin(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _fetched_alone(project_id: int, invoice_id: int, response: httpx.Response) -> FetchedInvoice:
    """Return the invoice of an answer that holds nothing else; what cannot be read comes with its problem."""
    text = response.content.decode(errors="replace")
    try:
        value = parse_text(text)
    except ValueError as error:
        value, problem = None, str(error)
    else:
        problem = f"the answer is not invoice {invoice_id}"
    if isinstance(value, dict) and value.get("id") == invoice_id:
        return _fetched(project_id, invoice_id, _Row(text, value))
    return FetchedInvoice(
        invoice_id_procore=invoice_id,
        project_id_procore=project_id,
        body=text[: LARGEST_BODY + 1].replace("\0", " "),  # as it came; databases hold no NUL
        updated_at=None,
        problem=problem,
    )


def _stub(invoice_id: int, row: Mapping[str, Any]) -> InvoiceStub:
    updated_at, status = _moment(row.get("updated_at")), row.get("status")
    return InvoiceStub(
        invoice_id_procore=invoice_id,
        updated_at=updated_at if isinstance(updated_at, datetime) else None,
        status=plain(status, 80) if isinstance(status, str) else "",
    )


def _payment_body(payment: ProcorePayment) -> dict[str, Any]:
    """Return the nested body; both links to the invoice are sent, since older projects know only the second."""
    fields = {
        "amount": f"{payment.amount:.2f}" if payment.amount == round(payment.amount, 2) else f"{payment.amount:f}",
        "date": payment.paid_on.isoformat(),
        "payment_number": payment.payment_number,
        "check_number": payment.check_number,
        "payment_method": payment.method,
        "invoice_number": payment.invoice_number,
        "invoice_date": payment.invoice_on.isoformat() if payment.invoice_on else None,
        "requisition_id": payment.invoice_id_procore,
        "draw_request_number": payment.invoice_sequence,
        "notes": payment.notes or None,
        "origin_id": payment.origin_id,
    }
    return {
        "project_id": payment.project_id_procore,
        "contract_id": payment.commitment_id_procore,
        "contract_payment": {name: value for name, value in fields.items() if value is not None},
    }


def _payments_hints(project_id: int) -> dict[int, str]:
    words = f"in project {project_id} the Commitments or Payments Issued tool may be off, or the right to it missing"
    return {403: words, 404: words}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _blocking(check: str, message: str, remedy: str) -> Problem:
    return Problem(system=SYSTEM, check=check, is_blocking=True, message=message, remedy=remedy)


def _problem(check: str, message: str) -> Problem:
    remedy = "Open it in Procore and save it again; if that does not help, send this message to Procore's support."
    return Problem(system=SYSTEM, check=check, is_blocking=False, message=message, remedy=remedy)
