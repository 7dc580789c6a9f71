"""Tryton's ids of what every invoice of the company shares."""

from dataclasses import dataclass

from tieout.connectors.tryton.rpc import Calls
from tieout.connectors.tryton.settings import Axis, Settings


@dataclass(frozen=True)
class Company:
    """The company, and Tryton's ids of what all its invoices share."""

    name: str
    company_id: int
    currency: str
    currency_id: int
    journal_id: int
    payable_id: int  # what is owed to vendors that have no account of their own
    retention_id: int
    roots: dict[Axis, int]

    @classmethod
    def of(cls, calls: Calls, settings: Settings) -> "Company":
        """Look all of it up, and make all calls in that company from now on; SettingsError names what is missing."""
        company = calls.one("company.company", [["party.name", "=", settings.company]], "company", "currency.code")
        calls.context = {"company": company["id"]}
        ours = ["company", "=", company["id"]]
        by_code = [ours, ["code", "=", settings.retention_account]]
        retention = calls.one("account.account", by_code, "retention_account")
        roots: dict[Axis, int] = {
            axis: calls.one("analytic_account.account", [ours, ["type", "=", "root"], ["code", "=", code]], code)["id"]
            for axis, code in settings.roots.items()
        }
        [config] = calls.read("account.configuration", "read", [1], ["default_account_payable"])
        journal = calls.one("account.journal", [["type", "=", "expense"]], "a journal of type expense")
        return cls(
            name=settings.company,
            company_id=company["id"],
            currency=company["currency."]["code"],
            currency_id=company["currency."]["id"],
            journal_id=journal["id"],
            payable_id=config["default_account_payable"],
            retention_id=retention["id"],
            roots=roots,
        )
