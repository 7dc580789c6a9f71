"""Steps that look after what would otherwise stay unseen: dead runs, reviews that nobody can answer."""

from pathlib import Path

from prefect import task

from tasks import _screen
from tasks._policy import screen
from tasks._run import run_id
from tieout import publishing, reviewing, settings
from tieout.ledger.reviews import open_run_ids
from tieout.opening import now, open_ledger

_FLOWS = Path(__file__).parents[1] / "flows"


def deployments() -> list[str]:
    """Return the names of our deployments: a flow's file, function and deployment are called the same."""
    return sorted(path.stem.replace("_", "-") for path in _FLOWS.glob("[!_]*.py"))


@task(**screen)
def close_dead_runs() -> list[str]:
    """Close runs that say they work but have given no sign of life for too long; return their names."""
    since = now() - settings.prefect_section().silence
    with _screen.open_screen() as client:
        at_work = [run for run in _screen.runs_at_work(client, deployments()) if str(run.id) != run_id()]
        quiet = {str(run.id): run for run in at_work if run.state and run.state.timestamp < since}
        dead = quiet.keys() - _screen.heard_of(client, quiet, since)
        _screen.set_state(client, dead, sorted({quiet[each].state_name or "" for each in dead}), publishing.LOST)
    return [quiet[each].name for each in dead]


@task(**screen)
def close_reviews() -> int:
    """Close in the ledger what nobody can answer any more: reviews whose runs have ended without a decision."""
    with open_ledger() as ledger, _screen.open_screen() as client:
        with ledger.reading() as connection:
            waiting = open_run_ids(connection)
        lapsed = set(waiting) - _screen.not_ended(client, waiting)
        reviewing.lapse(ledger, sorted(lapsed), now)
    return len(lapsed)
