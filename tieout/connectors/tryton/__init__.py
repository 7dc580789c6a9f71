"""Tryton 8: supplier invoices written as drafts, states and payments read, all over its JSON-RPC.

Vendor's pages, under docs.tryton.org: the server's RPC, and the modules account_invoice, purchase, account_payment,
account_payment_check and the analytic ones; `deployments/tryton` sets a company up as it is expected here:
- vendor: a party, by its code; subcontract: a purchase, by its reference, whose lines tell phase and cost type;
- job, phase and cost type: accounts below three analytic roots, a phase under a view account that has its job's code;
- cost type: also a product of that code, whose accounting category tells the line's account;
- retention held: a line of quantity -1 on a liability account;
- attachments: a note on the invoice, with their addresses in Procore.

- A call is one transaction: where one record of a batch is refused, none is written. We halve the batch then.
- Errors come with HTTP 200, the message first; behind it may follow 50 kB of a field's definition.
- Nothing is unique by itself: only an index that its owner adds to the database refuses a second invoice with our key.
- Cancelling frees an invoice's number. Voiding one check may touch the others of its group.

Not supported: payments on hold, purchase orders, release of retention, tax, credit memos, amendments, payments that
were entered on the invoice without an `account.payment`, currencies other than the company's.
"""

from tieout.connectors.tryton.connector import Connector
from tieout.connectors.tryton.settings import Settings
from tieout.connectors.tryton.translation import field_mapping

__all__ = ["Connector", "Settings", "field_mapping"]
