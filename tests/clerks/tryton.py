"""Accounting in a real Tryton, over its own RPC."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from clerk import Clerk, ControlledClerk
from lines import a_line
from trytons import TrytonServer

from tieout.connectors import tryton
from tieout.sandbox.books import ErpBooks

_WRITES = r'"model\.account\.invoice\.(create|write)"'


@contextmanager
def hire(
    books: ErpBooks, clock: Callable[[], datetime], folder: Path, request: pytest.FixtureRequest
) -> Iterator[Clerk]:
    """Tryton goes by the time of day, not by `clock`."""
    server: TrytonServer = request.getfixturevalue("tryton_server")
    with (
        pytest.MonkeyPatch.context() as patch,
        server.company(books) as company,
        a_line(company.direct, _WRITES) as line,
    ):
        patch.setattr(tryton, "PAGE", 3)  # so that a few invoices are more than one
        yield _Accountant({**company.settings, "url": line.url}, line, company.http, _now, patience=8.0)


def _now() -> datetime:
    return datetime.now(UTC)


class _Accountant(ControlledClerk):
    def costs(self, row: dict[str, Any]) -> Iterator[Decimal]:
        for line in row["lines"]:
            if line["origin"]:  # retention has no line in the subcontract
                yield Decimal(line["amount"])
