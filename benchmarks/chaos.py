"""`make chaos`: workers are killed and stopped wherever that is possible, thousands of times, on both databases.

First the crash matrix, then kills at random moments, then the storm. What it comes to is counted in the databases of
both stand-ins. The two databases are tried at the same time, each by a process of its own.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks import crash, postgresql, storm
from benchmarks.crash import BOUNDARIES
from benchmarks.figures import figure
from benchmarks.postgresql import PostgreSQL
from benchmarks.scene import KeptLedger, OnPostgreSQL, OnSQLite, Scene, a_scene
from benchmarks.workers import TRY_AGAIN, Child, HarmError, Worker, at_work, end_with_parent, nothing_waits
from tieout.errors import TieoutError

_SQLITE, _POSTGRESQL = "SQLite", "PostgreSQL"
_INVOICES = 60  # that are carried through while workers are killed at random
_IN_PIECES = {"TIEOUT_EXPORT__CHUNK": "5"}
_SOONEST, _LATEST = 0.005, 0.2  # seconds after which a worker is killed
_LONG = timedelta(hours=1)  # until leases are over, and two looks far enough apart
_STEPS = (Worker.settle, Worker.export, Worker.pay, Worker.deliver)
_KILL_EVERY, _LONGEST_STORM = 3.0, 600.0  # seconds


def main() -> None:
    """Run the chaos and exit with status 1 when a bound is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=20, help="kills, and stops, at each boundary")
    options.add_argument("--kills", type=int, default=2000, help="kills at random moments, on all databases together")
    options.add_argument("--invoices", type=int, default=2000, help="invoices in the storm")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--database", choices=(_SQLITE, _POSTGRESQL), help="try this one only")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever ends us wants the servers ended as well
    raise SystemExit(0 if (_play(chosen) if chosen.database else _play_on_all(chosen)) else 1)


def _play_on_all(chosen: argparse.Namespace) -> bool:
    """Play on every database that is at hand, on each in a process of its own."""
    databases = [_SQLITE, _POSTGRESQL] if postgresql.find_programs() else [_SQLITE]
    if _POSTGRESQL not in databases:
        print("PostgreSQL is not on this machine: SQLite alone is tried", file=sys.stderr)
    given = {"times": chosen.times, "kills": chosen.kills // len(databases), "invoices": chosen.invoices}
    options = [f"--{name}={value}" for name, value in {**given, "seed": chosen.seed}.items()]
    command = [sys.executable, "-m", "benchmarks.chaos", *options, "--database"]
    lanes = [subprocess.Popen([*command, database]) for database in databases]
    try:
        ended = [lane.wait() for lane in lanes]
        return not any(ended)
    finally:
        for lane in lanes:
            lane.terminate()
            lane.wait()


def _play(chosen: argparse.Namespace) -> bool:
    end_with_parent(signal.SIGTERM)
    with tempfile.TemporaryDirectory(prefix="tieout-chaos-") as name, ExitStack() as stack:
        server = None if chosen.database == _SQLITE else stack.enter_context(postgresql.running(is_durable=False))
        lane = _Lane(chosen.database, Path(name), server)
        matrix, at_random = lane.matrix(chosen.times), lane.at_random(chosen.kills, chosen.seed)
        return matrix and at_random and lane.storm(chosen.invoices, chosen.seed)


@dataclass(frozen=True)
class _Lane:
    """All that is played on one database."""

    database: str
    folder: Path
    server: PostgreSQL | None

    def matrix(self, times: int) -> bool:
        """Kill, and stop, a worker at every boundary so many times, at each of several crossings in turn."""
        harmed: list[str] = []
        began = time.monotonic()
        with self._scene(invoices=4) as scene:
            crash.prepare(scene)
            crossed = crash.record(scene)
            for boundary, number, act in product(BOUNDARIES, range(times), (crash.kill, crash.stop)):
                hits = 1 + number % crossed[BOUNDARIES[boundary]][boundary]
                try:
                    act(scene, boundary, hits)
                except (HarmError, TieoutError) as harm:  # a step that a task would take again counts here too
                    harmed.append(boundary)
                    print(f"{self.database}: {act.__name__} {boundary}, crossing {hits}: {harm}", file=sys.stderr)
        return self._tell(
            {
                "boundaries of the export and payment paths": len(BOUNDARIES),
                "SIGKILL at a boundary": times * len(BOUNDARIES),
                "SIGSTOP at a boundary past the lease": times * len(BOUNDARIES),
                "seconds of the crash matrix": time.monotonic() - began,
            },
            {"rounds that left something twice, missing, wrong or stuck": len(harmed)},
        )

    def at_random(self, kills: int, seed: int) -> bool:
        """Kill one worker after the other at random moments until nothing is left to do, again and again."""
        chance, done, played = random.Random(seed), 0, 0
        counts: Counter[str] = Counter()
        began = time.monotonic()
        with self._scene(settings=_IN_PIECES, invoices=_INVOICES, projects=4) as scene:
            scene.begin()
            scene.accept_everything()
            scene.keep("accepted")
            while done < kills:
                scene.begin("accepted")
                done += _kill_until_done(scene, chance, kills - done)
                scene.pay()
                done += _kill_until_done(scene, chance, kills - done)
                counts.update(scene.tally())
                played += 1
        told = {"SIGKILL at a random moment": done, f"times that {_INVOICES} invoices were carried through": played}
        return self._tell(told | {"seconds of the random kills": time.monotonic() - began}, counts)

    def storm(self, invoices: int, seed: int) -> bool:
        """Weather a storm."""
        began = time.monotonic()
        projects = max(4, invoices // 100)
        with self._scene(storm.RATE, storm.SETTINGS, invoices=invoices, projects=projects) as scene:
            scene.begin()
            scene.accept_everything()
            scene.keep("accepted")
            facts, counts = storm.blow(scene, "accepted", _KILL_EVERY, _LONGEST_STORM, seed)
        facts["seconds of the storm"] = time.monotonic() - began
        return self._tell(facts | {"invoices in the storm": invoices}, counts)

    def _scene(
        self, rate: float = 0.0, settings: Mapping[str, str] | None = None, **sizes: int
    ) -> AbstractContextManager[Scene]:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        ledger: KeptLedger = OnPostgreSQL(self.server) if self.server else OnSQLite(folder)
        return a_scene(folder, ledger, rate, settings, **sizes)

    def _tell(self, facts: Mapping[str, float], must_be_zero: Mapping[str, float]) -> bool:
        bounds = {**dict.fromkeys(facts, ""), **dict.fromkeys(must_be_zero, "== 0")}
        figures = {**facts, **must_be_zero}
        kept = [figure(f"{self.database}: {name}", figures[name], "", bound) for name, bound in bounds.items()]
        return all(kept)


def _kill_until_done(scene: Scene, chance: random.Random, most: int) -> int:
    """Let workers come and die until nothing is left to do; after so many kills one may finish. Return the kills."""
    kills = 0
    while kills < most:
        with Child(partial(_one_night, scene)) as child:
            time.sleep(chance.uniform(_SOONEST, _LATEST))
            child.send(signal.SIGKILL)
            status = child.wait()
        scene.clock.advance(_LONG)
        if status == os.EX_OK:
            return kills
        if status not in (-signal.SIGKILL, TRY_AGAIN):
            raise HarmError(f"a worker ended with {status}")
        kills += status == -signal.SIGKILL
    with at_work(scene.ledger, scene.clock) as worker:
        worker.finish(*_STEPS)
    return kills


def _one_night(scene: Scene) -> int:
    with at_work(scene.ledger, scene.clock) as worker:
        for step in _STEPS:
            step(worker)
        return os.EX_OK if nothing_waits(worker.ledger) else TRY_AGAIN


if __name__ == "__main__":
    main()
