"""What a run keeps of its steps for its report."""

from tasks._steps import Steps
from tieout.intake.invoices import Fetched
from tieout.payments.issued import Written
from tieout.results import Told


def test_the_report_gets_what_each_step_says_in_the_order_in_which_they_were_taken():
    steps = Steps("Night")
    steps.note(Fetched(1, "Mill", changed=2, problems=("odd",)))
    steps.note(Fetched(2, "Yard", changed=3))
    steps.note({"a step": "with nothing for the report"})
    steps.note(Written(0, 0, ("refused",)))
    steps.note(Told(figures=(("reviews waiting", 1),), alarms=("No night has run.",)))

    assert steps.notes == ["Mill: odd", "refused"]
    assert steps.figures == [("changed in Procore", 5), ("reviews waiting", 1)]
    assert (steps.refused, steps.alarms) == ([], ["No night has run."])
    assert [each.project for each in steps.of(Fetched)] == ["Mill", "Yard"]
