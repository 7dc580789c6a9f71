"""A believable US general contractor, the same one for the same seed, as Procore and its ERP would hold it.

Procore's documents are JSON as Procore would answer them; keys that begin with `_` are for the stand-in only.
Codes differ between the two systems: some Procore records carry the ERP's code as `origin_code` and `origin_id`,
the others are in `mapping_rows`. Every invoice that is not in `troubles` ties out and can be mapped.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import date

from tieout.sandbox.contractor.applications import Deal, bill_months
from tieout.sandbox.contractor.commitments import strike
from tieout.sandbox.contractor.directory import Directory
from tieout.sandbox.contractor.documents import Document
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
from tieout.sandbox.contractor.plans import Plan, deal_out
from tieout.sandbox.contractor.troubles import Case, Repair, duplicate, put_in

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
    "build",
]


@dataclass(frozen=True)
class Contractor:
    """Everything both stand-ins start from."""

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
    mapping_rows: tuple[dict[str, str], ...]  # kind, procore, job, erp, valid_from: rows of the mapping table
    warnings: dict[int, str]  # requisition id -> what is worth a warning, but no reason to hold it
    repairs: dict[int, list[Repair]]  # requisition id -> what would make it sound, in Procore
    forbidden_projects: tuple[int, ...]  # listed, but the service account was never added to them


def build(
    seed: int,
    projects: int = 4,
    invoices: int = 60,
    lines: int | None = None,
    troubles: bool = True,
    *,
    today: date,
) -> Contractor:
    """Make the contractor with exactly `invoices` requisitions, over all months, projects and statuses.

    `lines` fixes the number of lines of every schedule of values; without troubles every invoice is approved and sound.
    """
    rng = random.Random(seed)
    directory = Directory(rng, projects, today, unmapped_job=troubles and projects >= 5)
    site = _Site(rng, directory, lines, troubles)
    for plan in deal_out(rng, invoices, projects, troubles):
        site.carry_out(plan)
    return site.finish()


class _Site:
    """Carries out one plan after the other and remembers what came of it."""

    def __init__(self, rng: random.Random, directory: Directory, lines: int | None, varied: bool) -> None:
        self.rng, self.directory, self.lines, self.varied = rng, directory, lines, varied
        self.requisitions: list[Document] = []
        self.troubles: dict[int, str] = {}
        self.warnings: dict[int, str] = {}
        self.repairs: dict[int, list[Repair]] = {}
        self.erp_invoices: list[ErpInvoice] = []
        self.turns: Counter[str] = Counter()

    def carry_out(self, plan: Plan) -> None:
        deal = strike(self.directory, plan, self.lines, self.varied)
        history = list(bill_months(deal, self.rng, self.directory.new_id))
        if deal.over_bills:
            self.warnings[history[-1]["id"]] = "over-billed"
        for month, pair in plan.pairs.items():
            first = min(m for m, label in plan.labels.items() if label == plan.labels[month])
            repair = duplicate(history[first], history[month], pair)
            self.repairs[history[first]["id"]] = self.repairs[history[month]["id"]] = [repair]
        for month, label in sorted(plan.labels.items()):
            self._put_in(label, deal, history, month)
        self.requisitions += history

    def _put_in(self, label: str, deal: Deal, history: list[Document], month: int) -> None:
        requisition = history[month]
        self.troubles[requisition["id"]] = label
        before = history[month - 1] if month else None
        code = self.directory.erp_code_of_vendor(deal.vendor)
        case = Case(requisition, before, deal.commitment, code, self.rng, self.turns[label])
        put_in(label, case)
        self.turns[label] += 1
        repairs = case.repairs + self.directory.repairs_of(label, deal)
        if repairs:
            self.repairs[requisition["id"]] = repairs
        self.erp_invoices += case.erp_invoices

    def finish(self) -> Contractor:
        directory = self.directory
        self.requisitions.sort(key=lambda requisition: requisition["id"])
        return Contractor(
            company_id=directory.company_id,
            company_name=directory.company_name,
            client_id=directory.client_id,
            client_secret=directory.client_secret,
            books=directory.books(tuple(self.erp_invoices)),
            projects=tuple(directory.projects),
            vendors=tuple(directory.vendors),
            users=tuple(directory.users),
            cost_codes=tuple(directory.cost_codes),
            billing_periods=tuple(directory.periods),
            commitments=tuple(directory.commitments),
            requisitions=tuple(self.requisitions),
            troubles=self.troubles,
            mapping_rows=tuple(directory.mapping_rows()),
            warnings=self.warnings,
            repairs=self.repairs,
            forbidden_projects=(directory.forbidden_project,),
        )
