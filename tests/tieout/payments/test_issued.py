"""Procore shows each payment once, whatever gets lost on the way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from builders import an_office
from desk import AFTER_AN_EXPORT, Desk, Killed, StoppingClock, due, issued, of_one_vendor
from ledgers import ON_BOTH_DATABASES
from sqlalchemy import select

from tieout import opening
from tieout.export import observation
from tieout.ledger import errands, payments, schema
from tieout.payments import collection
from tieout.payments.issued import Written, open_payments, write
from tieout.views import inquiry

pytestmark = AFTER_AN_EXPORT

WRITE = "POST /rest/v1.0/contract_payments"
ONE = Decimal("1.00")


def test_one_check_for_three_invoices_is_three_payments(desk: Desk):
    ours = of_one_vendor(desk)
    check = desk.cut_check(ours)
    written = desk.pay()

    assert (written.written, written.problems) == (3, ())
    assert issued(desk) == {each: [due(desk, each)] for each in ours}
    rows, shown = desk.exported(), desk.requisitions()
    for payment in desk.payments_issued():
        invoice_id = payment["requisition_id"]
        assert payment["contract_id"] == shown[invoice_id]["commitment_id"]
        assert payment["draw_request_number"] == shown[invoice_id]["number"]
        assert payment["invoice_number"] == rows[invoice_id]["Invoice_Number"]  # as the ERP holds it (R82)
        assert payment["check_number"] == check["check_number"]
        assert payment["date"] == "2026-03-04"
        assert payment["origin_id"].startswith("spectrum:")
    assert {desk.states()[each] for each in ours} == {"PAID"}
    [first] = inquiry.payments(desk.ledger, desk.item(ours[0]))
    assert first["icon"] == inquiry.GREEN


def test_a_second_run_writes_nothing(desk: Desk):
    ours = of_one_vendor(desk)
    desk.cut_check(ours)
    desk.pay()
    before = desk.payments_issued()
    desk.forget_requests()
    for _ in range(2):
        desk.clock.advance(days=1)
        desk.night()

    assert desk.payments_issued() == before
    assert WRITE not in desk.requests("procore")


def test_a_void_that_procore_refuses_keeps_no_other_payment_back(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    check = desk.cut_check([first])
    desk.pay()
    desk.void_check(check["check_number"])
    desk.cut_check([first])
    desk.play("procore", "quirks", {"refuse_negative_payments": True})
    written = desk.pay()

    assert written.written == 1
    assert len(written.problems) == 1
    assert "greater than or equal to 0" in written.problems[0]
    assert issued(desk) == {first: [due(desk, first), due(desk, first)]}
    told = [each["problem"] for each in inquiry.payments(desk.ledger, desk.item(first)) if each["problem"]]
    assert len(told) == 1


@pytest.mark.parametrize("kind", ["reset_after", "5xx_after", "truncated", "cut_off"])
def test_a_lost_answer_is_found_by_its_origin_not_written_again(desk: Desk, kind: str):
    ours = of_one_vendor(desk)
    desk.cut_check(ours)
    desk.fault("procore", "POST .*contract_payments", kind)
    desk.pay()
    desk.pay()

    assert issued(desk) == {each: [due(desk, each)] for each in ours}
    assert desk.requests("procore")[WRITE] == 3
    assert open_payments(desk.ledger) == 0


def test_a_write_that_may_not_have_arrived_is_written_again_after_two_looks_with_time_between(desk: Desk):
    ours = of_one_vendor(desk)
    desk.cut_check(ours)
    desk.fault("procore", "POST .*contract_payments", "reset_before")
    assert desk.pay().is_interrupted
    waits = desk.pay()
    assert (waits.written, waits.is_interrupted) == (2, False)
    assert len(waits.problems) == 1
    assert "tieout writes it again if two looks do not find it" in waits.problems[0]
    desk.clock.advance(seconds=119)
    desk.pay()
    assert desk.requests("procore")[WRITE] == 3
    desk.clock.advance(seconds=2)
    assert desk.pay().problems == ()

    assert issued(desk) == {each: [due(desk, each)] for each in ours}
    assert desk.requests("procore")[WRITE] == 4


def test_a_write_that_arrives_between_two_looks_is_found(desk: Desk):
    ours = of_one_vendor(desk)
    desk.cut_check(ours)
    desk.fault("procore", "POST .*contract_payments", "reset_before")
    desk.pay()
    with desk.ledger.transaction(desk.clock(), "test") as tx:
        [first] = payments.claim(tx, marked(desk), timedelta(), timedelta())
        errands.give_back(tx, first)
    desk.procore.record_payment(first.body)  # a proxy had kept the request
    desk.clock.advance(seconds=121)
    written = desk.pay()

    assert (written.found, written.written) == (1, 2)
    assert issued(desk) == {each: [due(desk, each)] for each in ours}


def marked(desk: Desk) -> list[int]:
    """Return the payments that may have left and are not settled."""
    table = schema.payment.c
    query = select(table.payment_id).where(table.sent_at.is_not(None), table.delivered_at.is_(None))
    with desk.ledger.reading() as connection:
        return list(connection.execute(query).scalars())


def test_what_bears_our_origin_and_other_figures_is_shown_to_a_person_and_not_adopted(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    desk.cut_check([first])
    older = desk.back_up()
    desk.pay()
    [payment] = desk.payments_issued()
    assert as_a_user(desk, payment, origin_id=None).status_code == 200
    assert as_a_user(desk, payment, amount="1.00", origin_id=payment["origin_id"]).status_code == 200
    desk.set("ledger", url=older)
    [problem] = desk.pay().problems

    assert f"amount 1.00 instead of {due(desk, first)}" in problem
    assert issued(desk) == {first: [ONE]}
    [told] = inquiry.payments(desk.ledger, desk.item(first))
    assert (told["problem"], told["icon"]) == (problem, inquiry.BLUE)
    assert desk.pay().problems == (problem,)  # it waits for a person
    assert as_a_user(desk, payment, origin_id=None).status_code == 200
    assert desk.pay().written == 1
    assert issued(desk) == {first: [ONE, due(desk, first)]}


def test_procore_away_while_payments_are_read_is_caught_up(desk: Desk):
    ours = of_one_vendor(desk)
    desk.cut_check(ours)
    desk.fault("procore", "GET .*contract_payments", "reset_before")
    assert desk.pay().is_interrupted
    assert desk.pay().written == 3


@ON_BOTH_DATABASES
def test_a_ledger_that_does_not_know_what_it_wrote_finds_it(desk: Desk):
    ours = of_one_vendor(desk)
    desk.cut_check(ours)
    older = desk.back_up()
    desk.pay()
    before = desk.payments_issued()
    desk.set("ledger", url=older)
    written = desk.pay()

    assert (written.written, written.found) == (0, 3)
    assert desk.payments_issued() == before


@pytest.mark.sandbox(projects=2, after="export")
def test_a_project_without_payments_issued_is_passed_over_with_the_reason_and_caught_up(desk: Desk):
    ours = of_one_vendor(desk)
    off = desk.requisitions()[ours[0]]["project_id"]
    others = [each for each in desk.exported() if desk.requisitions()[each]["project_id"] != off]
    desk.play("procore", f"projects/{off}", {"payments_issued": False})
    desk.cut_check(ours)
    desk.cut_check(others)
    written = desk.pay()
    assert written.written == len(others)
    assert len(written.problems) == 1
    assert f"in project {off} the Commitments or Payments Issued tool" in written.problems[0]
    assert set(issued(desk)) == set(others)

    desk.play("procore", f"projects/{off}", {"payments_issued": True})
    assert desk.pay().written == 3
    assert set(issued(desk)) == {*ours, *others}


def test_what_users_change_on_a_synced_payment_survives(desk: Desk):
    [first, *_] = of_one_vendor(desk)
    desk.cut_check([first])
    desk.pay()
    [payment] = desk.payments_issued()
    changed = as_a_user(desk, payment, payment_number=77, attachments=[{"id": 1, "name": "lien waiver.pdf"}])
    assert changed.status_code == 200, changed.text
    assert as_a_user(desk, payment, amount="1.00").status_code == 422  # R79
    desk.clock.advance(days=1)
    desk.night()
    [after] = desk.payments_issued()

    assert (after["payment_number"], len(after["attachments"])) == (77, 1)
    assert after["amount"] == payment["amount"]


def as_a_user(desk: Desk, payment: dict[str, Any], **fields: Any) -> Any:
    account = {"client_id": desk.contractor.client_id, "client_secret": desk.contractor.client_secret}
    url = desk.urls["procore"]
    token = desk.control.post(f"{url}/oauth/token", data={"grant_type": "client_credentials", **account}).json()
    return desk.control.patch(
        f"{url}/rest/v1.0/contract_payments/{payment['id']}",
        json={
            "project_id": payment["project_id"],
            "contract_id": payment["contract_id"],
            "contract_payment": fields,
        },
        headers={
            "authorization": f"Bearer {token['access_token']}",
            "procore-company-id": str(desk.contractor.company_id),
        },
    )


@ON_BOTH_DATABASES
def test_those_that_write_payments_at_the_same_time_write_each_once(desk: Desk):
    ours = of_one_vendor(desk)
    desk.cut_check(ours)

    def pay(_: int) -> None:
        with (
            opening.open_ledger(an_office()) as ledger,
            opening.open_erp(an_office()) as erp,
            opening.open_procore(an_office()) as procore,
        ):
            collection.collect(ledger, erp, desk.office)
            observation.observe(ledger, erp, desk.office)
            assert write(ledger, procore, desk.office).problems == ()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(pay, range(3)))

    assert issued(desk) == {each: [due(desk, each)] for each in ours}
    assert desk.requests("procore")[WRITE] == 3
    assert {desk.states()[each] for each in ours} == {"PAID"}
    assert desk.audit() == []


def die() -> None:
    raise Killed


def written_by(desk: Desk, clock: Callable[[], datetime]) -> Written:
    """Write payments as another worker, with connections of its own and that clock."""
    with opening.open_ledger(an_office()) as ledger, opening.open_procore(an_office()) as procore:
        return write(ledger, procore, an_office(clock))


def collected(desk: Desk) -> list[int]:
    """Pay three invoices in the ERP and take that over; Procore is not told yet."""
    ours = of_one_vendor(desk)
    desk.cut_check(ours)
    assert collection.collect(desk.ledger, desk.erp, desk.office).new == 3
    return ours


LEASE_AND_DEADLINE = timedelta(seconds=300 + 3 * 60 + 30)


@ON_BOTH_DATABASES
def test_payments_of_the_dead_are_taken_over_after_lease_and_deadline(desk: Desk):
    ours = collected(desk)
    with pytest.raises(Killed):
        written_by(desk, StoppingClock(desk.clock, lambda: bool(marked(desk)), die))
    desk.clock.now += LEASE_AND_DEADLINE - timedelta(seconds=1)
    assert desk.pay() == Written()
    desk.clock.advance(seconds=2)
    after = desk.pay()
    assert (after.written, len(after.problems)) == (2, 1)  # one may have left: it is looked for twice
    desk.clock.advance(seconds=121)
    desk.pay()

    assert issued(desk) == {each: [due(desk, each)] for each in ours}
    assert desk.requests("procore")[WRITE] == 3


@ON_BOTH_DATABASES
def test_one_that_wakes_up_after_others_took_over_writes_nothing_twice_and_settles_nothing(desk: Desk):
    ours = collected(desk)

    def the_others() -> None:
        desk.clock.now += LEASE_AND_DEADLINE + timedelta(seconds=1)
        assert desk.pay().written == 2
        desk.clock.advance(seconds=121)
        assert desk.pay().written == 1
        desk.forget_requests()

    stale = written_by(desk, StoppingClock(desk.clock, lambda: bool(marked(desk)), the_others))

    assert (stale.written, stale.found, stale.problems) == (0, 0, ())
    assert desk.requests("procore")[WRITE] == 1  # Procore refused it: that origin_id was there
    assert issued(desk) == {each: [due(desk, each)] for each in ours}


@ON_BOTH_DATABASES
def test_one_that_wakes_up_before_its_payment_is_written_again_is_told_of_and_found(desk: Desk):
    ours = collected(desk)

    def the_others() -> None:
        desk.clock.now += LEASE_AND_DEADLINE + timedelta(seconds=1)
        assert desk.pay().written == 2

    [problem] = written_by(desk, StoppingClock(desk.clock, lambda: bool(marked(desk)), the_others)).problems

    assert "check that Procore shows it once" in problem
    assert open_payments(desk.ledger) == 1  # it was not its own to settle
    assert desk.pay().found == 1
    assert issued(desk) == {each: [due(desk, each)] for each in ours}


def test_no_payment_is_sent_when_the_lease_might_end_meanwhile(desk: Desk):
    ours = collected(desk)
    desk.set("export", lease_seconds=200)
    assert desk.pay().is_interrupted
    assert WRITE not in desk.requests("procore")
    desk.set("export", lease_seconds=300)

    assert desk.pay().written == 3
    assert issued(desk) == {each: [due(desk, each)] for each in ours}
