"""The whole retry story: what is tried again, how often and after how long, and how many steps go on at once."""

from typing import Any, Final, cast

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tieout import settings
from tieout.errors import TransientError, UnconfirmedError


def worth_retrying(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Whether another try may help with nobody acting: transient and unconfirmed errors only."""
    return isinstance(state.data, TransientError | UnconfirmedError)


class Delays(list[float]):
    """How long to wait before each try: the setting, doubled each time.

    Prefect wants a list when a task is defined, at import; settings are read later, when a step really waits.
    """

    def __getitem__(self, attempt: Any) -> Any:
        """Return the seconds before the try of this number."""
        return settings.read().export.retry_delay_seconds * super().__getitem__(attempt)


# Every step opens the ledger, which may be away for a moment like Procore and the ERP.
remote: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": Delays([1.0, 2.0, 4.0]),
    "retry_jitter_factor": 0.3,
    "retry_condition_fn": worth_retrying,
    "cache_policy": NO_CACHE,
}
# Steps on Prefect's own server, which refuses now and then when its database is busy.
screen: dict[str, Any] = {"retries": 3, "retry_delay_seconds": Delays([0.2, 0.5, 1.0]), "cache_policy": NO_CACHE}


class Writers(ThreadPoolTaskRunner[Any]):
    """A few steps at a time, as many as the settings say when a flow starts."""

    def __init__(self, max_workers: int = 1) -> None:
        """Start with one; `duplicate`, which every flow run calls, makes the real one."""
        super().__init__(max_workers=max_workers)

    def duplicate(self) -> "Writers":
        """Return a runner with as many threads as the settings say now."""
        return type(self)(max_workers=settings.read().export.writers)


# A flow asks for a runner of any future whatever, which no runner is; Prefect casts its own one in the same way.
WRITERS: Final = cast(TaskRunner[PrefectFuture[Any]], Writers())
