"""Take over a change that was made in Procore after an invoice was sent."""

from prefect import State, flow

from tasks import erp, grids, items, ledger, previews, procore, refreshes
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def refresh_invoice(company: int, invoice: int, dry_run: bool = False) -> State[None]:
    """Read an invoice in Procore again, show what differs from what was judged, and take it over if you say so.

    If something differs, the run is suspended: press **Resume** at the top, compare, and answer as an accounting
    approver. What is taken over is judged again and waits in *Ready to Export* for a new acceptance. If the invoice
    is changed once more before you answer, the answer counts for nothing and you are asked again. One that is in the
    ERP unposted is changed there by your answer, where the ERP lets that be done.

    It is also the way out where figures moved: the invoice is as it was accepted, but the one before it is not.

    Args:
        company: The company's number in Procore, as the message of the invoice's run or the list of `show-invoices`
            has it.
        invoice: The invoice's id in Procore, from the same place; not the number on the paper.
        dry_run: Switch it on to be shown only what differs in Procore now; nobody is asked.

    When it is red (*Finished with Failures*), the message says why it cannot be taken over and what to do instead:
    what the ERP holds already is not changed from here.
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
