"""Accounting in a real Tryton, over its own RPC, on either of the databases that it runs on."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from clerk import Clerk, ControlledClerk
from lines import a_line
from trytons import TrytonServer

from data_contracts.voucher import Voucher
from tieout.connectors.tryton import rpc
from tieout.sandbox.contractor.erp_books import ErpBooks

Hired = AbstractContextManager[Clerk]
_WRITES = r'"model\.account\.invoice\.(create|write)"'


def hire(books: ErpBooks, clock: Callable[[], datetime], folder: Path, request: pytest.FixtureRequest) -> Hired:
    """Tryton goes by the time of day, not by `clock`."""
    return _on(request.getfixturevalue("tryton_server"), books)


def hire_on_postgresql(
    books: ErpBooks, clock: Callable[[], datetime], folder: Path, request: pytest.FixtureRequest
) -> Hired:
    return _on(request.getfixturevalue("tryton_on_postgresql"), books)


@contextmanager
def _on(server: TrytonServer, books: ErpBooks) -> Iterator[Clerk]:
    with (
        pytest.MonkeyPatch.context() as patch,
        server.company(books) as company,
        a_line(company.direct, _WRITES) as line,
    ):
        patch.setattr(rpc, "PAGE", 3)  # so that a few invoices are more than one
        section = {**company.settings, "url": line.url}
        execute = partial(server.databases.execute, company.settings["database"])
        yield _Accountant(section, line, company.http, _now, execute, patience=8.0)


def _now() -> datetime:
    return datetime.now(UTC)


class _Accountant(ControlledClerk):
    def costs(self, row: dict[str, Any]) -> Iterator[Decimal]:
        for line in row["lines"]:
            if line["origin"]:  # retention has no line in the subcontract
                yield Decimal(line["amount"])

    @contextmanager
    def spoiled(self, voucher: Voucher, check: str) -> Iterator[None]:
        posted = ("account_invoice", "state", f"reference = '{voucher.invoice_number}'")
        with self.garbled(*posted), self.garbled("account_payment", "state", f"check_number = '{check}'"):
            yield
