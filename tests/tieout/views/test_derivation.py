"""The proof of an invoice's arithmetic equals what the ERP gets, to the cent, and names a source for every figure."""

import json
import re
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from builders import a_case, a_commitment, a_line, a_next_invoice, an_invoice, some_books
from desk import Desk, amount
from histories import a_history
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.commitment import ChangeOrder
from data_contracts.invoice import Invoice
from data_contracts.voucher import Voucher
from tieout.connectors.procore import invoice_paths, parse_invoice
from tieout.judgement.billing import voucher
from tieout.judgement.mapping import MappingRow
from tieout.views import inquiry
from tieout.views.derivation import FORMULAS, Derivation, derive, form_ties, sheets

SAMPLES = Path(__file__).parents[2] / "samples" / "procore"
BOOKS = some_books(
    commitments=(a_commitment(lines=(), change_orders=(ChangeOrder(change_order_id_procore=3, status="approved"),)),)
)
ROWS = (MappingRow(kind="phase", procore="09-200", erp="09200"), MappingRow(kind="cost_type", procore="S", erp="SUB"))
PATH = invoice_paths('{"summary": {}}')
COMPUTED = ("gross", "held", "released", "net")


def frozen(invoice: Invoice, previous: Invoice | None) -> Voucher:
    case = a_case(invoice, previous, books=BOOKS, rows=ROWS)
    made = voucher(case, "P1", "20260307", invoice.billed_on)
    assert isinstance(made, Voucher)
    return made


def derived(invoice: Invoice, previous: Invoice | None = None) -> Derivation:
    return derive(invoice, previous, PATH, (Decimal("5500.00"), Decimal("550.00")))


def holds(derivation: Derivation) -> None:
    """Every formula comes to its figure, by the figures that stand beside it."""
    for line in derivation.lines:
        amounts = {name: figure.amount for name, figure in line.figures.items()}
        for name in COMPUTED:
            assert eval(FORMULAS[name], {}, amounts) == amounts[name]


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_derived_of_a_random_history_is_what_the_erp_gets(random: Random):
    history = a_history(random)
    for invoice, previous in zip(history, [None, *history], strict=False):
        sent = frozen(invoice, previous)
        shown = derive(invoice, previous, PATH, sent)

        lines = {line.line_id_procore: line.figures["exported"].amount for line in shown.lines}
        assert {each.line_id_procore: each.amount for each in sent.lines} == {
            line: exported for line, exported in lines.items() if exported
        }
        assert sum(lines.values()) == sent.gross
        assert shown.broken == []
        holds(shown)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*[!d].json")), ids=lambda path: path.stem)
def test_every_figure_of_a_sample_is_found_in_procores_answer_where_the_proof_says(path: Path):
    body = path.read_text("utf-8")
    read = parse_invoice(body, 1)
    if not isinstance(read, Invoice):
        return
    shown = derive(read, None, invoice_paths(body), (Decimal(0), Decimal(0)))
    figures = [*shown.header, *(figure for line in shown.lines for figure in line.figures.values())]

    holds(shown)
    for figure in figures:
        if re.match(r"(summary|g702|items\[)", figure.source):
            assert figure.amount == Decimal(str(found(body, figure.source)))


def found(body: str, source: str) -> Any:
    there: Any = json.loads(body)
    for step in re.findall(r"\w+", source):
        there = there[int(step)] if step.isdigit() else there.get(step)
    return there or 0


def test_the_form_is_shown_to_tie():
    equations = form_ties(an_invoice())

    assert len(equations) == 9
    assert all(tie.holds for tie in equations)


def test_a_form_that_does_not_tie_is_shown_with_both_sides():
    broken = [tie for tie in form_ties(an_invoice(summary_changes={"total_retainage": "550.01"})) if not tie.holds]

    assert [(tie.equation, tie.computed, tie.stated) for tie in broken] == [
        ("5 = 5a + 5b", Decimal("550.00"), Decimal("550.01")),
        ("6 = 4 - 5", Decimal("4949.99"), Decimal("4950.00")),
    ]


def test_a_figure_that_procore_omits_names_the_line_of_the_invoice_before():
    before = an_invoice()
    sources = derived(a_next_invoice(before), before).lines[1].figures

    assert sources["work_this_period"].source == "items[1].work_completed_this_period"
    assert sources["stored_before"].source == (
        f"items[1].materials_presently_stored of the previous invoice {before.invoice_id_procore}"
    )
    assert sources["stored_before"].amount == 500
    first = derived(before).lines[1].figures["completed_before"]
    assert (first.amount, first.source) == (0, "zero, as nothing of this line was billed before")
    unknown = derived(a_next_invoice(before)).lines[1].figures["completed_before"]
    assert unknown.source.startswith("not known")


def test_a_residual_cent_is_shown_on_its_line():
    third = {"work_this_period": "33.3333", "completed_to_date": "33.3333", "work_retained": "0.00"}
    shown = derived(an_invoice(lines=[a_line(line_id_procore=number, **third) for number in (7, 5, 9)]))

    assert [str(line.figures["residual"].amount) for line in shown.lines] == ["0.00", "0.01", "0.00"]
    assert "0.01" in sheets(shown)[0].rows[1]


def test_what_differs_from_what_was_sent_does_not_tie():
    invoice = an_invoice(lines=(a_line(),))
    sent = frozen(invoice, None)
    otherwise = derive(invoice, None, PATH, sent.model_copy(update={"retention": Decimal("399.99")}))

    assert derive(invoice, None, PATH, sent).broken == []
    assert [(tie.computed, tie.stated) for tie in otherwise.broken] == [(Decimal("400.00"), Decimal("399.99"))]
    assert "DOES NOT TIE" in sheets(otherwise)[-2].rows[-1]


def test_lines_that_are_not_sent_are_counted_and_the_empty_twins_of_change_orders_among_them():
    nothing = {"work_this_period": "0.00", "completed_to_date": "0.00", "work_retained": "0.00"}
    idle = a_line(line_id_procore=2, **nothing)
    twin = a_line(line_id_procore=3, kind="change_order_item", scheduled_value="0.00", **nothing)
    shown = derived(an_invoice(lines=(a_line(), idle, twin)))

    assert (shown.left_out, shown.twins) == (2, 1)
    assert [count for _, count in sheets(shown)[-1].rows] == ["1", "1"]


@pytest.mark.sandbox(after="export", invoices=12)
def test_the_proof_of_an_exported_invoice_comes_to_what_the_erp_holds(desk: Desk):
    rows = desk.exported()
    shown = inquiry.derivations(desk.ledger, desk.items())

    assert len(shown) == len(rows) > 0
    for item in desk.items():
        proof, row = shown[item.item_id], rows[item.invoice_id]
        assert isinstance(proof, Derivation)
        assert proof.broken == []
        assert len(proof.ties) == 11
        assert sum(line.figures["exported"].amount for line in proof.lines) == amount(row, "Invoice_Amount")
