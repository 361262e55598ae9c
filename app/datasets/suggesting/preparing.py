"""What is done to the rows before any field is mapped: marks for "no value", and columns that are years, dates or indicators."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.datasets.suggesting.columns import SampleColumn, sample_columns
from app.datasets.suggesting.words import alike, concepts
from app.schemas.registry import SchemaDef

_MARKS = frozenset(
    {"-", "–", "—", "--", "...", "…", "n/a", "N/A", "NA", "#N/A", "null", "NULL", "NaN", "nan", "tidak ada data"}
)
_YEAR = re.compile(r"(?:tahun|thn|th)?[ _.]*((?:19|20)\d\d)", re.IGNORECASE)
_DAY = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-](?:\d{4}|\d{2})|\d{4}-\d{2}-\d{2}|\d{1,2} [A-Za-z]+ \d{4}")
_NUMERIC = re.compile(r"-?(?:rp\.?\s*)?\d[\d.,' ]*\s*%?", re.IGNORECASE)
_MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Preparation:
    """The `read:` block that is proposed, why, and the sample as it is after it."""

    read: Mapping[str, Any]
    reasons: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    melted: str | None = None
    """The column that holds the former names of columns."""


def prepared(rows: Sequence[Mapping[str, Any]], schema: SchemaDef | None, given: Mapping[str, Any]) -> Preparation:
    """What the rows need. What the manifest states already (`given`) is taken as it is."""
    read: dict[str, Any] = dict(given)
    reasons: dict[str, str] = {}
    if "missing" not in read and (marks := _marks(rows)):
        read["missing"] = sorted(marks)
        reasons["missing"] = f"{', '.join(sorted(marks))} stands where other rows have a value"
    if schema is not None and "unpivot" not in read:
        columns = sample_columns(rows, read.get("missing", ()))
        unpivot, why = _unpivot(columns, schema)
        if unpivot is not None:
            read["unpivot"], reasons["unpivot"] = unpivot, why
    unpivot = read.get("unpivot")
    if not isinstance(unpivot, Mapping):
        return Preparation(read, reasons, rows)
    return Preparation(read, reasons, _melted(rows, unpivot), str(unpivot["name"]))


def _marks(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    return {
        value.strip() for row in rows for value in row.values() if isinstance(value, str) and value.strip() in _MARKS
    }


def _melted(rows: Sequence[Mapping[str, Any]], unpivot: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    keep = [str(name) for name in unpivot["keep"]]
    return [
        {**{name: row.get(name) for name in keep}, unpivot["name"]: column, unpivot["value"]: value}
        for row in rows
        for column, value in row.items()
        if column not in keep
    ][:_MOST_ROWS]


def _unpivot(columns: Sequence[SampleColumn], schema: SchemaDef) -> tuple[dict[str, Any] | None, str]:
    names = [column.name for column in columns if not column.name.startswith("$.")]
    semantics = {spec.semantic: name for name, spec in schema.fields.items()}
    for pattern, semantic, made, what in ((_YEAR, "Tahun", "tahun", "years"), (_DAY, "Tanggal", "tanggal", "dates")):
        found = [name for name in names if pattern.fullmatch(name.strip())]
        others = [name for name in names if name not in found]
        field_name = semantics.get(semantic)
        if field_name is None or len(found) < 2:
            continue
        if max((alike(name, schema.fields[field_name], schema) for name in others), default=0) < 0.6:
            return {"keep": others, "name": made, "value": "nilai"}, f"{what} stand as columns: {', '.join(found[:4])}"
    if {"kode_indikator", "nilai", "tahun"} <= schema.fields.keys():
        return _indicators(columns, schema)
    return None, ""


def _indicators(columns: Sequence[SampleColumn], schema: SchemaDef) -> tuple[dict[str, Any] | None, str]:
    """Each indicator a column of its own: all numeric columns but the year and what tells the region."""
    if any(concepts(column.name) & {"indikator", "variabel"} for column in columns):
        return None, ""
    kept = [column.name for column in columns if not _is_measure(column, schema)]
    measures = [column.name for column in columns if column.name not in kept]
    if not measures or not kept:
        return None, ""
    taken = {name.lower() for name in kept}
    value = "nilai" if "nilai" not in taken else "nilai_angka"
    return {
        "keep": kept,
        "name": "indikator",
        "value": value,
    }, f"indicators stand as columns: {', '.join(measures[:4])}"


def _is_measure(column: SampleColumn, schema: SchemaDef) -> bool:
    if (
        max(alike(column.name, schema.fields[name], schema) for name in ("tahun", "kode_wilayah", "status", "produsen"))
        > 0.5
    ):
        return False
    if {"kode", "bulan"} & concepts(column.name) or not column.values:
        return False
    return all(
        (isinstance(value, int | float | Decimal) and not isinstance(value, bool))
        or (isinstance(value, str) and _NUMERIC.fullmatch(value.strip()))
        or not isinstance(value, str | bool | list | dict)
        for value in column.values
    )
