"""Settings: one `tieout.toml` (path in TIEOUT_CONFIG) with environment variables TIEOUT_<SECTION>__<NAME> on top.

Secrets come from the environment only and are SecretStr. Settings are read where a resource is opened, never at import.
"""

import os
import tomllib
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnparsedError

from data_contracts.contract import Contract
from data_contracts.mail import is_address
from tieout.errors import SettingsError


class Section(BaseSettings):
    """A table of `tieout.toml`; the environment wins over the file."""

    model_config = SettingsConfigDict(extra="forbid", env_nested_delimiter="__", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let environment variables override what the file says."""
        return env_settings, init_settings


class Company(Section):
    """The contractor: its ERP, its calendar and currency."""

    name: str = "Company"
    erp: str = "spectrum"
    time_zone: str = "America/New_York"
    currency: str = "USD"

    @field_validator("time_zone")
    @classmethod
    def _must_exist(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name!r} is not a time zone of the IANA list") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The company's time zone, in which its days and weeks begin."""
        return ZoneInfo(self.time_zone)


class LedgerSection(Section):
    """Where the ledger is; a password in the URL belongs into TIEOUT_LEDGER__URL."""

    url: SecretStr = SecretStr("sqlite:///.tieout/ledger.sqlite")


class Export(Section):
    """How the export is cut into pieces and how patient it is."""

    chunk: int = Field(50, ge=1, le=500)
    attempts: int = Field(4, ge=1)
    retry_delay_seconds: float = Field(10.0, ge=0)
    lease_seconds: float = Field(300.0, gt=0)
    lock: Literal["origin_id", "watch"] = "origin_id"
    writers: int = Field(4, ge=1, le=16)

    @property
    def lease(self) -> timedelta:
        """How long a claimed invoice stays with its claimer."""
        return timedelta(seconds=self.lease_seconds)


class Approval(Section):
    """How a decision is tied to a person. `name` proves nothing: it is for the sandbox and the demo."""

    proof: Literal["totp", "name"] = "totp"
    key: SecretStr = SecretStr("")
    review_days: int = Field(14, ge=1)


class Mail(Section):
    """Through which server mail leaves, and who is told of nights and alarms; without a host nobody is."""

    host: str = ""
    port: int = Field(587, ge=1, le=65535)
    security: Literal["none", "starttls", "tls"] = "starttls"
    user: str = ""
    password: SecretStr = SecretStr("")
    ca_file: Path | None = None
    sender: str = ""
    timeout: float = Field(20.0, gt=0)
    notify_sender: bool = True
    operators: tuple[str, ...] = ()

    @field_validator("sender", "operators")
    @classmethod
    def _must_be_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for each in [value] if isinstance(value, str) else value:
            if each and not is_address(each):
                raise ValueError(f"{each!r} is not an e-mail address")
        return value

    @model_validator(mode="after")
    def _must_fit(self) -> Self:
        if self.host and not self.sender:
            raise ValueError("a sender is needed")
        if self.user and self.security == "none":
            raise ValueError("a password is not sent without TLS: set security, or leave out the user")
        return self

    @property
    def is_on(self) -> bool:
        """Whether anybody is told anything by mail."""
        return bool(self.host)


class Person(BaseModel):
    """Somebody who may act, with the rights of Procore's Company Directory that its API does not tell."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=1, max_length=200)
    email: str = ""
    erp_integrations: Literal["none", "read_only", "standard", "admin"] = "none"
    can_push_to_accounting: bool = False
    commitments_admin: tuple[int, ...] | Literal["all"] = ()  # Procore project ids


class _People(Section):
    people: tuple[Person, ...] = ()

    @field_validator("people")
    @classmethod
    def _must_differ(cls, people: tuple[Person, ...]) -> tuple[Person, ...]:
        names = [person.name.casefold() for person in people]
        if len(names) != len(set(names)):
            raise ValueError("two of them have the same name")
        return people


class Prefect(Section):
    """Where the operator's screen is, for links, which pool runs the flows, and when they are looked after."""

    ui_url: str = "http://127.0.0.1:4200"
    work_pool: str = "tieout"
    schedule: str = "0 1 * * *"
    watch_schedule: str = "*/30 * * * *"
    silent_seconds: float = Field(600.0, gt=0)
    notification_block: str = Field("", pattern="^([^/]+/[^/]+)?$")

    @property
    def silence(self) -> timedelta:
        """How long a run that works may give no sign of life before it counts as dead."""
        return timedelta(seconds=self.silent_seconds)


class Watch(Section):
    """After how many hours it is an alarm that something has not moved."""

    night_hours: float = Field(26.0, gt=0)
    payments_hours: float = Field(26.0, gt=0)
    listing_hours: float = Field(50.0, gt=0)
    exporting_hours: float = Field(1.0, gt=0)
    uncertain_hours: float = Field(48.0, gt=0)
    waiting_hours: float = Field(26.0, gt=0)
    review_hours: float = Field(72.0, gt=0)


class Grid(Section):
    """How the list of a project's invoices is kept."""

    folder: str = ".tieout/grids"
    rows: int = Field(500, ge=1, le=5_000)


class Quality(Section):
    """How it is shown how often each rule was broken."""

    folder: str = ".tieout/quality"
    days: int = Field(30, ge=1, le=366)
    url: str = ""


# A missing paper: hold the invoice, export it with its payment on hold, tell of it, or do not even ask for papers.
PaperGravity = Literal["stop", "pay_hold", "warn", "allow"]


class Policy(Contract):
    """What the company has decided; versioned in the ledger and stored with every decision."""

    auto_send_statuses: tuple[str, ...] = ("approved",)  # AM-4
    auto_accept_projects: tuple[int, ...] = ()
    skip_projects: tuple[int, ...] = ()
    batch_weekday: int = Field(5, ge=0, le=6)  # Monday is 0; Saturday ends the Sunday-to-Saturday week (AM-1)
    over_billing: Literal["stop", "warn", "allow"] = "warn"
    closed_period: Literal["hold", "first_open"] = "first_open"
    invoice_number: Literal["alone", "with_commitment"] = "alone"  # A10, C15
    insurance: PaperGravity = "allow"  # C3.17
    compliance_documents: PaperGravity = "allow"
    lien_waiver: PaperGravity = "allow"

    @property
    def asks_for_papers(self) -> bool:
        """Whether Procore must be asked how the papers of those who want to be paid stand."""
        return {self.insurance, self.compliance_documents, self.lien_waiver} != {"allow"}


_VALUES: dict[str, Any] = {name: (info.annotation, info) for name, info in Policy.model_fields.items()}
_PolicySection = create_model("_PolicySection", __base__=Section, **_VALUES)  # read as any other section


class MappingSection(Section):
    """Where the versioned table of codes is."""

    csv: Path | None = None


AnySection = TypeVar("AnySection", bound=Section)


def read_section(model: type[AnySection], name: str) -> AnySection:
    """Return the section `name` as the given model; SettingsError names what is missing or wrong, never its value."""
    section: AnySection = _section(model, name, *_sources())
    return section


@lru_cache  # steps ask all the time; what was read stands as long as its sources say the same
def _section(model: type[AnySection], name: str, path: Path, text: str, _environment: frozenset[Any]) -> AnySection:
    table = _parsed(path, text).get(name, {})
    if not isinstance(table, dict):
        raise SettingsError("Settings", f"[{name}]", "it must be a table")
    return _checked(model, name, table, f"TIEOUT_{name.upper()}__")


def _checked(model: type[AnySection], name: str, table: dict[str, Any], prefix: str) -> AnySection:
    try:
        return model(_env_prefix=prefix, **table)
    except UnparsedError as error:
        field = str(error).partition('"')[2].partition('"')[0]
        words = f"{field}: {prefix}{field.upper()} must be written as JSON, for example [1, 2]"
        raise SettingsError("Settings", f"[{name}]", words) from None
    except ValidationError as error:
        told = ((".".join(map(str, each["loc"])), each["msg"]) for each in error.errors())
        problems = "; ".join(f"{place}: {words}" if place else words for place, words in told)
        raise SettingsError("Settings", f"[{name}]", problems) from None


def company() -> Company:
    """Return the contractor's section."""
    return read_section(Company, "company")


def export() -> Export:
    """Return how exporting is done."""
    return read_section(Export, "export")


def approval() -> Approval:
    """Return how decisions are tied to people; SettingsError when the key stands in the file."""
    section = read_section(Approval, "approval")
    if "key" in _config_file().get("approval", {}):
        raise SettingsError("Settings", "[approval]", "key belongs into the environment only, TIEOUT_APPROVAL__KEY")
    return section


def people() -> dict[str, Person]:
    """Return who may act, by name: the tables `[[people]]`, or all of them as JSON in TIEOUT_PEOPLE."""
    found = {name: value for name, value in _config_file().items() if name == "people"}
    return {person.name: person for person in _checked(_People, "people", found, "TIEOUT_").people}


def mail() -> Mail:
    """Return how mail leaves; a relative path of `ca_file` begins where `tieout.toml` is."""
    section = read_section(Mail, "mail")
    ca_file = section.ca_file and _config_path().parent / section.ca_file
    return section.model_copy(update={"ca_file": ca_file})


def prefect_section() -> Prefect:
    """Return where Prefect is."""
    return read_section(Prefect, "prefect")


def watch() -> Watch:
    """Return when the alarms ring."""
    return read_section(Watch, "watch")


def ledger_url() -> str:
    """Return the ledger's database URL."""
    return read_section(LedgerSection, "ledger").url.get_secret_value()


def policy() -> Policy:
    """Return the policy as the file and the environment state it now."""
    return Policy(**read_section(_PolicySection, "policy").model_dump())


def policy_with(changes: dict[str, Any]) -> Policy:
    """Return the policy of now with some of its values changed; SettingsError names what is unknown or wrong."""
    values = {**policy().model_dump(), **changes}
    return Policy(**_checked(_PolicySection, "policy", values, "TIEOUT_NOT_FROM_THE_ENVIRONMENT__").model_dump())


def mapping_csv() -> Path | None:
    """Return the path of the mapping table; a relative one begins where `tieout.toml` is."""
    path = read_section(MappingSection, "mapping").csv
    return path and _config_path().parent / path


def grid() -> Grid:
    """Return how the list of a project's invoices is kept."""
    return read_section(Grid, "grid")


def grid_folder() -> Path:
    """Return where those lists are written as CSV; a relative path begins where `tieout.toml` is."""
    return _config_path().parent / grid().folder


def quality() -> Quality:
    """Return how the pages about the rules are kept."""
    return read_section(Quality, "quality")


def quality_folder() -> Path:
    """Return where those pages are; a relative path begins where `tieout.toml` is."""
    return _config_path().parent / quality().folder


def _config_path() -> Path:
    return Path(os.environ.get("TIEOUT_CONFIG", "tieout.toml")).absolute()


def _config_file() -> dict[str, Any]:
    path, text, _ = _sources()
    return _parsed(path, text)


def _sources() -> tuple[Path, str, frozenset[tuple[str, str]]]:
    """Return all that settings are read from: where the file is, what it says, and our part of the environment."""
    path = _config_path()
    ours = frozenset(each for each in os.environ.items() if each[0].upper().startswith("TIEOUT_"))
    try:
        return path, path.read_text() if path.is_file() else "", ours
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError("Settings", str(path), str(error)) from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError("Settings", str(path), str(error)) from None
