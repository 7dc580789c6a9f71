"""Four workers on one ledger carry everything through, once, whatever fails and whoever is killed meanwhile."""

from pathlib import Path

import pytest
from ledgers import DATABASES

from benchmarks import storm
from benchmarks.office import OnPostgreSQL, OnSQLite, an_office


@pytest.mark.parametrize("database", DATABASES)
def test_a_storm_leaves_each_invoice_and_each_payment_once_and_nothing_stuck(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
):
    ledger = OnSQLite(tmp_path) if database == "sqlite" else OnPostgreSQL(request.getfixturevalue("postgresql"))
    with an_office(tmp_path, ledger, storm.RATE, storm.SETTINGS, invoices=100, projects=6) as office:
        office.begin()
        office.accept_everything()
        office.keep("accepted")
        facts, wrong = storm.blow(office, "accepted", kill_every=2, longest=120)

    assert {name for name, count in facts.items() if not count} == set()
    assert {name: count for name, count in wrong.items() if count} == {}
