"""Steps that judge invoices by the rules and the company's policy."""

from prefect import task

from tasks import _progress
from tasks._policy import remote
from tasks._run import actor
from tieout.clock import now
from tieout.decisions import review
from tieout.judgement import batch
from tieout.judgement.basis import load_basis
from tieout.judgement.batch import Judged
from tieout.opening import open_erp, open_ledger
from tieout.views import quality
from tieout.views.quality import Quality


@task(**remote)
def judge(projects: list[int]) -> Judged:
    """Judge what is new in these projects, and again what was judged by other terms."""
    with open_ledger() as ledger, open_erp() as erp, _progress.shown("judge") as progress:
        return batch.judge_projects(ledger, load_basis(ledger, erp, now()), projects, now, actor(), progress)


@task(**remote)
def judge_again(invoices: list[int]) -> dict[int, str]:
    """Judge these invoices by what Procore shows now because a person asked; return the state of each."""
    with open_ledger() as ledger, open_erp() as erp, _progress.shown("judge again") as progress:
        terms = load_basis(ledger, erp, now())
        batch.rejudge(ledger, terms, invoices, now, actor(), progress=progress)
        return {item.invoice_id: item.state for item in ledger.items(invoice_id=invoices)}


@task(**remote)
def accept_by_policy(projects: list[int]) -> int:
    """Accept what is Ready to Export in the projects that the policy names; off by default."""
    with open_ledger() as ledger, open_erp() as erp:
        version = load_basis(ledger, erp, now()).policy_version
        return review.accept_by_policy(ledger, projects, now, version)


@task(**remote)
def show_quality() -> Quality:
    """Show how often each rule was broken, day by day, and write the pages about it."""
    with open_ledger() as ledger:
        return quality.show(ledger)
