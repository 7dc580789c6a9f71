"""Calls of Tryton's models over its JSON-RPC."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import httpx

from tieout.connectors.tryton.session import Session
from tieout.connectors.tryton.settings import SYSTEM, Settings
from tieout.connectors.tryton.values import Row, coded, decoded, words_of
from tieout.connectors.wire import Client, parse, request_id
from tieout.errors import RefusedError, SettingsError, TransientError, UnconfirmedError

KEYS_PER_QUERY = 200
PAGE = 1000  # records that are asked for at a time
_JSON = {"Content-Type": "application/json"}
_Value = TypeVar("_Value")


class Calls:
    """Calls of Tryton's models, as the user, in the company."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self._login = Client(SYSTEM, settings.url, settings.timeout)
        self._http = Client(SYSTEM, settings.url, settings.timeout, Session(self._login, settings))
        self._path = settings.path
        self.context: Row = {}

    def close(self) -> None:
        """Release the connections."""
        self._http.close()
        self._login.close()

    def read(self, model: str, method: str, *arguments: Any, **context: Any) -> Any:
        """Return what a call answers that changes nothing; a refusal is a matter of rights or of modules."""
        document = f"{model}.{method}"
        try:
            response = self._http.read("POST", self._path, document, **self._sent(model, method, arguments, context))
            answer = parse(response)
        except RefusedError as error:
            raise SettingsError(SYSTEM, document, error.reason, error.request_id) from None
        except ValueError as error:
            raise TransientError(SYSTEM, document, str(error)) from None
        return _result(answer, response, document, SettingsError)

    def write(self, model: str, method: str, document: str, *arguments: Any, **context: Any) -> Any:
        """Return what a call answers that changes something; RefusedError says that it changed nothing."""
        response = self._http.write("POST", self._path, document, **self._sent(model, method, arguments, context))
        return _result(parse(response), response, document, RefusedError)

    def every(self, model: str, domain: Sequence[Any], fields: Sequence[str], **context: Any) -> Iterator[Row]:
        """Yield all records of a search, in the order in which they were made, some at a time."""
        last = 0
        while True:
            where = [*domain, ["id", ">", last]]
            rows = self.read(model, "search_read", where, 0, PAGE, [["id", "ASC"]], list(fields), **context)
            yield from rows
            if len(rows) < PAGE:
                return
            last = rows[-1]["id"]

    def one(self, model: str, domain: Sequence[Any], what: str, *fields: str) -> Row:
        """Return the first record of a search; SettingsError when there is none of what the settings name."""
        rows: list[Row] = self.read(model, "search_read", domain, 0, 1, [["id", "ASC"]], [*fields, "id"])
        if not rows:
            raise SettingsError(SYSTEM, what, f"Tryton has no {model} as the settings name it")
        return rows[0]

    def _sent(self, model: str, method: str, arguments: Sequence[Any], context: Row) -> Row:
        body = {"id": 0, "method": f"model.{model}.{method}", "params": [*arguments, {**self.context, **context}]}
        return {"content": json.dumps(body, default=coded), "headers": _JSON}


def _result(
    answer: Any, response: httpx.Response, document: str, refusal: type[SettingsError] | type[RefusedError]
) -> Any:
    """Return the result of a call, or raise what its error means: nothing was written in either case."""
    if not isinstance(answer, dict) or not {"result", "error"} & answer.keys():
        unknown = TransientError if refusal is SettingsError else UnconfirmedError
        raise unknown(SYSTEM, document, "the answer has an unknown form", request_id(response))
    if error := answer.get("error"):
        kind = TransientError if error[0] == "ConcurrencyException" else refusal
        raise kind(SYSTEM, document, words_of(error), request_id(response))
    return decoded(answer.get("result"))


def chunks(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    """Cut values into lists of as many as one query may name."""
    chunk: list[_Value] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == KEYS_PER_QUERY:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
