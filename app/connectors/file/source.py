"""The `source:` block of a file: what it is and how it is read. Where it stands: `located.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from app.connectors.file.located import LocatedSource, ending_of
from app.connectors.json_paths import JsonPath
from app.connectors.source import Encoding

Format = Literal[
    "csv", "xlsx", "xls", "xlsb", "ods", "html", "xml2003", "xml", "json", "ndjson", "geojson", "parquet", "dbf", "shapefile",
    "gpkg", "kml", "spss",
]  # fmt: skip
NO_QUOTE = "none"
SHEETS = frozenset({"xlsx", "xls", "xlsb", "ods", "html", "xml2003"})
"""Tables of cells: workbooks, and pages whose tables stand for sheets."""
LAYERS = frozenset({"shapefile", "gpkg", "kml"})
"""Features with a geometry, in layers."""
ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xls",
    ".xlsb": "xlsb",
    ".html": "html",
    ".htm": "html",
    ".xml": "xml",
    ".ods": "ods",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".geojson": "geojson",
    ".parquet": "parquet",
    ".dbf": "dbf",
    ".shp": "shapefile",
    ".zip": "shapefile",
    ".gpkg": "gpkg",
    ".kml": "kml",
    ".kmz": "kml",
    ".sav": "spss",
    ".zsav": "spss",
}
_TABLE = frozenset({"header", "columns", "skip", "fill_down", "stop_at"})
_OPTIONS: Mapping[str, frozenset[str]] = {
    "csv": _TABLE | {"delimiter", "quote", "encoding"},
    **dict.fromkeys(SHEETS, _TABLE | {"sheet", "range"}),
    "html": _TABLE | {"sheet", "range", "encoding"},
    "xml": frozenset({"record_path"}),
    "json": frozenset({"record_path"}),
    "geojson": frozenset({"record_path"}),
    "ndjson": frozenset(),
    "parquet": frozenset(),
    "dbf": frozenset({"encoding"}),
    "shapefile": frozenset({"encoding", "sheet"}),
    "gpkg": frozenset({"sheet"}),
    "kml": frozenset({"sheet"}),
    "spss": frozenset({"encoding", "labels"}),
}
"""What may be stated of a file, by its format; another option would change nothing."""
_BY_CONTENT: Mapping[str, frozenset[str]] = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"), SHEETS),
    ".xml": frozenset({"xml", "xml2003"}),
    ".zip": frozenset(_OPTIONS),
}
"""Endings that leave it open what a file is: its content decides."""
_XML_PATH = re.compile(r"(?:/[^/\s:@\[\]*'\"]+)+")
_DATABASES = frozenset({".db", ".db3", ".sqlite", ".sqlite3"})
_RANGE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6}):([A-Z]{1,3})([1-9]\d{0,6})")


def _no_truth(given: Any) -> Any:
    """`true` is no number, though Python takes it for 1."""
    if isinstance(given, bool):
        raise ValueError(f"{str(given).lower()} is no number")
    return given


class HeaderRows(BaseModel):
    """Which rows of a sheet (counted from 1) make the header; several are joined by a blank."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: tuple[int, ...] = Field(min_length=1, max_length=10)
    skip: int = Field(default=0, ge=0, le=10, description="Rows between the header and the data, such as (1) (2) (3)")

    @field_validator("skip", mode="before")
    @classmethod
    def _count(cls, given: Any) -> Any:
        return _no_truth(given)

    @field_validator("rows", mode="before")
    @classmethod
    def _numbers(cls, rows: Any) -> Any:
        return [_no_truth(row) for row in rows] if isinstance(rows, list | tuple) else rows

    @field_validator("rows")
    @classmethod
    def _in_order(cls, rows: tuple[int, ...]) -> tuple[int, ...]:
        if rows[0] < 1 or any(after <= before for before, after in pairwise(rows)):
            raise ValueError("rows are counted from 1 and stand in their order, each once: [3, 4]")
        return rows


class StopAt(BaseModel):
    """The cell that ends a table: this text in this column."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    column: str = Field(min_length=1, max_length=200)
    text: str = Field(min_length=1, max_length=500)


class FileSource(LocatedSource):
    """A file under the agency's folder or elsewhere. What a sheet made for people needs (header rows, range, stop mark) is stated here."""

    kind: Literal["file"] = "file"
    format: Format | None = Field(
        default=None,
        description="csv, xlsx, xls, xlsb, ods, html, xml2003, xml, json, ndjson, geojson, parquet, dbf, shapefile, gpkg, kml, spss;"
        " else by the ending and the content",
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(
        default='"', min_length=1, max_length=4, description="The quote sign; none: quotes are plain text"
    )
    encoding: Encoding = Field(default="utf-8", max_length=40, description="utf-8 (a BOM is removed), cp1252, …")
    header: bool | HeaderRows = True
    columns: tuple[str, ...] = Field(default=(), max_length=1000, description="Names where the file has no header row")
    sheet: int | str | None = Field(
        default=None,
        description="The sheet, table or layer by its name, a pattern that one visible sheet fits, or its place from 0; else the first",
    )
    range: str | None = Field(default=None, description='Cells of a sheet, e.g. "B4:K200"')
    skip: int = Field(
        default=0, ge=0, le=10_000, description="Lines before the header, counted as an editor shows them"
    )
    fill_down: tuple[str, ...] = Field(default=(), description="Columns whose blank cells repeat the cell above")
    stop_at: str | StopAt | None = Field(
        default=None,
        description="A text that ends the table where any cell of a row is it, e.g. JUMLAH; {column, text}: in that column",
    )
    record_path: str | None = Field(
        default=None, max_length=500, description="Where the records of a JSON or XML file are"
    )
    labels: bool = Field(
        default=False, description="Of an SPSS file: the labels of values instead of their codes, where they have one"
    )

    @model_validator(mode="before")
    @classmethod
    def _known_format(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("format") and isinstance(given.get("location"), str):
            ending = ending_of(given["location"], str(given.get("member") or ""))
            if ending in _DATABASES and ("://" in given["location"] or given.get("member")):
                raise ValueError("an SQLite file is read in the agency's folder alone: upload it, and use kind: sql")
            if ending in _DATABASES:
                raise ValueError(
                    f"an SQLite file is read by kind: sql with url: sqlite:{given['location']} and the name of its table"
                )
            if ending not in ENDINGS:
                raise ValueError(f"the ending {ending or '(none)'} says no format; write format: csv, xlsx, json, …")
        return given

    @field_validator("sheet", "skip", mode="before")
    @classmethod
    def _numbers(cls, given: Any) -> Any:
        return _no_truth(given)

    @field_validator("quote")
    @classmethod
    def _one_sign(cls, quote: str) -> str:
        if len(quote) != 1 and quote != NO_QUOTE:
            raise ValueError("the quote is one sign, or the word none")
        return quote

    @field_validator("range")
    @classmethod
    def _range(cls, text: str | None) -> str | None:
        if text is not None and _RANGE.fullmatch(text) is None:
            raise ValueError('a range is written "B4:K200"')
        if text is not None and ((cells := _cells(text))[0] > cells[2] or cells[1] > cells[3]):
            raise ValueError('a range goes from its upper left cell to its lower right one: "B4:K200"')
        return text

    @field_validator("record_path")
    @classmethod
    def _path(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None:
            return None
        ending = ending_of(str(info.data.get("location", "")), info.data.get("member"))
        kind = info.data.get("format") or ENDINGS.get(ending)
        if kind in {"xml", "xml2003"} or (ending == ".zip" and path.startswith("/")):
            if _XML_PATH.fullmatch(path) is None:
                raise ValueError("the path to the records of an XML file is written /data/item, without prefixes")
            return path
        return JsonPath.parse(path).text

    @field_validator(*sorted(frozenset().union(*_OPTIONS.values())))
    @classmethod
    def _has_effect(cls, given: Any, info: ValidationInfo) -> Any:
        """An option that changes nothing is refused, since what it was meant to do is not done."""
        name, data = str(info.field_name), info.data
        if given == cls.model_fields[name].default or "location" not in data or "format" not in data:
            return given
        ending = ending_of(data["location"], data.get("member"))
        kind = data["format"] or ENDINGS[ending]
        open_to = frozenset({kind}) if data["format"] else _BY_CONTENT.get(ending, frozenset({kind}))
        if not any(name in _OPTIONS[one] for one in open_to):
            known = ", ".join(sorted(_OPTIONS[kind])) or "no option of this kind"
            raise ValueError(f"{name} does nothing for a file of format {kind}, which takes {known}; leave it out")
        if name == "columns" and data.get("header", True) is not False:
            raise ValueError(
                "columns names the columns of a file without a header row: state header: false, or leave it out"
            )
        return given

    @property
    def kind_of_file(self) -> Format:
        """The format, stated or by the ending."""
        return self.format or ENDINGS[ending_of(self.location, self.member)]

    @property
    def may_be(self) -> frozenset[str]:
        """The formats that the content may have where none is stated and the ending leaves it open; none where it does not."""
        if self.format is not None:
            return frozenset()
        return _BY_CONTENT.get(ending_of(self.location, self.member), frozenset())

    @property
    def cells(self) -> tuple[int, int, int, int] | None:
        """First row, first column, last row, last column of the range, counted from 0."""
        if self.range is None:
            return None
        return _cells(self.range)


def _cells(text: str) -> tuple[int, int, int, int]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(match[2]) - 1, _column(match[1]), int(match[4]) - 1, _column(match[3])


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
