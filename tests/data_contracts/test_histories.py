"""Histories that tie out are never held, and no figure can be a cent off without its rule saying so."""

from decimal import Decimal
from random import Random

import pytest
from builders import a_case, a_commitment, a_summary, a_vendor, some_books
from histories import a_history
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.case import Case
from data_contracts.commitment import ChangeOrder
from data_contracts.expectations import validate
from data_contracts.invoice import ZERO, Invoice, InvoiceLine, Summary
from data_contracts.verdicts import check
from tieout.judgement.billing import retention, to_release
from tieout.judgement.mapping import MappingRow

BOOKS = some_books(
    commitments=(a_commitment(lines=(), change_orders=(ChangeOrder(change_order_id_procore=3, status="approved"),)),)
)
ROWS = (MappingRow(kind="phase", procore="09-200", erp="09200"), MappingRow(kind="cost_type", procore="S", erp="SUB"))
OWNER = {
    "original_contract_sum": "header-foots",
    "net_change_orders": "header-foots",
    "contract_sum_to_date": "header-foots",
    "total_retainage": "header-foots",
    "earned_less_retainage": "header-foots",
    "payment_due": "header-foots",
    "balance_to_finish": "header-foots",
    "completed_to_date": "lines-sum",
    "work_retainage": "lines-sum",
    "stored_retainage": "lines-sum",
    "previous_certificates": "continues-previous",
    "tax": "tax-not-carried",
}
LINE_OWNER = {
    "scheduled_value": "scheduled-sum",
    "work_before": "line-adds-up",
    "work_this_period": "line-adds-up",
    "stored_now": "line-adds-up",
    "completed_to_date": "line-adds-up",
    "moved": "line-identity",
    "stored_before": "continues-previous",
    "completed_before": "continues-previous",
    "work_retainage_before": "continues-previous",
    "stored_retainage_before": "continues-previous",
    "retainage_moved": "continues-previous",
    "work_retained": "lines-sum",
    "work_released": "lines-sum",
    "stored_retainage_now": "lines-sum",
}
# What only Procore's page of one invoice tells of, by how much was newly held: a request for each invoice.
TIED_BY_NOTHING = {"stored_released"}
BY_UNIT = {"quantity", "scheduled_quantity", "unit_price"}  # no amounts; the rule `unit-price` has tests of its own


def cases_of(history: list[Invoice]) -> list[Case]:
    pairs = zip(history, [None, *history], strict=False)
    return [a_case(invoice, previous, books=BOOKS, vendors=(a_vendor(),), rows=ROWS) for invoice, previous in pairs]


def stops(case: Case) -> set[str]:
    found = check([case])[case.invoice.invoice_id_procore]
    return {finding.rule for finding in found if finding.severity != "warn"}


def off_by(invoice: Invoice, random: Random, cent: Decimal) -> tuple[Invoice, str]:
    """Change one figure of the invoice; return it with the rule that has to notice."""
    name = random.choice([*OWNER, *[f"line {figure}" for figure in LINE_OWNER]])
    if not name.startswith("line "):
        summary = invoice.summary.model_copy(update={name: getattr(invoice.summary, name) + cent})
        return invoice.model_copy(update={"summary": summary}), OWNER[name]
    figure, at = name.removeprefix("line "), random.randrange(len(invoice.lines))
    value = getattr(invoice.lines[at], figure)
    if value is None:
        return off_by(invoice, random, cent)
    return with_line(invoice, at, figure, value + cent), LINE_OWNER[figure]


def with_line(invoice: Invoice, at: int, figure: str, value: Decimal) -> Invoice:
    line = invoice.lines[at].model_copy(update={figure: value})
    return invoice.model_copy(update={"lines": (*invoice.lines[:at], line, *invoice.lines[at + 1 :])})


def test_every_figure_has_a_rule_that_owns_it_but_for_those_that_are_named():
    line = {name for name, field in InvoiceLine.model_fields.items() if "Decimal" in str(field.annotation)}

    assert line == LINE_OWNER.keys() | TIED_BY_NOTHING | BY_UNIT
    assert set(Summary.model_fields) == OWNER.keys()


@given(st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_history_that_ties_out_is_never_held(random: Random):
    for case in cases_of(a_history(random)):
        gross, held = case.invoice.gross, case.invoice.held
        expected = {"net-negative"} if gross < max(held, ZERO) else set()
        expected = expected if gross else {"nothing-to-post", "release-only", "cost-moved"}

        assert stops(case) <= expected


@given(st.randoms(use_true_random=False), st.sampled_from([Decimal("0.01"), Decimal("-0.01")]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_figure_that_is_a_cent_off_is_caught_by_its_rule(random: Random, cent: Decimal):
    history = a_history(random)
    broken, owner = off_by(history[-1], random, cent)

    case = cases_of([*history[:-1], broken])[-1]

    assert owner in rules_of(case)


@given(st.randoms(use_true_random=False), st.sampled_from([Decimal("0.01"), Decimal("-0.01")]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_cent_of_what_is_tied_by_nothing_moves_nothing_that_is_paid_and_is_caught_at_its_bounds(
    random: Random, cent: Decimal
):
    history = a_history(random)
    invoice, case = history[-1], cases_of(history)[-1]
    [figure], at = TIED_BY_NOTHING, random.randrange(len(invoice.lines))
    released, held_before = invoice.lines[at].stored_released, case.invoice.lines[at].stored_retainage_before or ZERO
    broken = cases_of([*history[:-1], with_line(invoice, at, figure, released + cent)])[-1]
    before, after = rules_of(case), rules_of(broken)

    assert broken.invoice.gross == case.invoice.gross
    assert due(broken.invoice) == due(case.invoice)
    if not 0 <= released + cent <= held_before:
        assert "retainage-bounds" in after
    elif not invoice.released or not invoice.released + cent:
        assert "kind-of-invoice" in after
    else:
        assert after == before


def due(invoice: Invoice) -> Decimal:
    return invoice.gross - invoice.held + invoice.released


def rules_of(case: Case) -> set[str]:
    return {finding.rule for finding in check([case])[case.invoice.invoice_id_procore]}


@pytest.mark.parametrize("seed", range(3))
def test_the_suite_and_the_row_by_row_evaluation_agree(seed: int):
    random, cases = Random(seed), []
    for number in range(60):
        history = a_history(random)
        if number % 2:
            history[-1], _ = off_by(history[-1], random, Decimal("0.01"))
        last = cases_of(history)[-1]
        cases.append(a_case(last.invoice.model_copy(update={"invoice_id_procore": number}), last.previous,
                            books=BOOKS, rows=ROWS))  # fmt: skip

    verdicts = check(cases)

    assert validate(cases) == verdicts
    assert any(verdicts.values()) and not all(verdicts.values())


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_let_through_pays_together_with_what_is_released_by_hand_just_what_is_due(random: Random):
    *earlier, last = a_history(random)
    lines = tuple(typed_over(line, random) for line in last.lines)
    summary = a_summary(lines, earlier[-1].summary.earned_less_retainage if earlier else ZERO)
    case = cases_of([*earlier, last.model_copy(update={"lines": lines, "summary": summary})])[-1]
    paid, by_hand = case.invoice.gross - retention(case.invoice), to_release(case.invoice)

    if not stops(case):
        assert 0 <= paid <= case.invoice.gross
        assert by_hand >= 0
        assert paid + by_hand == summary.payment_due


def typed_over(line: InvoiceLine, random: Random) -> InvoiceLine:
    """Have somebody retain or release so much more or less on a line."""
    figure = random.choice(("work_retained", "work_released"))
    by = random.choice((0, 0, 1, -1)) * Decimal(random.randrange(1, 500_000)) / 100
    return line.model_copy(update={figure: getattr(line, figure) + by})
