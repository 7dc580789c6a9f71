"""Take over a change that was made in Procore after an invoice was sent."""

from prefect import State, flow

from tasks import erp, grids, items, ledger, previews, procore, refreshes
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def refresh_invoice(company: int, invoice: int, dry_run: bool = False) -> State[None]:
    """Read an invoice in Procore again, show what differs from what was judged, and take it over if you say so.

    If something differs, the run suspends: press **Resume** at the top, compare, and answer as an accounting approver.
    tieout judges the invoice again, and it waits in *Ready to Export* for a new acceptance. If the invoice changes once
    more before you answer, your answer decides nothing and the run asks again. If the invoice is in the ERP, unposted,
    and the ERP allows changes, your answer changes it there.

    Use it as well if figures moved: the invoice is as it was accepted, but the previous one is not.

    Args:
        company: The company's number in Procore, as the message of the invoice's run or the list of `show-invoices`
            shows it.
        invoice: The invoice's id in Procore, from the same place; not the number on the paper.
        dry_run: Switch it on to see only what differs in Procore now; it asks nobody.

    If it turns red (*Finished with Failures*), the message says why tieout cannot take the change over and what to do
    instead; tieout then leaves the ERP as it is.
    """
    if dry_run:
        return previews.refresh(company, invoice)
    steps = Steps("Refresh invoice")
    project = steps.go(ledger.find_project, company, invoice)
    if project is None:
        return refreshes.conclude(steps, company, invoice)
    steps.go(procore.fetch_invoice, invoice)
    steps.go(erp.read_reference)
    steps.go(procore.read_books, [project])
    change = None if steps.unfinished else steps.go(refreshes.compare, company, invoice)
    if change is not None and not change.refusal:
        refreshes.ask(change)
        steps.go(erp.observe_invoices, [invoice])
    steps.go(procore.deliver_letters)
    steps.in_order(items.open_reviews, items.publish)
    grids.keep(steps)
    return refreshes.conclude(steps, company, invoice)
