"""A project administrator takes invoices back before accounting has decided on them."""

from prefect import flow

from tasks import decisions, grids, items, previews, procore, reports
from tasks._policy import Writers
from tasks._steps import Steps


@flow(task_runner=Writers())
def retrieve_invoices(
    project: int, retrieved_by: str, invoices: list[str] | None = None, code: str = "", dry_run: bool = False
):
    """Take back what waits in *Ready to Export* or is *Held*: it can be edited in Procore again.

    What accounting has accepted, or what is in the ERP already, is refused with its reason. Nothing sends an invoice
    that was taken back by itself unless it is changed in Procore; `send-invoices` does.

    - **project**: the Procore project id.
    - **retrieved_by**: your name; you need Admin on the project's Commitments tool. It is kept with the invoice.
    - **invoices**: invoice numbers, or Procore ids; empty takes back all that wait in the project.
    - **code**: the six digits that your authenticator app shows now.
    - **dry_run**: only say what would come of each invoice, by what was last read; it needs no code.

    When it is red (*Finished with Failures*), its message says which invoices stay as they are, and why.
    """
    if dry_run:
        return previews.retrieve(project, invoices or [], retrieved_by)
    steps = Steps("Retrieve invoices")
    meant = steps.go(decisions.choose_invoices, project, invoices or [])
    if meant is not None:
        steps.go(decisions.retrieve, project, list(meant.invoice_ids) if invoices else None, retrieved_by, code)
    steps.go(procore.deliver_letters)
    steps.in_order(items.open_reviews, items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Retrieved")
