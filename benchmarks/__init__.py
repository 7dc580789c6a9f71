"""Figures, measured on the real thing: `make bench`, `make chaos` and `make fuzz` print one JSON line for each."""
