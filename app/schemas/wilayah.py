"""Wilayah: the administrative regions of Kemendagri, from province to village."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from app.schemas.base import RowRule, SchemaMeta, SharedSchema, SoftRule, spec
from app.schemas.constraints import TextRule
from app.schemas.identifiers import level_of, parent_of
from app.schemas.types import KodeWilayah, LuasKm2, Nama, Tanggal, Teks

LEVELS = ("provinsi", "kabupaten", "kecamatan", "kelurahan", "desa")
Tingkat = Annotated[str, TextRule(semantic="Tingkat", max_length=9, enum=LEVELS)]


def _parent_holds(values: Mapping[str, Any]) -> bool:
    return bool(values["kode_induk"] == parent_of(values["kode"]))


def _depth_holds(values: Mapping[str, Any]) -> bool:
    return bool(values["kode"].count(".") == min(LEVELS.index(values["tingkat"]), 3))


def _village_kind_holds(values: Mapping[str, Any]) -> bool:
    return bool(values["kode"].count(".") < 3 or level_of(values["kode"]) == values["tingkat"])


class Wilayah(SharedSchema):
    """One region; a kota stands on level `kabupaten`, a desa adat on level `desa`."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="wilayah",
        version=1,
        key=("kode",),
        title_id="Wilayah administrasi",
        title_en="Administrative regions",
        judul="Kode dan Nama Wilayah Administrasi Pemerintahan",
        definisi="Wilayah administrasi pemerintahan menurut kode Kementerian Dalam Negeri",
        definition_en="Administrative regions by the codes of the Ministry of Home Affairs",
        konsep="Pembagian wilayah negara ke dalam provinsi, kabupaten/kota, kecamatan, dan desa/kelurahan",
        ukuran="Jumlah wilayah",
        satuan="Wilayah",
        klasifikasi="Kode wilayah Kemendagri (Kepmendagri 300.2.2-2138/2025)",
        frekuensi="Tahunan atau saat pemekaran",
        produsen_data="Bagian Pemerintahan / Dinas Sosial, Pemberdayaan Masyarakat dan Desa",
        level_penyajian="Desa/kelurahan",
        example_filter="tingkat = 'kecamatan'",
    )
    row_rules: ClassVar[tuple[RowRule, ...]] = (
        RowRule(field="kode_induk", code="parent_mismatch", needs=("kode", "kode_induk"), holds=_parent_holds),
        RowRule(field="tingkat", code="level_mismatch", needs=("kode", "tingkat"), holds=_depth_holds),
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = (
        SoftRule(
            field="tingkat",
            code="village_kind_mismatch",
            needs=("kode", "tingkat"),
            holds=_village_kind_holds,
            detail_id="tingkat berbeda dari digit pertama kode desa/kelurahan (1 kelurahan, 2 desa, 3 desa adat)",
            detail_en="the level differs from the first digit of the village part (1 kelurahan, 2 desa, 3 desa adat)",
        ),
    )

    kode: KodeWilayah = spec(
        "Kode wilayah",
        "Region code",
        "Kode wilayah Kemendagri bertitik",
        "Dotted region code of Kemendagri",
        example="33.20.10.2001",
    )
    nama: Nama = spec("Nama wilayah", "Region name", "Nama resmi wilayah", "Official name", example="Karimunjawa")
    tingkat: Tingkat | None = spec(
        "Tingkat",
        "Level",
        "Tingkat wilayah; kota bertingkat kabupaten",
        "Level of the region; a kota counts as kabupaten",
        example="desa",
        nullable=True,
    )
    kode_induk: KodeWilayah | None = spec(
        "Kode induk",
        "Parent code",
        "Kode wilayah setingkat di atasnya, turunan dari kode",
        "Code of the region one level up, derived from the code",
        example="33.20.10",
        nullable=True,
    )
    luas_km2: LuasKm2 | None = spec(
        "Luas", "Area", "Luas wilayah", "Area of the region", example=46.24, nullable=True, unit="km2"
    )
    dasar_hukum: Teks | None = spec(
        "Dasar hukum",
        "Legal basis",
        "Keputusan yang menetapkan kode ini",
        "Decree that lays down this code",
        example="Kepmendagri 300.2.2-2138/2025",
        nullable=True,
    )
    berlaku_dari: Tanggal | None = spec(
        "Berlaku dari",
        "Valid from",
        "Tanggal kode mulai berlaku",
        "First day on which the code is valid",
        example="2025-04-25",
        nullable=True,
    )
    berlaku_sampai: Tanggal | None = spec(
        "Berlaku sampai",
        "Valid until",
        "Tanggal terakhir kode berlaku; kosong bila masih berlaku",
        "Last day on which the code is valid; null while it still is",
        example=None,
        nullable=True,
    )
