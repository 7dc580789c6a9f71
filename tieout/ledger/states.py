"""The transition table of an item (one Procore invoice): what may follow what, and because of which event."""

from typing import Final

# Before acceptance
HELD: Final = "HELD"  # a check stopped it
NOT_EXPORTABLE: Final = "NOT_EXPORTABLE"  # this ERP cannot take its kind
READY: Final = "READY"  # waits for an approver
REJECTED: Final = "REJECTED"
RETRIEVED: Final = "RETRIEVED"
# Accepted
ACCEPTED: Final = "ACCEPTED"
EXPORTING: Final = "EXPORTING"  # claimed under a lease
UNCERTAIN: Final = "UNCERTAIN"  # sent, answer lost
FAILED: Final = "FAILED"  # refused after acceptance, by us or by the ERP
# In the ERP
EXPORTED: Final = "EXPORTED"
POSTED: Final = "POSTED"
PART_PAID: Final = "PART_PAID"
PAID: Final = "PAID"
GONE: Final = "GONE"
UNLINKED: Final = "UNLINKED"

IN_ERP: Final = (EXPORTED, POSTED, PART_PAID, PAID)
OUTSIDE: Final = (
    REJECTED,
    RETRIEVED,
    UNLINKED,
)  # the night sends these again only when their content changed
JUDGED: Final = (READY, HELD, NOT_EXPORTABLE)
ALL: Final = (*JUDGED, ACCEPTED, EXPORTING, UNCERTAIN, FAILED, *IN_ERP, GONE, *OUTSIDE)

# Events, named for what happened
SENT: Final = "sent"
ACCEPT: Final = "accepted"
REJECT: Final = "rejected"
RETRIEVE: Final = "retrieved"
WITHDRAW: Final = "withdrawn"  # no longer sendable, or gone from Procore
REJUDGE: Final = "judged again"
CHANGE: Final = "changed"  # content changed after acceptance: a new acceptance is needed
CLAIM: Final = "claimed"  # what will be sent is frozen, and who may send it
RELEASE: Final = "released"  # surely not sent
CREATE: Final = "created"
REFUSE: Final = "refused"
LOSE: Final = "answer lost"
FIND: Final = "found"
CLEAR: Final = "absent twice"
LOOK: Final = "looked"
RETRY: Final = "retried"
OBSERVE: Final = "observed"
UNLINK: Final = "unlinked"
PAY: Final = "payment taken over"
ADOPT: Final = "adopted"  # a person says that what the ERP shows is this invoice
DISOWN: Final = "disowned"  # a person says that it is not
DRIFT: Final = "drifted"  # one side was changed after the export, or is again as it was
ACKNOWLEDGE: Final = "drift acknowledged"
AMEND: Final = "amendment sent"  # what the unposted invoice shall become in the ERP is frozen
AMENDED: Final = "amended"  # the ERP has taken it
CONFIRM: Final = "release confirmed"  # a person says that retention was released by hand, or why it need not be

_ALLOWED: Final[dict[tuple[str | None, str], tuple[str, ...]]] = {
    (None, SENT): JUDGED,
    **{(state, SENT): JUDGED for state in OUTSIDE},
    **{(state, REJUDGE): JUDGED for state in JUDGED},
    **{(state, WITHDRAW): (RETRIEVED,) for state in (*JUDGED, ACCEPTED, FAILED)},
    (READY, ACCEPT): (ACCEPTED,),
    (READY, REJECT): (REJECTED,),
    (READY, RETRIEVE): (RETRIEVED,),
    (HELD, RETRIEVE): (RETRIEVED,),
    (ACCEPTED, CLAIM): (EXPORTING,),
    (ACCEPTED, CHANGE): JUDGED,
    (ACCEPTED, REFUSE): (FAILED,),
    (ACCEPTED, REJECT): (REJECTED,),
    (EXPORTING, CREATE): (EXPORTED,),
    (EXPORTING, FIND): (EXPORTED,),
    (EXPORTING, REFUSE): (FAILED,),
    (EXPORTING, RELEASE): (ACCEPTED, FAILED),
    (EXPORTING, LOSE): (UNCERTAIN,),
    (UNCERTAIN, FIND): (EXPORTED,),
    (UNCERTAIN, CLEAR): (ACCEPTED,),
    (UNCERTAIN, LOOK): (UNCERTAIN,),
    (UNCERTAIN, ADOPT): (EXPORTED,),
    (UNCERTAIN, DISOWN): (FAILED,),
    (FAILED, RETRY): (ACCEPTED,),
    (FAILED, REFUSE): (FAILED,),
    (FAILED, CHANGE): JUDGED,
    (FAILED, REJECT): (REJECTED,),
    **{(state, OBSERVE): (*IN_ERP, GONE) for state in (*IN_ERP, GONE)},
    **{(state, event): (state,) for state in (*IN_ERP, GONE) for event in (PAY, DRIFT, ACKNOWLEDGE, AMENDED)},
    (EXPORTED, AMEND): (EXPORTED,),
    **{(state, CONFIRM): (state,) for state in (*IN_ERP, NOT_EXPORTABLE)},
    (GONE, UNLINK): (UNLINKED,),
}


def is_allowed(before: str | None, event: str, after: str) -> bool:
    """Whether the event may take an item from one state to the other."""
    return after in _ALLOWED.get((before, event), ())
