"""Who may decide what; checked where the decision is recorded (requirements R1 to R6)."""

from tieout import settings
from tieout.errors import RefusedError


def missing_right(name: str) -> str:
    """Return which right this person lacks for deciding as an accounting approver; empty when none."""
    if name in settings.approval().approvers:
        return ""
    return f"{name or 'Nobody'} is not an accounting approver: the privilege Can Push to Accounting is missing"


def require_approver(name: str, document: str) -> None:
    """Raise RefusedError, naming the missing right, unless this person is an accounting approver."""
    if missing := missing_right(name):
        raise RefusedError("Ledger", document, missing)
