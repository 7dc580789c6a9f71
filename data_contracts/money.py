"""Amounts of money: exact decimals in code, integer minor units in storage, never floats (design law 5)."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator

# ISO 4217 currencies whose minor unit is not a hundredth; every other one has two digits.
_MINOR_DIGITS = {"BHD": 3, "CLP": 0, "ISK": 0, "JPY": 0, "JOD": 3, "KRW": 0, "KWD": 3, "OMR": 3, "TND": 3, "VND": 0}
_CENT, _FINEST, _NOTHING = Decimal("0.01"), Decimal("0.0001"), Decimal("0.00")
LARGEST = Decimal("999999999999.99")
_USUAL = 40  # characters of an amount that is worth remembering


def minor_digits(currency: str) -> int:
    """Return how many decimal places the currency's minor unit has (ISO 4217)."""
    return _MINOR_DIGITS.get(currency, 2)


def to_minor(amount: Decimal, currency: str) -> int:
    """Return the amount in minor units; ValueError when it has a part of a minor unit."""
    scaled = amount.scaleb(minor_digits(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} {currency} has a fraction of the smallest unit")
    return int(scaled)


def from_minor(units: int, currency: str) -> Decimal:
    """Return the amount that so many minor units make."""
    return Decimal(units).scaleb(-minor_digits(currency))


def round_half_up(amount: Decimal, currency: str) -> Decimal:
    """Round to the currency's minor unit, halves away from zero (requirements C1.6)."""
    return amount.quantize(Decimal(1).scaleb(-minor_digits(currency)), rounding=ROUND_HALF_UP)


def parse_amount(value: Any) -> Decimal:
    """Read an amount as Procore sends it: a decimal string. Equal amounts come out alike: `1250.0` as `1250.00`.

    Floats, numbers, absurd sizes and more than four places are ValueErrors.
    """
    if type(value) is str and len(value) <= _USUAL:
        return _parse_text(value)
    return _canonical(_parse_number(value))


@lru_cache(maxsize=100_000)
def _parse_text(text: str) -> Decimal:
    """Read an amount once: most amounts of an invoice are zero, or stood on the one before it."""
    return _canonical(_parse_number(text))


def _parse_number(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        amount = value
    elif isinstance(value, str):
        if "_" in value or not value.isascii():  # digits of every script, and with lines between, would be taken
            raise ValueError(f"{value[:40]!r} is not an amount")
        try:
            amount = Decimal(value.strip())
        except InvalidOperation:
            raise ValueError(f"{value[:40]!r} is not an amount") from None
    else:
        raise ValueError(f"money must come as text, not as {type(value).__name__}")
    if not amount.is_finite() or not -LARGEST <= amount <= LARGEST:  # abs() would overflow on 1e9999999
        raise ValueError(f"{str(value)[:40]} is not a believable amount")
    return amount


def _canonical(amount: Decimal) -> Decimal:
    cents = amount.quantize(_CENT)
    if cents == amount:
        return cents or _NOTHING  # never -0.00
    finest = amount.quantize(_FINEST)
    if finest != amount:
        raise ValueError(f"{str(amount)[:40]} has more than four decimal places")
    return finest.normalize()


def _parse_factor(value: Any) -> Decimal:
    """Read a number that is no money, of as many places as it has; equal ones come out alike."""
    return _parse_number(value).normalize() + 0  # never -0


Amount = Annotated[Decimal, BeforeValidator(parse_amount)]
Factor = Annotated[Decimal, BeforeValidator(_parse_factor)]  # a quantity, a price per unit


def in_words(amount: Decimal, currency: str) -> str:
    """Return the amount as people write it, for example `$12,500.00` or `EUR 12,500.00`."""
    text = f"{abs(amount):,.{minor_digits(currency)}f}"
    sign = "-" if amount < 0 else ""
    return f"{sign}${text}" if currency == "USD" else f"{sign}{currency} {text}"
