"""What an invoice, a voucher and a payment are, and the rules that must hold; nothing here knows a system."""
