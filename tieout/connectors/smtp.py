"""Mail by SMTP (RFC 5321), through the server that the company names in `[mail]`.

Nobody can ask an SMTP server what it took. Where the answer to a message is lost it is sent again, the same to the
byte, so that a mailbox that knows its Message-ID already shows it once. Certificates are always verified.
"""

import smtplib
import ssl
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP

from data_contracts.mail import Mail
from data_contracts.reference import Problem
from data_contracts.text import plain
from tieout.errors import RefusedError, SettingsError, TieoutError, TransientError, UnconfirmedError
from tieout.settings import Mail as Settings

SYSTEM = "Mail"
_POLICY = SMTP.clone(cte_type="7bit")  # any server can be given that
_EXCHANGES = 5  # MAIL, RCPT, DATA, the message, its answer
_FIRST_DELAY, _FIRST_REFUSAL = 400, 500  # answers from here on are for later, and for good
_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class Mailer:
    """One server, seen by one account; connected when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self._settings = settings
        self._smtp: smtplib.SMTP | None = None
        self.request_timeout = timedelta(seconds=_EXCHANGES * settings.timeout)

    def close(self) -> None:
        """Release the connection."""
        if self._smtp:
            self._smtp.close()
        self._smtp = None

    def check(self) -> list[Problem]:
        """Return what stands in the way: address, TLS, account. Sends nothing."""
        try:
            self.connect()
        except TieoutError as error:
            remedy = "Check [mail]: host, port, security, user, password, ca_file."
            return [Problem(system=SYSTEM, check="mail", is_blocking=False, message=str(error), remedy=remedy)]
        return []

    def connect(self) -> None:
        """Be connected; TransientError where the server is away, SettingsError where it turns us away."""
        if self._smtp is not None:
            return
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            self._smtp = self._connected()
        except _CUT_OFF as error:
            raise TransientError(SYSTEM, where, str(error)) from None
        except ssl.SSLError as error:
            raise SettingsError(SYSTEM, where, f"no trusted TLS: {error.reason or error}") from None
        except smtplib.SMTPResponseException as answer:
            words = _words(answer.smtp_code, answer.smtp_error)
            kind = TransientError if answer.smtp_code < _FIRST_REFUSAL else SettingsError
            raise kind(SYSTEM, where, words) from None
        except smtplib.SMTPServerDisconnected as error:
            raise TransientError(SYSTEM, where, str(error)) from None
        except smtplib.SMTPException as error:  # it offers no STARTTLS, or no way to log in that we know
            raise SettingsError(SYSTEM, where, str(error)) from None
        except OSError as error:
            raise TransientError(SYSTEM, where, str(error)) from None

    def send(self, mail: Mail) -> None:
        """Hand over one mail.

        Raises TransientError where it was surely not taken and may be later, UnconfirmedError where the answer to it
        was lost, RefusedError where it will never be taken, SettingsError where the server will not have our sender.
        """
        self.connect()
        assert self._smtp is not None
        document = f"mail to {mail.recipient}"
        try:
            self._expect(document, self._smtp.mail(self._settings.sender), SettingsError)
            self._expect(document, self._smtp.rcpt(mail.recipient), RefusedError)
        except (smtplib.SMTPServerDisconnected, OSError) as lost:
            self.close()
            raise TransientError(SYSTEM, document, str(lost)) from None
        try:
            self._expect(document, self._smtp.data(_message(mail, self._settings.sender)), RefusedError)
        except smtplib.SMTPDataError as answer:
            self._expect(document, (answer.smtp_code, answer.smtp_error), RefusedError)
        except (smtplib.SMTPServerDisconnected, OSError) as lost:
            self.close()
            raise UnconfirmedError(SYSTEM, document, str(lost)) from None

    def _connected(self) -> smtplib.SMTP:
        settings, context = self._settings, self._context()
        if settings.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=settings.timeout, context=context
            )
        else:
            smtp = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout)
        try:
            if settings.security == "starttls":
                smtp.starttls(context=context)
            smtp.ehlo_or_helo_if_needed()
            if settings.user:
                smtp.login(settings.user, settings.password.get_secret_value())
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._settings.ca_file)
        except OSError as error:
            raise SettingsError(SYSTEM, f"ca_file {self._settings.ca_file}", str(error)) from None

    def _expect(self, document: str, answer: tuple[int, bytes | str], refusal: type[TieoutError]) -> None:
        """Go on where the server says yes; else leave it ready for the next mail."""
        code, words = answer
        if code < _FIRST_DELAY:
            return
        self.close()
        kind = TransientError if code < _FIRST_REFUSAL else refusal
        raise kind(SYSTEM, document, _words(code, words))


def _message(mail: Mail, sender: str) -> bytes:
    """Return the mail as it goes over the wire; `EmailMessage` refuses a header that would begin another one."""
    message = EmailMessage(policy=_POLICY)
    message["Message-ID"] = mail.message_id
    message["Date"] = mail.written_at
    message["From"], message["To"], message["Subject"] = sender, mail.recipient, mail.subject
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office note answers it
    message.set_content(mail.body)
    return message.as_bytes()


def _words(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {plain(text)}"
