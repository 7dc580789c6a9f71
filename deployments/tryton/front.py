"""What stands before Tryton in demo and tests: its RPC with faults on demand, and the people in its accounting.

A call goes through as it came; a fault names the method, `POST /model.account.invoice.create`. `/_sandbox/...` is what
the stand-in for Spectrum has: `state`, `invoices`, `post`, `checks`, `checks/{number}/void`, `invoices/edit`,
`invoices/delete`, `invoices/void`, `vendors`, `requests`, `faults`.
"""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.tryton.accounting import Accounting
from deployments.tryton.rpc import Row, TrytonError
from tieout.sandbox.faults import ASGIApp, with_faults

_SECONDS = 300.0
_NOT_PASSED_ON = {"host", "content-length", "connection", "accept-encoding"}
_NOT_PASSED_BACK = {"content-length", "content-encoding", "transfer-encoding", "connection", "server", "date"}


def create_app(url: str, database: str) -> ASGIApp:
    """Return what answers for this database of the server at `url`."""
    front = _Front(url, database)
    routes = [
        Route("/_sandbox/{action:path}", front.control, methods=["GET", "POST"]),
        Route("/{method}", front.pass_on, methods=["POST"]),
    ]
    return _ByMethod(with_faults(Starlette(routes=routes), "tryton"))


class _ByMethod:
    """Gives each call its method as its path, so that faults and counts can tell them apart."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            return await self.app(scope, receive, send)
        body = await Request(scope, receive).body()
        named = {**scope, "path": f"/{_method(body)}", "asked": scope["path"]}
        is_told = False

        async def again() -> Any:
            nonlocal is_told
            if is_told:
                return await receive()
            is_told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(named, again, send)


def _method(body: bytes) -> str:
    try:
        return str(json.loads(body)["method"])
    except (ValueError, KeyError, TypeError):
        return "unreadable"


class _Front:
    def __init__(self, url: str, database: str) -> None:
        self._url, self._database = url, database
        self._tryton = httpx.AsyncClient(base_url=url, timeout=_SECONDS, trust_env=False, verify=False)
        self._people: Accounting | None = None

    async def pass_on(self, request: Request) -> Response:
        """Let Tryton answer."""
        headers = {name: value for name, value in request.headers.items() if name not in _NOT_PASSED_ON}
        answer = await self._tryton.post(request.scope["asked"], content=await request.body(), headers=headers)
        kept = {name: value for name, value in answer.headers.items() if name not in _NOT_PASSED_BACK}
        return Response(answer.content, answer.status_code, headers=kept)

    async def control(self, request: Request) -> Response:
        """Do what accounting would do at its own screens."""
        given = json.loads(await request.body() or b"{}", parse_float=Decimal)
        try:
            return _json(await run_in_threadpool(self._act, request.path_params["action"], given, request.method))
        except (TrytonError, LookupError, ValueError, TypeError, ArithmeticError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 409)

    def _act(self, action: str, given: Any, method: str) -> Any:
        people = self._people = self._people or Accounting(self._url, self._database)
        if method == "GET":
            return {"state": people.state, "invoices": people.invoices}[action]()
        if action.startswith("checks/") and action.endswith("/void"):
            return {"voided": people.void_check(action.split("/")[1])}
        return CONTROLS[action](people, given)


def _one(given: Row) -> tuple[str, str]:
    return given["vendor_code"], given["invoice_number"]


def _set_vendor(people: Accounting, given: Row) -> Row:
    people.set_vendor(given["code"], given["status"])
    return {"rows": 1}


CONTROLS: dict[str, Callable[[Accounting, Any], Row]] = {
    "post": lambda people, given: {"posted": people.post(given.get("batch_code"), given.get("invoices"))},
    "checks": lambda people, given: people.pay(given["vendor_code"], given["applications"], given.get("check_date")),
    "invoices/edit": lambda people, given: {"state": people.edit(*_one(given), given["fields"])},
    "invoices/delete": lambda people, given: {"was": people.delete(*_one(given))},
    "invoices/void": lambda people, given: {"state": people.void(*_one(given))},
    "vendors": _set_vendor,
}


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, default=_written), status, media_type="application/json")


def _written(value: Any) -> str:
    return (
        f"{value:.2f}" if isinstance(value, Decimal) else value.isoformat() if isinstance(value, date) else str(value)
    )
