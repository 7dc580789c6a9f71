"""A record of the ERP that cannot be right is told by itself; the rest of its batch goes on."""

from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import builders
import pytest
from builders import TODAY, a_reference
from pytest import MonkeyPatch

from data_contracts import batches
from data_contracts.batches import BATCHES, Told, check_payments, check_reference, check_states, why_not_whole
from data_contracts.reference import ErpJob, ErpPhase, ErpSubcontract, ErpVendor
from data_contracts.voucher import ErpInvoice, Payment

a_payment = partial(builders.a_payment, paid_on=date(2026, 3, 2))


def a_record(**changes: Any) -> ErpInvoice:
    fields: dict[str, Any] = {
        "key": None,
        "document_id_erp": "D1",
        "company_erp": "EBC",
        "vendor_erp": "EXDRY",
        "contract_erp": "2601",
        "invoice_number": "INV-1",
        "invoice_on": date(2026, 2, 20),
        "batch_code": "20260307",
        "state": "posted",
        "currency": "USD",
        "gross": Decimal("5500.00"),
        "retention": Decimal("550.00"),
    }
    return ErpInvoice(**fields | changes)


PAYMENTS: dict[str, tuple[Payment, Payment]] = {  # rule -> one that it lets pass, one that it alone stops
    "payment-identified": (a_payment(check_number=""), a_payment(invoice_number=" ")),
    "payment-once": (a_payment(), a_payment(amount=Decimal("7.00"))),
    "payment-whole-units": (a_payment(amount=Decimal("0.01")), a_payment(amount=Decimal("0.005"))),
    "payment-settles": (a_payment(amount=Decimal(0), discount=Decimal("1.00")), a_payment(amount=Decimal(0))),
    "payment-currency": (a_payment(), a_payment(currency="CAD")),
    "payment-dates": (
        a_payment(is_void=True, voided_on=date(2026, 3, 2)),
        a_payment(is_void=True, voided_on=date(2026, 3, 1)),
    ),
}
STATES: dict[str, tuple[ErpInvoice, ErpInvoice]] = {
    "state-identified": (a_record(batch_code=None), a_record(document_id_erp="")),
    "state-company": (a_record(), a_record(company_erp="XYZ")),
    "state-currency": (a_record(), a_record(currency="CAD")),
    "state-retention": (a_record(retention=Decimal("5500.00")), a_record(retention=Decimal("5500.01"))),
}


def others(count: int) -> list[Payment]:
    return [a_payment(application_id_erp=f"EBC/{number}") for number in range(count)]


def payments(*paid: Payment) -> tuple[list[int], list[Told]]:
    return check_payments(paid, ["USD"] * len(paid), "Spectrum", TODAY)


def states(*records: ErpInvoice) -> list[Told]:
    return check_states(records, [("EBC", "USD")] * len(records), "Spectrum")


def test_the_catalogue_has_an_example_of_every_rule_about_single_records():
    rules = {batch.name: {rule.id for rule in batch.rules} for batch in BATCHES}

    assert rules["payments"] == set(PAYMENTS)
    assert rules["states"] == set(STATES)


@pytest.mark.parametrize("rule", PAYMENTS)
def test_a_payment_that_breaks_a_rule_takes_no_other_with_it(rule: str):
    sound, broken = PAYMENTS[rule]
    batch = [*others(2), broken, *([a_payment()] if rule == "payment-once" else [])]
    places, told = payments(*batch)

    assert payments(*others(2), sound) == ([0, 1, 2], [])
    assert places == [0, 1]
    assert {each.finding.rule for each in told} == {rule}
    assert all(each.finding.remedy and "{" not in each.finding.message for each in told)


@pytest.mark.parametrize("rule", STATES)
def test_an_ap_invoice_that_breaks_a_rule_is_told_alone(rule: str):
    sound, broken = STATES[rule]

    assert states(a_record(), sound) == []
    assert [(each.at, each.finding.rule) for each in states(a_record(), broken, a_record())] == [(1, rule)]


def test_a_payment_that_is_read_twice_counts_once():
    assert payments(a_payment(), a_payment(), *others(1)) == ([0, 2], [])


def test_master_data_that_belongs_to_nothing_is_left_out_by_itself():
    sound = a_reference()
    broken = a_reference(
        vendors=(*sound.vendors, ErpVendor(code=" ", name="NOBODY", is_active=True)),
        jobs=(*sound.jobs, ErpJob(number="9", name="A", is_active=True), ErpJob(number="9", name="B", is_active=True)),
        phases=(*sound.phases, ErpPhase(job="27-000", phase="09200", cost_type="SUB", is_active=True)),
        subcontracts=(
            *sound.subcontracts,
            ErpSubcontract(number="2602", vendor="GONE", job="26-041", is_active=True),
        ),
    )
    kept, findings = check_reference(broken, "Spectrum")

    assert check_reference(sound, "Spectrum") == (sound, [])
    assert kept == sound
    assert sorted(each.rule for each in findings) == [
        "reference-belongs", "reference-belongs", "reference-code", "reference-once", "reference-once",
    ]  # fmt: skip
    assert any("vendor 'GONE', which is not there" in each.message for each in findings)


def test_master_data_without_vendors_or_with_a_period_turned_round_is_not_believed_at_all():
    assert why_not_whole(a_reference()) == ""
    assert "no vendors" in why_not_whole(a_reference(vendors=()))
    assert "ends before that" in why_not_whole(a_reference(open_from=date(2026, 4, 1)))


def test_many_records_are_looked_at_together_and_alike(monkeypatch: MonkeyPatch):
    paid = [each for pair in PAYMENTS.values() for each in pair]
    records = [each for pair in STATES.values() for each in pair]
    reference = a_reference(vendors=(ErpVendor(code="", name="X", is_active=True),))
    one_by_one = payments(*paid), states(*records), check_reference(reference, "Spectrum")
    monkeypatch.setattr(batches, "MANY", 0)

    assert (payments(*paid), states(*records), check_reference(reference, "Spectrum")) == one_by_one
