"""An invoice is told of the others: the same number, the same bill, the one that should go first."""

from decimal import Decimal
from typing import Any

from desk import Desk
from ledgers import ON_BOTH_DATABASES

from tieout.judgement import batch

pytestmark = ON_BOTH_DATABASES


def months(desk: Desk) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two newest invoices of a commitment."""
    rows = {row["id"]: row for row in desk.requisitions().values()}
    later = max(rows.values(), key=lambda row: (row["number"], row["id"]))
    newest = desk.requisition(later["id"])
    return desk.requisition(newest["previous_requisition_id"]), newest


def told(desk: Desk, invoice_id: int) -> dict[str, str]:
    return {each.rule: each.message for each in desk.item(invoice_id).reasons}


def billed(requisition: dict[str, Any]) -> Decimal:
    return sum((Decimal(item["gross_amount"]) for item in requisition["items"]), Decimal(0))


def test_two_vendors_of_procore_that_are_one_in_the_erp_do_not_share_a_number(desk: Desk):
    rows = [desk.requisition(each) for each in sorted(desk.requisitions())]
    first = rows[0]
    other = next(row for row in rows if row["vendor_id"] != first["vendor_id"])
    desk.edit(other["id"], invoice_number=first["invoice_number"].lower())
    desk.night()
    assert "number-duplicate-in-erp" not in told(desk, other["id"])

    vendors = {each.vendor_id_procore: each.erp_code for each in desk.basis.vendors}
    codes = {row["procore"]: row["erp"] for row in desk.contractor.mapping_rows if row["kind"] == "vendor"}
    code = vendors[first["vendor_id"]] or codes[str(first["vendor_id"])]
    desk.play("procore", f"vendors/{other['vendor_id']}", {"origin_code": code, "origin_id": code})
    desk.clock.advance(days=1)
    desk.night()

    assert f"(id {first['id']})" in told(desk, other["id"])["number-duplicate-in-erp"]
    assert "number-duplicate-in-erp" not in told(desk, first["id"])


def test_the_same_amount_for_the_same_period_is_warned_of(desk: Desk):
    first, second = months(desk)
    desk.edit(second["id"], requisition_start=first["requisition_start"], requisition_end=first["requisition_end"])
    desk.night()
    assert "billed-twice" not in told(desk, second["id"])

    desk.bill_more(second["id"], str(billed(first) - billed(second)))
    desk.night()

    assert f"invoice {first['invoice_number']} (id {first['id']})" in told(desk, second["id"])["billed-twice"]
    assert "billed-twice" not in told(desk, first["id"])


def test_an_invoice_is_warned_of_when_the_one_before_it_is_held(desk: Desk):
    first, second = months(desk)
    desk.edit(first["id"], invoice_number="")
    desk.night()
    assert desk.item(first["id"]).state == "HELD"
    assert f"invoice without a number (id {first['id']}) is HELD" in told(desk, second["id"])["sequence"]
    assert desk.item(second["id"]).state == "READY"

    desk.edit(first["id"], invoice_number=first["invoice_number"])
    desk.night()
    batch.rejudge_one(desk.ledger, desk.basis, second["id"], desk.office)

    assert told(desk, second["id"]) == {}


def test_an_invoice_is_warned_of_when_the_one_before_it_was_never_sent(desk: Desk):
    first, second = months(desk)
    desk.set_status(first["id"], "draft")
    desk.night()

    assert f"(id {first['id']}) is not sent, and draft in Procore" in told(desk, second["id"])["sequence"]
