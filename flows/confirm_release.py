"""An accounting approver says that retention was released by hand in the ERP."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import grids, items, ledger, previews, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def confirm_release(
    company: int, invoice: int, confirmed_by: Words, note: Words, code: Words = "", dry_run: bool = False
) -> State[None]:
    """Close a *Release Retention by Hand* item: accounting released the retention in the ERP, or does not have to.

    The item's run shows the amount, the subcontract and where to release it. Release it first: this form changes
    nothing in the ERP. tieout keeps your name and note with the invoice, and its run turns *Exported* or *Not
    Exportable*.

    Args:
        company: The company's number in Procore, as the message of the invoice's run shows it.
        invoice: The invoice's id in Procore, as that message shows it; not the number on the paper.
        confirmed_by: Your name, as the settings list it; you must be an accounting approver.
        note: What you released and where to find it, or why no release is needed.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to see only what would be closed; it needs no code.

    If it turns red (*Finished with Failures*), the message says what is missing; nothing was closed.
    """
    if dry_run:
        return previews.confirm(company, invoice, confirmed_by, note)
    steps = Steps("Confirm release")
    steps.go(ledger.confirm_release, company, invoice, confirmed_by, note, code)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Confirmed")
