"""What people type into forms is taken as it is, but for what no database, message or mail can hold."""

import json
from typing import Any

import pytest

from data_contracts.forms import Answer, RefreshAnswer, ReviewAnswer, SettleAnswer

PASTED = "INV-1: scan\x00 of \ud83d page\x1b two\t\N{WHITE SMILING FACE}\nINV-2: twice"


FORMS = pytest.mark.parametrize("form", [ReviewAnswer, SettleAnswer, RefreshAnswer])


@FORMS
def test_each_field_says_what_to_fill_in(form: type[Answer]):
    fields = form.model_json_schema()["properties"]

    assert [name for name, field in fields.items() if not field.get("description", "").endswith(".")] == []


@FORMS
def test_what_cannot_be_written_is_marked_and_kills_no_form(form: type[Answer]):
    answer: dict[str, Any] = dict.fromkeys(form.model_fields, PASTED)

    kept = form(**answer).model_dump()

    assert set(kept.values()) == {"INV-1: scan\ufffd of \ufffd page\ufffd two\t\u263a\nINV-2: twice"}
    assert json.dumps(kept, ensure_ascii=False).encode()


def test_the_reasons_of_a_review_are_read_around_it():
    answer = ReviewAnswer(decided_by="Dana Reyes", reject=PASTED)

    assert answer.rejected(["INV-1", "INV-2"]) == [
        ("INV-1", "scan\ufffd of \ufffd page\ufffd two\t\u263a"),
        ("INV-2", "twice"),
    ]
