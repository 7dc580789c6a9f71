"""Few invoices and many are judged alike, and the version of the rules changes with the code that judges."""

import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from builders import a_case, an_invoice
from desk import Desk

from data_contracts.expectations import validate
from data_contracts.invoice import Invoice
from tieout.connectors import procore
from tieout.connectors.procore import translation
from tieout.judgement import rulebook
from tieout.judgement.cases import read_cases
from tieout.judgement.related import with_held_before
from tieout.judgement.rulebook import APART, FEW, judge, judging_code, rules_version
from tieout.judgement.sources import digest, is_within
from tieout.ledger import sightings

ROOT, PACKAGES = Path(__file__).parents[3], ("tieout", "data_contracts")
TODAY = date(2026, 3, 4)


def now() -> datetime:
    return datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)


def test_many_are_judged_as_a_batch_and_agree_with_few():
    cases = [a_case(an_invoice(invoice_id_procore=number, invoice_number="")) for number in range(FEW + 1)]

    assert judge(cases) == validate(cases) == {key: each for case in cases for key, each in judge([case]).items()}


def test_a_single_retry_does_not_wait_for_the_batch_library():
    script = (
        "import sys; sys.path.insert(0, 'tests'); from builders import a_case;"
        "from tieout.judgement.rulebook import judge;"
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
    for file in (Path(rulebook.__file__), Path(translation.__file__)):
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
    basis, ran = desk.basis, set[str]()
    sys.setprofile(lambda frame, *_: ran.add(frame.f_code.co_filename))
    try:
        with desk.ledger.reading() as connection:
            for project_id in desk.projects:
                bodies = sightings.bodies(
                    connection, [each.snapshot_id for each in sightings.sightings(connection, project_id).values()]
                )
                parsed = [procore.parse_invoice(body, desk.contractor.company_id) for body in bodies.values()]
                readable = [each for each in parsed if isinstance(each, Invoice)]
                cases = read_cases(connection, basis, project_id, readable, now())
                assert with_held_before(cases, judge(cases))
    finally:
        sys.setprofile(None)

    paths = {Path(file).relative_to(ROOT).with_suffix("") for file in ran if Path(file).is_relative_to(ROOT)}
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths if path.parts[0] in PACKAGES}
    assert {translation.__name__, judge.__module__} <= names
    assert {each for each in names if not is_within(each, APART)} <= judging_code(ROOT).keys()
