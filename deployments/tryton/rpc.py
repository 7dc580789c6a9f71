"""Tryton's JSON-RPC, as the set-up and the people in accounting speak it; the connector has a client of its own."""

import base64
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx

Row = dict[str, Any]
_SECONDS = 120.0


class TrytonError(Exception):
    """Tryton refused a call; the message is its own, cut where a field's definition begins."""


class Tryton:
    """One user's session on one database."""

    def __init__(self, url: str, database: str, user: str, password: str) -> None:
        """Log in."""
        self._http = httpx.Client(base_url=url, timeout=_SECONDS, trust_env=False, verify=False)
        self._path, self._headers = f"/{database}/rpc/", dict[str, str]()
        self._user, self._password = user, password
        self.context: Row = {}
        self.log_in()
        self.context = self.call("model.res.user.get_preferences", True)

    def log_in(self) -> None:
        """Begin a new session: approving a payment wants a fresh one."""
        user_id, token, *_ = self._send("common.db.login", [self._user, {"password": self._password}, "en"])
        session = base64.b64encode(f"{self._user}:{user_id}:{token}".encode()).decode()
        self._headers = {"Authorization": f"Session {session}"}
        self.user_id = int(user_id)

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def call(self, method: str, *arguments: Any, **context: Any) -> Any:
        """Call any method; a warning is confirmed, as a person would who has read it."""
        parameters = [*arguments, {**self.context, **context}]
        for _ in range(5):
            try:
                return self._send(method, parameters)
            except _WarningError as warning:
                known = {"user": self.user_id, "name": warning.name, "always": False}
                self._send("model.res.user.warning.create", [[known], self.context])
        raise TrytonError(f"{method} warns without end")

    def create(self, model: str, *records: Row) -> list[int]:
        """Create records and return their ids."""
        made: list[int] = self.call(f"model.{model}.create", list(records)) if records else []
        return made

    def write(self, model: str, ids: Sequence[int], values: Row) -> None:
        """Change records."""
        self.call(f"model.{model}.write", list(ids), values)

    def delete(self, model: str, ids: Sequence[int]) -> None:
        """Delete records."""
        self.call(f"model.{model}.delete", list(ids))

    def press(self, model: str, button: str, ids: Sequence[int]) -> None:
        """Press a button on records."""
        if ids:
            self.call(f"model.{model}.{button}", list(ids))

    def rows(self, model: str, domain: Iterable[Any], *fields: str, **context: Any) -> list[Row]:
        """Return what a search finds, with these fields."""
        where = [list(each) for each in domain]
        found: list[Row] = self.call(
            f"model.{model}.search_read", where, 0, None, [["id", "ASC"]], ["id", *fields], **context
        )
        return found

    def one(self, model: str, *domain: Any, **context: Any) -> int:
        """Return the id of the first record that a search finds; TrytonError when there is none."""
        found: list[int] = self.call(
            f"model.{model}.search", [list(each) for each in domain], 0, 1, [["id", "ASC"]], **context
        )
        if not found:
            raise TrytonError(f"there is no {model} with {domain}")
        return found[0]

    def record_of(self, name: str) -> int:
        """Return the id of a record that a module brought, for example `account.group_account`."""
        return int(self.call("model.ir.model.data.get_id", name))

    def wizard(self, name: str, *steps: tuple[str, Row], model: str = "", ids: Sequence[int] = ()) -> None:
        """Go through a wizard: each step fills a form and goes on to a state of that name."""
        about = {"active_model": model, "active_id": ids[0], "active_ids": list(ids)} if ids else {}
        session, start, _ = self.call(f"wizard.{name}.create")
        data: Row = {}
        self.call(f"wizard.{name}.execute", session, data, start, **about)
        for state, filled in steps:
            data |= filled
            self.call(f"wizard.{name}.execute", session, data, state, **about)
        self.call(f"wizard.{name}.delete", session)

    def _send(self, method: str, parameters: Sequence[Any]) -> Any:
        body = json.dumps({"id": 0, "method": method, "params": parameters}, default=_coded)
        headers = {**self._headers, "Content-Type": "application/json"}
        answer = self._http.post(self._path, content=body, headers=headers)
        if answer.is_error:
            raise TrytonError(f"{method}: HTTP {answer.status_code}")
        told = json.loads(answer.content, object_hook=_decoded)
        if error := told.get("error"):
            if error[0] == "UserWarning":
                raise _WarningError(error[1][0])
            raise TrytonError(f"{method}: {error[:1] + [str(each)[:600] for each in error[1:2]]!s}")
        return told.get("result")


class _WarningError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _coded(value: Any) -> Row:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    raise TypeError(f"{type(value).__name__} has no place in a call")


def _decoded(value: Row) -> Any:
    match value.get("__class__"):
        case "Decimal":
            return Decimal(value["decimal"])
        case "date":
            return date(value["year"], value["month"], value["day"])
        case "datetime":
            names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
            return datetime(*(value[name] for name in names))  # noqa: DTZ001 Tryton's are without a zone
    return value
