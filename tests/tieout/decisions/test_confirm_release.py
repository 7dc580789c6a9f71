"""Retention that an invoice gives back is an open task of a person until somebody says that it was done."""

from decimal import Decimal
from typing import Any

import pytest
from desk import APPROVER, SENDER, Desk, amount
from ledgers import ON_BOTH_DATABASES

from data_contracts.reference import Finding
from tieout.decisions import confirm_release
from tieout.errors import RefusedError
from tieout.export import observation
from tieout.judgement import release
from tieout.ledger.items import Item
from tieout.people.rights import Signature
from tieout.views import inquiry, standing
from tieout.views.standing import TO_RELEASE

SMALL = pytest.mark.sandbox(invoices=4, lines=2)


def newest(desk: Desk) -> dict[str, Any]:
    """Return the newest invoice of a commitment that has an earlier one."""
    found = max(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))
    return desk.requisition(found["id"])


def give_back(desk: Desk, requisition: dict[str, Any], **figures: str) -> Decimal:
    """The project gives back half of the retainage of the first line; return how much."""
    item = requisition["items"][0]
    held = Decimal(item["work_completed_retainage_from_previous_application"])
    half = (held / 2).quantize(Decimal("0.01"))
    name = "line_item_id" if item.get("line_item_id") else "id"
    change = {name: item[name], "work_completed_retainage_released_this_period": str(half), **figures}
    desk.edit(requisition["id"], items=[change])
    return half


def to_release(desk: Desk) -> dict[int, str]:
    return {item.invoice_id: str(item.to_release) for item in inquiry.to_release(desk.ledger)}


def told(item: Item) -> list[Finding]:
    return release.open_release(item)


def confirm(desk: Desk, item: Item, by: str = APPROVER, note: str = "released in batch 12") -> None:
    confirm_release.confirm(desk.ledger, item.company_id, item.invoice_id, Signature(by), note, desk.office)


@SMALL
@ON_BOTH_DATABASES
def test_a_release_beside_work_is_a_task_once_the_work_is_exported(desk: Desk):
    desk.night()
    before = to_release(desk)
    invoice = newest(desk)
    given = give_back(desk, invoice)
    desk.night()
    assert invoice["id"] not in to_release(desk)  # it is not in the ERP yet

    desk.export_everything()
    item = desk.item(invoice["id"])
    [task] = told(item)

    assert to_release(desk) == before | to_release(desk) | {invoice["id"]: str(item.to_release)}
    assert item.to_release >= given > 0
    assert amount(desk.exported()[invoice["id"]], "Invoice_Amount") == item.gross
    assert f"run confirm-release with company {item.company_id} and invoice {item.invoice_id}" in task.remedy
    assert "Accounts Payable" in task.remedy
    assert (standing.badge_of(item), item.state) == (TO_RELEASE, "EXPORTED")
    assert standing.standing_of(item).type == "FAILED"
    assert "press Retry" not in standing.standing_of(item).message


@SMALL
def test_it_is_closed_by_an_approver_with_a_note_and_stays_closed(desk: Desk):
    desk.night()
    invoice = newest(desk)
    give_back(desk, invoice)
    desk.export_everything()
    item = desk.item(invoice["id"])
    for wrong in ({"by": SENDER}, {"note": "  "}):
        with pytest.raises(RefusedError):
            confirm(desk, item, **wrong)
    assert told(desk.item(invoice["id"]))

    confirm(desk, item)
    confirm(desk, item)  # twice is once
    desk.clock.advance(days=1)
    desk.night()

    closed = desk.item(invoice["id"])
    happened = [each for each in inquiry.timeline(desk.ledger, closed) if each.kind == "release confirmed"]
    assert invoice["id"] not in to_release(desk)
    assert [(each.actor, each.facts["note"]) for each in happened] == [(APPROVER, "released in batch 12")]
    assert standing.standing_of(closed).name == "Exported"
    assert desk.audit() == []


@SMALL
def test_a_release_without_work_is_never_exported_and_is_a_task_all_the_same(desk: Desk):
    desk.night()
    invoice = newest(desk)
    nothing = {"work_completed_this_period": "0.00", "work_completed_retainage_retained_this_period": "0.00"}
    items = []
    for position, item in enumerate(invoice["items"]):
        name = "line_item_id" if item.get("line_item_id") else "id"
        stored = item["materials_presently_stored_from_previous_progress"]
        moved = Decimal(item["materials_moved"])
        items.append({name: item[name], **nothing, "materials_presently_stored": str(Decimal(stored) - moved)})
        if position == 0:
            items[0]["work_completed_retainage_released_this_period"] = "1.00"
    desk.edit(invoice["id"], items=items)
    desk.night()
    item = desk.item(invoice["id"])
    assert item.state == "NOT_EXPORTABLE", item.reasons
    assert standing.badge_of(item) == TO_RELEASE
    assert "press Retry" not in standing.standing_of(item).message

    confirm(desk, item)

    assert standing.standing_of(desk.item(invoice["id"])).name == "Not Exportable"
    assert invoice["id"] not in desk.exported()


@SMALL
def test_drift_comes_before_the_release_and_both_are_open(desk: Desk):
    desk.night()
    invoice = newest(desk)
    give_back(desk, invoice)
    desk.export_everything()
    desk.edit(invoice["id"], invoice_number="OTHER-1")
    desk.night()
    observation.observe(desk.ledger, desk.erp, desk.office)

    item = desk.item(invoice["id"])
    assert standing.badge_of(item) == standing.DRIFTED
    assert told(item)


def test_what_releases_nothing_cannot_be_confirmed(desk: Desk):
    desk.night()
    item = next(each for each in desk.items() if not each.to_release_minor)

    with pytest.raises(RefusedError, match="no retention of it"):
        confirm(desk, item)
