"""Steps that ask an accounting approver, who answers by a form in the Prefect UI."""

from itertools import count

from prefect import suspend_flow_run, task
from prefect.input import RunInput
from pydantic import Field, create_model

from data_contracts.forms import ReviewAnswer
from tasks import _screen
from tasks._policy import remote
from tasks._run import run_id
from tieout import review_form, reviewing, settings
from tieout.ledger.reviews import read_review
from tieout.opening import now, open_ledger
from tieout.publishing import review_name
from tieout.reviewing import Decided, Offer

_DAY = 24 * 60 * 60


@task(**remote)
def offer(project: int) -> Offer | None:
    """Freeze what this run offers, or find what it offered before; None when there is nothing to decide here."""
    with open_ledger() as ledger:
        offered = reviewing.offer(ledger, run_id(), project, now)
        with ledger.reading() as connection:
            review = read_review(connection, run_id())
        if offered is None or review is None or review.outcome in ("superseded", "lapsed"):
            return None
        items = reviewing.waiting_projects(ledger).get(project, [])
    if review.is_open and items:
        with _screen.open_screen() as client:
            client.update_flow_run(run_id(), name=review_name(items))
            words = "Every offered invoice with its retention, commitment, period and warnings."
            _screen.attach(client, run_id(), review_form.whole_table(offered), "ready-to-export", words)
    return offered


@task(**remote)
def record(offered: Offer, answer: ReviewAnswer) -> Decided:
    """Record the decision before anything follows from it; with problems nothing is recorded."""
    if problems := answer.problems():
        return Decided(problems=tuple(problems))
    rejected = answer.rejected(row.number for row in offered.rows)
    with open_ledger() as ledger:
        return reviewing.decide(ledger, run_id(), answer.decided_by.strip(), answer.accepted(), rejected, now)


@task(**remote)
def earlier_decision() -> Decided | None:
    """Return what was decided in this run already, so that a run that is retried asks nobody again."""
    with open_ledger() as ledger:
        with ledger.reading() as connection:
            review = read_review(connection, run_id())
        if review is None or review.outcome != "decided":
            return None
        return reviewing.decide(ledger, run_id(), "", reviewing.ALL, [], now)


def ask(offered: Offer) -> Decided:
    """Suspend the run until someone answers; ask again, with the problem on top, until the answer can be recorded.

    Not a task: only a flow can be suspended. After each answer the flow begins anew and comes here again.
    """
    decided = earlier_decision()
    for attempt in count(1):
        if decided is not None and not decided.problems:
            break
        form = _form(offered, decided.problems if decided else ())
        timeout = settings.approval().review_days * _DAY
        answer = suspend_flow_run(wait_for_input=form, timeout=timeout, key=f"answer-{attempt}")
        decided = record(offered, ReviewAnswer(**answer.model_dump()))
    return decided or Decided()


def _form(offered: Offer, problems: tuple[str, ...]) -> type[RunInput]:
    """Make the form of this review: it names the approvers, the table is in the description."""
    names = " or ".join(settings.approval().approvers) or "nobody is in the list of approvers yet"
    field = Field(title=ReviewAnswer.model_fields["decided_by"].title, description=f"Your name: {names}.")
    model = create_model("Review", __base__=(ReviewAnswer, RunInput), decided_by=(str, field))
    return model.with_initial_data(description=review_form.description(offered, problems))
