"""What colour a run deserves, and what it says first."""

from tieout.views.run_report import ALARM, FINISHED_WITH_FAILURES, RunReport

RINGS = "Payments in Spectrum were never read. Operator: run sync-payments."


def test_a_run_with_an_alarm_is_red_and_says_what_is_wrong_and_what_to_do():
    report = RunReport("Keep watch", alarms=[RINGS], unfinished=["publish: Prefect is away"])

    standing = report.standing()

    assert (standing.type, standing.name) == ("FAILED", ALARM)
    assert standing.message == f"{RINGS}; not finished: publish: Prefect is away"
    assert f"## Alarms\n\n- {RINGS}" in report.markdown()


def test_a_message_names_five_alarms_and_how_many_more_there_are():
    message = RunReport("Keep watch", alarms=[f"alarm {number}" for number in range(8)]).standing().message

    assert message == "alarm 0; alarm 1; alarm 2; alarm 3; alarm 4; and 3 more alarms"


def test_a_step_that_did_not_finish_is_no_alarm():
    assert RunReport("Keep watch", unfinished=["publish"]).standing().name == FINISHED_WITH_FAILURES


def test_what_is_merely_worth_knowing_leaves_a_run_green():
    assert RunReport("Keep watch", notes=["project 5 passed over"]).standing().type == "COMPLETED"
