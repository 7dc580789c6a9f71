"""A stand-in for Trimble Spectrum: the REST service that adds AP invoices, over what Info-Link would show.

Documented and kept: path, Basic authentication (company code and Authorization ID), the fields, widths and
rules of an invoice, rejection of a whole invoice with every reason while others of the same call are taken, the
generated Document_ID, the HTTP 500 sentence when the processing dates are not set.
Modelled, because no public page shows them: the body of the answer, its HTTP status (200 even if all are
rejected, 400 for what is not JSON), the wording of reasons, the rows of `GET /vendors/{Company_Code}`, and
everything that spectrum_tables.py calls modelled.

The answer is `{"APInvoices": [...]}` in the order of the call, each with `Company_Code`, `Vendor_Code`,
`Invoice_Number`, `Document_ID`, `Status` ("Imported" or "Rejected") and `Errors`: a list of `error_code` ("I"
invalid, "M" missing), `desc` and `column`.

`/_sandbox/...` lets a test or the demo play accounting: see `CONTROLS`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tieout.sandbox.contractor.erp_books import ErpBooks
from tieout.sandbox.faults import ASGIApp, with_faults
from tieout.sandbox.spectrum.company import MASTER_DATA, Company, set_up
from tieout.sandbox.spectrum.rules import Row
from tieout.sandbox.spectrum.tables import open_database, settings

NOT_AUTHORIZED = "The Web Service is not authorized. Authorization ID is not setup in the system."
DATES_NOT_SET = "There was an error processing your request. It has been logged"


def create_app(
    database_url: str, books: ErpBooks | None, authorization_id: str, clock: Callable[[], datetime]
) -> ASGIApp:
    """Return the stand-in over a SQLite database: filled from `books` if it is empty, else as it was left."""
    engine = open_database(database_url)
    with engine.connect() as connection:
        is_empty = connection.execute(select(settings)).first() is None
    if is_empty:
        if books is None:
            raise ValueError("an empty Spectrum needs books to start from")
        set_up(engine, books, clock)
    return with_faults(_Server(Company(engine, clock), authorization_id).app, "spectrum", clock)


class _Server:
    """HTTP over one company."""

    def __init__(self, company: Company, authorization_id: str) -> None:
        self.company = company
        self.authorization_id = authorization_id
        self.is_authorized = True
        routes = [
            Route("/vendor/invoice", self.add_invoices, methods=["POST"]),
            Route("/vendors/{company_code}", self.list_vendors, methods=["GET"]),
            Route("/_sandbox/{action:path}", self.control, methods=["GET", "POST"]),
        ]
        self.app = Starlette(routes=routes)

    async def add_invoices(self, request: Request) -> Response:
        """Add unposted invoices, each taken or rejected by itself."""
        if not self._admits(request):
            return _unauthorized()
        body = await request.body()
        try:
            documents = _parse(body)["APInvoices"]
            if not isinstance(documents, list):
                raise ValueError("APInvoices must be a list")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return _json({"error": f"The request cannot be read: {error}"}, 400)
        if self.company.books.first_day is None or self.company.books.last_day is None:
            return _json({"Message": DATES_NOT_SET}, 500)
        return _json({"APInvoices": self.company.enter(documents)})

    async def list_vendors(self, request: Request) -> Response:
        """List the vendors of a company."""
        if not self._admits(request):
            return _unauthorized()
        if request.path_params["company_code"] != self.company.books.company_code:
            return _json({"error": "Company_Code is not set up for this Authorization ID"}, 400)
        rows = [
            {"Vendor_Code": code, "Vendor_Name": name, "Vendor_Status": status}
            for code, (name, status) in self.company.books.vendors.items()
        ]
        return _json({"Vendors": rows})

    def _admits(self, request: Request) -> bool:
        given = f"{self.company.books.company_code}:{self.authorization_id}"
        expected = f"Basic {base64.b64encode(given.encode()).decode()}"
        return self.is_authorized and request.headers.get("authorization") == expected

    async def control(self, request: Request) -> Response:
        """Do what accounting would do at its own screens."""
        body = await request.body()
        action = request.path_params["action"]
        try:
            given = _parse(body) if body else {}
            return _json(self._act(action, given, request.method))
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 409)

    def _act(self, action: str, given: Any, method: str) -> Any:
        if method == "GET":
            return {"state": self.company.state, "invoices": self.company.invoices}[action]()
        if action in MASTER_DATA:
            rows = given if isinstance(given, list) else [given]
            for row in rows:
                self.company.upsert(action, row)
            return {"rows": len(rows)}
        if action.startswith("checks/") and action.endswith("/void"):
            return {"voided": self.company.void_check(action.split("/")[1])}
        return CONTROLS[action](self, given)

    def authorize(self, given: Row) -> Row:
        """Revoke the Authorization ID, or restore it."""
        self.is_authorized = bool(given["enabled"])
        return {"enabled": self.is_authorized}


def _one(given: Row) -> tuple[str, str]:
    return given["vendor_code"], given["invoice_number"]


def _check(company: Company, given: Row) -> Row:
    others = ("check_number", "check_date", "method", "joint_payee", "is_posted")
    check = {name: given[name] for name in others if given.get(name) is not None}
    return company.pay(given["vendor_code"], given["applications"], **check)


# POST /_sandbox/<name>. Besides: GET state and invoices, POST of master data by its name, checks/{number}/void.
CONTROLS: dict[str, Callable[[_Server, Any], Row]] = {
    "post": lambda server, given: {"posted": server.company.post(given.get("batch_code"), given.get("invoices"))},
    "approve": lambda server, given: {"state": server.company.approve(*_one(given))},
    "checks": lambda server, given: _check(server.company, given),
    "invoices/edit": lambda server, given: {"state": server.company.edit(*_one(given), given["fields"])},
    "invoices/delete": lambda server, given: {"was": server.company.delete(*_one(given))},
    "invoices/void": lambda server, given: {"state": server.company.void(*_one(given))},
    "period": lambda server, given: server.company.set_period(given.get("first_day"), given.get("last_day")),
    "info_link": lambda server, given: server.company.set_readable(given["table"], given["enabled"]),
    "authorization": lambda server, given: server.authorize(given),
}


def _parse(body: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(body, parse_float=Decimal, parse_constant=refuse)


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, default=_written), status, media_type="application/json")


def _written(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an answer")


def _unauthorized() -> Response:
    error = {"error_code": "A", "desc": NOT_AUTHORIZED, "column": "Authorization_ID"}
    answer = _json({"Errors": [error]}, 401)
    answer.headers["www-authenticate"] = 'Basic realm="Spectrum"'
    return answer
