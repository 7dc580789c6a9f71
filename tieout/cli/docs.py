"""Write the pages of `docs/` that are made from code: the rules, and how each ERP's fields are filled.

`make docs` writes them; a test fails when one is stale.
"""

from importlib import import_module
from pathlib import Path

from data_contracts import rules
from tieout.connectors.base import available_erps

_DOCS = Path(__file__).parents[2] / "docs"


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    made = {"contracts.md": rules.page()}
    for name in available_erps():
        if made_from := getattr(import_module(f"tieout.connectors.{name}"), "field_mapping", None):
            made[f"mapping-{name}.md"] = _mapping(name, made_from())
    return made


def docs() -> None:
    """Write the pages of docs/ that are made from code: the rules, and each ERP's field mapping."""
    for name, text in pages().items():
        (_DOCS / name).write_text(text, encoding="utf-8")


def _mapping(erp: str, fields: list[tuple[str, str]]) -> str:
    rows = [f"| `{field}` | {source} |" for field, source in fields]
    lines = [f"# From Procore to {erp.capitalize()}, field by field", "", _PREAMBLE, "", *_HEAD, *rows]
    return "\n".join(lines) + "\n"


_PREAMBLE = """This page is written by `make docs` from the connector that it describes.
What is not in the table is not sent.
*Mapped* means: Procore's own ERP code where it holds one, else a row of the mapping table; never a name.
`tieout show INVOICE` has the figures of one invoice, line by line."""
_HEAD = ("| field | where it comes from |", "|---|---|")


if __name__ == "__main__":
    docs()
