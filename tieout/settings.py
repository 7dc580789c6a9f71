"""Settings: one `tieout.toml` (path in TIEOUT_CONFIG) with environment variables TIEOUT_<SECTION>__<NAME> on top.

Secrets come from the environment only and are SecretStr. A step reads the settings once, at its door, and hands them
down: what works never reads them itself, and a change takes effect with the next step.
"""

import os
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
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
from pydantic_settings import EnvSettingsSource
from pydantic_settings import SettingsError as UnparsedError

from data_contracts.contract import Contract
from data_contracts.mail import is_address
from tieout.errors import SettingsError


class Section(BaseModel):
    """A table of `tieout.toml`; the environment wins over the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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

    folder: Path = Path(".tieout/grids")
    rows: int = Field(500, ge=1, le=5_000)


class Quality(Section):
    """How it is shown how often each rule was broken."""

    folder: Path = Path(".tieout/quality")
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


class Settings:
    """All that the company has set, as the file and the environment said it when they were read; it never changes.

    A section is understood when it is first asked for: one that is wrong raises SettingsError, which names what is
    missing or wrong and never its value, and stops only what needs it.
    """

    def __init__(self, path: Path, text: str, environment: Mapping[str, str]) -> None:
        """Understand the text of the file at `path`; relative paths in it begin where it is."""
        self._folder, self._environment = path.parent, environment
        try:
            self._file = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError("Settings", str(path), str(error)) from None

    def section(self, model: type[AnySection], name: str) -> AnySection:
        """Return the section `name` as the given model."""
        table = self._file.get(name, {})
        if not isinstance(table, dict):
            raise SettingsError("Settings", f"[{name}]", "it must be a table")
        return self._checked(model, name, table, f"TIEOUT_{name.upper()}__")

    @cached_property
    def company(self) -> Company:
        """The contractor."""
        return self.section(Company, "company")

    @cached_property
    def export(self) -> Export:
        """How exporting is done."""
        return self.section(Export, "export")

    @cached_property
    def approval(self) -> Approval:
        """How decisions are tied to people; SettingsError when the key stands in the file."""
        section = self.section(Approval, "approval")
        if "key" in self._file.get("approval", {}):
            words = "key belongs into the environment only, TIEOUT_APPROVAL__KEY"
            raise SettingsError("Settings", "[approval]", words)
        return section

    @cached_property
    def people(self) -> dict[str, Person]:
        """Who may act, by name: the tables `[[people]]`, or all of them as JSON in TIEOUT_PEOPLE."""
        found = {name: value for name, value in self._file.items() if name == "people"}
        return {person.name: person for person in self._checked(_People, "people", found, "TIEOUT_").people}

    @cached_property
    def mail(self) -> Mail:
        """How mail leaves."""
        section = self.section(Mail, "mail")
        return section.model_copy(update={"ca_file": section.ca_file and self._folder / section.ca_file})

    @cached_property
    def prefect(self) -> Prefect:
        """Where Prefect is."""
        return self.section(Prefect, "prefect")

    @cached_property
    def watch(self) -> Watch:
        """When the alarms ring."""
        return self.section(Watch, "watch")

    @cached_property
    def grid(self) -> Grid:
        """How the list of a project's invoices is kept."""
        section = self.section(Grid, "grid")
        return section.model_copy(update={"folder": self._folder / section.folder})

    @cached_property
    def quality(self) -> Quality:
        """How the pages about the rules are kept."""
        section = self.section(Quality, "quality")
        return section.model_copy(update={"folder": self._folder / section.folder})

    @cached_property
    def ledger_url(self) -> str:
        """The ledger's database URL."""
        return self.section(LedgerSection, "ledger").url.get_secret_value()

    @cached_property
    def policy(self) -> Policy:
        """What the company has decided."""
        return Policy(**self.section(_PolicySection, "policy").model_dump())

    def policy_with(self, changes: dict[str, Any]) -> Policy:
        """Return the policy with some of its values changed; SettingsError names what is unknown or wrong."""
        return Policy(**_valid(_PolicySection, "policy", {**self.policy.model_dump(), **changes}).model_dump())

    @cached_property
    def mapping_csv(self) -> Path | None:
        """The path of the mapping table."""
        path = self.section(MappingSection, "mapping").csv
        return path and self._folder / path

    def _checked(self, model: type[AnySection], name: str, table: dict[str, Any], prefix: str) -> AnySection:
        source = EnvSettingsSource(model, env_prefix=prefix)  # type: ignore[arg-type]  # it asks for its fields only
        source.env_vars = self._environment
        try:
            given = source()
        except UnparsedError as error:
            field = str(error).partition('"')[2].partition('"')[0]
            words = f"{field}: {prefix}{field.upper()} must be written as JSON, for example [1, 2]"
            raise SettingsError("Settings", f"[{name}]", words) from None
        return _valid(model, name, {**table, **given})


def _valid(model: type[AnySection], name: str, values: dict[str, Any]) -> AnySection:
    try:
        return model(**values)
    except ValidationError as error:
        told = ((".".join(map(str, each["loc"])), each["msg"]) for each in error.errors())
        problems = "; ".join(f"{place}: {words}" if place else words for place, words in told)
        raise SettingsError("Settings", f"[{name}]", problems) from None


def read() -> Settings:
    """Read what the company has set; SettingsError where the file cannot be read."""
    path = Path(os.environ.get("TIEOUT_CONFIG", "tieout.toml")).absolute()
    ours = {name.lower(): value for name, value in os.environ.items() if name.upper().startswith("TIEOUT_")}
    try:
        return Settings(path, path.read_text(encoding="utf-8") if path.is_file() else "", ours)
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError("Settings", str(path), str(error)) from None
