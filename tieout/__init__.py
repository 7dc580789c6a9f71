"""Carry approved subcontractor invoices from Procore into an ERP, each once, and bring the payments back."""

__version__ = "0.1.0"
