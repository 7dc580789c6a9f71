"""A project administrator sends invoices to the ERP, one or many."""

from prefect import flow

from tasks import checks, erp, grids, items, procore, reports
from tasks._policy import Writers
from tasks._steps import Steps


@flow(task_runner=Writers())
def send_invoices(project: int, sent_by: str, invoices: list[int] | None = None, code: str = ""):
    """Send invoices of one project to the ERP for acceptance. Accounting is asked before anything is exported.

    Approved, Approved as Noted and Pending Owner Approval can be sent; each other one is refused with its reason.
    What a check stops goes to the view *Held*; the rest is offered in *Ready to Export*.

    - **project**: the Procore project id.
    - **sent_by**: your name; you need Admin on the project's Commitments tool. It is kept with the invoice.
    - **invoices**: Procore invoice ids, as in the address of the invoice; empty sends all that may be sent.
    - **code**: the six digits that your authenticator app shows now.

    When it is red, the Artifacts tab says which step did not finish; run it again.
    """
    steps = Steps("Send invoices")
    visible = steps.go(procore.list_projects, [project]) or []
    steps.each(procore.fetch_changed_invoices, visible)
    steps.go(erp.read_reference)
    steps.go(procore.read_books, visible)
    if visible:
        steps.go(checks.send, project, invoices or None, sent_by, code)
    steps.go(procore.deliver_letters)
    steps.go(items.open_reviews)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Sent")
