"""Steps that judge invoices by the rules and the company's policy."""

from prefect import task

from tasks import _progress
from tasks._policy import remote
from tasks._run import open_office
from tieout.decisions import review
from tieout.judgement import batch
from tieout.judgement.basis import load_basis
from tieout.judgement.batch import Judged
from tieout.opening import open_erp, open_ledger
from tieout.views import quality
from tieout.views.quality import Quality


@task(**remote)
def judge(projects: list[int]) -> Judged:
    """Judge what is new in these projects, and again what was judged on another basis."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp, _progress.shown("judge") as progress:
        return batch.judge_projects(ledger, load_basis(ledger, erp, office), projects, office, progress)


@task(**remote)
def judge_again(invoices: list[int]) -> dict[int, str]:
    """Judge these invoices by what Procore shows now because a person asked; return the state of each."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp, _progress.shown("judge again") as progress:
        basis = load_basis(ledger, erp, office)
        batch.rejudge(ledger, basis, invoices, office, progress=progress)
        return {item.invoice_id: item.state for item in ledger.items(invoice_id=invoices)}


@task(**remote)
def accept_by_policy(projects: list[int]) -> int:
    """Accept what is Ready to Export in the projects that the policy names; off by default."""
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp:
        version = load_basis(ledger, erp, office).policy_version
        return review.accept_by_policy(ledger, projects, office, version)


@task(**remote)
def show_quality() -> Quality:
    """Show how often each rule was broken, day by day, and write the pages about it."""
    office = open_office()
    with open_ledger(office) as ledger:
        return quality.show(ledger, office.settings.quality)
