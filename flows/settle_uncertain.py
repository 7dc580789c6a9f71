"""A person says what an invoice is that the ERP shows otherwise than it was sent."""

from prefect import State, flow

from tasks import grids, items, previews, procore, repairs
from tasks._policy import WRITERS
from tasks._steps import Steps


@flow(task_runner=WRITERS)
def settle_uncertain(company: int, invoice: int, dry_run: bool = False) -> State[None]:
    """Settle an *Uncertain* invoice: the answer of the ERP was lost, and what it shows now is not what was sent.

    It looks in the ERP again. What is equal by now, or surely not there, settles itself. Else the run is suspended:
    press **Resume** at the top, compare both sides, and answer as an accounting approver. *Adopt* makes the document
    of the ERP this invoice, as it stands. *Disown* says that it is not: the invoice goes to *Failed to Export*, with
    what must be done in the ERP before it is tried again.

    Args:
        company: The company's number in Procore, as the message of the *Uncertain* run has it.
        invoice: The invoice's id in Procore, as that message has it; not the number on the paper.
        dry_run: Switch it on to be shown only what the ERP shows now, and what would come of it; nobody is asked.

    When it is red (*Finished with Failures*), the message says which step did not finish; press Retry. What was
    decided is not asked again.
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
