"""What a step knows of the flow run that it is part of."""

from datetime import UTC, datetime

from prefect import runtime


def run_id() -> str:
    """Return the id of the flow run."""
    return str(runtime.flow_run.id)


def actor() -> str:
    """Return the name under which this run acts in the ledger."""
    return f"run {run_id()}"


def started_at() -> datetime:
    """Return the moment at which the flow run was due; everything that it did came later."""
    due = runtime.flow_run.scheduled_start_time
    return due.astimezone(UTC) if due else datetime.now(UTC)
