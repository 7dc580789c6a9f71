"""Steps that list a project's invoices as Prefect tables and CSV files: the import grid."""

from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import ZoneInfo

from prefect import State, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import Completed, Failed

from tasks import _prefect, _progress
from tasks._policy import remote, screen
from tasks._run import open_office, run_id
from tasks._steps import Steps
from tieout.intake.invoices import Fetched
from tieout.opening import open_ledger
from tieout.progress import followed
from tieout.views import grid
from tieout.views.grid import DateBasis, Grid, Scope
from tieout.views.run_report import FINISHED_WITH_FAILURES
from tieout.wording import artifact_at, cell

_REST = timedelta(minutes=1)


@task(**remote)
def show(project: int, past_days: int | None, date_basis: DateBasis) -> Grid:
    """List the invoices of one project."""
    office = open_office()
    with open_ledger(office) as ledger, _prefect.open_screen() as client:
        written = grid.write(ledger, Scope(project, past_days, date_basis), office)
        _attach(client, written, office.settings.company.zone)
    return written


@task(**screen)
def write(projects: list[int], rest: timedelta = timedelta()) -> int:
    """Write the lists of these projects, and of those in which anything happened since lists were written last."""
    office = open_office()
    shown = _progress.shown("list invoices", "projects")
    with open_ledger(office) as ledger, _prefect.open_screen() as client, shown as progress:
        event_id, moved = grid.moved_projects(ledger, office, rest)
        wanted = sorted({*projects, *moved})
        for project in followed(wanted, len(wanted), progress):
            _attach(client, grid.write(ledger, Scope(project), office), office.settings.company.zone)
        if moved:
            grid.note_written(ledger, event_id, office)
    return len(wanted)


def keep(steps: Steps, projects: Iterable[int] = ()) -> None:
    """Bring the lists up to date at the end of a run: where it read or moved anything, and these projects anyway."""
    read = [each.project_id for each in steps.of(Fetched) if each.changed]
    steps.go(write, [*projects, *read])


def keep_at_leisure(steps: Steps) -> None:
    """Bring the lists up to date unless that was done a moment ago: then the next run does it."""
    steps.go(write, [], _REST)


def conclude(steps: Steps) -> State[None]:
    """Return the end of a run that listed invoices: how many are where, and where the list is."""
    office = open_office()
    if steps.unfinished:
        return Failed(name=FINISHED_WITH_FAILURES, message="; ".join(steps.unfinished))
    [written] = steps.of(Grid)
    where = artifact_at(office.settings.prefect.ui_url, written.scope.key)
    return Completed(
        name="Listed", message=f"{written.project}: {written.in_short} The table with its history: {where}"
    )


def _attach(client: SyncPrefectClient, written: Grid, zone: ZoneInfo) -> None:
    at = written.written_at.astimezone(zone)
    words = f"**{cell(written.project)}** at {at:%Y-%m-%d %H:%M}. {cell(written.in_short)}"
    _prefect.attach_table(client, run_id(), grid.as_table(written.first), written.scope.key, words)
