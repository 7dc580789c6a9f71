"""A project administrator takes invoices back before accounting has decided on them."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import decisions, grids, items, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def retrieve_invoices(
    project: int, retrieved_by: Words, invoices: list[Words] | None = None, code: Words = "", dry_run: bool = False
) -> State[None]:
    """Take back what waits in *Ready to Export* or is *Held*: it can be edited in Procore again.

    What accounting has accepted, or what is in the ERP already, is refused with its reason. Nothing sends an invoice
    that was taken back by itself unless it is changed in Procore; `send-invoices` does.

    Args:
        project: The project's number in Procore, as the address of its pages there has it.
        retrieved_by: Your name, as it is among the people of the settings; it takes Admin on the project's
            Commitments tool.
        invoices: The numbers on the paper, or ids in Procore; None takes back all of the project that wait.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to be told only what would come of each invoice, by what was last read; it needs no code.

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
