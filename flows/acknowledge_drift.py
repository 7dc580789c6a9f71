"""An accounting approver lets stand what was changed after the export."""

from prefect import flow

from tasks import grids, items, ledger, reports
from tasks._policy import Writers
from tasks._steps import Steps


@flow(task_runner=Writers())
def acknowledge_drift(company: int, invoice: int, acknowledged_by: str, reason: str, code: str = ""):
    """Let an exported invoice stay as it is now, though it is no longer as it was exported. Changes neither side.

    Its run in the view *Drifted* tells what differs; that is kept with your name and your reason, and the run turns
    *Exported*. When something else is changed later, the invoice drifts again.

    - **company**, **invoice**: ids in Procore, as the message of the *Drifted* run has them.
    - **acknowledged_by**: your name; you must be an accounting approver.
    - **reason**: why it may stay so.
    - **code**: the six digits that your authenticator app shows now.

    When it is red (*Finished with Failures*), the message says what is missing; nothing was acknowledged.
    """
    steps = Steps("Acknowledge drift")
    steps.go(ledger.acknowledge_drift, company, invoice, acknowledged_by, reason, code)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Acknowledged")
