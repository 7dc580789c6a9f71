"""G702/G703 arithmetic as the stand-in Procore does it; never shared with the code it is there to test.

One line of the continuation sheet, in the letters of the paper form:
D work from previous applications, E work this period, F materials presently stored, G = D + E + F.
When stored materials are moved into previous work, D = D before + E before + moved, and what was retained
on them moves along: it is part of the "retainage from previous application" of the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

ZERO = Decimal("0.00")
CENT = Decimal("0.01")
HUNDRED = Decimal(100)


def cents(amount: Decimal) -> Decimal:
    """Round half up to the cent; the sum with zero turns a negative zero into a plain one."""
    return amount.quantize(CENT, ROUND_HALF_UP) + ZERO


def percent(part: Decimal, whole: Decimal) -> str:
    """Say what percentage `part` is of `whole`, as Procore prints it: without the sign."""
    return str(cents(part * HUNDRED / whole)) if whole else "0.00"


@dataclass(slots=True)
class Line:
    """The figures of one G703 line on one invoice."""

    scheduled: Decimal
    previous_work: Decimal = ZERO  # D
    work: Decimal = ZERO  # E
    stored: Decimal = ZERO  # F
    stored_before: Decimal = ZERO
    moved: Decimal = ZERO
    total_before: Decimal = ZERO  # G of the invoice before
    new_materials: Decimal = ZERO
    work_held_before: Decimal = ZERO  # with what moved over from the materials
    work_retained: Decimal = ZERO
    work_released: Decimal = ZERO
    stored_held: Decimal = ZERO
    stored_held_before: Decimal = ZERO
    stored_released: Decimal = ZERO
    held_moved: Decimal = ZERO
    unit_price: Decimal | None = None
    quantity_before: Decimal = ZERO
    quantity: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.previous_work + self.work + self.stored

    @property
    def work_held(self) -> Decimal:
        return self.work_held_before + self.work_retained - self.work_released

    @property
    def held(self) -> Decimal:
        return self.work_held + self.stored_held


def carry_forward(line: Line, moves_materials: bool) -> Line:
    """Open the line on the next invoice, with nothing billed yet."""
    moved = line.stored if moves_materials else ZERO
    held_moved = line.stored_held if moves_materials else ZERO
    return Line(
        scheduled=line.scheduled,
        previous_work=line.previous_work + line.work + moved,
        stored=line.stored - moved,
        stored_before=line.stored,
        moved=moved,
        total_before=line.total,
        work_held_before=line.work_held + held_moved,
        stored_held=line.stored_held - held_moved,
        stored_held_before=line.stored_held,
        held_moved=held_moved,
        unit_price=line.unit_price,
        quantity_before=line.quantity_before + line.quantity,
    )


def item_figures(line: Line) -> dict[str, Any]:
    """Write the line as the money fields of a Procore requisition item."""
    units = _quantities(line)
    return {
        "scheduled_value": str(line.scheduled),
        **units,
        "gross_amount": str(line.total - line.total_before),
        "net_amount": str(line.total - line.total_before - line.work_retained - line.stored_held
                          + line.stored_held_before - line.held_moved + line.work_released),
        "work_completed_from_previous_application": str(line.previous_work),
        "work_completed_this_period": str(line.work),
        "materials_presently_stored": str(line.stored),
        "materials_presently_stored_from_previous_progress": str(line.stored_before),
        "new_materials": str(line.new_materials),
        "stored_materials": str(line.stored),
        "materials_moved": str(line.moved),
        "materials_retainage_retained_moved": str(line.held_moved),
        "total_completed_and_stored_to_date": str(line.total),
        "total_completed_and_stored_to_date_percent": percent(line.total, line.scheduled),
        "total_completed_and_stored_to_date_from_previous": str(line.total_before),
        "work_completed_retainage_from_previous_application": str(line.work_held_before),
        "work_completed_retainage_retained_this_period": str(line.work_retained),
        "work_completed_retainage_percent_this_period": percent(line.work_retained, line.work),
        "work_completed_retainage_released_this_period": str(line.work_released),
        "materials_stored_retainage_currently_retained": str(line.stored_held),
        "materials_stored_retainage_percent_this_period": percent(line.stored_held, line.stored),
        "materials_stored_retainage_new_materials": str(_retained_on_new(line)),
        "materials_stored_retainage_released_this_period": str(line.stored_released),
        "subcontractor_claimed_amount": str(line.work),
    }  # fmt: skip


def _retained_on_new(line: Line) -> Decimal:
    share = line.new_materials * line.stored_held / line.stored if line.stored else ZERO
    return cents(share)


def _quantities(line: Line) -> dict[str, str]:
    if line.unit_price is None:
        now = before = scheduled = ZERO
    else:
        now, before = line.quantity, line.quantity_before
        scheduled = cents(line.scheduled / line.unit_price) if line.unit_price else ZERO
    return {
        "scheduled_quantity": str(scheduled),
        "scheduled_unit_price": str(line.unit_price if line.unit_price is not None else ZERO),
        "work_completed_this_period_quantity": str(now),
        "work_completed_from_previous_application_quantity": str(before),
        "materials_presently_stored_quantity": "0.00",
        "materials_previously_stored_quantity": "0.00",
    }


def read_item(item: Mapping[str, Any], before: Mapping[str, Any] | None) -> Line:
    """Take the figures of a stored item back up; `before` is the same line on the previous invoice."""

    def money(name: str) -> Decimal:
        return cents(Decimal(str(item.get(name) or 0)))

    by_unit = item.get("accounting_method") == "unit"
    earlier = before.get("materials_stored_retainage_currently_retained") if before else None
    return Line(
        scheduled=money("scheduled_value"),
        previous_work=money("work_completed_from_previous_application"),
        work=money("work_completed_this_period"),
        stored=money("materials_presently_stored"),
        stored_before=money("materials_presently_stored_from_previous_progress"),
        moved=money("materials_moved"),
        total_before=money("total_completed_and_stored_to_date_from_previous"),
        new_materials=money("new_materials"),
        work_held_before=money("work_completed_retainage_from_previous_application"),
        work_retained=money("work_completed_retainage_retained_this_period"),
        work_released=money("work_completed_retainage_released_this_period"),
        stored_held=money("materials_stored_retainage_currently_retained"),
        stored_held_before=cents(Decimal(str(earlier or 0))),
        stored_released=money("materials_stored_retainage_released_this_period"),
        held_moved=money("materials_retainage_retained_moved"),
        unit_price=money("scheduled_unit_price") if by_unit else None,
        quantity_before=money("work_completed_from_previous_application_quantity"),
        quantity=money("work_completed_this_period_quantity"),
    )


def detail_figures(line: Line) -> dict[str, str]:
    """Add what the flat G703 rows of `/detail` show beyond the items of an extended invoice."""
    held_before = line.work_held_before + line.stored_held_before - line.held_moved
    retained = line.stored_held - line.stored_held_before + line.held_moved + line.stored_released
    done = line.quantity_before + line.quantity
    return {
        "balance_to_finish": str(line.scheduled - line.total),
        "total_completed_and_stored_to_date_quantity": str(done),
        "work_completed_retainage_currently_retained": str(line.work_held),
        "materials_stored_retainage_from_previous_application": str(line.stored_held_before),
        "materials_stored_retainage_retained_this_period": str(retained),
        "total_retainage_currently_retained": str(line.held),
        "total_retainage_from_previous_application": str(held_before),
    }


def summary(
    lines: Iterable[Line], changes: Iterable[tuple[Line, bool]], earned_before: Decimal, tax: Decimal = ZERO
) -> dict[str, str]:
    """Add the G703 up to the G702.

    `changes` are the change-order lines, each with whether it is new on this invoice;
    `earned_before` is line 6 of the previous invoice.
    """
    base, extra = list(lines), list(changes)
    every = base + [line for line, _ in extra]
    original = _total(line.scheduled for line in base)
    net_change = _total(line.scheduled for line, _ in extra)
    done = _total(line.total for line in every)
    held_on_work, held_on_stored = _total(x.work_held for x in every), _total(x.stored_held for x in every)
    earned = done - held_on_work - held_on_stored
    return {
        "original_contract_sum": str(original),
        "net_change_by_change_orders": str(net_change),
        "contract_sum_to_date": str(original + net_change),
        "total_completed_and_stored_to_date": str(done),
        "completed_work_retainage_percent": percent(
            held_on_work, _total(line.previous_work + line.work for line in every)
        ),
        "completed_work_retainage_amount": str(held_on_work),
        "stored_materials_retainage_percent": percent(held_on_stored, _total(x.stored for x in every)),
        "stored_materials_retainage_amount": str(held_on_stored),
        "total_retainage": str(held_on_work + held_on_stored),
        "total_earned_less_retainage": str(earned),
        "less_previous_certificates_for_payment": str(earned_before),
        "current_payment_due": str(earned - earned_before + tax),
        "balance_to_finish_including_retainage": str(original + net_change - earned),
        "tax_applicable_to_this_payment": str(tax),
        "new_materials": str(_total(line.new_materials for line in every)),
        "new_materials_quantity": "0.00",
        "stored_materials": str(_total(line.stored for line in every)),
        "stored_materials_quantity": "0.00",
        **_change_order_block(extra),
    }


def percent_complete(figures: Mapping[str, str]) -> str:
    """Say how far the invoice's commitment is done, with the sign that Procore puts on an invoice."""
    done = Decimal(figures["total_completed_and_stored_to_date"])
    return percent(done, Decimal(figures["contract_sum_to_date"])) + "%"


def _change_order_block(changes: list[tuple[Line, bool]]) -> dict[str, str]:
    # The sign of the negative totals is not documented; here they are negative numbers.
    block: dict[str, str] = {}
    for kind, picked in (("", (True, False)), ("new_", (True,)), ("previous_", (False,))):
        values = [line.scheduled for line, is_new in changes if is_new in picked]
        block[f"positive_{kind}change_order_item_total"] = str(_total(v for v in values if v > 0))
        block[f"negative_{kind}change_order_item_total"] = str(_total(v for v in values if v < 0))
    return block


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)
