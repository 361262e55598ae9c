"""Models of what is answered about connectors, with their examples. They document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.layer.answers import Answer, Digest, Free, Id, Moment, Name, Numbered, RecordWarning, Whole
from app.api.registry.manifest_document import MANIFEST
from app.catalog.states import State

Line = Annotated[str, Field(max_length=300)]
Column = Annotated[str, Field(max_length=1000)]
Location = Annotated[str, Field(max_length=4000)]
Text = Annotated[str, Field(max_length=4000)]
Pointer = Annotated[str, Field(max_length=500, description="JSON pointer into the manifest")]
Rule = Annotated[str, Field(max_length=100)]
Masked = Annotated[str, Field(max_length=4000, description="The value, masked")]


class ConnectorAnswer(Answer):
    """A connector as it stands."""

    connector: Id
    agency: Id
    state: State
    latest_revision: Numbered
    active_revision: Numbered | None = Field(description="The one that answers while the state is published")
    joined: Name | None = Field(description="The schema that the walidata let it join")
    created_at: Moment
    updated_at: Moment


class ConnectorsAnswer(Answer):
    """The connectors that the caller may know of."""

    items: list[ConnectorAnswer] = Field(max_length=100_000)


class PutAnswer(ConnectorAnswer):
    """The connector, and the revision that says what was sent."""

    revision: Numbered
    created: bool = Field(description="Whether the revision is new; the latest may say the same already")


class StepProblem(Answer):
    """Why a stage failed."""

    code: Id
    detail: Text
    retryable: bool


class CheckStage(Answer):
    """One stage of a check."""

    name: Literal["dns", "tcp", "tls", "auth", "permission", "read", "columns", "map"]
    ok: bool
    elapsed_ms: Annotated[float, Field(ge=0, le=86_400_000)]
    field: Pointer
    note: Text
    problem: StepProblem | None


class TriedRule(Answer):
    """Rejects of one rule on one field, and where the first of them stand."""

    field: Name
    rule: Rule
    detail: Text
    records: Whole
    places: list[Location] = Field(max_length=5)


class NulledValue(Answer):
    """Values of one field that a rule made null."""

    field: Name
    rule: Rule
    records: Whole


class LostPath(Answer):
    """A path of the mapping that no record has."""

    pointer: Pointer
    path: Annotated[str, Field(max_length=4000)]


class TriedMapping(Answer):
    """What came of mapping the whole source; shares are of the mapped records."""

    rows: Whole
    mapped: Whole
    rejected: Whole
    duplicate_keys: Whole
    skipped_blank: Whole
    bounded: Literal["rows", "seconds"] | None = Field(description="Which bound ended it early")
    rejects: list[TriedRule] = Field(max_length=10_000)
    null_share: dict[Name, Annotated[float, Field(ge=0, le=1)]] = Field(max_length=500)
    nulled: list[NulledValue] = Field(max_length=10_000)
    paths_never_found: list[LostPath] = Field(max_length=2000)
    hints: list[Text] = Field(max_length=1000)
    columns: list[Column] = Field(max_length=10_000, description="Columns found at the source")


class CheckFindings(Answer):
    """The stages gone through, and what came of the mapping; null where it did not come to that."""

    steps: list[CheckStage] = Field(max_length=20)
    mapping: TriedMapping | None


class CheckAnswer(CheckFindings):
    """A check of the latest revision."""

    connector: Id
    revision: Numbered
    passed: bool


class CheckReportAnswer(Answer):
    """The last check."""

    connector: Id
    kind: Literal["check"]
    revision: Numbered
    passed: bool
    report: CheckFindings
    at: Moment


class FoundColumn(Answer):
    """A column, and its type in the source's words."""

    name: Column
    type: Line


class FoundColumns(Answer):
    """Tables and columns that stood at the source."""

    tables: list[Column] = Field(max_length=100_000)
    columns: list[FoundColumn] = Field(max_length=10_000)


class DiscoveryReportAnswer(Answer):
    """The last look at the source; it neither passes nor fails."""

    connector: Id
    kind: Literal["discovery"]
    revision: Numbered
    passed: bool | None
    report: FoundColumns
    at: Moment


class ConnectorDetail(ConnectorAnswer):
    """A connector with its latest manifest and the last reports; null where there was none yet."""

    manifest: Free
    check: CheckReportAnswer | None
    discovery: DiscoveryReportAnswer | None


class RejectReason(Answer):
    """Which field broke which rule."""

    place: Location
    field: Name
    rule: Rule
    detail: Text
    masked: Masked


class PreviewItem(Answer):
    """A raw record beside what the mapping makes of it; null where it is rejected."""

    place: Location
    raw: Free
    mapped: Free | None
    rejects: list[RejectReason] = Field(max_length=1000)
    warnings: list[RecordWarning] = Field(max_length=1000)


class PreviewSummary(Answer):
    """How many records were looked at, and which rules (`field:rule`) rejected how many."""

    rows: Whole
    mapped: Whole
    rejected: Whole
    rejects_by_rule: dict[Line, Whole] = Field(max_length=10_000)


class PreviewAnswer(Answer):
    """Real rows, raw beside mapped, personal fields masked."""

    items: list[PreviewItem] = Field(max_length=100)
    summary: PreviewSummary


class RevisionAnswer(Answer):
    """An accepted manifest: number, author, times, digest."""

    connector: Id
    revision: Numbered
    schema_ref: Annotated[str, Field(max_length=128)] | None = Field(description="Null for a draft")
    kind: Annotated[str, Field(max_length=32)]
    title: Line
    digest: Digest
    author: Name
    created_at: Moment
    checked_at: Moment | None
    published_at: Moment | None


class RevisionsAnswer(Answer):
    """Every accepted manifest, the newest first."""

    items: list[RevisionAnswer] = Field(max_length=100_000)


class RevisionDetail(RevisionAnswer):
    """A revision with its manifest, as it was accepted and as it was sent."""

    manifest: Free
    original: Annotated[str, Field(max_length=1_048_576)]


class RejectFault(Answer):
    """One fault of a rejected record."""

    field: Name
    rule: Rule
    detail: Text
    masked: Masked


class QuarantineItem(RejectFault):
    """A rejected record: where it stands, its first fault, and all of them."""

    seq: Whole
    revision: Numbered
    place: Location
    faults: list[RejectFault] = Field(max_length=1000)
    first_seen: Moment
    last_seen: Moment


class RuleTotal(Answer):
    """How many records break one rule on one field."""

    field: Name
    rule: Rule
    records: Whole


class QuarantineAnswer(Answer):
    """A page of the kept rejects, and what was counted; null where nothing was read yet."""

    items: list[QuarantineItem] = Field(max_length=1000)
    next_after: Whole | None
    rejected_rows: Whole | None
    revision: Numbered | None
    at: Moment | None
    whole: bool = Field(description="Whether every record of the source was counted")
    rules: list[RuleTotal] = Field(max_length=10_000)


_AT = "2026-11-20T03:15:00Z"
DRAFT: dict[str, Any] = {
    "connector": "dinkes-faskes",
    "agency": "dinkes",
    "state": "draft",
    "latest_revision": 1,
    "active_revision": None,
    "joined": None,
    "created_at": "2026-01-05T02:00:00Z",
    "updated_at": "2026-01-05T02:00:00Z",
}
PUBLISHED: dict[str, Any] = {
    **DRAFT,
    "state": "published",
    "latest_revision": 2,
    "active_revision": 2,
    "joined": "fasilitas_kesehatan",
    "updated_at": _AT,
}
FINDINGS: dict[str, Any] = {
    "steps": [
        {"name": "read", "ok": True, "elapsed_ms": 4.1, "field": "/source/location", "note": "", "problem": None},
        {
            "name": "map",
            "ok": True,
            "elapsed_ms": 12.5,
            "field": "/fields",
            "note": "46 records read, 45 mapped, 1 rejected",
            "problem": None,
        },
    ],
    "mapping": {
        "rows": 46,
        "mapped": 45,
        "rejected": 1,
        "duplicate_keys": 0,
        "skipped_blank": 0,
        "bounded": None,
        "rejects": [
            {
                "field": "jenis",
                "rule": "not_in_list",
                "detail": "not one of the values of the list",
                "records": 1,
                "places": ["inbox/faskes.csv, line 12"],
            }
        ],
        "null_share": {"kode_faskes": 0.0, "nama": 0.0, "jenis": 0.0},
        "nulled": [],
        "paths_never_found": [],
        "hints": [],
        "columns": ["kode", "nama", "jenis"],
    },
}
CHECKED: dict[str, Any] = {"connector": "dinkes-faskes", "revision": 2, "passed": True, **FINDINGS}
DETAIL: dict[str, Any] = {
    **PUBLISHED,
    "manifest": MANIFEST,
    "check": {
        "connector": "dinkes-faskes",
        "kind": "check",
        "revision": 2,
        "passed": True,
        "report": FINDINGS,
        "at": _AT,
    },
    "discovery": None,
}
_REJECT = {
    "field": "jenis",
    "rule": "not_in_list",
    "detail": "not one of the values of the list",
    "masked": "w*****",
}
PREVIEWED: dict[str, Any] = {
    "items": [
        {
            "place": "inbox/faskes.csv, line 2",
            "raw": {"kode": "P3320010101", "nama": "Puskesmas Kedung I", "jenis": "puskesmas"},
            "mapped": {"kode_faskes": "P3320010101", "nama": "Puskesmas Kedung I", "jenis": "puskesmas"},
            "rejects": [],
            "warnings": [],
        },
        {
            "place": "inbox/faskes.csv, line 12",
            "raw": {"kode": "W1", "nama": "Warung Sehat", "jenis": "warung"},
            "mapped": None,
            "rejects": [{"place": "inbox/faskes.csv, line 12", **_REJECT}],
            "warnings": [],
        },
    ],
    "summary": {"rows": 2, "mapped": 1, "rejected": 1, "rejects_by_rule": {"jenis:not_in_list": 1}},
}
REVISION: dict[str, Any] = {
    "connector": "dinkes-faskes",
    "revision": 2,
    "schema_ref": "fasilitas_kesehatan@1",
    "kind": "file",
    "title": "Daftar fasilitas kesehatan",
    "digest": "3c4d5e6f708192a3b4c5d6e7f8091a2b8d2c1a5e0f4b7c9360a1e2d3f4b5c6d7",
    "author": "dinkes-steward",
    "created_at": "2026-11-20T03:00:00Z",
    "checked_at": "2026-11-20T03:10:00Z",
    "published_at": _AT,
}
QUARANTINED: dict[str, Any] = {
    "items": [
        {
            "seq": 17,
            "revision": 2,
            "place": "inbox/faskes.csv, line 12",
            **_REJECT,
            "faults": [_REJECT],
            "first_seen": _AT,
            "last_seen": "2026-11-20T04:00:00Z",
        }
    ],
    "next_after": None,
    "rejected_rows": 1,
    "revision": 2,
    "at": "2026-11-20T04:00:00Z",
    "whole": True,
    "rules": [{"field": "jenis", "rule": "not_in_list", "records": 1}],
}
