"""What the ERP gets and what it holds: vouchers (unposted AP invoices), their outcome, their state."""

from datetime import date, datetime
from typing import Literal

from data_contracts.contract import Contract
from data_contracts.money import Amount


class VoucherLine(Contract):
    """One cost distribution of a voucher."""

    line_id_procore: int
    job: str
    phase: str
    cost_type: str
    gl_account: str | None = None
    amount: Amount
    description: str = ""


class Voucher(Contract):
    """An AP invoice as any ERP receives it; amounts before tax, retention included in the gross (R34, R92)."""

    key: str
    company_erp: str
    vendor_erp: str
    contract_erp: str
    invoice_number: str
    invoice_on: date
    accounting_on: date
    batch_code: str
    currency: str
    gross: Amount
    retention: Amount
    lines: tuple[VoucherLine, ...]
    holds_payment: bool = False  # a paper is missing: accounting pays it only after lifting the hold (C3.17)
    description: str = ""
    source: str = ""  # provenance in words: "Invoice Imported From Procore ..." (R67)
    attachments: tuple[str, ...] = ()  # each as its name and its address in Procore


class Created(Contract):
    """The ERP took the voucher."""

    key: str
    document_id_erp: str


class Refused(Contract):
    """The ERP refused the voucher, in its own words."""

    key: str
    reasons: tuple[str, ...]
    request_id: str | None = None


Outcome = Created | Refused
ErpState = Literal["unapproved", "unposted", "posted", "void"]
# What of a voucher is frozen: an AP invoice that shows otherwise is not what we sent.
_NAMES = ("vendor_erp", "contract_erp", "invoice_number")
_FIGURES = ("gross", "retention")


class ErpInvoice(Contract):
    """An AP invoice as the ERP holds it now."""

    key: str | None  # ours, when the record still carries it
    document_id_erp: str
    company_erp: str
    vendor_erp: str
    contract_erp: str | None
    invoice_number: str
    invoice_on: date | None
    batch_code: str | None
    state: ErpState
    currency: str
    gross: Amount
    retention: Amount
    changed_at: datetime | None = None

    def equals(self, voucher: Voucher) -> bool:
        """Whether this record is what we sent: every figure and name that we froze, batch and text apart.

        A clerk may have edited our key away; one that bears the key of another invoice is that one.
        """
        return not self.differences(voucher) and self.state != "void" and self.key in (None, voucher.key)

    def differences(self, voucher: Voucher) -> dict[str, tuple[str, str]]:
        """Return which of the figures and names that we froze are shown otherwise: what we sent, what is shown."""
        pairs = {name: (getattr(voucher, name), getattr(self, name) or "") for name in _NAMES}
        pairs |= {name: (getattr(voucher, name), getattr(self, name)) for name in _FIGURES}
        return {name: (str(sent), str(shown)) for name, (sent, shown) in pairs.items() if sent != shown}


class Payment(Contract):
    """One application of an ERP payment to one AP invoice; a check for three invoices makes three (A10)."""

    application_id_erp: str  # unique for ever in the ERP, voids included
    company_erp: str
    vendor_erp: str
    invoice_number: str
    check_number: str
    method: Literal["check", "credit_card", "electronic"] | None = None
    kind: Literal["progress", "retention"] = "progress"
    joint_payee: str = ""  # who the check is made out to beside the vendor (C3.18)
    paid_on: date
    amount: Amount
    discount: Amount
    currency: str
    is_void: bool = False
    voided_on: date | None = None
    changed_at: datetime | None = None


class Unreadable(Contract):
    """A record of the ERP that cannot be understood: which one, and why."""

    document: str
    reason: str


class ProcorePayment(Contract):
    """A row of a commitment's Payments Issued tab (there: a contract payment)."""

    payment_id_procore: int | None = None
    project_id_procore: int
    commitment_id_procore: int
    invoice_id_procore: int
    invoice_sequence: int  # the invoice's running number on the commitment
    amount: Amount
    paid_on: date
    check_number: str
    method: Literal["check", "credit_card", "electronic"] | None = None
    invoice_number: str  # as the ERP holds it (R82)
    invoice_on: date | None = None
    payment_number: int | None = None
    notes: str = ""
    origin_id: str
