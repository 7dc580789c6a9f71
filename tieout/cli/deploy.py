"""`tieout deploy`: everything that Prefect must hold before a flow can run; may be run again at any time."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tieout import settings
from tieout.cli.automations import save_automations
from tieout.cli.console import bar, notes
from tieout.errors import SettingsError, TransientError
from tieout.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_NINETY_DAYS = 90 * 24 * 60 * 60
_POOL_TYPE = "process"
_FIELDS = re.compile(r"^Args:\n(?: +.*(?:\n|\Z))+\n?", re.MULTILINE)  # of a flow's docstring
_WRAPPED = re.compile(r"(?<!\n)\n(?!\n|- )")


def deploy() -> None:
    """Set up the work pool, deployments, saved views and automations in Prefect. Safe to run again at any time."""
    root, chosen = _checkout(), settings.read()
    with bar("Loading Prefect"):
        from prefect.client.orchestration import get_client  # takes seconds
    try:
        with get_client(sync_client=True) as client:
            views, automations = _set_up(client, root, chosen)
    except httpx.TransportError as error:
        words = f"{error}; is its server up, and PREFECT_API_URL its address?"
        raise TransientError("Prefect", "setting it up", words) from None
    pool = chosen.prefect.work_pool
    notes().print(
        f"Deployed to work pool {pool}, with {automations} automations; {views} saved views are on the Runs page."
    )


def variables(root: Path, settings: Settings) -> dict[str, str]:
    """Return what the variables of `deployments/prefect.yaml` stand for, by the settings."""
    prefect, company = settings.prefect, settings.company
    return {
        "TIEOUT_ROOT": str(root),
        "TIEOUT_PYTHON": sys.executable,
        "TIEOUT_CONFIG": str(Path(os.environ.get("TIEOUT_CONFIG", "tieout.toml")).resolve()),
        "TIEOUT_PREFECT__WORK_POOL": prefect.work_pool,
        "TIEOUT_PREFECT__SCHEDULE": prefect.schedule,
        "TIEOUT_PREFECT__WATCH_SCHEDULE": prefect.watch_schedule,
        "TIEOUT_COMPANY__TIME_ZONE": company.time_zone,
    }


def _checkout() -> Path:
    """Return the checkout that the flows are run from: this one, or the folder that the command is run in."""
    for root in (Path(__file__).parents[2], Path.cwd()):
        if (root / "deployments" / "prefect.yaml").is_file():
            return root
    raise SettingsError(
        "Prefect", "deployments", "there is no deployments/prefect.yaml; run this in a checkout of tieout"
    )


def _set_up(client: "SyncPrefectClient", root: Path, settings: Settings) -> tuple[int, int]:
    """Do it all; return how many views and automations there are."""
    with bar("Setting up the work pool"):
        _set_up_pool(client, settings.prefect.work_pool)
    with bar("Deploying the flows"):
        _deploy_flows(root, settings)
        _describe(client, root)
    with bar("Saving views and automations"):
        return _save_views(client, root), save_automations(client, root, settings)


def _set_up_pool(client: "SyncPrefectClient", name: str) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        client.read_work_pool(name)  # a pool that is there keeps its type: it may be Docker or Kubernetes
    except ObjectNotFound:
        template: dict[str, Any] = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type=_POOL_TYPE, base_job_template=template))


def _deploy_flows(root: Path, settings: Settings) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    command += ["--prefect-file", "deployments/prefect.yaml"]
    done = subprocess.run(
        command, cwd=root, env=os.environ | variables(root, settings), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise SettingsError("Prefect", "its deployments", words[-1] if words else "`prefect deploy` failed")


def _describe(client: "SyncPrefectClient", root: Path) -> None:
    """Have a deployment's page say what its flow's docstring says, as Markdown in the manner of the Prefect UI.

    It breaks a paragraph wherever the text has a new line. What the form says under each field is left out.
    """
    names = [path.stem.replace("_", "-") for path in (root / "flows").glob("*.py")]
    ours = {"deployments": {"name": {"any_": names}}}
    for each in client.request("POST", "/deployments/filter", json=ours).json():
        words = _WRAPPED.sub(" ", _FIELDS.sub("", each["description"] or ""))
        client.request("PATCH", "/deployments/{id}", path_params={"id": each["id"]}, json={"description": words})


def _save_views(client: "SyncPrefectClient", root: Path) -> int:
    views = json.loads((root / "deployments" / "views.json").read_text(encoding="utf-8"))
    for view in views:
        deployment = client.read_deployment_by_name(f"{view['deployment']}/{view['deployment']}")
        filters = [
            _filter("state", view["states"]),
            _filter("deployment", [str(deployment.id)]),
            _filter("range", {"type": "span", "seconds": -_NINETY_DAYS}),
        ]
        client.request("PUT", "/saved_searches/", json={"name": view["name"], "filters": filters})
    return len(views)


def _filter(name: str, value: object) -> dict[str, object]:
    """Return a filter in the shape that the Prefect UI itself writes."""
    return {"property": name, "value": value, "object": "flowRun", "type": "", "operation": ""}
