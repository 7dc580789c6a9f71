"""Steps that talk to Procore."""

from prefect import task

from tasks import _progress
from tasks._policy import remote
from tasks._run import open_office
from tieout.errors import SettingsError, TransientError
from tieout.intake import census, invoices, reference
from tieout.intake.invoices import Fetched
from tieout.opening import open_ledger, open_procore
from tieout.outbox import letters
from tieout.payments import issued
from tieout.results import Told


@task(**remote)
def list_projects(wanted: list[int] | None = None) -> list[int]:
    """Return the projects to work on: those that Procore shows and the policy does not pass over."""
    office = open_office()
    with open_ledger(office) as ledger, open_procore(office) as procore:
        visible = reference.list_projects(ledger, procore, office)
    unknown = set(wanted or ()) - set(visible)
    if unknown:
        names = ", ".join(map(str, sorted(unknown)))
        raise SettingsError("Procore", f"project {names}", "Procore does not show it to tieout, or the policy skips it")
    return wanted or visible


@task(**remote, task_run_name="fetch changed invoices of project {project}")
def fetch_changed_invoices(project: int) -> Fetched:
    """Store what changed in one project since the last time."""
    office = open_office()
    words = f"fetch changed invoices of project {project}"
    with open_ledger(office) as ledger, open_procore(office) as procore, _progress.shown(words) as progress:
        return invoices.fetch_changed(ledger, procore, project, office, progress)


@task(**remote, task_run_name="take census of project {project}")
def take_census(project: int) -> Told:
    """Count what may be sent in Procore and in the ledger; say so when the two do not agree."""
    office = open_office()
    with open_ledger(office) as ledger, open_procore(office) as procore:
        differing = census.take_census(ledger, procore, project, office)
    return Told(notes=(differing,) if differing else ())


@task(**remote, task_run_name="fetch invoice {invoice}")
def fetch_invoice(invoice: int) -> None:
    """Read one invoice again."""
    office = open_office()
    with open_ledger(office) as ledger, open_procore(office) as procore:
        invoices.refetch_one(ledger, procore, invoice, office)


@task(**remote)
def read_books(projects: list[int]) -> Told:
    """Read the commitments, codes and periods of the projects in which something waits; say what is amiss."""
    office = open_office()
    shown = _progress.shown("read commitments, codes and periods", "projects")
    with open_ledger(office) as ledger, open_procore(office) as procore, shown as progress:
        problems = reference.read_books(ledger, procore, projects, office, progress)
    return Told(notes=tuple(problem.message for problem in problems))


@task(**remote)
def write_payments() -> issued.Written:
    """Write the ERP's payments to Payments Issued, each once."""
    office = open_office()
    shown = _progress.shown("write to Payments Issued", "payments")
    with open_ledger(office) as ledger, open_procore(office) as procore, shown as progress:
        done = issued.write(ledger, procore, office, progress)
    if done.is_interrupted:
        raise TransientError("Procore", "Payments Issued", "it went away while payments were written")
    return done


@task(**remote)
def deliver_letters() -> letters.Delivered:
    """Write locks and origin data back; what Procore refuses is reported and delays no export."""
    office = open_office()
    with (
        open_ledger(office) as ledger,
        open_procore(office) as procore,
        _progress.shown("write back to Procore") as progress,
    ):
        return letters.deliver(ledger, procore, office, progress)
