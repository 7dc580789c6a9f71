"""Steps that make Prefect show the ledger: item runs and reviews. Safe at any time; the ledger never waits for them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from prefect import task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled

from tasks import _prefect, _progress, _today
from tasks._policy import screen
from tasks._run import open_office, run_id
from tieout.connectors.base import ERP
from tieout.connectors.procore import web_url as procore_web_url
from tieout.decisions import review
from tieout.ledger.book import Ledger
from tieout.ledger.database import in_pieces
from tieout.ledger.items import Item, find_items
from tieout.ledger.links import drifted, to_release
from tieout.ledger.reviews import read_reviews
from tieout.office import Office
from tieout.opening import open_erp, open_ledger
from tieout.progress import Progress, followed
from tieout.results import Told
from tieout.views import standing
from tieout.views.runs import (
    PASSING,
    Creation,
    ItemRuns,
    Move,
    Plan,
    ReviewPlan,
    ReviewRun,
    Run,
    plan_items,
    plan_reviews,
    review_name,
)
from tieout.views.standing import FAILING
from tieout.views.story import Story, explanation, stories
from tieout.views.today import ITEMS, REVIEWS
from tieout.wording import Places

_PATIENCE = 3  # leases, after which an unknown outcome is shown
_LOOKS = 4  # until nothing is left to put right: runs may be moved and deleted while they are compared
_STORIES = 100  # that are read from the ledger together


@task(**screen)
def publish() -> ItemRuns:
    """Make the set of item runs equal to the set of invoices that somebody must act on; return the run of each of them.

    The landing page is written anew, too.
    """
    office = open_office()
    with open_ledger(office) as ledger, open_erp(office) as erp, _prefect.open_screen() as client:
        deployment, stories = _prefect.deployment_id(client, ITEMS), dict[str, Creation | Move]()
        told: dict[int, Item] = {}  # also what is settled by the first look and gone from the next one
        for _ in range(_LOOKS):
            items, runs, plan = _compare(office, ledger, erp, client, deployment)
            told |= {item.item_id: item for item in items}
            if not plan:
                break
            with _progress.shown("show as items") as progress:
                created = _prefect.create(client, deployment, plan.creations, progress)
                stories |= zip(created, plan.creations, strict=True)
                _prefect.move(client, plan.moves, progress)
            stories |= {each.run_id: each for each in plan.moves}
        with _progress.shown("explain items") as progress:
            _explain(office, ledger, erp, client, list(told.values()), stories, progress)
        _today.refresh(ledger, client)
    return ItemRuns(_standing(items, runs))


@task(**screen)
def open_reviews() -> Told:
    """Leave one open review with the present list for each project with something Ready to Export."""
    office = open_office()
    with open_ledger(office) as ledger, _prefect.open_screen() as client:
        deployment = _prefect.deployment_id(client, REVIEWS)
        ready = review.waiting_projects(ledger)
        plan = _plan_reviews(ledger, ready, _prefect.open_runs(client, deployment))
        for run_id in plan.superseded:
            review.supersede(ledger, run_id, office)
            words = "The list changed, or another review shows it."
            client.set_flow_run_state(run_id, Cancelled(name=standing.SUPERSEDED, message=words), force=True)
        # Counted before the runs are read again, so that two passes at once make the same key, hence one run.
        counts = {project: _prefect.count(client, deployment, _tag(ready[project][0])) for project in plan.wanted}
        wanted = counts and _plan_reviews(ledger, ready, _prefect.open_runs(client, deployment)).wanted
        for project in [each for each in wanted if each in counts]:
            client.create_flow_run_from_deployment(
                deployment,
                name=review_name(ready[project]),
                parameters={"project": project},
                tags=[_tag(ready[project][0])],
                idempotency_key=f"review/{project}/{counts[project]}",
            )
    return Told(figures=(("reviews waiting", len(ready)),))


def plans(office: Office, ledger: Ledger, erp: ERP, client: SyncPrefectClient) -> tuple[Plan, ReviewPlan]:
    """Return what `publish` and `open_reviews` would do now."""
    _, _, items = _compare(office, ledger, erp, client, _prefect.deployment_id(client, ITEMS))
    runs = _prefect.open_runs(client, _prefect.deployment_id(client, REVIEWS))
    return items, _plan_reviews(ledger, review.waiting_projects(ledger), runs)


def places(office: Office, erp: ERP) -> Places:
    """Return where people click."""
    return Places(erp.capabilities.menu_path, procore_web_url(office.settings))


def _compare(
    office: Office, ledger: Ledger, erp: ERP, client: SyncPrefectClient, deployment: UUID
) -> tuple[list[Item], list[Run], Plan]:
    """Read both sets and plan what makes the second one equal to the first."""
    items, runs = _both(ledger, _prefect.open_runs(client, deployment, PASSING))
    patience = office.settings.export.lease * _PATIENCE
    plan = plan_items(items, runs, office.clock(), patience, places(office, erp))
    ended_well = _prefect.runs_with_keys(client, deployment, [each.key for each in plan.creations])
    if ended_well:  # and their invoices fail or drifted since
        runs += [run for run in map(_prefect.as_run, ended_well) if run]
        plan = plan_items(items, runs, office.clock(), patience, places(office, erp))
    return items, runs, plan


def _both(ledger: Ledger, found: list[FlowRun]) -> tuple[list[Item], list[Run]]:
    runs = [run for run in map(_prefect.as_run, found) if run]
    with ledger.reading() as connection:
        shown = find_items(connection, state=tuple(FAILING)) + drifted(connection) + to_release(connection)
    missing = {run.invoice for run in runs} - {(item.company_id, item.invoice_id) for item in shown}
    others = ledger.items(invoice_id=[invoice for _, invoice in missing]) if missing else []
    return shown + others, runs


def _explain(
    office: Office,
    ledger: Ledger,
    erp: ERP,
    client: SyncPrefectClient,
    items: list[Item],
    changed: Mapping[str, Creation | Move],
    progress: Progress,
) -> None:
    by_invoice = {(item.company_id, item.invoice_id): item for item in items}
    told = {run_id: by_invoice[each.invoice] for run_id, each in changed.items() if each.invoice in by_invoice}
    _prefect.tell(client, {run_id: each.standing for run_id, each in changed.items() if run_id in told})
    where = places(office, erp)
    for piece in followed(in_pieces(told.items(), _STORIES), len(told), progress, len):
        found = stories(ledger, erp, [item for _, item in piece], office)
        for run, item in piece:
            _tell_story(client, item, run, found[item.item_id], where)


def explain(
    office: Office, ledger: Ledger, erp: ERP, client: SyncPrefectClient, item: Item, unfinished: Sequence[str] = ()
) -> None:
    """Hang the whole story of an item on this run, beginning with the steps that did not finish just now."""
    story = stories(ledger, erp, [item], office, also_settled=True)[item.item_id]
    _tell_story(client, item, run_id(), replace(story, unfinished=unfinished), places(office, erp))


def _tell_story(client: SyncPrefectClient, item: Item, run: str, story: Story, places: Places) -> None:
    text = explanation(item, story, places)
    _prefect.attach(client, run, text, None, standing.in_brief(item))


def _standing(items: list[Item], runs: list[Run]) -> dict[tuple[int, int], str]:
    keys = {standing.key_of(item) for item in items if standing.badge_of(item)}
    return {run.invoice: run.run_id for run in runs if run.key in keys}


def _plan_reviews(ledger: Ledger, ready: dict[int, list[Item]], runs: list[FlowRun]) -> ReviewPlan:
    alive = [run for run in runs if run.state and not run.state.is_final()]
    reviews = [
        ReviewRun(str(run.id), int(run.parameters["project"]), run.state.type.value)
        for run in alive
        if run.state and "project" in run.parameters
    ]
    with ledger.reading() as connection:
        offers = read_reviews(connection, [run.run_id for run in reviews])
    lists = {
        project: frozenset((item.invoice_id, item.content_hash) for item in items) for project, items in ready.items()
    }
    return plan_reviews(lists, reviews, offers)


def _tag(item: Item) -> str:
    return standing.tags_of(item)[0]
