"""A person sends what the night does not send by itself."""

from desk import AFTER_A_NIGHT, SENDER, Desk

from tieout.decisions import send
from tieout.people.rights import Signature
from tieout.views.inquiry import timeline


def newest(desk: Desk) -> int:
    """Return the newest invoice of a commitment: a change of another one would break the one after it."""
    return max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"]


def test_only_approved_is_sent_by_the_night_and_the_other_two_by_a_person(desk: Desk):
    rows = sorted(desk.requisitions().values(), key=lambda row: row["id"])
    noted, pending, draft = (row["id"] for row in rows[:3])
    for invoice_id, status in ((noted, "approved_as_noted"), (pending, "pending_owner_approval"), (draft, "draft")):
        desk.set_status(invoice_id, status)
    desk.night()
    assert set(desk.states()) == {row["id"] for row in rows[3:]}

    [project_id] = {rows[at]["project_id"] for at in range(3)}
    basis = desk.basis
    answers = send.send(desk.ledger, basis, project_id, [noted, pending, draft, 1], Signature(SENDER), desk.office)

    assert {each.invoice_id: each.outcome for each in answers} == {
        noted: "READY",
        pending: "READY",
        draft: "refused",
        1: "refused",
    }
    assert "its status is draft" in next(each.reason for each in answers if each.invoice_id == draft)
    assert {desk.states()[each] for each in (noted, pending)} == {"READY"}
    assert [each.actor for each in timeline(desk.ledger, desk.item(noted))] == ["Pat Lee"]
    again = send.send(desk.ledger, basis, project_id, [noted], Signature(SENDER), desk.office)
    assert [(each.outcome, each.reason) for each in again] == [("refused", "it was sent before and is READY")]


def test_a_person_sends_all_that_may_be_sent(desk: Desk):
    desk.set("policy", auto_send_statuses="[]")
    desk.night()
    assert desk.items() == []
    project_id = desk.projects[0]
    answers = send.send(desk.ledger, desk.basis, project_id, None, Signature(SENDER), desk.office)

    assert {each.outcome for each in answers} == {"READY"}
    assert len(answers) == sum(row["project_id"] == project_id for row in desk.requisitions().values())


@AFTER_A_NIGHT
def test_a_person_sends_again_what_was_taken_back(desk: Desk):
    desk.night()
    back = newest(desk)
    desk.set_status(back, "draft")
    desk.night()
    desk.set_status(back, "approved")
    desk.read()
    [answer] = send.send(desk.ledger, desk.basis, desk.item(back).project_id, [back], Signature(SENDER), desk.office)

    assert answer.outcome == "READY"
    assert desk.item(back).revision == 2
