"""Bodies and answers of the record routes, as the document shows them. Bodies are read after the access decision."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from app.api.layer.answers import Answer, Complete, Cursor, Free, Id, Meta, Moment, Name, ProblemBrief, Sources, Whole
from app.api.layer.wire import GIVEN, Wire
from app.federation.question.aggregate_binder import MOST_GROUP_FIELDS, MOST_MEASURES
from app.federation.question.aggregation import Function
from app.federation.question.binder import MOST_NAMES, MOST_ROWS

# Bounds that parameters have too are told here (`_told`) and held by the binder, with one code and text for both.


def _told(**bounds: Any) -> Any:
    return Field(json_schema_extra=bounds)


_Written = str | dict[str, Any] | None
Condition = Annotated[_Written, WithJsonSchema({"description": "CQL2 as text, or as a JSON object"})]
Having = Annotated[_Written, WithJsonSchema({"description": "CQL2 over the members of the answer"})]
FieldName = Annotated[str, _told(maxLength=100)]
Fields = Annotated[list[FieldName], _told(maxItems=MOST_NAMES["fields"])]
SortKeys = Annotated[list[Annotated[str, _told(maxLength=101)]], _told(maxItems=MOST_NAMES["sort"])]
Agencies = Annotated[
    list[Annotated[str, _told(maxLength=64)]],
    Field(description="Only these agencies", json_schema_extra={"maxItems": MOST_NAMES["agencies"]}),
]
Rows = Annotated[Annotated[StrictInt, _told(minimum=1, maximum=MOST_ROWS)] | SkipJsonSchema[None], GIVEN]
"""Never with a default: a client that sends it would ask for a page where it wants the whole answer, or an aggregate."""
Position = Annotated[str, _told(maxLength=8192, pattern="^[A-Za-z0-9_-]+$")]
Purpose = Annotated[str, Field(max_length=64, description="Instead of Simpul-Purpose")]
Groups = Annotated[list[FieldName], Field(max_length=MOST_GROUP_FIELDS)]


class SearchBody(Wire):
    """The question of a list."""

    filter: Condition = None
    fields: Fields | None = None
    sort: SortKeys | None = None
    limit: Rows = Field(
        default=None,
        description="Records on the page, 100 when absent; without it only JSON is paged, all other formats hold the whole answer",
    )
    cursor: Position | None = None
    agencies: Agencies | None = None
    view: Literal["records", "merged"] = "records"
    count: Literal["none", "estimated", "exact"] = Field(
        default="none", description="How many records there are beyond the page, in `meta.count`"
    )
    purpose: Purpose | None = None


class Measure(Wire):
    """One number of a group."""

    function: Function
    field: FieldName | None = None
    as_: Annotated[str, Field(max_length=63, pattern="^[a-z][a-z0-9_]{0,62}$")] | None = Field(default=None, alias="as")


class AggregateBody(Wire):
    """Groups and their numbers."""

    filter: Condition = None
    group_by: Groups | None = None
    aggregates: list[Measure] = Field(min_length=1, max_length=MOST_MEASURES)
    having: Having = None
    agencies: Agencies | None = None
    view: Literal["records", "merged"] = "records"
    overlap: Literal["refuse", "accept"] = "refuse"
    purpose: Purpose | None = None


class ExplainBody(Wire):
    """A question that is explained and not asked."""

    schema_name: Name = Field(alias="schema")
    filter: Condition = None
    fields: Fields | None = None
    sort: SortKeys | None = None
    limit: Rows = Field(default=None, description="Records on the page, 100 when absent; an aggregate has none")
    agencies: Agencies | None = None
    group_by: Groups | None = None
    aggregates: list[Measure] | None = Field(default=None, max_length=MOST_MEASURES)
    purpose: Purpose | None = None


class ExplainedSource(Answer):
    """What one dataset would be asked, what it does itself, what stays here, and why."""

    agency: Id
    dataset: Name
    status: Annotated[str, Field(max_length=32)]
    text: Annotated[str, Field(max_length=100_000)] | None
    pushed: list[Id] = Field(max_length=10)
    residual: list[Id] = Field(max_length=10)
    exact: bool
    rows_estimated: Whole | None = Field(
        description="About how many records the filter lets through, on all pages; null where the source cannot tell without reading"
    )
    why: list[Annotated[str, Field(max_length=2000)]] = Field(max_length=100)
    row_filter: bool
    masked: list[Name] = Field(max_length=200)
    withheld: list[Name] = Field(max_length=200)
    problem: ProblemBrief | None


class Explanation(Answer):
    """One explanation a dataset; no record was read."""

    sources: list[ExplainedSource] = Field(max_length=1000)


class GroupsAnswer(Answer):
    """One item a group, finished and recorded before it is released."""

    items: list[Free] = Field(max_length=10_000)
    sources: Sources
    complete: Complete
    meta: Meta


class HeldValue(Answer):
    """What one agency holds."""

    agency: Id
    dataset: Name
    value: Any = None


class FieldConflict(Answer):
    """One field on which agencies disagree."""

    field: Name
    values: list[HeldValue] = Field(max_length=100)


class Conflict(Answer):
    """One key on which agencies disagree."""

    id: Annotated[str, Field(max_length=2000)]
    fields: list[FieldConflict] = Field(max_length=200)


class ConflictsAnswer(Answer):
    """Keys on which agencies disagree."""

    items: list[Conflict] = Field(max_length=10_000)
    next_cursor: Cursor | None
    sources: Sources
    complete: Complete
    meta: Meta


class Change(Answer):
    """What moved in one dataset."""

    change: Literal["upsert", "delete", "key_change"]
    id: Annotated[str, Field(max_length=2000)]
    new_id: Annotated[str, Field(max_length=2000)] | None
    agency: Id
    dataset: Name
    record: Free | None


class ChangesAnswer(Answer):
    """What moved, dataset by dataset."""

    items: list[Change] = Field(max_length=10_000)
    next_cursor: Cursor
    has_more: bool
    sources: Sources
    complete: Complete
    meta: Meta


class QueryColumn(Answer):
    """A column of the answer."""

    name: Annotated[str, Field(max_length=255)]
    type: Annotated[str, Field(max_length=255)]


class QueryAnswer(Answer):
    """Rows of a statement, finished and recorded before they are released."""

    columns: list[QueryColumn] = Field(max_length=2000)
    items: list[Free] = Field(max_length=100_000)
    sources: Sources
    complete: Complete
    meta: Meta


class MatchedKey(Answer):
    """What became of one key."""

    key: Any = Field(description="As it was sent")
    status: Literal["matched", "unmatched", "unknown", "ambiguous", "invalid"]
    reason: Annotated[str, Field(max_length=2000)] | None
    records: list[Free] = Field(max_length=1000)
    compared: dict[str, Literal["exact", "normalised", "different", "absent"]] | None = None


class MatchCounts(Answer):
    """How many keys of each status."""

    matched: Whole
    unmatched: Whole
    unknown: Whole
    ambiguous: Whole
    invalid: Whole


class MatchAnswer(Answer):
    """One answer a key, in order."""

    items: list[MatchedKey] = Field(max_length=1_000_000)
    counts: MatchCounts
    sources: Sources
    complete: Complete


class JobResult(Answer):
    """Where a finished result is, and what it holds."""

    href: Annotated[str, Field(max_length=200)]
    media_type: Annotated[str, Field(max_length=100)]
    bytes: Whole | None
    digest: Annotated[str, Field(max_length=100)] | None
    complete: bool | None
    exchange_id: Annotated[str, Field(max_length=36)] | None


class JobAnswer(Answer):
    """A job: how far it is, and where its result is."""

    id: Annotated[str, Field(max_length=36)]
    op: Id
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    rows: Whole | None
    sources: Sources
    created_at: Moment
    finished_at: Moment | None
    expires_at: Moment
    result: JobResult | None
    problem: ProblemBrief | None


class WholeAnswer(Answer):
    """The answer that the question of a job has as JSON: a match, or rows of a statement."""

    items: list[Free] = Field(max_length=10_000_000)
    sources: Sources
    complete: Complete
    columns: Annotated[list[QueryColumn], Field(max_length=2000)] | SkipJsonSchema[None] = None
    counts: MatchCounts | SkipJsonSchema[None] = None
    meta: Meta | SkipJsonSchema[None] = None


class FeatureCollection(Answer):
    """Records as features (RFC 7946), with the sources as foreign members."""

    type: Literal["FeatureCollection"]
    features: list[Free] = Field(max_length=10_000_000)
    sources: Sources
    complete: Complete
