"""Errors say who moves next.

TieoutError
|- TransientError     nobody; the task retries              surely nothing was written: failed read, no connection, 429
|- UnconfirmedError   nobody; the task looks, then retries  a write with another 5xx, time-out, reset, unreadable answer
|- RefusedError       the bookkeeper                        closed period, unknown vendor, a lock
|- ContractError      the owner of the data                 a row or batch breaks its contract
|- MismatchError      the controller; that item stops       the books disagree about it
`- SettingsError      the operator; nothing starts          missing or refused credentials, rights or tables
"""

from typing import Any


class TieoutError(Exception):
    """A failure with its facts as attributes; the message is built here and nowhere else."""

    verb = "failed on"

    def __init__(self, system: str, document: str, reason: str, request_id: str | None = None) -> None:
        """Keep the system's name, the document concerned, the reason in its own words and the vendor's request id."""
        self.system, self.document, self.reason, self.request_id = system, document, reason, request_id
        origin = f" (request {request_id})" if request_id else ""
        super().__init__(f"[{system} Error] {system} {self.verb} {document}: {reason}{origin}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Prefect moves errors between processes by pickle, which would otherwise call __init__ with the message."""
        return type(self), (self.system, self.document, self.reason, self.request_id)


class TransientError(TieoutError):
    """Nothing was written for certain; trying again is safe and nobody needs to act."""

    verb = "could not be reached for"


class UnconfirmedError(TieoutError):
    """A write was sent and its outcome is unknown; the next step is to look, never to send again blindly."""

    verb = "gave no readable answer about"


class RefusedError(TieoutError):
    """The outside system answered no, with a reason that a bookkeeper can act on."""

    verb = "refused"


class ContractError(TieoutError):
    """What was read breaks its data contract."""

    verb = "sent something unreadable for"


class MismatchError(TieoutError):
    """Two systems hold different figures for the same document; a person decides."""

    verb = "disagrees about"


class SettingsError(TieoutError):
    """Credentials, rights or settings are missing; nothing starts."""

    verb = "is not set up for"
