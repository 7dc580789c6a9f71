"""The append-only memory of money: what was seen, decided, sent and answered, in SQLite or PostgreSQL."""
