"""Every ERP that there is a connector for, and those that are planted beside them."""

from collections.abc import Iterator

import pytest
from clerk import PLANTED_ERPS, planted

from tieout.connectors.base import available_erps


@pytest.fixture(scope="module", params=sorted({*available_erps(), *PLANTED_ERPS}))
def erp_name(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An ERP; one that is planted is found by its file alone."""
    if request.param not in PLANTED_ERPS:
        yield request.param
        return
    with planted(request.param, tmp_path_factory.mktemp("planted")):
        assert request.param in available_erps()
        yield request.param
