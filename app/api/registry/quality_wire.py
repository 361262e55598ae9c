"""Models of what is answered about the quality of a connector, with their examples. They document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.layer.answers import Answer, Id, Moment, Name, Numbered, Whole
from app.api.registry.connectors_wire import Column, Line, Location, RuleTotal
from app.api.registry.health_wire import HEALTHY, SnapshotAnswer

Share = Annotated[float, Field(ge=0, le=1, json_schema_extra={"format": "double"})]
Seconds = Annotated[float, Field(ge=-1e12, le=1e12, json_schema_extra={"format": "double"})]
Code = Annotated[str, Field(max_length=13)]


class MissingRegion(Answer):
    """A region of the reference list that no record is of."""

    kode: Code
    nama: Annotated[str, Field(max_length=200)]


class RegionLevel(Answer):
    """How many regions of one level have a record; a village counts for its kecamatan."""

    level: Annotated[str, Field(max_length=16)]
    expected: Whole
    found: Whole
    missing: list[MissingRegion] = Field(max_length=100_000)


class RegionQuality(Answer):
    """The records held against the loaded regions within the region of this instance."""

    within: Code
    without_code: Whole = Field(description="Records without a code of Kemendagri")
    unknown: list[Code] = Field(
        max_length=100, description="Codes that the loaded list does not hold: the first of them"
    )
    unknown_total: Whole
    elsewhere: Whole = Field(description="Codes of other regions, counted by record")
    levels: list[RegionLevel] = Field(max_length=4, description="The levels that the records reach")


class PositionQuality(Answer):
    """Records with a position, and how many of them lie in the box of this instance's region."""

    records: Whole
    inside: Whole


class PersonalPattern(Answer):
    """A field that is classed as not personal and holds what looks like a NIK, a mobile number or an e-mail address."""

    field: Name
    pattern: Literal["nik", "phone", "email"]
    records: Whole
    locations: list[Location] = Field(max_length=5, description="Where the first of them stand")


class MeasuredQuality(Answer):
    """What a check measured of the whole source; shares are of the valid records."""

    rows: Whole
    mapped: Whole
    rejected: Whole
    reject_share: Share
    duplicate_keys: Whole
    skipped_blank: Whole
    bounded: Literal["rows", "seconds"] | None = Field(description="Which bound ended it early")
    declared: Whole | None = Field(
        description="Records that the source says it holds; null where it cannot tell surely"
    )
    completeness: dict[Name, Share] = Field(max_length=500, description="Share of records in which the field is given")
    unmapped: list[Name] = Field(max_length=500, description="Fields of the schema that the manifest does not map")
    rejects: list[RuleTotal] = Field(max_length=10_000)
    newest: Moment | None = Field(description="Newest value of the field that tells freshness")
    regions: RegionQuality | None = Field(description="Null where no field tells the region")
    positions: PositionQuality | None = Field(description="Null where no field tells a position")
    personal: list[PersonalPattern] = Field(max_length=2000)


class ChangedColumn(Answer):
    """A column whose type is another."""

    name: Column
    before: Line
    now: Line


class ColumnDrift(Answer):
    """How the columns of the source differ from those of the check before."""

    since: Moment
    added: list[Column] = Field(max_length=10_000)
    removed: list[Column] = Field(max_length=10_000)
    changed: list[ChangedColumn] = Field(max_length=10_000)


class FreshnessKept(Answer):
    """The promise of the manifest, and how old the newest record is at this moment."""

    field: Name
    slo_seconds: Seconds
    newest: Moment | None
    age_seconds: Seconds | None = Field(description="Below zero where the newest record lies ahead")
    kept: bool | None = Field(description="Null where no record tells")


class RejectsOfReads(Answer):
    """What reads of the source rejected since; null where nothing was read yet."""

    rejected_rows: Whole | None
    whole: bool = Field(description="Whether every record of the source was counted")
    revision: Numbered | None
    at: Moment | None
    rules: list[RuleTotal] = Field(max_length=10_000)


class QualityPoint(Answer):
    """One check of the history; null where the mapping was not tried."""

    at: Moment
    revision: Numbered
    passed: bool
    columns: Whole = Field(description="How many columns stood at the source")
    mapped: Whole | None
    rejected: Whole | None
    reject_share: Share | None
    completeness: Share | None = Field(description="Mean over the mapped fields")
    newest: Moment | None


class ConnectorQualityAnswer(Answer):
    """The last check, drift since the one before, freshness now, rejects of reads, and the history."""

    connector: Id
    at: Moment | None = Field(
        description="When the last check was; null where none found the columns of the source yet"
    )
    revision: Numbered | None
    passed: bool | None
    measured: MeasuredQuality | None = Field(description="Null where the mapping was not tried")
    drift: ColumnDrift | None = Field(description="Null where there is no check before")
    freshness: FreshnessKept | None = Field(description="Null where the manifest promises none")
    snapshot: SnapshotAnswer | None = Field(description="What readers are given; null where the manifest asks for none")
    reads: RejectsOfReads
    history: list[QualityPoint] = Field(max_length=500, description="The newest first")


_AT = "2026-11-20T03:15:00Z"
QUALITY: dict[str, Any] = {
    "connector": "dinkes-faskes",
    "at": _AT,
    "revision": 2,
    "passed": True,
    "measured": {
        "rows": 46,
        "mapped": 45,
        "rejected": 1,
        "reject_share": 0.0217,
        "duplicate_keys": 0,
        "skipped_blank": 0,
        "bounded": None,
        "declared": None,
        "completeness": {"kode_faskes": 1.0, "nama": 1.0, "jenis": 1.0, "kode_wilayah": 0.9778},
        "unmapped": ["rawat_inap", "kelas"],
        "rejects": [{"field": "jenis", "rule": "not_in_list", "records": 1}],
        "newest": "2026-11-18T17:00:00Z",
        "regions": {
            "within": "33.20",
            "without_code": 1,
            "unknown": [],
            "unknown_total": 0,
            "elsewhere": 0,
            "levels": [
                {
                    "level": "kecamatan",
                    "expected": 16,
                    "found": 15,
                    "missing": [{"kode": "33.20.10", "nama": "Karimunjawa"}],
                }
            ],
        },
        "positions": {"records": 45, "inside": 44},
        "personal": [
            {"field": "alamat", "pattern": "phone", "records": 1, "locations": ["inbox/faskes.csv, line 7"]},
        ],
    },
    "drift": {"since": "2026-11-13T03:15:00Z", "added": ["Keterangan"], "removed": [], "changed": []},
    "snapshot": HEALTHY["snapshot"],
    "freshness": {
        "field": "diperbarui_pada",
        "slo_seconds": 2592000.0,
        "newest": "2026-11-18T17:00:00Z",
        "age_seconds": 123300.0,
        "kept": True,
    },
    "reads": {"rejected_rows": 1, "whole": True, "revision": 2, "at": _AT, "rules": []},
    "history": [
        {
            "at": _AT,
            "revision": 2,
            "passed": True,
            "columns": 7,
            "mapped": 45,
            "rejected": 1,
            "reject_share": 0.0217,
            "completeness": 0.9944,
            "newest": "2026-11-18T17:00:00Z",
        }
    ],
}
