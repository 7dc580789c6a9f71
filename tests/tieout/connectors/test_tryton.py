"""What is peculiar to Tryton, tried on a real one: drafts, a batch that is all or nothing, its rights, its payments."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import a_voucher_line
from trytons import TrytonCompany, TrytonServer

from data_contracts.voucher import Created, ErpInvoice, Refused, Voucher
from deployments.tryton.company import ACCOUNTING, PASSWORD_OF
from deployments.tryton.rpc import Tryton
from tieout import settings
from tieout.connectors.base import open_erp
from tieout.connectors.tryton import Connector, Settings, field_mapping
from tieout.errors import ContractError, SettingsError, TransientError, UnconfirmedError

SAMPLES = Path(__file__).parents[2] / "samples" / "tryton"
CREATE = "account.invoice.create"


a_voucher = partial(builders.a_voucher, company_erp="Acme Builders")


def connect(at: TrytonCompany, **changes: Any) -> Connector:
    return Connector(Settings(**at.settings | {"timeout": 20.0} | changes))


@pytest.fixture
def erp(tryton_company: TrytonCompany) -> Iterator[Connector]:
    connector = connect(tryton_company)
    yield connector
    connector.close()


def ours(company: TrytonCompany) -> list[dict[str, Any]]:
    return [row for row in company.look("invoices") if len(row["Remarks"]) == 27]


def who(number: int) -> dict[str, str]:
    return {"vendor_code": "CONC01", "invoice_number": f"APP-{number}"}


def only(erp: Connector, voucher: Voucher) -> ErpInvoice:
    [found] = erp.find([voucher])[voucher.key]
    return found


@pytest.mark.parametrize("sample", sorted(path.stem for path in SAMPLES.glob("*[!d].json")))
def test_a_voucher_becomes_the_expected_payload(sample: str):
    voucher = Voucher.model_validate_json((SAMPLES / f"{sample}.json").read_text())
    erp = Connector(Settings(url="http://127.0.0.1:1", database="x", user="x", password="x", company="Acme Builders",
                             retention_account="200200"))  # fmt: skip

    assert erp.preview(voucher) == json.loads((SAMPLES / f"{sample}.expected.json").read_text())
    with pytest.raises(ContractError):
        erp.preview(voucher.model_copy(update={"retention": Decimal("0.005")}))


def test_every_sent_field_is_in_the_field_mapping():
    payload = json.loads((SAMPLES / "progress.expected.json").read_text())
    line, *_, held = payload.pop("lines")
    axes = {f"lines.analytic_accounts.{axis}" for axis in line.pop("analytic_accounts")}
    sent = {*payload, *(f"lines.{name}" for name in line), *axes, *(f"retention line.{name}" for name in held)}

    assert {name for name, _ in field_mapping()} == sent


def test_an_invoice_is_a_draft_with_all_that_accounting_needs(erp: Connector, tryton_company: TrytonCompany):
    voucher = a_voucher(gross=Decimal("999.50"), lines=(a_voucher_line("1500.00"), a_voucher_line("-500.50")))
    [created] = erp.create([voucher])
    [row] = ours(tryton_company)

    assert isinstance(created, Created)
    assert created.document_id_erp == str(row["id"])
    assert (row["state"], row["number"]) == ("unposted", None)
    assert (row["Vendor_Code"], row["Invoice_Number"], row["Remarks"]) == ("CONC01", "APP-1", voucher.key)
    assert (row["Invoice_Amount"], row["Retention_Amount"], row["Batch_Code"]) == ("999.50", "100.00", "20260912")
    assert [line["amount"] for line in row["lines"]] == ["1500.00", "-500.50", "-100.00"]
    assert [(line["origin"] or "").partition(",")[0] for line in row["lines"]] == ["purchase.line"] * 2 + [""]
    assert [len(line["analytic_accounts"]) for line in row["lines"][:2]] == [3, 3]
    found = only(erp, voucher)
    assert found.equals(voucher)
    assert (found.contract_erp, found.batch_code, found.state) == ("SC-1001", "20260912", "unposted")


def test_a_note_says_where_the_attachments_are(erp: Connector, tryton_company: TrytonCompany):
    places = ("lien waiver.pdf: https://procore.example/1", "photos.zip: https://procore.example/2")
    erp.create([a_voucher(1), a_voucher(2, attachments=places)])
    records = [f"account.invoice,{only(erp, a_voucher(number)).document_id_erp}" for number in (1, 2)]
    clerk = Tryton(*(tryton_company.settings[name] for name in ("url", "database", "user", "password")))
    notes = [
        [row["message"] for row in clerk.rows("ir.note", [("resource", "=", each)], "message")] for each in records
    ]
    clerk.close()

    assert notes == [[], ["\n".join(places)]]


def test_what_cannot_be_booked_is_refused_with_every_reason_and_the_others_are_taken(
    erp: Connector, tryton_company: TrytonCompany
):
    wrong = a_voucher(2, vendor_erp="NOBODY", lines=(a_voucher_line(phase="99999"),))
    outcomes = erp.create([a_voucher(1), wrong, a_voucher(3, vendor_erp="STEEL01"), a_voucher(4)])

    assert [type(each) for each in outcomes] == [Created, Refused, Refused, Created]
    assert isinstance(outcomes[1], Refused)
    assert outcomes[1].reasons == (
        "Vendor NOBODY does not exist",
        "Phase 99999 of job 24001 does not exist, or is closed",
        "Subcontract SC-1001 is not signed, or has no line of phase 99999, cost type S",
    )
    assert isinstance(outcomes[2], Refused)
    assert outcomes[2].reasons[0] == "Vendor STEEL01 is not active"
    assert [row["Invoice_Number"] for row in ours(tryton_company)] == ["APP-1", "APP-4"]


def test_one_that_tryton_refuses_takes_no_other_of_its_batch_with_it(erp: Connector, tryton_company: TrytonCompany):
    erp.create([a_voucher(3, "77.00", retention=Decimal(0))])
    outcomes = erp.create([a_voucher(number) for number in range(1, 8)])

    assert [type(each) for each in outcomes] == [Created, Created, Refused, Created, Created, Created, Created]
    assert isinstance(outcomes[2], Refused)
    assert "unique" in outcomes[2].reasons[0].lower()
    assert sorted(row["Invoice_Number"] for row in ours(tryton_company)) == [f"APP-{number}" for number in range(1, 8)]


def test_creating_twice_creates_once(erp: Connector, tryton_company: TrytonCompany):
    first = erp.create([a_voucher(1), a_voucher(2)])
    second = erp.create([a_voucher(1), a_voucher(2), a_voucher(3)])

    assert second[:2] == first
    assert len(ours(tryton_company)) == 3


def test_an_answer_that_is_lost_half_way_through_a_divided_batch_is_unconfirmed(
    erp: Connector, tryton_company: TrytonCompany
):
    erp.create([a_voucher(4, "77.00", retention=Decimal(0))])
    tryton_company.fault(CREATE, "latency", times=2, seconds=0)  # the whole, and its first half
    tryton_company.fault(CREATE, "429", retry_after=3600)
    with pytest.raises(UnconfirmedError):
        erp.create([a_voucher(number) for number in (1, 2, 3, 4)])

    assert [row["Invoice_Number"] for row in ours(tryton_company)] == ["APP-4", "APP-1", "APP-2"]


@pytest.mark.parametrize("status", [503, 403])
def test_a_look_that_fails_after_a_part_of_the_batch_was_written_leaves_the_whole_unconfirmed(
    erp: Connector, tryton_company: TrytonCompany, status: int
):
    erp.create([a_voucher(2, "77.00", retention=Decimal(0))])
    tryton_company.fault("account.invoice.search_read", "5xx_before", status=status)
    with pytest.raises(UnconfirmedError):
        erp.create([a_voucher(1), a_voucher(2)])

    assert [row["Invoice_Number"] for row in ours(tryton_company)] == ["APP-2", "APP-1"]


def test_what_took_too_long_to_prepare_is_not_sent(tryton_company: TrytonCompany):
    moments = iter((0.0, 20.0))
    erp = Connector(Settings(**tryton_company.settings | {"timeout": 20.0}), monotonic=lambda: next(moments))
    with pytest.raises(TransientError, match="too much time went by"):
        erp.create([a_voucher()])
    erp.close()

    assert ours(tryton_company) == []


def test_a_draft_is_changed_and_stays_the_same_document(erp: Connector, tryton_company: TrytonCompany):
    [created] = erp.create([a_voucher()])
    changed = a_voucher(1, "1250.25", retention=Decimal("125.03"), invoice_number="APP-1 corrected")
    outcome = erp.update(changed)
    [row] = ours(tryton_company)

    assert outcome == created
    assert only(erp, changed).equals(changed)
    assert [line["amount"] for line in row["lines"]] == ["1250.25", "-125.03"]


def test_only_a_draft_is_changed(erp: Connector, tryton_company: TrytonCompany):
    absent = erp.update(a_voucher(2))
    erp.create([a_voucher()])
    tryton_company.control("post", {"invoices": [["CONC01", "APP-1"]]})
    posted = erp.update(a_voucher(1, "1.00", retention=Decimal(0)))

    assert isinstance(absent, Refused)
    assert absent.reasons == ("Tryton holds 0 invoices with its key",)
    assert isinstance(posted, Refused)
    assert posted.reasons == ("it is posted in Tryton; only a draft is changed",)
    assert [row["Invoice_Amount"] for row in ours(tryton_company)] == ["1000.00"]


def test_the_number_of_a_voided_invoice_may_be_used_again(erp: Connector, tryton_company: TrytonCompany):
    erp.create([a_voucher()])
    tryton_company.control("invoices/void", who(1))
    [again] = erp.create([a_voucher()])

    assert isinstance(again, Created)
    assert [each.state for each in erp.find([a_voucher()])[a_voucher().key]] == ["void", "unposted"]


def test_payments_come_with_their_checks_in_part_and_voided(erp: Connector, tryton_company: TrytonCompany):
    erp.create([a_voucher(1), a_voucher(2)])
    tryton_company.control("post", {"batch_code": "20260912"})
    partly = {"invoice_number": "APP-1", "amount": "400.00"}
    both = [partly, {"invoice_number": "APP-2"}]
    run = tryton_company.control("checks", {"vendor_code": "CONC01", "applications": both})
    first = {each.invoice_number: each for each in erp.payments(None)}
    since = max(each.changed_at for each in first.values() if each.changed_at)
    tryton_company.control("checks", {"vendor_code": "CONC01", "applications": [{"invoice_number": "APP-1"}]})
    tryton_company.control(f"checks/{run['check_numbers'][0]}/void")
    news = [
        (each.invoice_number, each.amount, each.is_void) for each in erp.payments(since + timedelta(microseconds=1))
    ]

    assert {number: (each.amount, each.check_number) for number, each in first.items()} == {
        "APP-1": (Decimal("400.00"), run["check_numbers"][0]),
        "APP-2": (Decimal("900.00"), run["check_numbers"][1]),
    }
    assert {(each.method, each.vendor_erp, each.company_erp, each.is_void) for each in first.values()} == {
        ("check", "CONC01", "Acme Builders", False)
    }
    assert set(news) >= {("APP-1", Decimal("400.00"), True), ("APP-1", Decimal("500.00"), False)}
    assert [each.state for each in erp.find([a_voucher(2)])[a_voucher(2).key]] == ["posted"]


def test_the_books_are_read_as_tryton_has_them(erp: Connector):
    found = erp.reference()

    assert (found.company_erp, found.currency) == ("Acme Builders", "USD")
    assert {each.code: each.is_active for each in found.vendors if each.code in ("CONC01", "STEEL01", "OLD01")} == {
        "CONC01": True,
        "STEEL01": False,
        "OLD01": False,
    }
    assert {each.number: each.is_active for each in found.jobs} == {"24001": True, "23009": False}
    phases = {(each.job, each.phase, each.cost_type): (each.is_active, each.gl_account) for each in found.phases}
    assert phases["24001", "03100", "S"] == (True, "50200")
    assert phases["24001", "03300", "M"] == (True, "50100")
    assert not phases["24001", "05100", "S"][0]
    assert [(each.number, each.vendor, each.job, each.is_active) for each in found.subcontracts] == [
        ("SC-1001", "CONC01", "24001", True)
    ]
    assert found.open_from == date(2025, 1, 1)


def test_the_preflight_proves_that_the_user_cannot_post(erp: Connector, tryton_company: TrytonCompany):
    accounting = connect(tryton_company, user=ACCOUNTING, password=PASSWORD_OF[ACCOUNTING])
    problems = accounting.check()
    accounting.close()

    assert erp.check() == []
    assert [(each.check, each.is_blocking) for each in problems] == [("rights", True)] * 2
    assert problems[1].message == "the user accounting may post"


def test_the_preflight_proves_that_a_second_invoice_is_refused(
    erp: Connector, tryton_company: TrytonCompany, tryton_server: TrytonServer
):
    before = tryton_company.look("invoices")
    kept = erp.check()
    tryton_server.databases.execute(tryton_company.settings["database"], "DROP INDEX account_invoice_tieout_key")
    [problem] = erp.check()

    assert erp.capabilities.refuses_duplicates
    assert kept == []
    assert (problem.check, problem.is_blocking) == ("duplicates", True)
    assert tryton_company.look("invoices") == before


def test_a_session_that_ended_is_begun_again(erp: Connector, tryton_company: TrytonCompany):
    erp.create([a_voucher(1)])
    tryton_company.fault(CREATE, "5xx_before", status=401)
    [created] = erp.create([a_voucher(2)])

    assert isinstance(created, Created)
    assert tryton_company.look("requests")["by_route"]["POST /common.db.login"] == 2


def test_a_wrong_password_is_a_matter_of_settings(tryton_company: TrytonCompany):
    erp = connect(tryton_company, password="not-the-right-one")
    with pytest.raises(SettingsError):
        erp.find([a_voucher()])
    erp.close()


@pytest.mark.parametrize("wrong", [{"company": "Nobody"}, {"retention_account": "9"}, {"job_root": "JOBS"}], ids=str)
def test_what_the_settings_name_and_tryton_does_not_have_is_told(tryton_company: TrytonCompany, wrong: dict[str, str]):
    erp = connect(tryton_company, **wrong)
    problems = erp.check()
    erp.close()

    assert [(each.check, each.is_blocking) for each in problems] == [("set-up", True)]
    assert next(iter(wrong.values())) in problems[0].message or next(iter(wrong)) in problems[0].message


def test_a_refusal_is_told_without_the_definition_of_the_field(tryton_company: TrytonCompany):
    clerk = Tryton(*(tryton_company.settings[name] for name in ("url", "database", "user", "password")))
    [payable, *_] = clerk.rows("account.account", [("type.payable", "=", True)], "code")
    clerk.close()
    erp = connect(tryton_company, retention_account=payable["code"])
    [refused] = erp.create([a_voucher()])
    [problem] = erp.check()
    erp.close()

    assert isinstance(refused, Refused)
    assert "is not valid according to its domain" in refused.reasons[0]
    assert len(refused.reasons[0]) <= 300
    assert (problem.check, problem.is_blocking) == ("retention", True)


def test_the_connector_is_found_by_its_name(tryton_company: TrytonCompany, monkeypatch: pytest.MonkeyPatch):
    for name, value in tryton_company.settings.items():
        monkeypatch.setenv(f"TIEOUT_TRYTON__{name.upper()}", str(value))
    erp = open_erp("tryton", settings.read())

    assert erp.check() == []
    erp.close()
