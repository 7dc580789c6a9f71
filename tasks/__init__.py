"""Steps that may be retried alone, grouped by whom they talk to."""
