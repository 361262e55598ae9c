"""Matching (*pemadanan*): which of many keys are known, and whether other values agree. Pure; the reading is `reading/whole.py`'s.

A key is matched (one record), ambiguous (several), unmatched, unknown (nobody has it, and somebody did not answer), or invalid;
with a reason for all but the first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.errors import KeyMalformed
from app.federation.reading.batches import Batch
from app.filters.tree import Filter, In, Property
from app.filters.tree import Literal as Value
from app.schemas.registry import SchemaDef
from app.schemas.validation import validate_row
from app.schemas.wire import wire_value

Status = Literal["matched", "unmatched", "unknown", "ambiguous", "invalid"]
Agreement = Literal["exact", "normalised", "different", "absent"]
KEYS_A_READ = 20_000
_UNKNOWN = "no answer from "


@dataclass(frozen=True, slots=True)
class MatchKey:
    """One key as it was given, and the values to compare by field. `problem` says why it is none (then `key` may be anything)."""

    key: Any
    values: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None


class Matching:
    """Takes what the sources give and answers key by key, in the order of the question."""

    def __init__(self, schema: SchemaDef, wanted: list[MatchKey], fields: Sequence[str]) -> None:
        self._schema, self._wanted, self._fields = schema, wanted, fields
        self._keys: dict[str, str] = {}
        self._invalid: dict[str, str] = {}
        self._found: dict[str, list[dict[str, Any]]] = {}
        for item in wanted:
            if item.problem is None and item.key not in self._keys and item.key not in self._invalid:
                self._bind(item.key)
        self._known = frozenset(self._keys.values())

    def filters(self) -> Iterator[Filter]:
        """One filter a read: the first part of the key among at most 20,000 values."""
        first = self._schema.meta.key[0]
        values = list(dict.fromkeys(self._schema.key_values(key)[first] for key in self._keys.values()))
        asked = [value for value in values if value is not None]
        for start in range(0, len(asked), KEYS_A_READ):
            yield In(Property(first), tuple(Value(value) for value in asked[start : start + KEYS_A_READ]))

    def take(self, batch: Batch) -> None:
        """Keeps the granted fields of the records that were asked for."""
        keys = batch.columns.column("_id").to_pylist()
        indexes = [index for index, key in enumerate(keys) if key in self._known]
        if not indexes:
            return
        names = [name for name in self._fields if name in batch.fields]
        rows = batch.columns.select(names).take(indexes).to_pylist()
        source = {"agency": batch.agency, "dataset": batch.dataset, "as_of": wire_value(batch.as_of)}
        for index, row in zip(indexes, rows, strict=True):
            key = str(keys[index])
            shown = {name: wire_value(value) for name, value in row.items()}
            self._found.setdefault(key, []).append({**shown, "_source": {**source, "id": key}})

    def answers(self, shown: Sequence[str], missing: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """One answer a given key; `shown` are the fields to show, `missing` the agencies that could not say whether they have it."""
        nobody = _UNKNOWN + ", ".join(sorted(missing)) if missing else None
        for item in self._wanted:
            yield self._answer(item, shown, nobody)

    def forget(self) -> None:
        """Frees what was asked and what was found: of a million keys that takes a while, and nobody should wait for it."""
        for held in (self._wanted, self._keys, self._invalid, self._found):
            held.clear()
        self._known = frozenset()

    def _bind(self, key: str) -> None:
        try:
            values = self._schema.key_values(key)
        except KeyMalformed as error:
            self._invalid[key] = error.detail
            return
        _, failures = validate_row(self._schema, values)
        wrong = [failure for failure in failures if failure.field in values]
        if wrong:
            self._invalid[key] = f"{wrong[0].field}: {wrong[0].detail}"
        else:
            self._keys[key] = self._schema.key_of(values)

    def _answer(self, item: MatchKey, shown: Sequence[str], nobody: str | None) -> dict[str, Any]:
        if item.problem is not None:
            return _said(item, "invalid", item.problem)
        if item.key in self._invalid:
            return _said(item, "invalid", self._invalid[item.key])
        found = self._found.get(self._keys[item.key], [])
        if not found:
            return _said(item, "unmatched", "not_found") if nobody is None else _said(item, "unknown", nobody)
        compared = [{name: _agreement(value, row.get(name)) for name, value in item.values.items()} for row in found]
        fitting = [index for index, each in enumerate(compared) if not {"different", "absent"} & set(each.values())]
        if not fitting:
            return {**_said(item, "unmatched", "fields_differ"), "compared": compared[0]}
        records = [
            {name: value for name, value in found[index].items() if name in (*shown, "_source")} for index in fitting
        ]
        status: Status = "matched" if len(fitting) == 1 else "ambiguous"
        reason = None if status == "matched" else f"{len(fitting)} records have this key"
        answer = {**_said(item, status, reason), "records": records}
        return {**answer, "compared": compared[fitting[0]]} if item.values else answer


def _said(item: MatchKey, status: Status, reason: str | None) -> dict[str, Any]:
    return {"key": item.key, "status": status, "reason": reason, "records": []}


def _agreement(given: str, held: Any) -> Agreement:
    """Exactly; else without regard to case, width, punctuation and repeated blanks."""
    if held is None:
        return "absent"
    text = str(held)
    if given == text:
        return "exact"
    return "normalised" if _plain(given) == _plain(text) else "different"


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(letter if letter.isalnum() else " " for letter in folded).split())
