"""The automations of `deployments/automations.yaml` in Prefect: made or updated by name, so that each is there once."""

import json
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]  # it comes without types

from tieout.errors import SettingsError
from tieout.settings import Settings
from tieout.views.standing import LOST

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def save_automations(client: "SyncPrefectClient", root: Path, settings: Settings) -> int:
    """Leave one of each wanted automation and none of the others; return how many are wanted.

    Making one that is there would double it, so they are looked up first. One that was switched off stays off.
    """
    plan = _plan(client, root, settings)
    names = {"any_": [each["name"] for each in plan]}
    found = client.request("POST", "/automations/filter", json={"automations": {"name": names}}).json()
    wanted = [each for each in plan if _is_wanted(each)]
    for each in plan:
        there = [one for one in found if one["name"] == each["name"]]
        if each not in wanted:
            surplus = there
        elif there:
            first, *surplus = there
            body = {**each, "enabled": first["enabled"]}
            client.request("PUT", "/automations/{id}", path_params={"id": first["id"]}, json=body)
        else:
            surplus = []
            client.request("POST", "/automations/", json=each)
        for one in surplus:
            client.request("DELETE", "/automations/{id}", path_params={"id": one["id"]})
    return len(wanted)


def _plan(client: "SyncPrefectClient", root: Path, settings: Settings) -> list[dict[str, Any]]:
    folder = root / "deployments"
    names = [each["name"] for each in _read(folder / "prefect.yaml")["deployments"]]
    ids = {name: str(client.read_deployment_by_name(f"{name}/{name}").id) for name in names}
    resources = {name: f"prefect.deployment.{deployment}" for name, deployment in ids.items()}
    section = settings.prefect
    values = {
        "ours": list(resources.values()),
        "parents": [each for name, each in resources.items() if name != "export-invoice"],
        "night": resources["nightly-sync"],
        "night_seconds": settings.watch.night_hours * 3600,
        "keep_watch": ids["keep-watch"],
        "silent_seconds": section.silent_seconds,
        "lost_name": LOST.name,
        "lost_message": LOST.message,
        "work_pool": section.work_pool,
        "notification_block": _block(client, section.notification_block),
    }
    text = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    plan: list[dict[str, Any]] = _read(folder / "automations.yaml", text)["automations"]
    return plan


def _read(path: Path, values: dict[str, str] | None = None) -> Any:
    text = path.read_text(encoding="utf-8")
    return yaml.safe_load(text if values is None else Template(text).substitute(values))


def _block(client: "SyncPrefectClient", name: str) -> str | None:
    from prefect.exceptions import ObjectNotFound

    if not name:
        return None
    type_, _, block = name.partition("/")
    try:
        return str(client.read_block_document_by_name(block, type_).id)
    except ObjectNotFound:
        words = "Prefect has no such block; make it on the Blocks page, or empty notification_block"
        raise SettingsError("Prefect", f"notification block {name}", words) from None


def _is_wanted(automation: dict[str, Any]) -> bool:
    return all(action.get("block_document_id", "none needed") for action in automation["actions"])
