"""What README and the other pages promise exists: commands, make targets, folders."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tieout.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ALL_COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def commands(group: Any, before: str = "tieout") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        path = f"{before} {name}"
        found |= commands(command, path) if hasattr(command, "commands") else {path: command}
    return found


COMMANDS = commands(typer.main.get_command(app))


def code_of(text: str) -> str:
    """Return what stands in code fences and between backticks."""
    fences = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return "\n".join([*fences, *re.findall(r"`([^`\n]+)`", text)])


def told_commands(text: str) -> set[str]:
    words = re.findall(r"(?:^|\s|/)tieout ((?:ledger|audit|people|policy) \w+|\w+)", code_of(text), re.MULTILINE)
    return {f"tieout {each}" for each in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_tells_only_of_commands_that_exist(page: Path):
    assert told_commands(page.read_text(encoding="utf-8")) - COMMANDS.keys() == set()


def test_the_page_of_commands_lists_every_command_that_people_use():
    assert told_commands(ALL_COMMANDS) == COMMANDS.keys()


def test_readme_shows_five_commands_and_leads_to_the_rest():
    table = README.split("\n## The command\n")[1].split("\n## ")[0]

    assert len(told_commands(table)) == 5
    assert "](docs/commands.md)" in table


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_tells_only_of_make_targets_that_exist(page: Path):
    code = code_of(page.read_text(encoding="utf-8"))
    told = set(re.findall(r"(?:^|\s)make ([a-z.][\w./-]*)", code, re.MULTILINE))
    targets = set(re.findall(r"^([a-z.][\w./-]*):", MAKEFILE, re.MULTILINE))

    assert told - targets == set()


def test_the_two_commands_of_the_first_screen_are_there():
    first_screen = README.split("\n## ")[0]

    assert re.findall(r"^make (\w+)", first_screen, re.MULTILINE) == ["demo", "test"]


def test_readme_tells_what_make_test_installs():
    installed = set(re.findall(r'packages="\$\$packages ([a-z]+)', MAKEFILE))

    assert {name for name in installed if f"`{name}`" not in README} == set()


def test_json_is_where_the_page_of_commands_says_it_is():
    with_json = {name.removeprefix("tieout ") for name, command in COMMANDS.items() if "--json" in options(command)}
    told = re.search(r"^(.*) take `--json`\.$", ALL_COMMANDS, re.MULTILINE)

    assert told is not None
    assert set(re.findall(r"`([\w ]+)`", told[1])) == with_json


def test_the_table_of_folders_is_the_tree():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:  # unpacked from an archive
        folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    else:
        folders = {line.split("/")[0] for line in tracked.stdout.splitlines() if "/" in line}
    told = set(re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE))

    assert {name for name in folders if not name.startswith(".")} == told


def test_the_command_runs_by_the_name_that_readme_uses():
    done = subprocess.run([Path(sys.executable).with_name("tieout"), "--help"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}
