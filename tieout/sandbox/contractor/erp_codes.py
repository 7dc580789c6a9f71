"""The ERP's own codes for what Procore calls otherwise, and the books that come of them."""

from __future__ import annotations

import unicodedata
from datetime import date
from decimal import Decimal

from tieout.sandbox.contractor.erp_books import (
    ErpBooks,
    ErpCostType,
    ErpInvoice,
    ErpJob,
    ErpPhase,
    ErpSubcontract,
    ErpSubcontractPhase,
    ErpVendor,
)
from tieout.sandbox.contractor.trades import COST_TYPES, STALE_CODE, TRADES, UNMAPPED_CODE

MAPPED_SINCE = "2020-01-01"
GL_ACCOUNTS = (
    ("510010", "Job cost labor", "direct"),
    *((account, f"Job cost {name.lower()}", "direct") for *_, name, account in COST_TYPES),
    ("510090", "Job cost other", "direct"),
    ("610000", "Office supplies", "overhead"),
    ("200100", "Accounts payable trade", "payable"),
    ("200200", "Accounts payable retainage", "payable"),
)
# The second code of every trade, and the stale one, are mapped by rows; the others carry the ERP's code.
ROW_MAPPED = frozenset(trade.codes[1][0] for trade in TRADES if len(trade.codes) > 1) | {STALE_CODE[0]}


def phase_code(full_code: str) -> str:
    """Spell a cost code as the ERP's phase: no dash, and one digit more where accounting split the code."""
    return full_code.replace("-", "") + ("0" if full_code in ROW_MAPPED else "")


def cost_type_code(type_code: str) -> str:
    """Translate Procore's line item type; the owner's cost has a code in the ERP, though nobody mapped it."""
    return {row[0]: row[3] for row in COST_TYPES}.get(type_code, "OTH")


def plain(name: str) -> str:
    """Spell a name in capitals and plain letters, which is all the ERP knows."""
    decomposed = unicodedata.normalize("NFKD", name.replace("Ł", "L").replace("ł", "l").replace("ø", "o"))
    return decomposed.encode("ascii", "ignore").decode().upper()


class ErpSide:
    """Collects the ERP's records while the contractor is built."""

    def __init__(self, company_name: str) -> None:
        self.company_name = company_name
        self.vendors: dict[int, ErpVendor] = {}  # by Procore vendor id
        self.jobs: dict[int, ErpJob] = {}  # by Procore project id
        self.subcontracts: dict[str, ErpSubcontract] = {}
        self.phases: dict[tuple[str, str, str], ErpPhase] = {}
        self.subcontract_phases: dict[tuple[str, str, str], Decimal] = {}
        self.rows: list[dict[str, str]] = []

    def map(self, kind: str, procore: object, erp: str, job: str = "") -> None:
        self.rows.append({"kind": kind, "procore": str(procore), "job": job, "erp": erp, "valid_from": MAPPED_SINCE})

    def map_codes(self) -> None:
        """Write the rows that hold for every project."""
        for full_code in sorted(ROW_MAPPED):
            self.map("phase", full_code, phase_code(full_code))
        for code, _, _, erp_code, _, _ in COST_TYPES:
            if code != "M":  # materials carry the ERP's code in Procore
                self.map("cost_type", code, erp_code)

    def add_vendor(self, vendor_id: int, name: str, status: str) -> ErpVendor:
        letters = "".join(char for char in plain(name) if char.isalnum())[:6]
        code = f"{letters}{len(self.vendors) + 1:03d}"
        self.vendors[vendor_id] = ErpVendor(code, plain(name), status)
        return self.vendors[vendor_id]

    def add_phase(self, job: str, full_code: str, name: str, type_code: str, status: str = "A") -> None:
        phase, cost_type = phase_code(full_code), cost_type_code(type_code)
        self.phases.setdefault((job, phase, cost_type), ErpPhase(job, phase, cost_type, plain(name), status))

    def add_to_subcontract(self, number: str, full_code: str, type_code: str, amount: Decimal) -> None:
        key = (number, phase_code(full_code), cost_type_code(type_code))
        self.subcontract_phases[key] = self.subcontract_phases.get(key, Decimal("0.00")) + amount

    def books(self, invoices: tuple[ErpInvoice, ...], open_period: tuple[date, date]) -> ErpBooks:
        cost_types = [ErpCostType(row[3], row[4], row[5]) for row in COST_TYPES]
        return ErpBooks(
            company_code="PCB",
            company_name=plain(self.company_name),
            currency="USD",
            vendors=(*self.vendors.values(), ErpVendor("OLDSUB999", "OLD SUB NOT IN PROCORE", "N")),
            jobs=(*self.jobs.values(), ErpJob("0911", "FINISHED WAREHOUSE", "C")),
            cost_types=(*cost_types, ErpCostType("LAB", "Labor", "510010"), ErpCostType("OTH", "Other", "510090")),
            phases=tuple(self.phases.values()),
            subcontracts=tuple(self.subcontracts.values()),
            subcontract_phases=tuple(
                ErpSubcontractPhase(*key, amount) for key, amount in self.subcontract_phases.items()
            ),
            invoices=invoices + self._typed_in_by_hand(open_period[0]),
            open_period=open_period,
            gl_accounts=GL_ACCOUNTS,
        )

    def _typed_in_by_hand(self, on: date) -> tuple[ErpInvoice, ...]:
        """A few invoices that never were in Procore; their payments must not appear there."""
        codes = [vendor.code for vendor in self.vendors.values()][:3]
        return tuple(
            ErpInvoice(code, f"HAND-{position}", Decimal("850.00"), on, "posted")
            for position, code in enumerate(codes, 1)
        )


UNMAPPED_PHASE = phase_code(UNMAPPED_CODE[0])
