"""One commitment's monthly pay applications, billed month after month so that every figure follows from the last."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tieout.sandbox.contractor.documents import (
    Document,
    NewId,
    Paper,
    carry_items,
    earned,
    fill,
    item_of,
    open_invoice,
    package_of,
)
from tieout.sandbox.contractor.g703 import ZERO, Line, cents

HALF_DONE = Decimal("0.50")
LATE_RATE = Decimal("0.05")  # retainage on work billed after the contract is half done, where it slides
HAND_SET_RATE = Decimal("0.075")


@dataclass
class Deal:
    """A commitment with what is agreed on it and how its months go."""

    project: Document
    vendor: Document
    commitment: Document
    sov: list[Document]  # schedule of values, then the lines of change orders
    packages: list[Document]
    papers: list[Paper]  # one for each month
    rate: Decimal
    slides: bool = False
    stores: bool = False
    must_store: bool = False  # material has to lie on site before the last month
    releases: bool = False  # some of the retainage is let go in the last month
    corrects: bool = False  # one line was over-billed and is taken back
    over_bills: bool = False
    hand_set: set[int] = field(default_factory=set)  # lines whose retainage someone typed over

    @property
    def detailed(self) -> bool:
        return bool(self.commitment["_detailed"])

    @property
    def by_unit(self) -> bool:
        return bool(self.commitment["accounting_method"] == "unit")


def bill_months(deal: Deal, rng: random.Random, new_id: NewId) -> Iterator[Document]:
    """Yield the commitment's invoices, oldest first."""
    before: Document | None = None
    lines: list[Line] = []
    for month, paper in enumerate(deal.papers):
        requisition = open_invoice(paper, deal.project, deal.commitment, deal.vendor, before)
        lines = carry_items(requisition, before, lines, new_id) if before else []
        _add_new_lines(deal, requisition, lines, month, new_id)
        _bill(deal, requisition, lines, month, rng)
        fill(requisition, lines, earned(before))
        yield requisition
        before = requisition


def _add_new_lines(deal: Deal, requisition: Document, lines: list[Line], month: int, new_id: NewId) -> None:
    for sov_line in deal.sov:
        if sov_line["_from_month"] != month:
            continue
        requisition["items"].append(item_of(sov_line, new_id(), deal.detailed))
        price = Decimal(sov_line["unit_cost"]) if deal.by_unit else None
        lines.append(Line(scheduled=Decimal(sov_line["amount"]), unit_price=price))
    known = {package["id"] for package in requisition["item_packages"]}
    for position, package in enumerate(deal.packages, 1):
        if package["_from_month"] <= month and package["id"] not in known:
            requisition["item_packages"].append(package_of(package, position))


def _bill(deal: Deal, requisition: Document, lines: list[Line], month: int, rng: random.Random) -> None:
    last = month == len(deal.papers) - 1
    items: list[Document] = requisition["items"]
    rate = _rate(deal, lines)
    for position, line in enumerate(lines):
        if line.scheduled < 0:
            continue
        item_is_new = items[position]["previous_progress_id"] is None
        _do_work(line, _pace(rng, force=position == 0 or item_is_new))
        if deal.stores and position in (1, 2):
            _store(line, bool(requisition["move_materials_to_previous_work_completed"]), rng, deal.must_store)
        _retain(line, HAND_SET_RATE if position in deal.hand_set else rate, deal.rate)
        items[position]["ssr_manual_override"] = position in deal.hand_set
    if deal.corrects and last and len(lines) > 3:
        _take_back(lines[3], _billed(lines))
    for line in lines:
        _deduct(line, _billed(lines))
    if deal.over_bills and last:
        lines[0].work += lines[0].scheduled - lines[0].total + cents(lines[0].scheduled * Decimal("0.03"))
        by_quantity(lines[0])
        _retain(lines[0], rate, deal.rate)
    if deal.releases and last and month:
        _release(lines)
        requisition["invoice_type"] = "progress_and_retainage_release"


def _rate(deal: Deal, lines: list[Line]) -> Decimal:
    if not deal.slides:
        return deal.rate
    scheduled = sum((line.scheduled for line in lines), ZERO)
    return LATE_RATE if sum((line.total for line in lines), ZERO) >= scheduled * HALF_DONE else deal.rate


def _pace(rng: random.Random, force: bool) -> Decimal:
    draw = rng.random()
    if draw > 0.6 and not force:
        return ZERO
    return Decimal(8 + rng.randrange(15)) / 100


def _share(line: Line, share: Decimal) -> Decimal:
    return cents(line.scheduled * share)


def _do_work(line: Line, share: Decimal) -> None:
    left = line.scheduled - line.total
    if line.unit_price is not None and line.unit_price > 0:
        line.quantity = cents(min(line.scheduled * share, left) / line.unit_price)
        line.work = cents(line.quantity * line.unit_price)
        if line.work > left:  # a rounded quantity may pass the contract by cents
            line.quantity = line.work = ZERO
        return
    line.work = max(ZERO, min(_share(line, share), left))


def _store(line: Line, moves: bool, rng: random.Random, always: bool) -> None:
    if not moves and line.stored:
        used = cents(line.stored * Decimal(rng.choice((50, 100))) / 100)
        line.stored -= used
        line.work += used
    left = line.scheduled - line.total
    if always or rng.random() < 0.5:
        line.new_materials = max(ZERO, min(_share(line, Decimal(4 + rng.randrange(9)) / 100), left))
        line.stored += line.new_materials


def _retain(line: Line, rate: Decimal, rate_on_materials: Decimal) -> None:
    line.work_retained = cents(line.work * rate)
    line.stored_held = cents(line.stored * rate_on_materials)


def _take_back(line: Line, billed: Decimal) -> None:
    """Undo a part of what was billed too much, `billed` being the whole invoice; what is retained stays as it is."""
    rest = max(ZERO, billed - line.work)
    line.work = -min(cents(line.previous_work * Decimal("0.2")), cents(rest / 2))
    by_quantity(line)
    line.work_retained = ZERO


def by_quantity(line: Line) -> None:
    """Bill the work of a line that is priced by unit as a quantity, of which the amount follows."""
    if line.unit_price:
        line.quantity = cents(line.work / line.unit_price)
        line.work = cents(line.quantity * line.unit_price)


def _billed(lines: list[Line]) -> Decimal:
    return sum((line.total - line.total_before for line in lines), ZERO)


def _deduct(line: Line, billed: Decimal) -> None:
    """Bill half of a deductive change order, once, on an invoice that can bear it; nothing is retained on it."""
    half = cents(line.scheduled / 2)
    if half < 0 and line.previous_work == 0 and billed + half > 0:
        line.work = half


def _release(lines: list[Line]) -> None:
    for line in lines:
        line.work_released = cents(line.work_held_before * Decimal("0.5"))


def gross(requisition: Document) -> Decimal:
    """What the invoice bills before retainage: the change in completed and stored, over all lines."""
    items: list[dict[str, Any]] = requisition["items"]
    return sum((Decimal(item["gross_amount"]) for item in items), ZERO)
