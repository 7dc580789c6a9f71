"""What the ERP knows: vendors, jobs, phases, cost types, subcontracts; what codes are checked against."""

import hashlib
from datetime import date

from pydantic import Field

from data_contracts.contract import Contract


class ErpVendor(Contract):
    """A vendor of the ERP."""

    code: str
    name: str
    is_active: bool


class ErpJob(Contract):
    """A job of the ERP; a completed one takes no more cost."""

    number: str
    name: str
    is_active: bool


class ErpPhase(Contract):
    """A valid combination of job, phase and cost type."""

    job: str
    phase: str
    cost_type: str
    is_active: bool
    gl_account: str | None = None


class ErpSubcontract(Contract):
    """A subcontract of the ERP with the vendor and the job that it belongs to."""

    number: str
    vendor: str
    job: str
    is_active: bool


class Reference(Contract):
    """The ERP's master data of one company at one moment."""

    company_erp: str
    currency: str
    vendors: tuple[ErpVendor, ...]
    jobs: tuple[ErpJob, ...]
    phases: tuple[ErpPhase, ...]
    subcontracts: tuple[ErpSubcontract, ...]
    open_from: date | None = None  # the AP accounting period that takes entries now
    open_to: date | None = None

    def fingerprint(self) -> str:
        """Return a hash that changes when anything that judging depends on changes."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Problem(Contract):
    """A finding of a preflight: what is wrong in which system, who mends it and how."""

    system: str
    check: str
    is_blocking: bool
    message: str
    remedy: str = ""


class Finding(Contract):
    """Why one invoice was stopped or warned about: the rule, the numbers it used, the remedy, whose move it is."""

    rule: str
    severity: str  # "refuse" | "hold" | "warn"
    message: str
    remedy: str
    owner: str
    figure: str = ""  # which of the rule's figures was not as it must be, by the name of its column
    numbers: dict[str, str] = Field(default_factory=dict)
    line_id_procore: int | None = None
