"""How people's words come to a run: forms that ask until the answer can be recorded, and who signed them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field, create_model

from data_contracts.forms import Answer, Words
from tasks import _prefect
from tasks._run import open_office, run_id, started_at
from tieout.people import rights
from tieout.people.rights import Signature
from tieout.settings import Settings

_SUBMITTED = ("Scheduled", "Resuming")  # the states into which a form of the Prefect UI puts a run
AnyAnswer = TypeVar("AnyAnswer", bound=Answer)


def ask(
    question: str,
    model: type[AnyAnswer],
    describe: Callable[[Sequence[str]], str],
    record: Callable[[AnyAnswer], Sequence[str]],
) -> None:
    """Suspend the run until an approver answers; ask again, with the problems on top, until `record` finds none.

    Not a task: only a flow can be suspended. After each answer the flow begins anew and comes here again.
    Only the newest answer counts: an older one, refused then, might be valid by now, or its code count as wrong again.
    An answer counts for its question only: name another one when something else is shown.
    """
    office = open_office()
    timeout = timedelta(days=office.settings.approval.review_days).total_seconds()
    asked, problems = _times_asked(question), list[str]()
    if asked:
        form = _form(office.settings, model, describe(problems))
        given = suspend_flow_run(wait_for_input=form, timeout=int(timeout), key=f"{question}-{asked}")
        problems = list(record(model(**given.model_dump())))
    if problems or not asked:
        form = _form(office.settings, model, describe(problems))
        suspend_flow_run(wait_for_input=form, timeout=int(timeout), key=f"{question}-{asked + 1}")


def signature(name: str, code: str) -> Signature:
    """Return who signs, with the moment at which the form was handed in: a run may wait long for a worker.

    A step that is tried again records the same decision; a run that is retried or resumed makes another one.
    """
    with _prefect.open_screen() as client:
        states = client.read_flow_run_states(UUID(run_id()))
    handed_in = [each.timestamp for each in states if each.name in _SUBMITTED and each.timestamp]
    at = datetime.fromtimestamp(max(handed_in).timestamp(), UTC) if handed_in else started_at()
    attempt = sum(each.is_running() for each in states)
    return Signature(name.strip(), code, at, f"{run_id()} {attempt}")


def on_schedule() -> bool:
    """Return whether nobody in particular started this run."""
    with _prefect.open_screen() as client:
        return bool(client.read_flow_run(UUID(run_id())).auto_scheduled)


def _times_asked(question: str) -> int:
    with _prefect.open_screen() as client:
        keys = client.read_flow_run(UUID(run_id())).empirical_policy.pause_keys or set()
    return sum(key.startswith(f"{question}-") for key in keys)


def _form(settings: Settings, model: type[Answer], description: str) -> type[RunInput]:
    """Make the form: it names the approvers, and asks for a code where that is the proof."""
    names = " or ".join(rights.APPROVER.holders(settings.people)) or "the settings list no approver yet"
    fields: dict[str, Any] = {"decided_by": (Words, Field(title="Decided by", description=f"Your name: {names}."))}
    if settings.approval.proof == "totp":
        words = "The six digits that your authenticator app shows for tieout now; each code counts once."
        fields["code"] = (Words, Field(title="Code", description=words))
    made = cast(type[RunInput], create_model(model.__name__, __base__=(model, RunInput), **fields))
    return made.with_initial_data(description=description)
