"""The phone of a person who decides, with the authenticator app that knows their one-time codes."""

import time
from dataclasses import dataclass
from datetime import timedelta

import pyotp
from builders import an_office
from desk import APPROVER

from tieout.clock import now
from tieout.opening import open_ledger
from tieout.people import codes


@dataclass
class Phone:
    """An authenticator app whose owner never types a code twice."""

    app: pyotp.TOTP
    newest: int = 0

    def code(self) -> str:
        """Return the next code that counts, waiting for it if need be."""
        while (step := int(now().timestamp()) // 30 + 1) <= self.newest:
            time.sleep(0.5)
        self.newest = max(self.newest + 1, step - 1)
        return self.app.at(self.newest * 30)

    def wrong_code(self) -> str:
        near = {self.app.at(now() + timedelta(seconds=30 * step)) for step in range(-5, 6)}
        return next(code for code in map(str, range(100000, 100020)) if code not in near)


def enrol() -> Phone:
    """Set up the approver's app, as `tieout people enrol` does."""
    office = an_office()
    with open_ledger(office) as ledger:
        issued = codes.issue(ledger, APPROVER, office)
        app = pyotp.parse_uri(issued.uri)
        assert isinstance(app, pyotp.TOTP)
        phone = Phone(app, int(now().timestamp()) // 30 - 2)
        assert codes.confirm(ledger, issued, phone.code(), office)
    return phone
