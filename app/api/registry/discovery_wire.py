"""Models of what is answered about a source that was looked at, with their examples. They document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.layer.answers import Answer, Free, Name, Whole
from app.api.registry.connectors_wire import Column, Line, Pointer, Text

Score = Annotated[float, Field(ge=0, le=1, json_schema_extra={"format": "double"})]
ManifestText = Annotated[
    str,
    Field(max_length=1_048_576, description="YAML that can be sent as it is; a comment tells why each guess was made"),
]
SchemaRef = Annotated[str, Field(max_length=128)]


class SourceColumn(Answer):
    """A column at the source: its type in the source's words, and the type that it is read as."""

    name: Column
    source_type: Line
    type: Line
    nullable: bool | None = Field(description="Null: the source does not tell")


class SourceGuess(Answer):
    """A member of the manifest that was not stated."""

    pointer: Pointer
    value: Any = Field(description="What should stand there")
    why: Text


class FittingSchema(Answer):
    """A schema that the source may be of."""

    schema_ref: SchemaRef = Field(alias="schema")
    score: Score


class DiscoverAnswer(Answer):
    """What stands at the source, how it has to be read, and a manifest that says so."""

    tables: list[Column] = Field(max_length=100_000)
    columns: list[SourceColumn] = Field(max_length=10_000)
    sample: list[Free] = Field(max_length=100, description="Records with what looks personal masked")
    guesses: list[SourceGuess] = Field(max_length=1000)
    notes: list[Text] = Field(max_length=1000, description="What has to be known of the source")
    schemas: list[FittingSchema] = Field(
        max_length=10, description="Best first; empty where the manifest or the question names the schema"
    )
    manifest: ManifestText


class ProposedMapping(Answer):
    """A mapping of one field, tried on the sample."""

    mapping: Any = Field(description="What `fields` of a manifest takes: the name of a column, or an object with steps")
    column: Column | None = Field(description="The raw column; null for a constant")
    score: Score
    taken: Whole = Field(description="Values of the sample that became valid")
    tried: Whole = Field(description="Values of the sample that say something")
    why: Text


class ProposedField(Answer):
    """A field with the mapping that is proposed, and the next best."""

    field: Name
    required: bool
    chosen: ProposedMapping | None
    others: list[ProposedMapping] = Field(max_length=10)


class SuggestAnswer(Answer):
    """Proposals for every field of a schema."""

    schema_ref: SchemaRef | None = Field(alias="schema")
    sampled: Whole = Field(description="Records that were looked at")
    fields: list[ProposedField] = Field(max_length=1000)
    lacking: list[Name] = Field(max_length=1000, description="Required fields without a proposal")
    unused: list[Column] = Field(max_length=10_000, description="Columns that no field takes")
    manifest: ManifestText


class ManifestSchemaAnswer(Answer):
    """A JSON Schema of manifests."""

    schema_uri: Line = Field(alias="$schema")
    title: Line
    description: Text
    type: Literal["object"]
    additional_properties: bool = Field(
        alias="additionalProperties", description="False: no other key may stand in a manifest"
    )
    required: list[Name] = Field(max_length=100)
    properties: dict[Name, Free] = Field(max_length=100)
    definitions: dict[Name, Free] = Field(
        alias="$defs", max_length=500, description="Sources by kind, mappings of fields, and what stands in them"
    )


_MANIFEST = """\
# Proposed from what stands at the source. Each comment tells why; nothing is used before you send and publish it.
connector: dinkes-faskes
agency: dinkes
schema: fasilitas_kesehatan@1
source:
  kind: file
  location: inbox/faskes.csv
  delimiter: ;  # a semicolon cuts the lines into 7 cells
fields:
  kode_faskes: Kode  # 0.74: 12 of 12 values valid; 'Kode' is like 'kode_faskes' (0.90); text as it is
"""
DISCOVERED: dict[str, Any] = {
    "tables": ["inbox/faskes.csv"],
    "columns": [{"name": "Tempat Tidur", "source_type": "number", "type": "int64", "nullable": None}],
    "sample": [{"Tempat Tidur": 12}],
    "guesses": [{"pointer": "/source/delimiter", "value": ";", "why": "a semicolon cuts the lines into 7 cells"}],
    "notes": [],
    "schemas": [],
    "manifest": _MANIFEST,
}
SUGGESTED: dict[str, Any] = {
    "schema": "fasilitas_kesehatan@1",
    "sampled": 12,
    "fields": [
        {
            "field": "kode_faskes",
            "required": True,
            "chosen": {
                "mapping": "Kode",
                "column": "Kode",
                "score": 0.74,
                "taken": 12,
                "tried": 12,
                "why": "0.74: 12 of 12 values valid; 'Kode' is like 'kode_faskes' (0.90); text as it is",
            },
            "others": [],
        }
    ],
    "lacking": [],
    "unused": ["Keterangan"],
    "manifest": _MANIFEST,
}
MANIFEST_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Simpul manifest",
    "description": "A connector as an agency declares it.",
    "type": "object",
    "additionalProperties": False,
    "required": ["connector", "agency", "source"],
    "properties": {"fields": {"type": "object"}},
    "$defs": {"branch": {"type": "object"}},
}
