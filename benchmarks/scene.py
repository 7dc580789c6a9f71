"""A contractor's company that goes back to where a story began: Procore's stand-in, an ERP, a ledger, and their clock.

What the two systems hold is always read from them, never from our ledger.
"""

import csv
import json
import os
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import httpx

from benchmarks.erps import Erp, OpenErp, a_spectrum
from benchmarks.post_office import PostOffice, a_post_office
from benchmarks.postgresql import PostgreSQL
from benchmarks.workers import Clock, Worker, at_work, end_with_parent
from tieout.connectors.base import invoice_key, parse_key
from tieout.decisions import review
from tieout.decisions.reject import reject_item
from tieout.intake import reference
from tieout.intake.invoices import fetch_changed
from tieout.judgement import batch
from tieout.judgement.basis import Basis, load_basis
from tieout.ledger import states
from tieout.ledger.book import Ledger
from tieout.ledger.database import upgrade
from tieout.ledger.digests import canonical
from tieout.ledger.references import known_projects
from tieout.sandbox.contractor import contractor as contractor_module
from tieout.sandbox.contractor.contractor import Contractor
from tieout.sandbox.faults import NOT_CALLED, ASGIApp
from tieout.sandbox.procore.app import create_app as procore_app
from tieout.sandbox.serve import MAPPING_COLUMNS
from tieout.sandbox.sockets import serving

Payments = Counter[tuple[int, str]]  # how often an amount was paid on an invoice, by Procore's id of it


class KeptLedger(Protocol):
    """A ledger of which copies are kept by name, and which goes back to one. Nobody may have it open meanwhile."""

    url: str

    def keep(self, name: str) -> None:
        """Keep what it holds now."""

    def restore(self, name: str) -> None:
        """Hold what was kept."""


class OnSQLite:
    """A file and copies of it."""

    def __init__(self, folder: Path) -> None:
        self._path, self._folder = folder / "ledger.sqlite", folder
        self.url = f"sqlite:///{self._path}"
        upgrade(self.url)

    def keep(self, name: str) -> None:
        with closing(sqlite3.connect(self._path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(self._path, self._folder / f"{name}.ledger")

    def restore(self, name: str) -> None:
        for path in self._folder.glob(f"{self._path.name}-*"):
            path.unlink()  # what the last one left that was killed
        shutil.copy(self._folder / f"{name}.ledger", self._path)


class OnPostgreSQL:
    """A database, with copies of its tables in schemas beside them: a database each would take longer than a story."""

    def __init__(self, server: PostgreSQL) -> None:
        self.url = server.new_ledger()
        self._connection = server.connect_without_triggers(self.url)
        listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        self._tables = [name for (name,) in self._connection.execute(listed)]

    def keep(self, name: str) -> None:
        copies = [f"CREATE TABLE kept_{name}.{table} AS TABLE {table}" for table in self._tables]
        self._run(f"CREATE SCHEMA kept_{name}", *copies)

    def restore(self, name: str) -> None:
        self._run(
            *(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{name}.{table}" for table in self._tables)
        )

    def _run(self, *statements: str) -> None:
        """Run them at once, which is one transaction."""
        self._connection.execute("; ".join(statements).encode())


class _Stage:
    """What a server shows: another stand-in whenever a story begins again."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def _stand_in(make_app: Callable[[Path], ASGIApp], orders: Connection, log: Path) -> None:
    """Serve, in a process of its own, over whichever folder is ordered.

    A stand-in whose client is killed says so at length; that is for who looks for it.
    """
    end_with_parent()
    sys.stderr = log.open("w")
    stage = _Stage()
    with serving(stage) as url:
        orders.send(url)
        while folder := orders.recv():
            stage.app = make_app(folder)
            orders.send(url)


class Scene:
    """Where stories play; `begin` one, `keep` it under a name, `begin` it from there as often as wanted."""

    def __init__(self, folder: Path, ledger: KeptLedger, clock: Clock, contractor: Contractor, erp: Erp) -> None:
        self.folder, self.clock, self.contractor, self.erp = folder, clock, contractor, erp
        self.ledger, self._kept_ledger = Ledger(ledger.url), ledger
        self.urls: dict[str, str] = {}
        self._orders: dict[str, Connection] = {}
        self._control = httpx.Client(trust_env=False, timeout=30)
        self._rounds = count(1)
        self.now = folder / "now"  # leads to the folder of the story that is played
        self._kept: dict[str, tuple[datetime, Payments]] = {}
        self.mails = PostOffice()
        self.paid: Payments = Counter()

    def begin(self, story: str = "") -> None:
        """Put the stand-ins, the ledger and the clock back to where the story was kept; "" is before everything."""
        before, round_ = self.now.resolve(), self.folder / f"round-{next(self._rounds)}"
        if story:
            shutil.copytree(self.folder / story, round_)
            self._kept_ledger.restore(story)
            began_at, paid = self._kept[story]
            self.clock.advance(began_at - self.clock())
            self.paid = Counter(paid)
        else:
            round_.mkdir()
        self.mails.taken.clear()
        self.now.unlink(missing_ok=True)
        self.now.symlink_to(round_)
        for orders in self._orders.values():
            orders.send(round_)
        for orders in self._orders.values():
            orders.recv()
        shutil.rmtree(before, ignore_errors=True)

    def keep(self, story: str) -> None:
        """Keep how everything stands now."""
        kept = self.folder / story
        kept.mkdir()
        for path in self.now.glob("*.sqlite*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, kept)
        self.erp.keep(kept)
        self._kept_ledger.keep(story)
        self._kept[story] = self.clock(), Counter(self.paid)

    def forget(self, story: str) -> None:
        """Restore the ledger alone, as from a backup."""
        self._kept_ledger.restore(story)

    def accept_everything(self) -> None:
        """Read Procore, judge it, and accept whatever is sound."""
        with at_work(self.ledger, self.clock) as worker:
            basis = _judge(worker)
            review.accept_by_policy(self.ledger, list(known_projects(self.ledger)), worker.office, basis.policy_version)

    def reject_everything(self) -> None:
        """Read Procore, judge it, and reject whatever is sound."""
        with at_work(self.ledger, self.clock) as worker:
            _judge(worker)
            with self.ledger.transaction(self.clock(), "An Approver") as tx:
                for item in tx.items(state=states.READY):
                    reject_item(tx, worker.office.settings, item, "a reason", {})

    # The other people, and what the two systems hold.

    def play(self, system: str, action: str, body: Any = None, method: str = "POST") -> Any:
        """Do what somebody does in Procore or in the ERP."""
        answer = self._control.request(method, f"{self.urls[system]}/_sandbox/{action}", json=body or {})
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def look(self, system: str, what: str) -> Any:
        answer = self._control.get(f"{self.urls[system]}/_sandbox/{what}")
        answer.raise_for_status()
        return answer.json()

    def fault(self, system: str, route: str, kind: str, **more: Any) -> None:
        self.play(system, "faults", {"route": route, "kind": kind, **more})

    def arrived(self, system: str, route: str) -> int:
        """Return how many of these requests the system has dealt with."""
        asked = self.look(system, "requests")["requests"]
        dealt_with = (each for each in asked if each["fault"] not in (*NOT_CALLED, "reset_before"))
        return sum(f"{each['method']} {each['route']}" == route for each in dealt_with)

    def heal(self) -> None:
        """Have both systems do what they should again."""
        for system in self.urls:
            self.play(system, "faults", method="DELETE")

    def hide_invoices(self) -> None:
        """Whoever looks for invoices in the ERP sees an error."""
        self.erp.hide(self)

    def show_invoices(self) -> None:
        self.erp.show(self)

    def close_payments(self) -> None:
        """The administrators of Procore switch Payments Issued off."""
        self._switch_payments(False)

    def open_payments(self) -> None:
        self._switch_payments(True)

    def _switch_payments(self, is_on: bool) -> None:
        for project in self.contractor.projects:
            self.play("procore", f"projects/{project['id']}", {"payments_issued": is_on})

    def invoices(self) -> dict[int, list[dict[str, Any]]]:
        """What the ERP holds of ours, by Procore's invoice id."""
        held: dict[int, list[dict[str, Any]]] = {}
        for row in self.look(self.erp.name, "invoices"):
            if key := parse_key(row["Remarks"].strip()):
                held.setdefault(key[1], []).append(row)
        return held

    def requisitions(self) -> dict[int, dict[str, Any]]:
        """What Procore holds: a short row for each invoice, by id."""
        return {row["id"]: row for row in self.look("procore", "requisitions")}

    def pay(self, of_each_vendor: int | None = None) -> None:
        """Accounting posts every invoice and cuts a check for each vendor, over so many of its invoices or all.

        `paid` tells of it.
        """
        self.play(self.erp.name, "post", {"invoices": None})
        ids: dict[str, dict[str, int]] = {}  # by vendor and invoice number
        for invoice_id, rows in self.invoices().items():
            for row in rows:
                ids.setdefault(row["Vendor_Code"], {})[row["Invoice_Number"]] = invoice_id
        for vendor, by_number in ids.items():
            applications = [{"invoice_number": number} for number in list(by_number)[:of_each_vendor]]
            check = self.play(self.erp.name, "checks", {"vendor_code": vendor, "applications": applications})
            for row in check["applications"]:
                self.paid[by_number[row["Invoice_Number"]], row["Payment_Amount"]] += 1

    def tally(self, is_refused: bool = False) -> dict[str, float]:
        """Count in both systems what is not as it must be: every invoice once, or none where all were refused."""
        owed, held = self.requisitions(), self.invoices()
        sums = {each: [Decimal(row["Invoice_Amount"]) for row in held.get(each, ())] for each in owed}
        gross = {each: [] if is_refused else [Decimal(row["gross"])] for each, row in owed.items()}
        told = {each: (row["origin_id"], row["origin_data"]) for each, row in owed.items()}
        issued = Counter((row["requisition_id"], row["amount"]) for row in self.look("procore", "payments"))
        return {
            "invoices in the ERP beyond one for each accepted": sum(max(0, len(sums[e]) - len(gross[e])) for e in owed),
            "accepted invoices missing in the ERP, or not equal to the cent": sum(sums[e] != gross[e] for e in owed),
            "difference between the sums of both sides": float(abs(_sum(sums) - _sum(gross))),
            "payments in Procore beyond one for each application": (issued - self.paid).total(),
            "payments missing in Procore, or not equal to the cent": (self.paid - issued).total(),
            "invoices of which Procore was told wrongly": sum(told[e] != self._origin(e, held.get(e)) for e in owed),
        }

    def _origin(self, invoice_id: int, rows: Sequence[Mapping[str, Any]] | None) -> tuple[str | None, str | None]:
        """Return what the origin fields in Procore must say of what the ERP holds."""
        if not rows:
            return None, None
        facts = {"batch": rows[0]["Batch_Code"], "document": rows[0]["Document_ID"], "erp": self.erp.name}
        return invoice_key(self.contractor.company_id, invoice_id), canonical(facts)


def _sum(amounts: Mapping[int, Sequence[Decimal]]) -> Decimal:
    return sum((sum(each, Decimal(0)) for each in amounts.values()), Decimal(0))


def _judge(worker: Worker) -> Basis:
    ledger, office = worker.ledger, worker.office
    projects = reference.list_projects(ledger, worker.procore, office)
    for project_id in projects:
        fetch_changed(ledger, worker.procore, project_id, office)
    reference.read_reference(ledger, worker.erp, office)
    reference.read_books(ledger, worker.procore, projects, office)
    basis = load_basis(ledger, worker.erp, office)
    batch.judge_projects(ledger, basis, projects, office)
    return basis


@contextmanager
def a_scene(
    folder: Path,
    ledger: KeptLedger,
    rate: float = 0.0,
    settings: Mapping[str, str] | None = None,
    open_erp: OpenErp = a_spectrum,
    **sizes: int,
) -> Iterator[Scene]:
    """Open a scene for a contractor whose invoices are all sound, and have this process go by its settings."""
    clock = Clock(rate)
    plan: dict[str, Any] = {"seed": 7, "projects": 1, "lines": 3, **sizes}
    contractor = contractor_module.build(**plan, troubles=False, today=clock().date())
    with ExitStack() as stack:
        erp = stack.enter_context(open_erp(folder, contractor, clock))
        scene = Scene(folder, ledger, clock, contractor, erp)
        for system, make_app in {"procore": partial(_procore, contractor, clock), erp.name: erp.serve}.items():
            stack.enter_context(_running(scene, system, make_app))
        scene.mails = stack.enter_context(a_post_office())
        stack.enter_context(_environment(scene, settings or {}))
        stack.callback(scene._control.close)
        yield scene


def _procore(contractor: Contractor, clock: Clock, folder: Path) -> ASGIApp:
    return procore_app(folder / "procore.sqlite", contractor, False, clock)


@contextmanager
def _running(scene: Scene, system: str, make_app: Callable[[Path], ASGIApp]) -> Iterator[None]:
    fork = get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_stand_in, args=(make_app, theirs, scene.folder / f"{system}.log"), daemon=True)
    process.start()
    try:
        scene._orders[system], scene.urls[system] = ours, ours.recv()
        yield
    finally:
        process.kill()
        process.join()


@contextmanager
def _environment(scene: Scene, settings: Mapping[str, str]) -> Iterator[None]:
    contractor, urls = scene.contractor, scene.urls
    mapping = scene.folder / "mapping.csv"
    with mapping.open("w", newline="") as file:
        writer = csv.DictWriter(file, MAPPING_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(contractor.mapping_rows)
    before = dict(os.environ)
    os.environ.update(
        {
            "TIEOUT_CONFIG": str(scene.folder / "tieout.toml"),
            "TIEOUT_LEDGER__URL": scene.ledger.engine.url.render_as_string(hide_password=False),
            "TIEOUT_MAPPING__CSV": str(mapping),
            "TIEOUT_PROCORE__API_URL": urls["procore"],
            "TIEOUT_PROCORE__LOGIN_URL": urls["procore"],
            "TIEOUT_PROCORE__COMPANY_ID": str(contractor.company_id),
            "TIEOUT_PROCORE__CLIENT_ID": contractor.client_id,
            "TIEOUT_PROCORE__CLIENT_SECRET": contractor.client_secret,
            "TIEOUT_COMPANY__ERP": scene.erp.name,
            **_section(scene.erp.name, scene.erp.section(urls[scene.erp.name], scene.now)),
            "TIEOUT_POLICY__AUTO_ACCEPT_PROJECTS": json.dumps([each["id"] for each in contractor.projects]),
            **_section("mail", scene.mails.settings),
            **settings,
        }
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _section(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    return {f"TIEOUT_{name.upper()}__{key.upper()}": str(value) for key, value in values.items()}
