"""Batas wilayah: the areas of regions as polygons."""

from __future__ import annotations

from typing import ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, spec
from app.schemas.shared_fields import region_or_origin
from app.schemas.types import GeometriWilayah, KodeWilayahAtauAsal, LuasKm2, Teks

_RING = [[110.40, -5.80], [110.47, -5.80], [110.47, -5.86], [110.40, -5.86], [110.40, -5.80]]


class BatasWilayah(SharedSchema):
    """One region with its area in CRS84, longitude before latitude."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="batas_wilayah",
        version=1,
        key=("kode_wilayah",),
        title_id="Batas wilayah",
        title_en="Region boundaries",
        judul="Batas Wilayah Administrasi",
        definisi="Poligon batas wilayah administrasi pemerintahan",
        definition_en="Polygons of the boundaries of administrative regions",
        konsep="Informasi geospasial tematik batas wilayah",
        ukuran="Luas wilayah",
        satuan="Kilometer persegi",
        klasifikasi="Kode wilayah Kemendagri",
        frekuensi="Saat batas berubah",
        produsen_data="Dinas Pekerjaan Umum dan Penataan Ruang",
        pembina="Badan Informasi Geospasial",
        level_penyajian="Kecamatan",
        example_filter="kode_wilayah = '33.20'",
    )

    kode_wilayah: KodeWilayahAtauAsal = region_or_origin("33.20.10")
    geometri: GeometriWilayah = spec(
        "Geometri",
        "Geometry",
        "GeoJSON Polygon atau MultiPolygon, bujur lalu lintang (CRS84)",
        "GeoJSON Polygon or MultiPolygon, longitude then latitude (CRS84)",
        example={"type": "Polygon", "coordinates": [_RING]},
        unit="derajat",
    )
    luas_km2: LuasKm2 | None = spec(
        "Luas", "Area", "Luas menurut sumber", "Area according to the source", example=46.24, nullable=True, unit="km2"
    )
    sumber: Teks | None = spec(
        "Sumber", "Source", "Asal batas wilayah", "Where the boundary comes from", example="DPUPR Jepara", nullable=True
    )
    skala: Teks | None = spec(
        "Skala", "Scale", "Skala peta asal", "Scale of the original map", example="1:25000", nullable=True
    )
