"""An accounting approver lets stand what was changed after the export."""

from prefect import flow

from tasks import grids, items, ledger, reports
from tasks._policy import Writers
from tasks._steps import Steps


@flow(task_runner=Writers())
def acknowledge_drift(company: int, invoice: int, acknowledged_by: str, reason: str):
    """Let an exported invoice stay as it is now, though it is no longer as it was exported. Changes neither side.

    Its run in the view *Drifted* tells what differs; that is kept with your name and your reason, and the run turns
    *Exported*. When something else is changed later, the invoice drifts again.

    - **company**, **invoice**: ids in Procore, as the message of the *Drifted* run has them.
    - **acknowledged_by**: your name, as it is in the list of approvers.
    - **reason**: why it may stay so.

    When it is red (*Finished with Failures*), the message says what is missing; nothing was acknowledged.
    """
    steps = Steps("Acknowledge drift")
    steps.go(ledger.acknowledge_drift, company, invoice, acknowledged_by, reason)
    steps.go(items.publish)
    grids.keep(steps)
    return reports.conclude(steps, green="Acknowledged")
