"""An approver cuts the tie to what is gone from the ERP. Counted in Spectrum's tables."""

from decimal import Decimal
from typing import Any

import pytest
from desk import AFTER_AN_EXPORT, APPROVER, SENDER, Desk, of_ours

from tieout.decisions import answers, settle
from tieout.decisions.send import send as send_invoices
from tieout.decisions.unlink import unlink as unlink_invoice
from tieout.errors import RefusedError
from tieout.export import observation
from tieout.ledger.intents import Intent, live_intents
from tieout.ledger.items import Item
from tieout.payments import collection
from tieout.people.rights import Signature
from tieout.views.inquiry import timeline

RUN = "run-1"


def words(desk: Desk, invoice_id: int) -> str:
    return settle.how_it_stands(desk.ledger, desk.erp, desk.item(invoice_id))


def gone(desk: Desk, how: str = "delete") -> tuple[int, dict[str, Any]]:
    """Export everything and have one AP invoice deleted or voided; return the invoice and its row."""
    desk.export_everything()
    first, row = min(desk.exported().items())
    if how == "void":
        desk.post([first])
    desk.act_on(row, how)
    for _ in range(2):
        desk.pay()
        desk.clock.advance(minutes=10)
    assert desk.states()[first] == "GONE"
    return first, row


def unlink(desk: Desk, invoice_id: int, by: str = APPROVER, reason: str = "billed twice") -> Item:
    company_id = desk.contractor.company_id
    unlink_invoice(desk.ledger, company_id, invoice_id, Signature(by), reason, RUN, desk.office)
    return desk.item(invoice_id)


def send(desk: Desk, invoice_id: int) -> answers.Answer:
    project_id = desk.item(invoice_id).project_id
    [answer] = send_invoices(desk.ledger, desk.basis, project_id, [invoice_id], Signature(SENDER), desk.office)
    return answer


@AFTER_AN_EXPORT
def test_an_unlinked_one_is_editable_in_procore_and_no_night_sends_it(desk: Desk):
    first, _ = gone(desk)
    item = unlink(desk, first)
    assert (item.state, item.document_id_erp) == ("UNLINKED", None)
    for _ in range(2):
        desk.clock.advance(days=8)
        desk.night()
    shown = desk.requisition(first)

    assert desk.states()[first] == "UNLINKED"
    assert (shown["origin_id"], shown["origin_data"]) == (None, None)
    assert of_ours(desk, first) == []
    [unlinked] = [each for each in timeline(desk.ledger, item) if each.kind == "unlinked"]
    assert (unlinked.actor, unlinked.facts["reason"]) == (APPROVER, "billed twice")
    assert desk.audit() == []


@AFTER_AN_EXPORT
def test_an_unlinked_one_that_a_person_sends_again_becomes_one_ap_invoice(desk: Desk):
    first, row = gone(desk)
    unlink(desk, first)
    assert send(desk, first).outcome == "READY"
    desk.accept()
    for _ in range(2):
        desk.night()
    [again] = of_ours(desk, first)

    assert (desk.states()[first], desk.item(first).revision) == ("EXPORTED", 2)
    assert again["Invoice_Number"] == row["Invoice_Number"]
    assert again["Document_ID"] == desk.item(first).document_id_erp != row["Document_ID"]
    assert desk.audit() == []


@AFTER_AN_EXPORT
def test_an_unlinked_one_that_accounting_restores_is_found_and_not_doubled(desk: Desk):
    first, _ = gone(desk)
    unlink(desk, first)
    send(desk, first)
    desk.accept()
    payload = desk.payload(first)
    desk.enter(payload)
    desk.night()
    [there] = of_ours(desk, first)

    assert desk.item(first).document_id_erp == there["Document_ID"]
    assert desk.states()[first] == "EXPORTED"


@AFTER_AN_EXPORT
def test_a_voided_one_is_corrected_in_procore_and_goes_out_once_more_after_a_new_acceptance(desk: Desk):
    first, _ = gone(desk, "void")
    unlink(desk, first)
    desk.deliver()
    desk.edit(first, invoice_number="RIGHT-1")
    desk.night()
    assert desk.states()[first] == "READY"  # its content changed, so the night offers it
    desk.accept()
    desk.night()

    assert desk.states()[first] == "EXPORTED"
    assert [each["Invoice_Number"].strip() for each in of_ours(desk, first)] == ["RIGHT-1"]


@AFTER_AN_EXPORT
def test_a_voided_one_that_is_sent_under_its_old_number_says_that_the_number_stays_taken(desk: Desk):
    first, _ = gone(desk, "void")
    unlink(desk, first)
    send(desk, first)
    desk.accept()
    desk.night()
    item = desk.item(first)

    assert (item.state, item.cause) == ("FAILED", "already-in-erp")
    assert "void" in item.reasons[0].message
    assert "a different number in Procore" in item.reasons[0].remedy


@AFTER_AN_EXPORT
@pytest.mark.parametrize(
    ("by", "reason", "why"),
    [(SENDER, "billed twice", "Can Push to Accounting are missing"), (APPROVER, " ", "a reason is needed")],
)
def test_who_may_not_unlink_or_gives_no_reason_is_refused(desk: Desk, by: str, reason: str, why: str):
    first, _ = gone(desk)
    with pytest.raises(RefusedError, match=why):
        unlink(desk, first, by, reason)

    assert desk.states()[first] == "GONE"


@AFTER_AN_EXPORT
def test_what_is_still_there_or_was_missed_once_only_is_not_unlinked(desk: Desk):
    desk.export_everything()
    first, row = min(desk.exported().items())
    with pytest.raises(RefusedError, match="it is EXPORTED; only what is GONE"):
        unlink(desk, first)
    desk.act_on(row, "delete")
    observation.observe(desk.ledger, desk.erp, desk.office, [first])
    with pytest.raises(RefusedError, match="it is EXPORTED; only what is GONE"):
        unlink(desk, first)
    again = (desk.clock() + desk.erp.capabilities.settles_within).strftime("%H:%M")

    assert f"a second look after 2026-03-04 {again} UTC decides" in words(desk, first)


@AFTER_AN_EXPORT
def test_one_on_which_a_payment_stands_is_not_unlinked_before_that_is_voided(desk: Desk):
    desk.export_everything()
    first, row = min(desk.exported().items())
    desk.post([first])
    check = desk.cut_check([first])
    desk.pay()
    paid = sum(Decimal(each["amount"]) for each in desk.payments_issued())
    desk.void_check(check["check_number"])
    desk.act_on(row, "void")
    for _ in range(2):
        observation.observe(desk.ledger, desk.erp, desk.office, [first])
        desk.clock.advance(minutes=10)
    assert desk.states()[first] == "GONE"
    with pytest.raises(RefusedError, match="was paid on it and is not voided") as refused:
        unlink(desk, first)

    assert f"${paid:,.2f}" in str(refused.value)
    desk.pay()
    unlink(desk, first)

    assert desk.states()[first] == "UNLINKED"
    assert [Decimal(each["amount"]) for each in desk.payments_issued()] == [paid, -paid]


@AFTER_AN_EXPORT
def test_a_payment_of_what_was_unlinked_is_not_written_to_procore(desk: Desk):
    first, row = gone(desk)
    [payload] = [desk.erp.preview(each.voucher) for each in links(desk, first)]
    unlink(desk, first)
    desk.enter({**payload, "Remarks": "typed by hand"})
    who = [row["Vendor_Code"], row["Invoice_Number"]]
    desk.play("spectrum", "post", {"invoices": [who]})
    desk.play("spectrum", "checks", {"vendor_code": who[0], "applications": [{"invoice_number": who[1]}]})
    [told] = collection.collect(desk.ledger, desk.erp, desk.office).not_shown
    for _ in range(2):
        desk.night()

    assert f"is on invoice {desk.item(first).number}, which is UNLINKED: tieout does not show it in Procore" in told
    assert desk.payments_issued() == []
    assert desk.item(first).settled_minor == 0


def links(desk: Desk, invoice_id: int) -> list[Intent]:
    with desk.ledger.reading() as connection:
        return list(live_intents(connection, [desk.item(invoice_id)]).values())
