"""Bring the ERP's payments back to Procore."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import erp, grids, items, ledger, previews, procore, reports
from tasks._policy import WRITERS
from tasks._steps import Steps
from tasks._turns import PAYMENTS


@flow(task_runner=WRITERS)
def sync_payments(dry_run: bool = False, asked_by: Words = "", code: Words = "") -> State[None]:
    """Write posted payments of exported invoices to Payments Issued in Procore, each once. Part of every night.

    A void becomes a reversing row. tieout finds what it has written already and does not write it again. While a night
    or another run of this flow does the same job, this run ends *Left to Another Run*.

    Args:
        dry_run: Switch it on to see only what would be written to Payments Issued; it writes nothing.
        asked_by: Your name, as the settings list it; you need Admin on ERP Integrations, or the
            rights of an accounting approver. A schedule leaves it empty.
        code: The six digits that your authenticator app shows now; each code counts once.

    If it turns red (*Finished with Failures*), the Artifacts tab says what could not be written and why; run it again.
    """
    if dry_run:
        return previews.payments()
    with Steps("Sync payments", PAYMENTS) as steps:
        if steps.other:
            return reports.left_to(steps.other)
        steps.go(ledger.permit_payments, asked_by, code)
        if not steps.unfinished:
            steps.in_order(erp.collect_payments, erp.observe_invoices, procore.write_payments)
            steps.go(procore.deliver_letters)
        steps.go(items.publish)
        grids.keep(steps)
        return reports.conclude(steps)
