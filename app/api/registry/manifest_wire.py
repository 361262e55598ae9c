"""The manifest as the document shows it. It is read by `app/datasets/manifest.py`, which tells every fault with its pointer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from app.api.layer.answers import Name
from app.api.layer.wire import Slug, Wire
from app.connectors.registry import kinds

Line = Annotated[str, Field(max_length=300)]
Column = Annotated[str, Field(max_length=1000)]
Span = (
    Annotated[str, Field(max_length=32, description="400ms, 30s, 15m, 1h, 2d, or ISO 8601")]
    | Annotated[int, Field(ge=0, le=31_622_400, description="Seconds")]
)


_OWN = ("file", "rest", "sql", "ckan", "gateway", "ogc")


class ManifestSource(Wire):
    """Where the records are. Each kind asks for further members; the reference of connectors lists them."""

    model_config = ConfigDict(extra="allow")

    kind: Annotated[str, Field(json_schema_extra={"enum": [*_OWN, *(name for name in kinds() if name not in _OWN)]})]
    refresh: Span | SkipJsonSchema[None] = Field(default=None, description="How stale a cached read may be")
    deadline: Span | None = Field(default=None, description="Deadline of one scan; not above the gateway's own")
    concurrency: Annotated[int, Field(ge=1, le=64)] | None = Field(default=None, description="Scans at once")


class ManifestUnpivot(Wire):
    """Columns become rows: all columns but `keep` give one row each."""

    keep: list[Column] = Field(max_length=2000)
    name: Column = Field(min_length=1, description="Takes the column's name")
    value: Column = Field(min_length=1, description="Takes the cell")


class ManifestRead(Wire):
    """The shape of the raw records before any field is mapped."""

    record_path: Annotated[str, Field(max_length=500)] | None = None
    skip_blank_rows: bool = False
    rows_without: list[Column] = Field(
        default=[],
        max_length=20,
        description="A row that is blank in all of these columns heads a section and is left out",
    )
    unpivot: ManifestUnpivot | None = None
    where: Annotated[str, Field(max_length=2048)] | None = None
    missing: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default=[], max_length=50, description='Texts that mean "no value" in every column'
    )


class ManifestFreshness(Wire):
    """Which field tells when a record was last changed, and how old it may be."""

    field: Name
    slo: Span


class ManifestBody(Wire):
    """A connector as an agency declares it. With `connector`, `agency` and `source` alone it is a draft."""

    kind: Literal["connector"] | SkipJsonSchema[None] = Field(
        default=None, description="As it stands among the documents of `simpul apply`"
    )
    connector: Slug
    agency: Slug
    schema_ref: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, alias="schema", description="Name and version", examples=["fasilitas_kesehatan@1"]
    )
    title: Line = ""
    description: Annotated[str, Field(max_length=4000)] | None = None
    licence: Annotated[str, Field(max_length=200)] | None = None
    source: ManifestSource
    read: ManifestRead | SkipJsonSchema[None] = None
    fields: Annotated[dict[Name, Any], Field(max_length=500)] | SkipJsonSchema[None] = Field(
        default=None,
        description="How each field of the schema is made: the name of a column, or an object of steps",
    )
    freshness: ManifestFreshness | None = None
    accept_rejects: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description="Share of rejected records with which a check still passes"
    )


MANIFEST: dict[str, Any] = {
    "connector": "dinkes-faskes",
    "agency": "dinkes",
    "schema": "fasilitas_kesehatan@1",
    "title": "Daftar fasilitas kesehatan",
    "source": {"kind": "file", "location": "inbox/faskes.csv"},
    "fields": {"kode_faskes": "kode", "nama": {"from": "nama", "text": "squeeze"}, "jenis": "jenis"},
}
