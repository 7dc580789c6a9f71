"""Verdicts: broken expectations put in words with their numbers, and a few invoices judged without a library."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import CodeType
from typing import Any, Literal

from data_contracts.case import Case, Row, amount_in_words, header_row, line_label, line_rows
from data_contracts.reference import Finding
from data_contracts.rules import RULES, Check, Rule, Severity

_SEVERITY_BY_POLICY: dict[str, Severity | None] = {
    "stop": "hold",
    "pay_hold": "warn",
    "warn": "warn",
    "allow": None,
}
_REASONS = 5  # of an answer that cannot be read
_MONEY = frozenset(
    "original_contract_sum net_change_orders contract_sum_to_date completed_to_date work_retainage stored_retainage "
    "total_retainage earned_less_retainage previous_certificates payment_due balance_to_finish tax gross held released "
    "to_release sum_scheduled sum_completed sum_completed_before sum_work_retained sum_stored_retained previous_earned "
    "previous_total scheduled_value work_before work_this_period stored_now stored_before moved completed_before "
    "work_retainage_before retained_to_date stored_retainage_before stored_released previous_completed previous_stored "
    "previous_stored_retainage previous_work_retained gap_identity gap_total foots_3 foots_5 foots_6 foots_9 "
    "work_by_unit scheduled_by_unit cost_moved work_released".split()
)


class _Said(dict[str, str]):
    """The figures of a row, put in words when a message asks for them; remembers which."""

    def __init__(self, row: Row, currency: str) -> None:
        super().__init__()
        self.row, self.currency = row, currency

    def __missing__(self, name: str) -> str:
        value = self.row[name]
        text = amount_in_words(int(value), self.currency) if name in _MONEY else str(value)
        self[name] = text
        return text


def finding(case: Case, rule: Rule, check: Check, row: Row) -> Finding | None:
    """Return what is wrong in words with its numbers; None where the policy allows it."""
    severity = _SEVERITY_BY_POLICY[case.gravity(rule.policy)] if rule.policy else rule.severity
    if severity is None:
        return None
    said, line_id = _Said(row, case.invoice.currency), None
    if rule.frame(check) == "line":
        said["line"] = line_label(case, row["position"])
        line_id = case.invoice.lines[row["position"]].line_id_procore
    message = check.message.format_map(said)
    numbers = {name: text for name, text in said.items() if name != "line"}
    return Finding(
        rule=rule.id,
        severity=severity,
        message=message,
        remedy=rule.remedy.format_map(said),
        owner=rule.owner,
        figure=check.column,
        numbers=numbers,
        line_id_procore=line_id,
    )


def unreadable(reasons: Sequence[str]) -> Finding:
    """Return the finding for an answer of Procore that is no invoice; the first reasons are enough to see why."""
    rule = next(rule for rule in RULES if rule.id == "unreadable")
    words = "; ".join(reasons[:_REASONS])
    return Finding(rule=rule.id, severity=rule.severity, message=words, remedy=rule.remedy, owner=rule.owner)


def without_consequences(findings: Iterable[Finding]) -> list[Finding]:
    """Drop what only follows from another finding, so that one wrong figure is one problem."""
    found = list(findings)
    stopped = {each.rule for each in found if each.severity != "warn"}
    follows = {rule.id: set(rule.follows_from) for rule in RULES}
    return [each for each in found if not follows[each.rule] & stopped]


def verdict(findings: Iterable[Finding]) -> Literal["READY", "HELD", "NOT_EXPORTABLE"]:
    """Return the state that an invoice with these findings is in."""
    stopped = {each.rule for each in findings if each.severity != "warn"}
    if any(rule.not_exportable and rule.id in stopped for rule in RULES):
        return "NOT_EXPORTABLE"
    return "HELD" if stopped else "READY"


def check(cases: Sequence[Case]) -> dict[int, list[Finding]]:
    """Judge a few invoices one row at a time; `expectations.validate` judges many at once and finds the same."""
    return {case.invoice.invoice_id_procore: without_consequences(_broken(case)) for case in cases}


def _broken(case: Case) -> Iterator[Finding]:
    lines = line_rows(case)
    rows = {"line": lines, "header": [header_row(case, lines)]}
    for rule in RULES:
        for each in rule.checks:
            for row in rows[rule.frame(each)]:
                if each.formula:
                    row[each.column] = evaluate(each.formula, row)
                if not meets(each, row[each.column]) and (found := finding(case, rule, each, row)):
                    yield found


def meets(check: Check, value: Any) -> bool:
    """Apply the expectation to one value, by great-expectations' rule that only one of them minds nulls."""
    if value is None:
        return check.expectation != "expect_column_values_to_not_be_null"
    if check.expectation == "expect_column_values_to_be_in_set":
        return value in check.kwargs["value_set"]
    if check.expectation == "expect_column_values_to_be_between":
        return bool(check.kwargs.get("min_value", value) <= value <= check.kwargs.get("max_value", value))
    return True


def evaluate(formula: str, columns: Mapping[str, Any]) -> Any:
    """Compute a formula of this catalogue over single values or whole columns."""
    return eval(_compiled(formula), {"__builtins__": {}}, columns)


@cache
def _compiled(formula: str) -> CodeType:
    return compile(formula, f"<rule: {formula}>", "eval")
