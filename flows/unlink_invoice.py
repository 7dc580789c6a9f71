"""An accountant cuts the tie to an AP invoice that was deleted or voided in the ERP."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import erp, grids, items, previews, procore, repairs
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def unlink_invoice(
    company: int, invoice: int, unlinked_by: Words, reason: Words, code: Words = "", dry_run: bool = False
) -> State[None]:
    """Cut the tie to an AP invoice that is *gone* from the ERP, to correct the invoice and send it again.

    The run looks in the ERP first. An invoice is gone if two looks, some minutes apart, did not find it; the message
    says when to run this again. If the invoice has a payment that is not voided, tieout refuses.

    The project can then edit the invoice in Procore again. tieout does not send it by itself unless it changes there; a
    person may send it with `send-invoices`, and tieout asks an approver again.

    Args:
        company: The company's number in Procore, as the message of the invoice's run shows it.
        invoice: The invoice's id in Procore, as that message shows it; not the number on the paper.
        unlinked_by: Your name, as the settings list it; you must be an accounting approver.
        reason: Why you unlink it; tieout keeps the reason with the invoice.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to see only whether it would be unlinked, going by the last look; it needs no code.

    If it turns red (*Finished with Failures*), nothing was unlinked or a later step did not finish: see the message.
    """
    if dry_run:
        return previews.unlink(company, invoice, unlinked_by, reason)
    steps = Steps("Unlink invoice")
    steps.go(erp.observe_invoices, [invoice])
    if not steps.unfinished:
        steps.go(repairs.unlink, company, invoice, unlinked_by, reason, code)
    steps.go(procore.deliver_letters)
    steps.go(items.publish)
    grids.keep(steps)
    return repairs.conclude(steps, company, invoice)
