"""What Procore calls the fields of our contracts: our name on the left, Procore's on the right."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Names(NamedTuple):
    """Procore's names for the fields of one contract type, so that a reason speaks of what Procore sent."""

    fields: dict[str, str]
    nested: Mapping[str, "Names"] = {}

    def path(self, location: Sequence[int | str]) -> str:
        """Return for example `items[3].work_completed_this_period`."""
        names, path = self, ""
        for step in location:
            if isinstance(step, int):
                path += f"[{step}]"
            else:
                path += ("." if path else "") + names.fields.get(step, step)
                names = names.nested.get(step, names)
        return path


HEADER = {
    "project_id_procore": "project_id",
    "invoice_id_procore": "id",
    "commitment_id_procore": "commitment_id",
    "commitment_kind": "commitment_type",
    "commitment_name": "contract_name",
    "previous_invoice_id_procore": "previous_requisition_id",
    "period_id_procore": "period_id",
    "number_on_commitment": "number",
    "invoice_number": "invoice_number",
    "kind": "invoice_type",
    "accounting_method": "accounting_method",
    "status": "status",
    "vendor_id_procore": "vendor_id",
    "vendor_name": "vendor_name",
    "billed_on": "billing_date",
    "period_start": "requisition_start",
    "period_end": "requisition_end",
    "moves_stored_materials": "move_materials_to_previous_work_completed",
    "created_by": "created_by",
    "updated_at": "updated_at",
    "origin_id": "origin_id",
    "origin_data": "origin_data",
}
SUMMARY = {
    "original_contract_sum": "original_contract_sum",
    "net_change_orders": "net_change_by_change_orders",
    "contract_sum_to_date": "contract_sum_to_date",
    "completed_to_date": "total_completed_and_stored_to_date",
    "work_retainage": "completed_work_retainage_amount",
    "stored_retainage": "stored_materials_retainage_amount",
    "total_retainage": "total_retainage",
    "earned_less_retainage": "total_earned_less_retainage",
    "previous_certificates": "less_previous_certificates_for_payment",
    "payment_due": "current_payment_due",
    "balance_to_finish": "balance_to_finish_including_retainage",
    "tax": "tax_applicable_to_this_payment",
}
ITEM = {
    "line_id_procore": "id",
    "kind": "item_type",
    "commitment_line_id_procore": "line_item_id",
    "change_order_id_procore": "change_order_package_id",
    "description": "description_of_work",
    "cost_code_id_procore": "cost_code_id",
    "scheduled_value": "scheduled_value",
    "work_before": "work_completed_from_previous_application",
    "work_this_period": "work_completed_this_period",
    "stored_now": "materials_presently_stored",
    "stored_before": "materials_presently_stored_from_previous_progress",
    "moved": "materials_moved",
    "completed_to_date": "total_completed_and_stored_to_date",
    "completed_before": "total_completed_and_stored_to_date_from_previous",
    "work_retainage_before": "work_completed_retainage_from_previous_application",
    "work_retained": "work_completed_retainage_retained_this_period",
    "work_released": "work_completed_retainage_released_this_period",
    "stored_retainage_now": "materials_stored_retainage_currently_retained",
    "stored_retainage_before": "materials_stored_retainage_from_previous_application",
    "stored_released": "materials_stored_retainage_released_this_period",
    "retainage_moved": "materials_retainage_retained_moved",
    "is_rejected": "status",
}
UNIT_ITEM = {
    "quantity": "work_completed_this_period_quantity",
    "scheduled_quantity": "scheduled_quantity",
    "unit_price": "scheduled_unit_price",
}
CHANGE_ITEM = ITEM | {"commitment_line_id_procore": "commitment_line_item_id"}
PERSON = {"user_id_procore": "id", "name": "name", "email": "login"}
PROJECT = {"project_id_procore": "id", "name": "name", "number": "project_number", "is_active": "active"}
VENDOR = {"vendor_id_procore": "id", "name": "name", "is_active": "is_active"}
COST_CODE = {"cost_code_id_procore": "id", "code": "full_code"}
PERIOD = {"period_id_procore": "id", "start_on": "start_date", "end_on": "end_date", "due_on": "due_date"}
COMMITMENT = {"commitment_id_procore": "id", "number": "number", "title": "title", "status": "status"}
COMMITMENT_LINE = {"line_id_procore": "id", "description": "description", "amount": "amount"}
PAPER = {"name": "name", "status": "status", "expires_at": "expires_at"}
INSURANCE_PAPER = PAPER | {"kind": "insurance_type"}
DOCUMENT = PAPER | {"kind": "type"}
COMPLIANCE = {
    "insurance_status": "insurance_status",
    "insurance_derived": "derived_insurance_status",
    "documents_status": "compliance_status",
    "documents_derived": "derived_compliance_status",
}
WAIVER = {"waiver_id_procore": "id", "invoice_id_procore": "invoice_id", "kind": "type", "status": "status"}
CHANGE_ORDER = {"change_order_id_procore": "id", "number": "number", "status": "status"}
PAYMENT = {
    "payment_id_procore": "id",
    "commitment_id_procore": "contract_id",
    "invoice_id_procore": "requisition_id",
    "invoice_sequence": "draw_request_number",
    "amount": "amount",
    "paid_on": "date",
    "check_number": "check_number",
    "invoice_number": "invoice_number",
    "origin_id": "origin_id",
}
LIST_NAMES = {"insurance_papers": "insurance_documents", "documents": "compliance_documents"}
IDENTITY = ("payment_id_procore", "commitment_id_procore", "origin_id")
COMMITMENT_KINDS = {"WorkOrderContract": "subcontract", "PurchaseOrderContract": "purchase_order"}

CURRENCY = {
    "currency": "currency_configuration.currency_iso_code",
    "base_currency": "currency_configuration.base_currency_iso_code",
}

_PARTS = {"lines": Names(ITEM | UNIT_ITEM), "summary": Names(SUMMARY), "created_by": Names(PERSON)}
INVOICE_NAMES = Names(HEADER | CURRENCY | {"lines": "items"}, _PARTS)
OLDER_INVOICE_NAMES = Names(INVOICE_NAMES.fields | {"summary": "g702"}, _PARTS)
COMMITMENT_NAMES = Names(
    COMMITMENT | {"lines": "line_items", "change_orders": "change_order_packages"},
    {"lines": Names(COMMITMENT_LINE), "change_orders": Names(CHANGE_ORDER)},
)
COMPLIANCE_NAMES = Names(
    COMPLIANCE | LIST_NAMES, {"insurance_papers": Names(INSURANCE_PAPER), "documents": Names(DOCUMENT)}
)
