"""Layers of Shapefiles, GeoPackages and KML by GDAL (pyogrio), loaded only where one is read: in the process that parses one file.

The geometry arrives as GeoJSON in WGS 84. Layers in another system that is known to within a metre of it are converted by GDAL, and told;
others are refused. Attributes of a Shapefile are read by `dbf_reader.py`, which keeps what GDAL rounds or makes null.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final
from xml.sax.saxutils import escape

import pyarrow as pa

from app.connectors.agency_files import agency_file
from app.connectors.contract import JSON_COLUMN, RawBatch, RawReject
from app.connectors.environment import Limits
from app.connectors.file.arrow_values import raw_cells, raw_type, without_unreadable
from app.connectors.file.dbf_reader import encoding_of, notes_of, read_header, read_records, schema_of, wanted_encoding
from app.connectors.file.source import FileSource
from app.connectors.json_text import parse_json
from app.connectors.xml_records import CHUNK_BYTES, Elements
from app.errors import SourceFormatError, SourceMissing, SourceTooLarge

BATCH_ROWS: Final = 1_000
SHAPEFILE_PARTS: Final = ("shp", "shx", "dbf", "prj", "cpg")
_WANTED = frozenset({"shp", "shx", "dbf", "prj"})
_MOST_RATIO = 200
_LARGE_BYTES = 50_000_000
_AS_IS = frozenset({"EPSG:4326", "EPSG:4979", "OGC:CRS84"})
_NEAR = frozenset(
    {
        3857,
        4755,
        4898,
        9469,
        9470,
        *range(32646, 32656),
        *range(32746, 32756),
        *range(23830, 23846),
        *range(23866, 23873),
    }
    | {*range(23877, 23885), *range(9476, 9483), *range(9487, 9495)}
)
"""EPSG codes on WGS 84, DGN95 and SRGI2013: geographic, UTM 46 to 55, TM-3, web Mercator."""
_UNUSED = (
    "ADBC,AIVector,AVCBin,AVCE00,AmigoCloud,CSV,CSW,Carto,DGN,DXF,EDIGEO,EEDA,ESRIJSON,Elasticsearch,FlatGeobuf,GDALG,GML,GPSBabel,GPX,"
    "GTFS,GeoJSON,GeoJSONSeq,GeoRSS,HTTP,Idrisi,JML,JSONFG,LVBAG,MBTiles,MVT,MapInfo File,MapML,MiraMonVector,NGW,OAPIF,ODS,OGCAPI,"
    "OGR_GMT,OGR_PDS,OSM,OpenFileGDB,PCIDSK,PDF,PDS4,PGDUMP,PLSCENES,PMTiles,S57,SQLite,SXF,Selafin,TopoJSON,VDV,VFK,VICAR,WAsP,WFS,XLSX"
)
"""Drivers of GDAL that no file needs here, above all those that open addresses of the network."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: its name, how many features it has (-1: unknown), the coordinate system as GDAL names it."""

    name: str
    features: int
    system: str | None


def layers_of(path: Path, source: FileSource, root: Path, limits: Limits) -> list[Layer]:
    """The layers of a file. Raises `SourceError` leaves."""
    opened = _opened(path, source, root, limits)
    return [_layer(opened, name) for name in opened.names()]


def chosen_layer(names: Sequence[str], wanted: int | str | None) -> str:
    """The layer that `sheet` names, by its name or its number; else the first. Raises `SourceMissing`."""
    if wanted is None and names:
        return names[0]
    if wanted in names:
        return str(wanted)
    if str(wanted).isdecimal() and int(str(wanted)) < len(names):
        return names[int(str(wanted))]
    raise SourceMissing(f"the file has no such layer; it has {', '.join(names)[:300] or 'none'}", field="/source/sheet")


def read_layer(path: Path, source: FileSource, root: Path, limits: Limits) -> Iterator[RawBatch]:
    """The features of one layer with their geometry as GeoJSON. One whose geometry is not valid is a reject."""
    opened = _opened(path, source, root, limits)
    name = chosen_layer(opened.names(), source.sheet)
    layer = _layer(opened, name)
    address, inside, notes = _in_wgs84(opened, layer)
    location = (
        source.location
        if source.kind_of_file == "shapefile" and not opened.archive
        else f"{source.location}, layer {name}"
    )
    if source.kind_of_file == "shapefile":
        yield from _with_table(opened, name, address, inside, location, notes)
    else:
        yield from _with_attributes(opened, address, inside, location, notes)


def table_encoding(path: Path, source: FileSource, root: Path, limits: Limits) -> tuple[str, str] | None:
    """As `wanted_encoding`, of the table of the layer that is read."""
    opened = _opened(path, source, root, limits)
    name = chosen_layer(opened.names(), source.sheet)
    with _required(opened.part(name, "dbf")) as table:
        return wanted_encoding(table, _cpg(opened.part(name, "cpg")))


class _Opened:
    """Where GDAL finds the file, and its layers."""

    def __init__(self, path: Path, source: FileSource, root: Path, limits: Limits) -> None:
        self.source = source
        self.path = path
        self.archive: zipfile.ZipFile | None = None
        self._members: dict[str, dict[str, str]] = {}
        if zipfile.is_zipfile(path):
            self.archive = zipfile.ZipFile(path)
            _refuse_bomb(self.archive, path, limits)
        if source.kind_of_file == "shapefile":
            self._parts(root)
        elif source.kind_of_file == "kml":
            self._plain_markup()

    def names(self) -> list[str]:
        if self.source.kind_of_file == "shapefile":
            return sorted(self._members)
        import pyogrio  # noqa: PLC0415 - loaded in the process that parses, when a layer is read

        return [str(name) for name, _ in pyogrio.list_layers(self.address(""))]

    def address(self, layer: str) -> str:
        """What GDAL opens for a layer."""
        if self.source.kind_of_file != "shapefile":
            kml = next(iter(self._kml()), None) if self.archive is not None else None
            return str(self.path) if kml is None else f"/vsizip/{{{self.path}}}/{kml}"
        member = self._members[layer]["shp"]
        return f"/vsizip/{{{self.path}}}/{member}" if self.archive is not None else member

    def part(self, layer: str, ending: str) -> IO[bytes] | None:
        """A file of a Shapefile, None where it has none."""
        member = self._members[layer].get(ending)
        if member is None:
            return None
        return self.archive.open(member) if self.archive is not None else Path(member).open("rb")

    def _parts(self, root: Path) -> None:
        if self.archive is not None:
            names = [entry.filename for entry in self.archive.infolist() if not entry.is_dir()]
        else:
            names = [str(self._inside(root, one)) for one in self.path.parent.iterdir() if one.stem == self.path.stem]
        found: dict[str, dict[str, str]] = {}
        for name in names:
            stem, ending = str(PurePosixPath(name).with_suffix("")), PurePosixPath(name).suffix[1:].lower()
            if ending in SHAPEFILE_PARTS and not name.startswith("__MACOSX/"):
                found.setdefault(stem, {})[ending] = name
        for stem, parts in found.items():
            if "shp" in parts:
                self._members[stem if self.archive is not None else self.path.stem] = parts
        for stem, parts in self._members.items():
            self._whole(stem)
            missing = sorted(_WANTED - parts.keys())
            if missing:
                named = ", ".join(f"{PurePosixPath(stem).name}.{ending}" for ending in missing)
                detail = f"{self.source.location}: a Shapefile is several files, and {named} is missing; upload it too, or all in one ZIP"
                raise SourceMissing(detail, field="/source/location")

    def _whole(self, layer: str) -> None:
        """The length that the geometry file says it has is the one that it has: GDAL gives null for what is cut off."""
        with _required(self.part(layer, "shp")) as file:
            head = file.read(28)
            size = len(head)
            while chunk := file.read(CHUNK_BYTES):
                size += len(chunk)
        if len(head) < 28 or int.from_bytes(head[24:28], "big") * 2 > size:
            raise SourceFormatError(
                f"{self.source.location}: the .shp is cut off; upload it again", field="/source/location"
            )

    def _inside(self, root: Path, path: Path) -> Path:
        return agency_file(root, str(path.relative_to(root.resolve())))

    def _kml(self) -> list[str]:
        names = [] if self.archive is None else self.archive.namelist()
        return sorted(
            (name for name in names if name.lower().endswith(".kml")), key=lambda name: (name != "doc.kml", name)
        )

    def _plain_markup(self) -> None:
        """Holds the document to what every XML is held to: whole, without a document type."""
        elements = Elements(self.source.location)
        with self.archive.open(self._kml()[0]) if self.archive is not None else self.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                elements.feed(chunk)
        elements.end()


def _opened(path: Path, source: FileSource, root: Path, limits: Limits) -> _Opened:
    os.environ.setdefault("GDAL_SKIP", _UNUSED)
    os.environ.setdefault("OGR_SQLITE_LOAD_EXTENSIONS", "NO")
    return _Opened(path, source, root, limits)


def _refuse_bomb(archive: zipfile.ZipFile, path: Path, limits: Limits) -> None:
    size = sum(entry.file_size for entry in archive.infolist())
    if size > limits.bytes or (size > _LARGE_BYTES and size > _MOST_RATIO * max(path.stat().st_size, 1)):
        raise SourceTooLarge(
            f"unpacked, the archive has {size} bytes", field="/source/location", limit_bytes=limits.bytes
        )


def _layer(opened: _Opened, name: str) -> Layer:
    import pyogrio  # noqa: PLC0415 - loaded in the process that parses, when a layer is read
    from pyogrio.errors import DataLayerError, DataSourceError  # noqa: PLC0415 - the same

    try:
        told = pyogrio.read_info(
            opened.address(name),
            layer=0 if opened.source.kind_of_file == "shapefile" else name,
            force_feature_count=True,
        )
    except (DataSourceError, DataLayerError):
        raise _damaged(opened.source) from None
    if told["geometry_type"] is None:
        return Layer(name, int(told["features"]), "none")
    return Layer(name, int(told["features"]), told["crs"])


def _damaged(source: FileSource) -> SourceFormatError:
    detail = f"{source.location}: GDAL cannot read the file as {source.kind_of_file}; export it again"
    return SourceFormatError(detail, field="/source/format")


def _in_wgs84(opened: _Opened, layer: Layer) -> tuple[str, str | int, list[str]]:
    """What GDAL opens, the layer there, and what has to be known of its conversion. Raises `SourceFormatError`."""
    shapefile = opened.source.kind_of_file == "shapefile"
    address, inside = opened.address(layer.name), 0 if shapefile else layer.name
    system = layer.system
    if system == "none" or system in _AS_IS:
        return address, inside, []
    location = opened.source.location
    if system is None:
        detail = f"{location}: the coordinate system of layer {layer.name} is not known; set it where it was made and export again"
        raise SourceFormatError(detail, field="/source/location")
    code = system.removeprefix("EPSG:")
    if not code.isdecimal() or int(code) not in _NEAR:
        named = system if len(system) < 40 else system.split('"')[1] if '"' in system else system[:40]
        detail = (
            f"{location}: the coordinates of layer {layer.name} are in {named}, which is not converted here; export the layer in WGS 84"
            " (EPSG:4326)"
        )
        raise SourceFormatError(detail, field="/source/location")
    told = PurePosixPath(address).stem if shapefile else layer.name
    warped = (
        f'<OGRVRTDataSource><OGRVRTWarpedLayer><OGRVRTLayer name="warped"><SrcDataSource>{escape(address)}</SrcDataSource>'
        f"<SrcLayer>{escape(told)}</SrcLayer></OGRVRTLayer><TargetSRS>EPSG:4326</TargetSRS></OGRVRTWarpedLayer></OGRVRTDataSource>"
    )
    note = f"{location}: the coordinates of layer {layer.name} are in {system} and were converted to WGS 84 by GDAL"
    return warped, 0, [note]


def _with_table(
    opened: _Opened, name: str, address: str, inside: str | int, location: str, notes: list[str]
) -> Iterator[RawBatch]:
    """The features of a Shapefile: GDAL gives the geometry, the table the rest; they go together by the number of the record."""
    with _required(opened.part(name, "dbf")) as table:
        encoding, says = opened.source.encoding, _cpg(opened.part(name, "cpg"))
        header = read_header(table, location, encoding)
        schema = schema_of(header)
        named = "feature_geometry" if "geometry" in schema.names else "geometry"
        schema = schema.append(pa.field(named, pa.string(), metadata=JSON_COLUMN))
        records = read_records(table, header, location, encoding, says)
        met, record = 0, next(records, None)
        for numbers, geometries in _geometries(address, inside, opened.source):
            batch = RawBatch(schema, location=location)
            kept, kept_numbers = list[tuple[Any, ...]](), list[int]()
            for at, found in zip(numbers, geometries, strict=True):
                if at >= header.records or (record is not None and record[0] <= at):
                    raise _damaged(opened.source)
                if record is None or record[0] > at + 1:
                    continue  # the table says that it is deleted
                number, row = record
                reject = row if isinstance(row, RawReject) else _reject(found, location, number)
                if reject is not None:
                    batch.rejects.append(reject)
                elif not isinstance(row, RawReject):
                    kept.append((*row, found))
                    kept_numbers.append(number)
                met, record = met + 1, next(records, None)
            batch.rows, batch.numbers = kept, kept_numbers
            yield batch
        if record is not None:
            raise _damaged(opened.source)
    notes = [*notes, *notes_of(header, header.records - met, location)]
    yield RawBatch(schema, rows=[], location=location, numbers=[], notes=notes)


def _required(part: IO[bytes] | None) -> IO[bytes]:
    if part is None:
        raise SourceMissing("the Shapefile has no .dbf", field="/source/location")
    return part


def _cpg(part: IO[bytes] | None) -> str | None:
    if part is None:
        return None
    with part as file:
        return encoding_of(file.read(40).decode("latin-1"))


@dataclass(frozen=True, slots=True)
class _Invalid:
    """Stands for a geometry that is none; `why` names no coordinates."""

    why: str


def _reject(found: Any, location: str, number: int) -> RawReject | None:
    if type(found) is not _Invalid:
        return None
    return RawReject(f"{location}, line {number}", "geometry_invalid", found.why)


def _geometries(address: str, inside: str | int, source: FileSource) -> Iterator[tuple[list[int], list[Any]]]:
    """Numbers of records (from 0) and their geometries as GeoJSON objects, batch by batch."""
    for batch, geometries in _batches(address, inside, source, columns=[]):
        yield _keys(batch), geometries or [None] * batch.num_rows


def _keys(batch: pa.RecordBatch) -> list[int]:
    """The keys of features, which GDAL gives first."""
    keys: list[Any] = batch.column(0).to_pylist()
    return keys


def _with_attributes(
    opened: _Opened, address: str, inside: str | int, location: str, notes: list[str]
) -> Iterator[RawBatch]:
    """The features of a layer whose attributes GDAL reads; of a GeoPackage with their key."""
    empty: RawBatch | None = None
    for batch, geometries in _batches(address, inside, opened.source, columns=None):
        names = batch.schema.names[1 : None if geometries is None else -1]
        kinds = [raw_type(batch.schema.field(name).type) for name in names]
        cells = [raw_cells(batch.column(name), kind, name, location) for name, kind in zip(names, kinds, strict=True)]
        fields = [
            pa.field(name, kind or pa.string(), metadata=None if kind is not None else JSON_COLUMN)
            for name, kind in zip(names, kinds, strict=True)
        ]
        numbers = _keys(batch)
        if opened.source.kind_of_file == "gpkg" and "fid" not in names:
            fields, cells = [pa.field("fid", pa.int64()), *fields], [numbers, *cells]
        rejects = []
        if geometries is not None:
            named = "feature_geometry" if "geometry" in names else "geometry"
            fields, cells = [*fields, pa.field(named, pa.string(), metadata=JSON_COLUMN)], [*cells, geometries]
            rejects = [_reject(found, location, number) for number, found in zip(numbers, geometries, strict=True)]
        schema = pa.schema(fields)
        kept = [at for at in range(batch.num_rows) if not rejects or rejects[at] is None]
        made = RawBatch(
            schema,
            rows=[tuple(column[at] for column in cells) for at in kept],
            location=location,
            numbers=[numbers[at] for at in kept],
            rejects=[reject for reject in rejects if reject is not None],
        )
        empty = RawBatch(schema, rows=[], location=location, numbers=[], notes=notes)
        yield without_unreadable(made)
    if empty is not None:
        yield empty


def _batches(
    address: str, inside: str | int, source: FileSource, columns: list[str] | None
) -> Iterator[tuple[pa.RecordBatch, list[Any] | None]]:
    """Batches of a layer, the key first, and their geometries (the last column) as GeoJSON objects; None where it has none."""
    from pyogrio.errors import DataLayerError, DataSourceError  # noqa: PLC0415 - loaded in the process that parses
    from pyogrio.raw import open_arrow  # noqa: PLC0415 - the same

    try:
        with open_arrow(
            address, layer=inside, columns=columns, batch_size=BATCH_ROWS, return_fids=True, use_pyarrow=True
        ) as (told, reader):
            shaped = told["geometry_type"] is not None
            some = False
            for batch in reader:
                some = True
                yield batch, _as_geojson(batch.column(batch.num_columns - 1)) if shaped else None
            if not some:
                empty = pa.RecordBatch.from_pylist([], schema=reader.schema)
                yield empty, [] if shaped else None
    except (DataSourceError, DataLayerError, pa.ArrowException, RuntimeError, OSError):
        raise _damaged(source) from None


def _as_geojson(column: Any) -> list[Any]:
    """Geometries as GeoJSON objects with exact numbers; `_Invalid` for what is none, null for none."""
    import shapely  # noqa: PLC0415 - loaded in the process that parses

    raw = column.to_pylist()
    found = shapely.from_wkb(raw, on_invalid="ignore")
    valid, texts = shapely.is_valid(found), shapely.to_geojson(found)
    made: list[Any] = []
    for wkb, one, sound, text in zip(raw, found, valid, texts, strict=True):
        if wkb is None:
            made.append(None)
        elif one is None:
            made.append(_Invalid("the geometry cannot be read: a ring that is not closed, or a curve"))
        elif not sound:
            why = shapely.is_valid_reason(one).partition("[")[0]
            made.append(_Invalid(f"the geometry is not valid ({why}); mend it in a GIS (QGIS: Fix geometries)"))
        else:
            made.append(parse_json(text))
    return made
