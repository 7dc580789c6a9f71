"""One company's accounts payable inside the Spectrum stand-in: entering, posting, paying, voiding.

An invoice lives in one of three pairs of tables (unapproved, unposted, posted) and moves between them in one
transaction. What is not here: HTTP (spectrum.py) and the rules of entry (spectrum_rules.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, Table, and_, delete, func, insert, select, tuple_, update

from tieout.sandbox.contractor.erp_books import ErpBooks
from tieout.sandbox.spectrum import tables as t
from tieout.sandbox.spectrum.rules import Books, Judged, Row, judge

BANK = "OPER"
OPERATOR = "SDX"  # what Batch_Code becomes when it is left blank
ZERO = Decimal(0)
PLACES = {
    "unapproved": (t.unapproved, t.unapproved_lines),
    "unposted": (t.unposted, t.unposted_lines),
    "posted": (t.posted, t.posted_lines),
}
METHODS = {"check": "C", "card": "D", "electronic": "E"}
KINDS = {"progress": "P", "retention": "R"}

# What a control call may name, and the columns behind it.
MASTER_DATA: dict[str, tuple[Table, dict[str, str]]] = {
    "vendors": (t.vendors, {"code": "Vendor_Code", "name": "Vendor_Name", "status": "Status"}),
    "jobs": (t.jobs, {"number": "Job_Number", "name": "Job_Description", "status": "Status"}),
    "cost_types": (
        t.cost_types,
        {"code": "Cost_Type", "description": "Description", "gl_account": "GL_Account"},
    ),
    "phases": (
        t.phases,
        {
            "job": "Job_Number",
            "phase_code": "Phase_Code",
            "cost_type": "Cost_Type",
            "description": "Description",
            "status": "Status",
        },
    ),
    "subcontracts": (
        t.subcontracts,
        {
            "number": "Contract_Number",
            "vendor_code": "Vendor_Code",
            "job": "Job_Number",
            "description": "Description",
            "status": "Status",
            "amount": "Contract_Amount",
        },
    ),
    "subcontract_phases": (
        t.subcontract_phases,
        {
            "subcontract": "Contract_Number",
            "phase_code": "Phase_Code",
            "cost_type": "Cost_Type",
            "amount": "Contract_Amount",
        },
    ),
}
DEFAULTS = {"Status": "A"}


class Company:
    """The books of one company over one database; one thread uses it at a time."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self.engine, self.clock = engine, clock
        self.reload()

    def reload(self) -> None:
        """Read the master data and the numbers in use into memory."""
        with self.engine.connect() as connection:
            self.settings = {row.name: row.value for row in connection.execute(select(t.settings))}
            self.books = _read_books(connection, self.settings["company_code"])

    def enter(self, documents: Sequence[Any]) -> list[Row]:
        """Take or reject each invoice of one call; all that are taken are committed together."""
        today = self.clock().date()
        taken: list[Judged] = []
        results = []
        for document in documents:
            judged = judge(document, self.books, today)
            results.append(self._result(judged))
            if not judged.errors:
                taken.append(judged)
                self.books.taken.add((judged.header["Vendor_Code"], judged.header["Invoice_Number"]))
                self.books.document_ids.update(judged.document_ids)
        if taken:
            try:
                self._store(taken)
            except Exception:
                self.reload()
                raise
        return results

    def _result(self, judged: Judged) -> Row:
        header = judged.header
        if not judged.errors:
            header["Document_ID"] = f"SD{self._next('next_document'):010d}"
        return {
            "Company_Code": header.get("Company_Code", ""),
            "Vendor_Code": header.get("Vendor_Code", ""),
            "Invoice_Number": header.get("Invoice_Number", ""),
            "Document_ID": header.get("Document_ID", ""),
            "Status": "Rejected" if judged.errors else "Imported",
            "Errors": judged.errors,
        }

    def _store(self, taken: list[Judged]) -> None:
        with self.engine.begin() as connection:
            for state, status in (("unposted", "A"), ("unapproved", "U")):
                chosen = [one for one in taken if one.header["Approval_Status"] == status]
                _insert(connection, PLACES[state][0], [{**one.header, **self._stamp()} for one in chosen])
                _insert(connection, PLACES[state][1], [row for one in chosen for row in _detail_rows(one)])
            self._keep(connection, "next_document")

    def _next(self, name: str) -> int:
        number = int(self.settings.get(name, "10001"))
        self.settings[name] = str(number + 1)
        return number

    def _keep(self, connection: Connection, name: str) -> None:
        _set(connection, name, self.settings[name])

    def _stamp(self) -> Row:
        now = self.clock()
        return {"Date_Stamp": now.date(), "Time_Stamp": f"{now:%H:%M:%S}"}

    def post(self, batch_code: str | None, invoices: Iterable[Sequence[str]] | None) -> int:
        """Post unposted invoices: those named, those of a batch, or all; return how many."""
        wanted = None if invoices is None else {(vendor, number) for vendor, number in invoices}
        with self.engine.begin() as connection:
            rows = connection.execute(select(t.unposted)).mappings().all()
            chosen = [
                dict(row)
                for row in rows
                if (batch_code is None or row["Batch_Code"] == batch_code)
                and (wanted is None or (row["Vendor_Code"], row["Invoice_Number"]) in wanted)
            ]
            self._move(connection, chosen, "unposted", "posted", {"Void_Flag": "N"})
        return len(chosen)

    def approve(self, vendor: str, number: str) -> str:
        """Move an unapproved invoice to the unposted ones."""
        with self.engine.begin() as connection:
            _, row = _locate(connection, vendor, number, ("unapproved",))
            self._move(connection, [row], "unapproved", "unposted", {})
        return "unposted"

    def _move(self, connection: Connection, rows: list[Row], source: str, target: str, also: Row) -> None:
        _insert(connection, PLACES[target][0], [{**row, **also, **self._stamp()} for row in rows])
        names = [column.name for column in PLACES[source][1].columns]
        for keys in _chunks([(row["Vendor_Code"], row["Invoice_Number"]) for row in rows], 200):
            old_header, old_lines = PLACES[source]
            lines = select(old_lines).where(_among(old_lines, keys))
            connection.execute(insert(PLACES[target][1]).from_select(names, lines))
            connection.execute(delete(old_lines).where(_among(old_lines, keys)))
            connection.execute(delete(old_header).where(_among(old_header, keys)))

    def edit(self, vendor: str, number: str, fields: Row) -> str:
        """Change header fields; a changed amount changes the last line, so that the lines still add up."""
        with self.engine.begin() as connection:
            state, row = _locate(connection, vendor, number, tuple(PLACES))
            header, lines = PLACES[state]
            changes = {name: _typed(header, name, value) for name, value in fields.items()}
            connection.execute(update(header).where(_is(header, vendor, number)).values(**changes, **self._stamp()))
            if "Invoice_Amount" in changes:
                _add_to_last_line(connection, lines, row, changes["Invoice_Amount"] - row["Invoice_Amount"])
            moved = {name: changes[name] for name in ("Vendor_Code", "Invoice_Number") if name in changes}
            if moved:
                connection.execute(update(lines).where(_is(lines, vendor, number)).values(**moved))
        self.reload()
        return state

    def delete(self, vendor: str, number: str) -> str:
        """Delete an invoice that is not posted; its number is free again."""
        with self.engine.begin() as connection:
            state, _ = _locate(connection, vendor, number, ("unapproved", "unposted"))
            for table in PLACES[state]:
                connection.execute(delete(table).where(_is(table, vendor, number)))
        self.reload()
        return state

    def void(self, vendor: str, number: str) -> str:
        """Void a posted invoice that has no live payment; its number stays in use."""
        with self.engine.begin() as connection:
            _, row = _locate(connection, vendor, number, ("posted",))
            if any(_settled(connection, row).values()):
                raise ValueError(f"invoice {number} has payments: void its checks first")
            values = {"Void_Flag": "Y", "Void_Date": self.clock().date(), **self._stamp()}
            connection.execute(update(t.posted).where(_is(t.posted, vendor, number)).values(values))
        return "void"

    def pay(self, vendor: str, applications: Sequence[Row], **check: Any) -> Row:
        """Cut one check for one or several posted invoices of a vendor and return it."""
        is_posted = check.get("is_posted", True)
        table = t.payments if is_posted else t.manual_checks
        with self.engine.begin() as connection:
            number = str(check.get("check_number") or self._next("next_check"))
            if connection.execute(select(table).where(table.c.Check_Number == number)).first():
                raise ValueError(f"check {number} exists")
            common = {
                "Company_Code": self.books.company_code,
                "Vendor_Code": vendor,
                "Bank_Account_Code": BANK,
                "Check_Number": number,
                "Check_Date": _as_date(check.get("check_date")) or self.clock().date(),
                "Payment_Method": METHODS[check.get("method", "check")],
                "Joint_Payee": check.get("joint_payee", ""),
                "Void_Flag": "N",
                **self._stamp(),
            }
            rows = [
                {**common, "Sequence": sequence, **_application(connection, vendor, one)}
                for sequence, one in enumerate(applications, 1)
            ]
            _insert(connection, table, rows)
            _set(connection, "next_check", self.settings.get("next_check", "10001"))
        total = sum((row["Payment_Amount"] for row in rows), ZERO)
        paid = [{key: row[key] for key in ("Invoice_Number", "Payment_Amount", "Discount_Amount")} for row in rows]
        return {"check_number": number, "amount": total, "applications": paid}

    def void_check(self, number: str) -> int:
        """Void every application of a check; return how many there were."""
        values = {"Void_Flag": "Y", "Void_Date": self.clock().date(), **self._stamp()}
        live = and_(t.payments.c.Check_Number == number, t.payments.c.Void_Flag == "N")
        with self.engine.begin() as connection:
            voided = connection.execute(update(t.payments).where(live).values(values)).rowcount
        if not voided:
            raise LookupError(f"there is no check {number} that is not void")
        return int(voided)

    def upsert(self, kind: str, given: Row) -> None:
        """Add or change one row of master data; fields that are not given stay as they are."""
        table, names = MASTER_DATA[kind]
        unknown = set(given) - set(names)
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}; {kind} have {sorted(names)}")
        values = {names[name]: value for name, value in given.items()}
        values["Company_Code"] = self.books.company_code
        is_row = and_(*(column == values[column.name] for column in table.primary_key.columns))
        with self.engine.begin() as connection:
            if connection.execute(select(table).where(is_row)).first():
                connection.execute(update(table).where(is_row).values(values))
            else:
                connection.execute(insert(table).values(DEFAULTS | values if "Status" in table.c else values))
        self.reload()

    def set_period(self, first_day: str | None, last_day: str | None) -> Row:
        """Set the A/P processing range; without days it is unset and entry fails."""
        with self.engine.begin() as connection:
            days = {"First_Date": _as_date(first_day), "Last_Date": _as_date(last_day)}
            connection.execute(update(t.periods).values(days))
        self.reload()
        return days

    def set_readable(self, table: str, is_readable: bool) -> Row:
        """Let Info-Link read a table, or not."""
        with self.engine.begin() as connection:
            t.set_readable(connection, table, is_readable)
        return {"table": table, "enabled": is_readable}

    def invoices(self) -> list[Row]:
        """Return every invoice in every table with its lines and what was paid of it."""
        found = []
        with self.engine.connect() as connection:
            paid = _paid_by_invoice(connection)
            for state, (header, lines) in PLACES.items():
                by_invoice: dict[tuple[str, str], list[Row]] = {}
                for line in connection.execute(select(lines).order_by(*lines.primary_key.columns)).mappings():
                    by_invoice.setdefault((line["Vendor_Code"], line["Invoice_Number"]), []).append(dict(line))
                for row in connection.execute(select(header)).mappings():
                    key = (row["Vendor_Code"], row["Invoice_Number"])
                    is_void = row.get("Void_Flag") == "Y"
                    facts = {"state": "void" if is_void else state, "paid": paid.get(key, ZERO)}
                    found.append({**row, **facts, "lines": by_invoice.get(key, [])})
        return found

    def state(self) -> Row:
        """Return counts and sums: by table, by state of invoice, by batch, of payments."""
        with self.engine.connect() as connection:
            headers = [
                ("void" if row.get("Void_Flag") == "Y" else state, row)
                for state, (header, _) in PLACES.items()
                for row in connection.execute(select(header)).mappings()
            ]
            checks = connection.execute(select(t.payments)).mappings().all()
            sizes = {name: _count(connection, table) for name, table in t.INFO_LINK.items()}
        return {
            "tables": sizes,
            "invoices": {state: _sums(headers, state) for state in (*PLACES, "void")},
            "batches": dict(Counter(row["Batch_Code"] for _, row in headers)),
            "payments": {
                "count": len(checks),
                "voided": sum(row["Void_Flag"] == "Y" for row in checks),
                "amount": sum((row["Payment_Amount"] for row in checks if row["Void_Flag"] != "Y"), ZERO),
            },
            "period": {"first_day": self.books.first_day, "last_day": self.books.last_day},
        }


def set_up(engine: Engine, books: ErpBooks, clock: Callable[[], datetime]) -> None:
    """Fill an empty database with a company's master data and the invoices that were typed in by hand."""
    code = {"Company_Code": books.company_code}
    with engine.begin() as connection:
        for kind, (table, names) in MASTER_DATA.items():
            given = [asdict(row) for row in getattr(books, kind)]
            _insert(connection, table, [{names[name]: row[name] for name in names} | code for row in given])
        for account, description, kind in books.gl_accounts:
            row = {"GL_Account": account, "Description": description, "Account_Kind": kind, "Status": "A"}
            _insert(connection, t.accounts, [row | code])
        bank = {
            "Bank_Account_Code": BANK,
            "Description": "Operating account",
            "Currency_Code": books.currency,
        }
        _insert(connection, t.banks, [bank | code])
        first, last = books.open_period
        dates = {"First_Date": first, "Last_Date": last, "Currency_Code": books.currency}
        _insert(connection, t.periods, [dates | code])
        _typed_by_hand(connection, books, clock())
        _set(connection, "company_code", books.company_code)


def _typed_by_hand(connection: Connection, books: ErpBooks, now: datetime) -> None:
    names = {vendor.code: vendor.name for vendor in books.vendors}
    for count, one in enumerate(books.invoices, 1):
        key = {
            "Company_Code": books.company_code,
            "Vendor_Code": one.vendor_code,
            "Invoice_Number": one.number,
            "Date_Stamp": now.date(),
            "Time_Stamp": f"{now:%H:%M:%S}",
            "Void_Flag": "N",
        }
        header = {
            "Vendor_Name": names.get(one.vendor_code, ""),
            "Invoice_Type_Code": "I",
            "Invoice_Date": one.invoice_date,
            "GL_Date": one.invoice_date,
            "Invoice_Amount": one.amount,
            "Retention_Amount": ZERO,
            "Batch_Code": "CLERK",
            "Status": "O",
            "Payment_Status": "U",
            "Remarks": "Typed by hand",
            "Document_ID": f"CL{count:010d}",
        }
        _insert(connection, t.posted, [key | header])
        payment = {
            "Bank_Account_Code": BANK,
            "Check_Number": f"{count:06d}",
            "Sequence": 1,
            "Check_Date": one.invoice_date,
            "Payment_Amount": one.amount,
            "Discount_Amount": ZERO,
            "Payment_Kind": "P",
            "Payment_Method": "C",
        }
        if one.state == "history":
            _insert(connection, t.payments, [key | payment])


def _read_books(connection: Connection, company_code: str) -> Books:
    def rows(table: Table) -> list[Any]:
        return list(connection.execute(select(table)))

    period = rows(t.periods)[0]
    headers = [row for header, _ in PLACES.values() for row in rows(header)]
    return Books(
        company_code=company_code,
        operator_code=OPERATOR,
        first_day=period.First_Date,
        last_day=period.Last_Date,
        vendors={row.Vendor_Code: (row.Vendor_Name, row.Status) for row in rows(t.vendors)},
        jobs={row.Job_Number: row.Status for row in rows(t.jobs)},
        cost_types={row.Cost_Type: row.GL_Account for row in rows(t.cost_types)},
        phases={(row.Job_Number, row.Phase_Code, row.Cost_Type): row.Status for row in rows(t.phases)},
        subcontracts={
            (row.Vendor_Code, row.Contract_Number): (row.Job_Number, row.Status) for row in rows(t.subcontracts)
        },
        accounts={row.GL_Account: (row.Account_Kind, row.Status) for row in rows(t.accounts)},
        banks={row.Bank_Account_Code for row in rows(t.banks)},
        taken={(row.Vendor_Code, row.Invoice_Number) for row in headers},
        document_ids={row.Document_ID for row in headers},
    )


def _detail_rows(judged: Judged) -> Iterable[Row]:
    key = {name: judged.header[name] for name in t.INVOICE_KEY}
    for detail in judged.details:
        amount = detail["amount"]
        yield {**detail, **key, "Debit_Amount": max(amount, ZERO), "Credit_Amount": max(-amount, ZERO)}


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        names = [column.name for column in table.columns]
        connection.execute(insert(table), [{name: row.get(name) for name in names} for row in rows])


def _set(connection: Connection, name: str, value: str) -> None:
    connection.execute(delete(t.settings).where(t.settings.c.name == name))
    connection.execute(insert(t.settings).values(name=name, value=value))


def _is(table: Table, vendor: str, number: str) -> Any:
    return and_(table.c.Vendor_Code == vendor, table.c.Invoice_Number == number)


def _among(table: Table, keys: Sequence[tuple[str, str]]) -> Any:
    return tuple_(table.c.Vendor_Code, table.c.Invoice_Number).in_(keys)


def _locate(connection: Connection, vendor: str, number: str, states: Iterable[str]) -> tuple[str, Row]:
    for state in states:
        header = PLACES[state][0]
        row = connection.execute(select(header).where(_is(header, vendor, number))).mappings().first()
        if row:
            return state, dict(row)
    raise LookupError(f"vendor {vendor} has no invoice {number} that is {' or '.join(states)}")


def _settled(connection: Connection, invoice: Row) -> dict[str, Decimal]:
    """Return what live payments settled of an invoice, by kind: cash and discount together."""
    where = _is(t.payments, invoice["Vendor_Code"], invoice["Invoice_Number"])
    settled = {"P": ZERO, "R": ZERO}
    for row in connection.execute(select(t.payments).where(where, t.payments.c.Void_Flag == "N")):
        settled[row.Payment_Kind] += row.Payment_Amount + row.Discount_Amount
    return settled


def _application(connection: Connection, vendor: str, given: Row) -> Row:
    kind = KINDS[given.get("kind", "progress")]
    _, invoice = _locate(connection, vendor, given["invoice_number"], ("posted",))
    if invoice["Void_Flag"] == "Y":
        raise ValueError(f"invoice {given['invoice_number']} is void")
    discount = Decimal(str(given.get("discount") or 0))
    held = invoice["Retention_Amount"]
    due = held if kind == "R" else invoice["Invoice_Amount"] + (invoice["Sales_Tax_Amount"] or ZERO) - held
    due -= _settled(connection, invoice)[kind] + discount
    amount = due if given.get("amount") is None else Decimal(str(given["amount"]))
    if amount <= 0:
        raise ValueError(f"invoice {given['invoice_number']}: a payment of {amount} is nothing to pay")
    return {
        "Invoice_Number": invoice["Invoice_Number"],
        "Contract_Number": invoice["Contract_Number"],
        "Payment_Amount": amount,
        "Discount_Amount": discount,
        "Payment_Kind": kind,
    }


def _add_to_last_line(connection: Connection, lines: Table, invoice: Row, difference: Decimal) -> None:
    where = _is(lines, invoice["Vendor_Code"], invoice["Invoice_Number"])
    last = connection.execute(select(lines).where(where).order_by(lines.c.Sequence.desc())).mappings().first()
    if last:
        amount = last["Debit_Amount"] - last["Credit_Amount"] + difference
        values = {"Debit_Amount": max(amount, ZERO), "Credit_Amount": max(-amount, ZERO)}
        connection.execute(update(lines).where(where, lines.c.Sequence == last["Sequence"]).values(values))


def _typed(table: Table, name: str, value: Any) -> Any:
    if name not in table.c:
        raise ValueError(f"{name} is not a field of an invoice")
    kind = table.c[name].type
    if isinstance(kind, t.Exact):
        return Decimal(str(value))
    return value if isinstance(kind, t.Char) else _as_date(value)


def _as_date(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) and value else None


def _paid_by_invoice(connection: Connection) -> dict[tuple[str, str], Decimal]:
    paid: dict[tuple[str, str], Decimal] = {}
    for row in connection.execute(select(t.payments).where(t.payments.c.Void_Flag == "N")):
        key = (row.Vendor_Code, row.Invoice_Number)
        paid[key] = paid.get(key, ZERO) + row.Payment_Amount
    return paid


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _sums(headers: Iterable[tuple[str, Any]], state: str) -> Row:
    rows = [row for one, row in headers if one == state]
    amount = sum((row["Invoice_Amount"] for row in rows), ZERO)
    retention = sum((row["Retention_Amount"] or ZERO for row in rows), ZERO)
    return {"count": len(rows), "amount": amount, "retention": retention}


def _chunks(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
