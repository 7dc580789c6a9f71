"""One-time codes of an authenticator app (RFC 6238), by which people prove who they are.

No secret is kept: each person's is derived from the one key of the company, their name and a generation number.
"""

import hmac
from base64 import b32encode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pyotp

from tieout.clock import lasts
from tieout.errors import RefusedError, SettingsError
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.enrolments import Enrolment, read_enrolment, write_enrolment
from tieout.office import Office
from tieout.settings import Settings

KEY = "TIEOUT_APPROVAL__KEY"
KEY_BYTES = 32
MOST_WRONG = 5
LOCKED_FOR = timedelta(minutes=15)
_STEP_SECONDS = 30
_DRIFT = 1  # steps by which a phone's clock may be off, either way (RFC 6238, section 5.2)
_STALE_AFTER = timedelta(hours=1)  # so long may a form that was handed in have waited for a worker
_SECRET_BYTES = 20  # as RFC 4226 wants it, and what every app takes


@dataclass(frozen=True)
class Issued:
    """A secret on its way to a phone; it counts from its confirmation on."""

    name: str
    generation: int
    uri: str  # otpauth://..., which holds the secret


def key_problem(settings: Settings) -> str:
    """Return what is wrong with the company's key; empty when nothing."""
    key = settings.approval.key.get_secret_value()
    if not key:
        return f"{KEY} is not set"
    return "" if len(key.encode()) >= KEY_BYTES else f"{KEY} is shorter than {KEY_BYTES} bytes"


def check(tx: Transaction, settings: Settings, name: str, code: str, at: datetime, decision: str = "") -> str:
    """Spend this person's code, handed in at that moment; return why it does not count, empty when it does.

    A code counts for one decision, which may be recorded again when the answer to its commit was lost, and none counts
    that is older than the newest one that did. Five wrong ones in a row lock the person for a quarter of an hour. What
    may be right, or cannot be judged, is not counted as wrong.
    """
    if problem := key_problem(settings):
        return f"no code can be checked: {problem}; the person who runs tieout must fix that"
    enrolled = read_enrolment(tx.connection, name)
    if not enrolled.generation:
        return f"{name} has no authenticator yet; the person who runs tieout sets one up with `tieout people enrol`"
    if locked := lock_of(enrolled, tx.now, settings.company.zone):
        return f"{name} is {locked}; tieout did not check this code"
    if not code.strip():
        return "the six digits of your authenticator app are needed as the code"
    if abs(tx.now - at) > _STALE_AFTER:
        return "the code was typed too long ago; start again with a new one"
    step = _step_of(_secret(settings, name, enrolled.generation), code, at)
    if step is None:
        return _count_wrong(tx, enrolled, settings.company.zone)
    if step == enrolled.last_step and decision and decision == enrolled.last_use:
        return ""
    if step <= enrolled.last_step:
        return "this code was used already; wait until your app shows the next one"
    write_enrolment(tx, name, last_step=step, last_use=decision, wrong_codes=0, locked_until=None)
    return ""


def lock_of(enrolled: Enrolment, now: datetime, zone: ZoneInfo) -> str:
    """Return in words until when nobody can sign in this person's name; empty when they can."""
    until = enrolled.locked_until
    if until is None or not lasts(until, now, LOCKED_FOR):
        return ""
    local = until.astimezone(zone)
    return f"locked until {local:%H:%M} ({local.tzname()}) for {MOST_WRONG} wrong codes in a row"


def issue(ledger: Ledger, name: str, office: Office) -> Issued:
    """Make the next secret of a person; the one in use stays valid until this one is confirmed."""
    if problem := key_problem(office.settings):
        raise SettingsError("Settings", "[approval]", problem)
    with ledger.transaction(office.clock(), name) as tx:
        generation = read_enrolment(tx.connection, name).issued + 1
        write_enrolment(tx, name, issued=generation)
    app = pyotp.TOTP(_secret(office.settings, name, generation))
    return Issued(
        name, generation, app.provisioning_uri(name=name, issuer_name=f"tieout {office.settings.company.name}")
    )


def confirm(ledger: Ledger, issued: Issued, code: str, office: Office) -> bool:
    """Let a secret count once its phone shows a right code; the phone before it shows wrong ones from then on.

    Raises RefusedError when another one was made meanwhile.
    """
    step = _step_of(_secret(office.settings, issued.name, issued.generation), code, office.clock())
    if step is None:
        return False
    with ledger.transaction(office.clock(), issued.name) as tx:
        if read_enrolment(tx.connection, issued.name).issued != issued.generation:
            raise RefusedError("Ledger", f"the enrolment of {issued.name}", "another one was begun after it")
        fresh = {"generation": issued.generation, "last_step": step, "last_use": "", "wrong_codes": 0}
        write_enrolment(tx, issued.name, **fresh, locked_until=None)
    return True


def unlock(ledger: Ledger, name: str, office: Office) -> bool:
    """Let a person sign again at once, who was locked for wrong codes; False when they were not locked."""
    with ledger.transaction(office.clock(), name) as tx:
        was_locked = bool(lock_of(read_enrolment(tx.connection, name), tx.now, office.settings.company.zone))
        if was_locked:
            write_enrolment(tx, name, wrong_codes=0, locked_until=None)
    return was_locked


def _count_wrong(tx: Transaction, enrolled: Enrolment, zone: ZoneInfo) -> str:
    wrong = enrolled.wrong_codes + 1
    if wrong < MOST_WRONG:
        write_enrolment(tx, enrolled.name, wrong_codes=wrong)
        left = MOST_WRONG - wrong
        return f"the code is wrong; {left} more wrong {'one' if left == 1 else 'ones'} and {enrolled.name} is locked"
    locked = replace(enrolled, wrong_codes=0, locked_until=tx.now + LOCKED_FOR)
    write_enrolment(tx, enrolled.name, wrong_codes=0, locked_until=locked.locked_until)
    return f"the code is wrong, and {enrolled.name} is {lock_of(locked, tx.now, zone)}"


def _secret(settings: Settings, name: str, generation: int) -> str:
    key = settings.approval.key.get_secret_value().encode()
    whole = hmac.digest(key, f"one-time codes\n{generation}\n{name}".encode(), "sha256")
    return b32encode(whole[:_SECRET_BYTES]).decode()


def _step_of(secret: str, code: str, at: datetime) -> int | None:
    """Return the newest time step near that moment whose code this is."""
    typed, middle = "".join(code.split()).encode(errors="replace"), int(at.timestamp()) // _STEP_SECONDS
    app = pyotp.TOTP(secret)
    near = range(middle + _DRIFT, middle - _DRIFT - 1, -1)
    return next((step for step in near if hmac.compare_digest(app.generate_otp(step).encode(), typed)), None)
