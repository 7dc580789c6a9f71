"""Bring the ERP's payments back to Procore."""

from prefect import flow

from tasks import erp, grids, items, procore, reports
from tasks._policy import Writers
from tasks._steps import Steps
from tasks._turns import PAYMENTS


@flow(task_runner=Writers())
def sync_payments(dry_run: bool = False):
    """Write the ERP's posted payments of our invoices to Payments Issued in Procore, each once. Part of every night.

    Voids become a reversing row. What was written already is found, not written again. While a night or another run
    of this does the same, it ends *Left to Another Run*.

    - **dry_run**: show how the invoices stand, write nothing.

    When it is red (*Finished with Failures*), the Artifacts tab says what could not be written and why; run it again.
    """
    if dry_run:
        return reports.preview("Sync payments")
    with Steps("Sync payments", PAYMENTS) as steps:
        if steps.other:
            return reports.left_to(steps.other)
        steps.in_order(erp.collect_payments, erp.observe_invoices, procore.write_payments)
        steps.in_order(procore.deliver_letters, items.publish)
        grids.keep(steps)
        return reports.conclude(steps)
