"""What was changed in Procore after an invoice was sent is shown, asked about and judged again, never exported."""

from decimal import Decimal

import pytest
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, APPROVER, SENDER, Desk
from ledgers import ON_BOTH_DATABASES

from data_contracts.forms import RefreshAnswer
from tieout.decisions import refresh
from tieout.decisions.refresh import Change
from tieout.intake import invoices
from tieout.ledger.reviews import read_review
from tieout.people.rights import Signature
from tieout.views import refresh_form

RUN = "run-1"


def newest(desk: Desk) -> int:
    """Return the newest invoice of a commitment: a change of another one would break the one after it."""
    return int(max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))["id"])


def look(desk: Desk, invoice_id: int) -> Change | None:
    """What the flow does before it asks."""
    invoices.refetch_one(desk.ledger, desk.procore, invoice_id, desk.office)
    return refresh.compare(desk.ledger, desk.erp.capabilities, desk.contractor.company_id, invoice_id)


def changed(desk: Desk, invoice_id: int) -> Change:
    change = look(desk, invoice_id)
    assert change
    return change


def answer(desk: Desk, change: Change, decision: str = "apply", by: str = APPROVER) -> list[str]:
    given = RefreshAnswer(decided_by=by, decision=decision)
    return refresh.apply(desk.ledger, desk.erp, desk.basis, change, given, Signature(by), RUN, desk.office)


@ON_BOTH_DATABASES
@AFTER_A_NIGHT
def test_a_changed_invoice_that_was_accepted_waits_for_a_new_acceptance(desk: Desk):
    first = newest(desk)
    desk.accept()
    before = desk.item(first)
    assert look(desk, first) is None
    desk.bill_more(first, "100.00")
    change = changed(desk, first)
    text = refresh_form.description(change, ["a name"])

    assert f"| gross | ${before.gross:,.2f} | ${before.gross + 100:,.2f} |" in text
    assert "work this period" in text
    assert text.startswith("**Please answer again:** a name.")
    assert answer(desk, change) == []
    item = desk.item(first)
    assert (item.state, item.revision, item.gross) == ("READY", before.revision + 1, before.gross + 100)
    done = refresh.refreshed(desk.ledger, item, RUN)
    assert done
    assert (done.actor, done.kind, done.before) == (APPROVER, "changed", "ACCEPTED")
    desk.export()
    assert first not in desk.exported()
    assert desk.audit() == []


@AFTER_A_NIGHT
def test_who_may_not_decide_changes_nothing_and_leaving_it_neither(desk: Desk):
    first = newest(desk)
    desk.bill_more(first)
    change, before = changed(desk, first), desk.item(first)

    [problem] = answer(desk, change, by=SENDER)
    assert "Can Push to Accounting" in problem
    [problem] = answer(desk, change, decision="perhaps")
    assert "apply or leave" in problem
    assert answer(desk, change, decision=" Leave ") == []
    assert desk.item(first) == before


@AFTER_A_NIGHT
def test_an_answer_counts_only_for_what_was_shown(desk: Desk):
    first = newest(desk)
    desk.bill_more(first)
    asked = changed(desk, first)
    assert changed(desk, first).question == asked.question
    desk.bill_more(first)

    assert changed(desk, first).question != asked.question


@AFTER_A_NIGHT
def test_what_can_no_longer_be_sent_is_shown_and_taken_back(desk: Desk):
    first = newest(desk)
    desk.set_status(first, "draft")
    change = changed(desk, first)
    assert change.differences == {"status": ("could be sent", "draft")}
    assert answer(desk, change) == []

    assert desk.item(first).state == "RETRIEVED"
    assert refresh.refreshed(desk.ledger, desk.item(first), RUN)


@ON_BOTH_DATABASES
@AFTER_AN_EXPORT
def test_what_the_erp_holds_is_refused_with_what_to_do(desk: Desk):
    exported = newest(desk)
    desk.bill_more(exported)
    unposted = changed(desk, exported).refusal
    document = desk.item(exported).document_id_erp
    desk.post([exported])
    desk.pay()
    posted = changed(desk, exported).refusal
    desk.cut_check([exported])
    desk.pay()

    assert f"delete document {document} under {desk.erp.capabilities.menu_path}, run unlink-invoice" in unposted
    assert "send-invoices" in unposted
    assert "It is posted in Spectrum" in posted
    assert "acknowledge-drift" in posted
    assert changed(desk, exported).refusal == posted
    assert desk.item(exported).state == "PAID"


@AFTER_A_NIGHT
def test_what_is_uncertain_or_taken_back_is_refused(desk: Desk):
    first = newest(desk)
    desk.accept()
    desk.fault("spectrum", "POST /vendor/invoice", "reset_before")
    desk.export()
    desk.bill_more(first)

    assert "settle-uncertain" in changed(desk, first).refusal


def figures_moved(desk: Desk) -> tuple[int, int]:
    """Accept everything, and have retainage corrected on an invoice on which another builds; return that and this."""
    desk.night()
    desk.accept()
    numbers = {(row["commitment_id"], row["number"]): int(row["id"]) for row in desk.requisitions().values()}
    later, earlier = next(
        (numbers[key], numbers[key[0], key[1] - 1]) for key in sorted(numbers) if (key[0], key[1] - 1) in numbers
    )
    store(desk, earlier, "50.00")
    desk.read()
    desk.export()
    return later, earlier


def store(desk: Desk, invoice_id: int, amount: str) -> None:
    """Have materials stored on the first line, all of them retained: what was earned less retainage stays."""
    item = desk.requisition(invoice_id)["items"][0]
    name = "line_item_id" if item.get("line_item_id") else "id"
    stored = {"materials_presently_stored": amount, "materials_stored_retainage_currently_retained": amount}
    desk.edit(invoice_id, items=[{name: item[name], **stored}])


@ON_BOTH_DATABASES
@pytest.mark.sandbox(invoices=12)
def test_figures_that_moved_with_the_invoice_before_are_shown_and_judged_again(desk: Desk):
    later, earlier = figures_moved(desk)
    failed = desk.item(later)
    assert (failed.state, failed.cause) == ("FAILED", "figures-moved")
    assert "run refresh-invoice with company" in failed.reasons[0].remedy
    desk.judge()
    offered = desk.offer(failed.project_id)
    assert offered

    change = changed(desk, later)
    text = refresh_form.description(change)
    was, is_ = change.figures["retention held"]
    assert (change.differences, "the previous invoice on the commitment was" in text) == ({}, True)
    assert was == f"${failed.held:,.2f}" != is_
    assert f"| retention held | {was} | {is_} |" in text
    assert answer(desk, change) == []
    held = desk.item(later)
    assert (held.state, held.cause, f"${held.held:,.2f}") == ("HELD", "continues-previous", is_)
    assert held.content_hash == failed.content_hash
    with desk.ledger.reading() as connection:
        review = read_review(connection, offered.run_id)
    assert review
    assert (review.is_open, review.outcome) == (False, "superseded")  # it could offer the same content at other figures

    store(desk, earlier, "0.00")
    desk.read()
    assert answer(desk, changed(desk, later)) == []
    again = desk.item(later)
    assert (again.state, again.revision, again.held) == ("READY", failed.revision + 1, failed.held)
    assert look(desk, later) is None
    desk.accept()
    desk.export()
    assert Decimal(desk.exported()[later]["Invoice_Amount"]) == again.gross
    assert desk.audit() == []
