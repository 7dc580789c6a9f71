"""A change made in Procore reaches an unposted AP invoice where the ERP lets one be changed, once and never blindly.

No such ERP is at hand as a stand-in, so here Spectrum's is one: its own people make the change at their screen.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from desk import AFTER_AN_EXPORT, APPROVER, SENDER, Desk, Killed
from ledgers import ON_BOTH_DATABASES

from data_contracts.voucher import Created, Outcome, Refused, Voucher
from tieout.connectors import spectrum
from tieout.decisions import refresh
from tieout.decisions.refresh import Change
from tieout.errors import TransientError, UnconfirmedError
from tieout.export import amendment
from tieout.views import refresh_form

Trouble = Callable[[], None]


class Amendable(spectrum.Connector):
    """Spectrum as it would be if it took changes; what happens before and after one arrives is played by the test."""

    edit: Callable[..., Any]
    before: Trouble | None = None
    after: Trouble | None = None
    asked = 0

    def update(self, voucher: Voucher) -> Outcome:
        self.asked += 1
        self._happen("before")
        [there] = self.find([voucher])[voucher.key]
        if there.state != "unposted":
            return Refused(key=voucher.key, reasons=(f"it is {there.state}",))
        fields = {"Invoice_Amount": str(voucher.gross), "Retention_Amount": str(voucher.retention)}
        which = {"vendor_code": there.vendor_erp, "invoice_number": there.invoice_number}
        self.edit("spectrum", "invoices/edit", {**which, "fields": fields})
        self._happen("after")
        return Created(key=voucher.key, document_id_erp=there.document_id_erp)

    def _happen(self, when: str) -> None:
        trouble = getattr(self, when)
        setattr(self, when, None)
        if trouble:
            trouble()


@pytest.fixture
def erp(desk: Desk) -> Amendable:
    connector = Amendable(desk.erp.settings, desk.clock)  # type: ignore[attr-defined] # which is Spectrum's
    connector.capabilities = connector.capabilities.model_copy(update={"update": True})
    connector.edit = desk.play
    desk._open["erp"] = connector
    return connector


def lose() -> None:
    raise UnconfirmedError("Spectrum", "an invoice", "the answer was lost")


def fail() -> None:
    raise TransientError("Spectrum", "an invoice", "no connection")


def die() -> None:
    raise Killed


def changed(desk: Desk) -> Change:
    """Have the newest invoice of a commitment billed higher, and see what differs."""
    newest = max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))
    desk.bill_more(newest["id"], "100.00")
    return desk.see_change(newest["id"])


def in_erp(desk: Desk, change: Change) -> Decimal:
    return Decimal(desk.exported()[change.item.invoice_id]["Invoice_Amount"])


def is_as_in_procore(desk: Desk, change: Change) -> bool:
    """Whether the ERP holds it once at the new amount, the ledger says so, and nothing differs any more."""
    desk.night()
    item, gross = desk.item(change.item.invoice_id), change.item.gross + 100
    assert desk.audit() == []
    return (in_erp(desk, change), item.gross, item.state, item.drift) == (gross, gross, "EXPORTED", "[]")


@ON_BOTH_DATABASES
@AFTER_AN_EXPORT
def test_what_an_approver_takes_over_is_changed_in_the_erp_and_paid_at_its_new_amount(desk: Desk, erp: Amendable):
    change = changed(desk)
    assert change.refusal == ""
    assert "**apply**: the unposted invoice in Spectrum becomes" in refresh_form.description(change)
    batch = desk.item(change.item.invoice_id).batch_code

    assert desk.take_over(change) == desk.take_over(change) == []  # the step may be tried again
    assert is_as_in_procore(desk, change)
    item = desk.item(change.item.invoice_id)
    assert (erp.asked, item.batch_code, item.document_id_erp) == (1, batch, change.item.document_id_erp)
    done = refresh.refreshed(desk.ledger, item, "run-1")
    assert done
    assert (done.actor, done.facts["right"]) == (APPROVER, "accounting approver")

    desk.post([item.invoice_id])
    desk.cut_check([item.invoice_id])
    desk.pay()
    assert desk.item(item.invoice_id).state == "PAID"
    assert desk.audit() == []


@AFTER_AN_EXPORT
@pytest.mark.parametrize(("when", "trouble", "times"), [("before", fail, 2), ("before", lose, 2), ("after", lose, 1)])
def test_a_lost_answer_is_looked_for_and_what_did_not_arrive_is_sent_again(
    desk: Desk, erp: Amendable, when: str, trouble: Trouble, times: int
):
    change = changed(desk)
    setattr(erp, when, trouble)
    try:
        assert desk.take_over(change) == []
    except (TransientError, UnconfirmedError):
        assert desk.take_over(change) == []  # the task is tried again

    assert erp.asked == times
    assert is_as_in_procore(desk, change)


@ON_BOTH_DATABASES
@AFTER_AN_EXPORT
def test_a_change_whose_sender_died_is_found_or_given_up_after_a_while(desk: Desk, erp: Amendable):
    change = changed(desk)
    erp.before = die
    with pytest.raises(Killed):
        desk.take_over(change)
    assert amendment.settle(desk.ledger, erp, desk.office) == 0
    again = desk.see_change(change.item.invoice_id)
    assert desk.take_over(again, "run-2") == [
        "another change of it is on its way to the ERP; answer again in a few minutes"
    ]
    desk.clock.advance(minutes=30)
    erp.after = die
    with pytest.raises(Killed):
        desk.take_over(desk.see_change(change.item.invoice_id), "run-3")

    assert amendment.settle(desk.ledger, erp, desk.office) == 1
    assert (erp.asked, in_erp(desk, change)) == (2, change.item.gross + 100)
    assert refresh.refreshed(desk.ledger, change.item, "run-3")
    assert is_as_in_procore(desk, change)


@AFTER_AN_EXPORT
def test_what_was_changed_or_posted_in_the_erp_meanwhile_is_not_overwritten(desk: Desk, erp: Amendable):
    change = changed(desk)
    row = desk.exported()[change.item.invoice_id]
    desk.act_on(row, "edit", fields={"Invoice_Amount": "77.00"})
    [problem] = desk.take_over(change)
    assert "no longer shows it unposted and as it was exported" in problem
    desk.act_on(row, "edit", fields={"Invoice_Amount": str(change.item.gross)})
    desk.post([change.item.invoice_id])
    assert desk.take_over(change) == [problem]

    assert (erp.asked, in_erp(desk, change)) == (0, change.item.gross)


@AFTER_AN_EXPORT
def test_who_may_not_decide_and_what_breaks_a_rule_change_nothing(desk: Desk, erp: Amendable):
    change = changed(desk)
    [problem] = desk.take_over(change, by=SENDER)
    assert "Can Push to Accounting" in problem
    row = desk.exported()[change.item.invoice_id]
    desk.play("spectrum", "vendors", {"code": row["Vendor_Code"].strip(), "status": "N"})
    desk.read()
    [problem] = desk.take_over(desk.see_change(change.item.invoice_id))
    assert "Activate vendor" in problem

    assert (erp.asked, in_erp(desk, change)) == (0, change.item.gross)


@AFTER_AN_EXPORT
def test_a_refusal_of_the_erp_is_told_and_leaves_it_as_it_was(desk: Desk, erp: Amendable):
    change = changed(desk)
    erp.before = lambda: desk.post([change.item.invoice_id])  # in the very last moment

    assert desk.take_over(change) == ["Spectrum refuses it: it is posted"]
    desk.night()
    item = desk.item(change.item.invoice_id)
    assert (item.state, item.gross, in_erp(desk, change)) == ("POSTED", change.item.gross, change.item.gross)
    assert "changed-in-procore" in item.drift
    assert desk.audit() == []
