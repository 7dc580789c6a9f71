"""Build what an accepted invoice becomes in the ERP."""

from collections.abc import Sequence
from datetime import datetime

from data_contracts.case import Case
from data_contracts.invoice import Invoice
from data_contracts.money import in_words
from data_contracts.reference import Finding
from data_contracts.verdicts import unreadable
from data_contracts.voucher import Voucher
from tieout.connectors.base import invoice_key
from tieout.connectors.procore import parse_invoice
from tieout.judgement import billing
from tieout.judgement.basis import Basis
from tieout.judgement.cases import read_cases
from tieout.ledger import sightings
from tieout.ledger.database import Reader
from tieout.ledger.items import Item


def vouchers(connection: Reader, basis: Basis, items: Sequence[Item], now: datetime) -> dict[int, Voucher | Finding]:
    """Build what each item becomes in the ERP, by item id; a Finding where a code is gone since."""
    made: dict[int, Voucher | Finding] = {}
    for item, case in cases_of(connection, basis, items, now):
        made[item.item_id] = case if isinstance(case, Finding) else voucher_of(basis, item, case, now)
    return made


def cases_of(
    connection: Reader, basis: Basis, items: Sequence[Item], now: datetime
) -> list[tuple[Item, Case | Finding]]:
    """Read what each item's voucher is made of, as it was judged, those of a project together.

    A Finding where what was judged cannot be read now: one such invoice must not hold up the others.
    """
    found: list[tuple[Item, Case | Finding]] = []
    by_project: dict[int, dict[Item, Invoice]] = {}
    basis = basis.with_books(connection, {item.project_id for item in items})
    bodies = sightings.bodies(connection, [item.snapshot_id for item in items])
    for item in items:
        invoice = parse_invoice(bodies[item.snapshot_id], item.company_id)
        if not isinstance(invoice, Invoice):
            found.append((item, unreadable(invoice.reasons)))
        elif item.project_id not in basis.books:
            found.append((item, unreadable(["its project was never read"])))
        else:
            by_project.setdefault(item.project_id, {})[item] = invoice
    for project_id, group in by_project.items():
        found += zip(group, read_cases(connection, basis, project_id, group.values(), now), strict=True)
    return found


def voucher_of(basis: Basis, item: Item, case: Case, now: datetime) -> Voucher | Finding:
    """Build what an item becomes in the ERP; a Finding where a code is gone, or its figures moved, since."""
    batch = billing.batch_code(now, basis.zone, basis.policy.batch_weekday)
    accounting_on = billing.accounting_on(case.invoice, basis.reference, basis.policy)
    voucher = billing.voucher(case, invoice_key(item.company_id, item.invoice_id), batch, accounting_on)
    return (isinstance(voucher, Voucher) and _moved(item, voucher)) or voucher


def _moved(item: Item, voucher: Voucher) -> Finding | None:
    """Say when the figures are no longer those that were accepted, though the invoice itself did not change."""
    if (voucher.gross, voucher.retention) == (item.gross, item.held):
        return None
    accepted, now = (
        f"{in_words(gross, item.currency)} with {in_words(held, item.currency)} retained"
        for gross, held in ((item.gross, item.held), (voucher.gross, voucher.retention))
    )
    return Finding(
        rule="figures-moved",
        severity="refuse",
        message=f"Accepted: {accepted}. After the change of the previous invoice it is {now}.",
        remedy=(
            "Check what changed on the commitment's previous invoice. If the new figures are right, run "
            f"refresh-invoice with company {item.company_id} and invoice {item.invoice_id}: it offers them for a new "
            "acceptance. Otherwise have that invoice put back and press Retry."
        ),
        owner="project manager",
    )
