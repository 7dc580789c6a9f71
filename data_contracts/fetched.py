"""What was fetched from Procore, before anything is decided from it (design law 7)."""

from datetime import date, datetime

from data_contracts.contract import Contract
from data_contracts.money import Amount
from data_contracts.voucher import ProcorePayment

_FROZEN = ("amount", "paid_on", "check_number", "invoice_number")


class InvoiceStub(Contract):
    """A row of a light listing: that an invoice exists and when it last changed."""

    invoice_id_procore: int
    updated_at: datetime | None  # None where the row did not say so readably: read the invoice
    status: str


class FetchedInvoice(Contract):
    """One invoice as it came; `problem` says why it could not be read at all."""

    invoice_id_procore: int
    project_id_procore: int
    body: str
    updated_at: datetime | None
    origin_id: str | None = None
    origin_data: str | None = None
    problem: str | None = None


class UnreadableInvoice(Contract):
    """An invoice whose body nobody can read, with the reasons in plain sentences."""

    reasons: tuple[str, ...]


class FetchedPayment(Contract):
    """A row of a commitment's Payments Issued tab as Procore holds it, no matter who wrote it."""

    payment_id_procore: int
    commitment_id_procore: int
    invoice_id_procore: int | None = None
    invoice_sequence: int | None = None  # the invoice's running number on the commitment
    amount: Amount | None = None  # None where someone else's row has an amount that is none
    paid_on: date | None = None
    check_number: str = ""
    invoice_number: str = ""
    origin_id: str | None = None

    def differences(self, payment: ProcorePayment) -> dict[str, tuple[str, str]]:
        """Return which of the figures and names that we froze are shown otherwise: what we meant, what is shown.

        Older projects tie a payment to its invoice by the invoice's running number alone.
        """
        tie = "invoice_sequence" if self.invoice_id_procore is None else "invoice_id_procore"
        pairs = {name: (getattr(payment, name), getattr(self, name)) for name in (*_FROZEN, tie)}
        return {name: (str(meant), str(shown)) for name, (meant, shown) in pairs.items() if meant != shown}
