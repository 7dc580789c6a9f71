"""The badge that shows how an invoice stands, and the words under it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from data_contracts.money import in_words
from data_contracts.reference import Finding
from tieout.export.drift import TWO, open_drift
from tieout.judgement.release import open_release
from tieout.ledger import states
from tieout.ledger.items import Item
from tieout.wording import NOWHERE, Places, by_cause, printable

FAILED_TO_EXPORT: Final = "Failed to Export"
HELD: Final = "Held"
UNCERTAIN: Final = "Uncertain"
DRIFTED: Final = "Drifted"
TO_RELEASE: Final = "Release Retention by Hand"
EXPORTED: Final = "Exported"
SENT: Final = "Sent"
ACCEPTED: Final = "Accepted"
SUPERSEDED: Final = "Superseded"

FAILING: Final = {states.FAILED: FAILED_TO_EXPORT, states.HELD: HELD, states.UNCERTAIN: UNCERTAIN}
SETTLED: Final = {
    states.READY: SENT,
    states.NOT_EXPORTABLE: "Not Exportable",
    states.ACCEPTED: ACCEPTED,
    states.EXPORTING: ACCEPTED,
    states.REJECTED: "Rejected",
    states.RETRIEVED: "Retrieved",
    states.UNLINKED: "Unlinked",
    **dict.fromkeys((*states.IN_ERP, states.GONE), EXPORTED),
}
_LONGEST_MESSAGE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Standing:
    """The state that a run shows: its Prefect type, its name on the badge and the words under it."""

    type: str
    name: str
    message: str = ""


# What a run becomes that has given no sign of life for too long.
LOST: Final = Standing(
    "CRASHED",
    "Crashed",
    "It stopped giving signs of life: its worker died. Nothing is lost or doubled. The next run takes over what it "
    "had begun; to have it done right away, start it again.",
)


def key_of(item: Item) -> str:
    """Return the idempotency key of the item's run: one run per invoice and time that it was sent."""
    return f"invoice/{item.company_id}/{item.invoice_id}/{item.revision}"


def tags_of(item: Item) -> tuple[str, ...]:
    """Return by what an operator may filter."""
    tags = (f"project:{printable(item.project or str(item.project_id), 80)}", f"erp:{item.erp}")
    causes = [item.cause] if item.cause else []
    if drifted := {each.rule for each in open_drift(item)}:
        causes = ["drift", *drifted & {TWO}]
    elif open_release(item):
        causes = ["release"]
    return (*tags, *(f"cause:{printable(each, 60)}" for each in causes))


def badge_of(item: Item) -> str | None:
    """Return the name of the state under which a person finds the item; None when nobody need act on it."""
    if badge := FAILING.get(item.state):
        return badge
    return DRIFTED if open_drift(item) else TO_RELEASE if open_release(item) else None


def standing_of(item: Item, places: Places = NOWHERE) -> Standing:
    """Return the state that the item's run must show."""
    if badge := badge_of(item):
        return Standing("FAILED", badge, _why(item, places))
    return Standing("COMPLETED", SETTLED[item.state], _settled_words(item, places.menu_path))


def in_brief(item: Item) -> str:
    """Return the first reason why somebody must act on the item, without what to do."""
    acting = [reason.message for reason in _calling(item)]
    return printable(acting[0] if acting else item.cause, 300)


def as_table(items: Iterable[Item]) -> list[dict[str, str]]:
    """Return a row for each invoice that somebody must act on, the most frequent cause first."""
    return [
        {
            "cause": cause,
            "invoice": item.number,
            "gross": in_words(item.gross, item.currency),
            "vendor": item.vendor,
            "project": item.project,
            "stands": badge_of(item) or SETTLED[item.state],
            "why": in_brief(item),
        }
        for cause, group in by_cause(items).items()
        for item in group
    ]


def _calling(item: Item) -> list[Finding]:
    """Return what calls for somebody: how it drifted, what is to be released by hand, or the reasons that stop it."""
    return open_drift(item) or open_release(item) or [each for each in item.reasons if each.severity != "warn"]


def _why(item: Item, places: Places) -> str:
    parts = [line for reason in _calling(item) for line in _lines(reason)] or [f"Cause: {item.cause or 'unknown'}."]
    text = "\n".join(parts)
    # Many a remedy says so itself; and no Retry can see that retention was released.
    then = "" if "press Retry" in text or badge_of(item) == TO_RELEASE else "Then press Retry. "
    where = "".join(f"In {system}: {printable(place, 300)}\n" for system, place in places.of(item))
    close = f"\n{where}{then}All figures are on the Artifacts tab."
    return text[: _LONGEST_MESSAGE - len(close)] + close


def _lines(reason: Finding) -> list[str]:
    told = (("", reason.message), ("What to do: ", reason.remedy), ("Who should act: ", reason.owner))
    return [f"{head}{_full_stop(printable(words, 500))}" for head, words in told if words]


def _settled_words(item: Item, menu_path: str) -> str:
    if item.state in (*states.IN_ERP, states.GONE):
        batch = f" in batch {item.batch_code}" if item.batch_code else ""
        where = f"; in the ERP under {menu_path}" if menu_path else ""
        return f"Exported{batch}{where}."
    words = {
        states.READY: "It is Ready to Export and waits for an approver.",
        states.ACCEPTED: "It is accepted and waits for its export.",
        states.EXPORTING: "It is accepted and being exported.",
        states.REJECTED: "It was rejected; its project may correct it and send it again.",
        states.RETRIEVED: "It was taken back; its project may correct it and send it again.",
        states.UNLINKED: "It was unlinked from the ERP.",
        states.NOT_EXPORTABLE: "This ERP cannot take this kind of invoice.",
    }
    return words[item.state]


def _full_stop(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
