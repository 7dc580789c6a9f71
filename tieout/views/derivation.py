"""The proof of an invoice's arithmetic: every figure of its G703 and G702 with where it comes from, and what must tie.

It adds nothing up that `billing.py` and the contract's own lines have not added up: it shows their steps.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from data_contracts.case import line_keys
from data_contracts.invoice import ZERO, Invoice, InvoiceLine
from data_contracts.money import round_half_up
from data_contracts.voucher import Voucher
from tieout.judgement import billing

Path = Callable[[Sequence[int | str]], str]  # where Procore has a field of ours, for example ("lines", 3, "moved")

# Letters are the form's columns. What is not a field of Procore is computed, by the formula that stands beside it.
_EARNED: Final = {
    "scheduled_value": "C scheduled",
    "work_before": "D before",
    "work_this_period": "E period",
    "stored_before": "F before",
    "stored_now": "F stored",
    "moved": "moved",
    "completed_before": "G before",
    "completed_to_date": "G to date",
}
_RETAINED: Final = {
    "work_retainage_before": "on work before",
    "work_retained": "work period",
    "work_released": "work released",
    "stored_retainage_before": "stored before",
    "stored_retainage_now": "stored now",
    "stored_released": "stored released",
    "retainage_moved": "moved",
}
FORMULAS: Final = {
    "gross": "work_this_period + stored_now - stored_before + moved",
    "residual": "the cents that rounding every line leaves of the sum, on the largest line, of equals the lowest id",
    "exported": "gross to the cent + residual",
    "held": "work_retained + stored_retainage_now - stored_retainage_before + retainage_moved + stored_released",
    "released": "work_released + stored_released",
    "net": "exported - held + released",
}
_ON_EARNED: Final = _EARNED | {"gross": "earned", "residual": "residual", "exported": "to the ERP"}
_ON_RETAINED: Final = _RETAINED | {"held": "held", "released": "released", "net": "net"}
_FORM: Final = {
    "original_contract_sum": "1 original contract sum",
    "net_change_orders": "2 net change orders",
    "contract_sum_to_date": "3 contract sum to date",
    "completed_to_date": "4 completed and stored to date",
    "work_retainage": "5a retainage on work",
    "stored_retainage": "5b retainage on stored materials",
    "total_retainage": "5 total retainage",
    "earned_less_retainage": "6 earned less retainage",
    "previous_certificates": "7 previous certificates",
    "tax": "tax",
    "payment_due": "8 payment due",
    "balance_to_finish": "9 balance to finish",
}
# Procore's view may omit what a line started from: that is taken from the same line of the invoice before (billing).
_CONTINUES: Final = {
    "stored_before": "stored_now",
    "completed_before": "completed_to_date",
    "stored_retainage_before": "stored_retainage_now",
}


_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the form: its amount, and Procore's field for it or the formula that it is computed by."""

    name: str
    amount: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Tie:
    """One equation, with both its sides."""

    equation: str
    computed: Decimal
    stated: Decimal

    @property
    def holds(self) -> bool:
        """Whether both sides are equal to the cent."""
        return self.computed == self.stated


@dataclass(frozen=True, slots=True)
class DerivedLine:
    """How one G703 line becomes an amount in the ERP (R42, AM-2)."""

    line_id_procore: int
    label: str
    figures: dict[str, Figure]
    ties: tuple[Tie, ...]


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a whole invoice becomes a voucher."""

    header: tuple[Figure, ...]
    lines: tuple[DerivedLine, ...]
    ties: tuple[Tie, ...]  # of the header, and of the sums with what was accepted or frozen
    left_out: int = 0  # lines that earned nothing, and so are not sent
    twins: int = 0  # those of them that only stand beside the line of a change order (requirements C2.7)

    @property
    def broken(self) -> list[Tie]:
        """What does not tie, lines included."""
        return [tie for tie in (*self.ties, *(each for line in self.lines for each in line.ties)) if not tie.holds]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of the proof as people read it; a heading that ends in `>` stands over amounts."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def derive(
    read: Invoice, previous: Invoice | None, path: Path, agreed: tuple[Decimal, Decimal] | Voucher
) -> Derivation:
    """Show how an invoice, as Procore's view of it was read, becomes what the ERP gets.

    `path` tells where Procore has a field of it; lines are alike in every view of it.
    `agreed` is what the sums must come to: gross and retention that were accepted, or the voucher that was frozen.
    """
    invoice = billing.complete(read, previous)
    sent = {each.line_id_procore: each.amount for each in agreed.lines} if isinstance(agreed, Voucher) else None
    lines = tuple(
        _line(position, line, exported, residual, sources, sent)
        for position, (line, (exported, residual), sources) in enumerate(
            zip(invoice.lines, billing.exported_amounts(invoice), _sources(read, previous, path), strict=True)
        )
    )
    header = tuple(Figure(name, getattr(read.summary, name), path(("summary", name))) for name in _FORM)
    left_out = sum(line.figures["exported"].amount == ZERO for line in lines)
    twins = sum(line.is_empty_twin for line in invoice.lines)
    return Derivation(header, lines, (*form_ties(invoice), *_sums(invoice, lines, agreed)), left_out, twins)


def _line(
    position: int,
    line: InvoiceLine,
    exported: Decimal,
    residual: Decimal,
    sources: dict[str, str],
    sent: dict[int, Decimal] | None,
) -> DerivedLine:
    computed = {"gross": line.gross, "residual": residual, "exported": exported, "held": line.held}
    computed |= {"released": line.released, "net": exported - line.held + line.released}
    figures = {name: Figure(name, getattr(line, name) or ZERO, source) for name, source in sources.items()}
    figures |= {name: Figure(name, amount, FORMULAS[name]) for name, amount in computed.items()}
    ties = tuple(_line_ties(f"line {position + 1}", line, exported, sent))
    return DerivedLine(line.line_id_procore, f"{position + 1} {line.description}".strip(), figures, ties)


def _sources(read: Invoice, previous: Invoice | None, path: Path) -> Iterator[dict[str, str]]:
    """Say of each field of each line where its figure is in Procore; what its view omits is in the invoice before."""
    keys = line_keys(previous.lines) if previous else []
    earlier = {key: position for position, key in enumerate(keys)}
    for position, (line, key) in enumerate(zip(read.lines, line_keys(read.lines), strict=True)):
        sources = {}
        for name in (*_EARNED, *_RETAINED):
            if getattr(line, name) is not None:
                sources[name] = path(("lines", position, name))
            elif previous is not None and key in earlier:
                there = path(("lines", earlier[key], _CONTINUES[name]))
                sources[name] = f"{there} of the previous invoice {previous.invoice_id_procore}"
            elif previous is not None or read.previous_invoice_id_procore is None:
                sources[name] = "zero, as nothing of this line was billed before"
            else:
                sources[name] = f"not known, as invoice {read.previous_invoice_id_procore} was never read"
        yield sources


def _line_ties(label: str, line: InvoiceLine, exported: Decimal, sent: dict[int, Decimal] | None) -> Iterator[Tie]:
    total = line.work_before + line.work_this_period + line.stored_now
    yield Tie(f"{label}: G = D + E + F", total, line.completed_to_date)
    if line.completed_before is not None:
        yield Tie(f"{label}: earned = G - G before", line.gross, line.completed_to_date - line.completed_before)
    if sent is not None:
        yield Tie(f"{label}: to the ERP = what was sent", exported, sent.get(line.line_id_procore, ZERO))


def form_ties(invoice: Invoice) -> list[Tie]:
    """Show that the G702 header foots and that the lines add up to it."""
    form, currency, lines = invoice.summary, invoice.currency, invoice.lines
    completed = sum((line.completed_to_date for line in lines), ZERO)
    stored = sum((line.stored_retainage_now for line in lines), ZERO)
    work = sum((line.work_retainage_before + line.work_retained - line.work_released for line in lines), ZERO)
    due = round_half_up(invoice.gross - invoice.held + invoice.released, currency)
    is_taxed = form.tax != ZERO and due != form.payment_due
    certified = form.earned_less_retainage - form.previous_certificates
    return [
        Tie("3 = 1 + 2", form.original_contract_sum + form.net_change_orders, form.contract_sum_to_date),
        Tie("4 = sum of lines", round_half_up(completed, currency), form.completed_to_date),
        Tie("5a = retainage on work", round_half_up(work, currency), form.work_retainage),
        Tie("5b = retainage on stored", round_half_up(stored, currency), form.stored_retainage),
        Tie("5 = 5a + 5b", form.work_retainage + form.stored_retainage, form.total_retainage),
        Tie("6 = 4 - 5", form.completed_to_date - form.total_retainage, form.earned_less_retainage),
        Tie(f"8 = 6 - 7{' + tax' * is_taxed}", certified + form.tax * is_taxed, form.payment_due),
        Tie("9 = 3 - 6", form.contract_sum_to_date - form.earned_less_retainage, form.balance_to_finish),
        Tie(f"8 = gross - held + released{' + tax' * is_taxed}", due + form.tax * is_taxed, form.payment_due),
    ]


def _sums(invoice: Invoice, lines: Sequence[DerivedLine], agreed: tuple[Decimal, Decimal] | Voucher) -> Iterator[Tie]:
    gross, retention = (agreed.gross, agreed.retention) if isinstance(agreed, Voucher) else agreed
    name = "what was sent" if isinstance(agreed, Voucher) else "what the ledger says"
    exported = sum((line.figures["exported"].amount for line in lines), ZERO)
    yield Tie(f"sum of to the ERP = gross of {name}", exported, gross)
    yield Tie(f"sum of held, not below zero = retention of {name}", billing.retention(invoice), retention)


def sheets(derivation: Derivation) -> list[Sheet]:
    """Return the proof as tables, of which terminal and Markdown are two views."""
    form = tuple((_FORM[each.name], _grouped(each.amount), each.source) for each in derivation.header)
    ties = tuple(
        (tie.equation, _grouped(tie.computed), _grouped(tie.stated), "" if tie.holds else "DOES NOT TIE")
        for tie in (*derivation.ties, *(tie for line in derivation.lines for tie in line.ties if not tie.holds))
    )
    counted = sum(len(line.ties) for line in derivation.lines)
    of_lines = f"Checks (of {counted} equations of lines only those that do not tie)"
    return [
        _lines_sheet("G703, what was earned", _ON_EARNED, derivation),
        _lines_sheet("G703, retainage", _ON_RETAINED, derivation),
        Sheet("Where each column comes from", ("column", "source"), tuple(_legend(derivation))),
        Sheet("G702", ("line", "amount>", "source"), form),
        Sheet(of_lines, ("equation", "computed>", "stated>", ""), ties),
        Sheet("Lines that are not sent", ("why", "lines>"), tuple(_left_out(derivation))),
    ]


def _left_out(derivation: Derivation) -> Iterator[tuple[str, str]]:
    yield "earned nothing this period", str(derivation.left_out - derivation.twins)
    yield "goes with the line of a change order, and is zero itself", str(derivation.twins)


def _lines_sheet(title: str, names: dict[str, str], derivation: Derivation) -> Sheet:
    rows = tuple((line.label, *(_grouped(line.figures[name].amount) for name in names)) for line in derivation.lines)
    return Sheet(title, ("line", *(f"{heading}>" for heading in names.values())), rows)


def _legend(derivation: Derivation) -> Iterator[tuple[str, str]]:
    """Name the source of each column once; where lines have different ones, with the lines."""
    for prefix, names in (("", _ON_EARNED), ("retainage ", _ON_RETAINED)):
        for name, heading in names.items():
            where: dict[str, list[str]] = {}
            for position, line in enumerate(derivation.lines, 1):
                source = _INDEX.sub("[]", line.figures[name].source)
                where.setdefault(source.replace("_", " ") if name in FORMULAS else source, []).append(str(position))
            told = [f"{source} (line {', '.join(at)})" if len(where) > 1 else source for source, at in where.items()]
            yield f"{prefix}{heading}", "; ".join(told)


def _grouped(amount: Decimal) -> str:
    return f"{amount:,}"
