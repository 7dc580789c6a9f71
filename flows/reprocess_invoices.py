"""Have the automatic import take up again what it did not bring in."""

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
    """Request that invoices which are *Not imported* or *Error* in `show-invoices` are read, judged and sent again.

    Nothing is exported that nobody accepted: what is sound goes to *Ready to Export*; what was accepted before, at
    these very figures, is exported. Each invoice that cannot be reprocessed is named with the reason; so are all
    where the policy sends nothing by itself or passes the project over.

    Args:
        project: The project's number in Procore, as the address of its pages there has it.
        invoices: The numbers on the paper, or ids in Procore.
        requested_by: Your name, as it is among the people of the settings; it takes Admin on the project's
            Commitments tool.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to be told only what would come of each invoice, by what was last read; it needs no code.

    When it is red (*Finished with Failures*), the message says which invoices were not reprocessed, and why.
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
