"""Soft findings: what is doubtful about a valid record and never rejects it. No value appears in what is said.

A finding of a semantic type is declared here; one over several fields in the entity's own `soft_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from app.schemas import identifiers as ids
from app.schemas.base import rule_applies
from app.schemas.definition import SchemaDef
from app.schemas.geometry import positions

Found = TypeVar("Found")
_Finder = Callable[[str, Collection[str] | None], str | None]

TEXTS: Mapping[str, tuple[str, str]] = {
    "region_unknown": (
        "kode wilayah tidak ada dalam daftar yang dimuat; mungkin dihapus atau belum dimuat",
        "the region code is not in the loaded list; it may be abolished or not loaded yet",
    ),
    "outside_region": (
        "letak berada di luar kotak batas daerah instans ini (SIMPUL_BBOX)",
        "the place lies outside the bounding box of this instance's region (SIMPUL_BBOX)",
    ),
    "geometry_turned": (
        "arah putar cincin poligon dibetulkan: batas luar berlawanan arah jarum jam, lubang searah (RFC 7946)",
        "the direction of a ring was mended: shells run counter-clockwise, holes clockwise (RFC 7946)",
    ),
    "nik_region_unknown": (
        "enam digit pertama NIK bukan kecamatan yang dikenal; kode lama tetap sah",
        "the first six digits of the NIK are no known kecamatan; codes of the past stay valid",
    ),
    "nip_appointed_young": (
        "tahun pengangkatan kurang dari 18 tahun setelah tahun lahir",
        "the year of appointment is less than 18 years after the year of birth",
    ),
    "npwp_luhn": ("digit pemeriksa NPWP tidak cocok", "the check digit of the NPWP does not fit"),
    "nop_sector": ("digit terakhir NOP bukan 0, 7 atau 9", "the last digit of the NOP is not 0, 7 or 9"),
    "facility_scheme_unknown": (
        "kode tidak berbentuk skema kode fasilitas yang dikenal",
        "the code has the form of no known scheme of facility codes",
    ),
    "phone_unusual": (
        "isi tidak berbentuk satu nomor telepon",
        "the text does not have the form of one phone number",
    ),
}
"""Indonesian and English text of each finding of a semantic type."""


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the name that a record's `_warnings` carries; the builtin is not used here
    """One finding: the field, a stable code, and what it means in both languages."""

    field: str
    code: str
    detail_id: str
    detail_en: str


Box = tuple[float, float, float, float]
"""West, south, east, north (CRS84)."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an instance knows of its region: the loaded Kemendagri codes, dotted, and its bounding box; None: nothing."""

    regions: Collection[str] | None = None
    bbox: Box | None = None


NOWHERE = Surroundings()


def soft_warnings(schema: SchemaDef, values: Mapping[str, Any], around: Surroundings = NOWHERE) -> list[Warning]:
    """Findings about the values of a valid record. Null fields have none.

    Without loaded codes only the province is judged, without a box no position is.
    """
    return list(finding_function(schema, schema.fields, around, Warning)(values))


def finding_function(
    schema: SchemaDef, names: Collection[str], around: Surroundings, make: Callable[[str, str, str, str], Found]
) -> Callable[[Mapping[str, Any]], Sequence[Found]]:
    """What `soft_warnings` finds, for many records in which only these fields are given. `make`: field, code, Indonesian, English."""
    regions, bbox = around.regions, around.bbox
    finders = [one for one in finders_of(schema) if one[0] in names]
    boxed = [parts for parts in schema.coordinates.values() if bbox is not None and set(parts) <= set(names)]
    rules = [
        (rule, make(rule.field, rule.code, rule.detail_id, rule.detail_en))
        for rule in schema.model.soft_rules
        if set(rule.needs) <= set(names)
    ]
    made = cache(lambda name, code: make(name, code, *TEXTS[code]))

    def findings(values: Mapping[str, Any]) -> Sequence[Found]:
        found: list[Found] = []
        for name, many, finder in finders:
            value = values.get(name)
            if value is None:
                continue
            if many:
                codes = {finder(item, regions) for item in value}
                found += [made(name, code) for code in sorted(filter(None, codes))]
            elif (code := finder(value, regions)) is not None:
                found.append(made(name, code))
        for parts in boxed:
            if bbox is not None and not within(bbox, [values.get(part) for part in parts]):
                found.append(made(parts[-1], "outside_region"))
        for rule, told in rules:
            if rule_applies(rule, values) and not rule.holds(values):
                found.append(told)
        return found

    return findings


@cache
def fields_judged(schema: SchemaDef) -> Mapping[tuple[str, str], frozenset[str]]:
    """The fields that a finding (field, code) over several of them was judged by: who sees the finding learns of each."""
    found = {(rule.field, rule.code): frozenset({rule.field, *rule.needs}) for rule in schema.model.soft_rules}
    found |= {(parts[-1], "outside_region"): frozenset(parts) for parts in schema.coordinates.values()}
    return found


def within(box: Box, coordinates: Sequence[Any]) -> bool:
    """Whether a point (longitude, latitude) or every position of a geometry lies in the box; true for what is null."""
    west, south, east, north = box
    if any(part is None for part in coordinates):
        return True
    if len(coordinates) > 1:
        return bool(west <= coordinates[0] <= east and south <= coordinates[1] <= north)
    return all(west <= lng <= east and south <= lat <= north for lng, lat in positions(coordinates[0]))


@cache
def finders_of(schema: SchemaDef) -> tuple[tuple[str, bool, _Finder], ...]:
    """The fields that are judged by their semantic type: name, whether it is a list, what finds the code of a finding."""
    found = []
    for name, spec in schema.fields.items():
        finder = _FINDERS.get(spec.item.semantic if spec.item else spec.semantic)
        if finder is not None:
            found.append((name, spec.item is not None, finder))
    return tuple(found)


def _region(kode: str, known: Collection[str] | None) -> str | None:
    return None if (kode[:2] in ids.PROVINCES if known is None else kode in known) else "region_unknown"


def _region_or_other(kode: str, known: Collection[str] | None) -> str | None:
    return None if ":" in kode else _region(kode, known)


def _nik(nik: str, known: Collection[str] | None) -> str | None:
    """Judged by the list only within regencies that the list holds: people are born everywhere, lists are often of one regency."""
    regency = f"{nik[:2]}.{nik[2:4]}"
    listed = known is not None and regency in known
    fine = f"{regency}.{nik[4:6]}" in (known or ()) if listed else nik[:2] in ids.PROVINCES
    return None if fine else "nik_region_unknown"


def _judged(fine: Callable[[str], bool], code: str) -> _Finder:
    return lambda value, _known: None if fine(value) else code


_FINDERS: Mapping[str, _Finder] = {
    "KodeWilayah": _region,
    "KodeWilayahAtauAsal": _region_or_other,
    "KodeBps": _judged(ids.province_known, "region_unknown"),
    "Nik": _nik,
    "NomorKk": _nik,
    "Nip": _judged(ids.nip_appointed_adult, "nip_appointed_young"),
    "Npwp": _judged(ids.npwp_luhn_holds, "npwp_luhn"),
    "Nop": _judged(ids.nop_sector_usual, "nop_sector"),
    "KodeFaskes": _judged(ids.facility_scheme_known, "facility_scheme_unknown"),
    "Telepon": _judged(ids.phone_usual, "phone_unusual"),
}
