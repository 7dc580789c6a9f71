"""Rules of the whole suite: who may start Prefect, which tests share a process, and what could not run here."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_PREFECT_FIXTURES = {"prefect_server", "stage", "worker"}
_WITH_PREFECT = "tests/flows"
# What takes longest begins first, so that two processes end at about the same time.
_FIRST = (_WITH_PREFECT, "tests/test_demo.py", "tests/tieout/test_exporting.py")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sandbox(**sizes): how large the contractor of a story is")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only tests/flows may start a Prefect server, of which there is one; otherwise a process takes a whole file."""
    for item in items:
        file = item.path.relative_to(ROOT).as_posix()
        group = _WITH_PREFECT if file.startswith(f"{_WITH_PREFECT}/") else file
        wants = _PREFECT_FIXTURES & set(getattr(item, "fixturenames", ()))
        if wants and group != _WITH_PREFECT:
            raise pytest.UsageError(f"{item.nodeid} asks for {', '.join(sorted(wants))}: only {_WITH_PREFECT} may")
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    mark = item.get_closest_marker("xdist_group")
    return _FIRST.index(mark.args[0]) if mark and mark.args[0] in _FIRST else len(_FIRST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("could not run")
    for reason in _could_not_run(terminalreporter) or ["nothing: every kind of test ran"]:
        terminalreporter.line(reason)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where CI says so, a test that could not run is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and _could_not_run(reporter) and os.environ.get("CI") == "true" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _could_not_run(reporter: pytest.TerminalReporter) -> list[str]:
    """Return why tests were left, each reason once; the reports come here from whichever process ran the test."""
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])]
    return list(dict.fromkeys(reasons))
