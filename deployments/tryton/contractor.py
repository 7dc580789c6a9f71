"""The master data of a contractor in Tryton: vendors, jobs, phases, cost types and subcontracts, and old invoices."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from deployments.tryton.company import NAME
from deployments.tryton.rpc import Row, Tryton
from tieout.sandbox.contractor.erp_books import ErpBooks

Accounts = Mapping[str, int]


def fill(tryton: Tryton, books: ErpBooks, signed_on: date) -> None:
    """Enter what the contractor's ERP holds before tieout comes; the session is an administrator's."""
    company = tryton.one("company.company")
    tryton.write("party.party", [tryton.one("party.party", ("name", "=", NAME))], {"name": books.company_name})
    vendors = _vendors(tryton, books)
    expenses = _expense_accounts(tryton, books, company)
    products = _products(tryton, books, expenses)
    codes = _analytic(tryton, books, company)
    _subcontracts(tryton, books, vendors, products, codes, signed_on)
    _old_invoices(tryton, books, vendors, expenses, company)
    gone = [vendors[each.code] for each in books.vendors if each.status != "A"]
    tryton.write("party.party", gone, {"active": False})


def _vendors(tryton: Tryton, books: ErpBooks) -> dict[str, int]:
    records = [
        {"name": each.name, "code": each.code, "addresses": [["create", [{"city": "Denver"}]]]}
        for each in books.vendors
    ]
    return dict(zip((each.code for each in books.vendors), tryton.create("party.party", *records), strict=True))


def _expense_accounts(tryton: Tryton, books: ErpBooks, company: int) -> dict[str, int]:
    kind = tryton.one("account.account.type", ("expense", "=", True), ("company", "=", company))
    wanted = [each for each in books.gl_accounts if each[2] in ("direct", "overhead")]
    records = [{"name": words, "code": code, "type": kind, "company": company} for code, words, _ in wanted]
    return dict(zip((code for code, *_ in wanted), tryton.create("account.account", *records), strict=True))


def _products(tryton: Tryton, books: ErpBooks, expenses: Accounts) -> dict[str, Row]:
    """Add a service for each cost type, whose category says to which account it goes."""
    unit = tryton.record_of("product.uom_unit")
    categories = [
        {"name": each.description, "accounting": True, "account_expense": expenses[each.gl_account]}
        for each in books.cost_types
    ]
    made = tryton.create("product.category", *categories)
    templates = [
        {
            "name": each.description,
            "type": "service",
            "default_uom": unit,
            "purchase_uom": unit,
            "purchasable": True,
            "list_price": Decimal(0),
            "account_category": category,
            "products": [["create", [{"suffix_code": each.code, "cost_price": Decimal(0)}]]],
        }
        for each, category in zip(books.cost_types, made, strict=True)
    ]
    tryton.create("product.template", *templates)
    return {row["code"]: row for row in tryton.rows("product.product", [("code", "!=", None)], "code", "default_uom")}


def _analytic(tryton: Tryton, books: ErpBooks, company: int) -> dict[tuple[str, str], Row]:
    """Add jobs, the phases of each job and cost types; return by root and code, a phase's with its job before it."""
    roots = {row["code"]: row["id"] for row in tryton.rows("analytic_account.account", [("type", "=", "root")], "code")}

    def add(root: str, wanted: Mapping[str, tuple[str, str, bool, int | None]], kind: str = "normal") -> dict[str, int]:
        records = [
            {
                "code": code,
                "name": name,
                "type": kind,
                "company": company,
                "root": roots[root],
                "parent": parent or roots[root],
                "state": "opened" if is_open else "closed",
            }
            for code, name, is_open, parent in wanted.values()
        ]
        return dict(zip(wanted, tryton.create("analytic_account.account", *records), strict=True))

    jobs = {each.number: (each.number, each.name, each.status == "A", None) for each in books.jobs}
    kinds = {each.code: (each.code, each.description, True, None) for each in books.cost_types}
    views = add("PHASE", jobs, "view")
    open_phases = {(each.job, each.phase_code) for each in books.phases if each.status == "A"}
    phases = {
        f"{each.job}/{each.phase_code}": (
            each.phase_code,
            each.description,
            (each.job, each.phase_code) in open_phases,
            views[each.job],
        )
        for each in books.phases
    }
    found = {"JOB": add("JOB", jobs), "COST TYPE": add("COST TYPE", kinds), "PHASE": add("PHASE", phases)}
    return {
        (root, code): {"root": roots[root], "account": made}
        for root, each in found.items()
        for code, made in each.items()
    }


def _subcontracts(
    tryton: Tryton,
    books: ErpBooks,
    vendors: Mapping[str, int],
    products: Mapping[str, Row],
    codes: Mapping[tuple[str, str], Row],
    signed_on: date,
) -> None:
    """Sign a purchase for each subcontract, with a line for each phase and cost type."""
    job_of = {each.number: each.job for each in books.subcontracts}
    lines: dict[str, list[Row]] = defaultdict(list)
    for each in books.subcontract_phases:
        job, product = job_of[each.subcontract], products[each.cost_type]
        coded = [codes["JOB", job], codes["PHASE", f"{job}/{each.phase_code}"], codes["COST TYPE", each.cost_type]]
        lines[each.subcontract].append(
            {
                "type": "line",
                "product": product["id"],
                "unit": product["default_uom"],
                "quantity": 1,
                "unit_price": each.amount,
                "description": f"{each.phase_code} {each.cost_type}",
                "analytic_accounts": [["create", coded]],
            }
        )
    addresses = {
        row["id"]: row["addresses"][0] for row in tryton.rows("party.party", [], "addresses") if row["addresses"]
    }
    purchases = [
        {
            "party": vendors[each.vendor_code],
            "invoice_address": addresses[vendors[each.vendor_code]],
            "reference": each.number,
            "description": each.description,
            "purchase_date": signed_on,
            "invoice_method": "manual",
            "lines": [["create", lines[each.number]]],
        }
        for each in books.subcontracts
        if lines[each.number]
    ]
    made = tryton.create("purchase.purchase", *purchases)
    for button in ("quote", "confirm"):
        tryton.press("purchase.purchase", button, made)
    waiting = tryton.rows("purchase.purchase", [("id", "in", made), ("state", "=", "confirmed")])
    tryton.press("purchase.purchase", "process", [row["id"] for row in waiting])


def _old_invoices(
    tryton: Tryton, books: ErpBooks, vendors: Mapping[str, int], expenses: Accounts, company: int
) -> None:
    """Enter and post what clerks had typed in before."""
    [config] = tryton.call("model.account.configuration.read", [1], ["default_account_payable"])
    parties = {
        row["id"]: row for row in tryton.rows("party.party", [("id", "in", list(vendors.values()))], "addresses")
    }
    currency = tryton.one("currency.currency", ("code", "=", books.currency))
    journal = tryton.one("account.journal", ("type", "=", "expense"))
    records = []
    for each in books.invoices:
        party = parties[vendors[each.vendor_code]]
        line = {"type": "line", "account": next(iter(expenses.values())), "quantity": 1, "unit_price": each.amount}
        line |= {"company": company, "currency": currency, "invoice_type": "in", "description": "Typed in by hand"}
        records.append(
            {
                "type": "in",
                "company": company,
                "currency": currency,
                "party": party["id"],
                "invoice_address": party["addresses"][0],
                "account": config["default_account_payable"],
                "journal": journal,
                "reference": each.number,
                "invoice_date": each.invoice_date,
                "lines": [["create", [line]]],
            }
        )
    made = tryton.create("account.invoice", *records)
    tryton.press("account.invoice", "post", made)
