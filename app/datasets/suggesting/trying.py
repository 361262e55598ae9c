"""A mapping tried on the sample: how many values become valid, and the score of the proposal with its reasons."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from app.datasets.mapping.compile import compile_field
from app.datasets.mapping.mapping import DEFAULT_ZONE
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps.contract import StepContext
from app.datasets.suggesting.columns import SampleColumn
from app.datasets.suggesting.forms import MONTH_FIRST, Around, forms_of
from app.datasets.suggesting.words import alike
from app.errors import ExpressionForbidden, MappingInvalid
from app.schemas.base import FieldSpec
from app.schemas.registry import SchemaDef

_TELLING: Mapping[str, float] = {
    "Npsn": 0.9, "Nik": 0.95, "KodePos": 0.6, "Lintang": 0.45, "Bujur": 0.45, "KodeWilayah": 0.7, "KodeWilayahAtauAsal": 0.6,
    "Email": 0.8, "Tanggal": 0.6, "Waktu": 0.6, "GeometriWilayah": 0.9, "Tahun": 0.5, "DaftarDirasakan": 0.9,
}  # fmt: skip
"""How much valid values alone say that a column is of this kind; free text and plain numbers say next to nothing."""
_ENUM_TELLS, _OTHER_TELLS = 0.7, 0.15
_UNNAMED = re.compile(r"column_\d+")
_LEAST_TAKEN = 0.5
_LEAST_ALIKE = 0.3


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping of one field. `taken` of `tried` values of the sample became valid; `score` is between 0 and 1."""

    field: str
    column: str
    mapping: Any
    score: float
    taken: int
    tried: int
    reasons: tuple[str, ...]


def proposals_of(schema: SchemaDef, spec: FieldSpec, around: Around) -> list[Proposal]:
    """What every column could be for this field, best first."""
    found = [best for column in around.columns if (best := _best(schema, spec, column, around)) is not None]
    return sorted(found, key=lambda proposal: -proposal.score)


def _best(schema: SchemaDef, spec: FieldSpec, column: SampleColumn, around: Around) -> Proposal | None:
    name = alike(column.spoken, spec, schema)
    if column.nested:
        name = max(name, 0.98 * alike(column.name.rpartition(".")[2], spec, schema))
    unnamed = _UNNAMED.fullmatch(column.name) is not None
    if unnamed:
        name = _by_values_alone(spec, column)
    telling = _ENUM_TELLS if spec.enum is not None else _TELLING.get(spec.semantic, _OTHER_TELLS)
    if not column.values:
        return _unseen(spec, column, name)
    if name < _LEAST_ALIKE and telling <= _OTHER_TELLS:
        return None
    best: Proposal | None = None
    for form, why in forms_of(column, spec, around):
        if unnamed and isinstance(form, dict) and "from" not in form:
            continue  # an expression about a column that has no name tells nothing
        tried = _tried(schema, spec, column, form, around)
        if tried is None:
            continue
        mapping, taken = tried
        share = taken / len(column.values)
        reason = why
        if share < _LEAST_TAKEN and (name < _LEAST_ALIKE or "else" not in mapping):
            continue
        score = name * 0.65 + telling * share * 0.35 + (0.05 if spec.required and name else 0) + _fine(mapping)
        if spec.name in schema.meta.key and spec.kind == "text" and _running(column):
            score, reason = score - 0.25, f"{reason}; it counts the rows, and may change with their order"
        reasons = (f"{column.name!r} is like {spec.name!r} ({name:.2f})",) if name else ()
        made = Proposal(
            spec.name, column.name, mapping, round(min(score, 1.0), 3), taken, len(column.values), (*reasons, reason)
        )
        if best is None or made.score > best.score:
            best = made
    return best


def _by_values_alone(spec: FieldSpec, column: SampleColumn) -> float:
    """What stands for the name of a column that has none: a file without a header tells by its values only."""
    if spec.semantic == "Nama":
        return _LEAST_ALIKE + 0.2 if all(re.search("[a-z]", text, re.IGNORECASE) for text in column.texts) else 0.0
    telling = spec.enum is not None or _TELLING.get(spec.semantic, 0.0) > _OTHER_TELLS
    return _LEAST_ALIKE if telling else 0.0


def _running(column: SampleColumn) -> bool:
    """Whether the values count the rows: 1, 2, 3."""
    numbers = [int(text) if (text := str(value).strip()).isdigit() else None for value in column.values]
    return (
        len(numbers) > 2
        and numbers[0] in {0, 1}
        and all(before is not None and after is not None and after > before for before, after in pairwise(numbers))
    )


def _fine(mapping: Any) -> float:
    """What a form says beyond the values that it makes valid: a time of day is worth more than a day alone."""
    if not isinstance(mapping, dict):
        return 0.0
    if "lookup" in mapping and "strip" in mapping["lookup"]:
        return 0.02
    if isinstance(mapping.get("from"), list) and "geometry" in mapping:
        return 0.15  # both columns are called what they hold
    if "datetime" in mapping and isinstance(mapping["datetime"], dict) and "%H" not in str(mapping["datetime"]):
        return -0.1
    return 0.02 if "when" in mapping or ("expr" in mapping and "datetime" in mapping) else 0.0


def _unseen(spec: FieldSpec, column: SampleColumn, name: float) -> Proposal | None:
    """A column without a value in the sample: its name alone."""
    if name < 0.6 or spec.kind in {"list", "geometry", "object"}:
        return None
    return Proposal(spec.name, column.name, column.name, round(name * 0.5, 3), 0, 0, ("no value in the sample",))


def _tried(
    schema: SchemaDef, spec: FieldSpec, column: SampleColumn, mapping: Any, around: Around
) -> tuple[Any, int] | None:
    """The mapping with the formats that its values need, and how many became valid. None where it cannot be compiled."""
    step = next((name for name in ("date", "datetime") if isinstance(mapping, dict) and name in mapping), None)
    if step is not None and isinstance(mapping[step], list):
        mapping = _dated(spec, column, mapping, step, around)
        if mapping is None:
            return None
    results = _results(schema, spec, column.rows, mapping, around)
    return None if results is None else (mapping, sum(results))


def _dated(spec: FieldSpec, column: SampleColumn, mapping: Any, step: str, around: Around) -> Any:
    """The fewest formats that fit: the one that fits most values, then those that fit others; never two orders of day and month."""
    fits: dict[tuple[str, str], set[int]] = {}
    for months in ("id", "en"):
        for one in mapping[step]:
            if months == "en" and "%b" not in one and "%B" not in one:
                continue
            trial = {**mapping, step: _form(step, [one]), "months": months}
            fitting = _fitting(spec, column.rows, trial, around)
            if fitting:
                fits[one, months] = fitting
    if not fits:
        return None
    (first, months), met = max(fits.items(), key=lambda item: (len(item[1]), item[0][0] not in MONTH_FIRST))
    chosen = [first]
    for (one, language), fitting in sorted(fits.items(), key=lambda item: -len(item[1])):
        other_order = (one in MONTH_FIRST) != (first in MONTH_FIRST) and one != "iso"
        if fitting - met and language in {months, "id"} and not other_order:
            chosen.append(one)
            met = met | fitting
    formats: Any = chosen[0] if len(chosen) == 1 else chosen
    return {**mapping, step: _form(step, formats), **({"months": "en"} if months == "en" else {})}


def _form(step: str, formats: Any) -> Any:
    return formats if step == "date" or formats == "iso" else {"formats": formats, "zone": DEFAULT_ZONE}


def _fitting(spec: FieldSpec, rows: Sequence[Mapping[str, Any]], mapping: Any, around: Around) -> set[int]:
    try:
        compiled = compile_field(spec.name, mapping, spec, _context(spec, around))
    except (MappingInvalid, ExpressionForbidden):
        return set()
    met = set()
    for index, row in enumerate(rows):
        try:
            if compiled.value(row) is not None:
                met.add(index)
        except StepReject:
            continue
    return met


def _results(
    schema: SchemaDef, spec: FieldSpec, rows: Sequence[Mapping[str, Any]], mapping: Any, around: Around
) -> list[bool] | None:
    try:
        compiled = compile_field(spec.name, mapping, spec, _context(spec, around))
    except (MappingInvalid, ExpressionForbidden):
        return None
    adapter = _adapter(schema, spec.name)
    return [_valid(compiled.value, adapter, row) for row in rows]


def _valid(value: Any, adapter: TypeAdapter[Any], row: Mapping[str, Any]) -> bool:
    try:
        found = value(row)
        if found is None:
            return False
        adapter.validate_python(found)
    except (StepReject, ValidationError):
        return False
    return True


def _context(spec: FieldSpec, around: Around) -> StepContext:
    return StepContext(f"/fields/{spec.name}", around.codes, DEFAULT_ZONE, spec=spec)


@lru_cache(maxsize=512)
def _adapter(schema: SchemaDef, field: str) -> TypeAdapter[Any]:
    info = schema.model.model_fields[field]
    kind: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return TypeAdapter(kind)
