"""A worker that dies or stands still, wherever that is, does no harm. Counted in both outside systems.

`make test` has the stand-in for Spectrum as ERP, `make chaos-erps` a real Tryton.
"""

from collections import Counter
from collections.abc import Iterator

import pytest
from ledgers import DATABASES

from benchmarks import crash
from benchmarks.crash import BOUNDARIES
from benchmarks.erps import a_spectrum, a_tryton
from benchmarks.scene import OnPostgreSQL, OnSQLite, Scene, a_scene


@pytest.fixture(scope="module", params=[*DATABASES, pytest.param("tryton", marks=pytest.mark.chaos)])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, open_erp = tmp_path_factory.mktemp("scene"), a_tryton if request.param == "tryton" else a_spectrum
    is_file = request.param != "postgresql"
    ledger = OnSQLite(folder) if is_file else OnPostgreSQL(request.getfixturevalue("postgresql"))
    with a_scene(folder, ledger, open_erp=open_erp, invoices=4) as scene:
        crash.prepare(scene)
        yield scene


def test_every_place_that_commits_or_calls_out_has_its_boundaries_listed():
    assert crash.unlisted_functions() == set()


def test_the_stories_come_by_every_listed_boundary_and_by_no_other(scene: Scene):
    crossed = crash.record(scene)
    missed = {boundary for boundary, story in BOUNDARIES.items() if not crossed[story][boundary]}

    assert missed == set()
    assert set(sum(crossed.values(), Counter())) == set(BOUNDARIES)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_worker_that_is_killed_there_leaves_each_invoice_and_payment_once(scene: Scene, boundary: str):
    crash.kill(scene, boundary)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_worker_that_is_stopped_there_past_its_lease_comes_to_no_harm(scene: Scene, boundary: str):
    crash.stop(scene, boundary)
