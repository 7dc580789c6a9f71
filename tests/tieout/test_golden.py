"""What Procore sends beside what Spectrum gets; `make samples` writes the expected side."""

import json
from pathlib import Path

import pytest
from golden import expected_of, outcome, samples


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.stem)
def test_a_commitments_invoices_become_the_expected_vouchers_and_payloads(path: Path):
    assert outcome(path) == json.loads(expected_of(path).read_text("utf-8"))


def test_the_pairs_show_what_is_hard():
    hard = {"moved_materials", "mixed_release", "correction", "change_order", "by_unit", "residual_cents"}

    assert hard <= {path.stem for path in samples()}
