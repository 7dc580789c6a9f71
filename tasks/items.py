"""Steps that make Prefect show the ledger: item runs and reviews. Safe at any time; the ledger never waits for them."""

from collections.abc import Iterable

from prefect import task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled

from tasks import _screen
from tasks._policy import screen
from tieout import publishing, reporting, reviewing, settings
from tieout.ledger.book import Item, Ledger, find_items
from tieout.ledger.links import drifted
from tieout.ledger.reviews import read_reviews
from tieout.opening import now, open_erp, open_ledger
from tieout.publishing import FAILING, Creation, Move, Plan, Run

DEPLOYMENT = "export-invoice"
REVIEWS = "review-invoices"
_PATIENCE = 3  # leases, after which an unknown outcome is shown


@task(**screen)
def publish() -> dict[tuple[int, int], str]:
    """Make the set of item runs equal to the set of failing and drifted invoices; return the run of each of them."""
    with open_ledger() as ledger, _screen.open_screen() as client:
        deployment = _screen.deployment_id(client, DEPLOYMENT)
        items, runs = _both(ledger, client, _screen.open_runs(client, deployment, publishing.PASSING))
        plan = _plan(items, runs)
        ended_well = _screen.runs_with_keys(client, deployment, [each.key for each in plan.creations])
        if ended_well:  # and their invoices fail or drifted since
            runs += [run for run in map(_screen.as_run, ended_well) if run]
            plan = _plan(items, runs)
        created = _screen.create(client, deployment, plan.creations)
        _screen.move(client, plan.moves)
        _explain(ledger, client, items, plan, created)
    return _standing(items, runs) | dict(zip((each.invoice for each in plan.creations), created, strict=True))


@task(**screen)
def open_reviews() -> list[str]:
    """Leave one open review with the present list for each project with something Ready to Export."""
    with open_ledger() as ledger, _screen.open_screen() as client:
        deployment = _screen.deployment_id(client, REVIEWS)
        ready = reviewing.waiting_projects(ledger)
        plan = _plan_reviews(ledger, ready, _screen.open_runs(client, deployment))
        for run_id in plan.superseded:
            reviewing.supersede(ledger, run_id, now)
            words = "The list changed, or another review stands for it."
            client.set_flow_run_state(run_id, Cancelled(name=publishing.SUPERSEDED, message=words), force=True)
        # Counted before the runs are read again, so that two passes at once make the same key, hence one run.
        counts = {project: _screen.count(client, deployment, _tag(ready[project][0])) for project in plan.wanted}
        wanted = counts and _plan_reviews(ledger, ready, _screen.open_runs(client, deployment)).wanted
        for project in [each for each in wanted if each in counts]:
            client.create_flow_run_from_deployment(
                deployment,
                name=publishing.review_name(ready[project]),
                parameters={"project": project},
                tags=[_tag(ready[project][0])],
                idempotency_key=f"review/{project}/{counts[project]}",
            )
        return [publishing.review_name(items) for items in ready.values()]


def _both(ledger: Ledger, client: SyncPrefectClient, found: list[FlowRun]) -> tuple[list[Item], list[Run]]:
    runs = [run for run in map(_screen.as_run, found) if run]
    with ledger.reading() as connection:
        shown = find_items(connection, state=tuple(FAILING)) + drifted(connection)
    missing = {run.invoice for run in runs} - {(item.company_id, item.invoice_id) for item in shown}
    others = ledger.items(invoice_id=[invoice for _, invoice in missing]) if missing else []
    return shown + others, runs


def _plan(items: list[Item], runs: list[Run]) -> Plan:
    with open_erp() as erp:
        path = erp.capabilities.menu_path
    return publishing.plan_items(items, runs, now(), settings.export().lease * _PATIENCE, path)


def _explain(ledger: Ledger, client: SyncPrefectClient, items: list[Item], plan: Plan, created: list[str]) -> None:
    by_invoice = {(item.company_id, item.invoice_id): item for item in items}
    changed: dict[str, Creation | Move] = {run_id: each for each, run_id in zip(plan.creations, created, strict=True)}
    changed |= {each.run_id: each for each in plan.moves if each.invoice in by_invoice}
    for run_id, each in changed.items():
        explain(ledger, client, by_invoice[each.invoice], run_id)
    _screen.tell(client, {run_id: each.standing for run_id, each in changed.items()})


def explain(ledger: Ledger, client: SyncPrefectClient, item: Item, run_id: str, unfinished: Iterable[str] = ()) -> None:
    """Hang the whole story of an item on its run, beginning with the steps that did not finish just now."""
    happened = reporting.timeline(ledger, item)
    rows = [(f"{each.at:%Y-%m-%d %H:%M:%S}", f"{each.kind} → {each.after}", each.actor) for each in happened]
    story = publishing.explanation(item, rows, unfinished)
    _screen.attach(client, run_id, story, f"invoice-{item.invoice_id}", publishing.in_brief(item))


def _standing(items: list[Item], runs: list[Run]) -> dict[tuple[int, int], str]:
    keys = {publishing.key_of(item) for item in items if publishing.badge_of(item)}
    return {run.invoice: run.run_id for run in runs if run.key in keys}


def _plan_reviews(ledger: Ledger, ready: dict[int, list[Item]], runs: list[FlowRun]) -> publishing.ReviewPlan:
    alive = [run for run in runs if run.state and not run.state.is_final()]
    reviews = [
        publishing.ReviewRun(str(run.id), int(run.parameters["project"]), run.state.type.value)
        for run in alive
        if run.state and "project" in run.parameters
    ]
    with ledger.reading() as connection:
        offers = read_reviews(connection, [run.run_id for run in reviews])
    lists = {
        project: frozenset((item.invoice_id, item.content_hash) for item in items) for project, items in ready.items()
    }
    return publishing.plan_reviews(lists, reviews, offers)


def _tag(item: Item) -> str:
    return publishing.tags_of(item)[0]
