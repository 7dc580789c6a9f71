"""Try many failed invoices again: by cause, by project, or by name."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import checks, erp, grids, items, ledger, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def retry_exports(
    cause: Words | None = None, project: int | None = None, invoices: list[int] | None = None, dry_run: bool = True
) -> State[None]:
    """Try matching Failed to Export and Held invoices again; one that is still not sound stays where it is.

    Args:
        cause: Only this cause, as in the tag `cause:...` of the items; None is every cause.
        project: Only this project, by its number in Procore; None is all of them.
        invoices: Only these invoices, by their ids in Procore; None is all that match.
        dry_run: Leave it on to see only what would be tried, with amounts, causes and the result; switch it off to
            try for real.

    If it turns red (*Finished with Failures*), some failed again: the Artifacts tab says why.
    """
    if dry_run:
        return previews.retry(cause, project, invoices)
    steps = Steps("Retry exports")
    chosen = steps.go(ledger.list_failed, cause, project, invoices)
    if chosen is None:
        return reports.conclude(steps)
    projects = ledger.projects_of(chosen)
    steps.each(procore.fetch_changed_invoices, projects)
    steps.go(erp.read_reference)
    steps.go(procore.read_books, projects)
    steps.go(checks.judge_again, chosen)
    steps.each(erp.export_chunk, steps.go(erp.list_chunks, chosen), only=chosen)
    steps.go(procore.deliver_letters)
    steps.go(items.open_reviews)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps)
