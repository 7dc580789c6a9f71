"""What accounting posts, pays and voids in Spectrum comes back to Procore, each application once."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, NIGHT, SENDER, Desk, Killed, StoppingClock, amount
from ledgers import ON_BOTH_DATABASES
from sqlalchemy import select

from tieout import opening
from tieout.decisions import send
from tieout.export import observation
from tieout.ledger import errands, payments, schema
from tieout.payments import collection
from tieout.payments.issued import Written, open_payments, write
from tieout.people.rights import Signature
from tieout.views import inquiry

pytestmark = AFTER_AN_EXPORT

WRITE = "POST /rest/v1.0/contract_payments"
ONE = Decimal("1.00")


def exported(desk: Desk, is_posted: bool = True) -> list[int]:
    """Bring everything into Spectrum; return three posted invoices of one vendor, oldest first."""
    desk.export_everything()
    if is_posted:
        desk.post()
    rows = desk.exported()
    vendor = rows[min(rows)]["Vendor_Code"]
    return sorted(invoice_id for invoice_id, row in rows.items() if row["Vendor_Code"] == vendor)


def due(desk: Desk, invoice_id: int) -> Decimal:
    row = desk.exported()[invoice_id]
    return amount(row, "Invoice_Amount") - amount(row, "Retention_Amount")


def issued(desk: Desk) -> dict[int, list[Decimal]]:
    """What Payments Issued shows, by invoice."""
    shown: dict[int, list[Decimal]] = {}
    for payment in desk.payments_issued():
        shown.setdefault(payment["requisition_id"], []).append(Decimal(payment["amount"]))
    return shown


def test_one_check_for_three_invoices_is_three_payments(desk: Desk):
    ours = exported(desk)
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
    ours = exported(desk)
    desk.cut_check(ours)
    desk.pay()
    before = desk.payments_issued()
    desk.forget_requests()
    for _ in range(2):
        desk.clock.advance(days=1)
        desk.night()

    assert desk.payments_issued() == before
    assert WRITE not in desk.requests("procore")


def test_only_what_is_posted_counts(desk: Desk):
    [first, *_] = exported(desk)
    desk.cut_check([first], {"is_posted": False})  # a manual check that accounting has not posted yet
    desk.pay()

    assert issued(desk) == {}
    assert desk.states()[first] == "POSTED"


def test_states_follow_the_erp_in_both_directions(desk: Desk):
    ours = exported(desk, is_posted=False)
    desk.pay()
    assert {desk.states()[each] for each in ours} == {"EXPORTED"}
    desk.post([ours[0]])
    desk.pay()
    assert [desk.states()[each] for each in ours] == ["POSTED", "EXPORTED", "EXPORTED"]
    half = (due(desk, ours[0]) / 2).quantize(ONE)
    first = desk.cut_check([ours[0]], amount=str(half))
    desk.pay()
    assert desk.states()[ours[0]] == "PART_PAID"
    desk.cut_check([ours[0]])
    desk.pay()
    assert desk.states()[ours[0]] == "PAID"
    assert sum(issued(desk)[ours[0]]) == due(desk, ours[0])
    desk.void_check(first["check_number"])
    desk.pay()
    assert desk.states()[ours[0]] == "PART_PAID"


def test_a_discount_settles_without_being_shown_as_money(desk: Desk):
    [first, *_] = exported(desk)
    desk.cut_check([first], discount="25.00", amount=str(due(desk, first) - 25))
    desk.pay()

    assert issued(desk) == {first: [due(desk, first) - 25]}
    assert "Discount taken 25.00" in desk.payments_issued()[0]["notes"]
    assert desk.states()[first] == "PAID"


def test_retention_that_is_held_does_not_keep_an_invoice_from_being_paid(desk: Desk):
    ours = exported(desk)
    held = max(ours, key=lambda each: amount(desk.exported()[each], "Retention_Amount"))
    retention = amount(desk.exported()[held], "Retention_Amount")
    assert retention > 0
    desk.cut_check([held])
    desk.pay()
    assert desk.states()[held] == "PAID"

    desk.cut_check([held], kind="retention", amount=str(retention))
    desk.pay()
    assert issued(desk)[held] == [due(desk, held), retention]
    assert desk.payments_issued()[-1]["notes"].startswith("Retention.")
    assert desk.states()[held] == "PAID"


def test_a_void_is_a_reversing_row_and_history_stays(desk: Desk):
    ours = exported(desk)
    check = desk.cut_check(ours)
    desk.pay()
    desk.clock.advance(days=3)
    desk.void_check(check["check_number"])
    desk.pay()

    assert issued(desk) == {each: [due(desk, each), -due(desk, each)] for each in ours}
    origins = [payment["origin_id"] for payment in desk.payments_issued()]
    assert sorted(each for each in origins if each.endswith(":void")) == sorted(
        f"{each}:void" for each in origins if not each.endswith(":void")
    )
    assert {payment["date"] for payment in desk.payments_issued()[3:]} == {"2026-03-07"}
    assert {desk.states()[each] for each in ours} == {"POSTED"}


def test_a_void_that_we_see_together_with_its_payment_is_both(desk: Desk):
    [first, *_] = exported(desk)
    check = desk.cut_check([first])
    desk.void_check(check["check_number"])
    desk.pay()

    assert issued(desk) == {first: [due(desk, first), -due(desk, first)]}


def test_void_and_reissue_come_to_one_live_payment(desk: Desk):
    [first, *_] = exported(desk)
    check = desk.cut_check([first])
    desk.pay()
    desk.void_check(check["check_number"])
    desk.cut_check([first])
    desk.pay()

    assert issued(desk) == {first: [due(desk, first), -due(desk, first), due(desk, first)]}
    assert desk.states()[first] == "PAID"


def test_a_void_that_procore_refuses_keeps_no_other_payment_back(desk: Desk):
    [first, *_] = exported(desk)
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


def test_payments_of_invoices_that_accounting_typed_in_are_not_shown(desk: Desk):
    [first, *_] = exported(desk)
    row = desk.exported()[first]
    pay_by_hand(desk, {**erp_document(row), "Invoice_Number": "TYPED-1", "Remarks": "typed by hand"})
    desk.pay()

    assert desk.payments_issued() == []


def erp_document(row: dict[str, Any]) -> dict[str, Any]:
    """Turn a row of Spectrum's tables back into what is posted to enter such an invoice."""
    lines = [
        {
            "Distribution": {"Company_Code": line["Company_Code"], "GL_Account": line["GL_Account"]},
            "Item_Description": line["Item_Description"],
            "Amount": line["Debit_Amount"],
            "Job": {name: line[name] for name in ("Job_Number", "Phase_Code", "Cost_Type")},
        }
        for line in row["lines"]
    ]
    names = ("Company_Code", "Vendor_Code", "Invoice_Type_Code", "Invoice_Amount", "Contract_Number", "Status",
             "Retention_Amount", "Batch_Code", "Payment_Status")  # fmt: skip
    dates = dict.fromkeys(("GL_Date", "Invoice_Date"), "03/04/2026")
    return {name: row[name] for name in names} | dates | {"Approval_Status": "A", "APInvoiceDetails": lines}


@pytest.mark.parametrize("kind", ["reset_after", "5xx_after", "truncated", "cut_off"])
def test_a_lost_answer_is_found_by_its_origin_not_written_again(desk: Desk, kind: str):
    ours = exported(desk)
    desk.cut_check(ours)
    desk.fault("procore", "POST .*contract_payments", kind)
    desk.pay()
    desk.pay()

    assert issued(desk) == {each: [due(desk, each)] for each in ours}
    assert desk.requests("procore")[WRITE] == 3
    assert open_payments(desk.ledger) == 0


def test_a_write_that_may_not_have_arrived_is_written_again_after_two_looks_with_time_between(desk: Desk):
    ours = exported(desk)
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
    ours = exported(desk)
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
    [first, *_] = exported(desk)
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
    ours = exported(desk)
    desk.cut_check(ours)
    desk.fault("procore", "GET .*contract_payments", "reset_before")
    assert desk.pay().is_interrupted
    assert desk.pay().written == 3


@ON_BOTH_DATABASES
def test_a_ledger_that_does_not_know_what_it_wrote_finds_it(desk: Desk):
    ours = exported(desk)
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
    ours = exported(desk)
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
    [first, *_] = exported(desk)
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


@AFTER_A_NIGHT
def test_a_payment_that_came_before_the_link_is_shown(desk: Desk):
    """AM-21: whether the invoice's id was captured is the only question."""
    desk.night()
    accepted = desk.accept()
    documents = [desk.payload(each) for each in accepted]
    pay_by_hand(desk, documents[0])  # an answer was lost long ago, accounting posted and paid what it had written
    first = next(iter(desk.exported()))
    desk.clock.advance(days=1)
    pay_by_hand(desk, {**documents[1], "Invoice_Number": "TYPED-1", "Remarks": ""})
    desk.pay()
    assert issued(desk) == {}
    desk.clock.advance(days=1)
    desk.night()

    assert issued(desk) == {first: [due(desk, first)]}
    assert desk.states()[first] == "PAID"


def pay_by_hand(desk: Desk, document: dict[str, Any]) -> None:
    """Accounting enters an invoice, posts it and pays it."""
    desk.enter(document)
    desk.post()
    body = {"vendor_code": document["Vendor_Code"], "applications": [{"invoice_number": document["Invoice_Number"]}]}
    desk.play("spectrum", "checks", body)


@ON_BOTH_DATABASES
def test_those_that_write_payments_at_the_same_time_write_each_once(desk: Desk):
    ours = exported(desk)
    desk.cut_check(ours)

    def pay(_: int) -> None:
        with opening.open_ledger() as ledger, opening.open_erp() as erp, opening.open_procore() as procore:
            collection.collect(ledger, erp, desk.clock, NIGHT)
            observation.observe(ledger, erp, desk.clock, NIGHT)
            assert write(ledger, procore, desk.clock).problems == ()

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
    with opening.open_ledger() as ledger, opening.open_procore() as procore:
        return write(ledger, procore, clock)


def collected(desk: Desk) -> list[int]:
    """Pay three invoices in the ERP and take that over; Procore is not told yet."""
    ours = exported(desk)
    desk.cut_check(ours)
    assert collection.collect(desk.ledger, desk.erp, desk.clock, NIGHT).new == 3
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


def test_an_invoice_that_is_gone_in_two_looks_is_gone_and_never_exported_again(desk: Desk):
    ours = exported(desk, is_posted=False)
    delete(desk, ours[0])
    desk.pay()
    assert desk.states()[ours[0]] == "EXPORTED"
    desk.clock.advance(seconds=119)
    desk.pay()
    assert desk.states()[ours[0]] == "EXPORTED"
    desk.clock.advance(seconds=2)
    desk.pay()
    assert desk.states()[ours[0]] == "GONE"
    desk.clock.advance(days=8)
    desk.edit(ours[-1], billing_date="2026-03-02")
    desk.night()
    desk.night()

    assert desk.states()[ours[0]] == "GONE"
    assert ours[0] not in desk.exported()
    project_id = desk.item(ours[0]).project_id
    [answer] = send.send(desk.ledger, desk.terms, project_id, [ours[0]], Signature(SENDER), desk.clock)
    assert answer.reason == "it was sent before and is GONE"


def delete(desk: Desk, invoice_id: int) -> dict[str, Any]:
    row = desk.exported()[invoice_id]
    body = {"vendor_code": row["Vendor_Code"], "invoice_number": row["Invoice_Number"]}
    desk.play("spectrum", "invoices/delete", body)
    return row


def test_an_invoice_that_is_seen_again_after_one_look_was_never_gone(desk: Desk):
    ours = exported(desk, is_posted=False)
    row = delete(desk, ours[0])
    desk.pay()
    enter_again(desk, row)
    desk.pay()
    delete(desk, ours[0])
    desk.clock.advance(seconds=121)
    desk.pay()

    assert desk.states()[ours[0]] == "EXPORTED"  # this was the first look of a new count


def enter_again(desk: Desk, row: dict[str, Any]) -> None:
    desk.enter(erp_document(row) | {"Invoice_Number": row["Invoice_Number"], "Remarks": row["Remarks"]})


def test_what_was_gone_and_is_seen_again_is_back(desk: Desk):
    ours = exported(desk, is_posted=False)
    row = delete(desk, ours[0])
    desk.pay()
    desk.clock.advance(seconds=121)
    desk.pay()
    assert desk.states()[ours[0]] == "GONE"
    enter_again(desk, row)
    desk.pay()

    assert desk.states()[ours[0]] == "EXPORTED"


def test_an_invoice_voided_after_posting_is_gone(desk: Desk):
    ours = exported(desk)
    row = desk.exported()[ours[0]]
    body = {"vendor_code": row["Vendor_Code"], "invoice_number": row["Invoice_Number"]}
    desk.play("spectrum", "invoices/void", body)
    desk.pay()
    desk.clock.advance(seconds=121)
    desk.pay()

    assert desk.states()[ours[0]] == "GONE"
    assert desk.audit() == []


def test_a_joint_check_is_one_payment_whose_note_names_the_other_payee(desk: Desk):
    [first, *_] = exported(desk)
    desk.cut_check([first], {"joint_payee": "Tri-County Supply"})
    desk.pay()
    [payment] = desk.payments_issued()

    assert issued(desk) == {first: [due(desk, first)]}
    assert "Joint check with Tri-County Supply." in payment["notes"]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("Payment_Amount", "100.005", "a part of the smallest unit"), ("Check_Date", None, "is unreadable")],
)
def test_a_payment_that_cannot_be_right_is_told_every_night_and_takes_no_other_with_it(
    desk: Desk, column: str, value: str | None, words: str
):
    [first, second, *_] = exported(desk)
    wrong = desk.cut_check([first])["check_number"]
    desk.cut_check([second])
    before = in_spectrum(desk, f"SELECT {column} FROM VN_PAYMENT_HISTORY WHERE trim(Check_Number) = ?", wrong)
    in_spectrum(desk, f"UPDATE VN_PAYMENT_HISTORY SET {column} = ? WHERE trim(Check_Number) = ?", value, wrong)
    for _ in range(2):
        [told] = collection.collect(desk.ledger, desk.erp, desk.clock, NIGHT).not_shown
        assert words in told
    desk.pay()
    assert issued(desk) == {second: [due(desk, second)]}

    in_spectrum(desk, f"UPDATE VN_PAYMENT_HISTORY SET {column} = ? WHERE trim(Check_Number) = ?", before, wrong)
    desk.pay()

    assert issued(desk) == {first: [due(desk, first)], second: [due(desk, second)]}


def in_spectrum(desk: Desk, sql: str, *values: Any) -> Any:
    """Somebody works on Spectrum's database; return the first cell."""
    with sqlite3.connect(desk.folder / "spectrum.sqlite") as connection:
        found = connection.execute(sql, [str(each) if each is not None else None for each in values]).fetchone()
    return found[0] if found else None
