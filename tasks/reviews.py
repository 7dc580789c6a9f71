"""Steps that ask an accounting approver, who answers by a form in the Prefect UI."""

from functools import partial

from prefect import task

from data_contracts.forms import ReviewAnswer
from tasks import _asking, _prefect
from tasks._policy import remote
from tasks._run import open_office, run_id
from tieout.decisions.review import Decided, Offer, decide, waiting_projects
from tieout.decisions.review import earlier_decision as decision_of
from tieout.decisions.review import offer as offer_review
from tieout.ledger.reviews import read_review
from tieout.opening import open_ledger
from tieout.views import review_form
from tieout.views.runs import review_name


@task(**remote)
def offer(project: int) -> Offer | None:
    """Freeze what this run offers, or find what it offered before; None when there is nothing to decide here."""
    office = open_office()
    with open_ledger(office) as ledger:
        offered = offer_review(ledger, run_id(), project, office)
        with ledger.reading() as connection:
            review = read_review(connection, run_id())
        if offered is None or review is None or review.outcome in ("superseded", "lapsed"):
            return None
        items = waiting_projects(ledger).get(project, [])
    if review.is_open and items:
        words = "Every offered invoice with its retention, commitment, period and warnings."
        _prefect.introduce(run_id(), review_name(items), review_form.whole_table(offered), "ready-to-export", words)
    return offered


@task(**remote)
def record(offered: Offer, answer: ReviewAnswer) -> Decided:
    """Record the decision before anything follows from it; with problems nothing is recorded."""
    office = open_office()
    if problems := answer.problems():
        return Decided(problems=tuple(problems))
    rejected = answer.rejected(row.number for row in offered.rows)
    by = _asking.signature(answer.decided_by, answer.code)
    with open_ledger(office) as ledger:
        return decide(ledger, run_id(), by, answer.accepted(), rejected, office)


@task(**remote)
def earlier_decision() -> Decided | None:
    """Return what was decided in this run already, so that a run that is retried asks nobody again."""
    office = open_office()
    with open_ledger(office) as ledger:
        return decision_of(ledger, run_id())


def ask(offered: Offer) -> Decided:
    """Suspend the run until an answer can be recorded; not a task, as only a flow can be suspended."""
    decided = earlier_decision()

    def take(answer: ReviewAnswer) -> tuple[str, ...]:
        nonlocal decided
        decided = record(offered, answer)
        return decided.problems

    if decided is None:
        _asking.ask("answer", ReviewAnswer, partial(review_form.description, offered), take)
    return decided or Decided()
