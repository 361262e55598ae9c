"""Amounts of rupiah in a free text: the right number, or null where a number may be no price. Nothing is guessed."""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = r"\d{1,3}(?:\.\d{3})+(?:,\d{1,2}(?!\d))?|\d{1,3}(?:,\d{3})+(?:\.\d{1,2}(?!\d))?|\d+(?:[.,]\d{1,2}(?!\d))?"
_UNIT = r"ribu|rb|k|juta|jt|miliar|milyar"
_RANGE = r"\s*(?:-|–|—|s/d|s\.d\.|sampai|hingga|to)\s*(?:(?:Rp\.?|IDR)\s*)?"
_AMOUNT = re.compile(
    rf"(?:(?P<mark>(?<!\w)(?:Rp\.?|IDR)\s*)|(?<![\w.,]))(?P<number>{_NUMBER})\s?(?P<unit>(?:{_UNIT})(?!\w))?"
    rf"(?P<beyond>{_RANGE}(?:{_NUMBER})\s?(?P<shared>(?:{_UNIT})(?!\w)))?",
    re.IGNORECASE | re.ASCII,
)
_FACTORS = {"ribu": 10**3, "rb": 10**3, "k": 10**3, "juta": 10**6, "jt": 10**6, "miliar": 10**9, "milyar": 10**9}
_FREE = re.compile(r"\bgratis\b", re.IGNORECASE)
_NOT_FREE = re.compile(r"\b(?:tidak|bukan|tak|belum)\s+gratis\b", re.IGNORECASE)
_PER = re.compile(r"(?:\bper|/)\s*$", re.IGNORECASE)
_AFTER_A_PRICE = re.compile(
    r"\s*(?:$|[-–—,;:/()|&+.!\]]|rupiah\b|per\b|s/d\b|sampai\b|hingga\b|dan\b|atau\b)", re.IGNORECASE
)
_MORE_DIGITS = re.compile(r"[.,]?\d|\s\d{3}(?!\d)")


def amounts(text: str) -> list[int | None]:
    """The amounts in order; null for a number that may be no price; 0 behind them for "gratis"."""
    found: list[int | None] = []
    start = 0
    while match := _AMOUNT.search(text, start):
        start = match.end("unit") if match["unit"] else match.end("number")
        if not _PER.search(text[max(0, match.start() - 12) : match.start()]):
            found += _read(match, text[start:])
    if _FREE.search(text):
        found.append(None if _NOT_FREE.search(text) else 0)
    return found


def _read(match: re.Match[str], behind: str) -> list[int | None]:
    """One amount; none for a plain number without a sign of money (a year, a count)."""
    number, unit = match["number"], (match["unit"] or match["shared"] or "").lower()
    grouped = bool(re.fullmatch(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*(?:[.,]\d{1,2})?", number))
    if match["mark"] is None:
        if not grouped and not unit:
            return []
        after = behind[match.end("beyond") - match.end("number") :] if match["shared"] and not match["unit"] else behind
        if unit == "k" or not _AFTER_A_PRICE.match(after):
            return [None]
    if _MORE_DIGITS.match(behind):
        return [None]
    value = _value(number, grouped=grouped) * _FACTORS.get(unit, 1)
    return [int(value) if value == value.to_integral_value() else None]


def _value(number: str, *, grouped: bool) -> Decimal:
    """Dots or commas before three digits group thousands, before one or two digits they are the decimal sign."""
    if not grouped:
        return Decimal(number.replace(",", "."))
    whole, _, cents = number.partition("," if "." in number[:4] else ".")
    return Decimal(f"{whole.replace('.', '').replace(',', '')}.{cents or '0'}")
