"""What the sandbox contractor's ERP holds before tieout ever came: the master data and a few invoices.

The Spectrum stand-in is filled from these; how Spectrum stores them (CHAR widths, padding) is its own affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True)
class ErpVendor:
    code: str  # at most 10 characters
    name: str
    status: str  # "A" active, "I" inactive, "N" not used


@dataclass(frozen=True)
class ErpJob:
    number: str  # at most 10 characters
    name: str
    status: str  # "A" active, "C" completed


@dataclass(frozen=True)
class ErpCostType:
    code: str  # at most 3 characters
    description: str
    gl_account: str  # at most 12 characters, no dashes


@dataclass(frozen=True)
class ErpPhase:
    job: str
    phase_code: str  # at most 20 characters, no dashes
    cost_type: str
    description: str
    status: str  # "A" active, "I" inactive


@dataclass(frozen=True)
class ErpSubcontract:
    number: str  # at most 10 characters
    vendor_code: str
    job: str
    description: str
    status: str  # "A" active, "C" completed
    amount: Decimal


@dataclass(frozen=True)
class ErpSubcontractPhase:
    subcontract: str
    phase_code: str
    cost_type: str
    amount: Decimal


@dataclass(frozen=True)
class ErpInvoice:
    """An invoice that a clerk had already typed into the ERP."""

    vendor_code: str
    number: str
    amount: Decimal
    invoice_date: date
    state: Literal["history", "posted"]


@dataclass(frozen=True)
class ErpBooks:
    company_code: str  # at most 3 characters
    company_name: str
    currency: str
    vendors: tuple[ErpVendor, ...]
    jobs: tuple[ErpJob, ...]
    cost_types: tuple[ErpCostType, ...]
    phases: tuple[ErpPhase, ...]
    subcontracts: tuple[ErpSubcontract, ...]
    subcontract_phases: tuple[ErpSubcontractPhase, ...]
    invoices: tuple[ErpInvoice, ...]
    open_period: tuple[date, date]  # first and last day that accounts payable accepts
    gl_accounts: tuple[tuple[str, str, str], ...]  # (account, description, kind: "direct" | "overhead" | "payable")
