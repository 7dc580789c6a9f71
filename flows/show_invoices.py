"""List every invoice of a project that Procore ever showed, and whether it was imported."""

from prefect import State, flow

from tasks import grids
from tasks._steps import Steps
from tieout.views.grid import DateBasis


@flow
def show_invoices(project: int, past_days: int | None = None, date_basis: DateBasis = "changed") -> State[None]:
    """List the invoices of one project: status, error message, amounts, ERP document, payments. Changes nothing.

    The table and its earlier versions are on the Artifacts tab; the message names a CSV file with all rows.
    *Not imported*: never sent, or taken back. *In Queue*: waits for its acceptance or its export. *Imported*: it is in
    the ERP. *Error*: the error message says why, and its run in the view *Failed to Export*, *Held* or *Uncertain* says
    what to do.

    Args:
        project: The project's number in Procore, as the address of its pages there shows it.
        past_days: Only this many past days, in the company's time zone; 0 is today, None is all.
        date_basis: What the days count from: the last time it was *changed* in Procore, or the date on which it
            was *billed*.

    If it turns red, the message says what is wrong with the form.
    """
    steps = Steps("Show invoices")
    steps.go(grids.show, project, past_days, date_basis)
    return grids.conclude(steps)
