"""Figures, measured on the real thing: `make bench` and `make chaos` print one JSON line for each."""
