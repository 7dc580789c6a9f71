"""What no single run would notice: alarms, and whether a night could run."""
