"""The catalogue of rules that an invoice must keep before it may go to an ERP: one description each, as data.

From it follow the great-expectations suites (`expectations.py`), the same judgement without that library and every
message that an operator reads (`verdicts.py`), and the page `docs/contracts.md` (`make docs`).
Formulas are Python expressions over the columns of a row (`case.py`); the same text computes one row or a whole column.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from data_contracts.invoice import SENDABLE

PROJECT_MANAGER, ACCOUNTING = "project manager", "accounting"
SUBCONTRACTOR, DATA_ENGINEER = "subcontractor", "data engineer"

Severity = Literal["refuse", "hold", "warn"]


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation on one column of the frame, and what to say when it is not met."""

    column: str
    message: str
    formula: str | None = None  # computes the column; None where the row brings it along
    expectation: str = "expect_column_values_to_be_in_set"
    kwargs: Mapping[str, Any] = field(default_factory=lambda: {"value_set": [0]})
    on_line: bool = False  # looks at the lines although its rule is about the header


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold and why, how it is checked, what to do when it does not hold, and who can do it."""

    id: str
    severity: Severity
    scope: Literal["header", "line"]
    sentence: str
    protects_against: str
    remedy: str
    owner: str
    checks: tuple[Check, ...]
    not_exportable: bool = False  # this ERP will never take it: no item for an operator, only a line in the report
    follows_from: tuple[str, ...] = ()  # broken by the same figure as one of these; said only when they hold
    policy: str = ""  # the name of what the company's policy says of its severity

    def frame(self, check: Check) -> Literal["header", "line"]:
        """Name the frame that the check looks at."""
        return "line" if check.on_line else self.scope

    @property
    def formula(self) -> str:
        """What is computed, in the names of the columns."""
        return "; ".join(check.formula or check.column for check in self.checks)


def _ties(column: str, formula: str, message: str, on_line: bool = False) -> Check:
    return Check(column, message, formula, on_line=on_line)


def _holds(column: str, message: str, formula: str | None = None) -> Check:
    return Check(column, message, formula, kwargs={"value_set": [True]})


def _given(column: str, message: str) -> Check:
    return Check(column, message, None, "expect_column_values_to_not_be_null", {})


def _at_most(column: str, largest: int, message: str, formula: str | None = None) -> Check:
    return Check(column, message, formula, "expect_column_values_to_be_between", {"max_value": largest})


_FIGURES = "Ask the project manager to correct the invoice in Procore until its figures tie, then press Retry."
_LINES = ("line-adds-up", "line-identity", "continues-previous")

RULES: tuple[Rule, ...] = (
    Rule(
        "unreadable", "refuse", "header",
        "Procore's answer has every field of an invoice, each of its documented type.",
        "An invoice built from an answer that was cut short, or whose fields do not mean what is documented.",
        "Report the message with the request id to the person who runs tieout; Retry reads the invoice again.",
        DATA_ENGINEER,
        (),
    ),
    Rule(
        "status", "refuse", "header",
        "The invoice is Approved, Approved as Noted or Pending Owner Approval.",
        "Paying for work that nobody approved, and exporting what may still change.",
        "Approve the invoice in Procore, then send it again.",
        PROJECT_MANAGER,
        (Check("status", "The status is {status}; only approved, approved_as_noted and "
                         "pending_owner_approval may be sent.",
               kwargs={"value_set": list(SENDABLE)}),),
    ),
    Rule(
        "purchase-order", "refuse", "header",
        "The invoice bills a subcontract; this ERP takes no invoices against purchase orders.",
        "A purchase order's invoice booked on a subcontract, where its cost and its commitment would both be wrong.",
        "Enter the invoice in {erp} by hand, or bill it on a subcontract.",
        ACCOUNTING,
        (_holds("is_subcontract", "{commitment} is a purchase order and {erp} takes invoices of subcontracts only.",
                "is_purchase_order == False"),),
        not_exportable=True,
    ),
    Rule(
        "release-only", "refuse", "header",
        "The invoice bills work; one that only releases retention is released by hand in the ERP.",
        "Retention paid out through an invoice that the ERP would book as new cost.",
        "Release {to_release} on {commitment} by hand in {erp}: {release_path}.",
        ACCOUNTING,
        (_holds("bills_work", "The invoice bills no work and releases {to_release} of retention, which "
                              "{erp} takes by hand only.",
                "(gross != 0) | (is_release == False) | (can_release == True) | (cost_moved != 0)"),),
        not_exportable=True,
    ),
    Rule(
        "number-missing", "hold", "header",
        "The invoice has a number.",
        "An AP invoice that nobody finds by the subcontractor's number, and a duplicate that no number gives away.",
        "Enter the subcontractor's invoice number in Procore.",
        PROJECT_MANAGER,
        (_given("number", "The invoice number is empty."),),
    ),
    Rule(
        "number-too-long", "hold", "header",
        "The invoice number fits the ERP's field.",
        "A number cut off by the ERP: two invoices become one, or none matches the subcontractor's statement.",
        "Shorten the invoice number in Procore to {number_limit} characters.",
        PROJECT_MANAGER,
        (_at_most("number_excess", 0, "The invoice number {number} has {number_length} characters; {erp} "
                                      "takes {number_limit}.",
                  "number_length - number_limit"),),
    ),
    Rule(
        "number-characters", "hold", "header",
        "The invoice number has printable characters only.",
        "A number that looks like another one on the screen and never matches what is typed or printed.",
        "Type the invoice number in Procore again.",
        PROJECT_MANAGER,
        (_holds("number_is_clean", "The invoice number {number} has characters that cannot be printed."),),
    ),
    Rule(
        "number-duplicate", "hold", "header",
        "No other invoice of the vendor has the number, however it is typed: case, spaces, punctuation and "
        "leading zeros aside.",
        "Paying an invoice twice because it was entered twice.",
        "Give one of the invoices another number in Procore, or set the one that was entered twice back to Revise and "
        "Resubmit.",
        PROJECT_MANAGER,
        (_at_most("duplicates", 0, "The number {number} of {vendor} is taken: {duplicate_of}."),),
    ),
    Rule(
        "number-duplicate-in-erp", "hold", "header",
        "No invoice of another Procore vendor that is the same vendor in the ERP has the number.",
        "Paying twice, or a refusal by the ERP, where one company is two vendors in Procore.",
        "Give one of the two vendors its own code in Procore or the mapping table, or one of the invoices another "
        "number in Procore.",
        ACCOUNTING,
        (_at_most("duplicates_in_erp", 0, "{vendor} is {vendor_erp} in {erp}, as is another vendor of Procore, and the "
                                          "number {number} is taken: {duplicate_in_erp}."),),
    ),
    Rule(
        "billed-twice", "warn", "header",
        "No other invoice bills the same amount on the same commitment for the same period.",
        "The same month billed a second time under another number.",
        "Compare the two invoices in Procore; reject this one if it is the same invoice.",
        PROJECT_MANAGER,
        (_at_most("bills_alike", 0, "{commitment} was billed {gross} for the period from {period_start} to "
                                    "{period_end} before: {bill_alike}."),),
    ),
    Rule(
        "lines-sum", "hold", "header",
        "The lines add up to the header: completed and stored, retainage on work, retainage on stored materials.",
        "A header that claims more, or holds back less, than its lines account for.",
        _FIGURES, PROJECT_MANAGER,
        (
            _ties("gap_completed", "sum_completed - completed_to_date",
                  "The lines' total completed and stored is {sum_completed}; the header (line 4) says "
                  "{completed_to_date}."),
            _ties("gap_work_retained", "sum_work_retained - work_retainage",
                  "The lines' retainage on work is {sum_work_retained}; the header (line 5a) says {work_retainage}."),
            _ties("gap_stored_retained", "sum_stored_retained - stored_retainage",
                  "The lines' retainage on stored materials is {sum_stored_retained}; "
                  "the header (line 5b) says {stored_retainage}."),
        ),
    ),
    Rule(
        "scheduled-sum", "warn", "header",
        "The lines' scheduled values add up to the contract sum to date.",
        "Billing by a schedule of values that is not the contract: a change order in the one and not in the other.",
        "Compare the schedule of values with the contract sum and its change orders in Procore.",
        PROJECT_MANAGER,
        (_ties("gap_scheduled", "sum_scheduled - contract_sum_to_date",
               "The lines' scheduled values are {sum_scheduled}; the contract sum to date (line 3) is "
               "{contract_sum_to_date}."),),
    ),
    Rule(
        "header-foots", "hold", "header",
        "The header foots: 3 = 1 + 2, 5 = 5a + 5b, 6 = 4 - 5, 8 = 6 - 7 with or without tax, 9 = 3 - 6.",
        "A certificate that does not add up: the amount due is not what the figures above it say.",
        _FIGURES, PROJECT_MANAGER,
        (
            _ties("foots_3", "original_contract_sum + net_change_orders - contract_sum_to_date",
                  "Line 3 is {contract_sum_to_date}, but line 1 {original_contract_sum} + line 2 {net_change_orders} "
                  "is off by {foots_3}."),
            _ties("foots_5", "work_retainage + stored_retainage - total_retainage",
                  "Line 5 is {total_retainage}, but line 5a {work_retainage} + line 5b {stored_retainage} "
                  "is off by {foots_5}."),
            _ties("foots_6", "completed_to_date - total_retainage - earned_less_retainage",
                  "Line 6 is {earned_less_retainage}, but line 4 {completed_to_date} - line 5 {total_retainage} "
                  "is off by {foots_6}."),
            _holds("foots_8",
                   "Line 8 is {payment_due}, but line 6 {earned_less_retainage} - line 7 {previous_certificates} "
                   "(tax {tax}) is not.",
                   "(earned_less_retainage - previous_certificates == payment_due)"
                   " | (earned_less_retainage - previous_certificates + tax == payment_due)"),
            _ties("foots_9", "contract_sum_to_date - earned_less_retainage - balance_to_finish",
                  "Line 9 is {balance_to_finish}, but line 3 {contract_sum_to_date} - line 6 {earned_less_retainage} "
                  "is off by {foots_9}."),
        ),
    ),
    Rule(
        "payment-due", "hold", "header",
        "What the lines earned, less retention held, plus retention released (and tax) is the current payment due.",
        "Paying another amount than the lines earned, with retention or tax added or dropped on the way.",
        _FIGURES, PROJECT_MANAGER,
        (_holds("due_ties",
                "Line 8 is {payment_due}, but the lines earned {gross}, held {held}, released {released} (tax {tax}).",
                "(net == payment_due) | (net + tax == payment_due)"),),
        follows_from=("lines-sum", "header-foots", *_LINES),
    ),
    Rule(
        "continues-previous", "hold", "header",
        "The figures start where the previous invoice of the commitment ended: the header's line 7, and each line.",
        "An earlier invoice changed after it was certified: work is paid twice, or never.",
        "Undo the change to the earlier invoice in Procore, or recreate this one to continue from it.",
        PROJECT_MANAGER,
        (
            _holds("previous_is_known",
                   "The previous invoice ({previous_invoice}) has not been read yet, and this one does not "
                   "say where it began."),
            _ties("gap_certified", "previous_certificates - previous_earned",
                  "Previous certificates (line 7) are {previous_certificates}; the previous invoice ended "
                  "with {previous_earned}."),
            _ties("gap_total_before", "sum_completed_before - previous_total",
                  "The lines start from {sum_completed_before}; the previous invoice ended with {previous_total}."),
            _ties("gap_before", "completed_before - previous_completed",
                  "{line} starts from {completed_before}; it ended the previous invoice with "
                  "{previous_completed}.", on_line=True),
            _ties("gap_stored_before", "stored_before - previous_stored",
                  "{line} starts from {stored_before} of stored materials; it ended the previous invoice "
                  "with {previous_stored}.", on_line=True),
            _ties("gap_work_retained_before", "work_retainage_before - previous_work_retained",
                  "{line} starts from {work_retainage_before} of retainage on work; the previous invoice left "
                  "{previous_work_retained}.", on_line=True),
            _ties("gap_stored_retained_before", "stored_retainage_before - previous_stored_retainage",
                  "{line} starts from {stored_retainage_before} of retainage on stored materials; "
                  "the previous invoice left {previous_stored_retainage}.", on_line=True),
        ),
    ),
    Rule(
        "sequence", "warn", "header",
        "The invoice follows, without a gap, one of the commitment that is in the ERP or on its way there.",
        "An invoice in the ERP whose predecessor is missing there, which leaves a hole in its cost to date.",
        "Look at the earlier invoice in Procore and let it go first; what it bills is not in {erp}.",
        PROJECT_MANAGER,
        (
            Check("gap_in_sequence", "This is application {application} of {commitment}; the one before it is "
                                     "application {previous_application}.",
                  "application - previous_application", kwargs={"value_set": [1]}),
            _holds("previous_is_on_its_way", "The previous invoice of {commitment} is not on its way to {erp}: "
                                             "{waiting}."),
        ),
    ),
    Rule(
        "line-identity", "hold", "line",
        "Work this period + change in stored materials + materials moved = change in total completed and stored.",
        "Stored materials paid once as delivered and once more as installed; parts that are not what the total grew "
        "by.",
        _FIGURES, PROJECT_MANAGER,
        (_ties("gap_identity",
               "work_this_period + stored_now - stored_before + moved - completed_to_date + completed_before",
               "{line}: work {work_this_period} + stored now {stored_now} - stored before {stored_before} + "
               "moved {moved} "
               "is {gross}, but the total went from {completed_before} to {completed_to_date}: off by "
               "{gap_identity}."),),
    ),
    Rule(
        "line-adds-up", "hold", "line",
        "Total completed and stored = previous work + work this period + materials stored (G = D + E + F).",
        "A line whose total was typed over and is not the sum of its columns.",
        _FIGURES, PROJECT_MANAGER,
        (_ties("gap_total", "work_before + work_this_period + stored_now - completed_to_date",
               "{line}: previous work {work_before} + this period {work_this_period} + stored {stored_now} "
               "is not {completed_to_date}: off by {gap_total}."),),
    ),
    Rule(
        "unit-price", "hold", "line",
        "Where a line is billed by unit, quantity times unit price is the amount, to the cent: this period and in all.",
        "Quantities and amounts that disagree: paying for more than was measured.",
        "Correct the quantity, the unit price or the amount in Procore.",
        PROJECT_MANAGER,
        (
            _holds("work_is_by_unit", "{line}: {quantity} at a price of {unit_price} make {work_by_unit}, but "
                                      "{work_this_period} of work is billed.",
                   "((work_by_unit - work_this_period) * 2 <= smallest_unit)"
                   " & ((work_this_period - work_by_unit) * 2 <= smallest_unit)"),
            _holds("scheduled_is_by_unit", "{line}: {scheduled_quantity} at a price of {unit_price} make "
                                           "{scheduled_by_unit}, but {scheduled_value} is scheduled.",
                   "((scheduled_by_unit - scheduled_value) * 2 <= smallest_unit)"
                   " & ((scheduled_value - scheduled_by_unit) * 2 <= smallest_unit)"),
        ),
    ),
    Rule(
        "retainage-bounds", "hold", "line",
        "The retainage held to date lies between zero and the total completed and stored, on either side of zero; a "
        "release is not below zero, and on stored materials it is no more than was held on them.",
        "Holding back more than was ever earned, owing retention that was never held, or paying out what a release "
        "below zero holds back.",
        _FIGURES, PROJECT_MANAGER,
        (_holds("retained_is_within",
                "{line}: {retained_to_date} of retainage is held on {completed_to_date} completed and stored.",
                "(retained_to_date * sign_of_work >= 0)"
                " & (retained_to_date * sign_of_work <= completed_to_date * sign_of_work)"),
         _holds("work_is_released",
                "{line}: {work_released} of retainage on work is released; enter what is held again as "
                "retained.",
                "work_released * sign_of_work >= 0"),
         _holds("released_is_within",
                "{line}: {stored_released} of retainage on stored materials is released, of {stored_retainage_before} "
                "that was held.",
                "(stored_released * sign_of_stored >= 0)"
                " & (stored_released * sign_of_stored <= stored_retainage_before * sign_of_stored)")),
    ),
    Rule(
        "vendor-unmapped", "hold", "header",
        "The vendor has a code in the ERP.",
        "A payable to a guessed vendor.",
        "Link the vendor to the ERP in Procore's directory, or add a `vendor` row to the mapping table "
        "(`tieout unmapped`).",
        ACCOUNTING,
        (_given("vendor_erp", "{vendor} has no vendor code in {erp}."),),
    ),
    Rule(
        "vendor-inactive", "hold", "header",
        "The vendor is active in the ERP.",
        "A payable to a vendor that accounting has closed.",
        "Activate vendor {vendor_erp} in {erp}, or correct its code in Procore or the mapping table.",
        ACCOUNTING,
        (_holds("vendor_is_active", "{vendor} is {vendor_erp} in {erp}, where that vendor is missing or not active."),),
    ),
    Rule(
        "job-unmapped", "hold", "header",
        "The project has a job in the ERP.",
        "Cost on a guessed job.",
        "Link the project to its job in Procore, or add a `job` row to the mapping table (`tieout unmapped`).",
        ACCOUNTING,
        (_given("job_erp", "The project has no job number in {erp}."),),
    ),
    Rule(
        "subcontract-unmapped", "hold", "header",
        "The commitment has a contract number in the ERP.",
        "An invoice outside its subcontract, missing from the contract's balance and retention.",
        "Export the subcontract to {erp} first, or add a `subcontract` row to the mapping table (`tieout unmapped`).",
        PROJECT_MANAGER,
        (_given("contract_erp", "{commitment} has no contract number in {erp}."),),
    ),
    Rule(
        "contract-too-long", "hold", "header",
        "The contract number fits the ERP's field.",
        "A contract number cut off by the ERP, which puts the invoice on another contract or on none.",
        "Correct the contract number in Procore or the mapping table; {erp} takes {contract_limit} characters.",
        ACCOUNTING,
        (_at_most("contract_excess", 0, "The contract number {contract_erp} has {contract_length} characters; "
                  "{erp} takes {contract_limit}.", "contract_length - contract_limit"),),
    ),
    Rule(
        "subcontract-not-in-erp", "hold", "header",
        "The subcontract is active in the ERP and belongs to the same vendor and job.",
        "An invoice booked on somebody else's subcontract, or on one that is closed.",
        "Create or reopen subcontract {contract_erp} in {erp}, or correct the vendor, job or number it is mapped to.",
        ACCOUNTING,
        (_holds("contract_matches", "{erp} has no active subcontract {contract_erp} of vendor {vendor_erp} "
                                    "on job {job_erp}."),),
    ),
    Rule(
        "phase-unmapped", "hold", "line",
        "The cost code of every line that posts has a phase in the ERP.",
        "Cost on a guessed phase.",
        "Link the cost code to the ERP in Procore, or add a `phase` row to the mapping table (`tieout unmapped`).",
        ACCOUNTING,
        (_given("phase", "{line}: its cost code ({code}) has no phase in {erp}."),),
    ),
    Rule(
        "cost-type-unmapped", "hold", "line",
        "The cost type of every line that posts has one in the ERP.",
        "Cost on a guessed cost type.",
        "Link the cost type to the ERP in Procore, or add a `cost_type` row to the mapping table (`tieout unmapped`).",
        ACCOUNTING,
        (_given("cost_type", "{line}: its cost type ({code}) has none in {erp}."),),
    ),
    Rule(
        "coding-not-in-erp", "hold", "line",
        "Job, phase and cost type of every line that posts are an active combination in the ERP.",
        "Cost on a code that the job does not have, which the ERP would refuse only when it gets there.",
        "Add or activate the combination in {erp}, or correct the codes in Procore or the mapping table.",
        ACCOUNTING,
        (_holds("is_in_erp", "{line}: job {job}, phase {phase}, cost type {cost_type} is not active in {erp}."),),
    ),
    Rule(
        "currency", "hold", "header",
        "Invoice, project and ERP company use the same currency.",
        "An amount taken for another currency than its own.",
        "Enter the invoice in {erp} by hand at the rate that accounting sets and take it back with retrieve-invoices, "
        "or correct its currency in Procore.",
        ACCOUNTING,
        (_holds("currency_agrees", "The invoice is in {currency}, the project in {base_currency}, {erp} in "
                                   "{erp_currency}.",
                "(currency == erp_currency) & (base_currency == erp_currency)"),),
    ),
    Rule(
        "dates", "hold", "header",
        "The billing date is given, from 2000 on and at most a year ahead; the period ends after it starts.",
        "A mistyped date, which puts the invoice into the wrong year or makes its payment terms meaningless.",
        "Correct the billing date or the period in Procore.",
        PROJECT_MANAGER,
        (
            _given("billed_on", "The billing date is missing."),
            Check("billed_year", "The billing date {billed_on} lies before 2000.",
                  None, "expect_column_values_to_be_between", {"min_value": 2000}),
            _at_most("days_ahead", 366, "The billing date {billed_on} lies more than a year ahead."),
            Check("period_days", "The period ends on {period_end}, before it starts on {period_start}.",
                  None, "expect_column_values_to_be_between", {"min_value": 0}),
        ),
    ),
    Rule(
        "period-closed", "hold", "header",
        "The billing date lies in an accounting period that is open, or the policy allows the first open one.",
        "Cost in a month that accounting has closed and reported.",
        "Open the period in {erp}, change the billing date, or set the policy to use the first open period.",
        ACCOUNTING,
        (_given("accounting_on", "The billing date {billed_on} lies in a closed accounting period of {erp}."),),
    ),
    Rule(
        "nothing-to-post", "hold", "header",
        "The invoice earns something.",
        "Empty AP invoices, which take up the number that the real one needs.",
        "Set the invoice back to Revise and Resubmit in Procore, or have its lines filled in; an invoice of nothing is "
        "not entered in {erp}.",
        PROJECT_MANAGER,
        (_holds("has_gross", "The lines earned {gross} this period: there is nothing to post.",
                "(gross != 0) | is_release | (cost_moved != 0)"),),
    ),
    Rule(
        "cost-moved", "hold", "header",
        "Where the lines come to nothing together, each of them does.",
        "Cost moved from one code to another in Procore only, while the job cost in the ERP stays where it was.",
        "Move the cost in {erp} by hand, line by line as in the figures below, and release by hand what it releases; "
        "then take the invoice back with retrieve-invoices.",
        ACCOUNTING,
        (_holds("moves_no_cost",
                "The lines come to {gross} together, but {cost_moved} is moved from one line to another, and "
                "{to_release} of retention is released: {erp} takes no invoice of nothing.",
                "(gross != 0) | (cost_moved == 0)"),),
    ),
    Rule(
        "net-negative", "hold", "header",
        "The invoice earns a positive amount and holds back no more than that, unless the ERP takes credit memos from "
        "here; and what it releases is not below nothing.",
        "A credit booked as a payable, a payable that the subcontractor would owe, or more paid than is due.",
        "Enter it in {erp} by hand, a credit as a credit memo, and take it back with retrieve-invoices; or have it "
        "billed together with later work.",
        ACCOUNTING,
        (_holds("is_not_credit", "The lines earned {gross} this period, held {held} and released {released} of "
                                 "retention: a credit, which {erp} does not take from here.",
                "(gross >= 0) | takes_credits"),
         _holds("leaves_something", "The lines earned {gross} this period and held {held} of retention, which leaves "
                                    "less than nothing to pay: {erp} does not take that from here.",
                "(held <= gross) | (gross <= 0) | takes_credits"),
         _holds("releases_no_less",
                "The lines release {released} of retention together: {erp} would pay what that holds back.",
                "released >= 0")),
    ),
    Rule(
        "tax-not-carried", "hold", "header",
        "The invoice has no tax, unless the connector carries it.",
        "Tax lost on the way: the subcontractor is paid short, and the tax return is wrong.",
        "Enter the invoice in {erp} by hand, with its tax of {tax}, and take it back with retrieve-invoices.",
        ACCOUNTING,
        (_holds("tax_is_carried", "The invoice has {tax} of tax, which would be lost on the way to {erp}.",
                "(tax == 0) | takes_tax"),),
    ),
    Rule(
        "change-order-unapproved", "hold", "line",
        "A change order that is billed is approved.",
        "Paying for a change to which nobody agreed.",
        "Approve the change order in Procore and bring it to {erp}, or take it off the invoice.",
        PROJECT_MANAGER,
        (Check("change_order_status", "{line}: {gross} is billed on a change order that is {change_order_status}.",
               kwargs={"value_set": ["approved"]}),),
    ),
    Rule(
        "line-rejected", "hold", "line",
        "No line that bills something was rejected when the invoice was reviewed in Procore.",
        "Paying for a line that its reviewer turned down, since the invoice as a whole was approved.",
        "Take the line's amounts off the invoice in Procore, or approve the line there.",
        PROJECT_MANAGER,
        (_holds("is_not_rejected", "{line}: {gross} is billed, and the line was rejected in Procore.",
                "(is_rejected == False) | (gross == 0)"),),
    ),
    Rule(
        "over-billed", "warn", "line",
        "No line is billed past its scheduled value, on either side of zero.",
        "Paying more for a line than it is worth before the work is done.",
        "Raise the scheduled value by a change order, or have the line billed down; the company's policy may allow it.",
        PROJECT_MANAGER,
        (_at_most("over_billed", 0, "{line}: {completed_to_date} is completed and stored of "
                                    "{scheduled_value} scheduled.",
                  "(completed_to_date - scheduled_value) * sign"),),
        policy="over_billing",
    ),
    Rule(
        "kind-of-invoice", "warn", "header",
        "Retention is released where the kind of the invoice says so, and nowhere else.",
        "Retention released by mistake, or without anybody noticing.",
        "Compare the invoice's kind with the retainage that its lines release in Procore.",
        PROJECT_MANAGER,
        (_holds("kind_agrees", "The invoice is called {kind}, and its lines release {released} of retention.",
                "(released == 0) == (kind == 'progress')"),),
    ),
    Rule(
        "release-by-hand", "warn", "header",
        "Retention that a progress invoice also releases is released by hand in the ERP; the rest is exported.",
        "Retention released in Procore and never paid, because accounting did not know.",
        "After the export, release {to_release} on {commitment} by hand in {erp}: {release_path}.",
        ACCOUNTING,
        (_holds("releases_nothing", "The invoice also releases {to_release} of retention, which is not exported: "
                                    "{erp} takes a release by hand only.",
                "(gross == 0) | (is_release == False) | (can_release == True)"
                " | ((gross < 0) & (takes_credits == False))"),),
    ),
    Rule(
        "insurance", "hold", "header",
        "The vendor's insurance is in order, as Procore shows it for the commitment, and no policy has expired.",
        "Paying a subcontractor who has no insurance for the damage they may cause.",
        "Have the vendor send a valid certificate and enter it in Procore.",
        PROJECT_MANAGER,
        (_holds("is_insured", "Insurance on {commitment}: {no_insurance}.{held_how}", "no_insurance == ''"),),
        policy="insurance",
    ),
    Rule(
        "compliance-documents", "hold", "header",
        "The other papers of the commitment are in order in Procore: license, certified payroll, whatever it asks for.",
        "Paying a subcontractor who may not work, or whose payroll the owner has yet to see.",
        "Have the vendor send what is missing and enter it in Procore.",
        PROJECT_MANAGER,
        (_holds("has_documents", "Papers of {commitment}: {no_documents}.{held_how}", "no_documents == ''"),),
        policy="compliance_documents",
    ),
    Rule(
        "lien-waiver", "hold", "header",
        "The lien waiver for the invoice is signed, and so is every one that was requested for the previous invoice.",
        "Paying for work on which a lien may still be claimed.",
        "Have the subcontractor sign in Procore.",
        PROJECT_MANAGER,
        (_holds("is_waived", "Lien waivers: {no_waiver}.{held_how}", "no_waiver == ''"),),
        policy="lien_waiver",
    ),
    Rule(
        "period-missing", "warn", "header",
        "The invoice belongs to a billing period of its project.",
        "An invoice that no billing period contains, and therefore no monthly report of the project.",
        "Create a billing period in the Procore project and choose it on the invoice.",
        PROJECT_MANAGER,
        (_given("period", "The invoice belongs to no known billing period of the project."),),
    ),
)  # fmt: skip


def page() -> str:
    """Return the catalogue as Markdown."""
    return "\n".join([_PREAMBLE, *map(section, RULES)])


_PREAMBLE = """# The rules that an invoice must keep

This page is written by `make docs` from the catalogues and contracts that are run.

Severity: `refuse` = it can never go as it is; `hold` = it waits for its owner; `warn` = it goes, and is reported.
A rule marked *not exportable* concerns what this ERP does not take at all: tieout lists it, and nobody has to act.
tieout reports all problems of an invoice together, and leaves out a problem that only follows from another one.
Amounts are compared exactly, and the sums of the lines after rounding half up to the smallest unit of the currency.

A single figure that is a cent off breaks the rule that owns it, with one exception: the retainage on stored \
materials that a line releases.
Procore's lists show what is held after the release and before it, but not what was newly held, so nothing there \
distinguishes a larger release with more newly held from a smaller one with less.
Such a cent moves neither what is billed nor what is due: tieout exports it as held, and flags it for release by hand.
Two rules catch it: `retainage-bounds` if it exceeds what was held, and `kind-of-invoice` if the invoice says that it \
releases nothing.
"""


def section(rule: Rule) -> str:
    """Return one rule as Markdown."""
    marks = f"{rule.severity}{f', by policy `{rule.policy}`' if rule.policy else ''}"
    marks += ", not exportable" if rule.not_exportable else ""
    lines = [f"## {rule.id}", "", rule.sentence, "", f"- Protects against: {rule.protects_against}"]
    lines += [f"- Severity: {marks}", f"- Who can fix it: {rule.owner}", f"- Remedy: {rule.remedy}"]
    if rule.follows_from:
        lines += [f"- Said only where these hold: {', '.join(rule.follows_from)}"]
    for each in rule.checks:
        lines += [f"- Checked per {rule.frame(each)}: `{_expectation(each)}`", f"- Says: {each.message}"]
    return "\n".join([*lines, ""])


def _expectation(check: Check) -> str:
    kwargs = ", ".join(f"{name}={value!r}" for name, value in check.kwargs.items())
    return f"{check.expectation}({check.formula or check.column}{', ' if kwargs else ''}{kwargs})"
