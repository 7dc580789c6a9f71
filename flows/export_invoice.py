"""One invoice: a run of this flow is its Failed to Export item, and what the Retry button runs."""

from prefect import State, flow

from tasks import checks, erp, grids, items, ledger, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def export_invoice(company: int, invoice: int, dry_run: bool = False) -> State[None]:
    """Try one invoice again. Fix the cause that the state's message shows, then press **Retry**.

    The run reads the invoice in Procore and the master data of both systems again. If nothing changed since accounting
    accepted the invoice and every check holds, tieout exports it and this run turns *Exported*. If it changed in
    Procore, it goes to *Ready to Export* for a new acceptance and this run ends *Sent*. If the cause is still there,
    the run ends *Failed to Export*, *Held* or *Uncertain* again, with the current reason.

    For a *Drifted* invoice the run looks at both sides again. If both are as exported, it turns *Exported*; if not, it
    shows what differs now. tieout exports nothing twice.

    Args:
        company: The company's number in Procore.
        invoice: The invoice's id in Procore; not the number on the paper.
        dry_run: Switch it on, in a separate run, to see only what would be exported, next to what the ERP holds; it
            goes by the last reading of Procore.
    """
    if dry_run:
        return previews.export(company, invoice)
    steps = Steps("Export invoice")
    project = steps.go(ledger.find_project, company, invoice)
    if project is None:
        return reports.conclude_item(steps, company, invoice)
    steps.go(procore.fetch_invoice, invoice)
    steps.go(erp.read_reference)
    steps.go(procore.read_books, [project])
    steps.go(erp.release_expired)
    steps.go(erp.settle_uncertain)
    steps.go(erp.observe_invoices, [invoice])
    if not steps.unfinished:
        steps.go(checks.judge_again, [invoice])
        steps.go(erp.export_chunk, erp.ALONE, only=[invoice])
    steps.go(procore.deliver_letters)
    steps.in_order(items.open_reviews, items.publish)
    grids.keep_at_leisure(steps)
    return reports.conclude_item(steps, company, invoice)
