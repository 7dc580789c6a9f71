"""What is true of an invoice, a voucher, a payment and the rules that must hold; nothing here knows a system."""
