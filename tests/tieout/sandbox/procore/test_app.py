"""The stand-in Procore speaks the documented paths, fields and refusals, over a real socket."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tieout.sandbox.contractor.contractor import Contractor, build
from tieout.sandbox.procore.app import create_app
from tieout.sandbox.procore.limits import Limits
from tieout.sandbox.procore.store import Store
from tieout.sandbox.procore.wire import Refusal
from tieout.sandbox.sockets import serving

NOW = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Procore:
    """A client that knows nothing of ours: paths and headers as the reference has them."""

    def __init__(self, address: tuple[Any, str], contractor: Contractor, clock: Clock, state: Path) -> None:
        self.contractor, self.clock, self.state = contractor, clock, state
        self.socket, url = address
        self.http = httpx.Client(base_url=url, timeout=10)
        self.log_in()

    def token(self, **fields: str) -> httpx.Response:
        ours = {"client_id": self.contractor.client_id, "client_secret": self.contractor.client_secret}
        return self.http.post("/oauth/token", data=ours | fields)

    def log_in(self) -> None:
        access = self.token(grant_type="client_credentials").json()["access_token"]
        company = str(self.contractor.company_id)
        self.http.headers.update({"Authorization": f"Bearer {access}", "Procore-Company-Id": company})

    def requisitions(self, project: int = 0, **query: Any) -> httpx.Response:
        query = {"project_id": self.project(project), **query}
        return self.http.get("/rest/v1.1/requisitions", params=query)

    def project(self, position: int = 0) -> int:
        return self.contractor.projects[position]["id"]

    def sound(self, newest: bool = True) -> dict:
        """An approved subcontract invoice without trouble."""
        newest_of = {r["commitment_id"]: r["id"] for r in self.contractor.requisitions}
        return next(
            r
            for r in self.contractor.requisitions
            if r["id"] not in self.contractor.troubles
            and r["status"] == "approved"
            and (newest_of[r["commitment_id"]] == r["id"]) is newest
        )

    def patch(self, requisition: dict, **fields: Any) -> httpx.Response:
        names = ("project_id", "commitment_id")
        body = {name: requisition[name] for name in names} | {"requisition": fields}
        return self.http.patch(f"/rest/v1.1/requisitions/{requisition['id']}", json=body)

    def show(self, requisition: dict) -> dict:
        query = {"project_id": requisition["project_id"], "view": "extended"}
        return self.http.get(f"/rest/v1.1/requisitions/{requisition['id']}", params=query).json()

    def control(self, path: str, **body: Any) -> Any:
        answer = self.http.post(f"/_sandbox/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def pay(self, requisition: dict, **fields: Any) -> httpx.Response:
        payment = {
            "amount": "1250.00",
            "date": "2026-11-20",
            "payment_number": 1,
            "check_number": "10001",
            "payment_method": "check",
            "invoice_number": requisition["invoice_number"],
            "requisition_id": requisition["id"],
            "origin_id": "pay:1",
        }
        payment |= fields
        body = {"project_id": requisition["project_id"], "contract_id": requisition["commitment_id"]}
        return self.http.post("/rest/v1.0/contract_payments", json=body | {"contract_payment": payment})


@pytest.fixture(scope="module")
def contractor() -> Contractor:
    return build(1, today=date(2026, 11, 21))


@pytest.fixture(scope="module")
def filled(contractor: Contractor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state that every test begins with: it reopens a copy, as a restarted server would."""
    path = tmp_path_factory.mktemp("filled") / "procore.sqlite"
    store = Store(path, Clock())
    store.fill(contractor)
    store.close()
    return path


class Socket:
    """One address for the whole module; what answers there is each test's own server."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[Socket, str]]:
    socket = Socket()
    with serving(socket) as url:
        yield socket, url


@pytest.fixture
def start(contractor: Contractor, filled: Path, address: tuple[Socket, str], tmp_path: Path) -> Any:
    def start(limits: bool) -> Procore:
        clock, state = Clock(), tmp_path / "procore.sqlite"
        shutil.copy(filled, state)
        address[0].app = create_app(state, contractor, limits, clock)
        return Procore(address, contractor, clock, state)

    return start


@pytest.fixture
def procore(start: Any) -> Iterator[Procore]:
    ours = start(limits=False)
    yield ours
    ours.http.close()


@pytest.fixture
def limited(start: Any) -> Iterator[Procore]:
    ours = start(limits=True)
    yield ours
    ours.http.close()


def test_a_service_account_gets_a_token_without_refresh(procore: Procore) -> None:
    reply = procore.token(grant_type="client_credentials").json()

    assert reply["expires_in"] == 5400 and reply["token_type"] == "Bearer"
    assert "refresh_token" not in reply


def test_a_wrong_secret_is_refused_in_the_words_of_oauth(procore: Procore) -> None:
    answer = procore.token(grant_type="client_credentials", client_secret="wrong")

    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


def test_a_token_ends_after_ninety_minutes(procore: Procore) -> None:
    assert procore.http.get("/oauth/token/info").json()["expires_in_seconds"] == 5400
    procore.clock.now += timedelta(seconds=5400)
    answer = procore.http.get("/rest/v1.0/me")

    assert answer.status_code == 401
    assert answer.json()["error_description"] == "The access token is invalid"


def test_a_refresh_token_works_once_and_is_replaced(procore: Procore) -> None:
    asked = {"client_id": procore.contractor.client_id, "response_type": "code"}
    code = procore.http.get("/oauth/authorize", params=asked).json()["code"]
    first = procore.token(grant_type="authorization_code", code=code).json()["refresh_token"]
    again = procore.token(grant_type="refresh_token", refresh_token=first)
    spent = procore.token(grant_type="refresh_token", refresh_token=first)

    assert again.json()["refresh_token"] != first
    assert spent.status_code == 401 and spent.json()["error"] == "invalid_grant"


def test_a_revoked_or_expired_token_is_refused(procore: Procore) -> None:
    procore.control("expire_tokens")
    assert procore.http.get("/rest/v1.0/me").status_code == 401
    procore.log_in()
    token = procore.http.headers["Authorization"].split()[1]
    assert procore.http.post("/oauth/revoke", json={"token": token}).status_code == 200

    assert procore.http.get("/rest/v1.0/me").status_code == 401


def test_the_company_has_to_be_named(procore: Procore) -> None:
    del procore.http.headers["Procore-Company-Id"]
    answer = procore.http.get("/rest/v1.0/companies")

    assert (answer.status_code, answer.json()) == (400, {"message": "Missing Procore-Company-Id header!"})
    procore.http.headers["Procore-Company-Id"] = "1"
    assert procore.http.get("/rest/v1.0/me").json() == {"errors": ["App is not connected to this company."]}


def test_every_answer_has_a_request_id(procore: Procore) -> None:
    answers = [procore.requisitions(), procore.requisitions(project_id=1), procore.http.get("/rest/v1.0/none")]

    assert [answer.status_code for answer in answers] == [200, 404, 404]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


def test_a_project_that_the_service_account_is_not_on_is_listed_and_closed(procore: Procore) -> None:
    closed = procore.contractor.forbidden_projects[0]
    listed = procore.http.get("/rest/v1.0/projects", params={"company_id": procore.contractor.company_id}).json()

    assert closed in [project["id"] for project in listed]
    assert procore.requisitions(project_id=closed).status_code == 403


def test_people_show_their_rights(procore: Procore) -> None:
    people = procore.http.get(f"/rest/v1.0/companies/{procore.contractor.company_id}/users").json()

    assert {person["can_push_to_accounting"] for person in people} == {True, False}
    assert all("login" in person and "tools" in person for person in people)


def test_reference_data_is_listed(procore: Procore) -> None:
    project, company = procore.project(), procore.contractor.company_id
    vendors = procore.http.get("/rest/v1.0/vendors", params={"company_id": company}).json()
    local = procore.http.get(f"/rest/v1.0/projects/{project}/vendors").json()
    codes = procore.http.get("/rest/v1.0/cost_codes", params={"project_id": project}).json()
    periods = procore.http.get(f"/rest/v1.0/projects/{project}/billing_periods").json()

    assert len(vendors) == len(procore.contractor.vendors) > len(local) > 0
    assert {"full_code", "origin_id", "name"} <= set(codes[0])
    assert [period["status"] for period in periods] == ["closed"] * 5 + ["open"]
    assert not any(key.startswith("_") for record in vendors + codes + periods for key in record)


def test_pages_are_clamped_and_linked(procore: Procore) -> None:
    clamped = procore.requisitions(view="extended", per_page=5000)
    default = procore.requisitions()
    small = procore.requisitions(per_page=4)
    pages = [small]
    while link := re.search(r'<([^>]+)>; rel="next"', pages[-1].headers["Link"]):
        pages.append(procore.http.get(link.group(1)))
    rows = [row["id"] for page in pages for row in page.json()]

    assert (clamped.headers["Per-Page"], default.headers["Per-Page"]) == ("250", "30")
    assert len(rows) == len(set(rows)) == int(small.headers["Total"]) > 8
    assert "items" in clamped.json()[0] and "items" not in default.json()[0]


def test_a_row_that_changes_meanwhile_moves_to_the_first_page(procore: Procore) -> None:
    before = [row["id"] for row in procore.requisitions(per_page=1000).json()]
    moved = next(r for r in procore.contractor.requisitions if r["id"] == before[-1])
    procore.control(f"requisitions/{moved['id']}/edit", comment="seen")
    after = procore.requisitions(per_page=1000).json()

    assert [row["id"] for row in after] == [before[-1], *before[:-1]]
    assert after[0]["updated_at"] == "2026-11-21T23:00:00.000000Z"


def test_invoices_are_filtered(procore: Procore) -> None:
    everything = procore.requisitions(per_page=1000).json()
    drafts = procore.requisitions(**{"filters[status]": "draft"}).json()
    newest = everything[0]["updated_at"]
    changed = procore.requisitions(**{"filters[updated_at]": f"{newest}...2027-01-01T00:00:00Z"}).json()
    two = [everything[0]["id"], everything[1]["id"]]
    by_list = procore.requisitions(**{"filters[id][]": two}).json()
    by_json = procore.requisitions(**{"filters[id]": json.dumps(two)}).json()
    last = procore.requisitions(per_page=1000, **{"filters[is_last]": "true"}).json()

    assert {row["status"] for row in drafts} <= {"draft"}
    assert [row["id"] for row in changed] == [everything[0]["id"]]
    assert [row["id"] for row in by_list] == [row["id"] for row in by_json] == two
    assert len(last) == len({row["commitment_id"] for row in everything})
    assert procore.requisitions(**{"filters[updated_at]": "yesterday"}).status_code == 400


def test_both_limits_are_told_and_kept(limited: Procore) -> None:
    first = limited.requisitions()
    assert (first.headers["X-Rate-Limit-Limit"], first.headers["X-Rate-Limit-Remaining"]) == ("25", "24")
    for _ in range(24):
        limited.http.get("/rest/v1.0/me")
    refused = limited.requisitions()
    limited.clock.now += timedelta(seconds=int(refused.headers["Retry-After"]))

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")
    assert int(refused.headers["X-Rate-Limit-Reset"]) == NOW.timestamp() + 10
    assert limited.requisitions().status_code == 200


def test_the_hour_is_counted_too() -> None:
    now = [1000.0]
    limits, told = Limits(lambda: now[0]), set()
    for _ in range(3600):
        told.add(limits.take()["X-Rate-Limit-Limit"])
        now[0] += 0.5
    with pytest.raises(Refusal) as refused:
        limits.take()

    assert told == {"25", "3600"}
    assert refused.value.headers["X-Rate-Limit-Remaining"] == "0"
    assert refused.value.headers["Retry-After"] == "1800"


def test_paging_can_be_made_to_repeat_itself(procore: Procore) -> None:
    def rows(number: int) -> list[int]:
        return [row["id"] for row in procore.requisitions(per_page=5, page=number).json()]

    sound = [rows(number) for number in (1, 2, 3)]
    procore.control("paging", repeat_page=True)
    assert [rows(number) for number in (1, 2, 3)] == [sound[0], sound[0], sound[1]]
    procore.control("paging", repeat_page=False, duplicate_ids=True)

    assert rows(2) == [sound[0][-1], *sound[1]]


def test_an_extended_invoice_has_the_documented_fields_and_types(procore: Procore) -> None:
    shown = procore.show(procore.sound())
    item = shown["items"][0]
    money = [value for key, value in shown["summary"].items() if key != "formatted_period"]

    assert all(isinstance(value, str) and re.fullmatch(r"-?\d+\.\d\d", value) for value in money)
    assert shown["percent_complete"].endswith("%") and shown["id"] > 2**32
    assert {
        "materials_presently_stored_from_previous_progress", "materials_moved", "materials_retainage_retained_moved",
        "total_completed_and_stored_to_date_from_previous", "cost_code_id", "wbs_code", "line_item_id",
        "ssr_manual_override", "previous_progress_id", "taxes",
    } <= set(item)  # fmt: skip
    assert isinstance(shown["currency_configuration"]["currency_exchange_rate"], float)


def test_the_older_version_lacks_vendor_and_items(procore: Procore) -> None:
    requisition = procore.sound()
    query = {"project_id": requisition["project_id"], "view": "extended"}
    shown = procore.http.get(f"/rest/v1.0/requisitions/{requisition['id']}", params=query).json()

    assert not {"vendor_id", "items"} & set(shown)
    assert procore.http.get(f"/rest/v1.0/requisitions/{requisition['id']}").status_code == 404


def test_detail_lists_every_line_flat_and_the_kinds_are_listed_apart(procore: Procore) -> None:
    requisition = next(r for r in procore.contractor.requisitions if r["item_packages"])
    path, query = f"/rest/v1.0/requisitions/{requisition['id']}", {"project_id": requisition["project_id"]}
    rows = procore.http.get(f"{path}/detail", params=query).json()
    kinds = ("contract_items", "contract_detail_items", "change_order_items")
    apart = [
        row for kind in kinds for row in procore.http.get(f"{path}/{kind}", params=query | {"per_page": 99}).json()
    ]
    held = sum(Decimal(row["total_retainage_currently_retained"]) for row in rows)

    assert [row["item_number"] for row in rows] == list(range(1, len(rows) + 1))
    assert {row["id"] for row in apart} == {row["id"] for row in rows}
    assert held == Decimal(requisition["summary"]["total_retainage"])


def open_invoice(procore: Procore, requisition: dict, **fields: Any) -> httpx.Response:
    names = ("project_id", "commitment_id")
    body = {name: requisition[name] for name in names} | {"requisition": {"status": "draft"} | fields}
    return procore.http.post("/rest/v1.1/requisitions?view=extended", json=body)


def test_a_new_invoice_carries_the_figures_on_with_nothing_billed(procore: Procore) -> None:
    last = procore.show(procore.sound())
    opened = open_invoice(procore, last, invoice_number="N-1")

    assert opened.status_code == 201
    made = opened.json()
    assert (made["previous_requisition_id"], made["number"]) == (last["id"], last["number"] + 1)
    assert made["summary"]["current_payment_due"] == "0.00"
    assert made["summary"]["less_previous_certificates_for_payment"] == last["summary"]["total_earned_less_retainage"]


def test_totals_are_computed_when_an_item_changes(procore: Procore) -> None:
    made = open_invoice(procore, procore.sound()).json()
    changes = [{"id": made["items"][0]["id"], "item_type": "contract_item", "work_completed_this_period": "1000.00",
                "work_completed_retainage_retained_this_period": "50.00"}]  # fmt: skip
    assert procore.patch(made, items=changes).status_code == 200
    shown = procore.show(made)

    assert shown["items"][0]["work_completed_retainage_percent_this_period"] == "5.00"
    assert shown["summary"]["current_payment_due"] == "950.00"
    assert procore.patch(made, items=[changes[0] | {"work_completed_this_period": 1000}]).json() == {
        "errors": {"work_completed_this_period": ["has incompatible type"]}
    }


def test_without_an_open_billing_period_no_invoice_is_opened(procore: Procore) -> None:
    requisition = procore.sound()
    query = {"filters[status]": "open"}
    path = f"/rest/v1.0/projects/{requisition['project_id']}/billing_periods"
    period = procore.http.get(path, params=query).json()[0]
    procore.http.patch(f"{path}/{period['id']}", json={"billing_period": {"status": "closed"}})
    refused = open_invoice(procore, requisition)

    assert refused.status_code == 400
    assert refused.json() == {
        "errors": "The project must have an open billing period (or admin can specify a period_id) to create an invoice"
    }
    assert open_invoice(procore, requisition, period_id=period["id"]).status_code == 201


def test_an_unapproved_schedule_of_values_is_refused_without_a_word(procore: Procore) -> None:
    requisition = procore.sound()
    procore.control(f"commitments/{requisition['commitment_id']}", billing_schedule_of_values_status="under_review")
    refused = open_invoice(procore, requisition)

    assert (refused.status_code, refused.content) == (400, b"")


def test_an_origin_id_locks_the_invoice_until_it_is_cleared(procore: Procore) -> None:
    requisition = procore.sound()
    before = procore.show(requisition)["updated_at"]
    assert procore.patch(requisition, origin_id="KEY-1").status_code == 200
    refused = procore.patch(requisition, status="revise_and_resubmit")
    refused_items = procore.patch(requisition, items=[])
    query = {"project_id": requisition["project_id"]}
    refused_delete = procore.http.delete(f"/rest/v1.1/requisitions/{requisition['id']}", params=query)

    assert {answer.status_code for answer in (refused, refused_items, refused_delete)} == {422}
    assert "has been synced with ERP" in refused.text
    assert procore.patch(requisition, origin_data="DOC-7", attachments=[]).status_code == 200
    shown = procore.show(requisition)
    assert (shown["origin_id"], shown["origin_data"], shown["erp_status"]) == ("KEY-1", "DOC-7", "synced")
    assert shown["updated_at"] > before
    assert procore.patch(requisition, origin_id=None, origin_data=None).status_code == 200
    assert procore.patch(requisition, status="revise_and_resubmit").status_code == 200


def test_an_origin_id_is_taken_once(procore: Procore) -> None:
    procore.patch(procore.sound(), origin_id="KEY-1")
    again = procore.patch(procore.sound(newest=False), origin_id="KEY-1")

    assert (again.status_code, again.json()) == (422, {"errors": {"origin_id": ["has already been taken"]}})


def test_only_the_newest_invoice_is_editable_yet_any_can_be_locked(procore: Procore) -> None:
    older = procore.sound(newest=False)
    refused = procore.patch(older, status="draft")

    assert refused.status_code == 400
    assert refused.json() == {"errors": "Only the most recently created Invoice is editable or deletable"}
    assert procore.patch(older, origin_id="KEY-2").status_code == 200


def test_a_body_that_is_not_json_or_not_wrapped_is_refused(procore: Procore) -> None:
    path = f"/rest/v1.1/requisitions/{procore.sound()['id']}?project_id={procore.sound()['project_id']}"
    broken = procore.http.patch(path, content=b"{")
    bare = procore.http.patch(path, json={"status": "draft"})

    assert (broken.status_code, broken.json()["code"]) == (400, 400)
    assert bare.json() == {"errors": "param is missing or the value is empty or invalid: requisition"}


@pytest.mark.parametrize(
    "given",
    [
        {"items": "x"},
        {"items": [{"id": None}]},
        {"items": [{"work_completed_this_period": "1e999999"}]},
        {"items": [{"work_completed_this_period": "NaN"}]},
        {"period_id": "x"},
        {"status": ["approved"]},
        {"origin_id": {"a": 1}},
        {"billing_date": 7, "requisition_start": [], "invoice_number": "n"},
    ],
)
def test_nonsense_is_refused_or_stored_but_never_a_crash(procore: Procore, given: dict) -> None:
    requisition = procore.sound()
    item = {"id": procore.show(requisition)["items"][0]["id"]}
    if isinstance(given.get("items"), list):
        given = {"items": [item | change for change in given["items"]]}
    changed = procore.patch(requisition, **given)
    opened = open_invoice(procore, requisition, **given)

    assert changed.status_code in (200, 422) and opened.status_code in (201, 422)
    assert procore.show(requisition)["id"] == requisition["id"]


def test_commitments_come_short_or_with_their_lines(procore: Procore) -> None:
    query = {"project_id": procore.project()}
    short = procore.http.get("/rest/v1.0/work_order_contracts", params=query).json()
    long = procore.http.get("/rest/v1.0/work_order_contracts", params=query | {"view": "extended"}).json()
    path = f"/rest/v1.0/work_order_contracts/{short[0]['id']}"
    lines = procore.http.get(f"{path}/line_items", params=query).json()
    shown = procore.http.get(path, params=query).json()

    assert "line_items" not in short[0]
    assert long[0] == shown and shown["line_items"] == lines
    assert {"cost_code", "line_item_type", "wbs_code", "holder"} <= set(lines[0])
    assert not any(key.startswith("_") for key in [*shown, *lines[0]])


def test_purchase_orders_are_a_list_of_their_own(procore: Procore) -> None:
    order = next(c for c in procore.contractor.commitments if c["number"].startswith("PO-"))
    query = {"project_id": order["project"]["id"]}

    assert [row["id"] for row in procore.http.get("/rest/v1.0/purchase_order_contracts", params=query).json()] == [
        order["id"]
    ]
    assert procore.http.get(f"/rest/v1.0/work_order_contracts/{order['id']}", params=query).status_code == 404


def test_a_payment_is_written_once_and_shown_everywhere(procore: Procore) -> None:
    requisition = procore.sound()
    before = procore.show(requisition)
    made = procore.pay(requisition)
    again = procore.pay(requisition)
    query = {"project_id": requisition["project_id"], "contract_id": requisition["commitment_id"]}
    listed = procore.http.get("/rest/v1.0/contract_payments", params=query).json()
    contract = procore.http.get(f"/rest/v1.0/work_order_contracts/{requisition['commitment_id']}", params=query).json()
    shown = procore.show(requisition)

    assert made.status_code == 201 and listed == [made.json()]
    assert not {"payment_method", "invoice_date"} & set(made.json())
    assert (again.status_code, again.json()) == (422, {"errors": {"origin_id": ["has already been taken"]}})
    assert (contract["total_payments"], len(contract["payments_issued"])) == ("1250.00", 1)
    assert shown["payment_summary"]["manual"] == {"amount": "1250.00"}
    assert shown["updated_at"] == before["updated_at"]
    assert procore.http.get("/_sandbox/payments").json()[0]["check_number"] == "10001"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 1250.0),
        ("amount", "much"),
        ("amount", "NaN"),
        ("amount", "1e999999"),
        ("payment_number", "1"),
        ("payment_method", "wire"),
        ("date", "soon"),
        ("requisition_id", 4),
    ],
)
def test_a_payment_of_the_wrong_kind_is_refused(procore: Procore, field: str, value: Any) -> None:
    refused = procore.pay(procore.sound(), **{field: value})

    assert refused.status_code == 422
    assert list(refused.json()["errors"]) == [field]


def test_a_synced_payment_keeps_its_figures_until_it_is_released(procore: Procore) -> None:
    requisition = procore.sound()
    path = f"/rest/v1.0/contract_payments/{procore.pay(requisition).json()['id']}"
    query = {"project_id": requisition["project_id"], "contract_id": requisition["commitment_id"]}

    def patch(**fields: Any) -> int:
        return procore.http.patch(path, json=query | {"contract_payment": fields}).status_code

    assert patch(amount="1.00") == 422
    assert procore.http.delete(path, params=query).status_code == 422
    assert patch(payment_number=7, attachments=[{"id": 1, "url": "u", "filename": "f"}]) == 200
    assert patch(origin_id=None) == 200
    assert procore.http.delete(path, params=query).status_code == 204
    assert procore.show(requisition)["payment_summary"]["manual"] == {"amount": "0.00"}


def test_negative_payments_are_taken_unless_told_otherwise(procore: Procore) -> None:
    requisition = procore.sound()
    assert procore.pay(requisition, amount="-5.00").status_code == 201
    procore.control("quirks", refuse_negative_payments=True)

    assert procore.pay(requisition, amount="-5.00", origin_id="other").status_code == 422


def test_tools_that_are_off_answer_403(procore: Procore) -> None:
    requisition = procore.sound()
    query = {"project_id": requisition["project_id"], "contract_id": requisition["commitment_id"]}
    procore.control(f"projects/{requisition['project_id']}", payments_issued=False)
    assert procore.http.get("/rest/v1.0/contract_payments", params=query).status_code == 403
    assert procore.http.get("/rest/v1.0/work_order_contracts", params=query).status_code == 200
    procore.control(f"projects/{requisition['project_id']}", commitments_tool=False)

    assert procore.http.get("/rest/v1.0/work_order_contracts", params=query).status_code == 403


def test_the_state_outlives_the_server(procore: Procore) -> None:
    requisition = procore.sound()
    procore.patch(requisition, origin_id="KEY-1")
    procore.socket.app = create_app(procore.state, None, False, procore.clock)
    state = procore.http.get("/_sandbox/state").json()

    assert procore.show(requisition)["origin_id"] == "KEY-1"
    assert (state["requisitions"], state["locked"]) == (60, 1)


def test_a_repair_makes_a_labelled_invoice_sound(procore: Procore) -> None:
    sums = next(i for i, label in procore.contractor.troubles.items() if label == "header-foots")
    unmapped = next(i for i, label in procore.contractor.troubles.items() if label == "vendor-unmapped")
    fixed = procore.control(f"requisitions/{sums}/edit", repair=True)
    vendor = procore.control(f"requisitions/{unmapped}/edit", repair=True)["vendor_id"]
    s = {key: Decimal(value) for key, value in fixed["summary"].items() if key != "formatted_period"}
    query = {"company_id": procore.contractor.company_id}

    assert s["current_payment_due"] == (s["total_earned_less_retainage"] - s["less_previous_certificates_for_payment"])
    assert procore.http.get(f"/rest/v1.0/vendors/{vendor}", params=query).json()["origin_code"]
    left = procore.http.get("/_sandbox/troubles").json()["troubles"]
    assert not {str(sums), str(unmapped)} & set(left)


def test_approving_a_change_order_shows_on_the_invoice_without_changing_it(procore: Procore) -> None:
    pending = next(i for i, label in procore.contractor.troubles.items() if label == "change-order-unapproved")
    requisition = next(r for r in procore.contractor.requisitions if r["id"] == pending)
    before = procore.show(requisition)
    package = before["item_packages"][-1]
    approved = [{"id": package["id"], "status": "approved"}]
    procore.control(f"commitments/{requisition['commitment_id']}", change_order_packages=approved)
    after = procore.show(requisition)

    assert (package["status"], after["item_packages"][-1]["status"]) == ("pending", "approved")
    assert after["updated_at"] == before["updated_at"]


def test_next_months_invoice_foots(procore: Procore) -> None:
    last = procore.show(procore.sound())
    made = procore.control("requisitions", commitment_id=last["commitment_id"], share=0.01)
    billed = sum(Decimal(item["gross_amount"]) for item in made["items"])
    rise = Decimal(made["summary"]["total_completed_and_stored_to_date"]) - Decimal(
        last["summary"]["total_completed_and_stored_to_date"]
    )

    assert made["status"] == "approved" and made["previous_requisition_id"] == last["id"]
    assert billed == rise > 0
    assert made["invoice_number"] not in ("", last["invoice_number"])


def test_a_project_manager_edits_and_approves(procore: Procore) -> None:
    requisition = procore.sound()
    item = procore.show(requisition)["items"][0]
    edited = procore.control(
        f"requisitions/{requisition['id']}/edit",
        invoice_number="NEW-1",
        items=[{"id": item["id"], "work_completed_this_period": "10.00"}],
    )
    again = procore.control(f"requisitions/{requisition['id']}/approve", status="approved_as_noted")

    assert (edited["invoice_number"], edited["items"][0]["work_completed_this_period"]) == ("NEW-1", "10.00")
    assert again["status"] == "approved_as_noted"
    assert again["updated_at"] > edited["updated_at"]


def test_a_body_can_be_replaced_word_for_word(procore: Procore) -> None:
    requisition = procore.sound()
    text = '{"id": 1.5, "summary": '
    procore.http.post(f"/_sandbox/requisitions/{requisition['id']}/body", content=text)
    query = {"project_id": requisition["project_id"], "view": "extended", "per_page": 250}

    assert text in procore.http.get("/rest/v1.1/requisitions", params=query).text
    procore.http.post(f"/_sandbox/requisitions/{requisition['id']}/body", content="")
    assert procore.show(requisition)["id"] == requisition["id"]


def test_a_deleted_invoice_is_gone(procore: Procore) -> None:
    requisition = procore.sound()
    procore.http.delete(f"/_sandbox/requisitions/{requisition['id']}")

    assert procore.http.get(
        f"/rest/v1.1/requisitions/{requisition['id']}", params={"project_id": requisition["project_id"]}
    ).json() == {"message": "Requisition not found", "exception": "ActiveRecord::RecordNotFound"}


def test_the_request_log_counts_by_route(procore: Procore) -> None:
    procore.http.delete("/_sandbox/requests")
    procore.requisitions()
    procore.show(procore.sound())

    counts = procore.http.get("/_sandbox/requests").json()["by_route"]
    assert counts == {"GET /rest/v1.1/requisitions": 1, "GET /rest/v1.1/requisitions/{id}": 1}


def test_an_invoice_can_be_left_out_of_lists_in_silence(procore: Procore) -> None:
    requisition = procore.sound()
    project, hidden = requisition["project_id"], requisition["id"]
    lists = {
        "changes": {"filters[updated_at]": "2000-01-01T00:00:00Z...2100-01-01T00:00:00Z"},
        "lists": {},
        "by status": {"filters[status]": requisition["status"]},
    }

    def shown_in() -> list[str]:
        query = {"project_id": project, "per_page": 1000}
        answers = {
            name: procore.http.get("/rest/v1.1/requisitions", params=query | more) for name, more in lists.items()
        }
        rows = {name: [row["id"] for row in answer.json()] for name, answer in answers.items()}
        assert all(answers[name].headers["Total"] == str(len(ids)) for name, ids in rows.items())
        return [name for name, ids in rows.items() if hidden in ids]

    seen = []
    for scope in (None, "changes", "lists", None):
        procore.control(f"requisitions/{hidden}/hide", **{"from": scope})
        seen.append(shown_in())

    assert seen == [[*lists], ["lists", "by status"], ["by status"], [*lists]]
