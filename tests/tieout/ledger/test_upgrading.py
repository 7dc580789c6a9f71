"""A ledger that an earlier release left is upgraded, and its next night ends what was begun, each thing once."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from desk import WEDNESDAY, Desk, SettableClock, a_desk
from ledgers import ON_BOTH_DATABASES, Ledgers
from old_ledgers import FOLDER, STAND_INS, contractor, take_up
from sqlalchemy import MetaData, create_engine, select, text
from stand_ins import StandIns

from benchmarks.post_office import a_post_office
from benchmarks.postgresql import PostgreSQL
from tieout import settings
from tieout.ledger import audit
from tieout.ledger.database import upgrade

RELEASES = pytest.mark.parametrize("release", sorted(each.name for each in FOLDER.iterdir()))
LEFT = "PAID PART_PAID PART_PAID EXPORTED UNCERTAIN ACCEPTED READY FAILED REJECTED REJECTED READY HELD"
ENTER, PAY, TELL = "POST /vendor/invoice", "POST /rest/v1.0/contract_payments", "PATCH /rest/v1.1/requisitions/{id}"


@pytest.fixture
def left(
    release: str, tmp_path: Path, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, ledgers: Ledgers
) -> Iterator[Desk]:
    """The office of that release, on the next day."""
    for system in ("ledger", *STAND_INS):
        take_up(release, system, tmp_path / f"{system}.sqlite")
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    if isinstance(ledgers, PostgreSQL):
        url = on_postgresql(ledgers, release, url)
    tomorrow = SettableClock(WEDNESDAY + timedelta(days=1))
    desk = a_desk(tmp_path, tomorrow, contractor(), stand_ins, monkeypatch, ledgers, url)
    yield desk
    desk.close()
    desk.control.close()
    ledgers.drop(url)


def on_postgresql(server: PostgreSQL, release: str, left: str) -> str:
    """Copy a ledger, row by row, into the tables that the release made on PostgreSQL."""
    url, tables = server.new_database(), MetaData()
    upgrade(url, release)
    source, target = create_engine(left), create_engine(url)
    tables.reflect(source)
    with source.connect() as old, target.begin() as new:
        for table in tables.tables.values():
            rows = [dict(row) for row in old.execute(select(table)).mappings()]
            if rows and table.name != "alembic_version":
                new.execute(table.insert(), rows)
        # What the database numbers by itself goes on from there.
        numbered = "SELECT table_name, column_name FROM information_schema.columns WHERE column_default LIKE 'nextval%'"
        for name, key in new.execute(text(numbered)).all():
            new.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', '{key}'), max({key})) FROM {name}"))
    source.dispose()
    target.dispose()
    return url


@RELEASES
@ON_BOTH_DATABASES
def test_the_next_night_ends_what_a_release_had_begun_each_once(left: Desk):
    upgrade(settings.read().ledger_url)
    assert (audit.verify(left.ledger), audit.rebuild(left.ledger)) == ([], (12, []))
    assert [item.state for item in left.items()] == LEFT.split()
    paid, in_part, posted, exported, lost, waited, _, failed, refused, late, _, held = left.states()
    told_before, issued_before = origins(left), len(left.payments_issued())
    with a_post_office() as office:
        left.set("mail", **office.settings)
        left.night()
        left.mail()
        left.night()
        left.mail()

    entered = [paid, in_part, posted, exported, lost, waited]
    assert sorted(left.exported()) == entered
    assert Counter((row["requisition_id"], row["amount"]) for row in left.payments_issued()) == {
        (paid, "23270.25"): 1, (in_part, "100.00"): 1, (in_part, "50.00"): 1, (posted, "30.00"): 1, (posted, "20.00"): 1
    }  # fmt: skip
    told = origins(left)
    assert [each for each, (_, data) in told.items() if data] == entered
    assert [each for each, (key, _) in told.items() if not key] == [failed, refused, late, held]
    assert [mail["Subject"] for mail in office.taken] == ["tieout: Rejected: invoice PA 6112 of Riverside Tower"]
    asked = left.requests("procore") | left.requests("spectrum")
    assert asked[ENTER] == 1
    assert asked[PAY] == len(left.payments_issued()) - issued_before
    assert asked[TELL] == sum(told[each] != told_before[each] for each in told)
    assert left.audit() == []


def origins(desk: Desk) -> dict[int, tuple[str | None, str | None]]:
    """What Procore was told of each invoice."""
    return {each: (row["origin_id"], row["origin_data"]) for each, row in desk.requisitions().items()}


@RELEASES
def test_the_migrations_of_a_release_make_the_tables_that_they_made_then(release: str, tmp_path: Path):
    then, now = tmp_path / "then.sqlite", tmp_path / "now.sqlite"
    take_up(release, "ledger", then)
    upgrade(f"sqlite:///{now}", release)

    assert tables(now) == tables(then)


def tables(ledger: Path) -> dict[str, str]:
    """How each table, index and trigger was made, by name."""
    with closing(sqlite3.connect(ledger)) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
