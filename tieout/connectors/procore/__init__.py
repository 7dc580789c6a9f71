"""Procore's REST API: subcontractor invoices and their books read in bulk, origin fields and payments written.

Pages at developers.procore.com: requisitions (v1.1), work_order_contracts, purchase_order_contracts, cost_codes,
billing_periods, vendors, projects, contract_payments, lien_waivers,
commitment compliance (all v1.0). What the API does against expectation:

- Money is text, with one decimal place or two; a number is refused, and so do we. Percentages are ignored.
- `per_page` is clamped for each endpoint: the `Per-Page` header says to what. Rows move between pages.
- A service account gets 403 for each project that it was not added to, and 404 where a tool is off.
- Listings show no deletions. The list of payments takes no filter.
- An item of a change order names its commitment line in a field of its own.

Not supported: the ERP-only endpoints, which Procore opens to its partners alone, webhooks and files.
"""

from tieout.connectors.procore.connector import UNCHANGED, Procore
from tieout.connectors.procore.settings import SYSTEM, Settings, web_url
from tieout.connectors.procore.translation import invoice_paths, parse_invoice

__all__ = ["SYSTEM", "UNCHANGED", "Procore", "Settings", "invoice_paths", "parse_invoice", "web_url"]
