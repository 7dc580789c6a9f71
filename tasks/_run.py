"""What a step knows of the flow run that it is part of."""

import logging
from datetime import UTC, datetime

from prefect import runtime
from prefect.exceptions import FailedRun

from tieout import settings
from tieout.clock import now
from tieout.errors import TieoutError
from tieout.office import Office

_SPEAKERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")


def run_id() -> str:
    """Return the id of the flow run."""
    return str(runtime.flow_run.id)


def task_run_id() -> str | None:
    """Return the id of the task run; None where the flow itself is at work."""
    return str(runtime.task_run.id) if runtime.task_run.id else None


def actor() -> str:
    """Return the name under which this run acts in the ledger."""
    return f"run {run_id()}"


def open_office() -> Office:
    """Return what this step works by: the settings as they stand now, the one clock, and the run as who acts."""
    return Office(settings.read(), now, actor())


def started_at() -> datetime:
    """Return the moment at which the flow run was due; everything that it did came later."""
    due = runtime.flow_run.scheduled_start_time
    # A plain moment: Prefect's own kind forgets its time zone as soon as one counts with it.
    return datetime.fromtimestamp(due.timestamp(), UTC) if due else datetime.now(UTC)


def night_name() -> str:
    """Return what a nightly run is called: the day on which it was due, in the company's time zone."""
    return f"Night of {started_at().astimezone(settings.read().company.zone):%Y-%m-%d}"


def speak_plainly() -> None:
    """Keep tracebacks of failures that explain themselves out of the logs that an operator reads.

    Prefect logs one for a step that raised, and one for a run that ends red by its own word. What nobody foresaw
    keeps its traceback.
    """
    for name in _SPEAKERS:
        logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, FailedRun):
        return False  # the run's state says it all
    if isinstance(error, TieoutError):
        record.exc_info = None
    return True
