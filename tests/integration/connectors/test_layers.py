"""Shapefiles, GeoPackages, KML and dBASE tables that GDAL wrote: what is read, converted, refused, rejected."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely

from app.connectors.contract import RawBatch
from app.connectors.diagnosis import Diagnoses
from app.connectors.requests import ScanRequest
from app.connectors.suite import opened
from app.errors import SourceError, SourceFormatError, SourceMissing, SourcePermissionDenied
from tests.support import reading

SQUARE = shapely.box(110.5, -6.7, 110.6, -6.6)
CROSSED = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1), (0, 0)])
PARTS = ("shp", "shx", "dbf", "prj")


def write(path: Path, shapes: Sequence[Any] = (SQUARE, SQUARE), crs: str | None = "EPSG:4326", **more: Any) -> None:
    raw = np.array([None if one is None else one.wkb for one in shapes], dtype=object)
    names = np.array([f"Kecamatan {number}" for number in range(len(shapes))], dtype=object)
    kind = next(one.geom_type for one in shapes if one is not None)
    pyogrio.raw.write(path, raw, [names], ["nama"], geometry_type=kind, crs=crs, **more)


async def read(folder: Path, **source: Any) -> list[RawBatch]:
    connector = opened(folder, {"kind": "file", **source})
    try:
        return [batch async for batch in connector.scan(ScanRequest())]
    finally:
        await connector.close()


def rows(batches: list[RawBatch]) -> list[tuple[Any, ...]]:
    return [row for batch in batches for row in batch.rows or ()]


async def test_utm_is_converted_and_told(tmp_path: Path) -> None:
    utm = shapely.box(462_000, 9_260_000, 463_000, 9_261_000)
    write(tmp_path / "a.shp", [utm], "EPSG:32749")
    write(tmp_path / "a.gpkg", [utm], "EPSG:23879")

    for name in ("a.shp", "a.gpkg"):
        found = await read(tmp_path, location=name)
        ring = rows(found)[0][-1]["coordinates"][0]
        assert all(110.6 < lng < 110.7 and -6.7 < lat < -6.6 for lng, lat in ring)
        assert "converted to WGS 84" in "".join(note for batch in found for note in batch.notes)


@pytest.mark.parametrize(
    ("crs", "said"),
    [(None, "coordinate system of layer a is not known"), ("EPSG:4211", "EPSG:4211, which is not converted")],
)
async def test_an_unknown_or_far_coordinate_system_is_refused(tmp_path: Path, crs: str | None, said: str) -> None:
    write(tmp_path / "a.shp", crs=crs or "EPSG:4326")
    if crs is None:
        (tmp_path / "a.prj").write_bytes(b"")
    with pytest.raises(SourceError, match=said):
        await read(tmp_path, location="a.shp")


async def test_a_ring_that_crosses_itself_is_a_reject_and_no_geometry_is_null(tmp_path: Path) -> None:
    for name in ("a.shp", "a.gpkg"):
        write(tmp_path / name, [SQUARE, CROSSED, None])
        found = await read(tmp_path, location=name)
        assert [row[-2] for row in rows(found)] == ["Kecamatan 0", "Kecamatan 2"]
        assert rows(found)[1][-1] is None
        (reject,) = [one for batch in found for one in batch.rejects]
        assert (reject.rule, reject.location[-6:]) == ("geometry_invalid", "line 2")
        assert "Self-intersection" in reject.detail


@pytest.mark.parametrize("gone", PARTS[1:])
async def test_a_part_that_is_missing_is_named(tmp_path: Path, gone: str) -> None:
    write(tmp_path / "a.shp")
    (tmp_path / f"a.{gone}").unlink()
    with pytest.raises(SourceMissing, match=f"a.{gone} is missing"):
        await read(tmp_path, location="a.shp")


async def test_a_part_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "agency").mkdir()
    write(tmp_path / "agency" / "a.shp")
    (tmp_path / "agency" / "a.dbf").rename(tmp_path / "a.dbf")
    (tmp_path / "agency" / "a.dbf").symlink_to(tmp_path / "a.dbf")
    with pytest.raises(SourcePermissionDenied):
        await read(tmp_path / "agency", location="a.shp")


async def test_deleted_records_are_left_out_with_their_geometry(tmp_path: Path) -> None:
    write(tmp_path / "a.shp", [SQUARE] * 3)
    raw = bytearray((tmp_path / "a.dbf").read_bytes())
    start, size = int.from_bytes(raw[8:10], "little"), int.from_bytes(raw[10:12], "little")
    raw[start + size] = ord("*")
    (tmp_path / "a.dbf").write_bytes(raw)

    found = await read(tmp_path, location="a.shp")

    assert [row[0] for row in rows(found)] == ["Kecamatan 0", "Kecamatan 2"]
    assert "1 records are marked as deleted" in "".join(note for batch in found for note in batch.notes)


@pytest.mark.parametrize("part", ["shp", "dbf"])
async def test_a_part_that_is_cut_off_is_told(tmp_path: Path, part: str) -> None:
    write(tmp_path / "a.shp", [SQUARE] * 3)
    path = tmp_path / f"a.{part}"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(SourceFormatError, match=r"upload it again"):
        await read(tmp_path, location="a.shp")


async def test_layers_of_a_zip_and_of_a_geopackage_are_chosen_by_sheet(tmp_path: Path) -> None:
    write(tmp_path / "kec.shp")
    write(tmp_path / "desa.shp", [SQUARE] * 5)
    with zipfile.ZipFile(tmp_path / "peta.zip", "w") as archive:
        for name in ("kec", "desa"):
            for part in PARTS:
                archive.write(tmp_path / f"{name}.{part}", f"peta jepara/{name}.{part}")
    write(tmp_path / "peta.gpkg", layer="kec")
    write(tmp_path / "peta.gpkg", [SQUARE] * 5, layer="desa", append=True)

    for location, prefix in (("peta.zip", "peta jepara/"), ("peta.gpkg", "")):
        connector = opened(tmp_path, {"kind": "file", "location": location})
        assert isinstance(connector, Diagnoses)
        assert (await connector.diagnose()).source == {"sheet": f"{prefix}desa"}
        assert set((await connector.discover()).tables) == {f"{prefix}kec", f"{prefix}desa"}
        await connector.close()
        assert len(rows(await read(tmp_path, location=location, sheet=f"{prefix}kec"))) == 2
        assert len(rows(await read(tmp_path, location=location, sheet=f"{prefix}desa"))) == 5
        with pytest.raises(SourceMissing, match="has no such layer; it has"):
            await read(tmp_path, location=location, sheet="rt")


async def test_the_encoding_of_a_table_is_stated_and_its_mark_proposed(tmp_path: Path) -> None:
    pyogrio.raw.write(
        tmp_path / "a.shp", np.array([SQUARE.wkb], dtype=object), [np.array(["Café"], dtype=object)], ["nama"],
        geometry_type="Polygon", crs="EPSG:4326", encoding="CP1252",
    )  # fmt: skip
    for location in ("a.shp", "a.dbf"):
        with pytest.raises(SourceFormatError, match="the file says cp1252: state encoding: cp1252"):
            await read(tmp_path, location=location)
        connector = opened(tmp_path, {"kind": "file", "location": location})
        assert isinstance(connector, Diagnoses)
        assert (await connector.diagnose()).source == {"encoding": "cp1252"}
        await connector.close()
        assert rows(await read(tmp_path, location=location, encoding="cp1252"))[0][0] == "Café"


async def test_kml_and_kmz(tmp_path: Path) -> None:
    pyogrio.raw.write(
        tmp_path / "a.kml", np.array([shapely.Point(110.5, -6.5).wkb], dtype=object), [np.array(["x"], dtype=object)], ["Name"],
        geometry_type="Point", crs="EPSG:4326", driver="LIBKML", layer="Faskes",
    )  # fmt: skip
    with zipfile.ZipFile(tmp_path / "a.kmz", "w") as archive:
        archive.write(tmp_path / "a.kml", "doc.kml")
    for name in ("a.kml", "a.kmz"):
        (batch, *_) = await read(tmp_path, location=name, sheet="Faskes")
        row = dict(zip(batch.schema.names, (batch.rows or [])[0], strict=True))
        assert row["Name"] == "x"
        assert [float(part) for part in row["geometry"]["coordinates"][:2]] == [110.5, -6.5]
    (tmp_path / "b.kml").write_text(
        "<!DOCTYPE kml [<!ENTITY x 'y'>]><kml xmlns='http://www.opengis.net/kml/2.2'>&x;</kml>"
    )
    with pytest.raises(SourceFormatError, match="document type"):
        await read(tmp_path, location="b.kml")


async def test_a_layer_maps_to_regions(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    write(tmp_path / "inbox" / "batas.shp", [SQUARE])
    fields = {
        "kode_wilayah": {"const": "33.20.01"},
        "geometri": {"from": "geometry", "geometry": {"notation": "geojson"}},
    }
    source = {"kind": "file", "location": "inbox/batas.shp"}
    found = await reading.read(reading.dataset(tmp_path, "batas_wilayah", source, fields))

    (record,) = found.records
    assert record.values["geometri"]["coordinates"][0][0] in ([110.6, -6.7], [110.5, -6.7])
