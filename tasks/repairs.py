"""An accountant's two repairs: an uncertain invoice is settled by a form, and the tie to a gone one is cut."""

from functools import partial

from prefect import State, task
from prefect.states import Completed, Failed

from data_contracts.forms import SettleAnswer
from tasks import _asking, _prefect, items
from tasks._policy import remote
from tasks._run import open_office, run_id
from tasks._steps import Steps
from tieout import wording
from tieout.decisions import settle
from tieout.decisions.settle import Doubt
from tieout.decisions.unlink import unlink as unlink_invoice
from tieout.ledger import states
from tieout.opening import open_erp, open_ledger
from tieout.views import settle_form
from tieout.views.run_report import FINISHED_WITH_FAILURES

_ENDS = {states.ADOPT: "Adopted", states.DISOWN: "Disowned", states.UNLINK: "Unlinked"}


@task(**remote)
def look(company: int, invoice: int) -> Doubt | None:
    """Look in the ERP again; None where a machine has settled it by now, or still waits."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        doubt = settle.examine(ledger, erp, company, invoice, office)
    if doubt is not None:
        name, words = f"Settle · {wording.run_name(doubt.item)}", "What was sent, next to what the ERP shows."
        _prefect.introduce(run_id(), name, settle_form.description(doubt), f"evidence-{invoice}", words)
    return doubt


@task(**remote)
def record(doubt: Doubt, answer: SettleAnswer) -> list[str]:
    """Record the decision before anything follows from it; with problems nothing is recorded."""
    office = open_office()
    by = _asking.signature(answer.decided_by, answer.code)
    with open_ledger(office) as ledger:
        if settle.decision_of(ledger, doubt.item, run_id()):
            return []
        return settle.decide(ledger, doubt, answer, by, run_id(), office)


@task(**remote)
def unlink(company: int, invoice: int, unlinked_by: str, reason: str, code: str) -> None:
    """Cut the tie to an AP invoice that is gone; once done in this run it is not done again."""
    office = open_office()
    by = _asking.signature(unlinked_by, code)
    with open_ledger(office) as ledger:
        for item in ledger.items(company_id=company, invoice_id=invoice):
            if settle.decision_of(ledger, item, run_id()):
                return
        unlink_invoice(ledger, company, invoice, by, reason, run_id(), office)


def ask(doubt: Doubt) -> None:
    """Suspend the run until an answer can be recorded; not a task, as only a flow can be suspended.

    An answer counts for what was shown only: when something else is found, the version is another one.
    """
    describe = partial(settle_form.description, doubt)
    _asking.ask(f"version-{doubt.item.version}", SettleAnswer, describe, partial(record, doubt))


def conclude(steps: Steps, company: int, invoice: int) -> State[None]:
    """Explain how the invoice stands now, and return the end of the run: red only where a step did not finish."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp, _prefect.open_screen() as client:
        found = ledger.items(company_id=company, invoice_id=invoice)
        if not found:
            return Failed(name=FINISHED_WITH_FAILURES, message="; ".join(steps.unfinished))
        items.explain(office, ledger, erp, client, found[0], steps.unfinished)
        decided = settle.decision_of(ledger, found[0], run_id())
        stands = settle.how_it_stands(ledger, erp, found[0])
    if steps.unfinished:
        return Failed(name=FINISHED_WITH_FAILURES, message=f"{'; '.join(steps.unfinished)}. {stands}")
    if decided is None:
        return Completed(name="Nothing to Decide", message=stands)
    return Completed(name=_ENDS[decided.kind], message=f"By {decided.actor}: {decided.facts['reason']}. {stands}")
