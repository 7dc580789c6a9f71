"""Steps on the ledger alone: what was decided, what waits."""

from prefect import task

from tasks._policy import local
from tasks._run import actor
from tieout import settling
from tieout.ledger import schema, states
from tieout.opening import now, open_ledger


@task(**local)
def revive_transient() -> int:
    """Let invoices whose last failure needed nobody be tried again."""
    with open_ledger() as ledger:
        return settling.revive_transient(ledger, now, actor())


@task(**local)
def list_failed(cause: str | None, project: int | None, invoices: list[int] | None) -> list[int]:
    """Return the invoices that failed or are held, by what an operator chooses them by."""
    table = schema.item.c
    where = [table.state.in_((states.FAILED, states.HELD))]
    where += [table.cause == cause] if cause else []
    where += [table.project_id == project] if project else []
    where += [table.invoice_id.in_(invoices)] if invoices else []
    with open_ledger() as ledger:
        return [item.invoice_id for item in ledger.items(*where)]


@task(**local)
def projects_of(invoices: list[int]) -> list[int]:
    """Return the projects that these invoices belong to."""
    with open_ledger() as ledger:
        return sorted({item.project_id for item in ledger.items(schema.item.c.invoice_id.in_(invoices))})
