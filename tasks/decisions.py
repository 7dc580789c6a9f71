"""Steps that record what a person asked for by a form (send, reprocess, retrieve, reject), with an answer for each."""

from prefect import task

from tasks import _asking
from tasks._policy import remote
from tasks._run import open_office, run_id
from tieout.decisions.answers import Answers
from tieout.decisions.choice import Chosen, choose
from tieout.decisions.reject import Rejected
from tieout.decisions.reject import reject as reject_invoices
from tieout.decisions.reprocess import reprocess as reprocess_invoices
from tieout.decisions.retrieve import retrieve as retrieve_invoices
from tieout.decisions.send import send as send_invoices
from tieout.judgement.basis import load_basis
from tieout.opening import open_erp, open_ledger


@task(**remote)
def choose_invoices(project: int, names: list[str]) -> Chosen:
    """Find the invoices that were meant, by number or by id."""
    office = open_office()
    with open_ledger(office) as ledger:
        return choose(ledger, project, names)


@task(**remote, task_run_name="send invoices of project {project}")
def send(project: int, invoices: list[int] | None, sent_by: str, code: str) -> Answers:
    """Send these invoices, or all that may be sent, to Ready to Export in a person's name."""
    office = open_office()
    by = _asking.signature(sent_by, code)
    with open_ledger(office) as ledger, open_erp(office) as erp:
        answers = send_invoices(ledger, load_basis(ledger, erp, office), project, invoices, by, office)
    return Answers("sent", tuple(answers))


@task(**remote, task_run_name="reprocess invoices of project {project}")
def reprocess(project: int, invoices: list[int], requested_by: str, code: str) -> Answers:
    """Judge these invoices again for the automatic import, in a person's name."""
    office = open_office()
    by = _asking.signature(requested_by, code)
    with open_ledger(office) as ledger, open_erp(office) as erp:
        answers = reprocess_invoices(ledger, load_basis(ledger, erp, office), project, invoices, by, office)
    return Answers("reprocessed", tuple(answers))


@task(**remote, task_run_name="retrieve invoices of project {project}")
def retrieve(project: int, invoices: list[int] | None, retrieved_by: str, code: str) -> Answers:
    """Take these invoices back, or all that wait for accounting in the project."""
    office = open_office()
    by = _asking.signature(retrieved_by, code)
    with open_ledger(office) as ledger:
        answers = retrieve_invoices(ledger, project, invoices, by, run_id(), office)
    return Answers("retrieved", tuple(answers))


@task(**remote, task_run_name="reject invoices of project {project}")
def reject(project: int, invoices: list[int] | None, rejected_by: str, code: str, reason: str) -> Rejected:
    """Reject these invoices, or all of the project that wait for accounting or failed to export."""
    office = open_office()
    by = _asking.signature(rejected_by, code)
    with open_ledger(office) as ledger, open_erp(office) as erp:
        return reject_invoices(ledger, erp, project, invoices, by, reason, run_id(), office)
