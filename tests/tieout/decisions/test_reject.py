"""What was sent for acceptance goes back to its project: rejected by accounting with a reason, or taken back."""

import json
from uuid import uuid4

import pytest
from desk import AFTER_A_NIGHT, APPROVER, PEOPLE, SENDER, Desk
from ledgers import ON_BOTH_DATABASES

from benchmarks.post_office import PostOffice
from tieout.decisions import send
from tieout.decisions.answers import Answer
from tieout.decisions.choice import Chosen, choose
from tieout.decisions.reject import Rejected
from tieout.decisions.reject import reject as reject_invoices
from tieout.decisions.retrieve import retrieve as retrieve_invoices
from tieout.errors import RefusedError
from tieout.people.rights import Signature


def reject(desk: Desk, *invoice_ids: int, by: str = APPROVER, reason: str = "billed twice") -> Rejected:
    project_id = desk.items()[0].project_id
    chosen = invoice_ids or None
    return reject_invoices(desk.ledger, desk.erp, project_id, chosen, Signature(by), reason, str(uuid4()), desk.office)


def retrieve(desk: Desk, *invoice_ids: int) -> list[Answer]:
    project_id = desk.items()[0].project_id
    return retrieve_invoices(desk.ledger, project_id, invoice_ids or None, Signature(SENDER), "run-1", desk.office)


def is_locked(desk: Desk, invoice_id: int) -> bool:
    return desk.requisitions()[invoice_id]["origin_id"] is not None


@AFTER_A_NIGHT
@ON_BOTH_DATABASES
def test_what_is_ready_or_failed_is_rejected_unlocked_and_told_once(desk: Desk, post_office: PostOffice):
    ready = desk.items()[0]
    [answer] = reject(desk, ready.invoice_id).answers
    assert (answer.outcome, answer.is_done) == ("REJECTED", True)
    failed = fail_the_rest(desk)

    done = reject(desk)
    assert {each.invoice_id for each in done.answers} == set(failed)
    assert set(desk.states().values()) == {"REJECTED"}
    assert all(each.is_done for each in reject(desk, *failed).answers), "a step that is tried again changes nothing"
    desk.deliver()
    desk.mail()
    assert not any(is_locked(desk, each) for each in desk.states())
    assert len(post_office.taken) == len(desk.states())

    # The night sends none of them again unless it was changed; a person may.
    desk.night()
    assert set(desk.states().values()) == {"REJECTED"}
    desk.bill_more(newest(desk))
    desk.night()
    assert desk.item(newest(desk)).state in ("READY", "HELD")
    assert desk.audit() == []


def fail_the_rest(desk: Desk) -> list[int]:
    accepted = desk.accept()
    desk.play("spectrum", "vendors", [{"code": each.code, "status": "N"} for each in desk.contractor.books.vendors])
    desk.export()
    assert {desk.item(each).state for each in accepted} == {"FAILED"}
    return accepted


def newest(desk: Desk) -> int:
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


@AFTER_A_NIGHT
def test_nothing_is_rejected_without_the_right_or_a_reason(desk: Desk):
    before = desk.states()
    with pytest.raises(RefusedError, match="Can Push to Accounting"):
        reject(desk, *before, by="Pat Lee")
    with pytest.raises(RefusedError, match="a reason is needed"):
        reject(desk, *before, reason="  \n")

    assert desk.states() == before


def test_what_the_erp_may_have_is_not_rejected(desk: Desk):
    invoice_id, other, *_ = desk.lose_answers()
    [answer] = reject(desk, invoice_id).answers
    assert answer.reason == "nobody knows whether the ERP has it; settle it first"
    row = desk.arrive(invoice_id)
    desk.settle()

    assert [each.reason for each in reject(desk, invoice_id).answers] == ["it is EXPORTED"]
    assert desk.item(other).state == "UNCERTAIN"
    assert row["Invoice_Number"].strip() == desk.item(invoice_id).number_erp


@AFTER_A_NIGHT
def test_a_failed_invoice_that_the_erp_shows_under_our_key_is_not_rejected(desk: Desk):
    backup = desk.back_up()
    desk.accept()
    desk.export()
    exported = desk.exported()
    desk.set("ledger", url=backup)  # of which a night then says that its vendors are refused, as far as it knows
    desk.accept()
    desk.play("spectrum", "vendors", [{"code": each.code, "status": "N"} for each in desk.contractor.books.vendors])
    desk.read()
    desk.judge()
    [failed, *_] = desk.items("FAILED")
    [answer] = reject(desk, failed.invoice_id).answers

    document = exported[failed.invoice_id]["Document_ID"]
    assert answer.reason.startswith(f"Spectrum has it as document {document}; delete that there first")
    assert desk.item(failed.invoice_id).state == "FAILED"


@AFTER_A_NIGHT
def test_a_stranger_that_has_the_number_does_not_keep_a_failed_invoice_from_being_rejected(desk: Desk):
    invoice_id = desk.accept()[0]
    document = desk.payload(invoice_id)
    desk.enter({**document, "Remarks": "by hand", "Retention_Amount": "0.00"})
    desk.export()
    assert desk.item(invoice_id).cause == "already-in-erp"
    [answer] = reject(desk, invoice_id).answers

    assert (answer.outcome, desk.item(invoice_id).state) == ("REJECTED", "REJECTED")


@AFTER_A_NIGHT
@ON_BOTH_DATABASES
def test_what_waits_is_taken_back_and_can_be_edited_and_sent_again(desk: Desk):
    item = desk.items("READY")[0]
    assert is_locked(desk, item.invoice_id)
    assert [each.outcome for each in retrieve(desk, item.invoice_id)] == ["RETRIEVED"]
    desk.deliver()
    assert not is_locked(desk, item.invoice_id)
    desk.night()
    assert desk.item(item.invoice_id).state == "RETRIEVED"  # nothing sends it by itself

    [answer] = send.send(desk.ledger, desk.basis, item.project_id, [item.invoice_id], Signature(SENDER), desk.office)
    sent = desk.item(item.invoice_id)
    assert (answer.outcome, sent.revision, sent.sent_by) == ("READY", item.revision + 1, SENDER)
    assert [each.outcome for each in retrieve(desk)] == ["RETRIEVED"] * len(desk.states())
    assert desk.audit() == []


@AFTER_A_NIGHT
@pytest.mark.parametrize("is_told", [True, False])
def test_whoever_sent_an_invoice_is_told_of_its_rejection_too(desk: Desk, post_office: PostOffice, is_told: bool):
    desk.patch.setenv("TIEOUT_PEOPLE", json.dumps([{**each, "email": "pat@contractor.example"} for each in PEOPLE]))
    desk.set("mail", notify_sender=is_told)
    item = desk.items("READY")[0]
    retrieve(desk, item.invoice_id)
    send.send(desk.ledger, desk.basis, item.project_id, [item.invoice_id], Signature(SENDER), desk.office)
    reject(desk, item.invoice_id)
    desk.mail()

    creator = desk.requisition(item.invoice_id)["created_by"]["login"]
    assert [each["To"] for each in post_office.taken] == [creator, *(["pat@contractor.example"] if is_told else [])]


@AFTER_A_NIGHT
def test_nobody_takes_back_invoices_of_a_project_that_is_not_theirs(desk: Desk):
    with pytest.raises(RefusedError, match="may not send or retrieve invoices"):
        project_id = desk.items()[0].project_id
        retrieve_invoices(desk.ledger, project_id, None, Signature("Nobody"), "run-1", desk.office)

    assert set(desk.states().values()) == {"READY"}


@AFTER_A_NIGHT
def test_what_accounting_has_accepted_is_not_taken_back(desk: Desk):
    accepted = desk.accept()
    [answer] = retrieve(desk, accepted[0])
    assert (answer.outcome, answer.reason) == (
        "refused", "it is ACCEPTED: accounting has accepted it; only an accounting approver can reject it now",
    )  # fmt: skip
    desk.export()
    [answer] = retrieve(desk, accepted[0])
    assert answer.reason == "it is EXPORTED: it was exported"
    assert [each.reason for each in retrieve(desk, 1)] == ["it was never sent"]


@pytest.mark.sandbox(projects=2, after="night")
def test_an_invoice_is_meant_by_its_number_or_its_id(desk: Desk):
    first, *others = desk.items()
    second = next(item for item in others if item.project_id == first.project_id)
    elsewhere = next(item for item in others if item.project_id != first.project_id)
    names = [f" {first.number.lower()} ", str(second.invoice_id), "nonsense", "99", ""]
    chosen = choose(desk.ledger, first.project_id, names)

    nothing = "Procore shows no such invoice in this project"
    assert chosen == Chosen((first.invoice_id, second.invoice_id), (("nonsense", nothing), ("99", nothing)))
    assert choose(desk.ledger, elsewhere.project_id, [str(first.invoice_id)]).invoice_ids == ()


@AFTER_A_NIGHT
def test_a_number_that_two_vendors_use_is_asked_for_by_id(desk: Desk):
    first = desk.items()[0]
    second = next(item for item in desk.items() if item.vendor != first.vendor)
    desk.edit(second.invoice_id, invoice_number=first.number)
    desk.read()
    [(name, why)] = choose(desk.ledger, first.project_id, [first.number]).unclear

    assert name == first.number
    assert why.startswith("2 invoices have this number, name one by its id: ")
    for item in (first, second):
        assert f"{item.invoice_id} ({item.vendor}, " in why
