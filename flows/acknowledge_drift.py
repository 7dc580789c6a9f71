"""An accounting approver lets stand what was changed after the export."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import grids, items, ledger, previews, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def acknowledge_drift(
    company: int, invoice: int, acknowledged_by: Words, reason: Words, code: Words = "", dry_run: bool = False
) -> State[None]:
    """Let an exported invoice stay as it is now, though it is no longer as it was exported. Changes neither side.

    Its run in the view *Drifted* tells what differs; that is kept with your name and your reason, and the run turns
    *Exported*. When something else is changed later, the invoice drifts again.

    Args:
        company: The company's number in Procore, as the message of the invoice's run has it.
        invoice: The invoice's id in Procore, as that message has it; not the number on the paper.
        acknowledged_by: Your name, as it is among the people of the settings; you must be an accounting approver.
        reason: Why it may stay so; it is kept with the invoice.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to be told only what would be let stand, by what the last look found; it needs no code.

    When it is red (*Finished with Failures*), the message says what is missing; nothing was acknowledged.
    """
    if dry_run:
        return previews.acknowledge(company, invoice, acknowledged_by, reason)
    steps = Steps("Acknowledge drift")
    steps.go(ledger.acknowledge_drift, company, invoice, acknowledged_by, reason, code)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Acknowledged")
