"""A stand-in for Procore: the documented paths, fields and refusals over state that survives a restart.

Sources are Procore's published REST reference (requisitions v1.0 and v1.1, contract payments, commitments,
billing periods, directory) and its developer guides (OAuth, paging, rate limits, errors, ERP record locking).
What no source says is modelled, and the modules that model it say so. Webhooks, files and the gated ERP endpoints
are not here.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tieout.sandbox.contractor.contractor import Contractor
from tieout.sandbox.faults import ASGIApp, with_faults
from tieout.sandbox.procore import control, directory, oauth, papers, payments, requisitions
from tieout.sandbox.procore.limits import Limits
from tieout.sandbox.procore.store import Store
from tieout.sandbox.procore.wire import Answer, Call, Quirks, Refusal, forbidden, malformed, not_found

Endpoint = Callable[[Call], Answer]
Respond = Callable[[Request], Coroutine[Any, Any, Response]]

WITHOUT_COMPANY = (
    "/rest/v1.0/me",
    "/rest/v1.0/companies",
)  # for a person's token; a service account names it there too
REQUISITION = "/rest/v1.0/requisitions/{requisition_id:int}"
REST: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/rest/v1.0/me", directory.me),
    ("GET", "/rest/v1.0/companies", directory.companies),
    ("GET", "/rest/v1.0/companies/{company_id:int}/me", directory.me),
    ("GET", "/rest/v1.0/companies/{company_id:int}/users", directory.company_users),
    ("GET", "/rest/v1.0/projects", directory.projects),
    ("GET", "/rest/v1.0/projects/{project_id:int}", directory.project),
    ("GET", "/rest/v1.0/projects/{project_id:int}/users", directory.project_users),
    ("GET", "/rest/v1.0/projects/{project_id:int}/vendors", directory.project_vendors),
    ("GET", "/rest/v1.1/projects/{project_id:int}/vendors", directory.project_vendors),
    ("GET", "/rest/v1.0/projects/{project_id:int}/billing_periods", directory.billing_periods),
    ("POST", "/rest/v1.0/projects/{project_id:int}/billing_periods", directory.create_billing_period),
    ("GET", "/rest/v1.0/projects/{project_id:int}/billing_periods/{id:int}", directory.billing_period),
    ("PATCH", "/rest/v1.0/projects/{project_id:int}/billing_periods/{id:int}", directory.change_billing_period),
    ("GET", "/rest/v1.0/vendors", directory.vendors),
    ("GET", "/rest/v1.0/vendors/{id:int}", directory.vendor),
    ("GET", "/rest/v1.0/cost_codes", directory.cost_codes),
    ("GET", "/rest/v1.0/commitments", directory.thin_commitments),
    *(
        (method, f"/rest/v1.0/{kind}{path}", endpoint)
        for kind in directory.TYPES
        for method, path, endpoint in (
            ("GET", "", directory.contracts),
            ("GET", "/{id:int}", directory.contract),
            ("GET", "/{id:int}/line_items", directory.contract_lines),
            ("GET", "/{id:int}/line_item_contract_details", directory.contract_details),
        )
    ),
    *(
        (method, f"/rest/v{version}/requisitions{path}", endpoint)
        for version in ("1.0", "1.1")
        for method, path, endpoint in (
            ("GET", "", requisitions.index),
            ("POST", "", requisitions.create),
            ("GET", "/{id:int}", requisitions.show),
            ("PATCH", "/{id:int}", requisitions.change),
            ("DELETE", "/{id:int}", requisitions.delete),
        )
    ),
    ("GET", f"{REQUISITION}/detail", requisitions.detail),
    ("PATCH", f"{REQUISITION}/bulk_item_update", requisitions.change_items),
    *(("GET", f"{REQUISITION}/{path}", requisitions.items_of(kind)) for path, kind in requisitions.KINDS.items()),
    ("GET", "/rest/v1.0/projects/{project_id:int}/lien_waivers", papers.waivers),
    *(
        ("GET", f"/rest/v1.0/projects/{{project_id:int}}/{kind}/{{id:int}}/compliance", papers.compliance_of(kind))
        for kind in directory.TYPES
    ),
    ("GET", "/rest/v1.0/contract_payments", payments.index),
    ("POST", "/rest/v1.0/contract_payments", payments.create),
    ("GET", "/rest/v1.0/contract_payments/{id:int}", payments.show),
    ("PATCH", "/rest/v1.0/contract_payments/{id:int}", payments.change),
    ("DELETE", "/rest/v1.0/contract_payments/{id:int}", payments.delete),
)
CONTROL: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/_sandbox/contractor", control.contractor),
    ("GET", "/_sandbox/state", control.state),
    ("GET", "/_sandbox/troubles", control.troubles),
    ("GET", "/_sandbox/payments", control.payments),
    ("GET", "/_sandbox/requisitions", control.requisitions),
    ("POST", "/_sandbox/requisitions", control.open_requisition),
    ("GET", "/_sandbox/requisitions/{id:int}", control.requisition),
    ("DELETE", "/_sandbox/requisitions/{id:int}", control.remove),
    ("POST", "/_sandbox/requisitions/{id:int}/approve", control.approve),
    ("POST", "/_sandbox/requisitions/{id:int}/edit", control.edit),
    ("POST", "/_sandbox/requisitions/{id:int}/body", control.replace_body),
    ("POST", "/_sandbox/requisitions/{id:int}/hide", control.hide),
    ("POST", "/_sandbox/requisitions/{id:int}/waivers", papers.set_waivers),
    *(("POST", f"/_sandbox/{records}/{{id:int}}", control.set_record) for records in control.RECORDS),
    ("POST", "/_sandbox/paging", control.set_quirks),
    ("POST", "/_sandbox/quirks", control.set_quirks),
    ("POST", "/_sandbox/expire_tokens", control.expire_tokens),
)


def create_app(state_path: Path, contractor: Contractor | None, limits: bool, clock: Callable[[], datetime]) -> ASGIApp:
    """Serve the contractor from `state_path`; a file that is already filled goes on from where it was left."""
    store = Store(state_path, clock)
    if store.is_empty():
        if contractor is None:
            raise ValueError(f"{state_path} holds no contractor, and none was given")
        store.fill(contractor)
    server = _Server(store, Limits(store.seconds) if limits else None)
    routes = [
        Route("/oauth/token", server.token, methods=["POST"]),
        Route("/oauth/token/info", server.token_info, methods=["GET"]),
        Route("/oauth/revoke", server.revoke, methods=["POST"]),
        Route("/oauth/authorize", server.authorize, methods=["GET"]),
        *(Route(path, server.rest(endpoint), methods=[method]) for method, path, endpoint in REST),
        *(Route(path, server.control(endpoint), methods=[method]) for method, path, endpoint in CONTROL),
        Route("/{path:path}", server.unknown, methods=["GET", "POST", "PATCH", "PUT", "DELETE"]),
    ]
    return with_faults(Starlette(routes=routes), "procore", clock)


class _Server:
    """Lets requests in, one at a time, and gives every answer an id."""

    def __init__(self, store: Store, limits: Limits | None) -> None:
        self.store, self.limits, self.quirks = store, limits, Quirks()

    def rest(self, endpoint: Endpoint) -> Respond:
        async def respond(request: Request) -> Response:
            body = await request.body()
            return self._answer(lambda headers: self._enter(request, body, headers, endpoint))

        return respond

    def control(self, endpoint: Endpoint) -> Respond:
        async def respond(request: Request) -> Response:
            body = await request.body()
            is_text = request.url.path.endswith("/body")
            return self._answer(
                lambda headers: endpoint(self._call(request, {"_text": body.decode()} if is_text else _json(body)))
            )

        return respond

    async def token(self, request: Request) -> Response:
        asked = await _form(request)
        authorization = request.headers.get("authorization", "")
        return self._answer(lambda headers: oauth.token(self.store, asked, authorization))

    async def token_info(self, request: Request) -> Response:
        authorization = request.headers.get("authorization", "")
        return self._answer(lambda headers: oauth.info(self.store, authorization))

    async def revoke(self, request: Request) -> Response:
        asked = await _form(request)
        return self._answer(lambda headers: oauth.revoke(self.store, asked))

    async def authorize(self, request: Request) -> Response:
        return self._answer(lambda headers: oauth.authorize(self.store, dict(request.query_params)))

    async def unknown(self, request: Request) -> Response:
        def refuse(headers: dict[str, str]) -> Answer:
            raise not_found("Resource")

        return self._answer(refuse)

    def _enter(self, request: Request, body: bytes, headers: dict[str, str], endpoint: Endpoint) -> Answer:
        """Check who asks, for which company and how often, then let the endpoint answer."""
        owner = oauth.owner_of(self.store, request.headers.get("authorization", ""))
        company = request.headers.get("procore-company-id")
        ours = str(self.store.get("contractor")["company_id"])
        if owner == "user" and request.url.path in WITHOUT_COMPANY:
            company = ours
        if not company:
            raise Refusal(400, {"message": "Missing Procore-Company-Id header!"})
        if company != ours:
            raise forbidden("App is not connected to this company.")
        if self.limits:
            headers |= self.limits.take()
        return endpoint(self._call(request, _json(body)))

    def _call(self, request: Request, body: dict[str, Any]) -> Call:
        path = {name: str(value) for name, value in request.path_params.items()}
        parts = request.url.path.split("/")
        path["version"] = parts[2].removeprefix("v") if parts[1] == "rest" else "1.1"
        path["contracts"] = path["records"] = parts[3] if parts[1] == "rest" else parts[2]
        url = str(request.url.replace(query=""))
        return Call(self.store, self.quirks, url, path, request.url.query, body)

    def _answer(self, work: Callable[[dict[str, str]], Answer]) -> Response:
        """Do the work in one transaction; a refusal leaves no trace but its own words."""
        headers = {"x-request-id": str(uuid.uuid4())}
        self.store.begin()
        try:
            answer = work(headers)
            self.store.commit()
        except Refusal as refusal:
            self.store.rollback()
            content = b"" if refusal.body is None else json.dumps(refusal.body).encode()
            return Response(content, refusal.status, headers | refusal.headers, "application/json")
        except BaseException:
            self.store.rollback()
            raise
        return Response(answer.body(), answer.status, headers | answer.headers, "application/json")


def _json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        document = json.loads(body)
    except ValueError as error:
        raise malformed("There was a problem in the JSON you submitted") from error
    if not isinstance(document, dict):
        raise malformed("The body must be an object")
    return document


async def _form(request: Request) -> dict[str, Any]:
    """Read a body that is JSON or a form, as OAuth clients send either; the query counts as well."""
    body, query = await request.body(), dict(request.query_params)
    if "json" in request.headers.get("content-type", ""):
        try:
            return query | dict(json.loads(body or b"{}"))
        except ValueError:
            return query
    return query | dict(parse_qsl(body.decode("utf-8", "replace")))
