"""Write the pages of `docs/` that are made from code: the rules, and how each ERP's fields are filled.

`make docs` writes them; a test fails when one is stale.
"""

from importlib import import_module
from pathlib import Path

from data_contracts import boundaries, rules
from tieout.connectors.base import available_erps

_DOCS = Path(__file__).parent


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    made = {"contracts.md": f"{rules.page()}\n{boundaries.page()}"}
    for name in available_erps():
        connector = import_module(f"tieout.connectors.{name}")
        if made_from := getattr(connector, "field_mapping", None):
            not_sent = getattr(connector, "not_sent", None)
            made[f"mapping-{name}.md"] = _mapping(name, made_from(), not_sent() if not_sent else [])
    return made


def docs() -> None:
    """Write the pages of docs/ that are made from code: the rules, and each ERP's field mapping."""
    for name, text in pages().items():
        (_DOCS / name).write_text(text, encoding="utf-8")


def _mapping(erp: str, fields: list[tuple[str, str]], left: list[tuple[str, str]]) -> str:
    rows = [f"| `{field}` | {source} |" for field, source in fields]
    lines = [f"# From Procore to {erp.capitalize()}, field by field", "", _PREAMBLE, "", *_HEAD, *rows]
    if left:
        lines += ["", "## What is not sent", "", "| what | why |", "|---|---|"]
        lines += [f"| {what} | {why} |" for what, why in left]
    return "\n".join(lines) + "\n"


_PREAMBLE = """This page is written by `make docs` from the connector that it describes.
What is not in the table is not sent.
*Mapped* means: Procore's own ERP code where it holds one, otherwise a row of the mapping table; never a name.
`tieout show INVOICE` has the figures of one invoice, line by line."""
_HEAD = ("| field | where it comes from |", "|---|---|")


if __name__ == "__main__":
    docs()
