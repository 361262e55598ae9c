"""The rule codes of rejected values, what to do about each, and the two rules of free text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from pydantic_core import PydanticCustomError

RULES: Mapping[str, str] = {
    "missing": "a value is required here; map this field or leave the record out",
    "wrong_type": "the value has another type than the schema names; add a mapping step that converts it",
    "unknown_field": "the schema has no such field; remove it from the mapping",
    "too_short": "the text is shorter than the schema allows",
    "too_long": "the text is longer than the schema allows; nothing is cut silently",
    "pattern": "the text does not have the form that the schema names",
    "not_in_list": "the value is not in the list that the schema names; add a `codes` step",
    "out_of_range": "the value lies outside the range that the schema names",
    "not_finite": "NaN and infinity are not measurements",
    "too_precise": "the number has more decimal places than the schema keeps; round it in the mapping",
    "too_many": "the list holds more items than the schema allows",
    "not_unicode": "the text holds characters that are not valid Unicode",
    "control_character": "the text holds control characters other than line feed and tab; use `text: squeeze`",
    "blank": "the text holds blanks only; leave it null instead",
    "not_nfc": "the text is not in Unicode normal form C; use a `text` step",
    "zone_missing": "a time needs its zone; name `zone` in the mapping",
    "nik_date": "the birth date part (digits 7 to 12) is not a date: day 01-31, or 41-71 for women",
    "nik_serial": "the serial part (last four digits) is 0000",
    "kk_date": "the recording date part (digits 7 to 12) is not a date; a day above 40 belongs to a NIK",
    "kk_serial": "the serial part (last four digits) is 0000",
    "nip_birth_date": "the birth date part (digits 1 to 8) is not a date",
    "nip_sex": "digit 15 must be 1 (male) or 2 (female)",
    "nip_serial": "the serial part (last three digits) is 000",
    "geometry_type": "only Polygon and MultiPolygon are kept, as an object with type and coordinates alone",
    "geometry_structure": "the coordinates are not nested as GeoJSON says for this type (RFC 7946, section 3.1)",
    "geometry_position": "a position is two numbers, longitude then latitude, in degrees",
    "geometry_range": "longitude lies in -180..180 and latitude in -90..90; are the axes swapped?",
    "geometry_invalid": "the geometry is not valid: a line crosses itself, a hole lies outside its shell, or parts overlap",
    "geometry_ring": "a ring has at least four positions and ends where it starts",
    "geometry_size": "the geometry holds more positions than the schema allows; simplify it",
    "parent_mismatch": "kode_induk is not the parent of kode",
    "level_mismatch": "tingkat does not fit the number of parts of kode",
    "silpa_mismatch": "silpa differs from pendapatan - belanja + pembiayaan by more than 1 rupiah",
    "range_order": "the lower end of the range is above its upper end",
    "small_cell": "a count of 1 to 4 in a village could point to persons; leave it null (`when: [{if: ...}]` in the mapping)",
    "precision_date": "a date known to the month is written as its first day, one known to the year as 1 January",
    "own_parent": "a code is not its own parent; leave kode_induk null at the top of a list",
}
"""Every rule code that a rejected value can carry, and what to do about it. Codes are stable; values never appear."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def text_fault(value: str) -> str | None:
    """Rule of free text: no control characters but line feed and tab, Unicode NFC (UAX 15)."""
    if value.isascii() and value.isprintable():
        return None
    if _CONTROL.search(value):
        return "control_character"
    return None if unicodedata.is_normalized("NFC", value) else "not_nfc"


def name_fault(value: str) -> str | None:
    """Rule of a name or key part: free text that is not blanks alone."""
    if fault := text_fault(value):
        return fault
    return "blank" if value.isspace() else None


def rule_error(code: str, field: str = "") -> PydanticCustomError:
    """The Pydantic error of a rule of ours; its text never holds the value."""
    return PydanticCustomError(code, "{detail}", {"detail": RULES[code], "field": field})
