"""The storm: workers drain one ledger while both systems fail in every way, and one worker after another is killed."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain, cycle
from typing import Any

from benchmarks.scene import Scene
from benchmarks.workers import Child, HarmError, Worker, at_work, nothing_waits
from tieout.errors import TransientError, UnconfirmedError
from tieout.ledger import states

# The clock runs that much faster than ours, so that leases end while one looks on. Even so a request is answered, or
# given up by who waits for it, within what the engine allows for.
RATE = 30.0
SETTINGS = {
    "TIEOUT_EXPORT__CHUNK": "5",
    "TIEOUT_EXPORT__LEASE_SECONDS": "100",
    "TIEOUT_PROCORE__TIMEOUT": "1",
    "TIEOUT_PROCORE__SETTLES_SECONDS": "20",
    "TIEOUT_SPECTRUM__TIMEOUT": "1",
    "TIEOUT_SPECTRUM__SETTLES_SECONDS": "20",
}
Facts = dict[str, float]
_LATE = 1.5  # seconds: longer than anybody waits
_ON_WRITES: dict[str, dict[str, Any]] = {
    "reset_after": {"share": 0.05},
    "truncated": {"share": 0.025},
    "cut_off": {"share": 0.025},
    "reset_before": {"share": 0.10},
    "5xx_before": {"share": 0.03},
    "5xx_after": {"share": 0.03},
    "slow_after": {"share": 0.02, "seconds": _LATE},
}
_ON_READS: dict[str, dict[str, Any]] = {kind: {"share": 0.02} for kind in ("5xx_before", "reset_before", "truncated")}
_WEATHER = {
    ("spectrum", "POST /vendor/invoice"): _ON_WRITES,
    ("procore", "(POST|PATCH) /rest/"): _ON_WRITES,
    ("procore", "GET /rest/"): _ON_READS,
}
_BURST = {"times": 10, "retry_after": 0.05}  # of 429, each time a worker is killed
_WORKERS = 4
_LOOK_EVERY, _REST = 0.5, 0.1  # seconds
_LONGEST = 600  # seconds that a worker may live
_STEPS = (Worker.settle, Worker.export, Worker.deliver, Worker.write_payments, Worker.pay)


def blow(scene: Scene, story: str, kill_every: float, longest: float, seed: int = 1) -> tuple[Facts, Facts]:
    """Have four workers carry everything through, invoices and then payments.

    Returns what happened, and what is not as it must be.

    `story` begins when everything is accepted. A worker is killed every few seconds; HarmError when one half takes
    longer than `longest` seconds.
    """
    scene.begin(story)
    everything, others = len(scene.requisitions()), _entered(scene)
    for (system, route), weather in _WEATHER.items():
        for number, (kind, fault) in enumerate(weather.items()):
            scene.fault(system, route, kind, seed=seed + number, **fault)
    with Crew(partial(_work, scene), kill_every, seed) as crew:
        crew.work_until(lambda: _entered(scene) == others + everything, longest, partial(_burst, scene))
        scene.pay()
        crew.work_until(lambda: _written(scene) == everything and _is_done(scene), longest, partial(_burst, scene))
    struck = sum(fault["fired"] for system in scene.urls for fault in scene.look(system, "faults")["faults"])
    scene.heal()
    with at_work(scene.ledger, scene.clock) as worker:
        worker.finish(Worker.read, *_STEPS)  # the last lease may have been a dead one's
        stuck = [item for item in worker.ledger.items() if item.state != states.PAID]
    wrong = {"invoices that are stuck": len(stuck), **scene.tally()}
    return {"workers killed in the storm": crew.kills, "requests that went wrong": struck}, wrong


class Crew:
    """Workers who are killed one after the other and replaced; leaving the block ends them all."""

    def __init__(self, work: Callable[[], None], kill_every: float, seed: int) -> None:
        self._work, self._kill_every, self._chance = work, kill_every, random.Random(seed)
        self._stack, self._workers, self.kills = ExitStack(), list[Child](), 0

    def __enter__(self) -> "Crew":
        for _ in range(_WORKERS):
            self._hire()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def work_until(self, is_over: Callable[[], bool], longest: float, on_kill: Callable[[], None]) -> None:
        began = killed_at = time.monotonic()
        while not is_over():
            time.sleep(_LOOK_EVERY)
            now = time.monotonic()
            if now - began > longest:
                raise HarmError(f"it is not over after {longest:.0f} s")
            if gone := [each.wait() for each in self._workers if each.has_ended()]:
                raise HarmError(f"a worker ended by itself with {gone}")
            if now - killed_at > self._kill_every:
                self._kill()
                on_kill()
                killed_at = now

    def _kill(self) -> None:
        victim = self._workers.pop(self._chance.randrange(_WORKERS))
        victim.send(signal.SIGKILL)
        victim.wait()
        self.kills += 1
        self._hire()

    def _hire(self) -> None:
        self._workers.append(self._stack.enter_context(Child(self._work, _LONGEST)))


def _work(scene: Scene) -> None:
    with at_work(scene.ledger, scene.clock) as worker:
        # Anywhere: else whoever is killed sooner than a slow step ends would never come to the next one.
        begin = os.getpid() % len(_STEPS)
        for step in chain((Worker.read,), cycle((*_STEPS[begin:], *_STEPS[:begin], _rest))):
            with suppress(TransientError, UnconfirmedError):  # the task would try again
                step(worker)


def _rest(_: Worker) -> None:
    time.sleep(_REST)


def _burst(scene: Scene) -> None:
    for system, route in _WEATHER:
        scene.fault(system, route, "429", **_BURST)


def _entered(scene: Scene) -> int:
    return sum(each["count"] for each in scene.look("spectrum", "state")["invoices"].values())


def _written(scene: Scene) -> int:
    return int(scene.look("procore", "state")["contract_payments"])


def _is_done(scene: Scene) -> bool:
    with scene.ledger as ledger:  # closed again: who is hired next must not inherit a connection
        return nothing_waits(ledger)
