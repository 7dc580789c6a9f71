"""An accountant's two repairs: an uncertain invoice is settled by a form, and the tie to a gone one is cut."""

from prefect import State, suspend_flow_run, task
from prefect.input import RunInput
from prefect.states import Completed, Failed
from pydantic import Field, create_model

from data_contracts.forms import SettleAnswer
from tasks import _screen, items
from tasks._policy import remote
from tasks._run import actor, run_id
from tasks._steps import Steps
from tieout import publishing, repairing, settings, settle_form
from tieout.ledger import states
from tieout.opening import now, open_erp, open_ledger
from tieout.repairing import Doubt
from tieout.run_report import FINISHED_WITH_FAILURES

_DAY = 24 * 60 * 60
_ENDS = {states.ADOPT: "Adopted", states.DISOWN: "Disowned", states.UNLINK: "Unlinked"}


@task(**remote)
def look(company: int, invoice: int) -> Doubt | None:
    """Look in the ERP again; None where a machine has settled it by now, or still waits."""
    with open_ledger() as ledger, open_erp() as erp:
        doubt = repairing.examine(ledger, erp, company, invoice, now, actor())
    if doubt is not None:
        with _screen.open_screen() as client:
            client.update_flow_run(run_id(), name=f"Settle · {publishing.run_name(doubt.item)}")
            words = "What was sent beside what the ERP shows."
            _screen.attach(client, run_id(), settle_form.description(doubt), f"evidence-{invoice}", words)
    return doubt


@task(**remote)
def record(doubt: Doubt, answer: SettleAnswer) -> list[str]:
    """Record the decision before anything follows from it; with problems nothing is recorded."""
    with open_ledger() as ledger:
        return repairing.decide(ledger, doubt, answer, run_id(), now)


@task(**remote)
def unlink(company: int, invoice: int, unlinked_by: str, reason: str) -> None:
    """Cut the tie to an AP invoice that is gone; once done in this run it is not done again."""
    with open_ledger() as ledger:
        for item in ledger.items(company_id=company, invoice_id=invoice):
            if repairing.decision_of(ledger, item, run_id()):
                return
        repairing.unlink(ledger, company, invoice, unlinked_by.strip(), reason, run_id(), now)


def ask(doubt: Doubt) -> None:
    """Suspend the run until someone answers; ask again, with the problem on top, until the answer can be recorded.

    Not a task: only a flow can be suspended. After each answer the flow begins anew, looks again and comes here again.
    An answer counts for what was shown only: when something else is found, the version is another one and so is the
    key of the question. Only the newest answer counts: an older one, refused then, might be valid by now.
    """
    question, timeout = f"version-{doubt.item.version}", settings.approval().review_days * _DAY
    asked, problems = _times_asked(question), list[str]()
    if asked:
        form = _form(doubt, problems)
        answer = suspend_flow_run(wait_for_input=form, timeout=timeout, key=f"{question}-{asked}")
        problems = record(doubt, SettleAnswer(**answer.model_dump()))
    if problems or not asked:
        suspend_flow_run(wait_for_input=_form(doubt, problems), timeout=timeout, key=f"{question}-{asked + 1}")


def conclude(steps: Steps, company: int, invoice: int) -> State[None]:
    """Explain how the invoice stands now, and return the end of the run: red only where a step did not finish."""
    with open_ledger() as ledger, open_erp() as erp, _screen.open_screen() as client:
        found = ledger.items(company_id=company, invoice_id=invoice)
        if not found:
            return Completed(name="Nothing to Decide", message="The ledger holds no such invoice.")
        items.explain(ledger, erp, client, found[0], steps.unfinished)
        decided = repairing.decision_of(ledger, found[0], run_id())
        stands = repairing.how_it_stands(ledger, erp, found[0])
    if steps.unfinished:
        return Failed(name=FINISHED_WITH_FAILURES, message=f"{'; '.join(steps.unfinished)}. {stands}")
    if decided is None:
        return Completed(name="Nothing to Decide", message=stands)
    return Completed(name=_ENDS[decided.kind], message=f"By {decided.actor}: {decided.facts['reason']}. {stands}")


def _times_asked(question: str) -> int:
    with _screen.open_screen() as client:
        keys = client.read_flow_run(run_id()).empirical_policy.pause_keys or set()
    return sum(key.startswith(f"{question}-") for key in keys)


def _form(doubt: Doubt, problems: list[str]) -> type[RunInput]:
    """Make the form: it names the approvers, the evidence is in the description."""
    names = " or ".join(settings.approval().approvers) or "nobody is in the list of approvers yet"
    field = Field(title=SettleAnswer.model_fields["decided_by"].title, description=f"Your name: {names}.")
    model = create_model("Settle", __base__=(SettleAnswer, RunInput), decided_by=(str, field))
    return model.with_initial_data(description=settle_form.description(doubt, problems))
