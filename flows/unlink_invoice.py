"""An accountant cuts the tie to an AP invoice that was deleted or voided in the ERP."""

from prefect import flow

from tasks import erp, grids, items, procore, repairs
from tasks._policy import Writers
from tasks._steps import Steps


@flow(task_runner=Writers())
def unlink_invoice(company: int, invoice: int, unlinked_by: str, reason: str):
    """Cut the tie to an AP invoice that is *gone* from the ERP, so that the invoice can be corrected and sent again.

    It looks in the ERP first. An invoice is gone when two looks, some minutes apart, did not find it; the message
    says when to run this again. Nothing is unlinked on which a payment stands that was not voided.

    Unlinked, the invoice can be edited in Procore again. Nothing sends it by itself unless it is changed there; a
    person may send it with `send-invoices`, and an approver is asked again.

    - **company**, **invoice**: ids in Procore.
    - **unlinked_by**: your name, as it is in the list of approvers.
    - **reason**: why; it is kept with the invoice.

    When it is red (*Finished with Failures*), nothing was unlinked or a later step did not finish: see the message.
    """
    steps = Steps("Unlink invoice")
    steps.go(erp.observe_invoices, [invoice])
    if not steps.unfinished:
        steps.go(repairs.unlink, company, invoice, unlinked_by, reason)
    steps.go(procore.deliver_letters)
    steps.go(items.publish)
    grids.keep(steps)
    return repairs.conclude(steps, company, invoice)
