"""Workers of an office, forked from a warm parent: one costs milliseconds, and may die or stand still anywhere."""

import ctypes
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tieout import opening, settings
from tieout.connectors.base import ERP
from tieout.connectors.procore import Procore
from tieout.connectors.smtp import Mailer
from tieout.errors import TransientError
from tieout.export import chunk, observation, outcome
from tieout.intake import invoices, reference
from tieout.judgement.basis import load_basis
from tieout.ledger import audit, letters, mails, states
from tieout.ledger.book import Ledger
from tieout.office import Office
from tieout.outbox.letters import deliver as deliver_letters
from tieout.outbox.mail import deliver as deliver_mail
from tieout.payments import collection, issued

ACTOR = "worker"
_BEGINNING = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)  # noon in New York, a Wednesday
TRY_AGAIN = os.EX_TEMPFAIL  # how a worker ends whose task would be tried again
_LONGEST_SECONDS = 60  # that a child may live, unless it is told otherwise
_MOST_NIGHTS = 12
_OPEN = (states.ACCEPTED, states.EXPORTING, states.UNCERTAIN)
_PR_SET_PDEATHSIG = 1


class HarmError(Exception):
    """Something is there twice, is missing or wrong, or does not come to its end; the message says what."""


def end_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Have this process end when its parent goes, however it goes: a stopped one would stand there for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)


class Clock:
    """The time that the stand-ins and all workers go by, in memory that they share.

    It stands still unless `rate` says how many of its seconds go by in one of ours, and jumps when it is told to.
    """

    def __init__(self, rate: float = 0.0) -> None:
        self._rate, self._began = rate, time.monotonic()
        self._jumped = mmap.mmap(-1, struct.calcsize("d"))

    def __call__(self) -> datetime:
        [jumped] = struct.unpack("d", self._jumped[:])
        return _BEGINNING + timedelta(seconds=jumped + self._rate * (time.monotonic() - self._began))

    def advance(self, by: timedelta) -> None:
        [jumped] = struct.unpack("d", self._jumped[:])
        self._jumped[:] = struct.pack("d", jumped + by.total_seconds())


class Child:
    """A forked process that does one thing; leaving the block kills it if it is still there."""

    def __init__(self, work: Callable[[], int | None], longest: int = _LONGEST_SECONDS) -> None:
        sys.stdout.flush()
        self.pid = os.fork()
        self._is_reaped = False
        if self.pid == 0:
            _run(work, longest)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_reaped:
            self.send(signal.SIGKILL)
            self.wait()

    def send(self, what: signal.Signals) -> None:
        os.kill(self.pid, what)

    def wait(self) -> int:
        """Wait for its end; return its exit status, or the negative number of the signal that killed it."""
        return self._status(0)

    def has_ended(self) -> bool:
        """Whether it came to an end by itself."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait_for_stop(self) -> bool:
        """Wait until it stands still; False when it came to its end instead."""
        return self._status(os.WUNTRACED) == -signal.SIGSTOP

    def _status(self, options: int) -> int:
        _, status = os.waitpid(self.pid, options)
        if os.WIFSTOPPED(status):
            return -os.WSTOPSIG(status)
        self._is_reaped = True
        return os.waitstatus_to_exitcode(status)


def _run(work: Callable[[], int | None], longest: int) -> None:
    """Work and end with the status that it returned; none of the parent's handlers and open files are touched."""
    status = os.EX_SOFTWARE
    try:
        end_with_parent()
        for each in (signal.SIGALRM, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        signal.alarm(longest)
        status = work() or os.EX_OK
    except TransientError:
        status = TRY_AGAIN
    finally:
        if status == os.EX_SOFTWARE:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(status)


@dataclass
class Worker:
    """Takes the steps of a night, as the tasks do."""

    ledger: Ledger
    procore: Procore
    erp: ERP
    clock: Clock
    mailer: Mailer

    @property
    def office(self) -> Office:
        """What a step works by now: settings may have changed since the one before it."""
        return Office(settings.read(), self.clock, ACTOR)

    def read(self) -> None:
        for project_id in reference.list_projects(self.ledger, self.procore, self.office):
            invoices.fetch_changed(self.ledger, self.procore, project_id, self.office)

    def settle(self) -> None:
        outcome.release_expired(self.ledger, self.erp, self.office)
        outcome.settle_uncertain(self.ledger, self.erp, self.office)
        outcome.revive_transient(self.ledger, self.office)

    def export(self) -> None:
        """Export until nothing is left; a step that is told to try again does so, as its task would."""
        if not chunk.waiting(self.ledger):
            return
        basis = load_basis(self.ledger, self.erp, self.office)
        tries = self.office.settings.export.attempts
        while tries:
            try:
                if not chunk.export_chunk(self.ledger, self.erp, basis, self.office).invoice_ids:
                    return
            except TransientError:
                tries -= 1

    def deliver(self) -> None:
        deliver_letters(self.ledger, self.procore, self.office)

    def mail(self) -> None:
        deliver_mail(self.ledger, self.mailer, self.office)

    def pay(self) -> None:
        collection.collect(self.ledger, self.erp, self.office)
        observation.observe(self.ledger, self.erp, self.office)
        self.write_payments()

    def write_payments(self) -> None:
        issued.write(self.ledger, self.procore, self.office)

    def wait(self) -> None:
        """Let so much time go by that a dead worker's work is taken over, and that two looks are far enough apart."""
        can = self.erp.capabilities
        longest = max(can.request_timeout, self.procore.request_timeout) + self.office.settings.export.lease
        self.clock.advance(max(longest, can.settles_within, self.procore.settles_within) + timedelta(seconds=1))

    def finish(self, *steps: Callable[["Worker"], None]) -> None:
        """Take the steps night after night, until nothing is left; the audit must find nothing then."""
        for _ in range(_MOST_NIGHTS):
            self.wait()
            for step in steps:
                step(self)
            if nothing_waits(self.ledger):
                break
        else:
            raise HarmError(f"after {_MOST_NIGHTS} nights: {[(i.number, i.state) for i in self.ledger.items()]}")
        if breaks := audit.verify(self.ledger):
            raise HarmError(f"the audit finds {breaks}")


def nothing_waits(ledger: Ledger) -> bool:
    """Whether no invoice, no payment, no letter and no mail waits any more."""
    with ledger.reading() as connection:
        owed = [*letters.newest_open(connection), *mails.open_ids(connection)]
    return not (owed or issued.open_payments(ledger) or ledger.items(state=_OPEN))


@contextmanager
def at_work(ledger: Ledger, clock: Clock) -> Iterator[Worker]:
    """Open what a worker works with; the ledger may be its parent's, which knows its statements already."""
    office = Office(settings.read(), clock, ACTOR)
    opened = opening.open_procore(office), opening.open_erp(office), opening.open_mailer(office)
    with ledger, opened[0] as procore, opened[1] as erp, opened[2] as mailer:
        yield Worker(ledger, procore, erp, clock, mailer)
