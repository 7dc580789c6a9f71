"""Whoever works in Tryton's accounting, over its own RPC: they post, pay, void, edit and delete.

Rows bear the names that the stand-in for Spectrum gives its own, so that a story may be played with either.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from deployments.tryton import company
from deployments.tryton.rpc import Row, Tryton

ZERO = Decimal(0)
_STATES = {"draft": "unposted", "validated": "unposted", "posted": "posted", "paid": "posted", "cancelled": "void"}
_BATCH = re.compile(r"^Batch (\S+)$", re.MULTILINE)
_HEADER = ("number", "reference", "description", "comment", "state", "invoice_date", "untaxed_amount", "party.code")
_PAID = ("processing", "succeeded")


class Accounting:
    """The books of one company; one thread uses it at a time."""

    def __init__(self, url: str, database: str) -> None:
        """Log in as accounting."""
        self._tryton = Tryton(url, database, company.ACCOUNTING, company.PASSWORD_OF[company.ACCOUNTING])
        self._retention = self._tryton.one("account.account", ("code", "=", company.RETENTION))

    def close(self) -> None:
        """Release the connections."""
        self._tryton.close()

    def invoices(self) -> list[Row]:
        """Return every supplier invoice with its lines and what was paid of it."""
        found = self._tryton.rows("account.invoice", [("type", "=", "in")], *_HEADER)
        lines = self._lines([row["id"] for row in found])
        paid = self._paid()
        return [self._row(row, lines.get(row["id"], []), paid.get(row["id"], ZERO)) for row in found]

    def state(self) -> Row:
        """Return counts and sums: by state of invoice, by batch, of payments."""
        rows = self.invoices()
        checks = self._tryton.rows("account.payment", [("check_number", "!=", None)], "amount", "state")
        return {
            "invoices": {state: _sums(rows, state) for state in ("unapproved", "unposted", "posted", "void")},
            "batches": dict(Counter(row["Batch_Code"] for row in rows if row["Batch_Code"])),
            "payments": {
                "count": len(checks),
                "voided": sum(row["state"] == "failed" for row in checks),
                "amount": sum((row["amount"] for row in checks if row["state"] != "failed"), ZERO),
            },
        }

    def post(self, batch_code: str | None = None, invoices: Iterable[Sequence[str]] | None = None) -> int:
        """Post drafts: those named by vendor and number, those of a batch, or all; return how many."""
        wanted = None if invoices is None else {tuple(each) for each in invoices}
        chosen = [
            row["id"]
            for row in self.invoices()
            if row["state"] == "unposted"
            and (batch_code is None or row["Batch_Code"] == batch_code)
            and (wanted is None or (row["Vendor_Code"], row["Invoice_Number"]) in wanted)
        ]
        self._tryton.press("account.invoice", "post", chosen)
        return len(chosen)

    def pay(self, vendor: str, applications: Sequence[Mapping[str, Any]], check_date: str | None = None) -> Row:
        """Pay posted invoices of a vendor in one run, a check for each: Tryton's checks settle one line each."""
        paid_on = date.fromisoformat(check_date) if check_date else date.today()  # noqa: DTZ011 the bank's day
        records = [self._payment(vendor, application, paid_on) for application in applications]
        made = self._tryton.create("account.payment", *records)
        self._tryton.press("account.payment", "submit", made)
        self._tryton.log_in()  # approving wants a fresh session
        self._tryton.press("account.payment", "approve", made)
        self._tryton.wizard("account.payment.process", model="account.payment", ids=made)
        groups = {row["group"] for row in self._tryton.rows("account.payment", [("id", "in", made)], "group")}
        for group in groups:
            self._tryton.wizard("account.payment.check.print", model="account.payment.group", ids=[group])
        self._tryton.press("account.payment", "succeed", made)
        checks = self._tryton.rows("account.payment", [("id", "in", made)], "check_number", "amount")
        total = sum((row["amount"] for row in checks), ZERO)
        numbers = [row["check_number"] for row in checks]
        paid = [
            {"Invoice_Number": each["invoice_number"], "Payment_Amount": row["amount"]}
            for each, row in zip(applications, checks, strict=True)
        ]
        return {"check_number": numbers[0], "check_numbers": numbers, "amount": total, "applications": paid}

    def _payment(self, vendor: str, application: Mapping[str, Any], paid_on: date) -> Row:
        invoice = self._one(vendor, application["invoice_number"])
        [row] = self._tryton.rows("account.invoice", [("id", "=", invoice)], "party", "lines_to_pay", "amount_to_pay")
        amount = application.get("amount")
        return {
            "journal": self._tryton.one("account.payment.journal", ("name", "=", company.CHECKS)),
            "kind": "payable",
            "party": row["party"],
            "line": row["lines_to_pay"][0],
            "amount": row["amount_to_pay"] if amount is None else Decimal(str(amount)),
            "date": paid_on,
        }

    def void_check(self, number: str) -> int:
        """Void a check; return how many payments that were."""
        live = [("check_number", "=", number), ("state", "in", _PAID)]
        ids = [row["id"] for row in self._tryton.rows("account.payment", live)]
        if not ids:
            raise LookupError(f"there is no check {number} that is not void")
        self._tryton.press("account.payment", "fail", ids)
        return len(ids)

    def void(self, vendor: str, number: str) -> str:
        """Cancel an invoice."""
        self._tryton.press("account.invoice", "cancel", [self._one(vendor, number)])
        return "void"

    def delete(self, vendor: str, number: str) -> str:
        """Delete a draft."""
        self._tryton.delete("account.invoice", [self._one(vendor, number)])
        return "unposted"

    def edit(self, vendor: str, number: str, fields: Mapping[str, Any]) -> str:
        """Change a draft; a changed amount changes its first line."""
        invoice = self._one(vendor, number)
        names = {"Remarks": "description", "Invoice_Number": "reference"}
        values: Row = {names[name]: value for name, value in fields.items() if name in names}
        if "Vendor_Code" in fields:
            [party] = self._tryton.rows("party.party", [("code", "=", fields["Vendor_Code"])], "addresses")
            values |= {"party": party["id"], "invoice_address": party["addresses"][0]}
        if "Invoice_Amount" in fields:
            lines = self._lines([invoice])[invoice]
            costs = [line for line in lines if line["account"] != self._retention]
            more = Decimal(str(fields["Invoice_Amount"])) - sum((line["amount"] for line in costs), ZERO)
            values["lines"] = [["write", [costs[0]["id"]], {"unit_price": costs[0]["amount"] + more}]]
        self._tryton.write("account.invoice", [invoice], values)
        return "unposted"

    def set_vendor(self, code: str, status: str) -> None:
        """Set a vendor active or inactive."""
        party = self._tryton.one("party.party", ("code", "=", code), active_test=False)
        self._tryton.write("party.party", [party], {"active": status == "A"})

    def _one(self, vendor: str, number: str) -> int:
        alike = [("type", "=", "in"), ("party.code", "=", vendor), ("reference", "=", number)]
        live = self._tryton.rows("account.invoice", [*alike, ("state", "!=", "cancelled")])
        if len(live) != 1:
            raise LookupError(f"there are {len(live)} invoices {number} of {vendor}")
        return int(live[0]["id"])

    def _lines(self, invoice_ids: Sequence[int]) -> dict[int, list[Row]]:
        fields = ("invoice", "account", "amount", "description", "origin", "analytic_accounts")
        found: dict[int, list[Row]] = {}
        for line in self._tryton.rows("account.invoice.line", [("invoice", "in", list(invoice_ids))], *fields):
            found.setdefault(line["invoice"], []).append(line)
        return found

    def _paid(self) -> dict[int, Decimal]:
        live = [("kind", "=", "payable"), ("state", "in", _PAID), ("line", "!=", None)]
        paid: dict[int, Decimal] = {}
        for row in self._tryton.rows("account.payment", live, "amount", "line.move_origin"):
            model, _, number = (row["line."]["move_origin"] or "").partition(",")
            if model == "account.invoice":
                paid[int(number)] = paid.get(int(number), ZERO) + row["amount"]
        return paid

    def _row(self, row: Row, lines: Sequence[Row], paid: Decimal) -> Row:
        retained = -sum((line["amount"] for line in lines if line["account"] == self._retention), ZERO)
        batch = _BATCH.search(row["comment"] or "")
        return {
            "id": row["id"],
            "Document_ID": str(row["id"]),
            "Vendor_Code": row["party."]["code"],
            "Invoice_Number": row["reference"] or "",
            "Remarks": row["description"] or "",
            "Batch_Code": batch[1] if batch else "",
            "Invoice_Date": row["invoice_date"],
            "Invoice_Amount": row["untaxed_amount"] + retained,
            "Retention_Amount": retained,
            "state": _STATES[row["state"]],
            "number": row["number"],
            "paid": paid,
            "lines": list(lines),
        }


def _sums(rows: Sequence[Row], state: str) -> Row:
    chosen = [row for row in rows if row["state"] == state]
    return {
        "count": len(chosen),
        "amount": sum((row["Invoice_Amount"] for row in chosen), ZERO),
        "retention": sum((row["Retention_Amount"] for row in chosen), ZERO),
    }
