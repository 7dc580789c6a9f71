"""What a sound invoice becomes in the ERP: amounts, batch, dates and number."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from builders import a_case, a_commitment, a_line, a_next_invoice, a_reference, a_second_line, an_invoice, continued

from data_contracts.case import Case
from data_contracts.reference import Finding
from data_contracts.voucher import Voucher
from tieout.judgement.billing import (
    accounting_on,
    batch_code,
    complete,
    erp_number,
    exported_amounts,
    to_release,
    voucher,
)
from tieout.settings import Policy

NEW_YORK, SYDNEY = ZoneInfo("America/New_York"), ZoneInfo("Australia/Sydney")
SATURDAY = 5


def noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=NEW_YORK)


def vouched(case: Case) -> Voucher:
    made = voucher(case, "P1", "20260307", date(2026, 2, 20))
    assert isinstance(made, Voucher)
    return made


@pytest.mark.parametrize(
    ("day", "batch"),
    [
        ("2024-09-01", "20240907"),  # Sunday
        ("2024-09-04", "20240907"),  # Wednesday
        ("2024-09-06", "20240907"),  # Friday
        ("2024-09-07", "20240907"),  # Saturday itself
        ("2024-09-08", "20240914"),  # the next Sunday
        ("2024-12-30", "20250104"),  # Monday, over the new year
    ],
)
def test_a_batch_is_named_for_the_saturday_that_ends_its_week(day: str, batch: str):
    assert batch_code(noon(day), NEW_YORK, SATURDAY) == batch


def test_a_week_ends_in_the_companys_time_zone():
    instant = datetime(2024, 9, 8, 2, 30, tzinfo=UTC)  # still Saturday evening in New York

    assert batch_code(instant, NEW_YORK, SATURDAY) == "20240907"
    assert batch_code(instant, SYDNEY, SATURDAY) == "20240914"


@pytest.mark.parametrize(("weekday", "batch"), [(2, "20240904"), (4, "20240906"), (6, "20240908")])
def test_the_day_that_ends_the_week_is_a_setting(weekday: int, batch: str):
    assert batch_code(noon("2024-09-04"), NEW_YORK, weekday) == batch


def test_an_instant_without_a_zone_has_no_batch():
    with pytest.raises(ValueError, match="time zone"):
        batch_code(datetime(2024, 9, 4, 12), NEW_YORK, SATURDAY)  # noqa: DTZ001 that is the mistake


# E, F before, F, moved -> gross; the table of requirement C1
STORED = {
    "work only": ("5000", "0", "0", "0", "5000"),
    "new stored": ("0", "0", "10000", "0", "10000"),
    "installed, manual mode": ("10000", "10000", "0", "0", "0"),
    "part installed, new stored": ("4000", "10000", "9000", "0", "3000"),
    "installed, auto-move mode": ("0", "10000", "0", "10000", "0"),
    "over-billing corrected": ("-1500", "0", "0", "0", "-1500"),
}


@pytest.mark.parametrize("name", STORED)
def test_a_lines_amount_is_work_plus_the_change_in_stored_materials_plus_what_moved(name: str):
    work, stored_before, stored_now, moved, gross = map(Decimal, STORED[name])
    line = a_line(
        work_this_period=work,
        stored_before=stored_before,
        stored_now=stored_now,
        moved=moved,
        completed_before=Decimal(20000),
        completed_to_date=Decimal(20000) + gross,
    )

    assert exported_amounts(an_invoice(lines=(line,))) == [(gross, 0)]


def test_a_voucher_carries_gross_retention_held_and_a_line_for_each_line():
    made = vouched(a_case())

    assert (made.gross, made.retention) == (Decimal("5500.00"), Decimal("550.00"))
    assert [(line.phase, line.cost_type, line.amount) for line in made.lines] == [
        ("09200", "SUB", Decimal("4000.00")),
        ("09500", "SUB", Decimal("1500.00")),
    ]
    assert (made.vendor_erp, made.contract_erp, made.company_erp, made.batch_code) == (
        "EXDRY",
        "2601",
        "EBC",
        "20260307",
    )
    assert made.source.startswith("Invoice Imported From Procore")


def test_stored_retention_of_the_month_before_is_not_held_twice():
    before = an_invoice()
    made = vouched(a_case(a_next_invoice(before), before))

    assert (made.gross, made.retention) == (Decimal("2000.00"), Decimal("200.00"))


def test_an_idle_line_and_a_zero_twin_make_no_cost_line():
    nothing: dict[str, Any] = {"work_this_period": "0.00", "completed_to_date": "0.00", "work_retained": "0.00"}
    twin = a_line(line_id_procore=3, kind="change_order_item", scheduled_value="0.00", **nothing)
    idle = a_line(line_id_procore=4, **nothing)
    case = a_case(an_invoice(lines=(a_line(), twin, idle)))

    assert [line.line_id_procore for line in vouched(case).lines] == [1]
    assert [line.is_empty_twin for line in case.invoice.lines] == [False, True, False]


def test_a_twin_that_comes_to_bill_something_is_no_longer_left_out():
    twin = a_line(line_id_procore=3, kind="change_order_item", scheduled_value="0.00", work_this_period="0.01",
                  completed_to_date="0.01", work_retained="0.00")  # fmt: skip

    assert [line.amount for line in vouched(a_case(an_invoice(lines=(a_line(), twin)))).lines] == [
        4000,
        Decimal("0.01"),
    ]


def test_a_credit_line_stays_negative():
    credit = a_second_line(
        work_this_period="-1500.00",
        stored_now="0",
        completed_to_date="-1500",
        work_retained="0",
        stored_retainage_now="0",
    )
    made = vouched(a_case(an_invoice(lines=(a_line(), credit))))

    assert [line.amount for line in made.lines] == [Decimal(4000), Decimal(-1500)]
    assert made.gross == Decimal(2500)


def mixed_release() -> Case:
    before = an_invoice()
    first = continued(before.lines[0], work_released="300.00")
    second = continued(before.lines[1], stored_retainage_now="0.00", stored_released="50.00")
    kind = "progress_and_retainage_release"
    return a_case(a_next_invoice(before, lines=(first, second), kind=kind), before)


def test_a_release_is_not_netted_from_what_is_held():
    case = mixed_release()
    made = vouched(case)

    assert (made.gross, made.retention) == (Decimal("2000.00"), Decimal("200.00"))
    assert to_release(case.invoice) == Decimal("350.00")
    assert case.invoice.summary.payment_due == Decimal("2150.00")


def test_retention_held_below_zero_counts_as_a_release():
    before = an_invoice()
    lines = (continued(before.lines[0], work_retained="-250.00"), continued(before.lines[1], work_retained="0.00"))
    case = a_case(a_next_invoice(before, lines=lines), before)

    assert vouched(case).retention == 0
    assert to_release(case.invoice) == Decimal("250.00")


def thirds(*ids: int) -> tuple[Any, ...]:
    third = {"work_this_period": "33.3333", "completed_to_date": "33.3333", "work_retained": "0.00"}
    return tuple(a_line(line_id_procore=number, **third) for number in ids)


def test_a_residual_cent_goes_to_the_lowest_id_among_the_largest_lines():
    made = vouched(a_case(an_invoice(lines=thirds(7, 5, 9))))

    assert {line.line_id_procore: line.amount for line in made.lines} == {
        7: Decimal("33.33"),
        5: Decimal("33.34"),
        9: Decimal("33.33"),
    }
    assert made.gross == Decimal("100.00")


def test_a_residual_cent_goes_to_the_largest_line_and_is_recorded():
    large = a_line(line_id_procore=9, work_this_period="33.3334", completed_to_date="33.3334", work_retained="0.00")
    invoice = an_invoice(lines=(*thirds(1, 2), large, a_line(line_id_procore=4, work_this_period="90.00")))

    assert [residual for _, residual in exported_amounts(invoice)] == [0, 0, 0, Decimal("0.01")]
    assert sum(amount for amount, _ in exported_amounts(invoice)) == Decimal("190.00")


@pytest.mark.parametrize("billed", [date(2026, 2, 1), date(2026, 3, 31)])
def test_a_billing_date_in_the_open_period_is_the_accounting_date(billed: date):
    assert accounting_on(an_invoice(billed_on=billed), a_reference(), Policy()) == billed


@pytest.mark.parametrize(
    ("billed", "booked"), [(date(2026, 1, 31), date(2026, 2, 1)), (date(2026, 4, 1), date(2026, 3, 31))]
)
def test_a_billing_date_outside_is_booked_on_the_nearest_open_day_or_held(billed: date, booked: date):
    invoice = an_invoice(billed_on=billed)

    assert accounting_on(invoice, a_reference(), Policy()) == booked
    assert accounting_on(invoice, a_reference(), Policy(closed_period="hold")) is None


def test_an_erp_that_names_no_period_takes_the_billing_date():
    reference = a_reference(open_from=None, open_to=None)

    assert accounting_on(an_invoice(), reference, Policy(closed_period="hold")) == date(2026, 2, 20)


def test_the_voucher_keeps_both_dates():
    made = voucher(a_case(an_invoice(billed_on=date(2026, 1, 31))), "P1", "20260307", date(2026, 2, 1))

    assert isinstance(made, Voucher)
    assert (made.invoice_on, made.accounting_on) == (date(2026, 1, 31), date(2026, 2, 1))


def test_the_number_goes_alone_or_with_the_commitment_by_policy():
    with_commitment = Policy(invoice_number="with_commitment")

    assert erp_number(an_invoice(invoice_number=" 7 "), a_commitment(), Policy()) == "7"
    assert erp_number(an_invoice(invoice_number="7"), a_commitment(), with_commitment) == "SC-001-7"
    assert erp_number(an_invoice(invoice_number=""), a_commitment(), with_commitment) == ""


def test_a_case_whose_code_is_gone_since_makes_a_finding_in_place_of_a_voucher():
    case = replace(a_case(), vendor_erp=None)
    made = voucher(case, "P1", "20260307", date(2026, 2, 20))

    assert isinstance(made, Finding)
    assert made.rule == "vendor-unmapped"


def test_missing_figures_come_from_the_previous_invoice():
    before = an_invoice()
    line = complete(a_next_invoice(before), before).lines[1]

    assert (line.stored_before, line.completed_before, line.stored_retainage_before) == (500, 1500, 50)


def test_missing_figures_of_a_first_invoice_are_zero():
    line = complete(an_invoice(), None).lines[1]

    assert (line.stored_before, line.completed_before, line.stored_retainage_before) == (0, 0, 0)


def test_figures_of_an_unknown_previous_invoice_stay_open():
    assert complete(a_next_invoice(), None).lines[0].completed_before is None


def test_figures_that_procore_gave_are_kept():
    before = an_invoice()
    told = tuple(continued(line, completed_before="1.00") for line in before.lines)

    assert complete(a_next_invoice(before, lines=told), before).lines[0].completed_before == 1


def test_a_new_line_starts_from_zero():
    before = an_invoice()
    new = a_line(line_id_procore=200, commitment_line_id_procore=12)

    assert complete(a_next_invoice(before, lines=(*before.lines, new)), before).lines[2].completed_before == 0
