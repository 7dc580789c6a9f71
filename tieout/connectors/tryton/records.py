"""The invoices and payments that Tryton holds."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from data_contracts.voucher import ErpInvoice, Payment, Unreadable
from tieout.connectors.base import readable
from tieout.connectors.tryton.company import Company
from tieout.connectors.tryton.rpc import Calls, chunks
from tieout.connectors.tryton.translation import changed_since, from_wire, is_issued, named, payment_from_wire
from tieout.connectors.tryton.values import Row

_INVOICE = (
    *("description", "reference", "invoice_date", "state", "comment", "untaxed_amount", "purchases"),
    *("party.code", "currency.code", "write_date", "create_date"),
)
_PAYMENT = (
    *("number", "amount", "date", "state", "check_number", "process_method", "line.move_origin"),
    *("currency.code", "write_date", "create_date"),
)


def invoices(calls: Calls, company: Company, domain: Sequence[Any]) -> Iterator[ErpInvoice | Unreadable]:
    """Yield the supplier invoices of a search."""
    ours = [["company", "=", company.company_id], ["type", "=", "in"]]
    for rows in chunks(calls.every("account.invoice", [*ours, *domain], _INVOICE)):
        purchases = {each for row in rows for each in row["purchases"]}
        contracts = {row["id"]: row["reference"] or "" for row in _by_id(calls, "purchase.purchase", purchases)}
        retained = _retained(calls, company, rows)
        for row in rows:
            yield readable(named(row), partial(from_wire, row, company.name, contracts, retained))


def _retained(calls: Calls, company: Company, rows: Sequence[Row]) -> dict[int, Decimal]:
    """Return by the id of an invoice what it holds back."""
    retained: dict[int, Decimal] = {}
    held = [["invoice", "in", [row["id"] for row in rows]], ["account", "=", company.retention_id]]
    for line in calls.every("account.invoice.line", held, ["invoice", "amount"]):
        retained[line["invoice"]] = retained.get(line["invoice"], Decimal(0)) - line["amount"]
    return retained


def payments(calls: Calls, company: Company, since: datetime | None) -> Iterator[Payment | Unreadable]:
    """Yield the payments of supplier invoices that changed at or after `since`, voids included."""
    ours = [["company", "=", company.company_id], ["kind", "=", "payable"], ["line", "!=", None]]
    for rows in chunks(calls.every("account.payment", [*ours, *changed_since(since)], _PAYMENT)):
        issued = [row for row in rows if is_issued(row)]
        origins = [(row["line."]["move_origin"] or "").partition(",") for row in issued]
        ids = [int(each) if model == "account.invoice" else None for model, _, each in origins]
        paid = {row["id"]: row for row in _by_id(calls, "account.invoice", filter(None, ids))}
        for row, each in zip(issued, ids, strict=True):
            if each:
                what = f"payment {row['check_number'] or row['number']} of {named(paid[each])}"
                yield readable(what, partial(payment_from_wire, row, paid[each], company.name))


def _by_id(calls: Calls, model: str, ids: Iterable[int]) -> list[Row]:
    """Return the references, and the vendors, of purchases or invoices."""
    wanted = sorted(set(ids))
    rows: list[Row] = calls.read(model, "read", wanted, ["reference", "party.code"]) if wanted else []
    return rows
