"""Four workers on one ledger carry everything through, once, whatever fails and whoever is killed meanwhile."""

from pathlib import Path

import pytest
from ledgers import DATABASES

from benchmarks import storm
from benchmarks.scene import OnPostgreSQL, OnSQLite, a_scene


@pytest.mark.parametrize("database", DATABASES)
def test_a_storm_leaves_each_invoice_and_each_payment_once_and_nothing_stuck(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
):
    ledger = OnSQLite(tmp_path) if database == "sqlite" else OnPostgreSQL(request.getfixturevalue("postgresql"))
    with a_scene(tmp_path, ledger, storm.RATE, storm.SETTINGS, invoices=100, projects=6) as scene:
        scene.begin()
        scene.accept_everything()
        scene.keep("accepted")
        facts, wrong = storm.blow(scene, "accepted", kill_every=2, longest=120)

    assert {name for name, count in facts.items() if not count} == set()
    assert {name: count for name, count in wrong.items() if count} == {}
