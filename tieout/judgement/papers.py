"""What is missing of the papers that payment waits for: insurance, licence, payroll, waivers of lien (C3.17). Pure.

Who asks Procore for them is `intake/reference.py`.
"""

from collections.abc import Iterable, Iterator
from datetime import date

from data_contracts.case import Papers
from data_contracts.commitment import Commitment, Compliance, LienWaiver, Paper, ProjectBooks
from data_contracts.invoice import Invoice
from tieout.settings import Policy

IN_ORDER = ("compliant", "not_required")
SIGNED = "completed"


def missing(
    invoice: Invoice, commitment: Commitment | None, books: ProjectBooks, policy: Policy, today: date
) -> Papers:
    """Say what is missing, of what the policy asks for."""
    if not policy.asks_for_papers:
        return Papers()
    known = {each.commitment_id_procore: each for each in books.compliance}
    shown = known.get(commitment.commitment_id_procore) if commitment else None
    return Papers(
        insurance="" if policy.insurance == "allow" else _insurance(shown, today),
        compliance_documents="" if policy.compliance_documents == "allow" else _documents(shown, today),
        lien_waiver="" if policy.lien_waiver == "allow" else _waivers(invoice, books.lien_waivers),
    )


def _insurance(shown: Compliance | None, today: date) -> str:
    if shown is None:
        return "Procore does not show its status"
    return _not_in_order(shown.insurance_status or shown.insurance_derived, shown.insurance_papers, today)


def _documents(shown: Compliance | None, today: date) -> str:
    if shown is None:
        return "Procore does not show their status"
    return _not_in_order(shown.documents_status or shown.documents_derived, shown.documents, today)


def _not_in_order(status: str, papers: Iterable[Paper], today: date) -> str:
    """Say what is wrong: a status that is not good, and whatever has expired since it was set."""
    if status == "not_required":
        return ""
    told = list(_amiss(papers, today))
    if status == "compliant" and not told:
        return ""
    words = status.replace("_", " ") or "nobody has said that they are in order"
    return f"{words}{': ' if told else ''}{', '.join(told)}"


def _amiss(papers: Iterable[Paper], today: date) -> Iterator[str]:
    for paper in papers:
        label = " ".join(filter(None, (paper.kind, paper.name))) or "a paper"
        if paper.expires_at and paper.expires_at.date() < today:
            yield f"{label} expired on {paper.expires_at.date()}"
        elif paper.status not in IN_ORDER:
            yield f"{label} is {paper.status.replace('_', ' ') or 'without a status'}"


def _waivers(invoice: Invoice, shown: Iterable[LienWaiver]) -> str:
    """Say which waiver is missing: of this invoice one must be signed, of the one before it none may wait."""
    ours = [each for each in shown if each.invoice_id_procore == invoice.invoice_id_procore]
    before = [each for each in shown if each.invoice_id_procore == invoice.previous_invoice_id_procore]
    told = [f"{_named(each)} waits for its signature" for each in ours if each.status != SIGNED]
    told += ["none was requested for this invoice"] if not ours else []
    waiting = [each for each in before if each.status != SIGNED]
    told += [f"{_named(each)} of the previous invoice waits for its signature" for each in waiting]
    return ", ".join(told)


def _named(waiver: LienWaiver) -> str:
    return f"the {waiver.kind.replace('_', ' ')} one"
