"""A batch is judged as one, exactly, and quietly."""

from decimal import Decimal

import pytest
from builders import a_case, a_line, an_invoice

from data_contracts.case import Case
from data_contracts.expectations import suite, validate
from data_contracts.rules import RULES
from data_contracts.verdicts import check

LARGEST = Decimal("999999999999.99")


def case(number: int, **changes: object) -> Case:
    return a_case(an_invoice(invoice_id_procore=number, **changes))


def test_one_bad_invoice_takes_no_other_with_it():
    batch = [case(1), case(2, invoice_number=""), case(3)]

    found = validate(batch)

    assert {number: [each.rule for each in findings] for number, findings in found.items()} == {
        1: [],
        2: ["number-missing"],
        3: [],
    }


def test_a_batch_of_one_and_of_none_is_judged():
    assert validate([case(7)]) == {7: []}
    assert validate([]) == {}


def test_an_invoice_without_lines_is_judged():
    assert [each.rule for each in validate([case(7, lines=())])[7]] == ["nothing-to-post"]


def test_the_largest_amounts_are_told_apart_by_a_cent():
    largest = {"scheduled_value": LARGEST, "work_this_period": LARGEST, "work_retained": "0.00"}
    sound = a_line(**largest, completed_to_date=LARGEST)
    off = a_line(**largest, completed_to_date=LARGEST - Decimal("0.01"))
    batch = [case(1, lines=(sound,)), case(2, lines=(off,))]

    found = validate(batch)

    assert found[1] == []
    assert {each.rule for each in found[2]} == {"line-identity", "line-adds-up"}
    assert found == check(batch)


def test_a_sum_past_every_bound_is_held_and_does_not_overflow():
    huge = {"scheduled_value": LARGEST, "work_this_period": LARGEST, "completed_to_date": LARGEST, "work_retained": "0"}
    many = tuple(a_line(line_id_procore=number, **huge) for number in range(1200))
    figures = dict.fromkeys(("original_contract_sum", "net_change_orders", "contract_sum_to_date", "completed_to_date",
                             "earned_less_retainage", "payment_due", "balance_to_finish"), Decimal(0))  # fmt: skip
    batch = [case(1, lines=many, summary_changes=figures)]

    assert "lines-sum" in {each.rule for each in validate(batch)[1]}


def test_every_expectation_carries_the_rule_that_it_serves():
    expectations = [*suite("header").expectations, *suite("line").expectations]
    served = {RULES[each.meta["rule"]].id for each in expectations}

    assert served == {rule.id for rule in RULES if rule.checks}


def test_a_batch_is_judged_without_a_word(capfd: pytest.CaptureFixture[str]):
    validate([case(1), case(2, invoice_number="")])

    assert capfd.readouterr() == ("", "")
