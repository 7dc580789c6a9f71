"""How a flow takes its steps: one that fails is noted and the next one goes on; the run's end tells all."""

from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from prefect import Task, unmapped
from prefect.logging import get_run_logger

from tasks import _progress, _turns
from tasks._run import run_id, speak_plainly
from tieout.errors import TieoutError
from tieout.export.chunk import Chunk
from tieout.progress import followed
from tieout.results import Figure, Result

P = ParamSpec("P")
R = TypeVar("R")
Value = TypeVar("Value", int, Chunk)  # a project or a chunk


class Steps:
    """The steps of one flow run, their results in the order in which they came, and what did not finish.

    In a `with` it holds the turns of its jobs: each step renews them, and the end, even a bad one, gives them back.
    `other` is the run whose turn the first job already is: then this run leaves.
    """

    def __init__(self, title: str, *turns: str) -> None:
        """Begin a run whose report has this title, and which does these jobs."""
        speak_plainly()
        self.title, self.turns = title, turns
        self.other: str | None = None
        self.results: list[object] = []
        self.unfinished: list[str] = []

    def __enter__(self) -> Self:
        """Take the turns, or learn who has them."""
        self.other = _turns.take(self.turns)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the turns back."""
        _turns.give_back(self.turns, run_id())

    def go(self, step: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Take one step and return its result; None when it did not finish."""
        return self._take(step, step(*args, return_state=True, **kwargs).result(raise_on_failure=False))

    def in_order(self, *steps: Task[[], Any]) -> None:
        """Take steps that need no telling, one after the other."""
        for step in steps:
            self.go(step)

    def each(
        self,
        step: Task[Concatenate[Value, P], R],
        values: Sequence[Value] | None,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> list[R]:
        """Take one step for each project or chunk, a few at a time, and return the results of those that finished."""
        values = list(values or ())
        same: dict[str, Any] = {name: unmapped(value) for name, value in kwargs.items()}
        futures = step.map(values, *map(unmapped, args), **same)
        sizes = [value.size if isinstance(value, Chunk) else 1 for value in values]
        things = "invoices" if any(isinstance(value, Chunk) for value in values) else "projects"
        with _progress.shown(_name(step), things) as progress:
            going = followed(zip(futures, sizes, strict=True), sum(sizes), progress, itemgetter(1))
            taken = [self._take(step, future.result(raise_on_failure=False)) for future, _ in going]
        return [result for result in taken if result is not None]

    def note(self, result: R) -> R:
        """Keep the result of a step that was taken elsewhere, and return it."""
        self.results.append(result)
        return result

    def of(self, kind: type[R]) -> list[R]:
        """Return all results of this kind."""
        return [each for each in self.results if isinstance(each, kind)]

    @property
    def notes(self) -> list[str]:
        """What is worth knowing, step by step."""
        return self._told(lambda result: result.notes)

    @property
    def refused(self) -> list[str]:
        """What a person asked for and was not done, with the reasons."""
        return self._told(lambda result: result.refused)

    @property
    def alarms(self) -> list[str]:
        """What is wrong that no single run would notice."""
        return self._told(lambda result: result.alarms)

    @property
    def figures(self) -> list[Figure]:
        """The sums of all figures of a name, but for nothing."""
        sums: Counter[str] = Counter()
        for name, number in (figure for result in self.of(Result) for figure in result.figures):
            sums[name] += number
        return [(name, number) for name, number in sums.items() if number]

    def _told(self, part: Callable[[Result], Sequence[str]]) -> list[str]:
        return [words for result in self.of(Result) for words in part(result)]

    def _take(self, step: Task[..., R], result: R | Exception) -> R | None:
        _turns.hold(self.turns)
        if isinstance(result, BaseException):
            words = str(result) if isinstance(result, TieoutError) else f"{type(result).__name__}: {result}"
            self.unfinished.append(f"{_name(step)}: {words}")
            get_run_logger().error("%s did not finish: %s", step.name, words)
            return None
        return self.note(result)


def _name(step: Task[..., Any]) -> str:
    return step.name.replace("_", " ").replace("-", " ")
