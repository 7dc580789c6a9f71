"""Whether Tryton is set up as the connector needs it, tried out without anything being written."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from data_contracts.reference import Problem
from tieout.connectors.tryton.company import Company
from tieout.connectors.tryton.reference import open_period
from tieout.connectors.tryton.rpc import Calls
from tieout.connectors.tryton.settings import SYSTEM, Settings
from tieout.errors import RefusedError, TransientError, UnconfirmedError

_POSTING = ("validate_invoice", "post")  # what the user must not be able to do
_PROBE = "P" + "0" * 26  # a key that no invoice has


def find_problems(calls: Calls, company: Company, settings: Settings, today: date) -> list[Problem]:
    """Return what stands in the way: a right to post, the retention account, the period, a key that is not unique."""
    problems = [
        *_check_rights(calls, settings),
        *_check_retention(calls, company, settings),
        *_check_period(calls, company, today),
    ]
    if settings.has_unique_key and not problems:
        problems += _check_unique_key(calls, company)
    return problems


def problem(check: str, message: str, remedy: str, is_blocking: bool = True) -> Problem:
    """Return a problem with Tryton."""
    return Problem(system=SYSTEM, check=check, is_blocking=is_blocking, message=message, remedy=remedy)


def _check_rights(calls: Calls, settings: Settings) -> Iterator[Problem]:
    """Press the buttons on no invoice at all: Tryton says whether this user may."""
    for button in _POSTING:
        if _refusal(calls, button, []) is None:
            words = f"the user {settings.user} may {button.replace('_', ' ')}"
            yield problem("rights", words, f"Give the button {button} of account.invoice to a group without this user.")


def _check_retention(calls: Calls, company: Company, settings: Settings) -> Iterator[Problem]:
    [row] = calls.read("account.account", "read", [company.retention_id], ["type.debt", "type.payable"])
    if not row["type."]["debt"] or row["type."]["payable"]:
        words = f"account {settings.retention_account} cannot stand on a line of a supplier invoice"
        yield problem("retention", words, "Give it an account type that is marked as debt, not as payable.")


def _check_period(calls: Calls, company: Company, today: date) -> Iterator[Problem]:
    first, last = open_period(calls, company)
    if first is None or last is None:
        yield problem("period", "no accounting period is open", "Open one in Tryton.")
    elif not first <= today <= last:
        words = f"today, {today}, is outside the open periods, {first} to {last}"
        yield problem("period", words, "Open the period in Tryton.", is_blocking=False)


def _check_unique_key(calls: Calls, company: Company) -> list[Problem]:
    """Send two invoices with one key and a third that is never valid: whichever is refused, nothing is written."""
    party = calls.one("party.party", [["addresses", "!=", None]], "a vendor with an address", "addresses")
    common = {"type": "in", "company": company.company_id, "currency": company.currency_id, "party": party["id"]}
    common |= {"invoice_address": party["addresses"][0], "description": _PROBE}
    accounts = (company.payable_id, company.payable_id, company.retention_id)
    refusal = _refusal(calls, "create", [{**common, "account": each} for each in accounts])
    if refusal and "unique" in refusal.reason.lower():
        return []
    words = "has_unique_key is set, but Tryton takes two invoices with one key"
    return [problem("duplicates", words, "Create the index that docs/connectors.md names in Tryton's database.")]


def _refusal(calls: Calls, method: str, records: list[Any]) -> RefusedError | None:
    """Return how Tryton refuses a call that writes nothing; None where it lets it pass."""
    try:
        calls.write("account.invoice", method, "the preflight", records)
    except RefusedError as refusal:
        return refusal
    except UnconfirmedError as error:
        raise TransientError(SYSTEM, "the preflight", error.reason, error.request_id) from None
    return None
