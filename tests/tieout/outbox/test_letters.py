"""Procore is told what was decided: locked when sent, confirmed when exported, unlocked when rejected."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from builders import an_office
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, Desk, Killed, StoppingClock
from ledgers import ON_BOTH_DATABASES
from sqlalchemy import func, select

from tieout import opening
from tieout.connectors.base import invoice_key
from tieout.ledger import schema
from tieout.outbox import letters

WRITE = "PATCH /rest/v1.1/requisitions/{id}"


def newest(desk: Desk) -> int:
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


def as_a_user(desk: Desk, invoice_id: int, **fields: Any) -> Any:
    """Somebody else's program changes an invoice through Procore's own API."""
    account = {"client_id": desk.contractor.client_id, "client_secret": desk.contractor.client_secret}
    url = desk.urls["procore"]
    token = desk.control.post(f"{url}/oauth/token", data={"grant_type": "client_credentials", **account}).json()
    row = desk.requisitions()[invoice_id]
    return desk.control.patch(
        f"{url}/rest/v1.1/requisitions/{invoice_id}",
        json={"project_id": row["project_id"], "commitment_id": row["commitment_id"], "requisition": fields},
        headers={
            "authorization": f"Bearer {token['access_token']}",
            "procore-company-id": str(desk.contractor.company_id),
        },
    )


@AFTER_A_NIGHT
def test_what_is_sent_is_locked_by_our_key_and_others_cannot_change_it(desk: Desk):
    desk.night()
    shown = desk.requisitions()

    assert {each: row["origin_id"] for each, row in shown.items()} == {
        each: invoice_key(desk.contractor.company_id, each) for each in shown
    }
    refused = as_a_user(desk, newest(desk), invoice_number="OTHER")
    assert refused.status_code == 422
    assert "synced with ERP" in refused.text
    assert as_a_user(desk, newest(desk), attachments=[]).status_code == 200  # R21


@AFTER_AN_EXPORT
def test_what_is_exported_says_so_in_procore_with_document_and_batch(desk: Desk):
    accepted = desk.export_everything()
    for invoice_id, row in desk.exported().items():
        there = desk.requisition(invoice_id)
        assert json.loads(there["origin_data"]) == {
            "batch": row["Batch_Code"],
            "document": row["Document_ID"],
            "erp": "spectrum",
        }
        assert there["origin_id"] == row["Remarks"]

    assert set(desk.exported()) == set(accepted)


@AFTER_AN_EXPORT
def test_our_own_writes_are_no_change_of_the_invoice(desk: Desk):
    desk.export_everything()
    versions = {item.invoice_id: item.version for item in desk.items()}
    desk.forget_requests()
    desk.night()

    assert {item.invoice_id: item.version for item in desk.items()} == versions
    assert WRITE not in desk.requests("procore")


def test_held_invoices_stay_editable(desk: Desk):
    desk.edit(newest(desk), invoice_number="")
    desk.night()

    assert desk.item(newest(desk)).state == "HELD"
    assert as_a_user(desk, newest(desk), invoice_number="OTHER").status_code == 200


def test_watching_writes_nothing_to_procore(desk: Desk):
    desk.set("export", lock="watch")
    accepted = desk.export_everything()

    assert set(desk.exported()) == set(accepted)
    assert WRITE not in desk.requests("procore")
    assert {row["origin_id"] for row in desk.requisitions().values()} == {None}
    assert letters.undelivered(desk.ledger) == []


@pytest.mark.parametrize(
    ("kind", "is_written"),
    [("5xx_before", False), ("5xx_after", True), ("reset_before", False), ("reset_after", True), ("truncated", True)],
)
def test_what_procore_cannot_take_now_is_looked_for_and_delivered_by_the_next_pass(
    desk: Desk, kind: str, is_written: bool
):
    desk.read()
    desk.judge()
    desk.fault("procore", "PATCH", kind)
    delivered = desk.deliver()
    assert (delivered.done, delivered.later) == (len(desk.items()) - 1, 1)
    [(number, problem)] = letters.undelivered(desk.ledger)
    assert number in {item.number for item in desk.items()}
    assert problem.startswith("[Procore Error] ")
    again = desk.deliver()

    assert (again.done, again.later, again.refusals) == (1, 0, ())
    assert desk.requests("procore")[WRITE] == len(desk.items()) + (not is_written)
    assert None not in {row["origin_id"] for row in desk.requisitions().values()}
    assert letters.undelivered(desk.ledger) == []


def test_only_the_newest_letter_of_an_invoice_is_delivered(desk: Desk):
    desk.read()
    desk.judge()
    desk.accept()
    desk.export()
    desk.forget_requests()
    desk.deliver()

    assert desk.requests("procore")[WRITE] == len(desk.items())
    assert None not in {row["origin_data"] for row in desk.requisitions().values()}


def test_a_change_that_came_between_our_reading_and_our_lock_is_judged(desk: Desk):
    desk.read()
    desk.judge()
    changed = newest(desk)
    desk.bill_more(changed)
    desk.deliver()
    desk.judge()

    assert (desk.item(changed).state, desk.item(changed).revision) == ("READY", 2)


def test_what_procore_refuses_is_told_and_given_up(desk: Desk):
    desk.read()
    desk.judge()
    projects = {item.project_id for item in desk.items()}
    closed = min(projects)
    desk.play("procore", f"projects/{closed}", {"access": False})
    delivered = desk.deliver()
    there = [item for item in desk.items() if item.project_id == closed]

    assert len(delivered.refusals) == len(there)
    assert all("permission" in each for each in delivered.refusals)
    assert desk.deliver() == letters.Delivered()


LEASE_AND_DEADLINE = timedelta(seconds=300 + 3 * 60 + 30)


def die() -> None:
    raise Killed


def marked(desk: Desk) -> bool:
    """Whether a letter may have left and is not settled."""
    table = schema.outbox.c
    with desk.ledger.reading() as connection:
        query = select(table.letter_id).where(table.sent_at.is_not(None), table.delivered_at.is_(None)).limit(1)
        return connection.execute(query).first() is not None


def delivered_by(desk: Desk, clock: Callable[[], datetime]) -> letters.Delivered:
    """Deliver as another worker, with connections of its own and that clock."""
    with opening.open_ledger(desk.office) as ledger, opening.open_procore(desk.office) as procore:
        return letters.deliver(ledger, procore, an_office(clock))


def judged(desk: Desk) -> int:
    """Let everything become Ready to Export, so that locks are owed; return how many, one at a time is written."""
    desk.set("export", writers=1)
    desk.read()
    desk.judge()
    return len(desk.items())


def first(desk: Desk) -> int:
    """Return the invoice whose letter is written first."""
    return desk.items()[0].invoice_id


def reject(desk: Desk, invoice_id: int) -> None:
    """Have an approver reject it, so that unlocking it is owed."""
    item = desk.item(invoice_id)
    offered = desk.offer(item.project_id)
    assert offered
    desk.decide(offered, accept=(), reject=[(item.number, "wrong period")])


def locked(desk: Desk) -> set[int]:
    return {invoice_id for invoice_id, row in desk.requisitions().items() if row["origin_id"]}


@ON_BOTH_DATABASES
def test_those_that_deliver_at_the_same_time_deliver_each_letter_once(desk: Desk):
    count = judged(desk)
    with ThreadPoolExecutor(3) as pool:
        delivered = list(pool.map(lambda _: delivered_by(desk, desk.clock), range(3)))

    assert sum(each.done for each in delivered) == count == desk.requests("procore")[WRITE]
    assert locked(desk) == set(desk.requisitions())


@ON_BOTH_DATABASES
def test_who_delivers_and_who_fetches_never_wait_for_each_other_in_turn(desk: Desk):
    count = judged(desk)
    delivered = desk.beside_a_fetch(list(desk.requisitions()), lambda: delivered_by(desk, desk.clock))

    assert delivered.done == count


@ON_BOTH_DATABASES
def test_letters_of_the_dead_are_taken_over_after_lease_and_deadline(desk: Desk):
    count = judged(desk)
    with pytest.raises(Killed):
        delivered_by(desk, StoppingClock(desk.clock, lambda: marked(desk), die))
    desk.clock.now += LEASE_AND_DEADLINE - timedelta(seconds=1)
    assert desk.deliver() == letters.Delivered()
    desk.clock.advance(seconds=2)

    assert desk.deliver().done == count
    assert locked(desk) == set(desk.requisitions())
    assert desk.requests("procore")[WRITE] == count  # what the dead one had written was found


@ON_BOTH_DATABASES
def test_what_is_owed_while_another_one_delivers_is_delivered_by_that_one(desk: Desk):
    count, rejected = judged(desk), newest(desk)

    def meanwhile() -> None:
        reject(desk, rejected)
        assert desk.deliver() == letters.Delivered()

    assert delivered_by(desk, StoppingClock(desk.clock, lambda: marked(desk), meanwhile)).done == count + 1
    assert locked(desk) == set(desk.requisitions()) - {rejected}


@ON_BOTH_DATABASES
def test_one_that_wakes_up_late_sees_by_its_answer_what_it_undid_and_puts_it_right(desk: Desk):
    count, rejected = judged(desk), first(desk)

    def the_others() -> None:
        desk.clock.now += LEASE_AND_DEADLINE + timedelta(seconds=1)
        reject(desk, rejected)
        assert desk.deliver().done == count

    stale = delivered_by(desk, StoppingClock(desk.clock, lambda: marked(desk), the_others))

    assert stale == letters.Delivered(done=1)  # of what it had claimed, nothing was its own to settle
    assert locked(desk) == set(desk.requisitions()) - {rejected}
    assert desk.requests("procore")[WRITE] == count + 2


def test_one_that_wakes_up_late_leaves_alone_what_others_hold(desk: Desk):
    count = judged(desk)

    def another() -> None:
        desk.clock.now += LEASE_AND_DEADLINE + timedelta(seconds=1)
        with pytest.raises(Killed):
            delivered_by(desk, StoppingClock(desk.clock, lambda: times_claimed(desk) == 2, die))

    assert delivered_by(desk, StoppingClock(desk.clock, lambda: marked(desk), another)) == letters.Delivered()
    assert desk.deliver() == letters.Delivered()
    desk.clock.now += LEASE_AND_DEADLINE + timedelta(seconds=1)
    assert desk.deliver().done == count


def times_claimed(desk: Desk) -> int:
    with desk.ledger.reading() as connection:
        return int(connection.execute(select(func.max(schema.outbox.c.lease_token))).scalar_one())


def test_what_one_undid_that_woke_up_late_and_died_is_put_right_by_the_next_night(desk: Desk):
    judged(desk)
    rejected = first(desk)

    def the_others() -> None:
        desk.clock.now += LEASE_AND_DEADLINE + timedelta(seconds=1)
        reject(desk, rejected)
        desk.deliver()

    waking = StoppingClock(desk.clock, lambda: marked(desk), the_others)
    with pytest.raises(Killed):
        delivered_by(desk, StoppingClock(waking, lambda: waking.has_stopped and rejected in locked(desk), die))
    assert rejected in locked(desk)
    desk.clock.advance(hours=8)
    desk.night()
    assert locked(desk) == set(desk.requisitions()) - {rejected}
    desk.forget_requests()
    desk.night()

    assert WRITE not in desk.requests("procore")


def test_an_answer_is_no_proof_when_the_invoice_was_seen_later_than_that(desk: Desk):
    judged(desk)
    rejected = newest(desk)
    desk.deliver()
    reject(desk, rejected)

    def meanwhile() -> None:
        key = invoice_key(desk.contractor.company_id, rejected)
        assert as_a_user(desk, rejected, origin_id=key).status_code == 200  # a lock that a proxy had held back
        desk.read()

    delivered = delivered_by(desk, StoppingClock(desk.clock, lambda: rejected not in locked(desk), meanwhile))
    assert (delivered.done, delivered.later) == (0, 1)
    assert rejected in locked(desk)
    assert desk.deliver().done == 1
    assert rejected not in locked(desk)


@AFTER_A_NIGHT
def test_what_somebody_else_writes_into_the_origin_fields_is_not_fought_over(desk: Desk):
    desk.night()
    changed = newest(desk)
    assert as_a_user(desk, changed, origin_data="of another program").status_code == 200
    desk.forget_requests()
    desk.clock.advance(days=1)
    desk.night()

    assert desk.requisition(changed)["origin_data"] == "of another program"
    assert WRITE not in desk.requests("procore")


def test_no_letter_is_sent_when_the_lease_might_end_meanwhile(desk: Desk):
    count = judged(desk)
    desk.set("export", lease_seconds=200)
    assert desk.deliver() == letters.Delivered(later=count)
    assert WRITE not in desk.requests("procore")
    desk.set("export", lease_seconds=300)

    assert desk.deliver().done == count
