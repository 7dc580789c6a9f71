"""What the Prefect server is asked: the runs of a deployment, bulk creation, bulk moves, artifacts."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound

from tieout.errors import SettingsError, TransientError
from tieout.ledger.database import in_pieces
from tieout.progress import Progress, followed, unseen
from tieout.views.runs import Creation, Move, Run
from tieout.views.standing import Standing

_PAGE = 200
_BULK = 25  # rows of one bulk call, which is one transaction: with 100, the most, the server answers nobody for long
_MOVES = 50
# Prefect's own list of its routes, by which paths are typed, lacks these two.
_BULK_CREATE, _BULK_MOVE = "/deployments/{id}/create_flow_run/bulk", "/flow_runs/bulk_set_state"
_TRIES = 5
_NOT_COMPLETED = [type_ for type_ in StateType if type_ != StateType.COMPLETED]
_AT_WORK = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def open_screen() -> SyncPrefectClient:
    """Return a client of the Prefect server."""
    return get_client(sync_client=True)


def deployment_id(client: SyncPrefectClient, name: str) -> UUID:
    """Return the deployment of the flow of this name."""
    try:
        return client.read_deployment_by_name(f"{name}/{name}").id
    except ObjectNotFound:
        raise SettingsError("Prefect", f"deployment {name}", "it is missing; run `tieout deploy`") from None


def open_runs(client: SyncPrefectClient, deployment: UUID, also: Iterable[str] = ()) -> list[FlowRun]:
    """Return the deployment's runs that have not completed, and those in the states of these names."""
    state = FlowRunFilterState(
        operator="or_",  # type: ignore[call-arg]  # from a base that is no model
        type=FlowRunFilterStateType(any_=_NOT_COMPLETED),
        name=FlowRunFilterStateName(any_=list(also)) if also else None,
    )
    wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]), state=state)
    return _all_runs(client, flow_run_filter=wanted)


def runs_at_work(client: SyncPrefectClient, names: Sequence[str]) -> list[FlowRun]:
    """Return the runs of the deployments of these names that a worker has taken and that have not ended."""
    return _all_runs(
        client,
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(names))),
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=list(names))),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_AT_WORK))),
    )


def name_of(client: SyncPrefectClient, run: str) -> str:
    """Return what a run is called."""
    try:
        return client.read_flow_run(UUID(run)).name
    except ObjectNotFound:
        return f"run {run}"


def not_ended(client: SyncPrefectClient, run_ids: Iterable[str]) -> set[str]:
    """Return which of these runs are there and have not ended."""
    found: set[str] = set()
    for piece in in_pieces(run_ids, _PAGE):
        wanted = FlowRunFilter(
            id=FlowRunFilterId(any_=[UUID(each) for each in piece]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=list(TERMINAL_STATES))),
        )
        found |= {str(run.id) for run in client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE)}
    return found


def heard_of(client: SyncPrefectClient, run_ids: Iterable[str], since: datetime) -> set[str]:
    """Return which of these runs have given a sign of life since then, as events that Prefect's engine sends."""
    resources = {f"prefect.flow-run.{each}": each for each in run_ids}
    wanted = {
        "event": {"name": ["prefect.flow-run.heartbeat"]},
        "resource": {"id": list(resources)},
        "occurred": {"since": since.isoformat()},
    }
    if not resources:
        return set()
    by = {"countable": "resource"}
    rows = client.request("POST", "/events/count-by/{countable}", path_params=by, json={"filter": wanted}).json()
    return {resources[row["value"]] for row in rows}


def count(client: SyncPrefectClient, deployment: UUID, tag: str) -> int:
    """Return how many runs the deployment ever had with this tag."""
    runs = {"deployment_id": {"any_": [str(deployment)]}, "tags": {"all_": [tag]}}
    return int(client.request("POST", "/flow_runs/count", json={"flow_runs": runs}).json())


def runs_with_keys(client: SyncPrefectClient, deployment: UUID, keys: Iterable[str]) -> list[FlowRun]:
    """Return the deployment's runs with these idempotency keys, in whatever state."""
    found: list[FlowRun] = []
    for piece in in_pieces(keys, _PAGE):
        wanted = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
            idempotency_key=FlowRunFilterIdempotencyKey(any_=piece),
        )
        found += client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE)
    return found


def as_run(run: FlowRun) -> Run | None:
    """Return an item's run in the plan's words; None for a dry one, and where the parameters name no invoice."""
    company, invoice = run.parameters.get("company"), run.parameters.get("invoice")
    is_dry = bool(run.parameters.get("dry_run"))
    if run.state is None or is_dry or not isinstance(company, int) or not isinstance(invoice, int):
        return None
    standing = Standing(run.state.type.value, run.state.name or "", run.state.message or "")
    return Run(
        run_id=str(run.id),
        invoice=(company, invoice),
        key=run.idempotency_key,
        name=run.name,
        tags=frozenset(run.tags),
        standing=standing,
    )


def create(
    client: SyncPrefectClient, deployment: UUID, creations: Sequence[Creation], progress: Progress = unseen
) -> list[str]:
    """Create runs in their final states and return their ids in order.

    The server answers 200 even where rows failed: each row is looked at and the failed ones are sent again,
    which their idempotency keys make safe.
    """
    ids: dict[str, str] = {}
    for piece in followed(in_pieces(creations, _BULK), len(creations), progress, len):
        left = piece
        for _ in range(_TRIES):
            rows = [_row(each) for each in left]
            path = {"id": deployment}
            answer = client.request("POST", _BULK_CREATE, path_params=path, json=rows)  # type: ignore[arg-type]
            results = list(zip(left, answer.json()["results"], strict=True))
            ids |= {each.key: row["flow_run_id"] for each, row in results if row["status"] == "CREATED"}
            left = [each for each, row in results if row["status"] != "CREATED"]
            if not left:
                break
        else:
            errors = {row["error"] for _, row in results if row["status"] != "CREATED"}
            raise TransientError("Prefect", f"{len(left)} item runs", "; ".join(sorted(map(str, errors)))[:500])
    return [ids[each.key] for each in creations]


def move(client: SyncPrefectClient, moves: Sequence[Move], progress: Progress = unseen) -> None:
    """Move runs to other states, only from those in which they were seen: one that is retried meanwhile stays."""
    for each in followed(moves, len(moves), progress):
        if each.name is not None:
            client.update_flow_run(UUID(each.run_id), name=each.name, tags=each.tags)

    def target(each: Move) -> tuple[str, str, str, str]:
        return each.seen, each.standing.type, each.standing.name, each.standing.message

    for (seen, type_, name, message), group in groupby(sorted(moves, key=target), key=target):
        set_state(client, (each.run_id for each in group), [seen], Standing(type_, name, message))


def set_state(client: SyncPrefectClient, run_ids: Iterable[str], seen: Sequence[str], standing: Standing) -> None:
    """Move runs to a state, those only that are still in the states of these names."""
    state = {"type": standing.type, "name": standing.name, "message": standing.message}
    for piece in in_pieces(run_ids, _MOVES):
        runs = {"id": {"any_": piece}, "state": {"name": {"any_": list(seen)}}}
        wanted = {"flow_runs": runs, "state": state, "limit": _MOVES}
        client.request("POST", _BULK_MOVE, json=wanted)  # type: ignore[arg-type]


def attach(client: SyncPrefectClient, run_id: str, markdown: str, key: str | None, description: str = "") -> None:
    """Hang a Markdown artifact on a run; its card shows the key and the description.

    One without a key is listed on its run alone, not among all artifacts, and costs the server half as much.
    """
    made = ArtifactCreate(type="markdown", key=key, data=markdown, description=description, flow_run_id=UUID(run_id))
    client.create_artifact(made)


def introduce(run_id: str, name: str, markdown: str, key: str, description: str) -> None:
    """Name a run for what it is about to ask, and hang what it asks about on it."""
    with open_screen() as client:
        client.update_flow_run(UUID(run_id), name=name)
        attach(client, run_id, markdown, key, description)


def attach_table(
    client: SyncPrefectClient, run_id: str, rows: Sequence[dict[str, str]], key: str, description: str
) -> None:
    """Hang a table on a run; the tables of one key are the history of it."""
    made = ArtifactCreate(
        type="table", key=key, data=json.dumps(rows), description=description, flow_run_id=UUID(run_id)
    )
    client.create_artifact(made)


def show(client: SyncPrefectClient, key: str, markdown: str, description: str) -> None:
    """Write a Markdown artifact that belongs to no run; the newest one of its key is shown."""
    client.create_artifact(ArtifactCreate(type="markdown", key=key, data=markdown, description=description))


@dataclass(frozen=True)
class Bar:
    """A bar that shows on a run how far it is; one that belongs to a step is listed below what the run itself shows."""

    run_id: str
    task_run_id: str | None
    words: str
    things: str
    artifact: UUID | None = None  # once it was drawn


def draw(client: SyncPrefectClient, bar: Bar, done: int, whole: int) -> Bar:
    """Draw a bar that is so far, where it is drawn already as a change of it."""
    described = f"{bar.words}: {done} of {whole} {bar.things}"
    share = min(100.0, round(100 * done / whole, 1))
    if bar.artifact:
        client.update_artifact(bar.artifact, ArtifactUpdate(data=share, description=described))
        return bar
    step = UUID(bar.task_run_id) if bar.task_run_id else None
    made = ArtifactCreate(
        type="progress", data=share, description=described, flow_run_id=UUID(bar.run_id), task_run_id=step
    )
    return replace(bar, artifact=client.create_artifact(made).id)


def next_start(client: SyncPrefectClient, deployment: str) -> datetime | None:
    """Return when the deployment runs next by its schedule, None when it is not scheduled."""
    due = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    asked = {"flow_runs": due, "sort": "EXPECTED_START_TIME_ASC", "limit": 1}
    rows = client.request("POST", "/flow_runs/filter", json=asked).json()
    return datetime.fromisoformat(rows[0]["expected_start_time"]) if rows else None


def tell(client: SyncPrefectClient, words: Mapping[str, Standing]) -> None:
    """Log on each run why it stands so: the logs are what its page opens with."""
    at = datetime.now(UTC).isoformat()
    for piece in in_pieces(words.items(), _PAGE):
        lines = [
            {"name": "tieout", "flow_run_id": run_id, "timestamp": at, "message": standing.message,
             "level": logging.ERROR if standing.type == "FAILED" else logging.INFO}
            for run_id, standing in piece
        ]  # fmt: skip
        client.request("POST", "/logs/", json=lines)


def _all_runs(
    client: SyncPrefectClient,
    flow_run_filter: FlowRunFilter,
    flow_filter: FlowFilter | None = None,
    deployment_filter: DeploymentFilter | None = None,
) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_filter=flow_filter,
            flow_run_filter=flow_run_filter,
            deployment_filter=deployment_filter,
            sort=FlowRunSort.ID_DESC,
            limit=_PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < _PAGE:
            return found


def _row(each: Creation) -> dict[str, Any]:
    company, invoice = each.invoice
    state = {"type": each.standing.type, "name": each.standing.name, "message": each.standing.message}
    return {
        "name": each.name,
        "parameters": {"company": company, "invoice": invoice},
        "tags": list(each.tags),
        "idempotency_key": each.key,
        "state": state,
    }
