"""Accounting at the stand-in for Spectrum."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from clerk import Clerk, ControlledClerk
from lines import a_line
from stand_ins import AUTHORIZATION_ID, StandIns

from data_contracts.voucher import Voucher
from tieout.sandbox.contractor.erp_books import ErpBooks
from tieout.sandbox.spectrum import app


@contextmanager
def hire(
    books: ErpBooks, clock: Callable[[], datetime], folder: Path, request: pytest.FixtureRequest
) -> Iterator[Clerk]:
    stand_ins: StandIns = request.getfixturevalue("stand_ins")
    database, time = folder / "spectrum.sqlite", _Moving(clock)
    stand_ins.spectrum.app = app.create_app(f"sqlite:///{database}", books, AUTHORIZATION_ID, time)
    with (
        a_line(stand_ins.spectrum.url, "^POST /vendor/invoice") as line,
        httpx.Client(base_url=stand_ins.spectrum.url, trust_env=False, verify=False, timeout=30) as control,
    ):
        section = {
            "url": line.url,
            "company_code": books.company_code,
            "authorization_id": AUTHORIZATION_ID,
            "info_link_url": f"sqlite:///file:{database}?mode=ro&uri=true",
        }
        yield _Accountant(section, line, control, time.forward, partial(_execute, database))


class _Accountant(ControlledClerk):
    @contextmanager
    def spoiled(self, voucher: Voucher, check: str) -> Iterator[None]:
        posted = ("VN_GL_DISTRIBUTION_HEADER", "Time_Stamp", f"trim(Invoice_Number) = '{voucher.invoice_number}'")
        paid = ("VN_PAYMENT_HISTORY", "Time_Stamp", f"trim(Check_Number) = '{check}'")
        with self.garbled(*posted), self.garbled(*paid):
            yield


def _execute(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


@dataclass
class _Moving:
    """The clock of its server, whose stamps count whole seconds: it is put forward so that they tell things apart."""

    clock: Callable[[], datetime]
    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return self.clock() + self.ahead

    def forward(self) -> datetime:
        self.ahead += timedelta(seconds=2)
        return self()
