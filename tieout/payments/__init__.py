"""The ERP's payments: collected, matched, and written to Payments Issued."""
