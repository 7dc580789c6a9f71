"""A company in Tryton that is ready for construction: chart, years, checks, retention, analytic roots, users.

Everything is set up over RPC, as an administrator would do it in the client.
"""

from calendar import monthrange
from datetime import date
from decimal import Decimal

from deployments.tryton.rpc import Tryton

FIRST_YEAR = 2025
NAME = "Company"  # until a contractor moves in
INTEGRATION, ACCOUNTING = "tieout", "accounting"
PASSWORD_OF = {"admin": "sandbox-admin-2", "tieout": "sandbox-tieout-2", "accounting": "sandbox-accounting-2"}
RETENTION, BANK = "200200", "100100"
ROOTS = {"JOB": "Jobs", "PHASE": "Phases", "COST TYPE": "Cost types"}
CHECKS = "Checks"
_NEITHER_POSTS_NOR_PAYS = ("post", "validate_invoice")
MODULES = (
    "account_invoice",
    "purchase",
    "account_payment",
    "account_payment_clearing",
    "account_payment_check",
    "analytic_account",
    "analytic_invoice",
    "analytic_purchase",
    "purchase_amendment",
)

# What makes `refuses_duplicates` true: of one key there is one invoice that is not cancelled. Both databases know it.
UNIQUE_KEY = (
    "CREATE UNIQUE INDEX account_invoice_tieout_key ON account_invoice (company, description)"
    " WHERE type = 'in' AND state <> 'cancelled' AND substr(description, 1, 1) = 'P' AND length(description) = 27"
)


def set_up(tryton: Tryton, today: date) -> None:
    """Make the company in a database whose modules are activated; the session is an administrator's."""
    company = _company(tryton)
    _chart(tryton, company)
    for year in range(FIRST_YEAR, today.year + 2):
        _year(tryton, company, year)
    _accounts(tryton, company)
    _checks(tryton, company)
    roots = [
        {"name": words, "code": code, "type": "root", "company": company, "state": "opened"}
        for code, words in ROOTS.items()
    ]
    tryton.create("analytic_account.account", *roots)
    _people(tryton, company)


def _company(tryton: Tryton) -> int:
    [currency] = tryton.create(
        "currency.currency",
        {
            "name": "US Dollar",
            "code": "USD",
            "numeric_code": "840",
            "symbol": "$",
            "rounding": Decimal("0.01"),
            "digits": 2,
            "rates": [["create", [{"date": date(2000, 1, 1), "rate": Decimal(1)}]]],
        },
    )
    [party] = tryton.create("party.party", {"name": NAME, "addresses": [["create", [{}]]]})
    [company] = tryton.create("company.company", {"party": party, "currency": currency})
    tryton.write("res.user", [tryton.user_id], {"companies": [["add", [company]]], "company": company})
    tryton.context = tryton.call("model.res.user.get_preferences", True)
    return company


def _chart(tryton: Tryton, company: int) -> None:
    template = tryton.one("account.account.template", ("parent", "=", None))
    session, start, _ = tryton.call("wizard.account.create_chart.create")
    data = {"account": {"company": company, "account_template": template}}
    execute = "wizard.account.create_chart.execute"
    tryton.call(execute, session, {}, start)
    tryton.call(execute, session, data, "create_account")
    kinds = {
        kind: tryton.one(
            "account.account", (f"type.{kind}", "=", True), ("closed", "!=", True), ("company", "=", company)
        )
        for kind in ("receivable", "payable", "expense", "revenue")
    }
    data["properties"] = {
        "company": company,
        "account_receivable": kinds["receivable"],
        "account_payable": kinds["payable"],
        "category_account_expense": kinds["expense"],
        "category_account_revenue": kinds["revenue"],
    }
    tryton.call(execute, session, data, "create_properties")
    tryton.call("wizard.account.create_chart.delete", session)


def _year(tryton: Tryton, company: int, year: int) -> None:
    def sequence(kind: str, words: str) -> int:
        type_id = tryton.record_of(kind)
        values = {"name": f"{words} {year}", "sequence_type": type_id, "company": company}
        [made] = tryton.create("ir.sequence.strict", values)
        return made

    invoices = sequence("account_invoice.sequence_type_account_invoice", "Invoices")
    names = ("in_invoice_sequence", "in_credit_note_sequence", "out_invoice_sequence", "out_credit_note_sequence")
    periods = [
        {
            "name": f"{year}-{month:02d}",
            "start_date": date(year, month, 1),
            "end_date": date(year, month, monthrange(year, month)[1]),
            "type": "standard",
        }
        for month in range(1, 13)
    ]
    tryton.create(
        "account.fiscalyear",
        {
            "name": str(year),
            "start_date": date(year, 1, 1),
            "end_date": date(year, 12, 31),
            "company": company,
            "move_sequence": sequence("account.sequence_type_account_move", "Moves"),
            "invoice_sequences": [["create", [{"company": company, **dict.fromkeys(names, invoices)}]]],
            "periods": [["create", periods]],
        },
    )


def _accounts(tryton: Tryton, company: int) -> None:
    """Add the account for retention, whose type is a debt but not what is payable now, and the one of the bank."""
    types = [
        {"name": "Retention payable", "statement": "balance", "debt": True, "company": company},
        {"name": "Checks under way", "statement": "balance", "assets": True, "company": company},
    ]
    debt, cash = tryton.create("account.account.type", *types)
    retention = {"name": "Accounts payable retainage", "code": RETENTION, "type": debt, "company": company}
    bank = {"name": "Operating account, checks under way", "code": BANK, "type": cash, "company": company}
    tryton.create("account.account", retention, bank | {"reconcile": True})


def _checks(tryton: Tryton, company: int) -> None:
    [numbers] = tryton.create(
        "ir.sequence.strict",
        {
            "name": CHECKS,
            "sequence_type": tryton.record_of("account_payment_check.sequence_type_account_payment_check"),
            "company": company,
            "prefix": "",
            "suffix": "",
            "type": "incremental",
            "padding": 6,
            "number_increment": 1,
            "number_next": 10001,
        },
    )
    tryton.create(
        "account.payment.journal",
        {
            "name": CHECKS,
            "company": company,
            "currency": tryton.one("currency.currency", ("code", "=", "USD")),
            "process_method": "check",
            "check_sequence": numbers,
            "clearing_account": tryton.one("account.account", ("code", "=", BANK), ("company", "=", company)),
            "clearing_journal": tryton.one("account.journal", ("type", "=", "cash")),
        },
    )


def _people(tryton: Tryton, company: int) -> None:
    """Add the integration's user, who may neither post nor validate, and accounting's, who may."""
    groups = {
        name: tryton.record_of(name)
        for name in (
            "account.group_account",
            "purchase.group_purchase",
            "account_payment.group_payment",
            "account_payment.group_payment_approval",
            "product.group_product_admin",
            "party.group_party_admin",
        )
    }
    [posting] = tryton.create("res.group", {"name": "Posting of supplier invoices"})
    for button in _NEITHER_POSTS_NOR_PAYS:
        [row] = tryton.rows(
            "ir.model.button", [("model.model", "=", "account.invoice"), ("name", "=", button)], "groups"
        )
        tryton.write("ir.model.button", [row["id"]], {"groups": [["remove", row["groups"]], ["add", [posting]]]})
    [reading] = tryton.create("res.group", {"name": "Reading of payments"})
    rights = {"perm_read": True, "perm_write": False, "perm_create": False, "perm_delete": False}
    tryton.create("ir.model.access", {"model": "account.payment", "group": reading, **rights})
    entering = [groups[name] for name in ("account.group_account", "purchase.group_purchase")]
    of = {INTEGRATION: [*entering, reading], ACCOUNTING: [*groups.values(), posting]}
    for login, theirs in of.items():
        user = {"name": login.capitalize(), "login": login, "password": PASSWORD_OF[login], "groups": [["add", theirs]]}
        tryton.create("res.user", user | {"companies": [["add", [company]]], "company": company})
