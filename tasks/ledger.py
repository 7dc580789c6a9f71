"""Steps on the ledger alone: what was decided, what waits."""

from prefect import task

from tasks import _asking
from tasks._policy import remote
from tasks._run import open_office
from tieout.decisions import choice
from tieout.decisions.acknowledge_drift import acknowledge
from tieout.decisions.confirm_release import confirm
from tieout.export import outcome
from tieout.opening import open_ledger
from tieout.people import rights


@task(**remote)
def revive_transient() -> int:
    """Let invoices whose last failure needed nobody be tried again."""
    office = open_office()
    with open_ledger(office) as ledger:
        return outcome.revive_transient(ledger, office)


@task(**remote)
def list_failed(cause: str | None, project: int | None, invoices: list[int] | None) -> list[int]:
    """Return the invoices that failed or are held, by what an operator chooses them by."""
    office = open_office()
    with open_ledger(office) as ledger:
        return [item.invoice_id for item in choice.failed(ledger, cause, project, invoices)]


@task(**remote)
def find_project(company: int, invoice: int) -> int:
    """Return the project of an invoice that was sent."""
    office = open_office()
    with open_ledger(office) as ledger:
        return choice.named_invoice(ledger, invoice, company).project_id


@task(**remote)
def projects_of(invoices: list[int]) -> list[int]:
    """Return the projects that these invoices belong to."""
    office = open_office()
    with open_ledger(office) as ledger:
        return sorted({item.project_id for item in ledger.items(invoice_id=invoices)})


@task(**remote)
def acknowledge_drift(company: int, invoice: int, acknowledged_by: str, reason: str, code: str) -> None:
    """Let what differs from the exported invoice stand, in an approver's name."""
    office = open_office()
    by = _asking.signature(acknowledged_by, code)
    with open_ledger(office) as ledger:
        acknowledge(ledger, company, invoice, by, reason, office)


@task(**remote)
def confirm_release(company: int, invoice: int, confirmed_by: str, note: str, code: str) -> None:
    """Record in an approver's name that retention was released by hand."""
    office = open_office()
    by = _asking.signature(confirmed_by, code)
    with open_ledger(office) as ledger:
        confirm(ledger, company, invoice, by, note, office)


@task(**remote)
def permit_payments(asked_by: str, code: str) -> None:
    """See that whoever started this may; a run of the schedule needs nobody's right."""
    office = open_office()
    if not _asking.on_schedule():
        by = _asking.signature(asked_by, code)
        with open_ledger(office) as ledger:
            rights.require(ledger, by, rights.PAYMENTS, "the payment sync", office)
