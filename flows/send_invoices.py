"""A project administrator sends invoices to the ERP, one or many."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import decisions, erp, grids, items, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def send_invoices(
    project: int, sent_by: Words, invoices: list[Words] | None = None, code: Words = "", dry_run: bool = False
) -> State[None]:
    """Send invoices of one project to accounting for acceptance. tieout exports nothing before accounting accepts it.

    Approved, Approved as Noted and Pending Owner Approval can be sent; for any other status the message gives the
    reason. If a check stops an invoice, it goes to the view *Held*; the rest wait in *Ready to Export*.

    Args:
        project: The project's number in Procore, as the address of its pages there shows it.
        sent_by: Your name, as the settings list it; you need Admin on the project's Commitments tool.
        invoices: The numbers on the paper, or ids in Procore; None sends all of the project that may be sent.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to see only the result for each invoice, going by the last reading; it needs no code.

    If it turns red (*Finished with Failures*), its message says which invoices were not sent, and why.
    """
    if dry_run:
        return previews.send(project, invoices or [], sent_by)
    steps = Steps("Send invoices")
    visible = steps.go(procore.list_projects, [project]) or []
    steps.each(procore.fetch_changed_invoices, visible)
    steps.go(erp.read_reference)
    steps.go(procore.read_books, visible)
    meant = steps.go(decisions.choose_invoices, project, invoices or []) if visible else None
    if meant is not None:
        steps.go(decisions.send, project, list(meant.invoice_ids) if invoices else None, sent_by, code)
    steps.go(procore.deliver_letters)
    steps.go(items.open_reviews)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Sent")
