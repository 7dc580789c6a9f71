"""A mail to one person, and what counts as an address."""

import re
from datetime import datetime

from data_contracts.contract import Contract

_LONGEST = 254  # RFC 5321, 4.5.3.1
# One plain address. Whatever could end a header, begin a second address or need an extension of the server is none.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class Mail(Contract):
    """One mail as it was frozen: whoever sends it again sends the same, by which mailboxes tell a repetition."""

    message_id: str
    recipient: str
    subject: str
    body: str
    written_at: datetime


def is_address(text: str) -> bool:
    """Whether this is one e-mail address that any server can be given."""
    return len(text) <= _LONGEST and _ADDRESS.fullmatch(text) is not None and ".." not in text
