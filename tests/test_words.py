"""What people read is in plain words: none of those that docs/style.md rules out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tieout.cli import app

ROOT = Path(__file__).parents[1]
STYLE = ROOT / "docs" / "style.md"
DESIGN = ROOT / "docs" / "design.md"  # which only engineers read
PAGES = sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")} - {STYLE, DESIGN})
CODE = sorted(
    path for folder in ("flows", "tasks", "tieout", "data_contracts") for path in (ROOT / folder).rglob("*.py")
)


def ruled_out() -> re.Pattern[str]:
    table = STYLE.read_text(encoding="utf-8").split("## Words to avoid")[1]
    rows = re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
    words = "|".join(row.replace(", ", "|").replace(" ", r"\s+") for row in rows if row != "not")
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


RULED_OUT = ruled_out()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_in_plain_words(page: Path):
    lines = page.read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if RULED_OUT.search(line)] == []


def test_what_the_code_says_to_people_is_in_plain_words():
    found = [f"{path.relative_to(ROOT)}: {text}" for path in CODE for text in texts(path) if RULED_OUT.search(text)]

    assert found == []


def test_the_help_of_the_command_is_in_plain_words():
    assert [text for text in helps(typer.main.get_command(app)) if RULED_OUT.search(text)] == []


def test_the_list_finds_words_across_a_line_break():
    assert RULED_OUT.search("what a Retry would do is\n    told by the run")


def texts(path: Path) -> Iterator[str]:
    """Yield a module's strings but for names; of docstrings only those of flows, which the deployments' pages show."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    is_shown = path.parent.name == "flows"
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if " " in text and (is_shown or id(node) not in statements):
                yield text


def helps(command: Any) -> Iterator[str]:
    yield command.help or ""
    for each in getattr(command, "commands", {}).values():
        yield from helps(each)
