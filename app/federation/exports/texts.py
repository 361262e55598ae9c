"""JSON, NDJSON, GeoJSON and CSV. No format has a trailer that is a record; a field that is not granted is absent."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import orjson

from app.federation.exports.expressions import csv_head, quoted
from app.federation.exports.lines import (
    Pieces,
    csv_cells,
    joined,
    json_object,
    json_values,
    parts_of,
    warnings_member,
)
from app.federation.exports.writer import Columns, Sink, Summary, Writer
from app.federation.reading.batches import Batch

_UTC = orjson.OPT_UTC_Z


class LineWriter(Writer):
    """Every record of a batch is the same pieces one behind the other."""

    def take(self, batch: Batch) -> None:
        """The records of a batch."""
        for part in parts_of(batch.columns):
            self.put(joined(self.line(replace(batch, columns=part)), part.num_rows))

    def put(self, lines: memoryview) -> None:
        """Writes some records."""
        self.sink.write(lines)

    @abstractmethod
    def line(self, batch: Batch) -> Pieces:
        """The pieces of a record."""

    def record(self, batch: Batch) -> Pieces:
        """The pieces of a record as JSON: fields, `_source`, and `_warnings` where there are any."""
        made = json_values(self.engine, self.columns, batch)
        members = [(name, made[name]) for name in self.columns.names if name in made]
        if not self.columns.sourced:
            return json_object(members)
        *whole, end = json_object([*members, ("_source", _source(batch, made["_id"]))])
        return [*whole, *warnings_member(batch), end]


class NdjsonWriter(LineWriter):
    """One record a line."""

    def line(self, batch: Batch) -> Pieces:
        """The record and the end of its line."""
        return [*self.record(batch), "\n"]

    def finish(self, summary: Summary) -> None:
        """A line file has no end mark."""


class ListWriter(LineWriter):
    """Records with commas between them, behind a head that is written with the first or before it."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        super().__init__(columns, sink)
        self._begun = False

    def put(self, lines: memoryview) -> None:
        """Writes some records, each with a comma before it; the first of all loses it."""
        self.sink.write(lines if self._begun else lines[1:])
        self._begun = True


class JsonWriter(ListWriter):
    """The page's members with all records in `items`."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        super().__init__(columns, sink)
        kinds = [{"name": name, "type": kind} for name, kind in zip(columns.names, columns.types, strict=False)]
        sink.write(b"{" + (b"" if columns.sourced else b'"columns":' + orjson.dumps(kinds) + b",") + b'"items":[')

    def line(self, batch: Batch) -> Pieces:
        """One of the items."""
        return [",", *self.record(batch)]

    def finish(self, summary: Summary) -> None:
        """What a page says behind its items."""
        rest: dict[str, Any] = {"next_cursor": None} if self.columns.sourced else {}
        rest |= {"sources": summary.sources, "complete": summary.complete, "meta": summary.meta}
        self.sink.write(b"]," + orjson.dumps(rest, default=str, option=_UTC)[1:])


class GeoJsonWriter(ListWriter):
    """A FeatureCollection (RFC 7946). A record without coordinates has the geometry null."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        super().__init__(columns, sink)
        sink.write(b'{"type":"FeatureCollection","features":[')

    def line(self, batch: Batch) -> Pieces:
        """A feature."""
        columns = self.columns
        made = json_values(self.engine, columns, batch)
        geometry: Pieces = ["null"]
        if columns.geometry is not None:
            geometry = made.get(columns.geometry, geometry)
        elif columns.point is not None:
            lng, lat = (quoted(name) for name in columns.point)
            point = f"{{'type': 'Point', 'coordinates': [{lng}, {lat}]}}"
            sql = f"CASE WHEN {lng} IS NULL OR {lat} IS NULL THEN 'null' ELSE CAST(to_json({point}) AS VARCHAR) END"
            geometry = [self.engine.texts(batch.columns, {"geometry": sql})["geometry"]]
        properties = [(name, made[name]) for name in columns.names if name in made and name != columns.geometry]
        members: list[tuple[str, Pieces]] = [
            ("type", ['"Feature"']),
            ("id", made["_id"]),
            ("geometry", geometry),
            ("properties", json_object([*properties, ("_source", _source(batch, made["_id"]))])),
        ]
        return [",", *json_object(members)]

    def finish(self, summary: Summary) -> None:
        """The sources as foreign members (RFC 7946, section 6.1)."""
        rest = {"sources": summary.sources, "complete": summary.complete}
        self.sink.write(b"]," + orjson.dumps(rest, default=str, option=_UTC)[1:])


class CsvWriter(LineWriter):
    """One header row, then one record a row; `indonesian`: BOM, `;` and decimal comma, as Excel there reads it."""

    def __init__(self, columns: Columns, sink: Sink, *, indonesian: bool = False) -> None:
        super().__init__(columns, sink)
        self._separator = ";" if indonesian else ","
        self._comma = indonesian
        names = [*columns.names, *(("_agency", "_dataset") if columns.sourced else ())]
        head = self._separator.join(csv_head(name, self._separator) for name in names)
        sink.write((b"\xef\xbb\xbf" if indonesian else b"") + head.encode() + b"\r\n")

    def line(self, batch: Batch) -> Pieces:
        """A row."""
        cells = csv_cells(self.engine, self.columns, batch, separator=self._separator, comma=self._comma)
        if self.columns.sourced:
            cells += [[batch.agency], [batch.dataset]]
        made: Pieces = []
        for number, cell in enumerate(cells):
            made += [self._separator, *cell] if number else cell
        return [*made, "\r\n"]

    def finish(self, summary: Summary) -> None:
        """A CSV file has no end mark."""


def _source(batch: Batch, key: Pieces) -> Pieces:
    named = orjson.dumps({"agency": batch.agency, "dataset": batch.dataset}).decode()
    return [named[:-1] + ',"id":', *key, ',"as_of":' + orjson.dumps(batch.as_of, option=_UTC).decode() + "}"]
