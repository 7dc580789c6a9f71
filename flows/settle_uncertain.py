"""An approver decides about an invoice that the ERP shows differently from what was sent."""

from prefect import State, flow

from tasks import grids, items, previews, procore, repairs
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def settle_uncertain(company: int, invoice: int, dry_run: bool = False) -> State[None]:
    """Settle an *Uncertain* invoice: the answer of the ERP was lost, and what it shows now is not what was sent.

    It looks in the ERP again. If the document is equal by now, or certainly not there, the invoice settles itself.
    Otherwise the run suspends: press **Resume** at the top, compare both sides, and answer as an accounting approver.
    *Adopt* says that the document in the ERP is this invoice, as it is there. *Disown* says that it is not: the invoice
    goes to *Failed to Export*, with what to do in the ERP before it is tried again.

    Args:
        company: The company's number in Procore, as the message of the *Uncertain* run shows it.
        invoice: The invoice's id in Procore, as that message shows it; not the number on the paper.
        dry_run: Switch it on to see only what the ERP shows now, and the result; it asks nobody.

    If it turns red (*Finished with Failures*), the message says which step did not finish; press Retry. A decision that
    was made counts, and the run does not ask again.
    """
    if dry_run:
        return previews.settle(company, invoice)
    steps = Steps("Settle uncertain")
    doubt = steps.go(repairs.look, company, invoice)
    if doubt is not None:
        repairs.ask(doubt)
    steps.go(procore.deliver_letters)
    steps.go(items.publish)
    grids.keep(steps)
    return repairs.conclude(steps, company, invoice)
