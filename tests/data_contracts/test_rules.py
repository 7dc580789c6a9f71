"""Every rule of the catalogue stops what it should and lets the rest go, in words that its owner understands."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from builders import (
    TODAY,
    a_case,
    a_commitment,
    a_credit,
    a_line,
    a_next_invoice,
    a_reference,
    a_release,
    a_second_line,
    a_taxed_one,
    a_vendor,
    an_invoice,
    an_order,
    continued,
    some_books,
)

from data_contracts.case import Case, Others
from data_contracts.commitment import ChangeOrder, CommitmentLine, Compliance, LienWaiver, Paper
from data_contracts.expectations import validate
from data_contracts.invoice import InvoiceLine
from data_contracts.reference import ErpSubcontract, ErpVendor, Finding
from data_contracts.rules import RULES, page
from data_contracts.verdicts import check, unreadable, verdict

Example = Callable[[], Case]


def header(**figures: str) -> Case:
    return a_case(an_invoice(summary_changes=figures))


def lines(*changed: Any, **changes: Any) -> Case:
    return a_case(an_invoice(lines=changed, **changes))


def reference(**changes: Any) -> Case:
    return a_case(reference=a_reference(**changes))


def unmapped_line(**codes: Any) -> Case:
    line = CommitmentLine(line_id_procore=10, amount="10000.00", cost_code="09-200", cost_type="S", **codes)
    return a_case(books=some_books(commitments=(a_commitment(lines=(line, *a_commitment().lines[1:])),)))


def with_change_order(status: str, **changes: Any) -> Case:
    orders = (ChangeOrder(change_order_id_procore=3, number="001", status=status),)
    line = a_second_line(kind="change_order_item", change_order_id_procore=3, **changes)
    invoice = an_invoice(lines=(a_line(), line))
    return a_case(invoice, books=some_books(commitments=(a_commitment(change_orders=orders),)))


def mixed(**changes: Any) -> Case:
    """A month of work in which a part of the retention is given back."""
    before = an_invoice()
    first, second = (continued(line) for line in before.lines)
    first = first.model_copy(update={"work_released": Decimal("50.00")})
    return a_case(
        a_next_invoice(before, lines=(first, second), kind="progress_and_retainage_release"), before, **changes
    )


def next_month(change: dict[str, str], **changes: Any) -> Case:
    before = an_invoice()
    first, second = (continued(line) for line in before.lines)
    first = first.model_copy(update={name: Decimal(value) for name, value in change.items()})
    return a_case(a_next_invoice(before, lines=(first, second), **changes), before)


def deduction(done: str, held: str = "0.00") -> Case:
    figures = {"scheduled_value": "-500.00", "work_this_period": done, "completed_to_date": done, "work_retained": held}
    return lines(a_line(), a_second_line(stored_now="0.00", stored_retainage_now="0.00", **figures))


def by_unit(**factors: str) -> Case:
    """A line of which 3,999.93 is billed by quantity and price."""
    done = {"work_this_period": "3999.93", "completed_to_date": "3999.93", "work_retained": "0.00"}
    return lines(a_line(**done, **factors))


def after_certificate(certified: str) -> Case:
    """The month after an invoice whose own line 6 said so much, whatever its lines said."""
    before = an_invoice(summary_changes={"earned_less_retainage": certified})
    return a_case(a_next_invoice(before), before)


YESTERDAY = TODAY - timedelta(days=1)


def policy_until(day: date) -> Paper:
    return Paper(name="Certificate", kind="General Liability", status="compliant",
                 expires_at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC))  # fmt: skip


def papers(policy: str, gravity: str = "stop", **shown: Any) -> Case:
    compliance = (Compliance(commitment_id_procore=77, **shown),)
    return a_case(books=some_books(compliance=compliance), policy={policy: gravity})


def waived(status: str) -> Case:
    waiver = LienWaiver(waiver_id_procore=1, invoice_id_procore=an_invoice().invoice_id_procore,
                        kind="conditional_progress", status=status)  # fmt: skip
    return a_case(books=some_books(lien_waivers=(waiver,)), policy={"lien_waiver": "stop"})


# rule -> an example that it lets pass and one that it, and no other rule, stops
EXAMPLES: dict[str, tuple[Example, Example]] = {
    "status": (
        lambda: a_case(an_invoice(status="approved_as_noted")),
        lambda: a_case(an_invoice(status="under_review")),
    ),
    "purchase-order": (
        lambda: a_case(an_invoice(commitment_kind="purchase_order"), erp={"purchase_orders": True}),
        an_order,
    ),
    "release-only": (lambda: a_release(erp={"retention_release": True}), a_release),
    "number-missing": (
        lambda: a_case(an_invoice(invoice_number=" 7 ")),
        lambda: a_case(an_invoice(invoice_number="  ")),
    ),
    "number-too-long": (
        lambda: a_case(an_invoice(invoice_number="N" * 20)),
        lambda: a_case(an_invoice(invoice_number="N" * 21)),
    ),
    "number-characters": (
        lambda: a_case(an_invoice(invoice_number="Nº 7/é")),
        lambda: a_case(an_invoice(invoice_number="INV\x07-1")),
    ),
    "number-duplicate": (
        a_case,
        lambda: a_case(others=Others(same_number=("invoice 12 of SC-002", "invoice 13 of SC-003"))),
    ),
    "number-duplicate-in-erp": (
        a_case,
        lambda: a_case(others=Others(same_number_in_erp=("invoice 12 of vendor 99",))),
    ),
    "billed-twice": (a_case, lambda: a_case(others=Others(same_bill=("invoice 12",)))),
    "sequence": (
        lambda: next_month({}),
        lambda: next_month({}, number_on_commitment=3),
    ),
    "unit-price": (
        lambda: by_unit(quantity="114.3", unit_price="34.995"),  # 3,999.9285
        lambda: by_unit(quantity="114.4", unit_price="34.995"),
    ),
    "lines-sum": (
        a_case,
        lambda: header(completed_to_date="5500.01", earned_less_retainage="4950.01", payment_due="4950.01",
                       balance_to_finish="10049.99"),
    ),
    "scheduled-sum": (
        a_case,
        lambda: header(original_contract_sum="15000.01", contract_sum_to_date="15000.01", balance_to_finish="10050.01"),
    ),
    "header-foots": (a_case, lambda: header(payment_due="4950.01")),
    "payment-due": (lambda: after_certificate("4950.00"), lambda: after_certificate("4950.01")),
    "continues-previous": (
        lambda: next_month({}),
        lambda: next_month({"work_before": "4000.01", "completed_to_date": "5000.01", "completed_before": "4000.01"}),
    ),
    "line-identity": (
        lambda: next_month({}),
        lambda: next_month({"moved": "0.01"}),
    ),
    "line-adds-up": (
        a_case,
        lambda: lines(a_line(work_before="0.01"), a_second_line(work_before="-0.01")),
    ),
    "retainage-bounds": (
        lambda: deduction("-250.00", "-25.00"),
        lambda: deduction("-250.00", "25.00"),
    ),
    "vendor-unmapped": (a_case, lambda: a_case(vendors=(a_vendor(erp_code=None),))),
    "vendor-inactive": (
        a_case,
        lambda: reference(vendors=(ErpVendor(code="EXDRY", name="EXAMPLE DRYWALL", is_active=False),)),
    ),
    "job-unmapped": (
        a_case,
        lambda: a_case(books=some_books(project=some_books().project.model_copy(update={"erp_code": None}))),
    ),
    "subcontract-unmapped": (
        a_case,
        lambda: a_case(books=some_books(commitments=(a_commitment(erp_code=None),))),
    ),
    "contract-too-long": (
        lambda: long_contract("26-01-0001"),
        lambda: long_contract("26-01-00012"),
    ),
    "subcontract-not-in-erp": (
        a_case,
        lambda: reference(subcontracts=(ErpSubcontract(number="2601", vendor="OTHER", job="26-041", is_active=True),)),
    ),
    "phase-unmapped": (a_case, lambda: unmapped_line(cost_type_erp="SUB")),
    "cost-type-unmapped": (a_case, lambda: unmapped_line(cost_code_erp="09200")),
    "coding-not-in-erp": (
        a_case,
        lambda: reference(phases=a_reference().phases[:1]),
    ),
    "currency": (
        lambda: a_case(an_invoice(currency="CAD", base_currency="CAD"), reference=a_reference(currency="CAD")),
        lambda: a_case(an_invoice(currency="CAD")),
    ),
    "dates": (
        lambda: a_case(an_invoice(billed_on=date(2027, 3, 4))),
        lambda: a_case(an_invoice(billed_on=None)),
    ),
    "period-closed": (
        lambda: a_case(an_invoice(billed_on=date(2026, 1, 31))),
        lambda: a_case(an_invoice(billed_on=date(2026, 1, 31)), policy={"closed_period": "hold"}),
    ),
    "nothing-to-post": (
        a_case,
        lambda: lines(a_line(work_this_period="0.00", completed_to_date="0.00", work_retained="0.00")),
    ),
    "cost-moved": (lambda: cost_moved("400.00"), lambda: cost_moved("-400.00")),
    "net-negative": (lambda: a_credit(erp={"credit_memos": True}), a_credit),
    "tax-not-carried": (
        lambda: a_taxed_one(erp={"tax": True}),
        a_taxed_one,
    ),
    "change-order-unapproved": (lambda: with_change_order("approved"), lambda: with_change_order("pending")),
    "line-rejected": (
        lambda: lines(a_line(), idle(a_second_line(is_rejected=True))),
        lambda: lines(a_line(), a_second_line(is_rejected=True)),
    ),
    "over-billed": (
        lambda: deduction("-500.00"),
        lambda: deduction("-500.01"),
    ),
    "kind-of-invoice": (
        lambda: mixed(erp={"retention_release": True}),
        lambda: a_case(an_invoice(kind="progress_and_retainage_release"), erp={"retention_release": True}),
    ),
    "insurance": (
        lambda: papers("insurance", insurance_derived="compliant", insurance_papers=(policy_until(TODAY),)),
        lambda: papers("insurance", insurance_status="compliant", insurance_papers=(policy_until(YESTERDAY),)),
    ),
    "compliance-documents": (
        lambda: papers("compliance_documents", documents_status="compliant"),
        lambda: papers("compliance_documents", documents_status="not_compliant"),
    ),
    "lien-waiver": (lambda: waived("completed"), lambda: waived("awaiting_signature")),
    "release-by-hand": (lambda: mixed(erp={"retention_release": True}), mixed),
    "period-missing": (a_case, lambda: a_case(an_invoice(period_id_procore=99))),
}  # fmt: skip


def idle(line: InvoiceLine) -> InvoiceLine:
    """The line with nothing billed on it."""
    figures = ("work_this_period", "stored_now", "completed_to_date", "work_retained", "stored_retainage_now")
    return line.model_copy(update=dict.fromkeys(figures, Decimal("0.00")))


def cost_moved(to: str, **changes: Any) -> Case:
    """Something is billed on the first line and as much, or as little, on the second one; nothing is retained."""
    blank = {"stored_now": "0.00", "stored_retainage_now": "0.00", "work_retained": "0.00"}
    first = a_line(work_this_period="400.00", completed_to_date="400.00", **blank)
    return lines(first, a_second_line(work_this_period=to, completed_to_date=to, **blank), **changes)


def long_contract(number: str) -> Case:
    subcontract = ErpSubcontract(number=number, vendor="EXDRY", job="26-041", is_active=True)
    books = some_books(commitments=(a_commitment(erp_code=number),))
    return a_case(books=books, reference=a_reference(subcontracts=(subcontract,)))


def found(case: Case) -> list[Finding]:
    return check([case])[case.invoice.invoice_id_procore]


def broken(case: Case) -> set[str]:
    return {finding.rule for finding in found(case)}


def test_the_catalogue_has_an_example_of_every_rule():
    assert {rule.id for rule in RULES} - {"unreadable"} == set(EXAMPLES)


def test_a_rule_has_one_description():
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_rule_lets_its_sound_example_pass(rule: str):
    assert broken(EXAMPLES[rule][0]()) == set()


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_rule_alone_stops_its_broken_example(rule: str):
    assert broken(EXAMPLES[rule][1]()) == {rule}


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_finding_says_what_was_found_and_what_to_do(rule: str):
    for finding in found(EXAMPLES[rule][1]()):
        said = finding.message + finding.remedy

        assert [text for text in finding.numbers.values() if text not in said] == []
        assert not re.search(r"[{}]|\bNone\b", said)
        assert finding.owner


def test_of_an_invoice_no_more_is_held_than_it_earns_where_the_erp_takes_no_credits():
    held_before = a_line(work_before="4000.00", work_retainage_before="0.00", completed_before="4000.00",
                         work_this_period="100.00", completed_to_date="4100.00", work_retained="100.01")  # fmt: skip
    catching_up = {"previous_invoice_id_procore": 99, "number_on_commitment": 2}

    assert "net-negative" in broken(lines(held_before, **catching_up))
    as_much = held_before.model_copy(update={"work_retained": Decimal("100.00")})
    assert "net-negative" not in broken(lines(as_much, **catching_up))
    invoice = an_invoice(lines=(held_before,), **catching_up)
    assert "net-negative" not in broken(a_case(invoice, erp={"credit_memos": True}))


def test_what_an_invoice_is_called_does_not_make_it_release_anything():
    nothing = {"work_this_period": "0.00", "completed_to_date": "0.00", "work_retained": "0.00"}

    assert broken(a_case(an_invoice(kind="retainage_release"))) == {"kind-of-invoice"}
    assert broken(lines(a_line(**nothing), kind="retainage_release")) == {"kind-of-invoice", "nothing-to-post"}


def worked(line: InvoiceLine, work: str, retained: str = "0.00", released: str = "0.00") -> InvoiceLine:
    """The same line on the next invoice, so much further."""
    done = line.completed_to_date + Decimal(work)
    return continued(
        line, work_this_period=work, completed_to_date=done, work_retained=retained, work_released=released
    )


def test_cost_that_is_moved_is_told_though_the_invoice_releases_retention_too():
    before = an_invoice()
    moved = (worked(before.lines[0], "50.00", released="20.00"), worked(before.lines[1], "-50.00"))
    case = a_case(a_next_invoice(before, lines=moved, kind="retainage_release"), before)

    assert (broken(case), verdict(found(case))) == ({"cost-moved"}, "HELD")
    assert "$50.00 is moved from one line to another, and $20.00 of retention is released" in found(case)[0].message


def test_retainage_that_is_held_again_by_a_release_below_zero_is_not_paid():
    before = an_invoice()
    again = (worked(before.lines[0], "500.00", released="-50.00"), worked(before.lines[1], "0.00"))
    case = a_case(a_next_invoice(before, lines=again), before)

    assert "retainage-bounds" in broken(case)
    assert "-$50.00 of retainage on work is released" in " ".join(each.message for each in found(case))


def test_what_only_a_deduction_releases_is_not_paid():
    """Procore's due is less by the release; the ERP would be told nothing of it."""
    before = an_invoice(lines=deduction("-400.00", held="-40.00").invoice.lines)
    lines = (worked(before.lines[0], "100.00"), worked(before.lines[1], "0.00", released="-40.00"))
    release = (a_next_invoice(before, lines=lines, kind="progress_and_retainage_release"), before)

    assert broken(a_case(*release, erp={"retention_release": True, "credit_memos": True})) == {"net-negative"}


def test_a_credit_that_is_entered_by_hand_tells_of_no_release_after_an_export():
    before = an_invoice()
    credit = (worked(before.lines[0], "-200.00", retained="-20.00"), worked(before.lines[1], "0.00"))
    case = (a_next_invoice(before, lines=credit), before)

    assert broken(a_case(*case)) == {"net-negative"}
    assert "held -$20.00 and released $0.00" in found(a_case(*case))[0].message
    assert broken(a_case(*case, erp={"credit_memos": True})) == {"release-by-hand"}


def test_both_evaluators_find_the_same_in_every_example():
    examples = [case() for passing, failing in EXAMPLES.values() for case in (passing, failing)]
    cases = [numbered(case, number) for number, case in enumerate(examples)]

    assert validate(cases) == check(cases)


def numbered(case: Case, number: int) -> Case:
    return replace(case, invoice=case.invoice.model_copy(update={"invoice_id_procore": number}))


def test_a_wrong_payment_due_is_not_said_again_where_its_cause_is():
    assert broken(header(previous_certificates="0.01", payment_due="4949.99")) == {"continues-previous"}


def test_all_problems_of_an_invoice_are_reported_together():
    invoice = an_invoice(invoice_number="", currency="CAD", billed_on=None, lines=(a_line(work_before="1.00"),))

    assert broken(a_case(invoice)) == {"number-missing", "currency", "dates", "line-adds-up"}


@pytest.mark.parametrize(("policy", "severity"), [("stop", "hold"), ("warn", "warn"), ("allow", None)])
def test_the_policy_says_how_grave_over_billing_is(policy: str, severity: str | None):
    case = replace(EXAMPLES["over-billed"][1](), over_billing=policy)

    assert [finding.severity for finding in found(case)] == ([severity] if severity else [])


@pytest.mark.parametrize("rule", ["purchase-order", "release-only"])
def test_what_the_erp_never_takes_is_not_held_for_anyone(rule: str):
    assert verdict(found(EXAMPLES[rule][1]())) == "NOT_EXPORTABLE"


def test_a_warning_does_not_hold_an_invoice():
    assert verdict(found(EXAMPLES["period-missing"][1]())) == "READY"


def test_what_cannot_be_read_is_refused():
    finding = unreadable("items: must be a list")

    assert (finding.rule, verdict([finding])) == ("unreadable", "HELD")


def test_an_invoice_waits_for_a_previous_one_that_was_never_read():
    case = a_case(a_next_invoice(), previous=None)
    rules = found(case)

    assert {finding.rule for finding in rules} == {"continues-previous"}
    assert "has not been read yet" in rules[0].message


def test_without_the_previous_invoice_the_lines_own_word_for_it_is_taken():
    before = an_invoice()
    told = [
        continued(line, stored_before=line.stored_now, completed_before=line.completed_to_date,
                  stored_retainage_before=line.stored_retainage_now)
        for line in before.lines
    ]  # fmt: skip

    assert broken(a_case(a_next_invoice(before, lines=tuple(told)), previous=None)) == set()


def test_a_line_that_was_left_out_breaks_the_thread():
    before = an_invoice()
    case = a_case(a_next_invoice(before, lines=(continued(before.lines[0]),)), before)

    assert "continues-previous" in broken(case)


def test_an_idle_line_needs_no_codes():
    idle = a_second_line(work_this_period="0.00", stored_now="0.00", completed_to_date="0.00", work_retained="0.00",
                         stored_retainage_now="0.00", commitment_line_id_procore=None)  # fmt: skip

    assert broken(lines(a_line(), idle)) == set()


def test_fractions_of_a_cent_are_compared_after_rounding_the_sum():
    third = a_line(work_this_period="33.3333", completed_to_date="33.3333", work_retained="0.00")
    three = [third.model_copy(update={"line_id_procore": number}) for number in (1, 2, 3)]
    figures = {"completed_to_date": "100.00", "earned_less_retainage": "100.00", "payment_due": "100.00",
               "balance_to_finish": "29900.00"}  # fmt: skip

    assert broken(lines(*three, summary_changes=figures)) == set()


def test_a_fraction_of_a_cent_that_does_not_tie_is_shown():
    finding = next(each for each in found(lines(a_line(work_before="0.0001"))) if each.rule == "line-adds-up")

    assert "0.0001 USD" in finding.message


def test_each_rule_protects_against_something_of_its_own_and_the_page_says_so():
    told = re.findall(r"^- Protects against: (.+)$", page(), re.MULTILINE)

    assert told == [rule.protects_against for rule in RULES]
    assert len(set(told)) == len(RULES)
