"""A file or a package for each outside system, which speaks its API and hands over contract types only.

What they share is in `base` and `wire`.
"""
