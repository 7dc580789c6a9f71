"""A believable US general contractor, the same one for the same seed, as Procore and its ERP would hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tieout.sandbox.books import (
    ErpBooks,
    ErpCostType,
    ErpInvoice,
    ErpJob,
    ErpPhase,
    ErpSubcontract,
    ErpSubcontractPhase,
    ErpVendor,
)

__all__ = [
    "Contractor",
    "ErpBooks",
    "ErpCostType",
    "ErpInvoice",
    "ErpJob",
    "ErpPhase",
    "ErpSubcontract",
    "ErpSubcontractPhase",
    "ErpVendor",
]

Document = dict[str, Any]


@dataclass(frozen=True)
class Contractor:
    """Everything both stand-ins start from; Procore documents are JSON as Procore would answer them."""

    company_id: int
    company_name: str
    client_id: str
    client_secret: str
    books: ErpBooks
    projects: tuple[Document, ...]
    vendors: tuple[Document, ...]
    users: tuple[Document, ...]
    cost_codes: tuple[Document, ...]
    billing_periods: tuple[Document, ...]
    commitments: tuple[Document, ...]
    requisitions: tuple[Document, ...]
    troubles: dict[int, str]  # requisition id -> the one rule it breaks
    mapping_rows: tuple[Document, ...]  # kind, procore, job, erp, valid_from: rows of the mapping table
