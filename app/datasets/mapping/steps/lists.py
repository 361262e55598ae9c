"""Steps on lists and nested objects: `list`, `each`, `prices` (amounts in free text), `felt` (MMI reports of BMKG)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.rupiah import amounts
from app.datasets.mapping.steps.contract import Builder, Row, Step, StepContext, need_text
from app.datasets.mapping.text import squeeze

MOST_ITEMS = 10_000
_ROMAN = {
    "I": 1,
    "II": 2,
    "III": 3,
    "IV": 4,
    "V": 5,
    "VI": 6,
    "VII": 7,
    "VIII": 8,
    "IX": 9,
    "X": 10,
    "XI": 11,
    "XII": 12,
}
_FELT = re.compile(r"([IVX]+)(?:\s*-\s*([IVX]+))?\s+(\S.*)", re.ASCII)


def list_(given: Any, context: StepContext) -> Step:
    """`list: first`, `list: keep` (a single value becomes a list of one) or `list: {join: " | "}`."""
    if given in ("first", "keep"):
        first = given == "first"

        def step(value: Any, _: Row) -> Any:
            found = value if isinstance(value, list) else [value]
            _bounded(found)
            return (found[0] if found else None) if first else found

        return step
    separator = context.options(given, "join").get("join") if isinstance(given, Mapping) else None
    if not isinstance(separator, str):
        context.refuse("list is first, keep, or {join: text}")

    def joined(value: Any, _: Row) -> Any:
        if not isinstance(value, list):
            raise StepReject("not_a_list")
        return separator.join(need_text(part) for part in value if part is not None) or None

    return joined


def prices(given: Any, context: StepContext) -> Step:
    """`prices: {currency: rupiah}`: every amount in a free text, in order: Rp 5.000, Rp10,000, Rp130k, 25 ribu, 1,5 juta.

    Each price keeps the whole text in `teks_asli`; what it is for is not guessed. "Gratis" is an amount of 0. A number that may be no
    price (16.000 pengunjung) is an amount of null, with the warning `price_unclear`.
    """
    if context.options(given, "currency").get("currency") != "rupiah":
        context.refuse("prices needs currency: rupiah")

    def step(value: Any, _: Row) -> Any:
        text = squeeze(need_text(value))
        return [{"rupiah": amount, "teks_asli": text} for amount in amounts(text) or [None]]

    return step


def felt(given: Any, context: StepContext) -> Step:
    """`felt: mmi`: "III-IV Kepahiang, IV Manna" as {mmi_min, mmi_max, tempat} each."""
    if given != "mmi":
        context.refuse("felt is mmi")

    def step(value: Any, _: Row) -> Any:
        found = []
        for part in need_text(value).split(","):
            match = _FELT.fullmatch(squeeze(part))
            low = _ROMAN.get(match[1]) if match else None
            high = _ROMAN.get(match[2]) if match and match[2] else low
            if match is None or low is None or high is None:
                raise StepReject("code_unknown")
            found.append({"mmi_min": low, "mmi_max": high, "tempat": match[3]})
        return found

    return step


def _bounded(found: list[Any]) -> None:
    if len(found) > MOST_ITEMS:
        raise StepReject("list_too_long")


STEPS: Mapping[str, Builder] = {"list": list_, "prices": prices, "felt": felt}
