"""A boundary that many records cross together, and what each of them must keep."""

from dataclasses import dataclass

from data_contracts.rules import Rule


@dataclass(frozen=True, slots=True)
class Batch:
    """A boundary that many records cross together, and what each of them must keep."""

    name: str
    title: str
    protects: str
    rules: tuple[Rule, ...]
