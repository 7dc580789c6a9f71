"""A real SMTP server on a free port of this machine, which may refuse, put off or lose what it is handed."""

import email
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USER, PASSWORD = "tieout", "s3cret-of-mail"


@dataclass
class PostOffice:
    """What arrived, in order; `answers` are given to the next messages instead of taking them.

    `"lose"` takes the message and drops the connection, `"drop"` drops the connection instead of taking the recipient.
    """

    taken: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """What `[mail]` says to lead here."""
        return {"host": "127.0.0.1", "port": self.port, "security": "none", "sender": "tieout@contractor.example"}

    @property
    def shown(self) -> list[EmailMessage]:
        """What a mailbox shows: each Message-ID once."""
        return list({each["Message-ID"]: each for each in self.taken}.values())

    def to(self, address: str) -> list[EmailMessage]:
        """Return what a mailbox shows of those to this address."""
        return [each for each in self.shown if each["To"] == address]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answers[:1] == ["drop"]:
            self.answers.pop(0)
            assert server.transport
            server.transport.abort()  # type: ignore[attr-defined]  # of a socket, which can
            return "421 gone"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answers.pop(0) if self.answers else ""
        if answer and answer != "lose":
            return answer
        message = email.message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(message, EmailMessage)
        assert envelope.rcpt_tos == [message["To"]]
        self.taken.append(message)
        if answer == "lose":
            assert server.transport
            server.transport.abort()  # type: ignore[attr-defined]  # of a socket, which can
        return "250 taken"


@contextmanager
def a_post_office(certificate: Path | None = None, asks_who: bool = False) -> Iterator[PostOffice]:
    """Run one; with a certificate (chain and key in one file) it offers STARTTLS, and wants it before a password."""
    office, options = PostOffice(), dict[str, Any]()
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        options |= {"tls_context": context, "require_starttls": True}
    if asks_who:
        options |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": certificate is not None}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        office.port = probe.getsockname()[1]
    controller = Controller(office, hostname="127.0.0.1", port=office.port, **options)
    controller.start()
    try:
        yield office
    finally:
        controller.stop()


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    is_known = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_known, handled=is_known)
