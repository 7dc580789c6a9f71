"""What Procore's reference records are: projects, vendors, commitments with their schedule of values, periods."""

from datetime import date, datetime
from typing import Literal

from data_contracts.contract import Contract
from data_contracts.money import Amount


class Project(Contract):
    """A job site with its own tools and directory; `erp_code` is the ERP's job where Procore knows it."""

    project_id_procore: int
    name: str
    number: str = ""
    erp_code: str | None = None
    is_active: bool = True


class Vendor(Contract):
    """A company in the directory; `erp_code` is the ERP's vendor code where Procore knows it."""

    vendor_id_procore: int
    name: str
    erp_code: str | None = None
    is_active: bool = True


class CommitmentLine(Contract):
    """One line of a schedule of values with its coding; origin codes are the ERP's where Procore knows them."""

    line_id_procore: int
    description: str = ""
    amount: Amount
    cost_code_id_procore: int | None = None
    cost_code: str | None = None
    cost_code_erp: str | None = None
    cost_type: str | None = None
    cost_type_erp: str | None = None


class ChangeOrder(Contract):
    """A change order package of a commitment; only approved ones may be billed (requirements C2.8)."""

    change_order_id_procore: int
    number: str = ""
    status: str


class Paper(Contract):
    """A document that Procore keeps of a commitment: a policy of the vendor's insurance, a license, certified payroll.

    Procore documents the words of neither `kind` nor `status`.
    """

    name: str = ""
    kind: str = ""
    status: str = ""
    expires_at: datetime | None = None


class Compliance(Contract):
    """How a commitment's papers stand in Procore: insurance by itself, and all others together.

    The first of each pair is what a person set there, the second what Procore works out of the documents.
    """

    commitment_id_procore: int
    insurance_status: str = ""
    insurance_derived: str = ""
    insurance_papers: tuple[Paper, ...] = ()
    documents_status: str = ""
    documents_derived: str = ""
    documents: tuple[Paper, ...] = ()


class LienWaiver(Contract):
    """A waiver that Procore asked of the subcontractor for one invoice."""

    waiver_id_procore: int
    invoice_id_procore: int
    kind: str  # documented: conditional_progress, unconditional_progress, conditional_final, unconditional_final
    status: str  # documented: awaiting_signature, completed


class Commitment(Contract):
    """A subcontract or purchase order; `erp_code` is the ERP's contract number where Procore knows it."""

    commitment_id_procore: int
    project_id_procore: int
    kind: Literal["subcontract", "purchase_order"]
    number: str = ""
    title: str = ""
    status: str = ""
    erp_code: str | None = None
    vendor_id_procore: int | None = None
    lines: tuple[CommitmentLine, ...] = ()
    change_orders: tuple[ChangeOrder, ...] = ()


class CostCode(Contract):
    """A cost code of a project; `erp_code` is the ERP's phase where Procore knows it."""

    cost_code_id_procore: int
    code: str
    erp_code: str | None = None


class BillingPeriod(Contract):
    """A billing period of a project (R47); not the ERP's accounting period and not the batch."""

    period_id_procore: int
    start_on: date
    end_on: date
    due_on: date | None = None
    is_open: bool


class ProjectBooks(Contract):
    """Everything of one Procore project that judging its invoices needs, read together."""

    project: Project
    commitments: tuple[Commitment, ...] = ()
    cost_codes: tuple[CostCode, ...] = ()
    periods: tuple[BillingPeriod, ...] = ()
    compliance: tuple[Compliance, ...] = ()  # of the commitments with an invoice that waits, where the policy asks
    lien_waivers: tuple[LienWaiver, ...] = ()  # of those invoices and the ones before them, where the policy asks
