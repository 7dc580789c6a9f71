"""What each step says in the report of its run, to the word."""

import pytest

from tieout.decisions.answers import REFUSED, Answer, Answers
from tieout.decisions.choice import Chosen
from tieout.decisions.reject import Rejected
from tieout.decisions.review import Decided
from tieout.intake.invoices import Fetched
from tieout.ledger.states import HELD, READY, REJECTED
from tieout.outbox.letters import Delivered
from tieout.outbox.mail import Mailed
from tieout.payments.collection import Collected
from tieout.payments.issued import Written
from tieout.results import Result, Told

SOUND, HELD_ONE = Answer(1, "A-1", READY, ""), Answer(2, "A-2", HELD, "no vendor")
REFUSED_ONE = Answer(3, "A-3", REFUSED, "it is a draft")


@pytest.mark.parametrize(
    ("result", "notes", "figures", "refused"),
    [
        (Fetched(7, "Mill", 9, 4), [], [("changed in Procore", 4)], []),
        (Fetched(7, "Mill", skipped="403"), ["Mill skipped: 403"], [("changed in Procore", 0)], []),
        (Fetched(7, "Mill", 2, 1, ("odd", "bad")), ["Mill: odd", "Mill: bad"], [("changed in Procore", 1)], []),
        (
            Answers("sent", (SOUND, HELD_ONE, REFUSED_ONE)),
            ["A-2 HELD: no vendor"],
            [("sent", 2)],
            ["A-3: it is a draft"],
        ),
        (
            Rejected("rejected", (Answer(1, "A-1", REJECTED, ""), REFUSED_ONE), ("no address of Ann",)),
            ["no address of Ann"],
            [("rejected", 1)],
            ["A-3: it is a draft"],
        ),
        (Chosen((1,), (("X", "no such invoice"),)), [], [], ["X: no such invoice"]),
        (
            Decided((1, 2), (3,), (("A-4", "it is HELD by now"),), ("no address of Ann",)),
            ["A-4: the decision came too late, it is HELD by now", "no address of Ann"],
            [("accepted", 2), ("rejected", 1)],
            [],
        ),
        (Mailed(2, 3, "busy", ("550",)), ["nobody read it: 550", "3 mails wait: busy"], [("mails sent", 2)], []),
        (Delivered(1, 2, ("422",)), ["422", "2 write-backs wait until Procore takes them"], [], []),
        (Collected(1, ("check 9 is odd",)), ["check 9 is odd"], [], []),
        (Written(3, 1, ("422",)), ["422"], [("payments written to Procore", 3)], []),
        (Told(notes=("a",), figures=(("b", 1),)), ["a"], [("b", 1)], []),
        (Result(), [], [], []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Result) else "",
)
def test_a_result_says_what_the_report_shows(result: Result, notes: list, figures: list, refused: list):
    assert [*result.notes] == notes
    assert [*result.figures] == figures
    assert [*result.refused] == refused
