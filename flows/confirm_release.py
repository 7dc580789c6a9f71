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
    """Close a *Release Retention by Hand* item: the retention was released in the ERP, or need not be.

    Its run tells the amount, the subcontract and where to release it. Do that first: this changes nothing in the ERP.
    Your name and note are kept with the invoice, and its run turns *Exported* or *Not Exportable*.

    Args:
        company: The company's number in Procore, as the message of the invoice's run has it.
        invoice: The invoice's id in Procore, as that message has it; not the number on the paper.
        confirmed_by: Your name, as it is among the people of the settings; you must be an accounting approver.
        note: What you released and where it is found, or why nothing need be released.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to be told only what would be closed; it needs no code.

    When it is red (*Finished with Failures*), the message says what is missing; nothing was closed.
    """
    if dry_run:
        return previews.confirm(company, invoice, confirmed_by, note)
    steps = Steps("Confirm release")
    steps.go(ledger.confirm_release, company, invoice, confirmed_by, note, code)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Confirmed")
