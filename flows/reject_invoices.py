"""An accounting approver rejects invoices, those that failed to export as well."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import decisions, grids, items, notices, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def reject_invoices(
    project: int,
    rejected_by: Words,
    reason: Words,
    invoices: list[Words] | None = None,
    code: Words = "",
    dry_run: bool = False,
) -> State[None]:
    """Send invoices back to their project with a reason, from *Ready to Export* or *Failed to Export*.

    Whoever made the invoice in Procore gets a mail with the reason, and the invoice can be edited there again. What
    the ERP shows under our key, and what is on its way there, is refused with what to do first.

    Args:
        project: The project's number in Procore, as the address of its pages there has it.
        rejected_by: Your name, as it is among the people of the settings; you must be an accounting approver.
        reason: Why they are sent back; the project's people read it.
        invoices: The numbers on the paper, or ids in Procore; None rejects all of the project that wait or failed.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to be told only what would come of each invoice, by what was last read; it needs no code.

    When it is red (*Finished with Failures*), its message says which invoices stay as they are, and why.
    """
    if dry_run:
        return previews.reject(project, invoices or [], rejected_by, reason)
    steps = Steps("Reject invoices")
    meant = steps.go(decisions.choose_invoices, project, invoices or [])
    if meant is not None:
        wanted = list(meant.invoice_ids) if invoices else None
        steps.go(decisions.reject, project, wanted, rejected_by, code, reason)
    steps.in_order(procore.deliver_letters, notices.deliver_mail, items.open_reviews, items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Rejected")
