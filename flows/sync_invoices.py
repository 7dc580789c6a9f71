"""Carry approved invoices from Procore to Ready to Export, and accepted ones into the ERP."""

from prefect import State, flow

from tasks import checks, erp, grids, items, ledger, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def sync_invoices(project: int | None = None, dry_run: bool = False) -> State[None]:
    """Bring invoices from Procore into the ERP now, without waiting for the night. Leaves payments alone.

    Args:
        project: Only this project, by its number in Procore; None is all of them.
        dry_run: Switch it on to see only what would be exported, payload by payload, next to what the ERP holds; it
            writes nothing anywhere. It goes by the last reading of Procore.

    If it turns red (*Finished with Failures*), open its Artifacts tab: it lists every failure with its cause, and each
    invoice has its own run in the view *Failed to Export*. Fix the cause there and press Retry.
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
