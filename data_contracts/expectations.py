"""The catalogue of rules as great-expectations suites, run over all invoices of a batch at once.

Importing great-expectations and pandas takes seconds, so each function does it itself; nothing else knows them but
`data_docs.py`.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any, Literal

from data_contracts.batch import Batch
from data_contracts.case import Case, Row, header_row, line_rows
from data_contracts.reference import Finding
from data_contracts.rules import RULES, Check, Rule
from data_contracts.verdicts import evaluate, finding, without_consequences

Frame = Literal["header", "line"]
_Broken = tuple[int, int, int]  # which rule, which of its checks, which row of the frame
one_at_a_time = Lock()  # great-expectations keeps its project in a global


def validate(cases: Sequence[Case]) -> dict[int, list[Finding]]:
    """Return by Procore invoice id every way in which the invoice breaks the catalogue, in the catalogue's order."""
    found: dict[int, list[Finding]] = {case.invoice.invoice_id_procore: [] for case in cases}
    if not cases:
        return found
    rows, owners = _rows(cases)
    broken = [*_run("header", rows["header"]), *_run("line", rows["line"])]
    for rule_at, check_at, row_at in sorted(broken):
        rule = RULES[rule_at]
        check = rule.checks[check_at]
        frame = rule.frame(check)
        case = cases[owners[frame][row_at]]
        if each := finding(case, rule, check, rows[frame][row_at]):
            found[case.invoice.invoice_id_procore].append(each)
    return {invoice_id: without_consequences(each) for invoice_id, each in found.items()}


def _rows(cases: Sequence[Case]) -> tuple[dict[Frame, list[Row]], dict[Frame, list[int]]]:
    """Return the rows of both frames, and for each row which case it belongs to."""
    headers: list[Row] = []
    lines: list[Row] = []
    line_owners: list[int] = []
    for number, case in enumerate(cases):
        of_this = line_rows(case)
        headers.append(header_row(case, of_this))
        lines += of_this
        line_owners += [number] * len(of_this)
    return {"header": headers, "line": lines}, {"header": list(range(len(cases))), "line": line_owners}


def checks_of(frame: Frame) -> Iterator[tuple[int, int, Rule, Check]]:
    """Yield the checks of one frame: the place of the rule in the catalogue, of the check in the rule, and both."""
    for rule_at, rule in enumerate(RULES):
        for check_at, check in enumerate(rule.checks):
            if rule.frame(check) == frame:
                yield rule_at, check_at, rule, check


def _run(frame: Frame, rows: list[Row]) -> list[_Broken]:
    """Validate one frame against its suite; return what is broken and keep the computed figures in the rows."""
    if not rows:
        return []
    columns = _columns(rows)
    for _, _, _, check in checks_of(frame):
        if check.formula:
            columns[check.column] = evaluate(check.formula, columns)
    with one_at_a_time:
        results = _validate(frame, columns)
    broken = []
    for result in results:
        meta = result.expectation_config.meta
        name = RULES[meta["rule"]].checks[meta["check"]].column
        for row_at in _places(result, RULES[meta["rule"]]):
            rows[row_at][name] = columns[name][row_at]
            broken.append((meta["rule"], meta["check"], row_at))
    return broken


def _columns(rows: list[Row]) -> dict[str, Any]:
    """Turn rows into columns: amounts as 64-bit integers, the rest as it is."""
    import numpy as np

    columns: dict[str, Any] = {}
    for name, first in rows[0].items():
        values = [row[name] for row in rows]
        kind = {bool: np.bool_, int: np.int64}.get(type(first), np.object_)
        columns[name] = np.array(values, dtype=kind)
    return columns


def _validate(frame: Frame, columns: Mapping[str, Any]) -> Any:
    watched = {check.column: columns[check.column] for _, _, _, check in checks_of(frame)}
    return _results(frame, watched, suite(frame))


def _results(name: str, watched: Mapping[str, Any], expected: Any) -> Any:
    import pandas as pd

    context = open_context()
    source = context.data_sources.add_or_update_pandas(name)
    whole = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    batch = whole.get_batch({"dataframe": pd.DataFrame(watched)})
    # To be told which rows break an expectation costs twice as much as whether any does: it is asked where one does.
    unmet = [each for each in batch.validate(expected, result_format="BOOLEAN_ONLY").results if not each.success]
    if not unmet:
        return []
    broken = _suite_of(name, [each.expectation_config for each in unmet])
    return batch.validate(broken, result_format="COMPLETE").results


def broken_rows(batch: Batch, rows: list[Row]) -> list[tuple[int, Rule, Check]]:
    """Validate the rows of another batch than invoices; return the place of each row that breaks a check, and which."""
    columns = _columns(rows)
    checks = [(rule, check) for rule in batch.rules for check in rule.checks]
    watched = {check.column: columns[check.column] if not check.formula else evaluate(check.formula, columns)
               for _, check in checks}  # fmt: skip
    with one_at_a_time:
        expected = [_expectation(rule, check, {"check": at}) for at, (rule, check) in enumerate(checks)]
        results = _results(batch.name, watched, _suite_of(batch.name, expected))
    broken = []
    for result in results:
        rule, check = checks[result.expectation_config.meta["check"]]
        broken += [(at, rule, check) for at in _places(result, rule)]
    return broken


def _places(result: Any, rule: Rule) -> list[int]:
    """Return which rows are not as the rule wants them."""
    if "unexpected_index_list" not in result.result:
        raise RuntimeError(f"The rule {rule.id} could not be evaluated: {result.exception_info}")
    return list(map(int, result.result["unexpected_index_list"]))


@cache
def suite(frame: Frame) -> Any:
    """Return the suite of one frame, every expectation marked with the rule that it serves."""
    marked = [_expectation(rule, check, {"rule": at, "check": nth}) for at, nth, rule, check in checks_of(frame)]
    return _suite_of(frame, marked)


def _expectation(rule: Rule, check: Check, meta: dict[str, int]) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    kwargs = {"column": check.column, **check.kwargs}
    return ExpectationConfiguration(type=check.expectation, kwargs=kwargs, meta=meta, description=rule.sentence)


def _suite_of(name: str, configurations: list[Any]) -> Any:
    import great_expectations as gx

    made = gx.ExpectationSuite(name=name)
    made.add_expectation_configurations(configurations)
    return made


@cache
def open_context() -> Any:
    """Open great-expectations in memory only: no project folder, no telemetry, no progress bars, no chatter."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return context
