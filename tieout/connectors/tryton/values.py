"""Tryton's JSON: the decimals, dates and errors in it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from data_contracts.text import plain

Row = dict[str, Any]  # a record, by its fields
_CLASSES: Final[dict[str, Callable[..., Any]]] = {"date": date, "datetime": datetime, "timedelta": timedelta}


def coded(value: Any) -> Any:
    """Say a value in Tryton's JSON."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if not isinstance(value, date):
        raise TypeError(f"{type(value).__name__} has no place in a call")
    day, time_of_day = ("year", "month", "day"), ("hour", "minute", "second", "microsecond")
    names = day + time_of_day if isinstance(value, datetime) else day
    return {"__class__": type(value).__name__, **{name: getattr(value, name) for name in names}}


def decoded(value: Any) -> Any:
    """Return what a value of Tryton's JSON says."""
    if isinstance(value, list):
        return [decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__class__")
    if kind == "Decimal":
        return Decimal(value["decimal"])
    if kind in _CLASSES:
        return _CLASSES[kind](**{name: each for name, each in value.items() if name != "__class__"})
    return {name: decoded(each) for name, each in value.items()}


def shown(value: Any) -> Any:
    """Return a document as plain JSON, for people."""
    if isinstance(value, dict):
        return {name: shown(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shown(each) for each in value]
    return str(value) if isinstance(value, Decimal | date) else value


def words_of(error: Any) -> str:
    """Return an error in its own words, without the field's definition that follows a validation's message."""
    kind, *more = error if isinstance(error, list) and error else [error]
    told = more[0] if kind in ("UserError", "UserWarning", "ConcurrencyException") and more else [kind]
    texts = [each for each in (told if isinstance(told, list) else [told])[:3] if isinstance(each, str) and each]
    told_twice = texts[1:] if kind == "UserWarning" else texts[:2]  # a warning begins with its name
    return plain("; ".join(dict.fromkeys(told_twice)) or str(kind), 300)
