"""Companies, people, projects, vendors, codes, billing periods and commitments, as Procore lists and shows them.

That users carry `can_push_to_accounting` and `tools` is modelled: the published schema has no such fields.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tieout.sandbox.contractor.documents import Document
from tieout.sandbox.procore.oauth import owner_id
from tieout.sandbox.procore.store import COMMITMENT, COST_CODE, PERIOD, PROJECT, USER, VENDOR, dumps
from tieout.sandbox.procore.wire import (
    Answer,
    Call,
    between,
    equals,
    forbidden,
    invalid,
    listing,
    malformed,
    not_found,
    page_of,
    window,
)

DEFAULT_SIZE, LARGEST = 100, 2000
LARGEST_CONTRACTS = 1000
TYPES = {"work_order_contracts": "WorkOrderContract", "purchase_order_contracts": "PurchaseOrderContract"}


@dataclass
class Search:
    """What is listed: a kind of record, narrowed by conditions."""

    call: Call
    kind: str

    def __post_init__(self) -> None:
        self.where: list[str] = ["kind = ?"]
        self.values: list[Any] = [self.kind]

    def also(self, condition: str, *values: Any) -> Search:
        self.where.append(condition)
        self.values += values
        return self

    def filtered(self, *columns: str) -> Search:
        for column in columns:
            if column.endswith("_at"):
                between(self.call, column, self.values, self.where)
            else:
                equals(self.call, column, self.values, self.where, is_number=column == "id")
        return self

    def answer(self, largest: int = LARGEST, view: str = "body", order: str = "id") -> Answer:
        condition = " and ".join(self.where)
        store, page = self.call.store, page_of(self.call, DEFAULT_SIZE, largest)
        total = store.rows(f"select count(*) as n from records where {condition}", self.values)[0]["n"]
        offset, size = window(self.call, page)
        sql = f"select {view} as text from records where {condition} order by {order} limit ? offset ?"
        rows = store.rows(sql, [*self.values, size, offset])
        return listing(self.call, [row["text"] for row in rows], page, total)


def companies(call: Call) -> Answer:
    ours = call.store.get("contractor")
    return Answer([{"id": ours["company_id"], "name": ours["company_name"], "is_active": True}])


def me(call: Call) -> Answer:
    user = call.store.find(USER, owner_id(call.store)) or {}
    return Answer({"id": user["id"], "login": user["login"], "name": user["name"]})


def company_users(call: Call) -> Answer:
    _check_company(call, call.path_id("company_id"))
    return Answer([_user(call, user, None) for user in call.store.all(USER)])


def project_users(call: Call) -> Answer:
    project_id = call.project_id()
    return Answer([_user(call, user, project_id) for user in call.store.all(USER)])


def _user(call: Call, user: Document, project_id: int | None) -> Document:
    position = [known["id"] for known in call.store.all(USER)].index(user["id"])
    right = ("admin", "admin", "standard", "read_only")[position % 4]
    tools = {"commitments": right} if project_id else {"erp_integrations": right, "directory": right}
    template = {"id": 9000 + position % 4, "name": right.replace("_", " ").title()}
    return user | {"permission_template": template, "tools": tools, "can_push_to_accounting": position % 3 != 2}


def _check_company(call: Call, company_id: int | None) -> None:
    if company_id != call.company_id():
        raise forbidden("App is not connected to this company.")


def _company_in_query(call: Call) -> None:
    given = call.value("company_id")
    if given is None or not given.isdigit():
        raise malformed("company_id is required", "company_id")
    _check_company(call, int(given))


def projects(call: Call) -> Answer:
    """List every project, those too that the service account is not on."""
    _company_in_query(call)
    search = Search(call, PROJECT).filtered("id", "origin_id", "updated_at")
    wanted = call.filters("by_status") or ["Active"]
    if "All" not in wanted:
        search.also(f"status in ({','.join('?' * len(wanted))})", *wanted)
    return search.answer()


def project(call: Call) -> Answer:
    return Answer(text=_text(call, PROJECT, call.project_id(), "Project"))


def vendors(call: Call) -> Answer:
    _company_in_query(call)
    return Search(call, VENDOR).filtered("id", "origin_id", "created_at", "updated_at").answer()


def vendor(call: Call) -> Answer:
    _company_in_query(call)
    return Answer(text=_text(call, VENDOR, call.path_id(), "Vendor"))


def project_vendors(call: Call) -> Answer:
    """List a project's own directory; its ids are the company's here, though live ones have been seen to differ."""
    project_id = call.project_id()
    member = "exists (select 1 from json_each(records.body, '$.project_ids') where value = ?)"
    return Search(call, VENDOR).also(member, project_id).answer()


def cost_codes(call: Call) -> Answer:
    return Search(call, COST_CODE).also("project_id = ?", call.project_id()).filtered("id", "origin_id").answer()


def billing_periods(call: Call) -> Answer:
    search = Search(call, PERIOD).also("project_id = ?", call.project_id())
    return search.filtered("id", "created_at", "updated_at", "status").answer()


def create_billing_period(call: Call) -> Answer:
    project_id, given = call.project_id(), call.wrapped("billing_period")
    for name in ("start_date", "end_date", "due_date", "status"):
        if not isinstance(given.get(name), str):
            raise invalid(**{name: "can't be blank"})
    if given["status"] not in ("open", "closed"):
        raise invalid(status="is not included in the list")
    at = call.store.instant()
    known = call.store.rows(
        "select count(*) as n from records where kind = ? and project_id = ?", (PERIOD, project_id)
    )[0]["n"]
    names = ("start_date", "end_date", "due_date", "status")
    period = {"id": call.store.new_id(), "project_id": project_id, "position": known + 1}
    period |= {name: given[name] for name in names} | {"created_at": at, "updated_at": at}
    call.store.put(PERIOD, period)
    return Answer(period, status=201)


def change_billing_period(call: Call) -> Answer:
    project_id, given = call.project_id(), call.wrapped("billing_period")
    period = call.store.find(PERIOD, call.path_id())
    if period is None or period["project_id"] != project_id:
        raise not_found("Billing period")
    names = ("start_date", "end_date", "due_date", "status")
    period |= {name: given[name] for name in names if name in given} | {"updated_at": call.store.instant()}
    call.store.put(PERIOD, period)
    return Answer(period)


def billing_period(call: Call) -> Answer:
    call.project_id()
    return Answer(text=_text(call, PERIOD, call.path_id(), "Billing period"))


def _text(call: Call, kind: str, record_id: int, what: str) -> str:
    rows = call.store.rows("select body from records where kind = ? and id = ?", (kind, record_id))
    if not rows:
        raise not_found(what)
    return str(rows[0]["body"])


def commitments_project(call: Call) -> int:
    """The project, whose Commitments tool has to be on."""
    project_id = call.project_id()
    project = call.store.find(PROJECT, project_id) or {}
    if not project.get("_commitments_tool", True):
        raise forbidden("The Commitments tool is not active on this project.")
    return project_id


def contracts(call: Call) -> Answer:
    search = _contracts(call, call.path["contracts"])
    return search.answer(LARGEST_CONTRACTS, "body" if call.value("view") == "extended" else "brief")


def _contracts(call: Call, kind: str) -> Search:
    search = Search(call, COMMITMENT).also("project_id = ?", commitments_project(call)).also("type = ?", TYPES[kind])
    return search.filtered("id", "status", "origin_id", "created_at", "updated_at")


def thin_commitments(call: Call) -> Answer:
    """List both kinds with a few fields each."""
    project_id = commitments_project(call)
    names = ("id", "number", "title", "status", "executed", "vendor")
    found = [raw for raw in call.store.all(COMMITMENT) if raw["project"]["id"] == project_id]
    return Answer([{name: raw[name] for name in names} | {"type": raw["_type"]} for raw in found])


def contract(call: Call) -> Answer:
    return Answer(text=_text(call, COMMITMENT, _contract(call)["id"], "Contract"))


def contract_lines(call: Call) -> Answer:
    lines = json.loads(_text(call, COMMITMENT, _contract(call)["id"], "Contract"))["line_items"]
    codes, kinds = call.filters("cost_code_id"), call.filters("line_item_type_id")
    found = [
        line
        for line in lines
        if (not codes or str(line["cost_code"]["id"]) in codes)
        and (not kinds or str(line["line_item_type"]["id"]) in kinds)
    ]
    page = page_of(call, DEFAULT_SIZE, LARGEST_CONTRACTS)
    offset, size = window(call, page)
    texts = [dumps(line) for line in found[offset : offset + size]]
    return listing(call, texts, page, len(found))


def contract_details(call: Call) -> Answer:
    """The lines of the subcontractor's own schedule of values, where the contract has one."""
    raw = _contract(call)
    if not raw["_detailed"]:
        return Answer([])
    lines = [line for line in raw["line_items"] if not line["_change_order_package_id"]]
    return Answer(
        [
            {
                "id": line["id"] + 1,
                "amount": line["amount"],
                "description": line["description"],
                "position": line["position"],
                "line_item_id": line["id"],
                "billed_to_date": "0.00",
                "billed_against": False,
            }
            for line in lines
        ]
    )


def _contract(call: Call) -> Document:
    project_id = commitments_project(call)
    raw = call.store.find(COMMITMENT, call.path_id())
    if raw is None or raw["project"]["id"] != project_id or raw["_type"] != TYPES[call.path["contracts"]]:
        raise not_found("Contract")
    return raw
