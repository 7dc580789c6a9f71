"""The scheduled whole: Procore to the ERP, payments back, everything that fails shown."""

from prefect import flow

from tasks import checks, erp, items, ledger, procore, reports
from tasks._policy import Writers
from tasks._run import night_name
from tasks._steps import Steps


@flow(task_runner=Writers(), flow_run_name=night_name)
def nightly_sync(projects: list[int] | None = None, dry_run: bool = False):
    """Bring invoices from Procore into the ERP and payments back. Runs every night; may be run at any time.

    It reads what changed in Procore, judges it, opens a review for each project with something Ready to Export,
    exports what was accepted, and writes the ERP's payments to Payments Issued.

    - **projects**: only these Procore project ids; empty means all.
    - **dry_run**: show what waits, write nothing.

    When it is red (*Finished with Failures*), open its Artifacts tab: every failure is listed with its cause, and each
    invoice has a run of its own in the view *Failed to Export*. Mend the cause there and press Retry.
    """
    if dry_run:
        return reports.preview("Nightly sync")
    steps = Steps("Nightly sync")
    visible = steps.go(procore.list_projects, projects) or []
    steps.each(procore.fetch_changed_invoices, visible)
    steps.go(erp.read_reference)
    steps.go(procore.read_books, visible)
    steps.go(erp.release_expired)
    steps.go(erp.settle_uncertain)
    steps.each(checks.judge, visible)
    steps.go(checks.accept_by_policy, visible)
    steps.go(ledger.revive_transient)
    steps.each(erp.export_chunk, steps.go(erp.list_chunks))
    steps.go(erp.settle_uncertain)
    steps.go(erp.collect_payments)
    steps.go(erp.observe_invoices)
    steps.go(procore.write_payments)
    steps.go(procore.deliver_letters)
    steps.go(items.open_reviews)
    steps.go(items.publish)
    return reports.conclude(steps)
