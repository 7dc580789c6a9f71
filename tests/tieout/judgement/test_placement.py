"""An invoice is sent or held by its rules, and moves again when it changes in Procore."""

import pytest
from desk import AFTER_A_NIGHT, Desk

from tieout.outbox import letters
from tieout.views.inquiry import timeline

NOT_EXPORTABLE = {"purchase-order", "release-only"}
DUPLICATE = "number-duplicate"
KNOWN_TO_THE_ERP_ONLY = "already-in-erp"


def newest(desk: Desk) -> int:
    """Return the newest invoice of a commitment: a change of another one would break the one after it."""
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


@pytest.mark.sandbox(projects=4, invoices=60, troubles=True, lines=None)
def test_each_trouble_ends_where_its_rule_says_and_all_the_others_are_exported(desk: Desk):
    troubles = desk.contractor.troubles
    labels = {key: label for key, label in troubles.items() if label not in (DUPLICATE, KNOWN_TO_THE_ERP_ONLY)}
    desk.night()
    judged = {item.invoice_id: item for item in desk.items()}
    assert {key: judged[key].cause for key in labels} == labels
    assert {key: judged[key].state for key in labels} == {
        key: "NOT_EXPORTABLE" if label in NOT_EXPORTABLE else "HELD" for key, label in labels.items()
    }
    assert all(item.reasons[0].remedy and item.reasons[0].message for item in judged.values() if item.state == "HELD")

    pairs = [key for key, label in troubles.items() if label == DUPLICATE]
    assert [judged[key].state for key in sorted(pairs)] == ["READY", "HELD"] * (len(pairs) // 2)

    accepted = desk.accept()
    sent = {row["id"] for row in desk.requisitions().values() if row["status"] == "approved"} - set(labels)
    assert set(accepted) == sent - set(pairs[1::2])

    desk.night()
    in_erp_before = {key for key, label in troubles.items() if label == KNOWN_TO_THE_ERP_ONLY}
    assert {desk.item(key).cause for key in in_erp_before} == {KNOWN_TO_THE_ERP_ONLY}
    assert set(desk.exported()) == set(accepted) - in_erp_before
    assert {item.invoice_id for item in desk.items("FAILED")} == in_erp_before
    assert desk.audit() == []


@AFTER_A_NIGHT
def test_a_line_that_its_reviewer_rejected_in_procore_is_not_paid_though_the_invoice_is_approved(desk: Desk):
    ready = desk.items("READY")[0]
    billed = next(
        each for each in desk.requisition(ready.invoice_id)["items"] if float(each["work_completed_this_period"])
    )
    line = {"line_item_id": billed["line_item_id"]} if billed["line_item_id"] else {"id": billed["id"]}
    desk.edit(ready.invoice_id, items=[line | {"status": "rejected"}])
    desk.night()
    held = desk.item(ready.invoice_id)
    assert (held.state, held.cause) == ("HELD", "line-rejected")
    assert f'"{billed["description_of_work"]}"' in held.reasons[0].message

    desk.edit(ready.invoice_id, items=[line | {"status": "approved"}])
    desk.night()
    assert desk.states()[ready.invoice_id] == "READY"


@AFTER_A_NIGHT
@pytest.mark.parametrize("state", ["READY", "ACCEPTED"])
def test_what_is_no_longer_approved_is_taken_back_and_can_be_edited(desk: Desk, state: str):
    desk.night()
    if state == "ACCEPTED":
        desk.accept()
    back = newest(desk)
    assert desk.requisition(back)["origin_id"]
    desk.set_status(back, "revise_and_resubmit")
    desk.night()

    assert desk.item(back).state == "RETRIEVED"
    assert back not in desk.exported()
    assert desk.requisition(back)["origin_id"] is None


@AFTER_A_NIGHT
def test_what_was_taken_back_is_sent_again_by_the_night_only_when_it_was_changed(desk: Desk):
    desk.night()
    back = newest(desk)
    desk.set_status(back, "draft")
    desk.night()
    desk.set_status(back, "approved")
    desk.night()
    assert desk.item(back).state == "RETRIEVED"

    desk.bill_more(back)
    desk.night()
    item = desk.item(back)
    assert (item.state, item.revision) == ("READY", 2)


@AFTER_A_NIGHT
def test_a_change_before_the_decision_is_offered_anew(desk: Desk):
    desk.night()
    changed = newest(desk)
    before = desk.item(changed)
    desk.bill_more(changed, "300.00")
    desk.night()
    after = desk.item(changed)

    assert (after.state, after.revision, after.gross) == ("READY", 2, before.gross + 300)


@AFTER_A_NIGHT
def test_a_change_that_breaks_a_rule_holds_what_was_ready_and_unlocks_it(desk: Desk):
    desk.night()
    changed = newest(desk)
    desk.edit(changed, invoice_number="")
    desk.night()
    held = desk.item(changed)

    assert (held.state, held.cause) == ("HELD", "number-missing")
    assert desk.requisition(changed)["origin_id"] is None


@AFTER_A_NIGHT
def test_what_became_unreadable_is_held_and_unlocked_so_that_it_can_be_mended(desk: Desk):
    desk.night()
    broken = newest(desk)
    before = desk.item(broken)
    due = desk.requisition(broken)["summary"]
    desk.edit(broken, summary={**due, "current_payment_due": 1.5})
    desk.night()
    held = desk.item(broken)

    assert (held.state, held.cause) == ("HELD", "unreadable")
    assert "summary.current_payment_due: money must come as text" in held.reasons[0].message
    assert (held.number, held.vendor, held.commitment_id) == (before.number, before.vendor, before.commitment_id)
    assert desk.requisition(broken)["origin_id"] is None


@AFTER_A_NIGHT
def test_a_changed_status_that_may_still_be_sent_changes_nothing(desk: Desk):
    desk.night()
    noted = newest(desk)
    desk.set_status(noted, "approved_as_noted")
    desk.night()

    assert (desk.item(noted).state, desk.item(noted).revision) == ("READY", 1)


@AFTER_A_NIGHT
def test_an_invoice_deleted_in_procore_is_found_within_a_week(desk: Desk):
    desk.night()
    gone = newest(desk)
    desk.play("procore", f"requisitions/{gone}", method="DELETE")
    desk.clock.advance(days=7, minutes=1)
    desk.night()

    assert desk.item(gone).state == "RETRIEVED"


@AFTER_A_NIGHT
def test_a_policy_has_a_version_that_is_kept_with_each_decision(desk: Desk):
    desk.night()
    first = desk.basis.policy_version
    desk.set("policy", over_billing="stop")
    second = desk.basis.policy_version
    desk.set("policy", over_billing="stop")

    assert (first, second, desk.basis.policy_version) == (1, 2, 2)
    events = timeline(desk.ledger, desk.items()[0])
    assert events[0].facts["policy"] == 1


def test_what_procore_refuses_to_lock_delays_nothing_and_is_told(desk: Desk):
    desk.read()
    desk.judge()
    desk.fault("procore", "PATCH .*requisitions", "5xx_before", times=100, status=422)
    delivered = desk.deliver()
    assert len(delivered.refusals) == len(desk.items())
    assert len(letters.undelivered(desk.ledger)) == len(desk.items())
    desk.heal("procore")
    accepted = desk.accept()
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert {desk.requisition(each)["origin_id"] for each in accepted} == {
        row["Remarks"] for row in desk.exported().values()
    }
