"""Look up in the ERP's master data whether codes are active, and which account of the general ledger they post to."""

from data_contracts.case import Coding
from data_contracts.reference import ErpSubcontract, Reference


class Codes:
    """The ERP's active codes, ready to be looked up."""

    def __init__(self, reference: Reference) -> None:
        self.reference, self.fingerprint = reference, reference.fingerprint()
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
