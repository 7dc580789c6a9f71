"""Steps that look after what would otherwise stay unseen: dead runs, reviews that nobody can answer, alarms."""

from pathlib import Path

from prefect import task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from tasks import _prefect
from tasks._policy import remote, screen
from tasks._run import open_office, run_id
from tieout.decisions import review
from tieout.ledger.book import Ledger
from tieout.ledger.reviews import open_run_ids
from tieout.opening import open_ledger
from tieout.outbox import notices
from tieout.results import Told
from tieout.views import standing
from tieout.watch import alarms

_FLOWS = Path(__file__).parents[1] / "flows"


def deployments() -> list[str]:
    """Return the names of our deployments: a flow's file, function and deployment are called the same."""
    return sorted(path.stem.replace("_", "-") for path in _FLOWS.glob("[!_]*.py"))


@task(**screen)
def close_dead_runs() -> list[str]:
    """Close runs that say they work but have given no sign of life for too long; return their names."""
    with _prefect.open_screen() as client:
        dead = dead_runs(client)
        seen = sorted({run.state_name or "" for run in dead})
        _prefect.set_state(client, [str(run.id) for run in dead], seen, standing.LOST)
    return [run.name for run in dead]


def dead_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Return our runs that say they work but have given no sign of life for too long."""
    office = open_office()
    since = office.clock() - office.settings.prefect.silence
    at_work = [run for run in _prefect.runs_at_work(client, deployments()) if str(run.id) != run_id()]
    quiet = {str(run.id): run for run in at_work if run.state and run.state.timestamp < since}
    heard_of = _prefect.heard_of(client, quiet, since)
    return [run for each, run in quiet.items() if each not in heard_of]


@task(**screen)
def close_reviews() -> int:
    """Close in the ledger what nobody can answer any more: reviews whose runs have ended without a decision."""
    office = open_office()
    with open_ledger(office) as ledger, _prefect.open_screen() as client:
        lapsed = lapsed_reviews(ledger, client)
        review.lapse(ledger, lapsed, office)
    return len(lapsed)


def lapsed_reviews(ledger: Ledger, client: SyncPrefectClient) -> list[str]:
    """Return the runs of open reviews that have ended without a decision."""
    with ledger.reading() as connection:
        waiting = open_run_ids(connection)
    return sorted(set(waiting) - _prefect.not_ended(client, waiting))


@task(**remote)
def note_night() -> None:
    """Note that a whole night came to its end, however it went: when none does, an alarm rings."""
    office = open_office()
    with open_ledger(office) as ledger:
        alarms.note_night(ledger, office)


@task(**remote)
def list_vanished() -> Told:
    """Say which projects Procore lists no more though their invoices are not done."""
    office = open_office()
    with open_ledger(office) as ledger:
        return Told(notes=tuple(alarms.vanished(ledger, office)))


@task(**remote)
def ring() -> Told:
    """Say what is wrong that no single run would notice; the operators get a mail about what began or is over."""
    office = open_office()
    with open_ledger(office) as ledger:
        found = alarms.ringing(ledger, office)
        notices.tell_of_alarms(ledger, found, office)
    return Told(alarms=tuple(f"{each.message} {each.remedy}" for each in found))
