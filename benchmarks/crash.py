"""The crash matrix: a worker is killed, or stopped past its lease, at every boundary of the export and payment paths.

A boundary is a place between two things that cannot be done together: our commit, and a call to an outside system.
Its name is the engine's function that is running and what happens there. The product knows nothing of this: the
worker is watched from outside, at the real database engine and around the real connectors.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from importlib import import_module
from inspect import getmembers, getsourcelines, isfunction
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from sqlalchemy import event

import tieout
from benchmarks.scene import Scene
from benchmarks.workers import TRY_AGAIN, Child, HarmError, Worker, at_work
from tieout.errors import SettingsError

_ENGINE = Path(tieout.__file__).parent
_PATHS = (
    *("export.chunk", "export.outcome", "export.look", "export.observation"),
    *("outbox.letters", "outbox.mail", "payments.collection", "payments.issued"),
)
_BELOW = ("ledger", "connectors")  # what the paths stand on
_CALLS = ("create", "find", "payments", "record_payment", "set_origin", "invoices", "send")
_PASSING_ON = ("look.find", "look.look", "issued._look")  # a call has the name of who asked these to make it
_ELSEWHERE = ("acknowledge_drift.acknowledge", "letters._write_nothing")  # nothing is written outside, before or after
_TELL = ("procore", "PATCH /rest/v1.1/requisitions")
_PAY = ("procore", "POST /rest/v1.0/contract_payments")
_LONG = timedelta(hours=1)  # longer than any lease with the longest request after it


@dataclass
class Watch:
    """Told of every boundary that a worker crosses; acts at one of them."""

    act_at: str = ""
    act: Callable[[], object] = lambda: None
    hits: int = 1  # acts when it comes by for this time
    also: Mapping[str, Callable[[], object]] = field(default_factory=dict)  # what goes wrong by itself there
    crossed: Counter[str] = field(default_factory=Counter)

    def __call__(self, what: str, call: str) -> None:
        if name := _name(sys._getframe(1), what, call):
            self.crossed[name] += 1
            if name in self.also and self.crossed[name] == 1:
                self.also[name]()
            if name == self.act_at and self.crossed[name] == self.hits:
                self.act()

    @contextmanager
    def over(self, worker: Worker) -> Iterator[Worker]:
        """Watch all that the worker works with."""
        engine, committing = worker.ledger.engine, list[Any]()

        def commit(connection: Any) -> None:
            self("before commit", "transaction")
            committing.append(connection)

        def given_back(*_: object) -> None:
            if committing:
                committing.clear()
                self("after commit", "transaction")

        event.listen(engine, "commit", commit)
        event.listen(engine, "checkin", given_back)
        try:
            watched = {name: _Watched(getattr(worker, name), self) for name in ("procore", "erp", "mailer")}
            yield replace(worker, **watched)
        finally:
            event.remove(engine, "commit", commit)
            event.remove(engine, "checkin", given_back)


class _Watched:
    """A connector that tells of its calls and passes on everything."""

    def __init__(self, real: Any, watch: Watch) -> None:
        self._real, self._watch = real, watch

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in _CALLS:
            return real

        def call(*values: Any, **named: Any) -> Any:
            self._watch(f"before {name}", name)
            answer = real(*values, **named)
            answer = list(answer) if isinstance(answer, Iterator) else answer
            self._watch(f"after {name}", name)
            return answer

        return call


def _name(frame: FrameType | None, what: str, call: str) -> str:
    """Name the boundary by the innermost function of the paths; "" when none of them is running."""
    while frame:
        code, path = frame.f_code, Path(frame.f_code.co_filename)
        function = f"{path.stem}.{code.co_name}"
        room = f"{path.parent.name}.{path.stem}"
        is_ours = path.parent.parent == _ENGINE and path.parent.name not in _BELOW
        if is_ours and not code.co_name.startswith("<") and function not in _PASSING_ON:
            if room not in _PATHS:
                return ""
            places = _places(code, call)
            number = sum(line <= frame.f_lineno for line in places) if len(places) > 1 else ""
            return f"{function}: {what} {number}".rstrip()
        frame = frame.f_back
    return ""


@cache
def _places(code: CodeType, call: str) -> list[int]:
    """Return the lines of a function that make this call."""
    lines, first = getsourcelines(code)
    return [number for number, line in enumerate(lines, first) if f".{call}(" in line]


def _told(worker: Worker) -> None:
    worker.deliver()
    worker.export()
    worker.deliver()


def _settled_later(worker: Worker) -> None:
    worker.export()
    worker.settle()
    worker.wait()
    worker.settle()
    worker.export()


def _delivered_later(worker: Worker) -> None:
    worker.deliver()
    worker.wait()
    worker.deliver()


def _turned_away(worker: Worker) -> None:
    with suppress(SettingsError):
        worker.deliver()


def _paid_later(worker: Worker) -> None:
    for _ in range(3):
        worker.pay()
        worker.wait()


def _given_up(worker: Worker) -> None:
    worker.export()
    worker.settle()
    worker.export()


@dataclass(frozen=True)
class Story:
    """How a worker comes to a boundary, and what must be the end of it."""

    begins: str
    play: Callable[[Worker], None]
    arrange: Callable[[Scene], None] = lambda scene: None
    steps: Sequence[Callable[[Worker], None]] = (Worker.settle, Worker.export, Worker.deliver)
    mend: Callable[[Scene], None] = lambda scene: None
    is_refused: bool = False
    also: Mapping[str, Callable[[Scene], None]] = field(default_factory=dict)  # what breaks at a boundary


def _lose(kind: str, system: str, route: str, **more: Any) -> Callable[[Scene], None]:
    return lambda scene: scene.fault(system, route, kind, **more)


def _lose_entry(kind: str, **more: Any) -> Callable[[Scene], None]:
    return lambda scene: scene.fault(scene.erp.name, scene.erp.entering, kind, **more)


def _lose_mail(scene: Scene) -> None:
    scene.mails.answers = ["lose"]


def _retire_vendors(scene: Scene) -> None:
    for each in scene.contractor.books.vendors:
        scene.play(scene.erp.name, "vendors", {"code": each.code, "status": "N"})


# The first request is lost, and the ERP refuses the second: it takes nothing of these vendors any more.
_REFUSED = {"chunk._look_after: after find": _retire_vendors}
_TELLING = (Worker.read, Worker.settle, Worker.export, Worker.deliver)
_PAYING = (Worker.pay,)
_MAILING = (Worker.deliver, Worker.mail)
STORIES = {
    "an export": Story("accepted", Worker.export),
    "the answer is lost": Story("accepted", Worker.export, _lose_entry("reset_after")),
    "the request is lost": Story("accepted", _settled_later, _lose_entry("reset_before")),
    "surely not sent": Story("accepted", Worker.export, _lose_entry("429", retry_after=3600)),
    "given up": Story("accepted", _given_up, _lose_entry("429", retry_after=3600, times=4)),
    "refused when sent again": Story(
        "accepted", _settled_later, _lose_entry("reset_before"), is_refused=True, also=_REFUSED
    ),
    "refused, and no look": Story(
        "accepted",
        _settled_later,
        _lose_entry("reset_before"),
        mend=Scene.show_invoices,
        is_refused=True,
        also={**_REFUSED, "chunk._send: after create": Scene.hide_invoices},
    ),
    "the ledger was restored": Story("forgotten", Worker.export),
    "a worker has died": Story("left", Worker.settle),
    "letters": Story("accepted", _told, steps=_TELLING),
    "the answer to a letter is lost": Story("accepted", _delivered_later, _lose("reset_after", *_TELL), _TELLING),
    "Procore turns us away": Story(
        "accepted", _turned_away, _lose("5xx_before", *_TELL, status=401, times=8), _TELLING, Scene.heal
    ),
    "mails": Story("rejected", Worker.mail, steps=_MAILING, is_refused=True),
    "the answer to a mail is lost": Story("rejected", Worker.mail, _lose_mail, _MAILING, is_refused=True),
    "payments": Story("paid", Worker.pay, steps=_PAYING),
    "the answer to a payment is lost": Story("paid", Worker.pay, _lose("reset_after", *_PAY), _PAYING),
    "a payment is lost": Story("paid", _paid_later, _lose("reset_before", *_PAY), _PAYING),
    "a payment is surely not sent": Story("paid", Worker.pay, _lose("429", *_PAY, retry_after=3600), _PAYING),
    "the ledger was restored after payments": Story("unpaid", Worker.pay, steps=_PAYING),
    "Payments Issued is off": Story("paid", Worker.pay, Scene.close_payments, _PAYING, Scene.open_payments),
}

# What cannot be done together with anything else, and the story in which a worker is killed or stopped around it.
# What is listed and not come by in the stories, or come by and not listed, is an error.
PLACES = {
    "chunk._claim: commit": "an export",
    "chunk._look_first: find": "an export",
    "chunk._look_first: commit": "the ledger was restored",
    "chunk._mark_sent: commit": "an export",
    "chunk._send: create": "an export",
    "chunk._settle: find": "refused when sent again",
    "chunk._settle: commit 1": "refused, and no look",
    "chunk._settle: commit 2": "an export",
    "chunk._look_after: find": "the answer is lost",
    "chunk._look_after: commit": "the answer is lost",
    "chunk._release: commit": "surely not sent",
    "outcome.release_expired: commit": "a worker has died",
    "outcome.settle_uncertain: find": "the request is lost",
    "outcome.settle_uncertain: commit": "the request is lost",
    "outcome.revive_transient: commit": "given up",
    "letters._claim: commit": "letters",
    "letters._look_first: invoices": "the answer to a letter is lost",
    "letters._mark_sent: commit": "letters",
    "letters._write_one: set_origin": "letters",
    "letters._settle: commit": "letters",
    "letters._release: commit": "Procore turns us away",
    "mail._claim: commit": "mails",
    "mail._send: send": "mails",
    "mail._settle: commit": "the answer to a mail is lost",
    "collection.collect: payments": "payments",
    "collection.collect: commit": "payments",
    "issued._claim: commit": "payments",
    "issued._look_first: payments": "payments",
    "issued._look_first: commit": "the ledger was restored after payments",
    "issued._mark_sent: commit": "payments",
    "issued._send: record_payment": "payments",
    "issued._unmark: commit": "a payment is surely not sent",
    "issued._settle: commit": "payments",
    "issued._look_after: payments": "the answer to a payment is lost",
    "issued._look_after: commit": "the answer to a payment is lost",
    "issued._release: commit": "a payment is lost",
    "issued._note: commit": "Payments Issued is off",
    "observation.observe: find": "payments",
    "observation._record: commit": "payments",
}
BOUNDARIES = {
    f"{function}: {side} {what}": story
    for function, what, story in ((*place.split(": "), story) for place, story in PLACES.items())
    for side in ("before", "after")
}


def prepare(scene: Scene) -> None:
    """Keep how the stories begin."""
    scene.begin()
    scene.keep("begun")
    scene.reject_everything()
    scene.keep("rejected")
    scene.begin("begun")
    scene.accept_everything()
    scene.keep("accepted")
    with at_work(scene.ledger, scene.clock) as worker:
        _told(worker)
    scene.keep("told")
    scene.forget("accepted")
    scene.keep("forgotten")
    scene.begin("told")
    scene.pay(of_each_vendor=1)
    scene.keep("paid")
    with at_work(scene.ledger, scene.clock) as worker:
        worker.pay()
    scene.forget("paid")
    scene.keep("unpaid")
    scene.begin("accepted")
    watch = Watch("chunk._send: after create", partial(_signal, signal.SIGKILL))
    with _child(scene, STORIES["an export"], watch) as child:
        child.wait()
    scene.clock.advance(_LONG)
    scene.keep("left")


def record(scene: Scene) -> dict[str, Counter[str]]:
    """Play every story to its end and return how often each boundary was crossed in it."""
    crossed = {}
    for name, story in STORIES.items():
        watch = _begin(scene, story)
        with at_work(scene.ledger, scene.clock) as worker, watch.over(worker) as watched:
            story.play(watched)
        crossed[name] = watch.crossed
    return crossed


def kill(scene: Scene, boundary: str, hits: int = 1) -> None:
    """Kill a worker when it comes by the boundary for this time, let another one finish, and count."""
    story = STORIES[BOUNDARIES[boundary]]
    watch = replace(_begin(scene, story), act_at=boundary, act=partial(_signal, signal.SIGKILL), hits=hits)
    with _child(scene, story, watch) as child:
        if (status := child.wait()) != -signal.SIGKILL:
            raise HarmError(f"it was not reached: the worker ended with {status}")
    _finish(scene, story)
    _count(scene, story)
    if not story.is_refused:
        _count_writes(scene)


def stop(scene: Scene, boundary: str, hits: int = 1) -> None:
    """Stop a worker there for longer than its lease, let another one finish, continue the first, and count.

    Inside a transaction it holds what all others wait for, on either database: there it is continued before they begin.
    """
    story = STORIES[BOUNDARIES[boundary]]
    watch = replace(_begin(scene, story), act_at=boundary, act=partial(_signal, signal.SIGSTOP), hits=hits)
    with _child(scene, story, watch) as child:
        if not child.wait_for_stop():
            raise HarmError("it was not reached")
        scene.clock.advance(_LONG)
        if "before commit" in boundary:
            child.send(signal.SIGCONT)
            _finish(scene, story)
        else:
            _finish(scene, story)
            child.send(signal.SIGCONT)
        if (status := child.wait()) not in (os.EX_OK, TRY_AGAIN):
            raise HarmError(f"the worker that was continued ended with {status}")
    _finish(scene, story)
    _count(scene, story)


def unlisted_functions() -> set[str]:
    """Return the functions of the paths that commit or call, of which no boundary is listed."""
    calls = ("transaction", *_CALLS)
    found = {
        f"{path.rpartition('.')[2]}.{name}"
        for path in _PATHS
        for name, function in getmembers(import_module(f"tieout.{path}"), isfunction)
        if function.__module__ == f"tieout.{path}" and any(_places(function.__code__, call) for call in calls)
    }
    return found - {place.partition(":")[0] for place in PLACES} - {*_PASSING_ON, *_ELSEWHERE}


def _begin(scene: Scene, story: Story) -> Watch:
    scene.begin(story.begins)
    story.arrange(scene)
    return Watch(also={name: partial(act, scene) for name, act in story.also.items()})


def _signal(what: signal.Signals) -> None:
    os.kill(os.getpid(), what)


def _child(scene: Scene, story: Story, watch: Watch) -> Child:
    def work() -> None:
        with at_work(scene.ledger, scene.clock) as worker, watch.over(worker) as watched:
            story.play(watched)

    return Child(work)


def _finish(scene: Scene, story: Story) -> None:
    """Be the one who takes over, and work until nothing is left."""
    story.mend(scene)
    with at_work(scene.ledger, scene.clock) as worker:
        worker.finish(*story.steps)


def _count(scene: Scene, story: Story) -> None:
    """Count in both systems; HarmError when anything is there twice, is missing, or is not equal to the cent."""
    if wrong := {name: number for name, number in scene.tally(story.is_refused).items() if number}:
        raise HarmError(f"{wrong}")
    told = Counter(each["Subject"] for each in scene.mails.shown)
    if story.begins == "rejected" and (len(told), told.total()) != (len(scene.requisitions()),) * 2:
        raise HarmError(f"mailboxes show {told} of {len(scene.requisitions())} rejections")


def _count_writes(scene: Scene) -> None:
    """Nothing that arrived was sent again, though both systems would have refused it."""
    entered, paid = (scene.arrived(*each) for each in ((scene.erp.name, scene.erp.entering), _PAY))
    if entered > 1 or paid > len(scene.requisitions()):
        raise HarmError(f"the invoices were entered {entered} times, and {paid} payments were written")
