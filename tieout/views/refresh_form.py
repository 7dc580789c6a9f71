"""What an approver reads of an invoice that was changed in Procore: as it was judged beside as it is now; pure."""

from collections.abc import Sequence

from data_contracts.forms import APPLY, LEAVE
from tieout.decisions.refresh import Change
from tieout.ledger import states
from tieout.wording import cell, run_name

_ROWS = 40  # differences in the form; the artifact has them all


def description(change: Change, problems: Sequence[str] = ()) -> str:
    """Return the text above the form: what was wrong with the last answer, what differs, what either word does."""
    lines = [f"**Please answer again:** {cell(problem)}." for problem in problems]
    lines += [f"**{cell(run_name(change.item))}** was changed in Procore since it was judged."]
    if not change.differences:
        lines[-1] = (
            f"**{cell(run_name(change.item))}** itself was not changed in Procore, "
            "but the previous invoice on the commitment was, which changes the amounts of this one."
        )
    lines += [table(change, _ROWS)]
    if change.item.state == states.EXPORTED:
        system = change.item.erp.capitalize()
        return "\n\n".join(
            [
                *lines,
                f"**{APPLY}**: the unposted invoice in {system} becomes what Procore shows now, "
                "with your answer as the acceptance.",
                f"**{LEAVE}**: nothing is done; it stays Drifted.",
            ]
        )
    lines += [
        f"**{APPLY}**: tieout judges it again as it is now. If it is sound, it waits in *Ready to Export* for a new "
        "acceptance, even if it was accepted before.",
        f"**{LEAVE}**: nothing happens now. The night takes over by itself what changed on the invoice itself.",
    ]
    return "\n\n".join(lines)


def table(change: Change, most: int | None = None) -> str:
    """Return what differs as a Markdown table, amounts first."""
    rows = [*change.figures.items(), *change.differences.items()]
    lines = ["| what | as it was judged | as it is now |", "|---|---:|---:|"]
    lines += [f"| {cell(name)} | {cell(was)} | {cell(now)} |" for name, (was, now) in rows[:most]]
    if most is not None and len(rows) > most:
        lines += ["", f"… and {len(rows) - most} more; the Artifacts tab has them all."]
    return "\n".join(lines)
