"""The landing page tells how everything stands, what moved since midnight, and where to click."""

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from desk import AFTER_A_NIGHT, Desk

from tieout.ledger.items import Item
from tieout.views import today
from tieout.views.today import Screen

DEPLOYMENTS = {"export-invoice": "e-1", "review-invoices": "r-1", "nightly-sync": "n-1"}


def page(desk: Desk) -> str:
    screen = Screen("http://prefect.example", DEPLOYMENTS, desk.clock() + timedelta(hours=13))
    return today.gather(desk.ledger, screen, desk.office).markdown()


def line(desk: Desk, what: str) -> str:
    [found] = [each for each in page(desk).splitlines() if each.startswith((f"| [{what}](", f"| {what} |"))]
    return found


def told(items: Sequence[Item]) -> str:
    amount = f"${sum(item.gross for item in items):,.2f}" if items else ""
    return f" | {len(items)} | {amount} |"


@AFTER_A_NIGHT
def test_what_waits_and_what_arrived_is_counted_with_its_amounts(desk: Desk):
    assert line(desk, "waiting for an approver").endswith(told(desk.items("READY")))
    desk.accept()
    assert line(desk, "accepted, on the way").endswith(told(desk.items("ACCEPTED")))
    desk.export()

    assert line(desk, "waiting for an approver").endswith(told([]))
    assert line(desk, "exported since midnight").endswith(told(desk.items("EXPORTED")))


@AFTER_A_NIGHT
def test_midnight_is_the_companys(desk: Desk):
    desk.accept()
    desk.export()
    desk.clock.advance(hours=11)  # 23:00 in New York, the next day in UTC
    assert line(desk, "exported since midnight").endswith(told(desk.items("EXPORTED")))

    desk.clock.advance(hours=2)

    assert line(desk, "exported since midnight").endswith(told([]))


@AFTER_A_NIGHT
def test_a_payment_counts_on_the_day_on_which_procore_is_told(desk: Desk):
    [invoice_id, *_] = desk.accept()
    desk.export()
    desk.post([invoice_id])
    desk.cut_check([invoice_id])
    written = desk.pay()

    assert written.written == 1
    assert line(desk, "paid since midnight").endswith(f" | 1 | ${desk.item(invoice_id).net:,.2f} |")


@AFTER_A_NIGHT
def test_each_cause_has_a_line_whose_link_shows_its_items_alone(desk: Desk):
    [chosen, *_] = desk.items("READY")
    vendor_id = desk.requisition(chosen.invoice_id)["vendor_id"]
    vendor = desk.basis_of(chosen.project_id).mapping(chosen.project_id, desk.clock().date()).vendor(vendor_id)
    desk.accept()
    desk.play("spectrum", "vendors", {"code": vendor, "status": "N"})
    desk.read()
    desk.judge()
    desk.export()

    found = line(desk, "· vendor-inactive")
    asked = parse_qs(urlsplit(found.partition("](")[2].partition(")")[0]).query)

    assert found.endswith(told(desk.items("FAILED")))
    assert (asked["state"], asked["tag"]) == (["Failed to Export"], ["cause:vendor-inactive"])
    assert asked["deployment"] == ["e-1"]


@AFTER_A_NIGHT
def test_nights_and_alarms_are_told_in_the_companys_time(desk: Desk):
    text = page(desk)

    assert "# Today, Wednesday 2026-03-04" in text
    assert "- Next night: 2026-03-05 01:00 EST" in text
    assert "## Alarms" not in text
    desk.clock.advance(days=3)
    assert "## Alarms" in page(desk)
