"""One server for each outside system and session, on which every test puts a stand-in of its own."""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tieout.judgement.mapping import COLUMNS
from tieout.sandbox.contractor.contractor import Contractor
from tieout.sandbox.procore.app import create_app as procore_app
from tieout.sandbox.sockets import serving
from tieout.sandbox.spectrum.app import create_app as spectrum_app

AUTHORIZATION_ID = "SANDBOX-AUTH-1"


@dataclass
class StandIn:
    """Where a system is to be found; `app` is what answers there now."""

    url: str = ""
    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@contextmanager
def standing_in() -> Iterator[StandIn]:
    stand_in = StandIn()
    with serving(stand_in) as stand_in.url:
        yield stand_in


@dataclass
class StandIns:
    """Both systems that tieout stands between."""

    procore: StandIn
    spectrum: StandIn

    def play(self, contractor: Contractor, folder: Path, clock: Callable[[], datetime]) -> dict[str, dict[str, Any]]:
        """Be the systems of this contractor, with databases in the folder; return the settings that lead there."""
        mapping, database = folder / "mapping.csv", folder / "spectrum.sqlite"
        write_mapping(mapping, contractor.mapping_rows)
        self.procore.app = procore_app(folder / "procore.sqlite", contractor, False, clock)
        self.spectrum.app = spectrum_app(f"sqlite:///{database}", contractor.books, AUTHORIZATION_ID, clock)
        account = {name: getattr(contractor, name) for name in ("company_id", "client_id", "client_secret")}
        return {
            "mapping": {"csv": str(mapping)},
            "procore": {"api_url": self.procore.url, "login_url": self.procore.url, **account},
            "spectrum": {
                "url": self.spectrum.url,
                "company_code": contractor.books.company_code,
                "authorization_id": AUTHORIZATION_ID,
                "info_link_url": f"sqlite:///file:{database}?mode=ro&uri=true",
            },
        }


def write_mapping(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Write a mapping table, as an operator would."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
