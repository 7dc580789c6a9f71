"""The contractor of the sandbox, read by the real connectors: each trouble is caught by its rule, the rest goes."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest
from pydantic import SecretStr

from data_contracts.case import Case, Others
from data_contracts.fetched import UnreadableInvoice
from data_contracts.invoice import Invoice
from data_contracts.reference import Finding
from data_contracts.verdicts import check
from tieout.connectors import procore, spectrum
from tieout.judgement.cases import build_case
from tieout.judgement.coding import Codes
from tieout.judgement.mapping import CodeMap, MappingRow
from tieout.judgement.rulebook import judge
from tieout.sandbox.contractor.contractor import Contractor, build
from tieout.sandbox.contractor.troubles import ANY_INVOICE, DUPLICATE, NEWEST_INVOICE, RARE, WHOLE_COMMITMENT
from tieout.sandbox.procore.app import create_app as procore_app
from tieout.sandbox.sockets import serving
from tieout.sandbox.spectrum.app import create_app as spectrum_app
from tieout.settings import Policy

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
