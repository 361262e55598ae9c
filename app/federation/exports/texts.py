"""JSON, NDJSON, GeoJSON and CSV. No format has a trailer that is a record; a field that is not granted is absent."""

from __future__ import annotations

from typing import Any

import orjson

from app.federation.exports.expressions import csv_cell, csv_head, json_value, quoted
from app.federation.exports.writer import Columns, Sink, Summary, Writer, chosen, literal
from app.federation.reading.batches import Batch

_UTC = orjson.OPT_UTC_Z


def record_json(columns: Columns, batch: Batch) -> str:
    """The expression of a record as JSON text: fields, `_source`, and `_warnings` where there are any."""
    members = _members(columns, batch, set())
    if not columns.sourced:
        return f"CAST(to_json({{{', '.join(members)}}}) AS VARCHAR)"
    members.append(f"'_source': {_source(batch)}")
    whole = f"CAST(to_json({{{', '.join(members)}}}) AS VARCHAR)"
    noted = f"CAST(to_json({{{', '.join(members)}, '_warnings': CAST(_warnings AS JSON)}}) AS VARCHAR)"
    without = batch.columns.column("_warnings").null_count
    if without in (0, batch.columns.num_rows):
        return whole if without else noted
    return f"CASE WHEN _warnings IS NULL THEN {whole} ELSE {noted} END"


class NdjsonWriter(Writer):
    """One record a line."""

    def take(self, batch: Batch) -> None:
        """The lines of a batch."""
        self.sink.write(self.engine.render(batch.columns, f"{record_json(self.columns, batch)} || chr(10)"))

    def finish(self, summary: Summary) -> None:
        """A line file has no end mark."""


class JsonWriter(Writer):
    """The page's members with all records in `items`."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        super().__init__(columns, sink)
        self._begun = False
        kinds = [{"name": name, "type": kind} for name, kind in zip(columns.names, columns.types, strict=False)]
        sink.write(b"{" + (b"" if columns.sourced else b'"columns":' + orjson.dumps(kinds) + b",") + b'"items":[')

    def take(self, batch: Batch) -> None:
        """The items of a batch."""
        made = self.engine.render(batch.columns, f"',' || {record_json(self.columns, batch)}")
        self.sink.write(made if self._begun else made[1:])
        self._begun = True

    def finish(self, summary: Summary) -> None:
        """What a page says behind its items."""
        rest: dict[str, Any] = {"next_cursor": None} if self.columns.sourced else {}
        rest |= {"sources": summary.sources, "complete": summary.complete, "meta": summary.meta}
        self.sink.write(b"]," + orjson.dumps(rest, default=str, option=_UTC)[1:])


class GeoJsonWriter(Writer):
    """A FeatureCollection (RFC 7946). A record without coordinates has the geometry null."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        super().__init__(columns, sink)
        self._begun = False

    def take(self, batch: Batch) -> None:
        """The features of a batch."""
        columns = self.columns
        geometry = "NULL"
        if columns.geometry is not None:
            geometry = f"CAST({quoted(columns.geometry)} AS JSON)"
        elif columns.point is not None:
            lng, lat = (quoted(name) for name in columns.point)
            point = f"{{'type': 'Point', 'coordinates': [{lng}, {lat}]}}"
            geometry = f"CASE WHEN {lng} IS NULL OR {lat} IS NULL THEN NULL ELSE {point} END"
        properties = _members(columns, batch, {columns.geometry or ""})
        properties.append(f"'_source': {_source(batch)}")
        feature = f"{{'type': 'Feature', 'id': _id, 'geometry': {geometry}, 'properties': {{{', '.join(properties)}}}}}"
        made = self.engine.render(batch.columns, f"',' || CAST(to_json({feature}) AS VARCHAR)")
        self.sink.write(made if self._begun else b'{"type":"FeatureCollection","features":[' + made[1:])
        self._begun = True

    def finish(self, summary: Summary) -> None:
        """The sources as foreign members (RFC 7946, section 6.1)."""
        rest = {"sources": summary.sources, "complete": summary.complete}
        if not self._begun:
            self.sink.write(b'{"type":"FeatureCollection","features":[')
        self.sink.write(b"]," + orjson.dumps(rest, default=str, option=_UTC)[1:])


class CsvWriter(Writer):
    """One header row, then one record a row; `indonesian`: BOM, `;` and decimal comma, as Excel there reads it."""

    def __init__(self, columns: Columns, sink: Sink, *, indonesian: bool = False) -> None:
        super().__init__(columns, sink)
        self._separator = ";" if indonesian else ","
        self._comma = indonesian
        names = [*columns.names, *(("_agency", "_dataset") if columns.sourced else ())]
        head = self._separator.join(csv_head(name, self._separator) for name in names)
        sink.write((b"\xef\xbb\xbf" if indonesian else b"") + head.encode() + b"\r\n")

    def take(self, batch: Batch) -> None:
        """The rows of a batch."""
        columns, separator = self.columns, self._separator
        given = dict(chosen(columns, batch, lambda sql, _: sql))
        cells = []
        for column in columns.schema:
            cell = "''"
            if column.name in given:
                is_json = column.name in columns.json
                cell = csv_cell(given[column.name], column.type, json=is_json, comma=self._comma, separator=separator)
            cells.append(cell)
        if columns.sourced:
            cells += [literal(batch.agency), literal(batch.dataset)]
        if (
            len(cells) == 1
        ):  # null is an empty line, as a record of one empty cell is (RFC 4180); an empty text is quoted
            value = next(iter(given.values()), "NULL")
            cells = [f"""CASE WHEN {value} IS NOT NULL AND {cells[0]} = '' THEN '""' ELSE {cells[0]} END"""]
        between = f" || '{separator}' || "
        self.sink.write(self.engine.render(batch.columns, f"{between.join(cells)} || chr(13) || chr(10)"))

    def finish(self, summary: Summary) -> None:
        """A CSV file has no end mark."""


def _members(columns: Columns, batch: Batch, without: set[str]) -> list[str]:
    members = []
    for name, sql in chosen(columns, batch, json_value):
        if name not in without:
            members.append(f"{literal(name)}: " + (f"CAST({sql} AS JSON)" if name in columns.json else sql))
    return members


def _source(batch: Batch) -> str:
    moment = orjson.loads(orjson.dumps(batch.as_of, option=_UTC))
    named = f"'agency': {literal(batch.agency)}, 'dataset': {literal(batch.dataset)}"
    return f"{{{named}, 'id': _id, 'as_of': {literal(moment)}}}"
