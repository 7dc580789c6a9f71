"""Errors say who moves next, carry their facts and survive being moved between processes."""

import copy
import pickle
from collections.abc import Iterator

import pytest

from tieout import errors
from tieout.errors import TieoutError, TransientError
from tieout.ledger.book import LostRaceError


def family(of: type[TieoutError] = TieoutError) -> Iterator[type[TieoutError]]:
    yield of
    for each in of.__subclasses__():
        yield from family(each)


def test_the_picture_in_the_docstring_shows_every_class():
    drawn = [line.split("- ")[1].split()[0] for line in (errors.__doc__ or "").splitlines() if "- " in line]

    assert set(drawn) == {each.__name__ for each in TieoutError.__subclasses__()}
    assert LostRaceError in set(family())


@pytest.mark.parametrize("kind", sorted(set(family()), key=lambda each: each.__name__))
@pytest.mark.parametrize("request_id", [None, "8f3"])
def test_every_error_survives_pickling_with_its_facts(kind: type[TieoutError], request_id: str | None):
    error = kind("Spectrum", "invoice 1042", "period 10/2026 is closed", request_id)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert (again.system, again.document, again.reason, again.request_id) == (
            "Spectrum",
            "invoice 1042",
            "period 10/2026 is closed",
            request_id,
        )


def test_a_message_names_the_system_the_document_the_reason_and_the_request():
    error = errors.RefusedError("Spectrum", "invoice 1042", "period 10/2026 is closed", "8f3")

    assert str(error) == "[Spectrum Error] Spectrum refused invoice 1042: period 10/2026 is closed (request 8f3)"
    assert "request" not in str(TransientError("Procore", "x", "y"))
