"""Everything that judging and exporting look up, read together so that one run decides by one state of affairs."""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from data_contracts.commitment import ProjectBooks, Vendor
from data_contracts.reference import Reference
from data_contracts.rules import RULES
from tieout import settings
from tieout.connectors.base import ERP, Capabilities
from tieout.errors import SettingsError
from tieout.judgement.mapping import CodeMap, MappingRow, read_mapping_csv
from tieout.judgement.rulebook import rules_version
from tieout.ledger import judgements, references
from tieout.ledger.book import Ledger


@dataclass(frozen=True)
class Basis:
    """One state of policy, codes and master data."""

    policy: settings.Policy
    policy_version: int
    zone: ZoneInfo
    erp: str
    capabilities: Capabilities
    reference: Reference
    vendors: tuple[Vendor, ...]
    books: dict[int, ProjectBooks]
    rows: tuple[MappingRow, ...]
    common_print: str
    prints: dict[int, str] = field(default_factory=dict, compare=False, repr=False)  # made once for each project

    def mapping(self, project_id: int, on: date) -> CodeMap:
        """Return how the codes of this project translate on that day."""
        return CodeMap(self.books[project_id], self.vendors, self.rows, on)

    def fingerprint(self, project_id: int) -> str:
        """Return what changes when an invoice of this project might be judged differently."""
        if project_id not in self.prints:
            books = self.books.get(project_id)
            text = f"{self.common_print}\n{books.model_dump_json() if books else ''}"
            self.prints[project_id] = hashlib.sha256(text.encode()).hexdigest()[:32]
        return self.prints[project_id]


def load_basis(ledger: Ledger, erp: ERP, now: datetime) -> Basis:
    """Read the terms from the ledger's references, the settings and the mapping table; a new policy gets a version."""
    policy = settings.policy()
    with ledger.transaction(now, "settings") as tx:
        version = references.policy_version(tx, policy.model_dump(mode="json"))
        judgements.note_rules(tx, rules_version(), {rule.id: rule.severity for rule in RULES})
    return read_basis(ledger, erp, policy, version)


def read_basis(ledger: Ledger, erp: ERP, policy: settings.Policy, version: int = 0) -> Basis:
    """Read the terms with this policy; writes nothing."""
    company = settings.company()
    with ledger.reading() as connection:
        stored = references.references(connection, "")
    if f"erp/{company.erp}" not in stored:
        raise SettingsError("Ledger", company.erp, "its master data was never read; run nightly-sync or tieout doctor")
    rows = _mapping_rows()
    vendors = tuple(Vendor.model_validate_json(line) for line in stored.get("vendors", "").split("\n") if line)
    reference = Reference.model_validate_json(stored[f"erp/{company.erp}"])
    common = f"{version}\n{rules_version()}\n{reference.fingerprint()}\n{stored.get('vendors', '')}\n{rows!r}"
    return Basis(
        policy=policy,
        policy_version=version,
        zone=company.zone,
        erp=company.erp,
        capabilities=erp.capabilities,
        reference=reference,
        vendors=vendors,
        books={
            int(name.removeprefix("books/")): ProjectBooks.model_validate_json(body)
            for name, body in stored.items()
            if name.startswith("books/")
        },
        rows=rows,
        common_print=common,
    )


def _mapping_rows() -> tuple[MappingRow, ...]:
    """Return the rows of the mapping table; without a readable one every invoice would be held for the wrong reason."""
    path = settings.mapping_csv()
    if path is None:
        return ()
    rows, problems = read_mapping_csv(path)
    for problem in problems:
        if problem.is_blocking:
            raise SettingsError("Mapping", str(path), problem.message)
    return tuple(rows)
