"""Five hundred malformed payloads of Procore end in a reason each, and take no other invoice with them."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import TODAY, run
from data_contracts.invoice import Invoice
from tieout.connectors.procore import parse_invoice
from tieout.sandbox.contractor.contractor import build

SOUND = build(3, 1, 4, 2, False, today=TODAY).requisitions[0]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def test_malformed_payloads_end_in_a_reason_and_take_no_other_invoice_with_them():
    outcome = run(payloads=340, by_http=60, seed=7)

    assert outcome.payloads == 400
    assert outcome.tracebacks == []
    assert outcome.without_reason == []
    assert outcome.neighbours_harmed == 0
    assert outcome.let_go == []
    assert min(outcome.by_end[end] for end in ("cannot be read", "are held by a rule")) > 20


@given(ANYTHING | st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "replace")))
@settings(max_examples=60, deadline=None)
def test_whatever_is_no_invoice_is_a_reason(value: Any):
    body = value if isinstance(value, str) else json.dumps(value)

    assert_reason(body)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_stands_in_a_field_is_read_or_a_reason(data: st.DataObject):
    holder = data.draw(st.sampled_from([SOUND, SOUND["summary"], SOUND["items"][0]]))
    name = data.draw(st.sampled_from(sorted(holder)))
    changed = holder | {name: data.draw(ANYTHING)}
    if holder is SOUND["summary"]:
        changed = SOUND | {"summary": changed}
    elif holder is SOUND["items"][0]:
        changed = SOUND | {"items": [changed, *SOUND["items"][1:]]}

    assert_reason(json.dumps(changed))


def assert_reason(body: str) -> None:
    read = parse_invoice(body, 1)
    if not isinstance(read, Invoice):
        assert read.reasons
        assert all(reason.isprintable() for reason in read.reasons)
