"""Settings: one file, the environment on top, secrets in the environment only, refusals that name what is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest
from builders import an_office

from tieout import opening, settings
from tieout.connectors import procore, spectrum
from tieout.errors import SettingsError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tieout.toml"
    monkeypatch.setenv("TIEOUT_CONFIG", str(path))
    return path


def test_without_a_file_the_defaults_hold(config: Path):
    assert settings.read().company.erp == "spectrum"
    assert settings.read().policy.auto_send_statuses == ("approved",)  # AM-4
    assert settings.read().policy.batch_weekday == 5  # AM-1: the Saturday that ends the week
    assert settings.read().policy.auto_accept_projects == ()
    assert settings.read().export.lease == timedelta(seconds=300)
    assert settings.read().mapping_csv is None


def test_the_environment_wins_over_the_file(config: Path, monkeypatch: pytest.MonkeyPatch):
    config.write_text('[company]\nname = "Acme"\ntime_zone = "America/Denver"\n[policy]\nskip_projects = [7, 8]\n')
    monkeypatch.setenv("TIEOUT_COMPANY__NAME", "Other")

    assert (settings.read().company.name, str(settings.read().company.zone)) == ("Other", "America/Denver")
    assert settings.read().policy.skip_projects == (7, 8)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[company]\ntime_zone = 'Nowhere/Atall'\n", "time_zone: .*not a time zone of the IANA list"),
        ("[company]\nnmae = 'x'\n", "nmae: Extra inputs are not permitted"),
        ("[company\n", "tieout.toml"),
        ("company = 3\n", "must be a table"),
        ("[company]\nname = '\udce9'\n", "tieout.toml"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(config: Path, text: str, problem: str):
    config.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SettingsError, match=problem):
        _ = settings.read().company


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("export", "chunk", "0"),
        ("export", "chunk", "501"),
        ("export", "lock", "paint"),
        ("export", "lease_seconds", "0"),
        ("policy", "batch_weekday", "7"),
        ("policy", "over_billing", "maybe"),
        ("policy", "skip_projects", "x"),
        ("approval", "proof", "handshake"),
        ("watch", "night_hours", "0"),
    ],
)
def test_a_value_out_of_bounds_stops_before_anything_starts(
    config: Path, monkeypatch: pytest.MonkeyPatch, section: str, name: str, value: str
):
    monkeypatch.setenv(f"TIEOUT_{section.upper()}__{name.upper()}", value)
    with pytest.raises(SettingsError, match=rf"\[{section}\]"):
        getattr(settings.read(), section)


def test_secrets_are_neither_shown_nor_repeated_in_a_refusal(config: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIEOUT_PROCORE__CLIENT_SECRET", "s3cret")
    monkeypatch.setenv("TIEOUT_PROCORE__COMPANY_ID", "not a number")
    with pytest.raises(SettingsError) as refused:
        procore.Procore.from_settings(settings.read())
    monkeypatch.setenv("TIEOUT_LEDGER__URL", "postgresql://u:s3cret@h/d")

    assert "company_id" in str(refused.value)
    assert "client_id: Field required" in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(settings.read().section(settings.LedgerSection, "ledger"))


def test_a_ledger_url_that_cannot_be_used_is_not_repeated(config: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIEOUT_LEDGER__URL", "nonsense://u:s3cret@h/d")
    with pytest.raises(SettingsError) as refused:
        opening.open_ledger(an_office())

    assert "s3cret" not in str(refused.value)


def test_an_erp_without_settings_is_refused_by_section(config: Path):
    with pytest.raises(SettingsError, match=r"\[spectrum\].*authorization_id"):
        spectrum.Connector.from_settings(settings.read())


PERSON = '[[people]]\nname = " Kim Lee "\ncommitments_admin = [7, 8]\n'


def test_people_come_from_the_file_or_all_of_them_from_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch):
    assert settings.read().people == {}
    config.write_text(PERSON)
    assert settings.read().people == {"Kim Lee": settings.Person(name="Kim Lee", commitments_admin=(7, 8))}
    monkeypatch.setenv("TIEOUT_PEOPLE", '[{"name": "Sam", "commitments_admin": "all"}]')

    assert settings.read().people == {"Sam": settings.Person(name="Sam", commitments_admin="all")}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PERSON + PERSON.replace("Kim", "KIM"), "two of them have the same name"),
        ("[people]\nname = 'x'\n", "people: Input should be a valid tuple"),
        ("[[people]]\nemail = 'x'\n", "people.0.name: Field required"),
        ("[[people]]\nname = '  '\n", "people.0.name: "),
        ("[[people]]\nname = 'x'\nerp_integrations = 'owner'\n", "people.0.erp_integrations: "),
    ],
)
def test_what_is_wrong_with_people_is_named(config: Path, text: str, problem: str):
    config.write_text(text)
    with pytest.raises(SettingsError, match=problem):
        _ = settings.read().people


def test_the_key_of_the_codes_is_refused_in_the_file_and_not_repeated(config: Path):
    config.write_text('[approval]\nkey = "hunter2 hunter2 hunter2 hunter2 hunter2"\n')
    with pytest.raises(SettingsError, match="TIEOUT_APPROVAL__KEY") as refused:
        _ = settings.read().approval

    assert "hunter2" not in str(refused.value)
