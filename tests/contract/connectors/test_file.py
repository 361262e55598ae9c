"""Kind file: CSV, XLSX, ODS, Parquet, JSON, NDJSON, GeoJSON, XML, dBASE, Shapefile, GeoPackage, SPSS. Files do nothing by themselves but give columns."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyreadstat
import pytest
import shapely
import xlsxwriter

from app.connectors.cells import CELL_COLUMN
from app.connectors.contract import JSON_COLUMN, Connector
from app.connectors.suite import PERSON, TEXTS, WHOLE_READS, ConnectorSuite, Fault, Subject, opened
from app.errors import SourceFormatError, SourceMissing, SourcePermissionDenied, SourceSchemaMismatch
from tests.support.workbooks import pack_ods

_PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
_XML_TEXTS = [text.replace("\uffff", "x") for text in TEXTS]
_XML_MORE = [
    ("<tag>1</tag><tag/>", ["1", ""]),
    ("<tag xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'/>", None),
    ("<tag a='1'>x<c>2</c></tag>", {"@a": "1", "c": "2", "#text": "x"}),
]
_XML = [(f"k{at}", text, _XML_MORE[at % 3][1]) for at, text in enumerate(_XML_TEXTS)]
_NAMES = ("kode", "nama", "nilai")
_ROWS = [(f"k{place}", text.replace("\uffff", "x"), str(place / 4)) for place, text in enumerate(TEXTS)]
_JSON = [(f"k{place}", text, [place, None, {"a": text}][place % 3]) for place, text in enumerate(TEXTS)]


def _csv(path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(_NAMES)
        writer.writerows(_ROWS[:5])
        file.write("ragged,row\r\n")
        writer.writerows(_ROWS[5:])


def _xlsx(path: Path) -> None:
    with xlsxwriter.Workbook(path, {"strings_to_numbers": False}) as book:
        sheet = book.add_worksheet("Lembar")
        for number, row in enumerate([_NAMES, *_ROWS]):
            for column, cell in enumerate(row):
                sheet.write_string(number, column, cell)


def _json(path: Path) -> None:
    path.write_text(json.dumps({"hasil": [dict(zip(_NAMES, row, strict=True)) for row in _JSON]}), "utf-8")


def _ndjson(path: Path) -> None:
    lines = [json.dumps(dict(zip(_NAMES, row, strict=True))) for row in _JSON]
    path.write_text("\n".join([*lines[:3], '{"kode": broken', "", *lines[3:]]), "utf-8")


def _geojson(path: Path) -> None:
    point = {"type": "Point", "coordinates": [110.6, -6.6]}
    features = [
        {"type": "Feature", "id": number, "properties": {"nama": text}, "geometry": point}
        for number, text in enumerate(TEXTS)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")


def _xml(path: Path) -> None:
    """Attributes, a child, a child that comes twice; two names of different namespaces in the record that is rejected."""
    lines = [
        f"<b:baris kode={quoteattr(kode)}><nama>{escape(text)}</nama>{more}</b:baris>"
        for kode, text, more in [(f"k{at}", text, _XML_MORE[at % 3][0]) for at, text in enumerate(_XML_TEXTS)]
    ]
    lines.insert(3, "<b:baris><nama>a</nama><b:nama>b</b:nama></b:baris>")
    inside = "\n".join(lines)
    path.write_text(f"<?xml version='1.0'?>\n<data xmlns:b='urn:b'><info>x</info>{inside}</data>", "utf-8")


def _ods(path: Path) -> None:
    """What LibreOffice writes, at its least: cells as paragraphs of text."""
    cell = "<table:table-cell office:value-type='string'><text:p>{}</text:p></table:table-cell>"
    rows = [_NAMES, *_ROWS]
    table = "".join(
        "<table:table-row>"
        + "".join(cell.format(escape(part).replace(" ", "<text:s/>")) for part in row)
        + "</table:table-row>"
        for row in rows
    )
    names = "".join(
        f" xmlns:{short}='urn:oasis:names:tc:opendocument:xmlns:{short}:1.0'" for short in ("office", "table", "text")
    )
    content = (
        f"<?xml version='1.0' encoding='UTF-8'?><office:document-content{names} office:version='1.2'><office:body><office:spreadsheet>"
        f"<table:table table:name='Lembar'>{table}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    pack_ods(path, content)


_PARQUET_SCHEMA = pa.schema(
    [
        ("kode", pa.string()),
        ("jumlah", pa.int64()),
        ("besar", pa.decimal128(20, 0)),
        ("harga", pa.decimal128(12, 2)),
        ("nilai", pa.float64()),
        ("hari", pa.date32()),
        ("saat", pa.timestamp("us", tz="UTC")),
        ("ya", pa.bool_()),
        ("mentah", pa.string()),
        ("kelas", pa.string()),
        pa.field("daftar", pa.string(), metadata=JSON_COLUMN),
    ]
)
_MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC)
_PARQUET = [
    (
        text,
        [place, None][place % 2],
        Decimal(2**64 - 1),
        Decimal("1234567890.12"),
        [0.1, None, -1e300][place % 3],
        date(2024, 2, 29),
        [_MOMENT, None][place % 2],
        [True, False, None][place % 3],
        ["00ff", ""][place % 2],
        ["a", "b"][place % 2],
        [[1, 2], None, []][place % 3],
    )
    for place, text in enumerate(TEXTS)
]


def _parquet(path: Path) -> None:
    columns = [list(cells) for cells in zip(*_PARQUET, (*_PARQUET[0][:4], float("nan"), *_PARQUET[0][5:]), strict=True)]
    jakarta = pa.timestamp("us", tz="Asia/Jakarta")
    types = [pa.large_string(), pa.int16(), pa.uint64(), pa.decimal128(12, 2), pa.float64(), pa.date32(), jakarta]
    types += [pa.bool_(), pa.binary(), pa.dictionary(pa.int8(), pa.string()), pa.list_(pa.int64())]
    columns[8] = [bytes.fromhex(cell) for cell in columns[8]]
    arrays = [pa.array(cells, kind) for cells, kind in zip(columns, types, strict=True)]
    pq.write_table(pa.table(arrays, names=_PARQUET_SCHEMA.names), path, row_group_size=10, compression="zstd")


_TEXT_SCHEMA = pa.schema([(name, pa.string()) for name in _NAMES])


def _json_schema(*names: str) -> pa.Schema:
    return pa.schema([pa.field(name, pa.string(), metadata=JSON_COLUMN) for name in names])


_CELL_SCHEMA = pa.schema([field.with_metadata(CELL_COLUMN) for field in _TEXT_SCHEMA])
_CELLS = [tuple(cell or None for cell in row) for row in _ROWS]
"""An empty cell of a sheet says nothing; text stays as it is."""

_LAYER_ROWS = [(f"k{at}", text, at * 10**9) for at, text in enumerate(_XML_TEXTS)]
_GEO = {"type": "Point", "coordinates": [Decimal("110.6"), Decimal("-6.6")]}


def _layer(path: Path) -> None:
    columns = [np.array(cells, dtype=object) for cells in zip(*_LAYER_ROWS, strict=True)]
    columns[2] = columns[2].astype("int64")
    points = np.array([shapely.Point(110.6, -6.6).wkb] * len(_LAYER_ROWS), dtype=object)
    encoding = {} if path.suffix == ".gpkg" else {"encoding": "UTF-8"}
    pyogrio.raw.write(
        path, points, columns, ["kode", "nama", "jumlah"], geometry_type="Point", crs="EPSG:4326", **encoding
    )


def _dbf(path: Path) -> None:
    """The table of a Shapefile that GDAL writes; one record is deleted, the number of another was too long."""
    _layer(path.with_suffix(".shp"))
    raw = bytearray(path.read_bytes())
    start, size = int.from_bytes(raw[8:10], "little"), int.from_bytes(raw[10:12], "little")
    raw[start + 3 * size] = ord("*")
    raw[start + 5 * size - 18 : start + 5 * size] = b"*" * 18
    path.write_bytes(raw)
    for other in (".shp", ".shx", ".prj"):
        path.with_suffix(other).unlink()


_TABLE = [(kode, text.rstrip(" "), jumlah) for kode, text, jumlah in _LAYER_ROWS]
"""A dBASE table pads its texts with blanks."""
_TABLE_FIELDS = [pa.field("kode", pa.string()), pa.field("nama", pa.string()), pa.field("jumlah", pa.int64())]
_GEO_FIELD = pa.field("geometry", pa.string(), metadata=JSON_COLUMN)


def _sav(path: Path) -> None:
    """One record has a number that is none."""
    jumlah = [float(jumlah) for _, _, jumlah in _TABLE]
    table = {"kode": [kode for kode, _, _ in _TABLE], "nama": [text for _, text, _ in _TABLE], "jumlah": jumlah}
    table["jumlah"][5] = float("inf")
    pyreadstat.write_sav(pd.DataFrame(table), path)


_SPSS_FIELDS = [*_TABLE_FIELDS[:2], pa.field("jumlah", pa.string(), metadata=CELL_COLUMN)]

_TYPED = {"csv", "xlsx", "ods", "parquet", "dbf", "shp", "gpkg", "sav"}
_CASES = {
    "csv": (_csv, {}, _TEXT_SCHEMA, _ROWS, 1),
    "xlsx": (_xlsx, {"sheet": "Lembar"}, _CELL_SCHEMA, _CELLS, 0),
    "ods": (_ods, {"sheet": "Lembar"}, _CELL_SCHEMA, _CELLS, 0),
    "parquet": (_parquet, {}, _PARQUET_SCHEMA, _PARQUET, 1),
    "json": (_json, {"record_path": "$.hasil[*]"}, _json_schema(*_NAMES), _JSON, 0),
    "xml": (_xml, {"record_path": "/data/baris"}, _json_schema("@kode", "nama", "tag"), _XML, 1),
    "ndjson": (_ndjson, {}, _json_schema(*_NAMES), _JSON, 1),
    "dbf": (_dbf, {}, pa.schema(_TABLE_FIELDS), _TABLE[:3] + _TABLE[5:], 1),
    "sav": (_sav, {}, pa.schema(_SPSS_FIELDS), _TABLE[:5] + _TABLE[6:], 1),
    "shp": (_layer, {}, pa.schema([*_TABLE_FIELDS, _GEO_FIELD]), [(*row, _GEO) for row in _TABLE], 0),
    "gpkg": (
        _layer,
        {},
        pa.schema([pa.field("fid", pa.int64()), *_TABLE_FIELDS, _GEO_FIELD]),
        [(number, *row, _GEO) for number, row in enumerate(_LAYER_ROWS, 1)],
        0,
    ),
    "geojson": (_geojson, {}, _json_schema("nama", "geometry", "id"), None, 0),
}


@pytest.fixture(scope="module", params=list(_CASES))
async def subject(request, tmp_path_factory) -> AsyncIterator[Subject]:
    write, options, schema, rows, rejects = _CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    source = {"kind": "file", "location": f"uji.{request.param}", **options}
    write(folder / source["location"])
    connector = opened(folder, source)
    textual = request.param in _TYPED
    if rows is None:
        shown = {"type": "Point", "coordinates": [Decimal("110.6"), Decimal("-6.6")]}
        rows = [(text, shown, number) for number, text in enumerate(TEXTS)]

    async def fingerprint() -> object:
        return [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in sorted(folder.glob("uji*"))]

    yield Subject(
        connector,
        schema,
        rows,
        rejects=rejects,
        fingerprint=fingerprint,
        missing_column_is_null=not textual,
        faults=_faults(tmp_path_factory, request.param, source, folder),
        cannot=WHOLE_READS,
    )
    await connector.close()


def _faults(tmp_path_factory, kind: str, source: dict, folder: Path) -> list[Fault]:
    broken = tmp_path_factory.mktemp("broken")
    (broken / source["location"]).write_bytes(_PNG)
    linked = tmp_path_factory.mktemp("linked")
    (linked / source["location"]).symlink_to("/etc/passwd")
    empty = tmp_path_factory.mktemp("empty")
    bytes_ = tmp_path_factory.mktemp("bytes")
    (bytes_ / source["location"]).write_bytes(f"nama\n{PERSON}\n".encode() + b"\xff\xfe\xff\n" * 3)

    def at(place: Path) -> Connector:
        return opened(place, source)

    found = [
        Fault("no file", lambda: at(empty), SourceMissing, False),
        Fault("a PNG by another name", lambda: at(broken), SourceFormatError, False),
        Fault("a link out of the folder", lambda: at(linked), SourcePermissionDenied, False),
    ]
    if kind in {"csv", "json", "xml"}:
        found.append(Fault("wrong bytes", lambda: at(bytes_), SourceFormatError, False))
    if kind in _TYPED:
        found.append(Fault("column gone", lambda: at(folder), SourceSchemaMismatch, False, ("nama", "pergi")))
    return found


class TestFile(ConnectorSuite):
    pass
