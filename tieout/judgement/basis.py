"""Everything that judging and exporting look up, read together so that one run decides by one state of affairs."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from data_contracts.commitment import ProjectBooks, Vendor
from data_contracts.reference import Reference
from data_contracts.rules import RULES
from tieout.connectors.base import ERP, Capabilities
from tieout.errors import SettingsError
from tieout.judgement.coding import Codes
from tieout.judgement.mapping import CodeMap, MappingRow, read_mapping_csv
from tieout.judgement.rulebook import rules_version
from tieout.ledger import judgements, references
from tieout.ledger.book import Ledger
from tieout.ledger.database import Reader
from tieout.office import Office
from tieout.settings import Policy, Settings

_BOOKS = "books/"


@dataclass(frozen=True)
class Basis:
    """One state of policy, codes and master data, with the books of those projects that are worked on."""

    policy: Policy
    policy_version: int
    zone: ZoneInfo
    erp: str
    capabilities: Capabilities
    codes: Codes
    vendors: tuple[Vendor, ...]
    rows: tuple[MappingRow, ...]
    common_print: str
    books: dict[int, ProjectBooks] = field(default_factory=dict)
    prints: dict[int, str] = field(default_factory=dict)  # another one when an invoice might be judged differently

    @property
    def reference(self) -> Reference:
        """The ERP's master data."""
        return self.codes.reference

    def with_books(self, connection: Reader, project_ids: Collection[int]) -> "Basis":
        """Return the basis with the books of these projects, too; those that were read before stay as they were."""
        stored = _stored_books(connection, [each for each in project_ids if each not in self.prints])
        read = {project_id: ProjectBooks.model_validate_json(body) for project_id, body in stored.items() if body}
        return replace(self, books=self.books | read, prints=self.prints | self._prints(stored))

    def prints_now(self, connection: Reader, project_ids: Collection[int]) -> dict[int, str]:
        """Return the prints of these projects by their books as they are stored; nothing is made of the books."""
        return self._prints(_stored_books(connection, project_ids))

    def mapping(self, project_id: int, on: date) -> CodeMap:
        """Return how the codes of this project translate on that day."""
        return CodeMap(self.books[project_id], self.vendors, self.rows, on)

    def _prints(self, stored: dict[int, str]) -> dict[int, str]:
        texts = {project_id: f"{self.common_print}\n{body}" for project_id, body in stored.items()}
        return {project_id: hashlib.sha256(text.encode()).hexdigest()[:32] for project_id, text in texts.items()}


def load_basis(ledger: Ledger, erp: ERP, office: Office) -> Basis:
    """Read the basis from the ledger's references, the settings and the mapping table; a new policy gets a version.

    Books are read with `with_books` where it is known of which projects: all of them together are far too many.
    """
    policy = office.settings.policy
    with ledger.transaction(office.clock(), "settings") as tx:
        version = references.policy_version(tx, policy.model_dump(mode="json"))
        judgements.note_rules(tx, rules_version(), {rule.id: rule.severity for rule in RULES})
    return read_basis(ledger, erp, office.settings, policy, version)


def read_basis(ledger: Ledger, erp: ERP, settings: Settings, policy: Policy, version: int = 0) -> Basis:
    """Read the basis with this policy; writes nothing."""
    system = erp.capabilities.name
    name = f"erp/{system}"
    with ledger.reading() as connection:
        stored = references.references(connection, ["vendors", name])
    if name not in stored:
        raise SettingsError("Ledger", system, "its master data was never read; run nightly-sync or tieout doctor")
    rows, vendors, codes = _mapping_rows(settings.mapping_csv), stored.get("vendors", ""), _codes(stored[name])
    return Basis(
        policy=policy,
        policy_version=version,
        zone=settings.company.zone,
        erp=system,
        capabilities=erp.capabilities,
        codes=codes,
        vendors=tuple(Vendor.model_validate_json(line) for line in vendors.split("\n") if line),
        rows=rows,
        common_print=f"{version}\n{rules_version()}\n{codes.fingerprint}\n{vendors}\n{rows!r}",
    )


@lru_cache(maxsize=1)  # master data is large, and all chunks of a run stand on the same
def _codes(body: str) -> Codes:
    return Codes(Reference.model_validate_json(body))


def _stored_books(connection: Reader, project_ids: Collection[int]) -> dict[int, str]:
    """Return the books of these projects as they are stored, empty where they were never read."""
    stored = references.references(connection, [f"{_BOOKS}{each}" for each in project_ids])
    return {project_id: stored.get(f"{_BOOKS}{project_id}", "") for project_id in project_ids}


def projects_with_books(connection: Reader) -> list[int]:
    """Return every project of which the books were ever read."""
    return [int(name.removeprefix(_BOOKS)) for name in references.names_under(connection, _BOOKS)]


def _mapping_rows(path: Path | None) -> tuple[MappingRow, ...]:
    """Return the rows of the mapping table; without a readable one every invoice would be held for the wrong reason."""
    if path is None:
        return ()
    rows, problems = read_mapping_csv(path)
    for problem in problems:
        if problem.is_blocking:
            raise SettingsError("Mapping", str(path), problem.message)
    return tuple(rows)
