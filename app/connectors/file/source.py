"""The `source:` block of a file, and where in the agency's folder its location leads."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.connectors.source import SourceBase

Format = Literal["csv", "xlsx", "xls", "ods", "json", "ndjson", "geojson", "parquet"]
NO_QUOTE = "none"
SHEETS = frozenset({"xlsx", "xls", "ods"})
_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".xls": "xls",
    ".ods": "ods",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".geojson": "geojson",
    ".parquet": "parquet",
}
_RANGE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6}):([A-Z]{1,3})([1-9]\d{0,6})")


class HeaderRows(BaseModel):
    """Which rows of a sheet (counted from 1) make the header; several are joined by a blank."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: tuple[int, ...] = Field(min_length=1, max_length=10)


class StopAt(BaseModel):
    """The cell that ends a table: this text in this column."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    column: str = Field(min_length=1, max_length=200)
    text: str = Field(min_length=1, max_length=500)


class FileSource(SourceBase):
    """A file under the agency's folder. What a sheet made for people needs (header rows, range, stop mark) is stated here."""

    kind: Literal["file"] = "file"
    location: str = Field(
        min_length=1, max_length=500, description="Path under the agency's folder, e.g. inbox/faskes.xlsx"
    )
    format: Format | None = Field(
        default=None, description="csv, xlsx, xls, ods, json, ndjson, geojson, parquet; else by the ending"
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(
        default='"', min_length=1, max_length=4, description="The quote sign; none: quotes are plain text"
    )
    encoding: str = Field(default="utf-8", max_length=40, description="utf-8 (a BOM is removed), cp1252, …")
    header: bool | HeaderRows = True
    columns: tuple[str, ...] = Field(default=(), max_length=1000, description="Names where the file has no header row")
    sheet: int | str | None = Field(
        default=None, description="The sheet by its name, or by its place counted from 0; else the first visible one"
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
    record_path: str | None = Field(default=None, max_length=500, description="Where the records of a JSON file are")

    @model_validator(mode="before")
    @classmethod
    def _known_format(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("format") and isinstance(given.get("location"), str):
            ending = Path(given["location"]).suffix.lower()
            if ending not in _ENDINGS:
                raise ValueError(f"the ending {ending or '(none)'} says no format; write format: csv, xlsx, json, …")
        return given

    @field_validator("quote")
    @classmethod
    def _one_sign(cls, quote: str) -> str:
        if len(quote) != 1 and quote != NO_QUOTE:
            raise ValueError("the quote is one sign, or the word none")
        return quote

    @field_validator("location")
    @classmethod
    def _inside(cls, location: str) -> str:
        if "://" in location:
            raise ValueError("a file stands in the agency's folder; for an address use kind: rest or ckan")
        if location.startswith(("/", "~")) or ".." in Path(location).parts or "\x00" in location or "\\" in location:
            raise ValueError("the location is a path under the agency's folder, without .. and not absolute")
        return location

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError("unknown encoding; write utf-8, cp1252, latin-1, utf-16") from None
        return encoding

    @field_validator("range")
    @classmethod
    def _range(cls, text: str | None) -> str | None:
        if text is not None and _RANGE.fullmatch(text) is None:
            raise ValueError('a range is written "B4:K200"')
        return text

    @property
    def kind_of_file(self) -> Format:
        """The format, stated or by the ending."""
        return self.format or _ENDINGS[Path(self.location).suffix.lower()]

    @property
    def cells(self) -> tuple[int, int, int, int] | None:
        """First row, first column, last row, last column of the range, counted from 0."""
        if self.range is None:
            return None
        match = _RANGE.fullmatch(self.range)
        if match is None:
            return None
        return int(match[2]) - 1, _column(match[1]), int(match[4]) - 1, _column(match[3])


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
