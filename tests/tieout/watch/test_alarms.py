"""Alarms: what fails in silence rings by its own name, stops when it is mended, and a healthy week rings nothing."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import timedelta

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, CLAIMER, Desk
from ledgers import ON_BOTH_DATABASES
from typer.testing import CliRunner

from data_contracts.commitment import Project
from data_contracts.reference import Problem
from tieout.cli import app
from tieout.errors import TransientError
from tieout.export import observation, outcome
from tieout.intake import census
from tieout.judgement import batch
from tieout.ledger.references import known_projects
from tieout.payments import collection, issued
from tieout.watch import alarms, preflight

LIST = "GET /rest/v1.1/requisitions"
LOCK = "PATCH /rest/v1.1/requisitions"
PAY = "POST /rest/v1.0/contract_payments"
ENTER = "POST /vendor/invoice"
NOWHERE = "http://127.0.0.1:9"


def night(desk: Desk, without: Collection[str] = ()) -> list[str]:
    """Take the steps of a whole night, as the flow does: one that fails is no reason to leave the others out."""
    said: list[str] = []

    def count() -> None:
        for project_id in known_projects(desk.ledger):
            said.extend(filter(None, [census.take_census(desk.ledger, desk.procore, project_id, desk.office)]))

    steps: dict[str, Callable[[], object]] = {
        "read": desk.read,
        "settle": desk.settle,
        "judge": desk.judge,
        "revive": lambda: outcome.revive_transient(desk.ledger, desk.office),
        "export": lambda: desk.export(tries=4),
        "collect": lambda: collection.collect(desk.ledger, desk.erp, desk.office),
        "observe": lambda: observation.observe(desk.ledger, desk.erp, desk.office),
        "write": lambda: issued.write(desk.ledger, desk.procore, desk.office),
        "deliver": desk.deliver,
        "count": count,
        "note": lambda: alarms.note_night(desk.ledger, desk.office),
    }
    for name in [each for each in steps if each not in without]:
        with suppress(TransientError):
            steps[name]()
    return said


def nights(desk: Desk, count: int, without: Collection[str] = ()) -> None:
    for _ in range(count):
        desk.clock.advance(days=1)
        night(desk, without)


def rings(desk: Desk) -> list[str]:
    return [problem.check for problem in ringing(desk)]


def ringing(desk: Desk) -> list[Problem]:
    return alarms.ringing(desk.ledger, desk.office)


def the_alarm(desk: Desk) -> str:
    [problem] = ringing(desk)
    assert problem.remedy
    return problem.message


def open_projects(desk: Desk) -> list[Project]:
    """The projects that let us in; there is always one more that does not."""
    closed = desk.contractor.forbidden_projects
    return [project for project_id, project in known_projects(desk.ledger).items() if project_id not in closed]


def bill_next(desk: Desk) -> int:
    """A subcontractor bills the next month, and the invoice is approved; return it."""
    commitment = max(desk.requisitions().values(), key=lambda row: row["number"])["commitment_id"]
    return int(desk.play("procore", "requisitions", {"commitment_id": commitment})["id"])


def test_a_healthy_week_rings_nothing(desk: Desk):
    heard = []
    night(desk)
    for _ in range(7):
        desk.clock.advance(hours=9)
        accepted = desk.accept()
        heard += rings(desk)
        desk.clock.advance(hours=14, minutes=59)
        heard += rings(desk)
        desk.clock.advance(minutes=1)
        heard += night(desk)
        if accepted:
            desk.post()
            desk.cut_check(accepted[:1])
    paid = desk.payments_issued()

    assert heard == []
    assert len(paid) == 1


def test_a_quiet_night_asks_procore_at_most_six_things_of_a_project(desk: Desk):
    night(desk)
    desk.accept()
    nights(desk, 2)
    desk.forget_requests()
    nights(desk, 1)
    asked = {route: count for route, count in desk.requests("procore").items() if "oauth" not in route}

    assert asked[LIST] == 2 * len(known_projects(desk.ledger))  # what changed, and how many there are
    assert sum(asked.values()) <= 6


# Expected and seen.


def test_what_a_listing_of_changes_omits_is_noticed_at_once_and_brought_by_the_next_night(desk: Desk):
    night(desk)
    hidden = bill_next(desk)
    desk.play("procore", f"requisitions/{hidden}/hide", {"from": "changes"})
    desk.clock.advance(days=1)
    said = night(desk)
    assert hidden not in desk.states()
    assert rings(desk) == []  # the next night has a remedy
    nights(desk, 1)

    seen = len(desk.states())
    [words] = said
    assert f"Procore has {seen} invoices of {open_projects(desk)[0].name}" in words
    assert f"the ledger knows {seen - 1}; they disagree on Procore's invoice {hidden}" in words
    assert desk.states()[hidden] == "READY"
    assert rings(desk) == []


def test_what_no_listing_shows_rings_until_one_does(desk: Desk):
    night(desk)
    hidden = bill_next(desk)
    desk.play("procore", f"requisitions/{hidden}/hide", {"from": "lists"})
    nights(desk, 1)
    assert rings(desk) == []
    nights(desk, 2)
    words = the_alarm(desk)
    desk.play("procore", f"requisitions/{hidden}/hide", {"from": None})
    nights(desk, 1)

    seen = len(desk.states())
    assert (
        f"Procore has {seen} invoices of {open_projects(desk)[0].name} that may be sent, the ledger knows {seen - 1}"
        in words
    )
    assert str(hidden) in words
    assert "since 2026-03-05 12:00 EST, 48 h ago" in words
    assert desk.states()[hidden] == "READY"
    assert rings(desk) == []


def test_a_deletion_is_found_by_the_night_after_the_census(desk: Desk):
    night(desk)
    gone = bill_next(desk)
    nights(desk, 1)
    desk.play("procore", f"requisitions/{gone}", method="DELETE")
    desk.clock.advance(days=1)
    assert str(gone) in night(desk)[0]
    desk.clock.advance(days=1)

    assert night(desk) == []
    assert desk.states()[gone] == "RETRIEVED"
    assert rings(desk) == []


def test_the_whole_list_is_read_once_after_a_census_and_not_by_every_run(desk: Desk):
    night(desk)
    desk.play("procore", f"requisitions/{bill_next(desk)}/hide", {"from": "lists"})
    nights(desk, 1)
    is_whole = []
    for _ in range(2):
        desk.clock.advance(hours=1)
        desk.forget_requests()
        desk.read()
        answered = [each for each in desk.look("procore", "requests")["requests"] if each["status"] == 200]
        [listing] = [each["query"] for each in answered if each["route"] in LIST]
        is_whole.append("updated_at" not in listing)

    assert is_whole == [True, False]


def test_an_invoice_that_cannot_be_read_is_held_and_is_no_alarm(desk: Desk):
    night(desk)
    broken = bill_next(desk)
    desk.set_status(broken, "draft")
    desk.replace_body(broken, json.dumps({"id": broken, "status": "submitted"}))
    nights(desk, 3)

    assert desk.states()[broken] == "HELD"
    assert rings(desk) == []


# What should have happened by now.


def test_a_night_that_does_not_run_rings_alone(desk: Desk):
    night(desk)
    desk.accept()
    desk.clock.advance(hours=26)
    assert rings(desk) == []
    desk.clock.advance(hours=30)
    words = the_alarm(desk)
    night(desk)

    assert "The last night finished at 2026-03-04 12:00 EST, 56 h ago." in words
    assert rings(desk) == []


def test_a_night_that_never_ran_rings(desk: Desk):
    assert rings(desk) == []  # nobody has worked with this ledger yet
    night(desk, without=["note"])
    desk.clock.advance(hours=27)

    assert rings(desk) == ["night"]
    assert "No night ever finished" in the_alarm(desk)


@ON_BOTH_DATABASES
def test_a_payment_job_that_never_ran_rings_while_the_erp_holds_invoices_of_ours(desk: Desk):
    night(desk, without=["collect"])
    nights(desk, 2, without=["collect"])
    assert rings(desk) == []  # there is nothing to be paid
    accepted = desk.accept()
    desk.export()
    nights(desk, 2, without=["collect"])
    words = the_alarm(desk)
    nights(desk, 1)

    assert f"Payments in Spectrum were never read. Invoices there that may be paid: {len(accepted)}" in words
    assert rings(desk) == []


@AFTER_AN_EXPORT
def test_a_payment_job_that_stopped_rings(desk: Desk):
    nights(desk, 1)
    nights(desk, 2, without=["collect"])
    words = the_alarm(desk)
    collection.collect(desk.ledger, desk.erp, desk.office)

    assert "were last read at 2026-03-05 12:00 EST, 48 h ago" in words
    assert rings(desk) == []


def test_a_project_whose_list_cannot_be_read_rings(desk: Desk):
    night(desk)
    desk.fault("procore", LIST, "5xx_before", times=1000)
    nights(desk, 2)
    assert rings(desk) == []  # each of these nights was red by itself
    nights(desk, 1)
    words = the_alarm(desk)
    desk.heal("procore")
    nights(desk, 1)

    first = min(project.name for project in known_projects(desk.ledger).values())
    assert f"could be read: 2. The oldest is {first}, since 2026-03-04 12:00 EST, 72 h ago" in words
    assert rings(desk) == []


def test_an_invoice_that_is_listed_and_never_shown_rings(desk: Desk):
    night(desk)
    desk.fault("procore", r"GET /rest/v1.1/requisitions/\d+", "html_503", times=1000)
    desk.replace_body(bill_next(desk), "{")
    nights(desk, 3)

    assert rings(desk) == ["listing"]


@pytest.mark.sandbox(projects=2)
def test_a_project_that_refuses_us_is_no_alarm_for_it_is_told_each_night(desk: Desk):
    night(desk)
    closed = open_projects(desk)[0].project_id_procore
    desk.play("procore", f"projects/{closed}", {"access": False})
    nights(desk, 4)

    assert rings(desk) == []


@pytest.mark.sandbox(projects=2)
def test_a_project_that_vanished_is_no_alarm_but_worth_knowing_while_its_invoices_are_not_done(desk: Desk):
    night(desk)
    closed = open_projects(desk)[0]
    desk.play("procore", f"projects/{closed.project_id_procore}", {"active": False})
    nights(desk, 4)
    [words] = alarms.vanished(desk.ledger, desk.office)
    waiting = [item for item in desk.items() if item.project_id == closed.project_id_procore]
    desk.set("policy", skip_projects=json.dumps([closed.project_id_procore]))

    assert rings(desk) == []
    assert f"has not listed {closed.name} since 2026-03-04 12:00 EST" in words
    assert words.endswith(f"not done: {len(waiting)}.")
    assert alarms.vanished(desk.ledger, desk.office) == []


# What is stuck.


@AFTER_A_NIGHT
def test_an_erp_that_is_away_for_days_rings_though_every_night_tries_again(desk: Desk):
    url = desk.urls["spectrum"]
    night(desk)
    accepted = desk.accept()
    desk.set("spectrum", url=NOWHERE)
    nights(desk, 1)
    assert rings(desk) == []
    nights(desk, 1)
    words = the_alarm(desk)
    desk.set("spectrum", url=url)
    nights(desk, 1)

    assert f"Accepted invoices that have not reached Spectrum: {len(accepted)}. The oldest is " in words
    assert "since 2026-03-04 12:00 EST, 48 h ago" in words
    assert "could not be reached" in words
    assert set(desk.exported()) == set(accepted)
    assert rings(desk) == []


@AFTER_A_NIGHT
@pytest.mark.parametrize("missing", ["export", "revive"])
def test_accepted_invoices_that_no_night_takes_up_ring(desk: Desk, missing: str):
    night(desk)
    desk.accept()
    desk.set("spectrum", url=NOWHERE)
    with suppress(TransientError):
        desk.export(tries=4)
    desk.set("spectrum", url=desk.urls["spectrum"])
    nights(desk, 2, without=[missing])
    assert rings(desk) == ["accepted"]
    nights(desk, 1)

    assert rings(desk) == []


@AFTER_A_NIGHT
def test_a_retry_begins_the_waiting_again(desk: Desk):
    """What was refused and lay there for days is not stuck the moment somebody tries again."""
    night(desk)
    [first, *_] = desk.accept()
    payload = desk.payload(first)
    desk.enter({**payload, "Remarks": "typed by hand", "Retention_Amount": "0.00"})
    nights(desk, 2)
    assert desk.states()[first] == "FAILED"
    assert rings(desk) == []
    retried = batch.rejudge_one(desk.ledger, desk.basis, first, desk.office)

    assert retried.state == "ACCEPTED"
    assert rings(desk) == []


@AFTER_A_NIGHT
def test_a_worker_that_was_killed_with_items_in_hand_rings_until_they_are_taken_over(desk: Desk):
    night(desk)
    accepted = desk.accept()
    desk.fault("spectrum", ENTER, "latency", seconds=60)
    worker = subprocess.Popen([sys.executable, "-c", CLAIMER, desk.clock().isoformat()])
    deadline = time.monotonic() + 20
    while not desk.requests("spectrum").get(ENTER):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    desk.clock.advance(hours=1)
    assert rings(desk) == []
    desk.clock.advance(hours=1)
    words = the_alarm(desk)
    desk.settle()

    assert f"no run took over: {len(accepted)}. The oldest is " in words
    assert rings(desk) == []


@AFTER_A_NIGHT
def test_an_invoice_whose_outcome_stays_unknown_rings_until_it_is_known(desk: Desk):
    night(desk)
    accepted = desk.accept()
    desk.fault("spectrum", ENTER, "reset_before")
    desk.export()
    row = desk.arrive(accepted[0], Retention_Amount="0.00")
    nights(desk, 1)
    assert rings(desk) == []
    nights(desk, 2)
    words = the_alarm(desk)
    desk.act_on(row, "delete")
    nights(desk, 3)

    assert "Sent invoices that Spectrum may or may not have: 1." in words
    assert rings(desk) == []


@AFTER_A_NIGHT
def test_letters_that_procore_does_not_take_ring_with_its_words(desk: Desk):
    night(desk)
    nights(desk, 1)
    accepted = desk.accept()
    desk.export()
    desk.fault("procore", LOCK, "5xx_before", times=1000)
    nights(desk, 1)
    assert rings(desk) == []
    nights(desk, 1)
    words = the_alarm(desk)
    desk.heal("procore")
    nights(desk, 2)

    assert f"Procore has not taken: {len(accepted)}. The oldest is " in words
    assert "503" in words
    assert rings(desk) == []


@AFTER_AN_EXPORT
def test_payments_that_procore_does_not_take_ring_with_its_words(desk: Desk):
    nights(desk, 1)
    desk.post()
    desk.cut_check([next(iter(desk.exported()))])
    project = open_projects(desk)[0].project_id_procore
    desk.play("procore", f"projects/{project}", {"payments_issued": False})
    nights(desk, 2)
    assert rings(desk) == []
    nights(desk, 1)
    words = the_alarm(desk)
    desk.play("procore", f"projects/{project}", {"payments_issued": True})
    nights(desk, 1)

    assert "Payments that Procore does not show: 1. The oldest is " in words
    assert "Payments Issued" in words
    assert len(desk.payments_issued()) == 1
    assert rings(desk) == []


@AFTER_AN_EXPORT
def test_nothing_rings_for_a_moment_in_the_future(desk: Desk):
    """A clock that ran ahead for a night and was set back."""
    ahead = timedelta(days=400)
    nights(desk, 1)
    desk.clock.now += ahead
    desk.play("procore", f"requisitions/{bill_next(desk)}/hide", {"from": "lists"})
    night(desk)
    desk.clock.now -= ahead
    assert (rings(desk), alarms.vanished(desk.ledger, desk.office)) == ([], [])
    nights(desk, 3)

    assert rings(desk) == ["census"]


# What is told before anything rings.


def warned(desk: Desk) -> dict[str, bool]:
    problems = preflight.inspect(desk.office).problems
    return {each.message: each.is_blocking for each in problems if each.system == "Settings"}


def test_doctor_blocks_on_a_lease_that_ends_before_an_answer_may_come(desk: Desk):
    desk.set("export", lease_seconds=210)
    too_short = [words for words, is_blocking in warned(desk).items() if "lease_seconds" in words and is_blocking]
    desk.set("export", lease_seconds=211)

    assert [("Spectrum" in words, "Procore" in words) for words in too_short] == [(False, True), (True, False)]
    assert not any("lease_seconds" in words for words in warned(desk))


def test_doctor_warns_of_limits_that_ring_though_all_goes_well(desk: Desk):
    assert not any("watch." in words for words in warned(desk))
    desk.set("watch", night_hours=24, waiting_hours=20)

    found = [words for words, is_blocking in warned(desk).items() if "watch." in words and not is_blocking]
    assert len(found) == 2
    assert "watch.night_hours is 24, and the night runs once a day" in found[0]
    assert "watch.waiting_hours is 20" in found[1]

    desk.set("prefect", schedule="0 * * * *")
    assert [words for words in warned(desk) if "watch.night_hours" in words] == []


def test_status_prints_what_rings_and_what_to_do(desk: Desk):
    night(desk)  # in the past of the command's own clock
    told = CliRunner().invoke(app, ["status"]).stdout
    facts = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)

    assert [each["check"] for each in facts["alarms"]] == ["night"]
    assert "The last night finished" in " ".join(told.split())
    assert "nightly-sync" in told
