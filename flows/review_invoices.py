"""Ask an accounting approver to accept or reject what is Ready to Export in one project."""

from prefect import State, flow

from tasks import checks, erp, grids, items, notices, previews, procore, reports, reviews
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def review_invoices(project: int, dry_run: bool = False) -> State[None]:
    """Decide what is exported. Press **Resume** at the top, fill in the form, submit; the rest happens by itself.

    The list is as it was when this review opened. If an invoice changes in Procore after that, your answer does not
    export it; tieout offers it again. A rejected invoice goes back to its project with your reason; the project can
    correct it and send it again. tieout offers in a new review what you neither accept nor reject.

    Args:
        project: The project's number in Procore, as the address of its pages there shows it.
        dry_run: Switch it on to see only what would be offered, and what would be exported if it were accepted; it
            asks nobody.

    A review that expires or is cancelled loses nothing: the next run opens a new one.
    If it turns red (*Finished with Failures*), see its Artifacts tab and the view *Failed to Export*.
    """
    if dry_run:
        return previews.review(project)
    steps = Steps("Review")
    offered = steps.go(reviews.offer, project)
    if offered is None:
        return reports.nothing_to_review(steps)
    decided = steps.note(reviews.ask(offered))
    accepted = list(decided.accepted)
    steps.each(procore.fetch_changed_invoices, [project] if accepted else [])
    steps.go(erp.read_reference)
    steps.go(procore.read_books, [project])
    steps.go(checks.judge, [project] if accepted else [])
    steps.each(erp.export_chunk, steps.go(erp.list_chunks, accepted), only=accepted)
    steps.in_order(procore.deliver_letters, notices.deliver_mail)
    steps.go(items.open_reviews)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Decided")
