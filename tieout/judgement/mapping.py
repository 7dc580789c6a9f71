"""Translate Procore's codes into the ERP's: the ERP code that Procore carries, else a row of the mapping table.

Never by name, never by likeness: a code that is not mapped stays unmapped and holds the invoice (requirements C2.12).
"""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError

from data_contracts.commitment import Commitment, CommitmentLine, CostCode, ProjectBooks, Vendor
from data_contracts.contract import Contract
from data_contracts.invoice import InvoiceLine
from data_contracts.reference import Problem

Kind = Literal["vendor", "job", "phase", "cost_type", "subcontract"]
COLUMNS = ("kind", "procore", "job", "erp", "valid_from")
_BY_ID = ("vendor", "job", "subcontract")


class MappingRow(Contract):
    """One row of the mapping table: from that day on, this Procore id or code is that code in the ERP.

    `procore` is the id of a vendor, project (`job`) or commitment (`subcontract`), else a full cost code (`phase`)
    or the code of a line item type (`cost_type`). `job` narrows a row to one job of the ERP.
    """

    kind: Kind
    procore: str
    job: str = ""
    erp: str
    valid_from: date = date.min


class CodeMap:
    """How the codes of one project translate on one day."""

    def __init__(self, books: ProjectBooks, vendors: Iterable[Vendor], rows: Sequence[MappingRow], on: date) -> None:
        """Look the rows up that hold on that day; a later row replaces an earlier one."""
        self._project = books.project
        self._vendors = {each.vendor_id_procore: each for each in vendors}
        self._commitments = {each.commitment_id_procore: each for each in books.commitments}
        self._lines = {line.line_id_procore: line for each in books.commitments for line in each.lines}
        self._cost_codes = {each.cost_code_id_procore: each for each in books.cost_codes}
        in_force = sorted((row for row in rows if row.valid_from <= on), key=lambda row: row.valid_from)
        self._rows = {(row.kind, row.procore, row.job): row.erp for row in in_force}
        self._job = self.job(books.project.project_id_procore)

    def vendor(self, vendor_id: int | None) -> str | None:
        """Return the ERP's vendor code."""
        vendor = self._vendors.get(vendor_id) if vendor_id is not None else None
        return (vendor and vendor.erp_code) or self._row("vendor", vendor_id)

    def same_in_erp(self, vendor_id: int | None) -> list[int]:
        """Return the other vendors of Procore that are the same vendor in the ERP."""
        code = self.vendor(vendor_id)
        return [each for each in self._vendors_by_code.get(code, []) if each != vendor_id] if code else []

    @cached_property
    def _vendors_by_code(self) -> dict[str, list[int]]:
        named = {int(procore) for kind, procore, _ in self._rows if kind == "vendor"}
        found: dict[str, list[int]] = {}
        for vendor_id in sorted(named | self._vendors.keys()):
            if code := self.vendor(vendor_id):
                found.setdefault(code, []).append(vendor_id)
        return found

    def vendor_name(self, vendor_id: int | None) -> str:
        """Return the vendor's name in Procore's directory, empty when it is not there."""
        vendor = self._vendors.get(vendor_id) if vendor_id is not None else None
        return vendor.name if vendor else ""

    @property
    def project_name(self) -> str:
        """The project's name in Procore."""
        return self._project.name

    def job(self, project_id: int) -> str | None:
        """Return the ERP's job number; a project other than this one is known by the table only."""
        own = self._project.erp_code if project_id == self._project.project_id_procore else None
        return own or self._row("job", project_id)

    def commitment(self, commitment_id: int) -> Commitment | None:
        """Return the commitment as it was read last."""
        return self._commitments.get(commitment_id)

    def subcontract(self, commitment_id: int) -> str | None:
        """Return the ERP's contract number."""
        commitment = self._commitments.get(commitment_id)
        return (commitment and commitment.erp_code) or self._row("subcontract", commitment_id)

    def phase(self, line: InvoiceLine) -> str | None:
        """Return the ERP's phase of an invoice line."""
        billed, code = self._line(line), self._cost_code(line)
        origin = (billed and billed.cost_code_erp) or (code and code.erp_code)
        return origin or self._row("phase", self.codes(line)[0])

    def cost_type(self, line: InvoiceLine) -> str | None:
        """Return the ERP's cost type of an invoice line."""
        billed = self._line(line)
        origin = billed.cost_type_erp if billed else None
        return origin or self._row("cost_type", self.codes(line)[1])

    def codes(self, line: InvoiceLine) -> tuple[str, str]:
        """Return Procore's cost code and line item type of an invoice line, as a row of the table names them."""
        billed, code = self._line(line), self._cost_code(line)
        cost_code = (billed and billed.cost_code) or (code and code.code) or _wbs(line)[0]
        return cost_code, (billed and billed.cost_type) or _wbs(line)[1]

    def fingerprint(self) -> str:
        """Return a hash that changes when a code of this project translates differently."""
        codes = (
            self._project.erp_code,
            [(each.commitment_id_procore, each.erp_code) for each in self._commitments.values()],
            [(each.line_id_procore, each.cost_code_erp, each.cost_type_erp) for each in self._lines.values()],
            [(each.cost_code_id_procore, each.code, each.erp_code) for each in self._cost_codes.values()],
            [(each.vendor_id_procore, each.erp_code) for each in self._vendors.values()],
            sorted(self._rows.items()),
        )
        return hashlib.sha256(repr(codes).encode()).hexdigest()[:16]

    def _line(self, line: InvoiceLine) -> CommitmentLine | None:
        billed = line.commitment_line_id_procore
        return self._lines.get(billed) if billed is not None else None

    def _cost_code(self, line: InvoiceLine) -> CostCode | None:
        billed = self._line(line)
        code_id = (billed and billed.cost_code_id_procore) or line.cost_code_id_procore
        return self._cost_codes.get(code_id) if code_id is not None else None

    def _row(self, kind: Kind, procore: int | str | None) -> str | None:
        """Return the table's answer, a row for this job before one for every job."""
        if procore in (None, ""):
            return None
        job = self._job if kind in ("phase", "cost_type", "subcontract") else None
        narrow = self._rows.get((kind, str(procore), job)) if job else None
        return narrow or self._rows.get((kind, str(procore), ""))


def _wbs(line: InvoiceLine) -> tuple[str, str]:
    """Split Procore's flat code into cost code and line item type, for a line that no schedule of values knows."""
    code, _, cost_type = (line.wbs_code or "").rpartition(".")
    return code, cost_type


def read_mapping_csv(path: Path) -> tuple[list[MappingRow], list[Problem]]:
    """Read the mapping table; a bad row is reported with its line number, the good ones are kept."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                return [], [_problem(path, 1, f"the heading lacks {', '.join(missing)}", is_blocking=True)]
            return _read_rows(path, reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return [], [_problem(path, 0, f"cannot be read: {error}", is_blocking=True)]


def _read_rows(path: Path, reader: "csv.DictReader[str]") -> tuple[list[MappingRow], list[Problem]]:
    rows: list[MappingRow] = []
    problems: list[Problem] = []
    first_at: dict[tuple[str, str, str, date], int] = {}
    for cells in reader:
        row = _parse_row(cells)
        if isinstance(row, str):
            problems.append(_problem(path, reader.line_num, row))
            continue
        key = (row.kind, row.procore, row.job, row.valid_from)
        if key in first_at:
            problems.append(_problem(path, reader.line_num, f"says again what line {first_at[key]} says"))
            continue
        first_at[key] = reader.line_num
        rows.append(row)
    return rows, problems


def _parse_row(cells: dict[str, str]) -> MappingRow | str:
    """Return the row, or what is wrong with it."""
    if None in cells or None in cells.values():
        return "has more or fewer cells than the heading"
    text = {name: cells[name].strip() for name in COLUMNS}
    kind, procore = text["kind"], text["procore"]
    if kind not in get_args(Kind):
        return f"has the kind {kind!r}; known are {', '.join(get_args(Kind))}"
    if not procore or not text["erp"]:
        return f"has no {'procore' if not procore else 'erp'} code"
    if kind in _BY_ID and not (procore.isascii() and procore.isdigit()):
        return f"needs a Procore id for a {kind}, not {procore!r}"
    try:
        start = date.fromisoformat(text["valid_from"]) if text["valid_from"] else date.min
        return MappingRow.model_validate({**text, "valid_from": start})
    except (ValueError, ValidationError):
        return f"has the date {text['valid_from']!r}; write it as 2026-01-31"


def _problem(path: Path, line: int, what: str, is_blocking: bool = False) -> Problem:
    where = f"{path.name}, line {line}" if line else path.name
    return Problem(
        system="Mapping",
        check="table of codes",
        is_blocking=is_blocking,
        message=f"{where} {what}." if line else f"{where}: {what}.",
        remedy="Correct the mapping table; its columns are " + ", ".join(COLUMNS) + ".",
    )
