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
    """Take back invoices that wait in *Ready to Export* or are *Held*: the project can edit them in Procore again.

    If accounting has accepted an invoice, or the ERP has it already, the message says so and it stays. tieout does not
    send an invoice by itself that was taken back, unless it changes in Procore; `send-invoices` sends it.

    Args:
        project: The project's number in Procore, as the address of its pages there shows it.
        retrieved_by: Your name, as the settings list it; you need Admin on the project's Commitments tool.
        invoices: The numbers on the paper, or ids in Procore; None takes back all of the project that wait.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to see only the result for each invoice, going by the last reading; it needs no code.

    If it turns red (*Finished with Failures*), its message says which invoices stay as they are, and why.
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
