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
    """Cut the tie to an AP invoice that is *gone* from the ERP, so that the invoice can be corrected and sent again.

    It looks in the ERP first. An invoice is gone when two looks, some minutes apart, did not find it; the message
    says when to run this again. Nothing is unlinked on which a payment stands that was not voided.

    Unlinked, the invoice can be edited in Procore again. Nothing sends it by itself unless it is changed there; a
    person may send it with `send-invoices`, and an approver is asked again.

    Args:
        company: The company's number in Procore, as the message of the invoice's run has it.
        invoice: The invoice's id in Procore, as that message has it; not the number on the paper.
        unlinked_by: Your name, as it is among the people of the settings; you must be an accounting approver.
        reason: Why it is unlinked; it is kept with the invoice.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to be told only whether it would be unlinked, by what the last look found; it needs
            no code.

    When it is red (*Finished with Failures*), nothing was unlinked or a later step did not finish: see the message.
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
