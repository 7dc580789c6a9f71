"""The ledger's database fails for real in mid-run: a clear error, nothing lost or doubled, and work goes on afterwards.

What was lost or doubled is counted in the stand-ins, never in our ledger.
"""

import os
import re
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from desk import Desk
from sqlalchemy import event
from sqlalchemy.engine import make_url

from benchmarks.postgresql import CRASH, PostgreSQL
from tieout import settings
from tieout.errors import TieoutError
from tieout.export import chunk

Work = Callable[[], Any]
# Does the work while the database fails from its statement of this number on; returns in which words the work failed.
Trouble = Callable[[Desk, int, Work], str]


def words_of(work: Work) -> str:
    """Do the work; return in which words it failed, nothing when it did not."""
    try:
        work()
    except TieoutError as error:
        return str(error)
    return ""


@contextmanager
def at_statement(desk: Desk, number: int, happen: Work, like: str = "") -> Iterator[None]:
    """Have something happen just before the ledger's database is handed its statement of that number."""
    statements = count(1)

    def look(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(like) and next(statements) == number:
            happen()

    where = desk.ledger.engine, "before_cursor_execute", look
    event.listen(*where)
    yield
    event.remove(*where)


def disk_full(desk: Desk, number: int, work: Work) -> str:
    """No file grows or changes any more; in a process of its own, for the stand-ins have disk enough."""
    desk.close()  # what is open does not survive a fork
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            with at_statement(desk, number, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))):
                os.write(writer, f"{words_of(work)}\n".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        words = answer.read()
    os.waitpid(child, 0)
    assert words.endswith("\n"), "it failed in another way than with an error of ours"
    return words.strip()


def locked(desk: Desk, number: int, work: Work) -> str:
    """Somebody else's program keeps the lock for longer than we wait."""
    holder = sqlite3.connect(make_url(settings.read().ledger_url).database or "", isolation_level=None)
    desk.close()
    event.listen(desk.ledger.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=20"))
    with at_statement(desk, number, lambda: holder.execute("BEGIN IMMEDIATE"), like="BEGIN IMMEDIATE"):
        words = words_of(work)
    assert bool(words) == holder.in_transaction
    holder.close()
    desk.close()
    return words


def server_stopped(desk: Desk, number: int, work: Work) -> str:
    """The server dies, and somebody starts it again."""
    assert isinstance(desk.ledgers, PostgreSQL)
    server = desk.ledgers
    with at_statement(desk, number, lambda: server.stop(CRASH)):
        words = words_of(work)
    assert bool(words) != server.is_running
    if not server.is_running:
        server.start()
    return words


TROUBLES = pytest.mark.parametrize(
    ("database", "trouble", "step"),
    [("sqlite", disk_full, 7), ("sqlite", locked, 1), ("postgresql", server_stopped, 7)],
    ids=["disk full", "locked", "server stopped"],
)


def is_plain(words: str) -> bool:
    """Whether they say what is wrong, and show neither SQL nor secrets nor our insides."""
    said = words.removeprefix("[Ledger Error] Ledger could not be reached for its database: ")
    insides = "SELECT|INSERT|UPDATE|BEGIN|s3cret|tieout:|Error|psycopg|sqlite3|sqlalche|Traceback"
    return said != words and len(said) > 10 and not re.search(insides, said)


def go_on(desk: Desk) -> None:
    """Work on until all is settled; nothing fails any more."""
    for _ in range(3):
        desk.clock.advance(minutes=10)
        desk.settle()
        desk.export()
        desk.pay()


@TROUBLES
@pytest.mark.sandbox(invoices=6, after="night")
def test_whenever_it_fails_while_invoices_are_sent_each_arrives_once(desk: Desk, trouble: Trouble, step: int):
    desk.night()
    accepted = desk.accept()
    said = []
    for number, invoice_id in zip(count(1, step), accepted, strict=False):

        def send_one(invoice_id: int = invoice_id) -> None:
            chunk.export_chunk(desk.ledger, desk.erp, desk.basis, desk.office, [invoice_id])

        said.append(trouble(desk, number, send_one))
        if not said[-1]:  # it had no statement of that number
            break
    go_on(desk)

    assert len(said) > 4
    assert [is_plain(words) for words in said] == [True] * (len(said) - 1) + [False]
    assert set(desk.exported()) == set(accepted)
    assert set(desk.states().values()) == {"EXPORTED"}
    assert desk.audit() == []


@TROUBLES
@pytest.mark.sandbox(invoices=6, after="export")
def test_whenever_it_fails_while_payments_are_written_each_is_written_once(desk: Desk, trouble: Trouble, step: int):
    accepted = desk.export_everything()
    desk.post()
    for invoice_id in accepted:
        desk.cut_check([invoice_id], amount="100.00")
    said = [""]
    for number in count(1, step):
        said.append(trouble(desk, number, desk.pay))
        if not said[-1]:
            break
        desk.clock.advance(minutes=10)
    go_on(desk)

    assert len(said) > 4
    assert [is_plain(words) for words in said] == [False] + [True] * (len(said) - 2) + [False]
    assert sorted((row["requisition_id"], row["amount"]) for row in desk.payments_issued()) == [
        (invoice_id, "100.00") for invoice_id in sorted(accepted)
    ]
    assert set(desk.states().values()) == {"PART_PAID"}
    assert desk.audit() == []


@pytest.mark.parametrize("database", ["postgresql"])
def test_a_server_that_was_started_again_between_two_steps_is_not_noticed(desk: Desk, ledgers: PostgreSQL):
    desk.night()
    ledgers.stop(CRASH)
    ledgers.start()
    accepted = desk.accept()
    desk.night()

    assert set(desk.exported()) == set(accepted)


@pytest.mark.sandbox(after="night")
def test_a_ledger_that_may_only_be_read_is_read_and_sends_nothing(desk: Desk):
    desk.night()
    accepted = desk.accept()
    url = settings.read().ledger_url
    desk.set("ledger", url=f"sqlite:///file:{make_url(url).database}?mode=ro&uri=true")

    assert (set(desk.states()), desk.audit()) == (set(accepted), [])
    for words in (words_of(desk.night), words_of(desk.export)):
        assert "attempt to write a readonly database" in words
        assert is_plain(words)
    assert desk.exported() == {}
    desk.set("ledger", url=url)
    go_on(desk)
    assert set(desk.exported()) == set(accepted)


def test_no_word_is_said_of_the_password(desk: Desk):
    desk.set("ledger", url="postgresql+psycopg://tieout:s3cret@127.0.0.1:1/ledger")

    assert is_plain(words_of(desk.items))
