"""Every change that an approver would have to decide on again is told, and no other."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from builders import a_line, a_second_line, an_invoice
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.reference import Finding
from tieout.export import drift


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"invoice_number": "INV-7"}, {"invoice_number": ("INV-0001", "INV-7")}),
        (
            {"vendor_id_procore": 613, "vendor_name": "Other Drywall"},
            {"vendor_id_procore": ("612", "613"), "vendor_name": ("Example Drywall", "Other Drywall")},
        ),
        ({"billed_on": None}, {"billed_on": ("2026-02-20", "")}),
        ({"summary_changes": {"tax": "12.50"}}, {"tax": ("0.00", "12.50"), "payment_due": ("4,950.00", "4,962.50")}),
    ],
)
def test_a_changed_field_is_told_as_it_was_and_as_it_is(changes: dict[str, Any], told: dict[str, tuple[str, str]]):
    assert an_invoice().differences(an_invoice(**changes)) == told


def test_a_changed_line_is_told_by_its_place_and_its_fields():
    later = an_invoice(lines=(a_line(work_retained="500.00"), a_second_line()))

    found = an_invoice().differences(later)

    assert found["line 1 Drywall: work_retained"] == ("400.00", "500.00")
    assert [name for name in found if name.startswith("line 2")] == []


def test_a_line_that_came_or_went_is_told_by_what_it_earned():
    one, two = an_invoice(lines=(a_line(),)), an_invoice()

    assert one.differences(two)["line 2 Ceilings"] == ("", "1,500.00")
    assert two.differences(one)["line 2 Ceilings"] == ("1,500.00", "")


def test_what_we_write_ourselves_is_no_difference():
    ours = {"origin_id": "P1", "origin_data": "{}", "updated_at": datetime(2026, 3, 1, tzinfo=UTC)}

    assert an_invoice().differences(an_invoice(**ours, vendor_name="Renamed in the directory")) == {}


_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "invoice_number": st.sampled_from(["INV-0001", "INV-0002"]),
        "status": st.sampled_from(["approved", "draft"]),
        "vendor_id_procore": st.sampled_from([612, 613]),
        "number_on_commitment": st.integers(1, 2),
        "currency": st.sampled_from(["USD", "CAD"]),
        "lines": st.lists(
            st.builds(
                a_line,
                line_id_procore=st.integers(1, 3),
                work_this_period=st.sampled_from([Decimal("4000.00"), Decimal("4000.01")]),
                description=st.sampled_from(["Drywall", "Ceilings"]),
            ),
            max_size=3,
            unique_by=lambda line: line.line_id_procore,
        ),
    },
)


@given(_CHANGES, _CHANGES)
def test_what_has_another_hash_has_a_difference_to_tell(one: dict[str, Any], other: dict[str, Any]):
    before, after = an_invoice(**one), an_invoice(**other)
    is_reordered = sorted(map(str, before.lines)) == sorted(map(str, after.lines)) and before.lines != after.lines

    is_told = bool(before.differences(after))

    assert is_told == (before.content_hash() != after.content_hash()) or is_reordered


def test_the_same_differences_in_other_words_were_acknowledged_already():
    told = Finding(rule="changed-in-erp", severity="warn", message="one", remedy="this", owner="x", numbers={"a": "1"})
    later = told.model_copy(update={"message": "other words", "remedy": "another menu"})
    others = told.model_copy(update={"numbers": {"a": "2"}})

    assert drift.digest([told]) == drift.digest([later])
    assert len({drift.digest(each) for each in ([], [told], [others], [told, others])}) == 4
