"""The small ledgers that releases left behind, each beside what Procore and Spectrum held at that moment.

`make ledger-sample` plays the story below with the code of this release and keeps how it ends, under the name of the
newest migration. It is for the moment before the first change of a table after a release: what is there is never made
anew.
"""

import gzip
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from desk import WEDNESDAY, Desk, Killed, SettableClock, StoppingClock, a_desk
from ledgers import SQLite
from sqlalchemy.engine import make_url
from stand_ins import StandIns, standing_in

from benchmarks.post_office import a_post_office
from tieout.export import chunk
from tieout.payments import collection
from tieout.sandbox.contractor import contractor as contractor_module
from tieout.sandbox.contractor.contractor import Contractor

FOLDER = Path(__file__).parent / "samples" / "ledgers"
STAND_INS = ("procore", "spectrum")


def contractor() -> Contractor:
    """Return whose invoices they are."""
    return contractor_module.build(11, projects=1, invoices=12, lines=2, troubles=False, today=WEDNESDAY.date())


def play(desk: Desk) -> None:
    """Play until there is an invoice in nearly every state, and everything that can be owed is owed."""
    desk.set("export", writers=1)
    desk.night()
    paid, in_part, posted, exported, lost, waits, _, failed, refused, late, _, held = desk.states()
    with a_post_office() as office:
        desk.set("mail", **office.settings)
        _reject(desk, refused)
        desk.mail()
    desk.deliver()
    desk.edit(held, invoice_number="")
    desk.read()
    desk.judge()
    _accept(desk, paid, in_part, posted, exported, lost, waits, failed)
    _take_number(desk, failed)
    _export(desk, paid, in_part, posted, exported, failed)
    _die(desk, lambda: any(row["origin_data"] for row in desk.requisitions().values()), desk.deliver)
    _reject(desk, late)  # while the mail server is away
    desk.fault("spectrum", "POST /vendor/invoice", "reset_before")
    _export(desk, lost)
    desk.post([paid, in_part, posted])
    desk.cut_check([paid])
    desk.cut_check([in_part], amount="100.00")
    desk.pay()
    desk.cut_check([in_part], amount="50.00")
    desk.fault("procore", "POST .*contract_payments", "reset_before")
    desk.pay()
    desk.cut_check([posted], amount="30.00")
    _die(desk, lambda: len(desk.payments_issued()) == 3, desk.pay)
    desk.cut_check([posted], amount="20.00")
    collection.collect(desk.ledger, desk.erp, desk.office)


def _reject(desk: Desk, invoice_id: int) -> None:
    item = desk.item(invoice_id)
    offered = desk.offer(item.project_id)
    assert offered
    desk.decide(offered, accept=[], reject=[(item.number, "wrong period")])


def _accept(desk: Desk, *invoice_ids: int) -> None:
    numbers = [desk.item(invoice_id).number for invoice_id in invoice_ids]
    offered = desk.offer(desk.item(invoice_ids[0]).project_id)
    assert offered
    desk.decide(offered, accept=numbers)


def _take_number(desk: Desk, invoice_id: int) -> None:
    """A clerk types in an invoice that has the number of ours."""
    desk.enter({**desk.payload(invoice_id), "Remarks": "typed by hand", "Retention_Amount": "0.00"})


def _export(desk: Desk, *invoice_ids: int) -> None:
    chunk.export_chunk(desk.ledger, desk.erp, desk.basis, desk.office, invoice_ids)


def _die(desk: Desk, is_time: Callable[[], bool], work: Callable[[], object]) -> None:
    """Let a worker die at the first look at the clock when it is time."""

    def die() -> None:
        raise Killed

    clock = desk.clock
    desk.clock = StoppingClock(clock, is_time, die)
    with suppress(Killed):
        work()
    desk.clock = clock


def take_up(release: str, system: str, database: Path) -> None:
    """Make an SQLite file of what the ledger, or a stand-in, held when a release was left."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(gzip.decompress(_kept(release, system).read_bytes()).decode())


def keep(release: str, system: str, database: Path) -> None:
    """Keep what an SQLite file holds."""
    with closing(sqlite3.connect(database)) as connection:
        statements = "\n".join(connection.iterdump())
    _kept(release, system).write_bytes(gzip.compress(statements.encode(), mtime=0))


def _kept(release: str, system: str) -> Path:
    return FOLDER / release / f"{system}.sql.gz"


def _keep_this_release() -> None:
    with (
        TemporaryDirectory() as name,
        standing_in() as procore,
        standing_in() as spectrum,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder, ledgers = Path(name), SQLite(Path(name))
        ledger = ledgers.new_ledger()
        desk = a_desk(folder, SettableClock(), contractor(), StandIns(procore, spectrum), patch, ledgers, ledger)
        play(desk)
        with desk.ledger.reading() as connection:
            release = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
        desk.close()
        _kept(release, "ledger").parent.mkdir(parents=True)  # what is there is never made anew
        keep(release, "ledger", Path(make_url(ledger).database or ""))
        for system in STAND_INS:
            keep(release, system, folder / f"{system}.sqlite")


if __name__ == "__main__":
    _keep_this_release()
