"""Put beside an invoice what judging it needs, and judge many at once."""

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cache, lru_cache
from pathlib import Path

import data_contracts
from data_contracts.case import Case, Coding, ErpFacts, Others, PaperPolicy
from data_contracts.commitment import Commitment, ProjectBooks, Vendor
from data_contracts.expectations import validate
from data_contracts.invoice import Invoice
from data_contracts.reference import ErpSubcontract, Finding, Reference
from data_contracts.verdicts import check
from tieout import billing, papers
from tieout.connectors.base import Capabilities
from tieout.mapping import Mapping
from tieout.settings import Policy

FEW = 20  # up to so many are judged row by row, sooner than great-expectations is even imported
_BESIDE_THE_CONTRACTS = ("judging.py", "billing.py", "mapping.py", "others.py", "papers.py")


@cache
def rules_version() -> str:
    """Return what changes with any rule and with any code that applies one; kept with every judgement.

    It is taken from the text of that code, so that nobody can forget to count it up: a mere comment changes it too,
    and what waits is judged once more for nothing.
    """
    contracts, ours = Path(data_contracts.__file__).parent, Path(__file__).parent
    files = sorted(contracts.glob("*.py")) + [ours / name for name in _BESIDE_THE_CONTRACTS]
    text = "\0".join(file.read_text(encoding="utf-8") for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off the search for garbage in cycles: it takes a quarter of the time in which a batch is judged, for nothing.

    Python makes that search whenever there are many new objects; those of a batch are many, and hardly any in cycles.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def judge(cases: Sequence[Case]) -> dict[int, list[Finding]]:
    """Return by Procore invoice id what is wrong with each invoice; an empty list where nothing is."""
    return check(cases) if len(cases) <= FEW else validate(cases)


def build_case(
    invoice: Invoice,
    books: ProjectBooks,
    vendors: Sequence[Vendor],
    mapping: Mapping,
    reference: Reference,
    capabilities: Capabilities,
    previous: Invoice | None,
    others: Others,
    policy: Policy,
    today: date,
) -> Case:
    """Return the case of one invoice, its lines completed from the invoice before it."""
    codes = _codes(_Same(reference))
    commitment = mapping.commitment(invoice.commitment_id_procore)
    vendor, job = mapping.vendor(invoice.vendor_id_procore), mapping.job(invoice.project_id_procore)
    contract = mapping.subcontract(invoice.commitment_id_procore)
    return Case(
        invoice=billing.complete(invoice, previous),
        commitment=commitment,
        previous=previous,
        vendor_name=invoice.vendor_name or mapping.vendor_name(invoice.vendor_id_procore),
        number_erp=billing.erp_number(invoice, commitment, policy),
        company_erp=reference.company_erp,
        vendor_erp=vendor,
        job_erp=job,
        contract_erp=contract,
        coding=tuple(codes.coding(job, mapping.phase(line), mapping.cost_type(line)) for line in invoice.lines),
        erp=_facts(capabilities, reference),
        today=today,
        vendor_is_active=vendor in codes.vendors,
        contract_matches=codes.has_contract(contract, vendor, job),
        others=others,
        change_orders=_change_orders(commitment),
        period_is_known=any(each.period_id_procore == invoice.period_id_procore for each in books.periods),
        accounting_on=billing.accounting_on(invoice, reference, policy),
        over_billing=policy.over_billing,
        papers=papers.missing(invoice, commitment, books, policy, today),
        paper_policy=PaperPolicy(policy.insurance, policy.compliance_documents, policy.lien_waiver),
    )


def _change_orders(commitment: Commitment | None) -> dict[int, str]:
    if commitment is None:
        return {}
    return {each.change_order_id_procore: each.status.lower() for each in commitment.change_orders}


def _facts(capabilities: Capabilities, reference: Reference) -> ErpFacts:
    return ErpFacts(
        name=capabilities.name.capitalize(),
        currency=reference.currency,
        invoice_number_length=capabilities.invoice_number_length,
        contract_number_length=capabilities.contract_number_length,
        purchase_orders=capabilities.purchase_orders,
        retention_release=capabilities.retention_release,
        credit_memos=capabilities.credit_memos,
        tax=capabilities.tax,
        payment_hold=capabilities.payment_hold,
        release_path=capabilities.release_path,
    )


class _Codes:
    """The ERP's active codes, ready to be looked up."""

    def __init__(self, reference: Reference) -> None:
        self.vendors = {each.code for each in reference.vendors if each.is_active}
        self._jobs = {each.number for each in reference.jobs if each.is_active}
        self._contracts: dict[str, list[ErpSubcontract]] = {}  # a number may be that of several vendors
        for each in reference.subcontracts:
            if each.is_active:
                self._contracts.setdefault(each.number, []).append(each)
        self._accounts = {
            (each.job, each.phase, each.cost_type): each.gl_account for each in reference.phases if each.is_active
        }

    def coding(self, job: str | None, phase: str | None, cost_type: str | None) -> Coding:
        if job is None or phase is None or cost_type is None:
            return Coding(phase, cost_type)
        key = (job, phase, cost_type)
        return Coding(phase, cost_type, self._accounts.get(key), job in self._jobs and key in self._accounts)

    def has_contract(self, number: str | None, vendor: str | None, job: str | None) -> bool:
        """Whether the subcontract is there for this vendor and job; what is not mapped is another rule's matter."""
        bearing = self._contracts.get(number or "", [])
        return any(vendor in (None, each.vendor) and job in (None, each.job) for each in bearing)


class _Same:
    """Tells references apart by identity: comparing them by value would cost more than looking anything up."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    def __hash__(self) -> int:
        return id(self.reference)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.reference is self.reference


@lru_cache(maxsize=4)
def _codes(same: _Same) -> _Codes:
    return _Codes(same.reference)
