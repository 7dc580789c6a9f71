"""Into the ERP exactly once, and what became of it there."""
