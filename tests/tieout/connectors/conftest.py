"""Every ERP that there is a connector for, those that are planted beside them, and every way in which each runs."""

from collections.abc import Iterator

import pytest
from clerk import HIRE, PLANTED_ERPS, Hire, clerk_of, planted, ways_to_hire

from tieout.connectors.base import available_erps

PLACES = [
    pytest.param((erp, way), id=erp + way.removeprefix(HIRE), marks=() if way == HIRE else pytest.mark.chaos)
    for erp in sorted({*available_erps(), *PLANTED_ERPS})
    for way in ways_to_hire(erp)
]


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """An ERP, and how a clerk is hired for it; an ERP that is planted is found by its file alone."""
    erp, _ = request.param
    if erp not in PLANTED_ERPS:
        yield request.param
        return
    with planted(erp, tmp_path_factory.mktemp("planted")):
        assert erp in available_erps()
        yield request.param


@pytest.fixture(scope="module")
def erp_name(place: tuple[str, str]) -> str:
    return place[0]


@pytest.fixture(scope="module")
def hire(place: tuple[str, str]) -> Hire:
    return clerk_of(*place)
