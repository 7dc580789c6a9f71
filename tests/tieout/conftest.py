"""A small Spectrum company on a real socket, and an office with both stand-ins for the engine's stories."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import WEDNESDAY, Desk, SettableClock, a_desk
from ledgers import Ledgers, SQLite
from stand_ins import AUTHORIZATION_ID, StandIns
from trytons import OnThrowAway, TrytonCompany, TrytonServer, a_tryton

from benchmarks import postgresql as throw_away
from benchmarks.post_office import PostOffice, a_post_office
from benchmarks.postgresql import PostgreSQL
from tieout.sandbox.contractor import contractor as contractor_module
from tieout.sandbox.contractor import erp_books
from tieout.sandbox.spectrum import app


class MovingClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 9, 10, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class SpectrumCompany:
    """A running stand-in: `rest` is authorized, `control` plays accounting."""

    url: str
    info_link_url: str
    clock: MovingClock
    rest: httpx.Client
    company_code: str = "ACM"
    authorization_id: str = AUTHORIZATION_ID

    def enter(self, *invoices: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.rest.post("/vendor/invoice", json={"APInvoices": list(invoices)})
        answer.raise_for_status()
        return list(answer.json()["APInvoices"])

    def control(self, action: str, body: Any = None) -> Any:
        answer = self.rest.post(f"/_sandbox/{action}", json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def look(self, what: str) -> Any:
        return self.rest.get(f"/_sandbox/{what}").json()


@pytest.fixture(scope="session")
def spectrum_books() -> erp_books.ErpBooks:
    return erp_books.ErpBooks(
        company_code="ACM",
        company_name="Acme Builders",
        currency="USD",
        vendors=(
            erp_books.ErpVendor("CONC01", "Concrete Works", "A"),
            erp_books.ErpVendor("STEEL01", "Steel Erectors", "I"),
            erp_books.ErpVendor("OLD01", "Gone Away", "N"),
        ),
        jobs=(erp_books.ErpJob("24001", "Riverside Tower", "A"), erp_books.ErpJob("23009", "Old Mill", "C")),
        cost_types=(
            erp_books.ErpCostType("S", "Subcontract", "50200"),
            erp_books.ErpCostType("M", "Material", "50100"),
        ),
        phases=(
            erp_books.ErpPhase("24001", "03100", "S", "Formwork", "A"),
            erp_books.ErpPhase("24001", "03300", "S", "Concrete", "A"),
            erp_books.ErpPhase("24001", "05100", "S", "Steel", "I"),
            erp_books.ErpPhase("23009", "03100", "S", "Formwork", "A"),
        ),
        subcontracts=(
            erp_books.ErpSubcontract("SC-1001", "CONC01", "24001", "Concrete", "A", Decimal("500000.00")),
            erp_books.ErpSubcontract("SC-1002", "STEEL01", "24001", "Steel", "A", Decimal("90000.00")),
            erp_books.ErpSubcontract("SC-0900", "CONC01", "23009", "Old concrete", "C", Decimal("1000.00")),
        ),
        subcontract_phases=(erp_books.ErpSubcontractPhase("SC-1001", "03100", "S", Decimal("500000.00")),),
        invoices=(
            erp_books.ErpInvoice("CONC01", "HAND-1", Decimal("750.00"), date(2026, 7, 1), "history"),
            erp_books.ErpInvoice("CONC01", "HAND-2", Decimal("80.00"), date(2026, 8, 1), "posted"),
        ),
        open_period=(date(2026, 9, 1), date(2026, 9, 30)),
        gl_accounts=(
            ("50100", "Job cost material", "direct"),
            ("50200", "Job cost subcontract", "direct"),
            ("61000", "Office", "overhead"),
            ("20000", "Accounts payable", "payable"),
        ),
    )


@pytest.fixture
def spectrum_company(
    tmp_path: Path, spectrum_books: erp_books.ErpBooks, stand_ins: StandIns
) -> Iterator[SpectrumCompany]:
    database, clock, url = tmp_path / "spectrum.sqlite", MovingClock(), stand_ins.spectrum.url
    stand_ins.spectrum.app = app.create_app(f"sqlite:///{database}", spectrum_books, AUTHORIZATION_ID, clock)
    with httpx.Client(base_url=url, auth=("ACM", AUTHORIZATION_ID), trust_env=False) as rest:
        yield SpectrumCompany(url, f"sqlite:///file:{database}?mode=ro&uri=true", clock, rest)


@pytest.fixture(scope="session")
def tryton_on_postgresql(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    with a_tryton(OnThrowAway(postgresql, tmp_path_factory.mktemp("tryton"))) as server:
        yield server


@pytest.fixture
def tryton_company(tryton_server: TrytonServer, spectrum_books: erp_books.ErpBooks) -> Iterator[TrytonCompany]:
    """The company of `spectrum_books` in a real Tryton, a copy for this test alone, made in a fraction of a second.

    `settings` is the section `[tryton]` of a user who may not post; `control` and `look` are as of the stand-in for
    Spectrum, played by accounting over Tryton's own RPC; `fault` loses an answer or breaks a call.
    """
    with tryton_server.company(spectrum_books) as company:
        yield company


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> SQLite:
    return SQLite(tmp_path_factory.mktemp("ledgers"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server for the session; it does not wait for the disk, as nothing here need survive the loss of power."""
    if not throw_away.find_programs():
        pytest.skip("the ledger on PostgreSQL: there is no initdb and no postgres")
    with throw_away.running(is_durable=False) as server:
        yield server


@pytest.fixture
def database() -> str:
    """What keeps the ledger; a test that is marked `ON_BOTH_DATABASES` runs on either."""
    return "sqlite"


@pytest.fixture
def ledgers(database: str, request: pytest.FixtureRequest) -> Ledgers:
    """Whoever makes the ledgers of this test; PostgreSQL is started when the first test asks for it."""
    made: Ledgers = request.getfixturevalue(database)
    return made


@pytest.fixture
def ledger_url(ledgers: Ledgers) -> Iterator[str]:
    """A ledger with nothing in it."""
    url = ledgers.new_ledger()
    yield url
    ledgers.drop(url)


@dataclass
class Chapter:
    """How stories begin that begin alike: the databases of both stand-ins, and a ledger."""

    folder: Path
    ledger_url: str = ""  # none before the first such story was played


@pytest.fixture(scope="session")
def chapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chapter]:
    return defaultdict(lambda: Chapter(tmp_path_factory.mktemp("chapter")))


@pytest.fixture
def desk(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    stand_ins: StandIns,
    database: str,
    ledgers: Ledgers,
    chapters: dict[str, Chapter],
) -> Iterator[Desk]:
    """An office with a small, sound contractor; `@pytest.mark.sandbox(invoices=60, troubles=True)` has it otherwise.

    `after="night"` begins when everything is Ready to Export, `after="export"` when everything was exported.
    """
    mark = request.node.get_closest_marker("sandbox")
    sizes = {"seed": 7, "projects": 1, "invoices": 6, "lines": 3, "troubles": False, **(mark.kwargs if mark else {})}
    after = sizes.pop("after", "")
    chapter = chapters["-".join(map(str, [database, after, *sizes.values()]))]
    shutil.copytree(chapter.folder, tmp_path, dirs_exist_ok=True)
    ledger_url = ledgers.new_ledger(like=chapter.ledger_url)
    contractor = contractor_module.build(**sizes, today=WEDNESDAY.date())
    desk = a_desk(tmp_path, SettableClock(), contractor, stand_ins, monkeypatch, ledgers, ledger_url)
    if after and not chapter.ledger_url:
        desk.night() if after == "night" else desk.export_everything()
        desk.forget_requests()
        chapter.ledger_url = desk.back_up()
        for path in tmp_path.glob("*.sqlite*"):
            shutil.copy(path, chapter.folder)
    yield desk
    desk.close()
    ledgers.drop(ledger_url)
    desk.control.close()


@pytest.fixture
def post_office(desk: Desk) -> Iterator[PostOffice]:
    """A mail server, which the settings name."""
    with a_post_office() as office:
        desk.set("mail", **office.settings, operators=json.dumps(["ops@contractor.example"]))
        yield office
