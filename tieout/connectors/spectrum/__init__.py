"""Trimble Spectrum: AP invoices written by REST, everything read from Info-Link's SQL tables.

Vendor's pages, under help.trimble.com/en/spectrum/spectrum/api-web-services: Vendor Invoice Multi-Line
(`POST /vendor/invoice`), Get Vendors (`GET /vendors/{Company_Code}`); tables: Info-Link's guide to Spectrum files.
- An invoice with an error is refused whole, with every reason; the others of the same call are taken.
- A vendor's invoice number is taken once for ever: unapproved, unposted, posted, voided and rejected ones count.
- Text columns are CHAR, filled up with blanks; codes may stand at either end of them.
- Unset processing dates are an HTTP 500. No web service tells of payments: they come from the payment history.

Modelled, because no public page shows it: the body of the answer, the table of processing dates, and the columns
that `info_link.py` marks so. Not supported: purchase orders, release of retention, tax, credit memos, changing an
invoice, images, the SOAP services, hosted OAuth.
"""

from tieout.connectors.spectrum.connector import Connector
from tieout.connectors.spectrum.settings import Settings
from tieout.connectors.spectrum.translation import field_mapping, not_sent

__all__ = ["Connector", "Settings", "field_mapping", "not_sent"]
