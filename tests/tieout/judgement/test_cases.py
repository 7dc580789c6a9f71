"""The contractor of the sandbox, read by the real connectors: each trouble is caught by its rule, the rest goes."""

import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from builders import a_case, an_invoice
from desk import Desk
from pydantic import SecretStr

from data_contracts.case import Case, Others
from data_contracts.expectations import validate
from data_contracts.fetched import UnreadableInvoice
from data_contracts.invoice import Invoice
from data_contracts.reference import Finding
from data_contracts.verdicts import check
from tieout.connectors import procore, spectrum
from tieout.connectors.procore import translation
from tieout.judgement.cases import __file__, __name__, build_case, read_cases
from tieout.judgement.coding import Codes
from tieout.judgement.mapping import CodeMap, MappingRow
from tieout.judgement.related import with_held_before
from tieout.judgement.rulebook import APART, FEW, judge, judging_code, rules_version
from tieout.judgement.sources import digest, is_within
from tieout.ledger import sightings
from tieout.sandbox.contractor.contractor import Contractor, build
from tieout.sandbox.contractor.troubles import ANY_INVOICE, DUPLICATE, NEWEST_INVOICE, RARE, WHOLE_COMMITMENT
from tieout.sandbox.procore.app import create_app as procore_app
from tieout.sandbox.sockets import serving
from tieout.sandbox.spectrum.app import create_app as spectrum_app
from tieout.settings import Policy

ROOT, PACKAGES = Path(__file__).parents[3], ("tieout", "data_contracts")
TODAY = date(2026, 3, 4)
UNREADABLE = "unreadable"
RELEASE, MIXED = "release-by-hand", "progress_and_retainage_release"
LABELS = {*WHOLE_COMMITMENT, "job-unmapped", *NEWEST_INVOICE, *RARE, *ANY_INVOICE, DUPLICATE}
ALREADY_THERE = "already-in-erp"  # known to the ERP only, which refuses it


def now() -> datetime:
    return datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)


@dataclass
class Judged:
    """What became of the contractor's invoices, by Procore id."""

    contractor: Contractor
    cases: list[Case]
    found: dict[int, list[Finding]]
    unreadable: set[int]

    def stops(self, invoice_id: int) -> set[str]:
        if invoice_id in self.unreadable:
            return {UNREADABLE}
        return {each.rule for each in self.found[invoice_id] if each.severity != "warn"} - {"status"}

    def warnings(self, invoice_id: int) -> set[str]:
        return {each.rule for each in self.found.get(invoice_id, []) if each.severity == "warn"}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    folder = tmp_path_factory.mktemp("sandbox")
    contractor = build(11, 5, 120, today=TODAY)
    database = f"sqlite:///{folder / 'spectrum.sqlite'}"
    apps = (
        procore_app(folder / "procore.sqlite", contractor, False, now),
        spectrum_app(database, contractor.books, "AUTH", now),
    )
    with serving(apps[0]) as procore_url, serving(apps[1]) as spectrum_url:
        site = procore.Procore(
            procore.Settings(
                api_url=procore_url,
                login_url=procore_url,
                company_id=contractor.company_id,
                client_id=contractor.client_id,
                client_secret=SecretStr(contractor.client_secret),
            )
        )
        erp = spectrum.Connector(
            spectrum.Settings(
                url=spectrum_url,
                company_code=contractor.books.company_code,
                authorization_id=SecretStr("AUTH"),
                info_link_url=SecretStr(database),
            )
        )
        yield judge_everything(contractor, site, erp)
        site.close()
        erp.close()


def judge_everything(contractor: Contractor, site: procore.Procore, erp: spectrum.Connector) -> Judged:
    vendors, reference = site.vendors(), erp.reference()
    rows = tuple(MappingRow.model_validate_strings(row) for row in contractor.mapping_rows)
    cases: list[Case] = []
    unreadable: set[int] = set()
    for project in site.projects():
        if project.project_id_procore in contractor.forbidden_projects:
            continue
        wanted = [each["id"] for each in contractor.requisitions if each["project_id"] == project.project_id_procore]
        fetched = site.invoices(project.project_id_procore, wanted)
        parsed = {each.invoice_id_procore: procore.parse_invoice(each.body, site.company_id) for each in fetched}
        unreadable |= {invoice_id for invoice_id, each in parsed.items() if isinstance(each, UnreadableInvoice)}
        invoices = {key: each for key, each in parsed.items() if isinstance(each, Invoice)}
        books, _ = site.project_books(project)
        mapping = CodeMap(books, vendors, rows, TODAY)
        same_number = bearers(invoices)
        cases += [
            build_case(
                invoice=each,
                books=books,
                vendors=vendors,
                mapping=mapping,
                codes=Codes(reference),
                capabilities=erp.capabilities,
                previous=invoices.get(each.previous_invoice_id_procore or 0),
                others=Others(tuple(f"invoice {other}" for other in same_number[each.number_key()] if other != key)),
                policy=Policy(),
                today=TODAY,
            )
            for key, each in invoices.items()
        ]
    return Judged(contractor, cases, judge(cases), unreadable)


def bearers(invoices: dict[int, Invoice]) -> dict[str, list[int]]:
    """Return which invoices bear each number; those without one share nothing."""
    found: dict[str, list[int]] = defaultdict(list)
    for invoice_id, invoice in invoices.items():
        if invoice.number_key():
            found[invoice.number_key()].append(invoice_id)
    return found


def test_each_trouble_is_caught_by_its_rule_and_no_other(judged: Judged):
    troubles = {key: rule for key, rule in judged.contractor.troubles.items() if rule != ALREADY_THERE}

    assert {key: judged.stops(key) for key in troubles} == {key: {rule} for key, rule in troubles.items()}
    assert set(troubles.values()) == LABELS - {ALREADY_THERE}


def test_an_invoice_without_trouble_is_stopped_by_nothing_but_its_status(judged: Judged):
    troubles = judged.contractor.troubles
    sound = [each["id"] for each in judged.contractor.requisitions if troubles.get(each["id"]) in (None, ALREADY_THERE)]

    assert {key: judged.stops(key) for key in sound if judged.stops(key)} == {}
    assert {key: judged.warnings(key) - {RELEASE} for key in sound if judged.warnings(key) - {RELEASE}} == {
        key: {rule} for key, rule in judged.contractor.warnings.items()
    }


def test_who_releases_retention_beside_work_is_told_to_do_that_by_hand(judged: Judged):
    kinds = {each["id"]: each["invoice_type"] for each in judged.contractor.requisitions}
    troubles = judged.contractor.troubles

    told = {key for key in judged.found if RELEASE in judged.warnings(key)}

    assert told
    assert told >= {key for key, kind in kinds.items() if kind == MIXED and key in judged.found and key not in troubles}


def test_row_by_row_the_contractor_is_judged_alike(judged: Judged):
    assert check(judged.cases) == judged.found


def test_many_are_judged_as_a_batch_and_agree_with_few():
    cases = [a_case(an_invoice(invoice_id_procore=number, invoice_number="")) for number in range(FEW + 1)]

    assert judge(cases) == validate(cases) == {key: each for case in cases for key, each in judge([case]).items()}


def test_a_single_retry_does_not_wait_for_the_batch_library():
    script = (
        "import sys; sys.path.insert(0, 'tests'); from builders import a_case; from tieout.judgement.rulebook import judge;"
        "assert judge([a_case()]) and 'great_expectations' not in sys.modules and 'pandas' not in sys.modules"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder with the program's code, to be changed."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def version(release: Path) -> str:
    return digest(judging_code(release))


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_version_of_the_rules_is_that_of_the_code_that_runs(release: Path):
    assert rules_version() == version(release)[:16]


def test_a_release_that_reads_procore_otherwise_has_other_rules(release: Path):
    before, read_by = version(release), release / Path(translation.__file__).relative_to(ROOT)
    rewrite(read_by, "\nfrom ", "\nEDITED = 1\nfrom ")

    assert version(release) != before


def test_a_comment_and_a_docstring_are_no_rules(release: Path):
    before = version(release)
    for file in (Path(__file__), Path(translation.__file__)):
        rewrite(release / file.relative_to(ROOT), '"""', '"""In other words: ')
        rewrite(release / file.relative_to(ROOT), '    """', '    # For whoever reads it.\n    """In other words: ')

    assert version(release) == before


def test_a_release_that_changes_what_no_verdict_depends_on_has_the_same_rules(release: Path):
    before = version(release)
    for file in (release / "tieout/settings.py", release / "tieout/ledger/schema.py", release / "tieout/cli/server.py"):
        rewrite(file, "\nfrom ", "\nEDITED = 1\nfrom ")

    assert version(release) == before


@pytest.mark.sandbox(invoices=60, troubles=True)
def test_the_version_of_the_rules_covers_whatever_a_verdict_is_made_by(desk: Desk):
    desk.read()
    terms, ran = desk.terms, set[str]()
    sys.setprofile(lambda frame, *_: ran.add(frame.f_code.co_filename))
    try:
        with desk.ledger.reading() as connection:
            for project_id in desk.projects:
                bodies = sightings.bodies(
                    connection, [each.snapshot_id for each in sightings.sightings(connection, project_id).values()]
                )
                parsed = [procore.parse_invoice(body, desk.contractor.company_id) for body in bodies.values()]
                readable = [each for each in parsed if isinstance(each, Invoice)]
                cases = read_cases(connection, terms, project_id, readable, now())
                assert with_held_before(cases, judge(cases))
    finally:
        sys.setprofile(None)

    paths = {Path(file).relative_to(ROOT).with_suffix("") for file in ran if Path(file).is_relative_to(ROOT)}
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths if path.parts[0] in PACKAGES}
    assert {translation.__name__, __name__} <= names
    assert {each for each in names if not is_within(each, APART)} <= judging_code(ROOT).keys()
