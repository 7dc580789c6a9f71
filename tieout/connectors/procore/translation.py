"""Procore's JSON and our contracts, each in the words of the other. No I/O."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from datetime import time as clock_time
from typing import Any, TypeVar

from pydantic import ValidationError

from data_contracts.commitment import BillingPeriod, Commitment, Compliance, CostCode, LienWaiver, Project, Vendor
from data_contracts.contract import Contract
from data_contracts.fetched import FetchedInvoice, FetchedPayment, InvoiceStub, UnreadableInvoice
from data_contracts.invoice import Invoice
from data_contracts.text import plain, without_controls
from data_contracts.voucher import ProcorePayment
from tieout.connectors.procore import vocabulary
from tieout.connectors.procore.vocabulary import Names
from tieout.connectors.wire import parse_text

LARGEST_ID = 2**63 - 1
LARGEST_BODY = 20_000_000  # characters of one invoice
MOST_LINES = 10_000
LONGEST_TEXT = 10_000
MOST_REASONS = 20

AnyContract = TypeVar("AnyContract", bound=Contract)


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
    return vocabulary.COMMITMENT_KINDS.get(value, value) if isinstance(value, str) else value


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
    """Return the row under our names, a null as if it were missing; what is no object is left for the contract."""
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


def _checked(model: type[AnyContract], fields: Any, names: Names) -> AnyContract | list[str]:
    """Return the contract, or in plain sentences why it cannot be made."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = [f"{names.path(each['loc'])}: {_words(each)}" for each in error.errors(include_url=False)]
        rest = [f"and {len(found) - MOST_REASONS} more"] if len(found) > MOST_REASONS else []
        return found[:MOST_REASONS] + rest


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


def parse_invoice(body: str, company_id: int, invoice_id: int | None = None) -> Invoice | UnreadableInvoice:
    """Return the invoice that the JSON text describes, or why it cannot be believed. No I/O.

    With an `invoice_id`, the text of another invoice is one such reason.
    """
    made = _invoice(body, company_id, invoice_id)
    return made if isinstance(made, Invoice) else UnreadableInvoice(reasons=tuple(made))


def _invoice(body: str, company_id: int, invoice_id: int | None) -> Invoice | list[str]:
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


def _names_of(wire: dict[str, Any]) -> Names:
    return vocabulary.INVOICE_NAMES if wire.get("summary") is not None else vocabulary.OLDER_INVOICE_NAMES


def _invoice_fields(wire: dict[str, Any], company_id: int) -> dict[str, Any]:
    fields: dict[str, Any] = _take(wire, vocabulary.HEADER)
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
        fields["summary"] = _take(g702, vocabulary.SUMMARY)
    items = wire.get("items")
    if items is not None:
        fields["lines"] = tuple(map(_line_fields, items)) if isinstance(items, list) else items
    return fields


def _person(person: Any) -> Any:
    return {"name": "", **_take(person, vocabulary.PERSON)} if isinstance(person, dict) else person


def _attachments(files: Any) -> tuple[str, ...]:
    """Return what was attached as name and address; what has no address is nothing to hold an invoice for."""
    named = [each for each in files if isinstance(each, dict)] if isinstance(files, list) else []
    pairs = [(each.get("filename") or "attachment", each.get("url")) for each in named]
    return tuple(plain(f"{name}: {url}", 1000) for name, url in pairs if isinstance(url, str) and url)


def _line_fields(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    fields = _take(item, vocabulary.ITEM if item.get("commitment_line_item_id") is None else vocabulary.CHANGE_ITEM)
    fields.setdefault("commitment_line_id_procore", None)
    if item.get("accounting_method") == "unit":
        fields |= _take(item, vocabulary.UNIT_ITEM)
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
            found.append(f"{vocabulary.CURRENCY[name]}: {plain(code, 40)!r} is not a currency code")
    return found


def parse_commitment(
    row: dict[str, Any], project_id: int, kind: str, cost_codes: Mapping[int, CostCode]
) -> Commitment | list[str]:
    """Return a commitment with its lines, their codes taken from the project's list, or why it cannot be made."""
    fields = _take(row, vocabulary.COMMITMENT)
    fields |= {"project_id_procore": project_id, "kind": kind, "erp_code": _erp_code(row)}
    fields["vendor_id_procore"] = row["vendor"].get("id") if isinstance(row.get("vendor"), dict) else None
    lines, packages = row.get("line_items") or [], row.get("change_order_packages") or []
    if isinstance(lines, list):
        lines = tuple(_commitment_line(line, cost_codes) for line in lines)
    if isinstance(packages, list):
        packages = tuple(_take(package, vocabulary.CHANGE_ORDER) for package in packages)
    fields |= {"lines": lines, "change_orders": packages}
    return _checked(Commitment, fields, vocabulary.COMMITMENT_NAMES)


def parse_compliance(row: Any, commitment_id: int) -> Compliance | list[str]:
    """Return how the papers of a commitment stand, or why that cannot be told."""
    fields = _take(row, vocabulary.COMPLIANCE)
    if not isinstance(fields, dict):
        return ["the answer must be an object"]
    fields["commitment_id_procore"] = commitment_id
    for ours, names in (("insurance_papers", vocabulary.INSURANCE_PAPER), ("documents", vocabulary.DOCUMENT)):
        papers = row.get(vocabulary.LIST_NAMES[ours]) or []
        fields[ours] = tuple(_take(each, names) for each in papers) if isinstance(papers, list) else papers
    return _checked(Compliance, fields, vocabulary.COMPLIANCE_NAMES)


def _commitment_line(line: Any, cost_codes: Mapping[int, CostCode]) -> Any:
    """Return one line of a schedule of values; a code given by its id alone is looked up in the project's list."""
    fields = _take(line, vocabulary.COMMITMENT_LINE)
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


def parse_cost_code(row: dict[str, Any]) -> CostCode | list[str]:
    """Return one of a project's cost codes, or why it cannot be made."""
    fields = _take(row, vocabulary.COST_CODE) | {"erp_code": _erp_code(row)}
    fields["code"] = _code(row, "full_code", "code") or ""
    return _checked(CostCode, fields, Names(vocabulary.COST_CODE))


def parse_period(row: dict[str, Any]) -> BillingPeriod | list[str]:
    """Return one of a project's billing periods, or why it cannot be made."""
    fields = _take(row, vocabulary.PERIOD) | {"is_open": row.get("status") == "open"}
    return _checked(BillingPeriod, fields, Names(vocabulary.PERIOD))


def parse_project(row: dict[str, Any]) -> Project | list[str]:
    """Return a project, or why it cannot be made."""
    return _checked(Project, _take(row, vocabulary.PROJECT) | {"erp_code": _erp_code(row)}, Names(vocabulary.PROJECT))


def parse_vendor(row: dict[str, Any]) -> Vendor | list[str]:
    """Return a vendor of the company's directory, or why it cannot be made."""
    return _checked(Vendor, _take(row, vocabulary.VENDOR) | {"erp_code": _erp_code(row)}, Names(vocabulary.VENDOR))


def parse_waiver(row: dict[str, Any], invoice_id: int) -> LienWaiver | list[str]:
    """Return a waiver that was asked for of this invoice, or why it cannot be made."""
    fields = _take(row, vocabulary.WAIVER) | {"invoice_id_procore": invoice_id}
    return _checked(LienWaiver, fields, Names(vocabulary.WAIVER))


def parse_payment(row: dict[str, Any], commitment_id: int) -> FetchedPayment | list[str]:
    """Return a row of Payments Issued; only what tells whether it is ours has to be readable."""
    fields = _take(row, vocabulary.PAYMENT)
    fields.setdefault("commitment_id_procore", commitment_id)
    payment = _checked(FetchedPayment, fields, Names(vocabulary.PAYMENT))
    if isinstance(payment, list):
        identity = {name: fields[name] for name in vocabulary.PAYMENT if name in vocabulary.IDENTITY and name in fields}
        payment = _checked(FetchedPayment, identity, Names(vocabulary.PAYMENT))
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


def fetched_invoice(project_id: int, invoice_id: int, text: str, row: Mapping[str, Any]) -> FetchedInvoice:
    """Return the invoice of a row: its text as it came, and what is needed before it is judged."""
    updated_at = _moment(row.get("updated_at"))
    return FetchedInvoice(
        invoice_id_procore=invoice_id,
        project_id_procore=project_id,
        body=text,
        updated_at=updated_at if isinstance(updated_at, datetime) else None,
        origin_id=_origin(row.get("origin_id")),
        origin_data=_origin(row.get("origin_data")),
    )


def _origin(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def fetched_alone(project_id: int, invoice_id: int, content: bytes) -> FetchedInvoice:
    """Return the invoice of an answer that holds nothing else; what cannot be read comes with its problem."""
    text = content.decode(errors="replace")
    try:
        value = parse_text(text)
    except ValueError as error:
        value, problem = None, str(error)
    else:
        problem = f"the answer is not invoice {invoice_id}"
    if isinstance(value, dict) and value.get("id") == invoice_id:
        return fetched_invoice(project_id, invoice_id, text, value)
    return FetchedInvoice(
        invoice_id_procore=invoice_id,
        project_id_procore=project_id,
        body=text[: LARGEST_BODY + 1].replace("\0", " "),  # as it came; databases hold no NUL
        updated_at=None,
        problem=problem,
    )


def invoice_stub(invoice_id: int, row: Mapping[str, Any]) -> InvoiceStub:
    """Return what a list tells about an invoice; a field that cannot be read is empty."""
    updated_at, status = _moment(row.get("updated_at")), row.get("status")
    return InvoiceStub(
        invoice_id_procore=invoice_id,
        updated_at=updated_at if isinstance(updated_at, datetime) else None,
        status=plain(status, 80) if isinstance(status, str) else "",
    )


def payment_body(payment: ProcorePayment) -> dict[str, Any]:
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
