"""A small Spectrum company on a real socket, for the tests of the stand-in and of its connector."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tieout.sandbox import books, spectrum
from tieout.sandbox.sockets import serving

AUTHORIZATION_ID = "SANDBOX-AUTH-1"


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
def spectrum_books() -> books.ErpBooks:
    return books.ErpBooks(
        company_code="ACM",
        company_name="Acme Builders",
        currency="USD",
        vendors=(
            books.ErpVendor("CONC01", "Concrete Works", "A"),
            books.ErpVendor("STEEL01", "Steel Erectors", "I"),
            books.ErpVendor("OLD01", "Gone Away", "N"),
        ),
        jobs=(books.ErpJob("24001", "Riverside Tower", "A"), books.ErpJob("23009", "Old Mill", "C")),
        cost_types=(books.ErpCostType("S", "Subcontract", "50200"), books.ErpCostType("M", "Material", "50100")),
        phases=(
            books.ErpPhase("24001", "03100", "S", "Formwork", "A"),
            books.ErpPhase("24001", "03300", "S", "Concrete", "A"),
            books.ErpPhase("24001", "05100", "S", "Steel", "I"),
            books.ErpPhase("23009", "03100", "S", "Formwork", "A"),
        ),
        subcontracts=(
            books.ErpSubcontract("SC-1001", "CONC01", "24001", "Concrete", "A", Decimal("500000.00")),
            books.ErpSubcontract("SC-1002", "STEEL01", "24001", "Steel", "A", Decimal("90000.00")),
            books.ErpSubcontract("SC-0900", "CONC01", "23009", "Old concrete", "C", Decimal("1000.00")),
        ),
        subcontract_phases=(books.ErpSubcontractPhase("SC-1001", "03100", "S", Decimal("500000.00")),),
        invoices=(
            books.ErpInvoice("CONC01", "HAND-1", Decimal("750.00"), date(2026, 7, 1), "history"),
            books.ErpInvoice("CONC01", "HAND-2", Decimal("80.00"), date(2026, 8, 1), "posted"),
        ),
        open_period=(date(2026, 9, 1), date(2026, 9, 30)),
        gl_accounts=(
            ("50100", "Job cost material", "direct"),
            ("50200", "Job cost subcontract", "direct"),
            ("61000", "Office", "overhead"),
            ("20000", "Accounts payable", "payable"),
        ),
    )


class Stage:
    """One server for all tests; each test puts its own stand-in on it."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def spectrum_stage() -> Iterator[tuple[Stage, str]]:
    stage = Stage()
    with serving(stage) as url:
        yield stage, url


@pytest.fixture
def spectrum_company(
    tmp_path: Path, spectrum_books: books.ErpBooks, spectrum_stage: tuple[Stage, str]
) -> Iterator[SpectrumCompany]:
    database, clock, url = tmp_path / "spectrum.sqlite", MovingClock(), spectrum_stage[1]
    spectrum_stage[0].app = spectrum.create_app(f"sqlite:///{database}", spectrum_books, AUTHORIZATION_ID, clock)
    with httpx.Client(base_url=url, auth=("ACM", AUTHORIZATION_ID), trust_env=False) as rest:
        yield SpectrumCompany(url, f"sqlite:///file:{database}?mode=ro&uri=true", clock, rest)
