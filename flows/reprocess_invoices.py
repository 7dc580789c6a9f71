"""Have the automatic import try again what it did not bring in."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import decisions, erp, grids, items, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps
from tieout.ledger.states import ACCEPTED


@flow(task_runner=WRITERS)
def reprocess_invoices(
    project: int, invoices: list[Words], requested_by: Words, code: Words = "", dry_run: bool = False
) -> State[None]:
    """Read, judge and send invoices again that `show-invoices` lists as *Not imported* or *Error*.

    tieout exports nothing that nobody accepted: a sound invoice goes to *Ready to Export*, and one that was accepted
    before at these very figures is exported. The message lists each invoice that cannot be reprocessed, with the
    reason. If the policy sends nothing by itself or skips the project, it lists all of them.

    Args:
        project: The project's number in Procore, as the address of its pages there shows it.
        invoices: The numbers on the paper, or ids in Procore.
        requested_by: Your name, as the settings list it; you need Admin on the project's Commitments tool.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to see only the result for each invoice, going by the last reading; it needs no code.

    If it turns red (*Finished with Failures*), the message says which invoices were not reprocessed, and why.
    """
    if dry_run:
        return previews.reprocess(project, invoices, requested_by)
    steps = Steps("Reprocess invoices")
    visible = steps.go(procore.list_projects, [project]) or []
    steps.each(procore.fetch_changed_invoices, visible)
    steps.go(erp.read_reference)
    steps.go(procore.read_books, visible)
    meant = steps.go(decisions.choose_invoices, project, invoices)
    answered = steps.go(decisions.reprocess, project, list(meant.invoice_ids), requested_by, code) if meant else None
    accepted = answered.invoice_ids(ACCEPTED) if answered else []
    steps.each(erp.export_chunk, steps.go(erp.list_chunks, accepted), only=accepted)
    steps.go(procore.deliver_letters)
    steps.in_order(items.open_reviews, items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Requested")
