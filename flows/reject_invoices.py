"""An accounting approver rejects invoices, including those that failed to export."""

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

    The person who made the invoice in Procore gets an email with the reason and can edit the invoice there again. If
    the ERP shows the invoice under tieout's key, or it is on its way there, the message says what to do first.

    Args:
        project: The project's number in Procore, as the address of its pages there shows it.
        rejected_by: Your name, as the settings list it; you must be an accounting approver.
        reason: Why you send them back; the project's people read it.
        invoices: The numbers on the paper, or ids in Procore; None rejects all of the project that wait or failed.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to see only the result for each invoice, going by the last reading; it needs no code.

    If it turns red (*Finished with Failures*), its message says which invoices stay as they are, and why.
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
