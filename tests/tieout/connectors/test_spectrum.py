"""What is peculiar to Spectrum: its payload, its padded tables, its refusals, and what each lost answer means."""

import json
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from builders import a_voucher
from pydantic import SecretStr

from data_contracts.voucher import Created, Refused, Voucher
from tieout import settings
from tieout.connectors.base import open_erp
from tieout.connectors.spectrum import Connector, Settings, field_mapping
from tieout.errors import ContractError, SettingsError, TransientError, UnconfirmedError

SAMPLES = Path(__file__).parents[2] / "samples" / "spectrum"
WRITE = "^POST /vendor/invoice"


def settings_of(company: Any, **changes: Any) -> Settings:
    fields = {
        "url": company.url,
        "company_code": company.company_code,
        "authorization_id": SecretStr(company.authorization_id),
        "info_link_url": SecretStr(company.info_link_url),
        "timeout": 2.0,
    }
    return Settings(**fields | changes)


@pytest.fixture
def erp(spectrum_company: Any) -> Iterator[Connector]:
    connector = Connector(settings_of(spectrum_company), now=spectrum_company.clock)
    yield connector
    connector.close()


def inject(company: Any, route: str, kind: str, **more: Any) -> None:
    company.rest.post("/_sandbox/faults", json={"route": route, "kind": kind, **more}).raise_for_status()


def pay(company: Any, *applications: dict[str, Any]) -> str:
    check = company.control("checks", {"vendor_code": "CONC01", "applications": list(applications)})
    return str(check["check_number"])


@pytest.mark.parametrize("sample", sorted(path.stem for path in SAMPLES.glob("*[!d].json")))
def test_a_voucher_becomes_the_expected_payload(erp: Connector, sample: str) -> None:
    voucher = Voucher.model_validate_json((SAMPLES / f"{sample}.json").read_text())

    assert erp.preview(voucher) == json.loads((SAMPLES / f"{sample}.expected.json").read_text())


def test_every_sent_field_is_in_the_field_mapping(erp: Connector) -> None:
    payload = erp.preview(a_voucher())
    (detail,) = payload.pop("APInvoiceDetails")
    nested = [f"{name}.{field}" for name, each in detail.items() if isinstance(each, dict) for field in each]
    flat = [name for name, each in detail.items() if not isinstance(each, dict)]
    sent = {*payload, *(f"APInvoiceDetails.{name}" for name in nested + flat)}

    assert {name for name, _ in field_mapping()} == sent


def test_a_part_of_a_cent_is_not_sent(erp: Connector) -> None:
    with pytest.raises(ContractError):
        erp.preview(a_voucher(gross=Decimal("1000.005")))


def test_one_refused_invoice_does_not_take_the_others_with_it(erp: Connector) -> None:
    outcomes = erp.create([a_voucher(1), a_voucher(2, vendor_erp="NOBODY"), a_voucher(3)])

    assert [type(outcome) for outcome in outcomes] == [Created, Refused, Created]
    refused = outcomes[1]
    assert isinstance(refused, Refused)
    assert refused.reasons == (
        "Vendor NOBODY does not exist (Vendor_Code)",
        "Subcontract SC-1001 does not exist for vendor NOBODY (Contract_Number)",
    )


def test_what_was_created_is_found_by_key_in_every_state(erp: Connector, spectrum_company: Any) -> None:
    vouchers = [a_voucher(number) for number in (1, 2, 3, 4)]
    created = erp.create(vouchers[:3])
    one = {"vendor_code": "CONC01", "invoice_number": "APP-2"}
    spectrum_company.control("post", {"invoices": [["CONC01", "APP-2"], ["CONC01", "APP-3"]]})
    spectrum_company.control("invoices/void", one)
    found = erp.find(vouchers)

    states = [[each.state for each in found[voucher.key]] for voucher in vouchers]
    assert states == [["unposted"], ["void"], ["posted"], []]
    (first,) = found[vouchers[0].key]
    assert isinstance(created[0], Created)
    assert first.document_id_erp == created[0].document_id_erp
    assert first.equals(vouchers[0])
    assert first.batch_code == "20260912"
    assert not found[vouchers[1].key][0].equals(vouchers[1])


def test_an_unapproved_invoice_is_found(erp: Connector, spectrum_company: Any) -> None:
    voucher = a_voucher()
    spectrum_company.enter(erp.preview(voucher) | {"Approval_Status": "U"})

    assert [each.state for each in erp.find([voucher])[voucher.key]] == ["unapproved"]


def test_an_invoice_whose_key_a_clerk_removed_is_found_by_its_number(erp: Connector, spectrum_company: Any) -> None:
    voucher, stranger = a_voucher(), a_voucher(2, invoice_number="HAND-1")
    erp.create([voucher])
    fields = {"Remarks": "see Jane"}
    edit = {"vendor_code": "CONC01", "invoice_number": "APP-1", "fields": fields}
    spectrum_company.control("invoices/edit", edit)
    found = erp.find([voucher, stranger])

    assert [(each.key, each.equals(voucher)) for each in found[voucher.key]] == [(None, True)]
    assert [(each.key, each.equals(stranger)) for each in found[stranger.key]] == [(None, False)]


def test_two_records_with_our_key_are_both_reported(erp: Connector, spectrum_company: Any) -> None:
    voucher = a_voucher()
    erp.create([voucher])
    spectrum_company.enter(erp.preview(voucher) | {"Invoice_Number": "APP-1A"})

    assert len(erp.find([voucher])[voucher.key]) == 2


def test_a_find_of_many_keys_is_cut_into_queries_that_sql_server_takes(erp: Connector) -> None:
    vouchers = [a_voucher(number) for number in range(1, 460)]
    erp.create(vouchers[-1:])
    found = erp.find(vouchers)

    assert [key for key, there in found.items() if there] == [vouchers[-1].key]


@pytest.mark.parametrize("kind", ["5xx_before", "5xx_after", "reset_after", "slow_after", "truncated", "cut_off"])
def test_a_lost_answer_to_a_write_is_unconfirmed_and_found_by_looking(
    erp: Connector, spectrum_company: Any, kind: str
) -> None:
    quick = Connector(settings_of(spectrum_company, timeout=0.3))
    inject(spectrum_company, WRITE, kind, seconds=0.6)
    with pytest.raises(UnconfirmedError) as caught:
        quick.create([a_voucher()])
    quick.close()

    assert spectrum_company.authorization_id not in str(caught.value)
    expected = 0 if kind == "5xx_before" else 1
    give_up_at = time.monotonic() + 5  # a write may take effect after its client has given up
    while len(found := erp.find([a_voucher()])[a_voucher().key]) != expected and time.monotonic() < give_up_at:
        time.sleep(0.05)
    assert expected == len(found)


def test_429_on_a_write_is_waited_out_when_the_wait_is_short(erp: Connector, spectrum_company: Any) -> None:
    inject(spectrum_company, WRITE, "429", retry_after=0)

    assert isinstance(erp.create([a_voucher()])[0], Created)


def test_429_with_a_long_wait_is_transient_since_nothing_was_written(erp: Connector, spectrum_company: Any) -> None:
    inject(spectrum_company, WRITE, "429", retry_after=3600)

    with pytest.raises(TransientError):
        erp.create([a_voucher()])


def test_a_server_that_cannot_be_reached_is_transient(spectrum_company: Any) -> None:
    unreachable = Connector(settings_of(spectrum_company, url="http://127.0.0.1:9"))

    with pytest.raises(TransientError):
        unreachable.create([a_voucher()])


def test_wrong_credentials_are_a_settings_error_without_the_secret(spectrum_company: Any) -> None:
    wrong = Connector(settings_of(spectrum_company, authorization_id=SecretStr("WRONG-SECRET")))
    with pytest.raises(SettingsError) as caught:
        wrong.create([a_voucher()])

    assert "Authorization ID is not setup" in str(caught.value)
    assert "WRONG-SECRET" not in str(caught.value)


def test_a_call_refused_as_a_whole_refuses_each_invoice_with_a_remedy(spectrum_company: Any) -> None:
    wrong = Connector(settings_of(spectrum_company, url=f"{spectrum_company.url}/elsewhere"))
    outcomes = wrong.create([a_voucher(1), a_voucher(2)])

    assert [each.key for each in outcomes] == [a_voucher(1).key, a_voucher(2).key]
    assert all(isinstance(each, Refused) and "address in the settings" in each.reasons[0] for each in outcomes)


def test_an_unreadable_info_link_url_does_not_show_its_password(spectrum_company: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        Connector(settings_of(spectrum_company, info_link_url=SecretStr("no such://user:hunter2@host")))

    assert "hunter2" not in str(caught.value)


def test_a_missing_table_is_a_settings_error_and_a_missing_database_is_transient(
    erp: Connector, spectrum_company: Any
) -> None:
    spectrum_company.control("info_link", {"table": "VN_PAYMENT_HISTORY_MC", "enabled": False})
    nowhere = SecretStr("sqlite:///file:/nonexistent/spectrum.sqlite?mode=ro&uri=true")
    absent = Connector(settings_of(spectrum_company, info_link_url=nowhere))

    with pytest.raises(SettingsError, match="VN_PAYMENT_HISTORY_MC"):
        list(erp.payments(None))
    with pytest.raises(TransientError):
        absent.find([a_voucher()])


def test_reference_holds_the_master_data_without_blanks(erp: Connector) -> None:
    reference = erp.reference()

    assert [(each.code, each.is_active) for each in reference.vendors] == [
        ("CONC01", True),
        ("OLD01", False),
        ("STEEL01", False),
    ]
    assert {(each.job, each.phase, each.cost_type, each.gl_account) for each in reference.phases if each.is_active} == {
        ("24001", "03100", "S", "50200"),
        ("24001", "03300", "S", "50200"),
        ("23009", "03100", "S", "50200"),
    }
    assert {(each.number, each.vendor, each.job, each.is_active) for each in reference.subcontracts} == {
        ("SC-1001", "CONC01", "24001", True),
        ("SC-1002", "STEEL01", "24001", True),
        ("SC-0900", "CONC01", "23009", False),
    }
    assert [(each.number, each.is_active) for each in reference.jobs] == [("23009", False), ("24001", True)]
    assert (reference.open_from, reference.open_to) == (date(2026, 9, 1), date(2026, 9, 30))


def test_invoices_are_ours_only_and_since_a_moment(erp: Connector, spectrum_company: Any) -> None:
    erp.create([a_voucher(1), a_voucher(2)])
    later = spectrum_company.clock.now + timedelta(minutes=1)
    spectrum_company.clock.now = later
    spectrum_company.control("post", {"invoices": [["CONC01", "APP-2"]]})

    assert {each.invoice_number for each in erp.invoices(None)} == {"APP-1", "APP-2"}
    (changed,) = erp.invoices(later)
    assert (changed.invoice_number, changed.state, changed.changed_at) == ("APP-2", "posted", later)


def test_payments_come_one_for_each_application_with_voids(erp: Connector, spectrum_company: Any) -> None:
    erp.create([a_voucher(1), a_voucher(2)])
    spectrum_company.control("post")
    half = {"invoice_number": "APP-2", "amount": "400.00", "discount": "5.00"}
    check = pay(spectrum_company, {"invoice_number": "APP-1"}, half)
    spectrum_company.clock.now += timedelta(days=1)
    second = pay(spectrum_company, {"invoice_number": "APP-1", "kind": "retention"})
    spectrum_company.control(f"checks/{check}/void")
    since = spectrum_company.clock.now
    found = {(each.invoice_number, each.check_number): each for each in erp.payments(since)}

    assert set(found) == {("APP-1", check), ("APP-2", check), ("APP-1", second)}
    partial = found["APP-2", check]
    assert (partial.amount, partial.discount, partial.kind) == (Decimal("400.00"), Decimal("5.00"), "progress")
    assert (partial.is_void, partial.voided_on, partial.paid_on) == (True, date(2026, 9, 11), date(2026, 9, 10))
    assert found["APP-1", check].amount == Decimal("900.00")
    assert found["APP-1", second].kind == "retention"
    assert len({each.application_id_erp for each in erp.payments(None)}) == 4  # with the clerk's own check


def test_a_check_that_is_not_posted_is_no_payment(erp: Connector, spectrum_company: Any) -> None:
    erp.create([a_voucher()])
    spectrum_company.control("post")
    before = len(list(erp.payments(None)))
    check = {"vendor_code": "CONC01", "applications": [{"invoice_number": "APP-1"}], "is_posted": False}
    spectrum_company.control("checks", check)

    assert len(list(erp.payments(None))) == before


def test_a_sound_company_has_no_problems(erp: Connector) -> None:
    assert erp.check() == []


def test_preflight_names_each_thing_that_stands_in_the_way(erp: Connector, spectrum_company: Any) -> None:
    spectrum_company.control("period", {"first_day": None, "last_day": None})
    spectrum_company.control("authorization", {"enabled": False})
    unset = erp.check()
    spectrum_company.control("authorization", {"enabled": True})
    spectrum_company.control("period", {"first_day": "2026-10-01", "last_day": "2026-10-31"})
    closed = erp.check()
    spectrum_company.control("info_link", {"table": "JC_JOB_MASTER_MC", "enabled": False})
    unreadable = erp.check()

    assert [(each.check, each.is_blocking) for each in unset] == [("credentials", True), ("period", True)]
    assert [(each.check, each.is_blocking) for each in closed] == [("period", False)]
    assert [each.check for each in unreadable] == ["tables"]
    assert "JC_JOB_MASTER_MC" in unreadable[0].remedy


def test_the_connector_is_opened_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"URL": "http://127.0.0.1:9", "COMPANY_CODE": "ACM", "AUTHORIZATION_ID": "S", "INFO_LINK_URL": "sqlite://"}
    for name, value in facts.items():
        monkeypatch.setenv(f"TIEOUT_SPECTRUM__{name}", value)
    erp = open_erp("spectrum", settings.read())

    assert erp.capabilities.name == "spectrum"
    erp.close()
