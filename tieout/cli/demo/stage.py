"""The demo's surroundings: stand-ins, settings, a ledger, and a Prefect server with a worker, all of its own."""

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tieout import settings
from tieout.cli.demo.processes import Processes
from tieout.cli.demo.screen import Screen
from tieout.errors import SettingsError
from tieout.ledger.database import upgrade
from tieout.sandbox.sockets import free_port

APPROVER = "Ada Approver"
POOL = "demo"
_OURS = "demo.json"  # marks a folder as one that we may empty
_START_SECONDS, _BUILD_SECONDS = 90.0, 300.0
Say = Callable[[str], None]
Facts = dict[str, Any]


class Stage:
    """Where the demo plays."""

    def __init__(self, folder: Path, erp: str, processes: Processes, screen: Screen) -> None:
        """Begin with nothing started."""
        self.folder, self.erp, self.processes, self.screen = folder, erp, processes, screen
        self.sandbox: Facts = {}

    @property
    def procore(self) -> str:
        """Address of the Procore stand-in."""
        return str(self.sandbox["procore"]["api_url"])

    @property
    def accounting(self) -> str:
        """Address of whoever plays the people in the ERP."""
        return str(self.sandbox.get("control") or self.sandbox[self.erp]["url"])


@contextmanager
def raised(
    folder: Path, erp: str, sizes: tuple[int, int], keep: bool, say: Say, policy: Callable[[Stage], Facts]
) -> Iterator[Stage]:
    """Start everything, and end everything afterwards; `policy` is asked once Procore and the ERP are there."""
    folder = folder.resolve()
    with _ours_alone(folder, keep):
        port = free_port()
        environment = _clean(os.environ) | _prefect(folder, port)
        with Processes(environment, folder / "logs") as processes:
            screen = Screen(f"http://127.0.0.1:{port}", processes.check)
            stage = Stage(folder, erp, processes, screen)
            try:
                _start(stage, port, sizes, say, policy)
                yield stage
            finally:
                screen.close()


def _start(stage: Stage, port: int, sizes: tuple[int, int], say: Say, policy: Callable[[Stage], Facts]) -> None:
    processes = stage.processes
    say("Starting the Prefect server and the stand-ins for Procore and Spectrum")
    server = [sys.executable, "-m", "tieout.cli", "server", "--host", "127.0.0.1", "--port", str(port)]
    processes.start("prefect-server", server)
    projects, invoices = map(str, sizes)
    sandbox = [sys.executable, "-m", "tieout.sandbox.serve", "--json", "--limits", "off"]
    sandbox += ["--data", str(stage.folder / "sandbox"), "--projects", projects, "--invoices", invoices]
    stage.sandbox = _first_line(processes, processes.start("sandbox", sandbox), _START_SECONDS)
    if stage.erp not in stage.sandbox:
        stage.sandbox |= _real_erp(stage, say)
    secrets = _write_settings(stage, policy(stage))
    os.environ.clear()
    os.environ.update(processes.environment | secrets)
    upgrade(settings.read().ledger_url)
    stage.screen.await_ready(_START_SECONDS)
    say("Deploying the flows and starting a worker")
    processes.start("deploy", [sys.executable, "-m", "tieout.cli", "deploy"], secrets)
    stage.screen.await_pool(POOL, _START_SECONDS)
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", "demo", "--type", "process"]
    processes.start("worker", worker, secrets)
    processes.finish("deploy", _START_SECONDS)


def _real_erp(stage: Stage, say: Say) -> Facts:
    """Start an ERP that is no stand-in, with the sandbox's contractor in it: `deployments/<erp>` knows how."""
    say(f"Starting {stage.erp.capitalize()}; the first time its company is built, which takes a minute or two")
    command = [sys.executable, "-m", f"deployments.{stage.erp}", "--json", "--data", str(stage.folder / stage.erp)]
    command += ["--sandbox", str(stage.folder / "sandbox")]
    return _first_line(stage.processes, stage.processes.start(stage.erp, command), _BUILD_SECONDS)


def _secrets_of(erp: str) -> list[str]:
    fields = import_module(f"tieout.connectors.{erp}").Settings.model_fields
    return [name for name, field in fields.items() if field.annotation is SecretStr]


def _write_settings(stage: Stage, policy: Facts) -> dict[str, str]:
    """Write `tieout.toml` and return the environment that goes with it; both are kept for the reader's own commands."""
    procore, erp = stage.sandbox["procore"], stage.sandbox[stage.erp]
    secret = _secrets_of(stage.erp)
    sections: dict[str, Facts] = {
        "company": {"name": "Demo Builders", "erp": stage.erp},
        "procore": {
            **{name: procore[name] for name in ("api_url", "login_url", "company_id", "client_id")},
            "web_url": f"{procore['api_url']}/_sandbox/requisitions/{{invoice}}",
        },
        stage.erp: {**{name: erp[name] for name in erp if name not in secret}, "settles_seconds": 1.0},
        "mapping": {"csv": stage.sandbox["mapping_csv"]},
        "export": {"retry_delay_seconds": 0.2},
        "approval": {"proof": "name"},
        "prefect": {"ui_url": stage.screen.url, "work_pool": POOL},
        "policy": policy,
    }
    lines = [line for name, section in sections.items() for line in (f"[{name}]", *_toml(section), "")]
    rights = {"name": APPROVER, "erp_integrations": "admin", "can_push_to_accounting": True, "commitments_admin": "all"}
    lines += ["[[people]]", *_toml(rights)]
    config = stage.folder / "tieout.toml"
    config.write_text("\n".join([*lines, ""]))
    secrets = {
        "TIEOUT_CONFIG": str(config),
        "TIEOUT_LEDGER__URL": f"sqlite:///{stage.folder / 'ledger.sqlite'}",
        "TIEOUT_PROCORE__CLIENT_SECRET": procore["client_secret"],
        **{f"TIEOUT_{stage.erp.upper()}__{name.upper()}": erp[name] for name in secret},
    }
    exports = {**secrets, "PREFECT_API_URL": f"{stage.screen.url}/api"}
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items())
    file = stage.folder / "env"
    file.touch(mode=0o600)
    file.write_text(text)
    return secrets


def _toml(section: Mapping[str, Any]) -> Iterator[str]:
    for name, value in section.items():
        yield f"{name} = {json.dumps(value)}"  # for text, numbers and lists the two notations agree


def _first_line(processes: Processes, log: Path, seconds: float) -> Facts:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        processes.check()
        for line in log.read_text().splitlines(keepends=True):
            if line.startswith("{") and line.endswith("}\n"):
                facts: Facts = json.loads(line)
                return facts
        time.sleep(0.05)
    raise TimeoutError(f"it is not ready after {seconds:.0f} s; see {log}")


@contextmanager
def _ours_alone(folder: Path, keep: bool) -> Iterator[None]:
    """Keep other demos out of the folder, and empty it unless it is to be kept."""
    if folder.exists() and not (folder / _OURS).exists() and any(folder.iterdir()):
        raise SettingsError("Demo", str(folder), "the folder holds something else and is not emptied; name another")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _OURS).open("a") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except OSError:
            raise SettingsError("Demo", str(folder), "another demo is running there") from None
        for entry in folder.iterdir():
            if entry.name != _OURS and not keep:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        yield


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would lead to another Prefect or ledger, and what would keep Python from saving bytecode."""
    outside = ("PREFECT_", "TIEOUT_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in environment.items() if not name.startswith(outside)}


def _prefect(folder: Path, port: int) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }
