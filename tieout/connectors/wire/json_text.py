"""JSON text: read whole, or a list element by element as far as it can be read."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from data_contracts.text import plain

_SPACE = re.compile(r"[ \t\n\r]*")


class Element(NamedTuple):
    """One element of a JSON array: its text as it came and what it says."""

    text: str
    value: Any


def parse_text(text: str) -> Any:
    """Return what the JSON text says; ValueError in plain words when it is none. Floats stay floats."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (RecursionError, ValueError) as error:
        raise ValueError(_why_none(error)) from None


def elements(text: str) -> Iterator[Element]:
    """Yield each element of a JSON array; ValueError in plain words where it stops being one."""
    position, wanted = _skip_space(text, 0), "["
    while text[position : position + 1] == wanted:
        position, wanted = _skip_space(text, position + 1), ","
        if text[position : position + 1] == "]":
            break
        try:
            value, end = _ARRAY.raw_decode(text, position)
        except (RecursionError, ValueError) as error:
            raise ValueError(_why_none(error)) from None
        yield Element(text[position:end], value)
        position = _skip_space(text, end)
    if text[position:].strip() != "]":
        raise ValueError("the answer ends early" if wanted == "," else "the answer is not a list")


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _why_none(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the answer is nested too deeply"
    return f"the answer is not valid JSON ({plain(str(error), 80)})"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_ARRAY = json.JSONDecoder(parse_constant=_no_constant)
