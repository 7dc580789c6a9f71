"""One-time codes: each counts once, wrong ones lock, a new phone makes the old one worthless, no secret is kept."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Barrier
from typing import Any

import pyotp
import pytest
from builders import an_office
from desk import AFTER_A_NIGHT, APPROVER, PEOPLE, SENDER, Desk, SettableClock
from ledgers import ON_BOTH_DATABASES
from sqlalchemy import create_engine, inspect, text

from data_contracts.forms import ALL
from tieout.decisions import review
from tieout.decisions.answers import Answer
from tieout.decisions.reject import Rejected
from tieout.decisions.reject import reject as reject_invoices
from tieout.decisions.retrieve import retrieve as retrieve_invoices
from tieout.decisions.send import send as send_invoices
from tieout.errors import RefusedError, SettingsError
from tieout.ledger.book import Ledger
from tieout.office import Office
from tieout.people import codes
from tieout.people.rights import APPROVER as ACCOUNTING_APPROVER
from tieout.people.rights import Signature, objections
from tieout.views.inquiry import timeline

KEY = "a key of the company that is long enough"
STEP = timedelta(seconds=30)
USED = ["this code was used already; wait until your app shows the next one"]


@dataclass
class Desktop:
    """A ledger in which people sign, and their phones."""

    ledger: Ledger
    clock: SettableClock = field(default_factory=SettableClock)

    @property
    def office(self) -> Office:
        return an_office(self.clock)

    def enrol(self, name: str = APPROVER) -> pyotp.TOTP:
        """Set up a phone; return it a minute later, when what it shows is not what it showed then."""
        issued = codes.issue(self.ledger, name, self.office)
        phone = scanned(issued.uri)
        assert codes.confirm(self.ledger, issued, phone.at(self.clock()), self.office)
        self.clock.advance(minutes=1)
        return phone

    def sign(self, code: str, name: str = APPROVER, seconds_ago: float = 0) -> list[str]:
        """Sign something; return what speaks against it."""
        who = Signature(name, code, self.clock() - timedelta(seconds=seconds_ago))
        with self.ledger.transaction(self.clock(), name) as tx:
            return objections(tx, self.office.settings, who, ACCOUNTING_APPROVER)

    def sign_wrongly(self, times: int, phone: pyotp.TOTP) -> list[str]:
        for _ in range(times):
            words = self.sign(wrong_code(phone, self.clock))
        return words


def scanned(uri: str) -> pyotp.TOTP:
    phone = pyotp.parse_uri(uri)
    assert isinstance(phone, pyotp.TOTP)
    return phone


def wrong_code(phone: pyotp.TOTP, clock: SettableClock) -> str:
    """Return a code that the phone shows neither now nor shortly before or after."""
    near = {phone.at(clock() + step * STEP) for step in range(-3, 4)}
    return next(code for code in map(str, range(100000, 100010)) if code not in near)


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_APPROVAL__PROOF", "totp")
    monkeypatch.setenv("TIEOUT_APPROVAL__KEY", KEY)
    monkeypatch.setenv("TIEOUT_PEOPLE", json.dumps(PEOPLE))


@pytest.fixture
def desktop(signing: None, ledger_url: str) -> Iterator[Desktop]:
    with Ledger(ledger_url) as ledger:
        yield Desktop(ledger)


@ON_BOTH_DATABASES
def test_a_code_counts_once(desktop: Desktop):
    phone = desktop.enrol()
    code = phone.at(desktop.clock())

    assert desktop.sign(f" {code[:3]} {code[3:]} ") == []
    for _ in range(7):  # whoever repeats it does not guess: nobody is locked
        assert desktop.sign(code) == USED
    desktop.clock.advance(seconds=30)
    assert desktop.sign(phone.at(desktop.clock())) == []


def test_the_code_that_set_a_phone_up_signs_nothing(desktop: Desktop):
    phone = desktop.enrol()
    desktop.clock.advance(minutes=-1)

    assert desktop.sign(phone.at(desktop.clock())) == USED


@pytest.mark.parametrize(("steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_phones_clock_may_be_off_by_one_step_either_way(desktop: Desktop, steps: int, counts: bool):
    phone = desktop.enrol()
    desktop.clock.advance(minutes=5)
    words = desktop.sign(phone.at(desktop.clock() + steps * STEP))

    assert words == ([] if counts else [f"the code is wrong; 4 more wrong ones and {APPROVER} is locked"])


def test_no_code_counts_that_is_older_than_one_that_did(desktop: Desktop):
    phone = desktop.enrol()

    assert desktop.sign(phone.at(desktop.clock() + STEP)) == []
    assert desktop.sign(phone.at(desktop.clock())) == USED


@ON_BOTH_DATABASES
def test_five_wrong_codes_in_a_row_lock_for_a_quarter_of_an_hour(desktop: Desktop):
    phone = desktop.enrol()

    assert desktop.sign_wrongly(4, phone) == [f"the code is wrong; 1 more wrong one and {APPROVER} is locked"]
    locked = f"{APPROVER} is locked until 12:16 (EST) for 5 wrong codes in a row"
    assert desktop.sign_wrongly(1, phone) == [f"the code is wrong, and {locked}"]
    assert desktop.sign(phone.at(desktop.clock())) == [f"{locked}; tieout did not check this code"]
    desktop.clock.advance(minutes=14, seconds=59)
    assert desktop.sign(phone.at(desktop.clock())) != []
    desktop.clock.advance(seconds=1)
    assert desktop.sign_wrongly(4, phone) != []
    assert desktop.sign(phone.at(desktop.clock())) == []


def test_a_right_code_forgets_the_wrong_ones_before_it(desktop: Desktop):
    phone = desktop.enrol()
    for _ in range(3):
        desktop.sign_wrongly(4, phone)
        assert desktop.sign(phone.at(desktop.clock())) == []
        desktop.clock.advance(minutes=1)


def test_one_who_is_locked_locks_nobody_else(desktop: Desktop, monkeypatch: pytest.MonkeyPatch):
    both = [PEOPLE[0], {**PEOPLE[0], "name": SENDER}]
    monkeypatch.setenv("TIEOUT_PEOPLE", json.dumps(both))
    phone, other = desktop.enrol(), desktop.enrol(SENDER)
    desktop.sign_wrongly(5, phone)

    assert desktop.sign(other.at(desktop.clock()), SENDER) == []


def test_a_lock_that_a_clock_set_which_was_ahead_holds_nobody_up(desktop: Desktop):
    phone = desktop.enrol()
    desktop.clock.advance(days=300)
    desktop.sign_wrongly(5, phone)
    desktop.clock.advance(days=-300)

    assert desktop.sign(phone.at(desktop.clock())) == []


def test_another_persons_code_is_wrong(desktop: Desktop):
    desktop.enrol()
    other = desktop.enrol(SENDER)

    assert desktop.sign(other.at(desktop.clock()))[0].startswith("the code is wrong")


@ON_BOTH_DATABASES
def test_a_new_phone_makes_the_old_one_worthless_once_it_has_shown_a_code(desktop: Desktop):
    old = desktop.enrol()
    issued = codes.issue(desktop.ledger, APPROVER, desktop.office)
    new = scanned(issued.uri)
    assert not codes.confirm(desktop.ledger, issued, wrong_code(new, desktop.clock), desktop.office)
    assert desktop.sign(old.at(desktop.clock())) == []  # nothing was confirmed yet

    assert codes.confirm(desktop.ledger, issued, new.at(desktop.clock()), desktop.office)
    desktop.clock.advance(minutes=1)
    assert desktop.sign(old.at(desktop.clock()))[0].startswith("the code is wrong")
    assert desktop.sign(new.at(desktop.clock())) == []


def test_a_locked_person_with_a_new_phone_may_sign_again(desktop: Desktop):
    desktop.sign_wrongly(5, desktop.enrol())
    phone = desktop.enrol()

    assert desktop.sign(phone.at(desktop.clock())) == []


def test_a_secret_that_was_shown_and_not_confirmed_is_never_shown_again(desktop: Desktop):
    first, second = (codes.issue(desktop.ledger, APPROVER, desktop.office) for _ in range(2))

    assert scanned(first.uri).secret != scanned(second.uri).secret
    with pytest.raises(RefusedError, match="another one was begun after it"):
        codes.confirm(desktop.ledger, first, scanned(first.uri).at(desktop.clock()), desktop.office)


def test_another_key_makes_every_phone_worthless(desktop: Desktop, monkeypatch: pytest.MonkeyPatch):
    phone = desktop.enrol()
    monkeypatch.setenv("TIEOUT_APPROVAL__KEY", KEY[::-1])

    assert desktop.sign(phone.at(desktop.clock()))[0].startswith("the code is wrong")


def test_a_code_is_judged_as_of_the_moment_it_was_handed_in(desktop: Desktop):
    phone = desktop.enrol()
    code, later = phone.at(desktop.clock()), phone.at(desktop.clock() + STEP)
    desktop.clock.advance(minutes=50)  # the run waited for a worker

    assert desktop.sign(code, seconds_ago=50 * 60) == []
    desktop.clock.advance(minutes=20)
    for _ in range(6):
        assert desktop.sign(later, seconds_ago=70 * 60) == [
            "the code was typed too long ago; start again with a new one"
        ]


def test_whoever_types_no_code_or_has_no_phone_is_told_what_to_do(desktop: Desktop):
    assert "`tieout people enrol`" in desktop.sign("123456")[0]
    desktop.enrol()
    for _ in range(6):
        assert desktop.sign("  ") == ["the six digits of your authenticator app are needed as the code"]


@pytest.mark.parametrize("code", ["１２３４５６", "\ud800", "12345678", "x" * 10_000, "0", "-1"])
def test_nonsense_is_a_wrong_code(desktop: Desktop, code: str):
    desktop.enrol()

    assert desktop.sign(code)[0].startswith("the code is wrong")


@pytest.mark.parametrize(("key", "problem"), [("", "is not set"), ("x" * 31, "is shorter than 32 bytes")])
def test_without_a_good_key_nobody_signs_and_nothing_is_issued(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch, key: str, problem: str
):
    phone = desktop.enrol()
    monkeypatch.setenv("TIEOUT_APPROVAL__KEY", key)

    assert f"TIEOUT_APPROVAL__KEY {problem}" in desktop.sign(phone.at(desktop.clock()))[0]
    with pytest.raises(SettingsError, match=problem):
        codes.issue(desktop.ledger, APPROVER, desktop.office)


def test_a_code_without_the_right_is_not_looked_at(desktop: Desktop):
    phone = desktop.enrol(SENDER)

    assert "are missing" in desktop.sign(phone.at(desktop.clock()), SENDER)[0]
    assert desktop.sign_wrongly(6, phone) != []
    assert "`tieout people enrol`" in desktop.sign("123456")[0]


@ON_BOTH_DATABASES
def test_of_two_at_once_with_the_same_code_one_wins(desktop: Desktop):
    phone = desktop.enrol()
    for _ in range(5):
        code, start = phone.at(desktop.clock()), Barrier(4)

        def sign(_: int, code: str = code, start: Barrier = start) -> list[str]:
            start.wait()
            return desktop.sign(code)

        with ThreadPoolExecutor(4) as people:
            words = list(people.map(sign, range(4)))
        assert sorted(words) == [[], USED, USED, USED]
        desktop.clock.advance(seconds=30)


@ON_BOTH_DATABASES
@AFTER_A_NIGHT
def test_a_decision_takes_a_code_and_a_wrong_one_is_counted_though_nothing_is_recorded(desk: Desk):
    desk.set("approval", proof="totp", key=KEY)
    desktop = Desktop(desk.ledger, desk.clock)
    phone = desktop.enrol()
    offered = desk.offer(min(item.project_id for item in desk.items()))
    assert offered

    def decide(code: str, reject: str) -> review.Decided:
        answer = [(offered.rows[0].number, reject)]
        return review.decide(desk.ledger, offered.run_id, Signature(APPROVER, code), ALL, answer, desk.office)

    wrong = wrong_code(phone, desk.clock)
    told = [decide(wrong, " ").problems for _ in range(2)]
    assert [each[0].partition(" more")[0] for each in told] == ["the code is wrong; 4", "the code is wrong; 3"]
    assert [len(each) for each in told] == [2, 2]  # the reason is asked for together with the code
    assert {item.state for item in desk.items()} == {"READY"}

    spent = phone.at(desk.clock())
    assert decide(spent, " ").problems == (f"a reason is needed for rejecting {offered.rows[0].number}",)
    assert decide(spent, "wrong period").problems == tuple(USED)  # it stands in Prefect's database by now
    desk.clock.advance(seconds=30)
    decided = decide(phone.at(desk.clock()), "wrong period")
    assert (len(decided.accepted), len(decided.rejected)) == (len(offered.rows) - 1, 1)
    assert decide(wrong, "again") == decided  # an answer given twice asks for no code

    for row in offered.rows:
        event = timeline(desk.ledger, desk.item(row.invoice_id))[-1]
        assert (event.actor, event.facts["right"], event.facts["proof"]) == (APPROVER, "accounting approver", "totp")
    secrets = [KEY, phone.secret, spent, wrong, phone.at(desk.clock())]
    assert found_in_ledger(desk.ledger.engine.url.render_as_string(hide_password=False), secrets) == []
    assert desk.audit() == []


@ON_BOTH_DATABASES
@AFTER_A_NIGHT
def test_a_step_that_is_tried_again_records_the_same_decision_by_the_same_code_and_no_other_one(desk: Desk):
    desk.set("approval", proof="totp", key=KEY)
    desktop = Desktop(desk.ledger, desk.clock)
    [project_id] = {item.project_id for item in desk.items()}
    phone, other = desktop.enrol(), desktop.enrol(SENDER)
    typed = other.at(desk.clock()), phone.at(desk.clock())

    def retrieve(decision: str) -> list[Answer]:
        by = Signature(SENDER, typed[0], decision=decision)
        return retrieve_invoices(desk.ledger, project_id, None, by, "run-1", desk.office)

    def reject(decision: str) -> Rejected:
        by = Signature(APPROVER, typed[1], decision=decision)
        return reject_invoices(desk.ledger, desk.erp, project_id, None, by, "billed twice", "run-2", desk.office)

    def send() -> list[Answer]:
        by = Signature(SENDER, other.at(desk.clock()), decision="run-3 1")
        return send_invoices(desk.ledger, desk.basis, project_id, None, by, desk.office)

    # Nobody got the answer to the commit, so the step is tried again.
    retrieved, again = retrieve("run-1 1"), retrieve("run-1 1")
    assert retrieved == again != []
    desk.clock.advance(seconds=30)
    assert [each.is_done for each in send()] == [True] * len(retrieved)
    assert send() == []  # all were sent
    rejected, again_rejected = reject("run-2 1").answers, reject("run-2 1").answers
    assert rejected == again_rejected != ()

    for later in (retrieve, reject):  # the same run, started once more by somebody: a decision of its own
        with pytest.raises(RefusedError, match="this code was used already"):
            later("run-2 2")
    assert set(desk.states().values()) == {"REJECTED"}
    kinds = [event.kind for item in desk.items() for event in timeline(desk.ledger, item)]
    assert [kinds.count(kind) for kind in ("retrieved", "rejected")] == [len(retrieved)] * 2


def found_in_ledger(url: str, secrets: list[str]) -> list[Any]:
    """Return the tables and columns in which one of these stands."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [
            (table, column)
            for table in inspect(connection).get_table_names()
            for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()
            for column, value in row.items()
            if isinstance(value, str) and any(secret in value for secret in secrets)
        ]
    engine.dispose()
    return found
