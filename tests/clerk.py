"""Accounting's side of an ERP, for the suite that every connector must pass: the suite itself names no ERP.

`tests/clerks/<erp>.py` brings one for each connector, by a function `hire(books, clock, folder, request)`: a context
that gives a `Clerk` over a company of its own, filled from `books`; `folder` is empty, `request` leads to fixtures.
Where the ERP runs in more than one way, on another database say, there is one more such function for each, by a name
that begins with `hire_`: with it everything is played by `make chaos-erps`, and what is marked `EVERYWHERE` always.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import httpx
import pytest
from lines import Line

import tieout.connectors
from data_contracts.voucher import Voucher
from tieout.sandbox.contractor.erp_books import ErpBooks

CLERKS, PLANTED = Path(__file__).parent / "clerks", Path(__file__).parent / "planted"
HIRE = "hire"
EVERYWHERE = pytest.mark.everywhere  # of a promise that depends on what the ERP keeps its books in
PLANTED_ERPS = sorted(path.stem for path in PLANTED.glob("*.py"))


@dataclass(frozen=True)
class Held:
    """An AP invoice in the ERP's own database."""

    key: str
    vendor: str
    number: str
    state: str  # unposted, posted or void
    gross: Decimal
    retention: Decimal
    paid: Decimal
    lines: tuple[Decimal, ...]  # of cost, without one for retention


class Clerk(Protocol):
    """Whoever works in the ERP, at its own screens; an invoice is named by its voucher's vendor and number."""

    section: dict[str, Any]  # the ERP's settings, which lead to it through the line
    line: Line
    patience: float  # seconds within which its server surely answers, even on a busy machine

    def now(self) -> datetime:
        """Return the ERP's time, later than all that was done."""

    def held(self) -> list[Held]:
        """Return every invoice in the ERP's own database."""

    def post(self, voucher: Voucher) -> None: ...

    def pay(self, voucher: Voucher, amount: Decimal | None = None) -> str:
        """Pay so much of a posted invoice, or what is still due; return the check's number."""

    def void_check(self, number: str) -> None: ...

    def void(self, voucher: Voucher) -> None:
        """Void a posted invoice."""

    def edit(self, voucher: Voucher, gross: Decimal) -> None:
        """Change what an unposted invoice comes to."""

    def remove_key(self, voucher: Voucher) -> None:
        """Write something else where our key stood."""

    def delete(self, voucher: Voucher) -> None:
        """Delete an unposted invoice."""

    def retire(self, vendor: str) -> None:
        """Let nothing more be entered for a vendor."""

    def reinstate(self, vendor: str) -> None: ...

    def spoiled(self, voucher: Voucher, check: str) -> AbstractContextManager[None]:
        """Have what is kept of a posted invoice and of a check make no sense until the block ends.

        Whoever writes past the ERP into its database can do that, and so can a release that says things otherwise.
        """


Hire = Callable[[ErpBooks, Callable[[], datetime], Path, pytest.FixtureRequest], AbstractContextManager[Clerk]]


def ways_to_hire(erp: str) -> list[str]:
    """Return the names of the functions that hire a clerk for this ERP; the first is the one that there must be."""
    return [HIRE, *(name for name in dir(_clerks_of(erp)) if name.startswith(f"{HIRE}_"))]


def clerk_of(erp: str, way: str = HIRE) -> Hire:
    """Return who hires a clerk for this ERP; without one, nobody can say whether the connector keeps its promises."""
    found = _clerks_of(erp)
    if found is None:
        pytest.fail(
            f"the connector {erp} has no accounting's side: add tests/clerks/{erp}.py with a function "
            "hire(books, clock, folder, request) that gives a Clerk (tests/clerk.py says what he does)"
        )
    hire: Hire = getattr(found, way)
    return hire


def _clerks_of(erp: str) -> ModuleType | None:
    return import_module(f"clerks.{erp}") if find_spec(f"clerks.{erp}") else None


@contextmanager
def planted(erp: str, folder: Path) -> Iterator[None]:
    """Add the connector of one of the planted ERPs to those that there are, as a file in a folder of its own."""
    path, package = tieout.connectors.__path__, tieout.connectors
    shutil.copy(PLANTED / f"{erp}.py", folder)
    package.__path__ = [*path, str(folder)]
    try:
        yield
    finally:
        package.__path__ = path
        sys.modules.pop(f"tieout.connectors.{erp}", None)
        vars(package).pop(erp, None)


@dataclass
class ControlledClerk:
    """A clerk who works through control endpoints, as the stand-in for Spectrum has them, and in its database."""

    section: dict[str, Any]
    line: Line
    control: httpx.Client
    clock: Callable[[], datetime]
    execute: Callable[[str], object]  # a statement in its database
    patience: float = 2.0

    def now(self) -> datetime:
        return self.clock()

    def _do(self, action: str, body: dict[str, Any] | None = None) -> Any:
        answer = self.control.post(f"/_sandbox/{action}", json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _act(self, voucher: Voucher, action: str, **more: Any) -> None:
        self._do(f"invoices/{action}", {**_named(voucher), **more})

    def held(self) -> list[Held]:
        answer = self.control.get("/_sandbox/invoices")
        assert answer.status_code == 200, answer.text
        return [
            Held(
                key=row["Remarks"].strip(),
                vendor=row["Vendor_Code"].strip(),
                number=row["Invoice_Number"].strip(),
                state=row["state"],
                gross=Decimal(row["Invoice_Amount"]),
                retention=Decimal(row["Retention_Amount"]),
                paid=Decimal(row["paid"]),
                lines=tuple(self.costs(row)),
            )
            for row in answer.json()
        ]

    def costs(self, row: dict[str, Any]) -> Iterator[Decimal]:
        for line in row["lines"]:
            yield Decimal(line["Debit_Amount"]) - Decimal(line["Credit_Amount"])

    def post(self, voucher: Voucher) -> None:
        done = self._do("post", {"invoices": [[voucher.vendor_erp, voucher.invoice_number]]})
        assert done["posted"] == 1

    def pay(self, voucher: Voucher, amount: Decimal | None = None) -> str:
        application = {"invoice_number": voucher.invoice_number, "amount": None if amount is None else str(amount)}
        check = self._do("checks", {"vendor_code": voucher.vendor_erp, "applications": [application]})
        return str(check["check_number"])

    def void_check(self, number: str) -> None:
        self._do(f"checks/{number}/void")

    def void(self, voucher: Voucher) -> None:
        self._act(voucher, "void")

    def edit(self, voucher: Voucher, gross: Decimal) -> None:
        self._act(voucher, "edit", fields={"Invoice_Amount": str(gross)})

    def remove_key(self, voucher: Voucher) -> None:
        self._act(voucher, "edit", fields={"Remarks": "see Jane"})

    def delete(self, voucher: Voucher) -> None:
        self._act(voucher, "delete")

    def retire(self, vendor: str) -> None:
        self._do("vendors", {"code": vendor, "status": "N"})

    def reinstate(self, vendor: str) -> None:
        self._do("vendors", {"code": vendor, "status": "A"})

    @contextmanager
    def garbled(self, table: str, column: str, where: str) -> Iterator[None]:
        """Have a column make no sense until the block ends."""
        self.execute(f"UPDATE {table} SET {column} = 'x' || {column} WHERE {where}")
        try:
            yield
        finally:
            self.execute(f"UPDATE {table} SET {column} = substr({column}, 2) WHERE {where}")


def _named(voucher: Voucher) -> dict[str, str]:
    return {"vendor_code": voucher.vendor_erp, "invoice_number": voucher.invoice_number}
