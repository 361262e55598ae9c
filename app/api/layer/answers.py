"""Models of what answers share: where records come from, what sources did, what a problem says.

They document; hot answers leave as bytes, and a test proves that those fit. A client ignores members that it does not know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

Name = Annotated[str, Field(max_length=100)]
Id = Annotated[str, Field(max_length=64)]
Told = Annotated[str, Field(max_length=4000)]
Moment = Annotated[datetime, Field(json_schema_extra={"maxLength": 40})]
Whole = Annotated[int, Field(ge=0, le=9_007_199_254_740_991, json_schema_extra={"format": "int64"})]
Numbered = Annotated[int, Field(ge=1, le=2_147_483_647)]
"""A version or revision."""
Digest = Annotated[str, Field(max_length=64, pattern="^[0-9a-f]{64}$", description="SHA-256, in hex")]
Cursor = Annotated[str, Field(max_length=8192, pattern="^[A-Za-z0-9_-]*$")]
Free = dict[str, Any]
"""Members that depend on the question."""


class Answer(BaseModel):
    """The base of what is answered."""

    model_config = ConfigDict(populate_by_name=True, defer_build=True)


class RecordSource(Answer):
    """Which agency gave this record, from which dataset, and as of when."""

    agency: Id
    dataset: Name
    id: Annotated[str, Field(max_length=2000)] = Field(
        description="Key of the record: its parts in the order of the schema's key, each percent-encoded but for letters, "
        "digits, `-`, `.` and `_`, joined by `~`; it goes into the path of a look-up as it is"
    )
    as_of: Moment
    upstream: Free | SkipJsonSchema[None] = Field(
        default=None, description="Only where the source is another gateway: its own `_source` of the record"
    )


class FieldProvenance(Answer):
    """Whose value a field of a merged record is, and by which rule."""

    agency: Id
    dataset: Name
    rule: Name


class RecordWarning(Answer):
    """A soft finding about a record."""

    field: Name
    code: Id
    detail: Annotated[str, Field(max_length=500)]


class ProblemBrief(Answer):
    """A problem within an answer: why a dataset did not answer as it should, or why a job failed."""

    code: Id
    detail: Told


class SourceStatus(Answer):
    """What one dataset did for this answer."""

    agency: Id
    dataset: Name
    status: Literal[
        "ok", "stale", "timeout", "unavailable", "rejected", "open_circuit", "schema_mismatch", "denied", "skipped"
    ]
    rows: Whole
    rejected_rows: Whole = 0
    elapsed_ms: Annotated[float, Field(ge=0, le=86_400_000)] = 0
    as_of: Moment | None = None
    pushed: list[Id] = Field(default=[], max_length=10)
    withheld: list[Name] = Field(default=[], max_length=200, description="Fields that this caller is not granted")
    receipts: list[Annotated[str, Field(max_length=1200)]] = Field(
        default=[], max_length=1000, description="Only of another gateway: where it recorded what it was asked"
    )
    snapshot: Id | None = Field(
        default=None, description="The snapshot that was read, taken at `as_of`; absent: the source"
    )
    problem: ProblemBrief | None = Field(
        default=None, description="Of a `stale` answer: why no newer snapshot was taken"
    )


class DatasetCount(Answer):
    """How many of the records one dataset has."""

    agency: Id
    dataset: Name
    value: Whole | None = Field(description="Null where the dataset cannot tell; `problem` says why where it failed")
    problem: ProblemBrief | None


class RecordCount(Answer):
    """How many records the question has beyond its page, as far as this caller may see them."""

    value: Whole | None = Field(description="Null where one of the datasets cannot tell")
    exact: bool = Field(description="Whether the records were counted; else the number is an estimate of the sources")
    by_dataset: list[DatasetCount] = Field(max_length=1000)


class RecordOverlap(Answer):
    """Keys that several agencies hold among these records."""

    schema_name: Name = Field(alias="schema")
    keys: Whole
    agencies: list[Id] = Field(max_length=1000)


Sources = Annotated[list[SourceStatus], Field(max_length=1000)]
Complete = Annotated[bool, Field(description="Every source that this caller may ask answered.")]
Meta = Annotated[Free, Field(description="Schema, and notes on the answer.")]


class ProblemPlace(Answer):
    """One place of the request that does not fit."""

    pointer: Annotated[str, Field(max_length=500)] | None = Field(
        default=None, description="JSON pointer (RFC 6901) into the request; a parameter is a member by its name"
    )
    line: Annotated[int, Field(ge=1, le=2_147_483_647)] | None = Field(
        default=None, description="Line of an uploaded text, instead of a pointer"
    )
    code: Id
    detail: Annotated[str, Field(max_length=2000)]


class Problem(Answer):
    """RFC 9457 problem. Further members are facts of the problem."""

    type: Annotated[str, Field(max_length=500, json_schema_extra={"format": "uri"})] = Field(
        description="A page that explains the problem"
    )
    title: Annotated[str, Field(max_length=200)]
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Told
    instance: (
        Annotated[str, Field(max_length=500, json_schema_extra={"format": "uri-reference"})] | SkipJsonSchema[None]
    ) = None
    code: Annotated[str, Field(max_length=64, pattern="^[a-z_]+$")] = Field(description="Stable code")
    trace_id: Annotated[str, Field(max_length=32, pattern="^[0-9a-f]{32}$")]
    exchange_id: Annotated[str, Field(max_length=36)] | None = None
    retryable: bool = False
    errors: list[ProblemPlace] = Field(default=[], max_length=100)


ANSWERS: tuple[type[BaseModel], ...] = (
    FieldProvenance,
    Problem,
    RecordCount,
    RecordOverlap,
    RecordSource,
    RecordWarning,
    SourceStatus,
)
"""What record components refer to."""
