"""Bring the ERP's payments back to Procore."""

from prefect import flow

from tasks import erp, items, procore, reports
from tasks._policy import Writers
from tasks._steps import Steps


@flow(task_runner=Writers())
def sync_payments(dry_run: bool = False):
    """Write the ERP's posted payments of our invoices to Payments Issued in Procore, each once. Part of every night.

    Voids become a reversing row. What was written already is found, not written again.

    - **dry_run**: show how the invoices stand, write nothing.

    When it is red (*Finished with Failures*), the Artifacts tab says what could not be written and why; run it again.
    """
    if dry_run:
        return reports.preview("Sync payments")
    steps = Steps("Sync payments")
    steps.go(erp.collect_payments)
    steps.go(erp.observe_invoices)
    steps.go(procore.write_payments)
    steps.go(procore.deliver_letters)
    steps.go(items.publish)
    return reports.conclude(steps)
