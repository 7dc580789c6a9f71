"""Rules of the whole suite: who may start Prefect, which tests share a process, and what could not run here."""

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from stand_ins import StandIns, standing_in
from trytons import TrytonServer, a_tryton
from xdist.scheduler import LoadScopeScheduling

from deployments.tryton.server import TEMPLATES, SQLiteFiles
from tieout.garbage import collect_seldom

# Most of what there is stays: to look through it less often spares a sixth of the processor's time.
collect_seldom()
_PREFECT_FIXTURES = {"prefect_server", "stage", "worker"}
_WITH_PREFECT = "tests/flows/"
# What takes longest begins first, so that all processes end at about the same time.
_FIRST = ("tests/flows/test_browser.py", _WITH_PREFECT, "tests/test_demo.py")


class _Groups(LoadScopeScheduling):
    """Gives a process whole files, whose tests share fixtures, in the order in which they were collected.

    Those with Prefect all go to one process: another server and worker would cost more than the wait.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _WITH_PREFECT if nodeid.startswith(_WITH_PREFECT) else _file(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _Groups(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos", action="store_true", help="play what takes minutes, and nothing else")


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says how busy the machine is.
    settings.register_profile("any machine", deadline=None)
    settings.load_profile("any machine")
    config.addinivalue_line("markers", "sandbox(**sizes): how large the contractor of a story is")
    config.addinivalue_line("markers", "chaos: takes minutes, and is played by `make chaos-erps`")
    config.addinivalue_line("markers", "everywhere: is played in every way in which an ERP runs, always")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only tests/flows may start a Prefect server, and chaos has a command of its own: everything else stays fast."""
    is_played = _is_chaos if config.getoption("--chaos") else _is_fast
    config.hook.pytest_deselected(items=[each for each in items if not is_played(each)])
    items[:] = filter(is_played, items)
    for item in items:
        wants = _PREFECT_FIXTURES & set(getattr(item, "fixturenames", ()))
        if wants and not item.nodeid.startswith(_WITH_PREFECT):
            raise pytest.UsageError(f"{item.nodeid} asks for {', '.join(sorted(wants))}: only {_WITH_PREFECT} may")
    items.sort(key=lambda item: next((n for n, path in enumerate(_FIRST) if item.nodeid.startswith(path)), len(_FIRST)))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def _is_chaos(item: pytest.Item) -> bool:
    return item.get_closest_marker("chaos") is not None


def _is_fast(item: pytest.Item) -> bool:
    return not _is_chaos(item) or item.get_closest_marker("everywhere") is not None


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def stand_ins() -> Iterator[StandIns]:
    with standing_in() as procore, standing_in() as spectrum:
        yield StandIns(procore, spectrum)


@pytest.fixture(scope="session")
def tryton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    """A real Tryton, for the session: installed and built where it is not, which takes two minutes once."""
    with a_tryton(SQLiteFiles(tmp_path_factory.mktemp("tryton"), TEMPLATES)) as server:
        yield server


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
