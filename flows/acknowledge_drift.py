"""An accounting approver accepts a change that was made after the export."""

from prefect import State, flow

from data_contracts.forms import Words
from tasks import grids, items, ledger, previews, reports
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def acknowledge_drift(
    company: int, invoice: int, acknowledged_by: Words, reason: Words, code: Words = "", dry_run: bool = False
) -> State[None]:
    """Leave an exported invoice as it is now, although it differs from what was exported. Changes neither side.

    The invoice's run in the view *Drifted* shows what differs. tieout keeps that with your name and your reason, and
    the run turns *Exported*. If something else changes later, the invoice drifts again.

    Args:
        company: The company's number in Procore, as the message of the invoice's run shows it.
        invoice: The invoice's id in Procore, as that message shows it; not the number on the paper.
        acknowledged_by: Your name, as the settings list it; you must be an accounting approver.
        reason: Why it may stay as it is now; tieout keeps the reason with the invoice.
        code: The six digits that your authenticator app shows now; each code counts once.
        dry_run: Switch it on to see only what would be acknowledged, going by the last look; it needs no code.

    If it turns red (*Finished with Failures*), the message says what is missing; nothing was acknowledged.
    """
    if dry_run:
        return previews.acknowledge(company, invoice, acknowledged_by, reason)
    steps = Steps("Acknowledge drift")
    steps.go(ledger.acknowledge_drift, company, invoice, acknowledged_by, reason, code)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Acknowledged")
