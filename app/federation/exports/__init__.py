"""Whole answers in every format, made batch by batch in constant memory: which writer makes which format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import NotAcceptable
from app.federation.exports.arrow import ArrowWriter, ParquetWriter
from app.federation.exports.sheet import SheetWriter
from app.federation.exports.texts import CsvWriter, GeoJsonWriter, JsonWriter, NdjsonWriter
from app.federation.exports.writer import Columns, Sink, Summary, Writer

__all__ = ["FORMS", "Columns", "Form", "Sink", "Summary", "Writer", "writer_of"]


@dataclass(frozen=True, slots=True)
class Form:
    """A format: its name in `f=`, its media type, the end of a file's name; whether it shows the soft findings of a record."""

    name: str
    media_type: str
    suffix: str
    findings: bool = False


FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        Form("json", "application/json", "json", findings=True),
        Form("ndjson", "application/x-ndjson", "ndjson", findings=True),
        Form("csv", "text/csv", "csv"),
        Form("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        Form("parquet", "application/vnd.apache.parquet", "parquet"),
        Form("arrow", "application/vnd.apache.arrow.stream", "arrows"),
        Form("geojson", "application/geo+json", "geojson"),
    )
}


def writer_of(name: str, columns: Columns, sink: Sink, *, indonesian: bool = False) -> Writer:
    """The writer of a format onto `sink`; raises `NotAcceptable` for GeoJSON of what has no place on the map."""
    match name:
        case "csv":
            return CsvWriter(columns, sink, indonesian=indonesian)
        case "xlsx":
            return SheetWriter(columns, sink)
        case "parquet":
            return ParquetWriter(columns, sink)
        case "arrow":
            return ArrowWriter(columns, sink)
        case "ndjson":
            return NdjsonWriter(columns, sink)
        case "geojson":
            if not columns.located:
                raise NotAcceptable("these records have no position or geometry: GeoJSON cannot hold them")
            return GeoJsonWriter(columns, sink)
        case _:
            return JsonWriter(columns, sink)
