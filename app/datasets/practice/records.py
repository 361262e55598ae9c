"""Synthetic records of a schema: valid by the schema itself, the same each time, in two invented agencies; and its magic keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import product
from typing import Any, Final, Literal

from app.datasets.practice.values import candidates
from app.datasets.records import MappedRecord, RecordWarning
from app.errors import SimpulError
from app.schemas.base import FieldSpec
from app.schemas.definition import SchemaDef
from app.schemas.validation import validate_row
from app.schemas.warnings import soft_warnings

Case = Literal["found", "disagree", "slow", "down", "not_found", "refused", "quota"]
CASES: Final[Mapping[Case, int]] = {
    "found": 0,
    "disagree": 1,
    "slow": 2,
    "down": 100,
    "not_found": 101,
    "refused": 102,
    "quota": 103,
}
"""What an invented key plays, and the number of its record. Those from 100 on have no record."""
EACH: Final = 50
"""Records of one invented agency."""
AS_OF: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MOST_TRIED: Final = 4096


class PracticeImpossible(SimpulError):
    """No synthetic record of a schema is valid: its examples and rules do not fit together."""

    code = "practice_impossible"
    retryable = False


@dataclass(frozen=True, slots=True)
class Synthetic:
    """The invented records of a schema: of the first agency, of the second, and the key of each case."""

    first: tuple[MappedRecord, ...]
    second: tuple[MappedRecord, ...]
    keys: Mapping[Case, str]

    def case_of(self, key: str) -> Case | None:
        """What this key plays."""
        return next((case for case, found in self.keys.items() if found == key), None)


@cache
def synthetic(schema: SchemaDef) -> Synthetic:
    """Made once a process. Raises `PracticeImpossible`."""
    maker = _Maker(schema)
    own = [maker.record(number) for number in range(2 * EACH - 1)]
    keys = {case: maker.key(number) for case, number in CASES.items()}
    other = maker.other(own[CASES["disagree"]])
    return Synthetic(tuple(own[:EACH]), (other, *own[EACH:]), keys)


class _Maker:
    def __init__(self, schema: SchemaDef) -> None:
        self._schema = schema
        self._counted = self._counted_field()

    def key(self, number: int) -> str:
        """The key of this record."""
        return self.record(number).key

    def record(self, number: int) -> MappedRecord:
        """A valid record."""
        given = {name: self._choices(name, spec, number) for name, spec in self._schema.fields.items()}
        values = {name: choices[0] for name, choices in given.items()}
        for _ in range(len(given) + 1):
            valid, failures = validate_row(self._schema, values)
            if valid is not None:
                return _mapped(self._schema, dict(valid.__dict__))
            if not self._mended(given, values, {(failure.field, failure.rule) for failure in failures}):
                break
        raise PracticeImpossible(
            f"no synthetic record of {self._schema.name} is valid: {failures[0].field} {failures[0].rule}"
        )

    def other(self, record: MappedRecord) -> MappedRecord:
        """The same key as another agency has it: one field that is no part of the key differs."""
        for name, spec in self._schema.fields.items():
            if name in self._schema.meta.key:
                continue
            for choice in candidates(spec, CASES["disagree"] + 7):
                if choice is None or choice == record.values[name]:
                    continue
                valid, _ = validate_row(self._schema, {**record.values, name: choice})
                if valid is not None:
                    return _mapped(self._schema, dict(valid.__dict__))
        return record

    def _choices(self, name: str, spec: FieldSpec, number: int) -> list[Any]:
        """What the field may be here. Of a key one field counts, the others stand still: each record has its own key."""
        if name == self._counted:
            return self._valid(name, candidates(spec, number, distinct=True))
        found = self._valid(name, candidates(spec, 0 if name in self._schema.meta.key else number))
        return found if spec.required else [*found, None]

    def _valid(self, name: str, choices: list[Any]) -> list[Any]:
        """Those that the field's own rule takes."""
        return [one for one in choices if not any(fault.field == name for fault in self._alone(name, one))]

    def _alone(self, name: str, value: Any) -> Iterator[Any]:
        _, failures = validate_row(self._schema, {name: value})
        yield from failures

    def _counted_field(self) -> str:
        """The field of the key that has another valid value for every number; regions first."""
        numbers = [*range(2 * EACH - 1), *CASES.values()]
        key = sorted(
            self._schema.meta.key, key=lambda name: not self._schema.fields[name].semantic.startswith("KodeWil")
        )
        for name in key:
            spec = self._schema.fields[name]
            found = [self._valid(name, candidates(spec, number, distinct=True)) for number in numbers]
            if all(found) and len({str(one[0]) for one in found}) == len(set(numbers)):
                return name
        raise PracticeImpossible(
            f"no field of the key of {self._schema.name} has {len(set(numbers))} valid values to count with"
        )

    def _mended(self, given: Mapping[str, list[Any]], values: dict[str, Any], broken: set[tuple[str, str]]) -> bool:
        """Other choices for the fields of the rules that are broken; False where none fits."""
        for rule in self._schema.model.row_rules:
            if (rule.field, rule.code) not in broken:
                continue
            names = [name for name in rule.needs if len(given[name]) > 1] or list(rule.needs)
            for tried, choice in enumerate(product(*(given[name] for name in names))):
                if tried > _MOST_TRIED:
                    break
                changed = {**values, **dict(zip(names, choice, strict=True))}
                _, failures = validate_row(self._schema, changed)
                if rule.code not in {failure.rule for failure in failures}:
                    values.update(changed)
                    return True
        return False


def _mapped(schema: SchemaDef, values: dict[str, Any]) -> MappedRecord:
    found = tuple(
        RecordWarning(one.field, one.code, one.detail_id, one.detail_en) for one in soft_warnings(schema, values)
    )
    return MappedRecord(schema.key_of(values), values, found)
