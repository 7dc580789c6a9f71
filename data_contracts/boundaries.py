"""Every boundary with its contract: the part of `docs/contracts.md` that is made from the models and the batches."""

import inspect
import re
import types
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin

from data_contracts.batch import Batch
from data_contracts.batches import BATCHES
from data_contracts.commitment import (
    BillingPeriod,
    ChangeOrder,
    Commitment,
    CommitmentLine,
    Compliance,
    CostCode,
    LienWaiver,
    Paper,
    Project,
    Vendor,
)
from data_contracts.contract import Contract
from data_contracts.fetched import FetchedInvoice, FetchedPayment, InvoiceStub, UnreadableInvoice
from data_contracts.invoice import Invoice, InvoiceLine, Person, Summary
from data_contracts.reference import ErpJob, ErpPhase, ErpSubcontract, ErpVendor, Reference
from data_contracts.rules import section
from data_contracts.voucher import (
    Created,
    ErpInvoice,
    Payment,
    ProcorePayment,
    Refused,
    Unreadable,
    Voucher,
    VoucherLine,
)

BOUNDARIES: tuple[tuple[str, tuple[type[Contract], ...]], ...] = (
    ("Procore's invoice", (InvoiceStub, FetchedInvoice, UnreadableInvoice, Invoice, Summary, InvoiceLine, Person)),
    ("Procore's books", (Project, Vendor, Commitment, CommitmentLine, ChangeOrder, CostCode, BillingPeriod)),
    ("Procore's papers", (Compliance, Paper, LienWaiver)),
    ("What the ERP gets", (Voucher, VoucherLine, Created, Refused)),
    ("What the ERP shows", (ErpInvoice, Payment, Unreadable)),
    ("The ERP's master data", (Reference, ErpVendor, ErpJob, ErpPhase, ErpSubcontract)),
    ("Payments Issued in Procore", (ProcorePayment, FetchedPayment)),
)
_SENTENCE = re.compile(r"(?<=[a-z)])([.!?]) +(?=[A-Z])")  # the docs have one a line
_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    bool: "yes or no",
    Decimal: "exact decimal",
    date: "date",
    datetime: "instant",
}


def page() -> str:
    """Return the batches with their rules, then each contract with its fields, as Markdown."""
    return "\n".join([_OF_BATCHES, *map(_batch, BATCHES), _OF_CONTRACTS, *_contracts()])


_OF_BATCHES = """# The rules that batches from the ERP must keep

A record that breaks one is left out, or keeps its last known state, with this reason; the rest of its batch goes on.
The run's report lists what is left out, every night until it is fixed.
"""
_OF_CONTRACTS = """# The contracts

Every one of them is frozen, strict and closed to unknown fields.
Fields that a vendor adds are dropped where its answer is read.
A field without a default must be there; what cannot be made into its type is a reason on that one record.
"""


def _batch(batch: Batch) -> str:
    rules = (section(rule).replace("## ", "### ", 1) for rule in batch.rules)
    return "\n".join([f"## {batch.title}", "", f"Protects against {batch.protects}.", "", *rules])


def _contracts() -> Iterator[str]:
    for title, models in BOUNDARIES:
        yield f"## {title}\n"
        for model in models:
            rows = [
                f"| `{name}` | {_type(field.annotation)} | {'' if field.is_required() else _default(field.default)} |"
                for name, field in model.model_fields.items()
            ]
            doc = _SENTENCE.sub(r"\1\n", inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0].replace("\n", " "))
            head = [f"### {model.__name__}", "", doc, "", "| field | type | default |", "|---|---|---|"]
            yield "\n".join([*head, *rows, ""])


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join("none" if each is type(None) else _type(each) for each in arguments)
    if origin in (tuple, dict):
        return f"list of {_type(arguments[0])}" if origin is tuple else "table of text"
    named: str = getattr(annotation, "__name__", str(annotation))
    return _WORDS.get(annotation, named)


def _default(value: Any) -> str:
    return "none" if value is None else f"`{value!s}`" if isinstance(value, Decimal) else f"`{value!r}`"
