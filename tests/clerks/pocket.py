"""Pocket's server, and whoever works at it: what is planted among the connectors to see whether one file is enough."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from clerk import Clerk, Held
from lines import Line, a_line
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from data_contracts.voucher import Voucher
from tieout.sandbox.contractor.erp_books import ErpBooks
from tieout.sandbox.sockets import serving

KEY = "pocket-key-1"
_PAGE = 2
Row = dict[str, Any]


@contextmanager
def hire(
    books: ErpBooks, clock: Callable[[], datetime], folder: Path, request: pytest.FixtureRequest
) -> Iterator[Clerk]:
    pocket = Pocket(books, clock)
    with serving(pocket.app) as url, a_line(url, "^(POST|PUT) /bills") as line:
        yield _Clerk({"url": line.url, "api_key": KEY}, line, pocket)


@dataclass
class Pocket:
    """Bills and checks, in memory; one thread serves them."""

    books: ErpBooks
    clock: Callable[[], datetime]
    bills: list[Row] = field(default_factory=list)
    checks: list[Row] = field(default_factory=list)
    retired: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._numbers, self._moments = count(1), count(1)
        self.app = Starlette(
            routes=[
                Route("/codes", self._codes),
                Route("/bills", self._enter, methods=["POST"]),
                Route("/bills/{key}", self._change, methods=["PUT"]),
                Route("/bills", self._list_bills),
                Route("/checks", self._list_checks),
            ]
        )

    def stamp(self) -> str:
        """Return a moment later than all before."""
        return (self.clock() + timedelta(milliseconds=next(self._moments))).isoformat()

    def number(self) -> int:
        return next(self._numbers)

    async def _codes(self, request: Request) -> Response:
        books = self.books
        accounts = {each.code: each.gl_account for each in books.cost_types}
        return _answer(
            request,
            {
                "company": books.company_name,
                "vendors": [[each.code, each.name, self._is_active(each.code)] for each in books.vendors],
                "jobs": [[each.number, each.name, each.status == "A"] for each in books.jobs],
                "phases": [
                    [each.job, each.phase_code, each.cost_type, accounts[each.cost_type], each.status == "A"]
                    for each in books.phases
                ],
                "contracts": [
                    [each.number, each.vendor_code, each.job, each.status == "A"] for each in books.subcontracts
                ],
                "open": [day.isoformat() for day in books.open_period],
            },
        )

    def _is_active(self, vendor: str) -> bool:
        return vendor not in self.retired and {each.code: each.status for each in self.books.vendors}.get(vendor) == "A"

    async def _enter(self, request: Request) -> Response:
        sent = json.loads(await request.body())["bills"]
        return _answer(request, [self._take(bill) for bill in sent])

    def _take(self, bill: Row) -> Row:
        if not self._is_active(bill["vendor"]):
            return {"reasons": [f"We do not know {bill['vendor']}"]}
        if sum(Decimal(amount) for *_, amount in bill["costs"]) != Decimal(bill["gross"]):
            return {"reasons": ["That does not add up"]}
        self.bills.append({**bill, "id": self.number(), "state": "unposted", "changed": self.stamp()})
        return {"id": self.bills[-1]["id"]}

    async def _change(self, request: Request) -> Response:
        [bill] = json.loads(await request.body())["bills"]
        there = [each for each in self.bills if each["key"] == request.path_params["key"]]
        if [each["state"] for each in there] != ["unposted"]:
            return _answer(request, [{"reasons": ["Only what is not posted is changed"]}])
        there[0].update(bill, changed=self.stamp())
        return _answer(request, [{"id": there[0]["id"]}])

    async def _list_bills(self, request: Request) -> Response:
        asked = request.query_params
        if "key" not in asked:
            return _answer(request, _page(self.bills, asked))
        number = (asked["vendor"], asked["number"])
        wanted = [
            each for each in self.bills if each["key"] == asked["key"] or (each["vendor"], each["number"]) == number
        ]
        return _answer(request, _page(wanted, asked))

    async def _list_checks(self, request: Request) -> Response:
        return _answer(request, _page(self.checks, request.query_params))


def _page(rows: list[Row], asked: Any) -> list[Row]:
    wanted = [each for each in rows if each["id"] > int(asked["after"]) and each["changed"] >= asked.get("since", "")]
    return wanted[:_PAGE]


def _answer(request: Request, content: Any) -> Response:
    if request.headers.get("authorization") != f"Bearer {KEY}":
        return JSONResponse({"message": "Who are you?"}, 401)
    return JSONResponse(content)


@dataclass
class _Clerk:
    """Whoever works with Pocket's own books."""

    section: Row
    line: Line
    pocket: Pocket
    patience: float = 2.0

    def now(self) -> datetime:
        return datetime.fromisoformat(self.pocket.stamp())

    def held(self) -> list[Held]:
        return [
            Held(
                key=bill["key"],
                vendor=bill["vendor"],
                number=bill["number"],
                state=bill["state"],
                gross=Decimal(bill["gross"]),
                retention=Decimal(bill["retention"]),
                paid=self._paid(bill),
                lines=tuple(Decimal(amount) for *_, amount in bill["costs"]),
            )
            for bill in self.pocket.bills
        ]

    def _bill(self, voucher: Voucher) -> Row:
        named = (voucher.vendor_erp, voucher.invoice_number)
        [bill] = [each for each in self.pocket.bills if (each["vendor"], each["number"]) == named]
        return bill

    def _paid(self, bill: Row) -> Decimal:
        ours = [
            each for each in self.pocket.checks if (each["vendor"], each["number"]) == (bill["vendor"], bill["number"])
        ]
        return sum((Decimal(each["amount"]) for each in ours if each["voided"] is None), Decimal(0))

    def _set(self, voucher: Voucher, **values: Any) -> None:
        self._bill(voucher).update(values, changed=self.pocket.stamp())

    def post(self, voucher: Voucher) -> None:
        assert self._bill(voucher)["state"] == "unposted"
        self._set(voucher, state="posted")

    def pay(self, voucher: Voucher, amount: Decimal | None = None) -> str:
        bill, number = self._bill(voucher), self.pocket.number()
        assert bill["state"] == "posted"
        due = Decimal(bill["gross"]) - Decimal(bill["retention"]) - self._paid(bill)
        moment = self.pocket.stamp()
        self.pocket.checks.append(
            {
                "id": number,
                "check": f"{number:06d}",
                "vendor": bill["vendor"],
                "number": bill["number"],
                "amount": str(due if amount is None else amount),
                "paid": moment,
                "voided": None,
                "changed": moment,
            }
        )
        return f"{number:06d}"

    def void_check(self, number: str) -> None:
        [check] = [each for each in self.pocket.checks if each["check"] == number]
        check.update(voided=self.pocket.stamp(), changed=self.pocket.stamp())

    def void(self, voucher: Voucher) -> None:
        assert self._bill(voucher)["state"] == "posted"
        self._set(voucher, state="void")

    def edit(self, voucher: Voucher, gross: Decimal) -> None:
        self._set(voucher, gross=str(gross))

    def remove_key(self, voucher: Voucher) -> None:
        self._set(voucher, key="see Jane")

    def delete(self, voucher: Voucher) -> None:
        self.pocket.bills.remove(self._bill(voucher))

    def retire(self, vendor: str) -> None:
        self.pocket.retired.add(vendor)

    def reinstate(self, vendor: str) -> None:
        self.pocket.retired.remove(vendor)

    @contextmanager
    def spoiled(self, voucher: Voucher, check: str) -> Iterator[None]:
        [paid] = [each for each in self.pocket.checks if each["check"] == check]
        kept = [(row, row["changed"]) for row in (self._bill(voucher), paid)]
        for row, moment in kept:
            row["changed"] = f"x{moment}"
        yield
        for row, moment in kept:
            row["changed"] = moment
