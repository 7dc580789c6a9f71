"""Carry what Procore approved to Ready to Export, and what was accepted into the ERP."""

from prefect import State, flow

from tasks import checks, erp, grids, items, ledger, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def sync_invoices(project: int | None = None, dry_run: bool = False) -> State[None]:
    """Bring invoices from Procore into the ERP now, without waiting for the night. Payments are not touched.

    Args:
        project: Only this project, by its number in Procore; None is all of them.
        dry_run: Switch it on to be shown only what would be exported, payload by payload, beside what the ERP
            holds; nothing is written anywhere. It goes by what was last read of Procore.

    When it is red (*Finished with Failures*), open its Artifacts tab: every failure is listed with its cause, and each
    invoice has a run of its own in the view *Failed to Export*. Mend the cause there and press Retry.
    """
    wanted = None if project is None else [project]
    if dry_run:
        return previews.exports("sync-invoices", wanted or [])
    steps = Steps("Sync invoices")
    visible = steps.go(procore.list_projects, wanted) or []
    steps.each(procore.fetch_changed_invoices, visible)
    steps.go(erp.read_reference)
    steps.go(procore.read_books, visible)
    steps.go(checks.judge, visible)
    steps.go(checks.accept_by_policy, visible)
    steps.go(ledger.revive_transient)
    steps.each(erp.export_chunk, steps.go(erp.list_chunks))
    steps.go(procore.deliver_letters)
    steps.go(items.open_reviews)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps)
