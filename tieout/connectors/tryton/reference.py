"""The company's master data: vendors, jobs, phases, subcontracts, and when its books are open."""

from collections.abc import Iterator, Mapping, Sequence

from data_contracts.reference import ErpJob, ErpPhase, ErpSubcontract, ErpVendor, Reference
from tieout.connectors.base import OpenPeriod
from tieout.connectors.tryton.company import Company
from tieout.connectors.tryton.rpc import Calls
from tieout.connectors.tryton.translation import SIGNED
from tieout.connectors.tryton.values import Row


def read_reference(calls: Calls, company: Company) -> Reference:
    """Return the company's vendors, jobs, phases, subcontracts and open periods."""
    vendors = calls.every("party.party", [["code", "!=", None]], ["code", "name", "active"], active_test=False)
    accounts = _analytic_accounts(calls, company)
    codes = {row["id"]: row["code"] or "" for row in accounts}
    jobs = [row for row in accounts if row["root"] == company.roots["job"]]
    open_from, open_to = open_period(calls, company)
    return Reference(
        company_erp=company.name,
        currency=company.currency,
        vendors=tuple(
            ErpVendor(code=row["code"], name=row["name"] or "", is_active=bool(row["active"])) for row in vendors
        ),
        jobs=tuple(ErpJob(number=row["code"] or "", name=row["name"], is_active=_is_open(row)) for row in jobs),
        phases=tuple(_phases(calls, company, accounts)),
        subcontracts=tuple(_subcontracts(calls, company, codes)),
        open_from=open_from,
        open_to=open_to,
    )


def _analytic_accounts(calls: Calls, company: Company) -> list[Row]:
    fields = ["code", "name", "root", "parent.code", "state", "active"]
    domain = [["root", "in", list(company.roots.values())], ["type", "=", "normal"]]
    return list(calls.every("analytic_account.account", domain, fields, active_test=False))


def _phases(calls: Calls, company: Company, accounts: Sequence[Row]) -> Iterator[ErpPhase]:
    """Yield each phase of each job with each cost type: Tryton holds no list of what goes together."""
    roots = company.roots
    cost_types = [row for row in accounts if row["root"] == roots["cost_type"]]
    products = calls.every("product.product", [["code", "!=", None]], ["code", "account_category.account_expense.code"])
    expenses = {row["code"]: _expense_account(row) for row in products}
    for row in (each for each in accounts if each["root"] == roots["phase"]):
        for kind in cost_types:
            yield ErpPhase(
                job=(row["parent."] or {}).get("code") or "",
                phase=row["code"] or "",
                cost_type=kind["code"] or "",
                is_active=_is_open(row) and _is_open(kind),
                gl_account=expenses.get(kind["code"]),
            )


def _subcontracts(calls: Calls, company: Company, codes: Mapping[int, str]) -> Iterator[ErpSubcontract]:
    jobs: dict[int, str] = {}
    lines = calls.every("purchase.line", [["purchase.company", "=", company.company_id]], ["purchase"])
    origins = {f"purchase.line,{row['id']}": row["purchase"] for row in lines}
    entries = [["root", "=", company.roots["job"]], ["origin", "like", "purchase.line,%"]]
    for row in calls.every("analytic.account.entry", entries, ["origin", "account"]):
        if row["origin"] in origins and row["account"] in codes:
            jobs[origins[row["origin"]]] = codes[row["account"]]
    named = [["company", "=", company.company_id], ["reference", "!=", None]]
    for row in calls.every("purchase.purchase", named, ["reference", "party.code", "state"]):
        yield ErpSubcontract(
            number=row["reference"],
            vendor=row["party."]["code"] or "",
            job=jobs.get(row["id"], ""),
            is_active=row["state"] in SIGNED,
        )


def open_period(calls: Calls, company: Company) -> OpenPeriod:
    """Return the open accounting periods as one."""
    domain = [["company", "=", company.company_id], ["state", "=", "open"], ["type", "=", "standard"]]
    rows = list(calls.every("account.period", domain, ["start_date", "end_date"]))
    if not rows:
        return OpenPeriod()
    return OpenPeriod(min(row["start_date"] for row in rows), max(row["end_date"] for row in rows))


def _expense_account(product: Row) -> str | None:
    category = product["account_category."] or {}
    return (category.get("account_expense.") or {}).get("code") or None


def _is_open(row: Row) -> bool:
    return bool(row["active"]) and row["state"] == "opened"
