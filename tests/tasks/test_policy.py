"""What is tried again and what is not, run for real by Prefect's own task engine without a server's help."""

import pickle
from importlib import import_module
from pkgutil import iter_modules

import pytest
from prefect import Task
from prefect.states import Failed

import tasks
from tasks._policy import Delays, Writers, remote, worth_retrying
from tieout.errors import (
    ContractError,
    MismatchError,
    RefusedError,
    SettingsError,
    TieoutError,
    TransientError,
    UnconfirmedError,
)

NEEDS_NOBODY = (TransientError, UnconfirmedError)
NEEDS_SOMEBODY = (RefusedError, ContractError, MismatchError, SettingsError)


def is_tried_again(error: Exception) -> bool:
    return worth_retrying(None, None, Failed(data=error))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", NEEDS_NOBODY)
def test_what_needs_nobody_is_tried_again(kind: type[TieoutError]):
    assert is_tried_again(kind("ERP", "invoice 1042", "no answer"))


@pytest.mark.parametrize("kind", NEEDS_SOMEBODY)
def test_what_needs_a_person_is_not_tried_again(kind: type[TieoutError]):
    assert not is_tried_again(kind("ERP", "invoice 1042", "closed period"))


def test_a_mistake_of_our_own_is_not_tried_again():
    assert not is_tried_again(KeyError("amount"))


def test_every_step_is_tried_again_for_each_opens_something_that_may_be_away_for_a_moment():
    modules = [import_module(f"tasks.{module.name}") for module in iter_modules(tasks.__path__)]
    steps = {step for module in modules for step in vars(module).values() if isinstance(step, Task)}

    assert len(steps) > 20
    assert [step.name for step in steps if not step.retries] == []


def test_delays_follow_the_settings_at_the_moment_of_waiting(monkeypatch: pytest.MonkeyPatch):
    delays = remote["retry_delay_seconds"]
    monkeypatch.setenv("TIEOUT_EXPORT__RETRY_DELAY_SECONDS", "0.2")
    quick = [delays[attempt] for attempt in range(remote["retries"])]
    monkeypatch.setenv("TIEOUT_EXPORT__RETRY_DELAY_SECONDS", "10")
    slow = [delays[attempt] for attempt in range(remote["retries"])]

    assert quick == pytest.approx([0.2, 0.4, 0.8])
    assert slow == pytest.approx([10, 20, 40])


def test_as_many_steps_at_once_as_the_settings_allow(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIEOUT_EXPORT__WRITERS", "3")

    assert Writers().duplicate()._max_workers == 3


def test_delays_are_a_list_that_prefect_can_store():
    assert pickle.loads(pickle.dumps(Delays([1.0, 2.0]))) == [1.0, 2.0]
