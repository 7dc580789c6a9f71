"""Whether an invoice is sound, and where that puts it."""
