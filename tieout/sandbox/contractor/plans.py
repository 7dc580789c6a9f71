"""Decide, before anything is built, how many commitments there are, how long they run and what goes wrong where."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tieout.sandbox.contractor.troubles import (
    ANY_INVOICE,
    DUPLICATE,
    DUPLICATE_PAIRS,
    NEWEST_INVOICE,
    RARE,
    ROUND,
    WHOLE_COMMITMENT,
)

LONGEST = 5
UNSENDABLE = ("draft", "under_review", "revise_and_resubmit")
ALSO_SENDABLE = ("pending_owner_approval", "approved_as_noted")
ENOUGH = 56  # invoices; fewer carry a part of the labels only
MANY = 100  # carry the rare labels as well


@dataclass
class Plan:
    """One commitment to be: its months, and by month what is wrong or how far the approval is."""

    months: int
    labels: dict[int, str] = field(default_factory=dict)
    statuses: dict[int, str] = field(default_factory=dict)
    pairs: dict[int, str] = field(default_factory=dict)  # month of the second of two duplicates -> how alike
    project: int = 0
    is_trouble: bool = False  # the trouble is in the commitment itself

    @property
    def newest(self) -> str:
        return self.labels.get(self.months - 1, "")


def deal_out(rng: random.Random, invoices: int, projects: int, troubles: bool) -> list[Plan]:
    """Share `invoices` among commitments and projects; the sum of the months is exactly `invoices`."""
    whole, newest, any_month, pairs = _labels(invoices) if troubles else ([], [], [], [])
    plans = [Plan(1, {0: label}, is_trouble=True) for label in whole]
    unmapped_job = bool(whole) and projects >= 5
    if unmapped_job:
        plans += [Plan(1, {0: "job-unmapped"}, is_trouble=True, project=projects - 1) for _ in range(2)]
    unsendable = max(3, invoices // 10) if whole else 0
    others = _lengths(rng, invoices - len(plans), len(newest) + unsendable + 2)
    if whole:
        _place_newest(rng, others, newest, unsendable)
        _place_any(rng, others, any_month, pairs)
    _spread(plans + others, projects - 1 if unmapped_job else projects)
    return plans + others


def _labels(invoices: int) -> tuple[list[str], list[str], list[str], list[str]]:
    """Every label once from `ENOUGH` invoices on; beyond that, so many that about a fifth is in trouble."""
    if invoices < ENOUGH:
        share = invoices / ENOUGH
        parts = (WHOLE_COMMITMENT, NEWEST_INVOICE, ANY_INVOICE, DUPLICATE_PAIRS)
        whole, newest, any_month, pairs = (list(part[: int(len(part) * share)]) for part in parts)
        return whole, newest, any_month, pairs
    rounds = max(1, round(invoices * 0.22 / ROUND))
    return (
        list(WHOLE_COMMITMENT) * rounds,
        [*NEWEST_INVOICE, *(RARE if invoices >= MANY else ())] * rounds,
        list(ANY_INVOICE) * rounds,
        list(DUPLICATE_PAIRS) * rounds,
    )


def _lengths(rng: random.Random, invoices: int, at_least: int) -> list[Plan]:
    count = max(1, min(invoices // 2, max(at_least, round(invoices / 3.3))))
    plans = [Plan(2) for _ in range(count)]
    spare = invoices - 2 * count
    while spare > 0:
        plan = rng.choice([plan for plan in plans if plan.months < LONGEST])
        plan.months += 1
        spare -= 1
    if spare < 0:
        plans[-1].months += spare
    return plans


def _place_newest(rng: random.Random, plans: list[Plan], newest: list[str], unsendable: int) -> None:
    waiting = list(plans)
    rng.shuffle(waiting)
    for label, plan in zip(newest, waiting, strict=False):
        plan.labels[plan.months - 1] = label
    for turn, plan in enumerate(waiting[len(newest) :][:unsendable]):
        plan.statuses[plan.months - 1] = UNSENDABLE[turn % len(UNSENDABLE)]


def _place_any(rng: random.Random, plans: list[Plan], any_month: list[str], pairs: list[str]) -> None:
    for pair in pairs:
        _place_pair(rng, plans, pair)
    for label in any_month:
        if free := _free(plans):
            plan, month = rng.choice(free)
            plan.labels[month] = label
    free = _free(plans)
    wanted = min(len(free) // 3, sum(plan.months for plan in plans) // 10)
    for turn, (plan, month) in enumerate(rng.sample(free, wanted)):
        plan.statuses[month] = ALSO_SENDABLE[turn % len(ALSO_SENDABLE)]


def _place_pair(rng: random.Random, plans: list[Plan], pair: str) -> None:
    roomy = [plan for plan in plans if len(_free([plan])) > 1 and not plan.pairs]
    if not roomy:
        return
    plan = rng.choice(roomy)
    (_, first), (_, second) = _free([plan])[:2]
    plan.labels[first] = plan.labels[second] = DUPLICATE
    plan.pairs[second] = pair


def _free(plans: list[Plan]) -> list[tuple[Plan, int]]:
    return [
        (plan, month)
        for plan in plans
        for month in range(plan.months)
        if month not in plan.labels and month not in plan.statuses
    ]


def _spread(plans: list[Plan], projects: int) -> None:
    for turn, plan in enumerate(plans):
        if plan.newest != "job-unmapped":
            plan.project = turn % projects
