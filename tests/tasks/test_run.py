"""What a run is called."""

from datetime import UTC, datetime

import pytest
from prefect.runtime import flow_run

from tasks._run import night_name


@pytest.mark.parametrize(
    ("due", "day"),
    [
        (datetime(2026, 3, 4, 6, tzinfo=UTC), "2026-03-04"),
        (datetime(2026, 3, 5, 4, 59, tzinfo=UTC), "2026-03-04"),  # New York is five hours behind
        (datetime(2026, 3, 8, 6, 59, tzinfo=UTC), "2026-03-08"),  # a minute later it is three o'clock
        (datetime(2026, 3, 8, 7, 0, tzinfo=UTC), "2026-03-08"),
        (datetime(2026, 3, 9, 3, 59, tzinfo=UTC), "2026-03-08"),  # and only four hours behind
        (datetime(2026, 11, 1, 5, 0, tzinfo=UTC), "2026-11-01"),  # one o'clock, and an hour later again
        (datetime(2026, 11, 1, 6, 0, tzinfo=UTC), "2026-11-01"),
        (datetime(2027, 1, 1, 4, 59, tzinfo=UTC), "2026-12-31"),
    ],
)
def test_a_night_is_called_by_the_companys_day(monkeypatch: pytest.MonkeyPatch, due: datetime, day: str):
    monkeypatch.setitem(flow_run.FIELDS, "scheduled_start_time", lambda: due)

    assert night_name() == f"Night of {day}"
