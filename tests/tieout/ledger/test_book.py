"""The laws of the ledger: what happened is never changed, what may follow what, who holds a claim, what is money.

Whatever needs a ledger here runs on SQLite and on PostgreSQL.
"""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, WEDNESDAY, Desk
from hypothesis import given
from hypothesis import strategies as st
from ledgers import DATABASES, Ledgers, unguarded
from pydantic import ValidationError
from sqlalchemy import insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from benchmarks.postgresql import PostgreSQL
from data_contracts.money import from_minor, parse_amount, to_minor
from data_contracts.reference import Finding
from data_contracts.voucher import ErpInvoice, Voucher, VoucherLine
from tieout.errors import SettingsError
from tieout.ledger import audit, history, judgements, schema, sightings, states, turns, watermarks
from tieout.ledger.book import Ledger, LostRaceError
from tieout.ledger.claims import claim, free, still_ours
from tieout.ledger.database import upgrade
from tieout.ledger.digests import canonical
from tieout.ledger.intents import close_intent, live_intents, open_intent
from tieout.ledger.items import Item
from tieout.ledger.judgements import Judgement
from tieout.ledger.letters import owed
from tieout.ledger.version import require_current

HASH = "a" * 64


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as ledger:
        yield ledger


def facts(invoice_id: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "company_id": 9,
        "invoice_id": invoice_id,
        "project_id": 5,
        "commitment_id": 7,
        "erp": "spectrum",
        "company_erp": "ACM",
        "revision": 1,
        "snapshot_id": 1,
        "content_hash": HASH,
        "number": f"INV-{invoice_id}",
        "judged_by": "terms",
        **changes,
    }


def enter(ledger: Ledger, *invoice_ids: int, state: str = states.READY) -> list[Item]:
    with ledger.transaction(WEDNESDAY, "test") as tx:
        return [tx.open_item(facts(each), state, {}, states.SENT) for each in invoice_ids]


def move(ledger: Ledger, item: Item, kind: str, state: str, **changes: Any) -> Item:
    with ledger.transaction(WEDNESDAY, "test") as tx:
        return tx.move(item, kind, state, {}, **changes)


def accepted(ledger: Ledger, invoice_id: int = 1) -> Item:
    return move(ledger, enter(ledger, invoice_id)[0], states.ACCEPT, states.ACCEPTED)


def a_voucher(key: str = "K1", **changes: Any) -> Voucher:
    line = VoucherLine(line_id_procore=1, job="J", phase="P", cost_type="S", amount=Decimal("10.00"))
    fields: dict[str, Any] = {
        "key": key,
        "company_erp": "ACM",
        "vendor_erp": "V",
        "contract_erp": "C",
        "invoice_number": "INV-1",
        "invoice_on": WEDNESDAY.date(),
        "accounting_on": WEDNESDAY.date(),
        "batch_code": "20260307",
        "currency": "USD",
        "gross": Decimal("10.00"),
        "retention": Decimal("1.00"),
        "lines": (line,),
    }
    return Voucher(**fields | changes)


# Law 1: what happened is never changed.


APPEND_ONLY = ["event", "seal", "snapshot", "rules", "judgement", "judged", "finding"]


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}"])
def test_rows_of_what_happened_are_neither_changed_nor_removed(ledger: Ledger, table: str, statement: str):
    enter(ledger, 1)
    with ledger.transaction(WEDNESDAY, "test") as tx:
        seen = {"company_id": 9, "project_id": 5, "invoice_id": 1, "content_hash": HASH, "body": "{}"}
        snapshot_id = sightings.store_snapshot(tx, seen)
        judgements.note_rules(tx, "1", {"number-missing": "hold"})
        blank = Finding(rule="number-missing", severity="hold", message="", remedy="", owner="")
        judgements.keep(tx, date(2026, 3, 4), "1", 1, [Judgement(9, 1, snapshot_id, [blank])])
    sql = statement.format(table=table, column=schema.metadata.tables[table].columns.keys()[0])
    with pytest.raises(DBAPIError, match="never changed or removed"), ledger.engine.begin() as connection:
        connection.execute(text(sql))


@pytest.mark.parametrize("database", ["postgresql"])
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_happened_is_not_emptied_at_a_stroke_either(ledger: Ledger, table: str):
    with pytest.raises(DBAPIError, match="never changed or removed"), ledger.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {table}"))


def tampered(url: str, *statements: str) -> list[str]:
    """Change the database behind the triggers' back, as somebody with its password could; return what is found."""
    with unguarded(url) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    with Ledger(url) as ledger:
        return audit.verify(ledger)


@pytest.fixture
def storied(ledger: Ledger, ledger_url: str) -> str:
    """A ledger in which three invoices went different ways, in several commits."""
    one, two, _ = enter(ledger, 1, 2, 3)
    with ledger.transaction(WEDNESDAY, "Dana Reyes") as tx:
        one = tx.move(one, states.ACCEPT, states.ACCEPTED, {"run": "r1"})
        tx.move(two, states.REJECT, states.REJECTED, {"reason": "wrong period"})
    move(ledger, one, states.CLAIM, states.EXPORTING)
    assert audit.verify(ledger) == []
    return ledger_url


@pytest.mark.parametrize(
    ("what", "statements"),
    [
        ("a changed reason", ['UPDATE event SET facts = \'{"reason":"other"}\' WHERE event_id = 5']),
        ("a changed actor", ["UPDATE event SET actor = 'Sam' WHERE event_id = 4"]),
        ("a changed moment", ["UPDATE event SET at = '2026-03-04T17:00:01.000000Z' WHERE event_id = 1"]),
        ("a changed hash", ["UPDATE event SET hash = 'f' WHERE event_id = 5"]),
        ("a removed event", ["DELETE FROM event WHERE event_id = 4"]),
        ("a removed last event", ["DELETE FROM event WHERE event_id = 6"]),
        (
            "a removed last event with its seal",
            ["DELETE FROM event WHERE event_id = 6", "DELETE FROM seal WHERE seal_id = 3"],
        ),
        (
            "two events in another order",
            [
                "UPDATE event SET event_id = 100 WHERE event_id = 1",
                "UPDATE event SET event_id = 1 WHERE event_id = 2",
                "UPDATE event SET event_id = 2 WHERE event_id = 100",
            ],
        ),
        (
            "an inserted event",
            [
                "INSERT INTO event SELECT 50, 3, 2, at, actor, 'accepted', 'READY', 'ACCEPTED', "
                "facts, changes, hash, 'forged' FROM event WHERE event_id = 3"
            ],
        ),
        ("a removed seal", ["DELETE FROM seal WHERE seal_id = 2"]),
        ("a changed seal", ["UPDATE seal SET digest = 'f' WHERE seal_id = 2"]),
        ("a state without an event", ["UPDATE item SET state = 'EXPORTED' WHERE item_id = 3"]),
        ("a figure that no event tells", ["UPDATE item SET released_minor = 5 WHERE item_id = 3"]),
        ("a content that nobody sent", ["UPDATE item SET content_hash = 'b' WHERE item_id = 3"]),
        ("a removed item", ["DELETE FROM item WHERE item_id = 3"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_audit_finds(storied: str, what: str, statements: list[str]):
    assert tampered(storied, *statements) != []


def test_the_audit_says_where(storied: str):
    found = tampered(storied, "UPDATE event SET actor = 'Sam' WHERE event_id = 4")

    assert found == ["event 4 (item 1, position 2) was changed"]


def test_a_commit_that_moves_nothing_leaves_no_seal(ledger: Ledger):
    with ledger.transaction(WEDNESDAY, "test"):
        pass
    with ledger.reading() as connection:
        assert connection.execute(select(schema.seal)).all() == []


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger):
    with pytest.raises(RuntimeError), ledger.transaction(WEDNESDAY, "test") as tx:
        tx.open_item(facts(), states.READY, {}, states.SENT)
        raise RuntimeError("the worker died here")

    assert ledger.items() == []
    assert audit.verify(ledger) == []


# The transition table, which is proved as a whole in test_model.py.


def test_what_may_not_follow_is_refused_and_leaves_nothing(ledger: Ledger):
    [item] = enter(ledger, 1)
    with pytest.raises(ValueError, match="claimed may not take an item from READY to EXPORTING"):
        move(ledger, item, states.CLAIM, states.EXPORTING)
    with pytest.raises(ValueError, match="no item begins as ACCEPTED"):
        enter(ledger, 2, state=states.ACCEPTED)

    assert [each.state for each in ledger.items()] == ["READY"]


def test_of_two_that_move_an_item_the_second_is_told_how_it_stands(ledger: Ledger):
    [item] = enter(ledger, 1)
    move(ledger, item, states.ACCEPT, states.ACCEPTED)
    with pytest.raises(LostRaceError, match="INV-1: it is ACCEPTED now"):
        move(ledger, item, states.REJECT, states.REJECTED)

    assert ledger.items()[0].state == "ACCEPTED"
    assert audit.verify(ledger) == []


def test_an_item_is_entered_once_whatever_the_erp_company(ledger: Ledger):
    enter(ledger, 1)
    with pytest.raises(IntegrityError), ledger.transaction(WEDNESDAY, "test") as tx:
        tx.open_item(facts(1, company_erp="OTHER"), states.READY, {}, states.SENT)


def test_a_state_that_nobody_knows_is_refused_by_the_database(ledger: Ledger):
    with pytest.raises(IntegrityError), ledger.transaction(WEDNESDAY, "test") as tx:
        tx.connection.execute(
            insert(schema.item).values({**facts(), "state": "LOST", "version": 1, "changed_at": tx.now})
        )


# Laws 2 to 4: intents, the one live link, claims.


LEASE = timedelta(seconds=300)


def test_one_invoice_has_one_live_link_over_all_companies_and_revisions(ledger: Ledger):
    item = accepted(ledger)
    with ledger.transaction(WEDNESDAY, "test") as tx:
        item = open_intent(tx, item, a_voucher(), {}, LEASE).item
    item = move(ledger, item, states.RELEASE, states.ACCEPTED)
    with pytest.raises(IntegrityError), ledger.transaction(WEDNESDAY, "test") as tx:
        open_intent(tx, item, a_voucher("K2", company_erp="OTHER"), {}, LEASE)
    with ledger.transaction(WEDNESDAY, "test") as tx:
        close_intent(tx, item, "refused", "", is_live=False)
        open_intent(tx, item, a_voucher("K2"), {}, LEASE)

    with ledger.reading() as connection:
        assert [each.voucher.key for each in live_intents(connection, [item]).values()] == ["K2"]


def test_an_intent_keeps_the_voucher_to_the_cent(ledger: Ledger):
    item, voucher = accepted(ledger), a_voucher(gross=Decimal("999999999999.99"))
    with ledger.transaction(WEDNESDAY, "test") as tx:
        open_intent(tx, item, voucher, {"any": "payload"}, LEASE)
    with ledger.reading() as connection:
        assert live_intents(connection, [item])[item.item_id].voucher == voucher


def sight(ledger: Ledger, *invoice_ids: int, **changes: Any) -> None:
    with ledger.transaction(WEDNESDAY, "test") as tx:
        for each in invoice_ids:
            seen = {
                "company_id": 9, "invoice_id": each, "project_id": 5, "commitment_id": 7, "status": "approved",
                "updated_at": WEDNESDAY, "snapshot_id": 1, "content_hash": HASH, "number_key": "", "is_fresh": False,
                "is_gone": False,
            }  # fmt: skip
            sightings.store_sighting(tx, sightings.Sighting(**seen | changes))


def claimed(ledger: Ledger, limit: int = 50, only: list[int] | None = None, basis: str = "terms") -> list[int]:
    with ledger.transaction(WEDNESDAY, "test") as tx:
        return [claim(tx, each, LEASE, {}).invoice_id for each in free(tx, lambda _: {5: basis}, limit, only)]


def test_a_claim_takes_what_is_accepted_once_under_a_new_token(ledger: Ledger):
    for each in (1, 2, 3):
        accepted(ledger, each)
    enter(ledger, 4)
    sight(ledger, 1, 2, 3, 4)

    assert claimed(ledger, only=[3]) == [3]
    assert claimed(ledger, limit=1) == [1]
    assert claimed(ledger) == [2]
    assert claimed(ledger) == []
    [item] = ledger.items(invoice_id=1)
    assert (item.state, item.lease_token, item.lease_until) == ("EXPORTING", 1, WEDNESDAY + timedelta(seconds=300))


@pytest.mark.parametrize(
    "changes",
    [{"content_hash": "b" * 64}, {"status": "draft"}, {"is_gone": True}, {"status": "approved", "company_id": 8}],
)
def test_what_procore_does_not_show_as_it_was_accepted_is_not_claimed(ledger: Ledger, changes: dict[str, Any]):
    accepted(ledger)
    sight(ledger, 1, **changes)

    assert claimed(ledger) == []


def test_what_was_judged_by_other_terms_is_not_claimed(ledger: Ledger):
    accepted(ledger)
    sight(ledger, 1)

    assert claimed(ledger, basis="newer terms") == []


def test_what_was_judged_by_other_terms_stands_in_nobodys_way(ledger: Ledger):
    for each in (1, 2, 3):
        item = accepted(ledger, each)
        sight(ledger, each)
        if each < 3:
            with ledger.transaction(WEDNESDAY, "test") as tx:
                tx.note_basis(item, "older terms")

    assert claimed(ledger, limit=1) == [3]


def test_one_whose_claim_was_taken_over_may_not_send(ledger: Ledger):
    item = accepted(ledger)
    sight(ledger, 1)
    claimed(ledger)
    [ours] = ledger.items()
    free = move(ledger, ours, states.RELEASE, states.ACCEPTED)
    claimed(ledger)
    with ledger.transaction(WEDNESDAY, "sleeper") as tx:
        assert still_ours(tx, [ours]) == set()
    with ledger.transaction(WEDNESDAY, "owner") as tx:
        assert still_ours(tx, ledger.items()) == {item.item_id}

    assert free.item_id == item.item_id


def test_the_turn_of_a_job_is_one_holders_until_it_ends(ledger: Ledger):
    lease = timedelta(minutes=5)

    def take(holder: str, late: timedelta = timedelta()) -> str | None:
        with ledger.transaction(WEDNESDAY + late, "test") as tx:
            return turns.take_turn(tx, "payments", holder, lease)

    assert [take("a"), take("b"), take("a")] == [None, "a", None]
    assert take("b", timedelta(minutes=6)) is None
    with ledger.transaction(WEDNESDAY, "test") as tx:
        turns.end_turn(tx, "payments", "a")  # not ours any more
    assert take("a", timedelta(minutes=6)) == "b"


# Law 5: money.


@pytest.mark.parametrize(
    "value", [1.0, 0.1, float("nan"), 5, True, None, "", "1,000.00", "NaN", "Infinity", "1e30", "1.00001"]
)
def test_what_is_no_exact_amount_is_no_money(value: Any):
    with pytest.raises(ValidationError):
        a_voucher(gross=value)
    with pytest.raises(ValidationError):
        ErpInvoice.model_validate({"gross": value})


def test_a_float_is_refused_by_name():
    with pytest.raises(ValueError, match="money must come as text, not as float"):
        parse_amount(12.5)


@given(st.integers(-(10**14), 10**14), st.sampled_from(["USD", "JPY", "KWD"]))
def test_minor_units_and_amounts_are_the_same_money(units: int, currency: str):
    amount = from_minor(units, currency)

    assert isinstance(amount, Decimal)
    assert to_minor(amount, currency) == units


def test_a_part_of_the_smallest_unit_is_no_money():
    with pytest.raises(ValueError, match="fraction of the smallest unit"):
        to_minor(Decimal("1.005"), "USD")


@AFTER_A_NIGHT
def test_money_is_kept_in_whole_minor_units(desk: Desk, database: str):
    desk.night()
    kind, whole = {"sqlite": ("typeof", "integer"), "postgresql": ("pg_typeof", "bigint")}[database]
    columns = ", ".join(f"{kind}({name})" for name in ("gross_minor", "held_minor", "settled_minor"))
    with desk.ledger.reading() as connection:
        kinds = connection.execute(text(f"SELECT DISTINCT {columns} FROM item")).all()

    assert kinds == [(whole, whole, whole)]


# Laws 7 to 10.


def test_a_content_is_kept_once_and_as_it_came(ledger: Ledger):
    seen = {"company_id": 9, "project_id": 5, "invoice_id": 1, "content_hash": HASH, "body": '{"é": "🏗", "x": 1.10}'}
    with ledger.transaction(WEDNESDAY, "test") as tx:
        first = sightings.store_snapshot(tx, seen)
        again = sightings.store_snapshot(tx, seen | {"body": "{}"})
        other = sightings.store_snapshot(tx, seen | {"content_hash": "b" * 64})
    with ledger.reading() as connection:
        kept = sightings.bodies(connection, [first, other])

    assert first == again != other
    assert kept[first] == seen["body"]


def test_a_watermark_never_moves_back(ledger: Ledger):
    with ledger.transaction(WEDNESDAY, "test") as tx:
        watermarks.move_watermark(tx, "x", WEDNESDAY)
        watermarks.move_watermark(tx, "x", WEDNESDAY - timedelta(days=1))
    with ledger.reading() as connection:
        assert watermarks.watermark(connection, "x") == WEDNESDAY
        assert watermarks.watermark(connection, "y") is None


def test_a_letter_is_put_in_the_commit_of_its_decision_or_not_at_all(ledger: Ledger):
    [item] = enter(ledger, 1)
    with pytest.raises(RuntimeError), ledger.transaction(WEDNESDAY, "test") as tx:
        tx.put(tx.move(item, states.ACCEPT, states.ACCEPTED, {}), "lock", {"origin_id": "K", "origin_data": None})
        raise RuntimeError
    with ledger.reading() as connection:
        assert owed(connection) == []
    with ledger.transaction(WEDNESDAY, "test") as tx:
        tx.put(item, "lock", {"origin_id": "K", "origin_data": None})
        tx.put(item, "unlock", {"origin_id": None, "origin_data": None})
    with ledger.reading() as connection:
        assert [(len(each.row_ids), each.body.facts["origin_id"]) for each in owed(connection)] == [(2, None)]


def test_moments_have_a_zone_and_come_back_in_utc(ledger: Ledger):
    tokyo = timezone(timedelta(hours=9))
    with ledger.transaction(WEDNESDAY.astimezone(tokyo), "test") as tx:
        item = tx.open_item(facts(), states.READY, {}, states.SENT)
    with pytest.raises(ValueError, match="time zone"), ledger.transaction(WEDNESDAY, "test") as tx:
        watermarks.move_watermark(tx, "x", datetime(2026, 3, 4))  # noqa: DTZ001 - a moment without a zone is meant
    assert ledger.items()[0].changed_at == item.changed_at == WEDNESDAY
    assert ledger.items()[0].changed_at.tzinfo == UTC


@AFTER_AN_EXPORT
def test_states_can_be_told_from_the_events_alone(desk: Desk):
    desk.export_everything()
    desk.post()
    desk.pay()
    for item in desk.items():
        with desk.ledger.reading() as connection:
            happened = history.events(connection, item.item_id)
        assert [each.before for each in happened[1:]] == [each.after for each in happened[:-1]]
        assert (happened[0].before, happened[-1].after) == (None, item.state)
        assert len(happened) == item.version
    assert desk.audit() == []


def test_many_are_found_though_databases_take_few_variables(ledger: Ledger):
    with ledger.transaction(WEDNESDAY, "test") as tx:
        for each in range(1, 1202):
            tx.open_item(facts(each), states.READY, {}, states.SENT)
    wanted = list(range(1, 1202))

    assert [item.invoice_id for item in ledger.items(invoice_id=wanted, state=states.READY)] == wanted
    assert ledger.items(invoice_id=[], state=states.READY) == []
    assert audit.verify(ledger) == []


def test_one_reads_a_consistent_state_while_another_writes(ledger: Ledger, ledger_url: str):
    enter(ledger, 1)
    with Ledger(ledger_url) as other, other.reading() as connection:
        before = history.count_states(connection)
        enter(ledger, 2)
        assert history.count_states(connection) == before == {"READY": 1}


def test_equal_facts_have_one_text():
    assert canonical({"b": 1, "a": [Decimal("1.10"), WEDNESDAY]}) == canonical(
        {"a": [Decimal("1.10"), WEDNESDAY], "b": 1}
    )
    assert canonical({"name": "Ångström 🏗"}) == '{"name":"Ångström 🏗"}'
    half, whole = (canonical({"at": WEDNESDAY, "name": name}) for name in ("\ud83c", "🏗"))
    assert canonical({"why": ValueError("\ud83c")}) == '{"why":"\ud83c"}'
    assert half.replace("\ud83c", "🏗") == whole == '{"at":"2026-03-04T17:00:00Z","name":"🏗"}'


# Its tables.


def test_the_tables_are_those_of_the_schema(ledger: Ledger):
    there = inspect(ledger.engine)
    tables = schema.metadata.tables
    made = {name: {column["name"] for column in there.get_columns(name)} for name in there.get_table_names()}
    made.pop("alembic_version")
    indexes = {name: {str(index["name"]) for index in there.get_indexes(name)} for name in tables}
    unique = {name: {str(each["name"]) for each in there.get_unique_constraints(name)} for name in tables}

    assert made == {table.name: {column.name for column in table.columns} for table in tables.values()}
    for name, table in tables.items():
        assert indexes[name] - unique[name] == {index.name for index in table.indexes}


def test_the_database_itself_refuses_a_state_that_does_not_exist(ledger: Ledger):
    enter(ledger, 1)
    for state in states.ALL:
        with ledger.transaction(WEDNESDAY, "test") as tx:
            tx.connection.execute(update(schema.item).values(state=state))
    with pytest.raises(IntegrityError), ledger.transaction(WEDNESDAY, "test") as tx:
        tx.connection.execute(update(schema.item).values(state="SENT"))


@pytest.fixture
def new_database(database: str, tmp_path: Path, ledgers: Ledgers) -> Iterator[str]:
    """The URL of a database without tables; on SQLite not even its folder is there."""
    if database == "sqlite":
        yield f"sqlite:///{tmp_path}/deep/down/ledger.sqlite"
    else:
        assert isinstance(ledgers, PostgreSQL)
        url = ledgers.new_database()
        yield url
        ledgers.drop(url)


def test_a_ledger_is_upgraded_as_often_as_one_likes(new_database: str):
    url = new_database
    upgrade(url)
    with Ledger(url) as ledger:
        enter(ledger, 1)
    upgrade(url)
    with Ledger(url) as ledger:
        assert len(ledger.items()) == 1
    require_current(url)


def nowhere(folder: Path) -> str:
    return f"sqlite:///{folder}/none.sqlite"


def empty(folder: Path) -> str:
    sqlite3.connect(folder / "empty.sqlite").execute("CREATE TABLE other (x)").connection.close()
    return f"sqlite:///{folder}/empty.sqlite"


@pytest.mark.parametrize("make", [nowhere, empty, lambda folder: "nonsense://user:secret@host/x", lambda folder: "???"])
def test_a_ledger_that_cannot_be_opened_says_what_to_do_and_no_password(tmp_path: Path, make: Callable[[Path], str]):
    with pytest.raises(SettingsError) as refused:
        require_current(make(tmp_path))

    assert "ledger upgrade" in str(refused.value) or "TIEOUT_LEDGER__URL" in str(refused.value)
    assert "secret" not in str(refused.value)
