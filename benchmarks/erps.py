"""The ERPs that an scene may have: the stand-in for Spectrum, or a real Tryton behind its front."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.workers import Clock
from deployments.tryton import front, server
from deployments.tryton.__main__ import settings_of
from tieout.sandbox.contractor.contractor import Contractor
from tieout.sandbox.faults import ASGIApp
from tieout.sandbox.spectrum import app

if TYPE_CHECKING:
    from benchmarks.scene import Scene

_AUTHORIZATION_ID = "SANDBOX-AUTH-1"
_BREAKABLE = "VN_INVOICE_APPROVAL_HDR_MC"


class Erp(Protocol):
    """What an scene does with its ERP. Its people have the control endpoints of the stand-in for Spectrum."""

    name: str
    entering: str  # the request that creates invoices, as the log of requests has it

    def serve(self, folder: Path) -> ASGIApp:
        """Be the ERP as a story's folder has it, in the process that serves; an empty one is before everything."""

    def keep(self, folder: Path) -> None:
        """Add to a story's folder what does not lie there by itself."""

    def section(self, url: str, now: Path) -> dict[str, Any]:
        """Return the settings that lead to it; `now` is a link to the folder of the story that is played."""

    def hide(self, scene: "Scene") -> None:
        """Let whoever looks for invoices see an error."""

    def show(self, scene: "Scene") -> None:
        """Let everybody look again."""


OpenErp = Callable[[Path, Contractor, Clock], AbstractContextManager[Erp]]


class SpectrumStandIn:
    """Keeps its database in the story's folder."""

    name, entering = "spectrum", "POST /vendor/invoice"

    def __init__(self, contractor: Contractor, clock: Clock) -> None:
        self._books, self._clock = contractor.books, clock

    def serve(self, folder: Path) -> ASGIApp:
        return app.create_app(f"sqlite:///{_database(folder)}", self._books, _AUTHORIZATION_ID, self._clock)

    def keep(self, folder: Path) -> None:
        """It is there."""

    def section(self, url: str, now: Path) -> dict[str, Any]:
        return {
            "url": url,
            "company_code": self._books.company_code,
            "authorization_id": _AUTHORIZATION_ID,
            "info_link_url": f"sqlite:///file:{_database(now)}?mode=ro&uri=true",
        }

    def hide(self, scene: "Scene") -> None:
        """A table of Info-Link is there, but reading it fails."""
        with closing(sqlite3.connect(_database(scene.now))) as database:
            database.executescript(f"DROP VIEW {_BREAKABLE}; CREATE VIEW {_BREAKABLE} AS SELECT * FROM nowhere")

    def show(self, scene: "Scene") -> None:
        scene.play("spectrum", "info_link", {"table": _BREAKABLE, "enabled": True})


def _database(folder: Path) -> Path:
    return folder / "spectrum.sqlite"


@contextmanager
def a_spectrum(folder: Path, contractor: Contractor, clock: Clock) -> Iterator[Erp]:
    """Have the stand-in for Spectrum."""
    yield SpectrumStandIn(contractor, clock)


class RealTryton:
    """One database of a server, which is written anew whenever a story begins. It goes by the time of day."""

    name, entering = "tryton", "POST /model.account.invoice.create"
    _looking = "POST /model.account.invoice.search_read"

    def __init__(self, url: str, files: server.SQLiteFiles, begun: Path, company_name: str) -> None:
        self._url, self._begun, self._company_name = url, begun, company_name
        self._live = files.path(_COMPANY)

    def serve(self, folder: Path) -> ASGIApp:
        kept = folder / self._live.name
        server.overwrite(kept if kept.exists() else self._begun, self._live)
        return front.create_app(self._url, _COMPANY)

    def keep(self, folder: Path) -> None:
        server.overwrite(self._live, folder / self._live.name)

    def section(self, url: str, now: Path) -> dict[str, Any]:
        return settings_of(url, _COMPANY, self._company_name)

    def hide(self, scene: "Scene") -> None:
        scene.fault("tryton", self._looking, "5xx_before", times=1000)

    def show(self, scene: "Scene") -> None:
        scene.heal()


_COMPANY = "company"


@contextmanager
def a_tryton(folder: Path, contractor: Contractor, clock: Clock) -> Iterator[Erp]:
    """Run a real Tryton; ServerError when it cannot be installed."""
    files, books = server.SQLiteFiles(folder / "tryton", server.TEMPLATES), contractor.books
    with server.alone(server.TEMPLATES):
        server.install()
        template = server.company_of(files.templates, books, datetime.now(UTC).date(), print)
    files.clone(template, _COMPANY)
    begun = shutil.copy(files.path(_COMPANY), folder / "begun.sqlite")
    with server.serving(files) as url:
        server.wake(url, _COMPANY)
        yield RealTryton(url, files, begun, books.company_name)
