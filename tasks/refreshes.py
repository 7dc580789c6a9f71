"""Steps that take over what was changed in Procore since an invoice was sent, when an approver says so."""

from functools import partial

from prefect import State, task
from prefect.states import Completed, Failed

from data_contracts.forms import RefreshAnswer
from tasks import _asking, _prefect, items
from tasks._policy import remote
from tasks._run import open_office, run_id
from tasks._steps import Steps
from tieout import wording
from tieout.decisions import refresh
from tieout.decisions.refresh import Change
from tieout.judgement.basis import load_basis
from tieout.opening import open_erp, open_ledger
from tieout.views import refresh_form, standing
from tieout.views.run_report import FINISHED_WITH_FAILURES


@task(**remote)
def compare(company: int, invoice: int) -> Change | None:
    """Show what differs between the ledger and Procore; None where nothing does, or this run took it over already."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        change = refresh.compare(ledger, erp.capabilities, company, invoice)
        if change is None or refresh.refreshed(ledger, change.item, run_id()):
            return None
    name, words = f"Refresh · {wording.run_name(change.item)}", "As it was judged, next to what Procore shows now."
    _prefect.introduce(run_id(), name, refresh_form.table(change), f"difference-{invoice}", words)
    return change


@task(**remote)
def record(change: Change, answer: RefreshAnswer) -> list[str]:
    """Take the change over, or leave it; with problems nothing is recorded."""
    office = open_office()
    by = _asking.signature(answer.decided_by, answer.code)
    with open_ledger(office) as ledger, open_erp(office) as erp:
        return refresh.apply(ledger, erp, load_basis(ledger, erp, office), change, answer, by, run_id(), office)


def ask(change: Change) -> None:
    """Suspend the run until an answer can be recorded; not a task, as only a flow can be suspended.

    An answer counts for what was shown only: when Procore shows something else by then, the question is another one.
    """
    describe = partial(refresh_form.description, change)
    _asking.ask(change.question, RefreshAnswer, describe, partial(record, change))


def conclude(steps: Steps, company: int, invoice: int) -> State[None]:
    """Explain how the invoice stands now, and return the end of the run: red where it could not be taken over."""
    office = open_office()
    change = next(iter(steps.of(Change)), None)
    with open_ledger(office) as ledger, open_erp(office) as erp, _prefect.open_screen() as client:
        found = ledger.items(company_id=company, invoice_id=invoice)
        if not found:
            return Failed(name=FINISHED_WITH_FAILURES, message="; ".join(steps.unfinished))
        items.explain(office, ledger, erp, client, found[0], steps.unfinished)
        taken_over = refresh.refreshed(ledger, found[0], run_id())
        stands = standing.standing_of(found[0], items.places(office, erp))
    words = f"It is {stands.name}: {stands.message}"
    if steps.unfinished or (change and change.refusal):
        told = [*steps.unfinished, change.refusal if change else ""]
        return Failed(name=FINISHED_WITH_FAILURES, message="; ".join(filter(None, told)))
    if taken_over:
        return Completed(name="Refreshed", message=f"By {taken_over.actor}. {words}")
    if change:
        return Completed(name="Left", message=f"Nothing was taken over. {words}")
    return Completed(name="Nothing to Refresh", message=f"Procore shows it as it was judged. {words}")
