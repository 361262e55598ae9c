"""What a whole read tells of the quality of a dataset: filled fields, regions met, positions, the newest record, patterns of persons.

Counted while a check maps the source, record by record; nothing here holds a value of a field but the newest time and codes of regions.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any, Final

from app.datasets.mapping.codes import CodeBook
from app.schemas.base import FieldSpec
from app.schemas.constraints import TextRule
from app.schemas.identifiers import nik_fault, province_known
from app.schemas.registry import SchemaDef
from app.schemas.warnings import Box, within

MOST_LOCATIONS: Final = 5
MOST_UNKNOWN: Final = 100
"""Codes that are told of those that the reference list does not hold; how many there are is told too."""
_LEVELS: Final = ("provinsi", "kabupaten", "kecamatan", "desa")
WORTH_A_LOOK_DIGITS: Final = 10
WORTH_A_LOOK: Final = re.compile(rf"@|[0-9](?:[ .-]?[0-9]){{{WORTH_A_LOOK_DIGITS - 1}}}")
_JOINED: Final = re.compile(r"(?<=[0-9])[ .-](?=[0-9])")
_NIK: Final = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])")
_PHONE: Final = re.compile(r"(?<![0-9])(?:\+?62|0)8[1-9][0-9]{7,10}(?![0-9])")
_EMAIL: Final = re.compile(r"[0-9A-Za-z._%+-]+@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)+")
_NIK_DIGITS: Final = 16
_EXPECTED: Final = {"Telepon": "phone", "Email": "email"}
"""Fields whose type is made for such a value: the schema says that it is an institution's."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What records are held against: the loaded regions within `region`, the box of this instance, the field that tells freshness."""

    codes: CodeBook
    region: str
    bbox: Box
    freshness_field: str | None = None


@dataclass(slots=True)
class PatternFound:
    """Records whose field holds what looks like a person's identifier; where the first of them stand, never the value."""

    field: str
    pattern: str
    records: int = 0
    locations: list[str] = made(default_factory=list)


def patterns_in(text: str) -> set[str]:
    """Which of nik, phone (a mobile one) and email a text seems to hold."""
    if WORTH_A_LOOK.search(text) is None:
        return set()
    joined = _JOINED.sub("", text)
    found = {"email"} if _EMAIL.search(text) else set()
    if any(province_known(digits) and nik_fault(digits) is None for digits in _NIK.findall(joined)):
        found.add("nik")
    if _PHONE.search(joined):
        found.add("phone")
    return found


class QualityCounter:
    """Counts over the valid records of one read."""

    def __init__(self, schema: SchemaDef, fields: Collection[str], against: Yardstick) -> None:
        self.against = against
        self._fields = tuple(fields)
        open_fields = [spec for name in fields if (spec := schema.fields[name]).pdp == "none"]
        self.texts = [spec.name for spec in open_fields if _holds_text(spec) and spec.item is None]
        self._nested = [spec.name for spec in open_fields if _holds_text(spec) and spec.item is not None]
        self._expected = {spec.name: _EXPECTED.get((spec.item or spec).semantic) for spec in open_fields}
        self.region = _region_field(schema, fields)
        self.positions = [parts for parts in schema.coordinates.values() if set(parts) <= set(fields)]
        self._codes: dict[str | None, int] = {}
        self._with_position = self._inside = 0
        self._newest: dt.datetime | None = None
        self._personal: dict[tuple[str, str], PatternFound] = {}

    def take(self, values: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """One valid record. Returns the (field, pattern) pairs that were found in it, for `stands_at`."""
        if self.region is not None:
            self._met(values[self.region])
        for parts in self.positions:
            given = [values[part] for part in parts]
            if None not in given:
                self._with_position += 1
                self._inside += within(self.against.bbox, given)
        if self.against.freshness_field is not None:
            self.dated(values.get(self.against.freshness_field))
        texts = [text for name in self.texts if (text := values[name]) is not None]
        nested = [text for name in self._nested if values[name] is not None for text in _texts_of(values[name])]
        if WORTH_A_LOOK.search("\n".join(texts + nested)) is None:
            return ()
        return self.looked_at(values)

    def stands_at(self, found: Sequence[tuple[str, str]], location: str) -> None:
        """Where the record stands in which these patterns were found."""
        for pair in found:
            known = self._personal[pair]
            if len(known.locations) < MOST_LOCATIONS:
                known.locations.append(location)

    def document(self, records: int, nulls: Mapping[str, int]) -> dict[str, Any]:
        """As JSON, of so many valid records with so many nulls in each field. `newest` is an instant; a day counts to its end in UTC."""
        filled = {name: round(1 - nulls.get(name, 0) / records, 4) for name in self._fields} if records else {}
        return {
            "completeness": filled,
            "newest": None if self._newest is None else self._newest.isoformat(),
            "regions": self._regions(),
            "positions": {"records": self._with_position, "inside": self._inside} if self.positions else None,
            "personal": [
                {"field": one.field, "pattern": one.pattern, "records": one.records, "locations": one.locations}
                for one in sorted(self._personal.values(), key=lambda one: (-one.records, one.field, one.pattern))
            ],
        }

    def met(self, code: str | None, count: int) -> None:
        """So many records of a region."""
        self._codes[code] = self._codes.get(code, 0) + count

    def placed(self, with_position: int, inside: int) -> None:
        """So many records have a position, and so many of those stand inside the box."""
        self._with_position += with_position
        self._inside += inside

    def _met(self, value: Any) -> None:
        if value is None or isinstance(value, str):
            self.met(value, 1)
        else:
            for code in set(value) or {None}:
                self._codes[code] = self._codes.get(code, 0) + 1

    def dated(self, value: Any) -> None:
        """A value of the field that tells freshness."""
        if isinstance(value, dt.datetime):
            moment = value
        elif isinstance(value, dt.date):
            moment = dt.datetime.combine(value + dt.timedelta(days=1), dt.time(), dt.UTC)
        else:
            return
        if self._newest is None or moment > self._newest:
            self._newest = moment

    def looked_at(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The (field, pattern) pairs found in one valid record."""
        told = []
        for name in (*self.texts, *self._nested):
            found = {pattern for text in _texts_of(values[name]) for pattern in patterns_in(text)}
            for pattern in sorted(found):
                if pattern != self._expected[name]:
                    self._personal.setdefault((name, pattern), PatternFound(name, pattern)).records += 1
                    told.append((name, pattern))
        return told

    def _regions(self) -> dict[str, Any] | None:
        """Which regions of the reference list have a record, on each level that the records reach; a village counts for its kecamatan."""
        if self.region is None:
            return None
        root, known = self.against.region, self.against.codes.known_regions()
        dotted = {code: count for code, count in self._codes.items() if code is not None and ":" not in code}
        within_root = {code for code in dotted if code.startswith(f"{root}.")}
        elsewhere = sum(
            count for code, count in dotted.items() if code not in within_root and not f"{root}.".startswith(f"{code}.")
        )
        deepest = max((code.count(".") for code in within_root), default=root.count("."))
        levels = []
        for depth in range(root.count(".") + 1, deepest + 1):
            met = {".".join(code.split(".")[: depth + 1]) for code in within_root if code.count(".") >= depth}
            listed = sorted(code for code in known if code.startswith(f"{root}.") and code.count(".") == depth)
            missing = [self._named(code) for code in listed if code not in met]
            found = len(listed) - len(missing)
            levels.append({"level": _LEVELS[depth], "expected": len(listed), "found": found, "missing": missing})
        unknown = sorted(code for code in within_root if code not in known)
        return {
            "within": root,
            "without_code": sum(self._codes.values()) - sum(dotted.values()),
            "unknown": unknown[:MOST_UNKNOWN],
            "unknown_total": len(unknown),
            "elsewhere": elsewhere,
            "levels": [level for level in levels if level["expected"]],
        }

    def _named(self, code: str) -> dict[str, str]:
        region = self.against.codes.region(code)
        return {"kode": code, "nama": region.nama if region is not None else ""}


def _holds_text(spec: FieldSpec) -> bool:
    """Whether a value may hold an identifier of a person: not one of a closed list, nor one whose form is too short for it."""
    inner = spec.item or spec
    rule = inner.rule
    if isinstance(rule, TextRule) and (
        rule.enum is not None or (rule.pattern is not None and rule.max_length < _NIK_DIGITS)
    ):
        return False
    return inner.kind in ("text", "object")


def _region_field(schema: SchemaDef, fields: Collection[str]) -> str | None:
    """The field that says which region a record is of: `kode_wilayah`, or the key of a list of regions."""
    if "kode_wilayah" in fields:
        return "kode_wilayah"
    keys = [name for name in schema.meta.key if schema.fields[name].semantic == "KodeWilayah" and name in fields]
    return keys[0] if keys else None


def _texts_of(value: Any) -> Iterator[str]:
    """Every text in a value: itself, those of a list, of the members of an object."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts_of(member)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_of(item)
