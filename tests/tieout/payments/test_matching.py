"""Which payment settles what, without any system in sight."""

from datetime import date
from decimal import Decimal

import pytest
from builders import a_payment
from hypothesis import given
from hypothesis import strategies as st

from tieout.payments.matching import entries, link_key, matched, stage


def test_a_payment_is_one_row():
    [entry] = entries("spectrum", a_payment())

    assert (entry.origin_id, entry.amount) == ("spectrum:ACM:ACM/OPER/10001/V1/INV-1/1", Decimal("900.00"))
    assert entry.notes == "Paid in the ERP."


def test_a_void_adds_its_reverse_on_the_day_of_the_void():
    paid, reversed_ = entries("spectrum", a_payment(is_void=True, voided_on=date(2026, 3, 9), discount=Decimal("5.00")))

    assert reversed_.origin_id == f"{paid.origin_id}:void"
    assert (reversed_.amount, reversed_.discount) == (-paid.amount, -paid.discount)
    assert (paid.paid_on, reversed_.paid_on) == (date(2026, 3, 4), date(2026, 3, 9))
    assert "10001" in reversed_.notes


def test_a_void_without_a_day_takes_the_checks():
    _, reversed_ = entries("spectrum", a_payment(is_void=True))

    assert reversed_.paid_on == date(2026, 3, 4)


def test_retention_and_discount_are_told_in_words():
    [entry] = entries("spectrum", a_payment(kind="retention", discount=Decimal("5.00")))

    assert entry.notes == "Retention. Discount taken 5.00. Paid in the ERP."


@pytest.mark.parametrize("changes", [{"company_erp": "OTH"}, {"vendor_erp": "V2"}, {"invoice_number": "INV-2"}])
def test_a_payment_matches_its_company_vendor_and_number_only(changes: dict[str, str]):
    links = {link_key(a_payment()): "ours"}

    assert list(matched([a_payment(), a_payment(**changes)], links)) == [("ours", a_payment())]


@pytest.mark.parametrize(
    ("is_posted", "settled", "due", "expected"),
    [
        (False, 0, 100, "EXPORTED"),
        (False, 100, 100, "EXPORTED"),  # nothing is paid before it is posted (R87)
        (True, 0, 100, "POSTED"),
        (True, -5, 100, "POSTED"),
        (True, 1, 100, "PART_PAID"),
        (True, 99, 100, "PART_PAID"),
        (True, 100, 100, "PAID"),
        (True, 101, 100, "PAID"),
        (True, 0, 0, "POSTED"),
    ],
)
def test_the_stage_follows_from_posting_and_settlement(is_posted: bool, settled: int, due: int, expected: str):
    assert stage(is_posted, settled, due) == expected


@given(st.lists(st.tuples(st.integers(1, 10**6), st.booleans()), max_size=20))
def test_whatever_is_voided_the_rows_come_to_what_is_live(applications: list[tuple[int, bool]]):
    payments = [
        a_payment(application_id_erp=str(at), amount=Decimal(cents) / 100, is_void=is_void)
        for at, (cents, is_void) in enumerate(applications)
    ]
    rows = [entry for payment in payments for entry in entries("spectrum", payment)]

    assert sum(row.amount for row in rows) == sum(
        Decimal(cents) / 100 for cents, is_void in applications if not is_void
    )
    assert len({row.origin_id for row in rows}) == len(rows)
