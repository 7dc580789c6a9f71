"""Rules of the whole suite: who may start Prefect, and the list of what could not run on this machine."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_COULD_NOT_RUN: pytest.StashKey[list[str]] = pytest.StashKey()
_PREFECT_FIXTURES = {"prefect_server", "stage", "worker"}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_COULD_NOT_RUN] = []
    config.addinivalue_line("markers", "sandbox(**sizes): how large the contractor of a story is")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only tests/flows may start a Prefect server: everything else stays fast."""
    folder = Path(__file__).parent / "flows"
    for item in items:
        wants = _PREFECT_FIXTURES & set(getattr(item, "fixturenames", ()))
        if wants and folder not in item.path.parents:
            raise pytest.UsageError(f"{item.nodeid} asks for {', '.join(sorted(wants))}: only tests/flows may")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reasons = config.stash[_COULD_NOT_RUN]
    terminalreporter.section("could not run")
    for reason in reasons or ["nothing: every kind of test ran"]:
        terminalreporter.line(reason)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where CI says so, a test that could not run is a failure."""
    if session.config.stash[_COULD_NOT_RUN] and os.environ.get("CI") == "true" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def could_not_run(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Note what this machine lacks and leave the test; the list is printed at the end."""

    def note(reason: str) -> None:
        if reason not in pytestconfig.stash[_COULD_NOT_RUN]:
            pytestconfig.stash[_COULD_NOT_RUN].append(reason)
        pytest.skip(reason)

    return note
