"""An accounting approver rejects invoices, those that failed to export as well."""

from prefect import flow

from tasks import decisions, grids, items, notices, previews, procore, reports
from tasks._policy import Writers
from tasks._steps import Steps


@flow(task_runner=Writers())
def reject_invoices(
    project: int,
    rejected_by: str,
    reason: str,
    invoices: list[str] | None = None,
    code: str = "",
    dry_run: bool = False,
):
    """Send invoices back to their project with a reason, from *Ready to Export* or *Failed to Export*.

    Whoever made the invoice in Procore gets a mail with the reason, and the invoice can be edited there again. What
    the ERP shows under our key, and what is on its way there, is refused with what to do first.

    - **project**: the Procore project id.
    - **rejected_by**: your name; you need the rights of an accounting approver.
    - **reason**: why; the project's people read it.
    - **invoices**: invoice numbers, or Procore ids; empty rejects all of the project that wait or failed.
    - **code**: the six digits that your authenticator app shows now.
    - **dry_run**: only say what would come of each invoice, by what was last read; it needs no code.

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
