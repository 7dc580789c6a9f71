"""The pages of docs/ say what the code does: errors, settings, generated pages, links, the tutorial's facts."""

import inspect
import re
import sys
import tomllib
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from data_contracts.rules import RULES
from docs.pages import pages
from tieout import errors, settings
from tieout.connectors import procore
from tieout.connectors.base import ERP, available_erps
from tieout.export import reasons, vouchers
from tieout.ledger import states
from tieout.sandbox.contractor.contractor import build
from tieout.views.run_report import ALARM, FINISHED_WITH_FAILURES
from tieout.views.standing import DRIFTED, FAILING, SUPERSEDED, TO_RELEASE
from tieout.watch import alarms

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
SECTIONS: dict[str, type[BaseModel]] = {
    "company": settings.Company,
    "procore": procore.Settings,
    **{name: import_module(f"tieout.connectors.{name}").Settings for name in available_erps()},
    "ledger": settings.LedgerSection,
    "mapping": settings.MappingSection,
    "export": settings.Export,
    "approval": settings.Approval,
    "mail": settings.Mail,
    "people": settings.Person,
    "prefect": settings.Prefect,
    "watch": settings.Watch,
    "grid": settings.Grid,
    "quality": settings.Quality,
    "policy": settings._PolicySection,
}
_THE_SANDBOX_IS_THE_SAME_ON = (date(2026, 11, 22), date(2027, 2, 3))


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path):
    targets = re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))

    assert [target for target in targets if "://" not in target and not leads_somewhere(page, target)] == []


def leads_somewhere(page: Path, target: str) -> bool:
    place, _, anchor = target.partition("#")
    path = page.parent / place if place else page
    if not path.exists() or not anchor:
        return path.exists()
    headings = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in map(slug, headings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_is_there(page: Path):
    pictures = re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))

    assert [each for each in pictures if not (page.parent / each).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_one_sentence_a_line(page: Path):
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "- ", "!", "    "))]
    several = [line for line in lines if re.search(r"[a-z)][.!?] +[A-Z]", line)]

    assert several == []


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_as_the_code_would_write_it(name: str):
    assert read(name) == pages()[name], "stale: run `python -m tieout.cli.docs`"


def test_the_runbook_has_a_heading_for_every_error():
    ours = inspect.getmembers(errors, lambda each: inspect.isclass(each) and issubclass(each, errors.TieoutError))
    concrete = {name for name, each in ours if each is not errors.TieoutError}
    headings = re.findall(r"^### (\w+Error)$", read("runbook.md"), re.MULTILINE)

    assert sorted(headings) == sorted(concrete)


def test_the_runbook_has_a_heading_for_everything_an_operator_sees_fail():
    headings = re.findall(r"^## (.*)$", read("runbook.md"), re.MULTILINE)

    seen = {*FAILING.values(), DRIFTED, TO_RELEASE, ALARM, FINISHED_WITH_FAILURES, SUPERSEDED, "Ready to Export"}
    assert seen - set(headings) == set()


def test_the_runbook_has_a_heading_for_every_cause_that_is_no_rule():
    told = set(re.findall(r"^### ([a-z-]+)$", read("runbook.md"), re.MULTILINE))

    sources = [inspect.getsource(module) for module in (reasons, vouchers)]
    causes = {reasons.TRANSIENT, reasons.UNREADABLE, *re.findall(r'\brule(?:=|, .* = )"([a-z-]+)"', "".join(sources))}
    assert {"answer-lost", "two-in-erp", "figures-moved"} <= causes
    assert causes - told == set()


def test_the_runbook_leads_from_every_cause_that_is_a_rule_to_the_one_place_that_tells_of_it():
    [table] = re.findall(r"^### Causes that are rules\n(.*?)^#", read("runbook.md"), re.MULTILINE | re.DOTALL)
    led_to = re.findall(r"\[([a-z-]+)\]\(contracts\.md#([a-z-]+)\)", table)

    assert sorted(led_to) == sorted((rule.id, rule.id) for rule in RULES)


def test_the_guide_tells_of_every_deployment():
    deployed = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]

    assert {each["name"] for each in deployed} - set(re.findall(r"`([a-z-]+)`", read("operator.md"))) == set()


def test_the_runbook_has_a_heading_for_every_alarm():
    headings = re.findall(r"^### (.*)$", section(read("runbook.md"), "Alarm"), re.MULTILINE)

    assert headings == list(alarms.CHECKS)


def test_the_glossary_tells_every_state_once():
    told = re.findall(r"^\| ([A-Z_]+) \|", section(read("glossary.md"), "States of an item"), re.MULTILINE)

    assert sorted(told) == sorted(states.ALL)


def test_the_connector_page_tells_every_promise():
    promises = {name for name in vars(ERP) if not name.startswith("_")} | set(ERP.__annotations__)
    told = re.findall(r"^\| `(\w+)", section(read("connectors.md"), "What a connector promises"), re.MULTILINE)

    assert sorted(told) == sorted(promises)


def test_every_section_of_the_settings_is_documented():
    headings = re.findall(r"^## (\w+)$", read("settings.md"), re.MULTILINE)
    modules = [name for name in sys.modules if name.startswith("tieout.")]  # without those that a test planted
    ours = {each for each in settings.Section.__subclasses__() if each.__module__ in modules}

    assert headings == list(SECTIONS)
    assert ours - {settings._People} == set(SECTIONS.values()) - {settings.Person}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_setting_is_documented_with_its_default(name: str):
    table = section(read("settings.md"), name).split("\n\n| kind")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.MULTILINE))

    assert told == {field: default_of(info) for field, info in SECTIONS[name].model_fields.items()}


def default_of(info: Any) -> str:
    if info.default is PydanticUndefined:
        return "required"
    if info.default is None:
        return "none"
    value = info.default.get_secret_value() if hasattr(info.default, "get_secret_value") else info.default
    return f"`{str(value) if isinstance(value, Path) else value!r}`"


def test_the_policy_is_documented_as_it_is_kept():
    documented = {name: info.default for name, info in SECTIONS["policy"].model_fields.items()}

    assert documented == {name: info.default for name, info in settings.Policy.model_fields.items()}


def test_secrets_are_marked_and_named_in_the_deployment_page():
    secret = {
        f"TIEOUT_{name.upper()}__{field.upper()}"
        for name, model in SECTIONS.items()
        for field, info in model.model_fields.items()
        if "SecretStr" in str(info.annotation)
    }
    listed = set(re.findall(r"^- `(TIEOUT_\w+)`", section(read("deployment.md"), "Secrets"), re.MULTILINE))
    marked = set(re.findall(r"^\| `(\w+)` \|.*\*secret\*", read("settings.md"), re.MULTILINE))

    assert listed == secret
    assert marked == {name.partition("__")[2].lower() for name in secret}


def test_the_tutorials_settings_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    text = read("tutorial.md")
    [toml] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    config = tmp_path / "tieout.toml"
    config.write_text(toml, encoding="utf-8")
    for name, value in re.findall(r"^export (TIEOUT_\w+)=\"?(.*?)\"?$", text, re.MULTILINE):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TIEOUT_CONFIG", str(config))

    refused = []
    for name in tomllib.loads(toml):
        try:
            settings.read().people if name == "people" else settings.read().section(SECTIONS[name], name)
        except (errors.SettingsError, ValidationError) as error:
            refused.append(str(error))

    assert refused == []


@pytest.mark.parametrize("today", _THE_SANDBOX_IS_THE_SAME_ON)
def test_the_tutorial_tells_of_the_contractor_that_the_sandbox_builds(today: date):
    contractor = build(1, 4, 60, None, True, today=today)
    invoices = {each["invoice_number"]: each["id"] for each in contractor.requisitions}
    text = read("tutorial.md")

    assert f"company_id = {contractor.company_id}" in text
    assert f'company_code = "{contractor.books.company_code}"' in text
    assert f'client_id = "{contractor.client_id}"' in text
    assert f"CLIENT_SECRET={contractor.client_secret}" in text
    assert f"requisitions/{invoices['26-1178']}/edit" in text
    assert contractor.troubles[invoices["26-1178"]] == "already-in-erp"
    assert contractor.troubles[invoices["PA 4255"]] == "vendor-inactive"
    assert {"INV-2035", "INV-2038"} <= invoices.keys()
    assert {"SCHAFE003", "GRANIT016"} <= {each.code for each in contractor.books.vendors}
