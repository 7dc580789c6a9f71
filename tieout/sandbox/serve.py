"""Run both stand-ins on real sockets until told to stop: one process each, so that neither waits for the other.

`python -m tieout.sandbox.serve --data DIR` builds the contractor on the first run and reopens it afterwards.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import uvicorn

from tieout.sandbox.contractor.contractor import Contractor, build
from tieout.sandbox.faults import ASGIApp
from tieout.sandbox.procore.app import create_app as create_procore
from tieout.sandbox.sockets import HOST, STOP_AFTER_SECONDS, SandboxError, Server, listen
from tieout.sandbox.spectrum.app import create_app as create_spectrum

MAPPING_COLUMNS = ("kind", "procore", "job", "erp", "valid_from")
Announce = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Plan:
    """What the sandbox was first built from; kept beside its data so that it reopens as the same contractor."""

    seed: int
    projects: int
    invoices: int
    lines: int | None
    troubles: bool
    today: str

    def contractor(self) -> Contractor:
        """Make the contractor of this plan, the same one every time."""
        sizes = (self.seed, self.projects, self.invoices, self.lines, self.troubles)
        return build(*sizes, today=date.fromisoformat(self.today))


def serve(
    data: Path,
    seed: int,
    projects: int,
    invoices: int,
    lines: int | None,
    limits: bool,
    procore_port: int,
    spectrum_port: int,
    troubles: bool = True,
    host: str = HOST,
    announce: Announce = lambda facts: print(json.dumps(facts), flush=True),
) -> None:
    """Build or reopen both stand-ins in `data` and serve them until SIGTERM or SIGINT; port 0 takes a free one."""
    data.mkdir(parents=True, exist_ok=True)
    plan = _plan(data, Plan(seed, projects, invoices, lines, troubles, _now().date().isoformat()))
    contractor = plan.contractor()
    _write_mapping(data / "mapping.csv", contractor)
    authorization_id = f"SANDBOX-{plan.seed}"
    database = data.resolve() / "spectrum.sqlite"
    listeners = [listen(host, port) for port in (procore_port, spectrum_port)]
    apps = [
        partial(create_procore, data / "procore.sqlite", contractor, limits, _now),
        partial(create_spectrum, f"sqlite:///{database}", contractor.books, authorization_id, _now),
    ]
    urls = [f"http://{host}:{listener.getsockname()[1]}" for listener in listeners]
    facts = {
        "procore": {
            "api_url": urls[0],
            "login_url": urls[0],
            "company_id": contractor.company_id,
            "client_id": contractor.client_id,
            "client_secret": contractor.client_secret,
        },
        "spectrum": {
            "url": urls[1],
            "company_code": contractor.books.company_code,
            "authorization_id": authorization_id,
            "info_link_url": f"sqlite:///file:{database}?mode=ro&uri=true",
        },
        "mapping_csv": str((data / "mapping.csv").resolve()),
        "pid": os.getpid(),
    }
    _supervise(list(zip(apps, listeners, strict=True)), lambda: announce(facts))


def _supervise(servers: list[tuple[Callable[[], ASGIApp], socket.socket]], on_ready: Callable[[], None]) -> None:
    """Run each application in a process of its own; when one ends, or we are told to stop, all end."""
    fork = multiprocessing.get_context("fork")
    lifeline = os.pipe()
    ready, say_ready = fork.Pipe(duplex=False)
    before = signal.signal(signal.SIGTERM, _interrupt)
    children = [fork.Process(target=_run, args=(*server, lifeline, say_ready)) for server in servers]
    try:
        for child in children:
            child.start()
        for _ in children:
            _await(ready, [child.sentinel for child in children])
        on_ready()
        wait([child.sentinel for child in children])
        raise SandboxError("a stand-in ended by itself")
    except KeyboardInterrupt:
        pass  # we were told to stop: that is how a sandbox ends
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(lifeline[1])
        for child in children:
            _end(child)
        os.close(lifeline[0])


def _await(ready: Connection, sentinels: list[int]) -> None:
    if ready not in wait([ready, *sentinels]):
        raise SandboxError("a stand-in ended before it took requests")
    ready.recv_bytes()


def _end(child: Any) -> None:
    if child.pid is None:
        return
    if child.is_alive():
        child.terminate()
    child.join(STOP_AFTER_SECONDS)
    if child.is_alive():
        child.kill()
        child.join()


def _run(
    make_app: Callable[[], ASGIApp], listener: socket.socket, lifeline: tuple[int, int], say_ready: Connection
) -> None:
    """Serve in a child process, and end when the parent has gone, however it went."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.close(lifeline[1])
    server = Server(make_app(), lambda: say_ready.send_bytes(b"ready"))
    threading.Thread(target=_follow, args=(server, lifeline[0]), daemon=True).start()
    server.run(sockets=[listener])


def _follow(server: uvicorn.Server, lifeline: int) -> None:
    os.read(lifeline, 1)  # nobody writes: this returns when the last other end is closed
    server.should_exit = True


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _plan(data: Path, wanted: Plan) -> Plan:
    """Return the plan that the data folder was built from; a new folder gets the wanted one."""
    path = data / "sandbox.json"
    if path.exists():
        return Plan(**json.loads(path.read_text()))
    path.write_text(json.dumps(vars(wanted), indent=2))
    return wanted


def _write_mapping(path: Path, contractor: Contractor) -> None:
    """Write the mapping table once: what an operator changed in it stays."""
    if path.exists():
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, MAPPING_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(contractor.mapping_rows)


def _now() -> datetime:
    return datetime.now(UTC)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tieout.sandbox.serve", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the stand-ins' databases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--projects", type=int, default=4)
    parser.add_argument("--invoices", type=int, default=60)
    parser.add_argument("--lines", type=int, help="lines per schedule of values; default: as it comes")
    parser.add_argument("--limits", choices=("on", "off"), default="off", help="Procore's rate limits")
    parser.add_argument("--procore-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--spectrum-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--no-troubles", action="store_true", help="every invoice approved and sound")
    parser.add_argument("--json", action="store_true", help="one line of JSON when ready instead of words")
    given = parser.parse_args(arguments)
    sizes = (given.seed, given.projects, given.invoices, given.lines, given.limits == "on")
    ports = (given.procore_port, given.spectrum_port, not given.no_troubles)
    more: dict[str, Any] = {} if given.json else {"announce": _say}
    try:
        serve(given.data, *sizes, *ports, **more)
    except (SandboxError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _say(facts: dict[str, Any]) -> None:
    print(f"Procore stand-in   {facts['procore']['api_url']}")
    print(f"Spectrum stand-in  {facts['spectrum']['url']}")
    print(f"Mapping table      {facts['mapping_csv']}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
