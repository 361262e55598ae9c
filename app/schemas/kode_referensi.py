"""Kode referensi: the codes that data sets use, list by list, with the meaning of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from app.schemas.base import RowRule, SchemaMeta, SharedSchema, spec
from app.schemas.constraints import TextRule
from app.schemas.types import KodeAsal, Nama, Tanggal, Teks, TeksPanjang

DaftarKode = Annotated[str, TextRule(semantic="DaftarKode", max_length=64, pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Name of a list of codes in lower snake_case: `jenis_faskes`, `kbli_2020`."""


def _not_its_own_parent(values: Mapping[str, Any]) -> bool:
    return bool(values["kode"] != values["kode_induk"])


class KodeReferensi(SharedSchema):
    """One code of one list."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="kode_referensi",
        version=1,
        key=("daftar", "kode"),
        title_id="Kode referensi",
        title_en="Reference codes",
        judul="Kode Referensi",
        definisi="Tanda berisi karakter yang mengandung makna tertentu sebagai rujukan identitas data",
        definition_en="Codes with a fixed meaning that data refer to",
        konsep="Kode referensi (Perpres 39/2019 pasal 1)",
        ukuran="Jumlah kode",
        satuan="Kode",
        klasifikasi="Nama daftar kode",
        frekuensi="Saat berubah",
        produsen_data="Dinas Komunikasi dan Informatika",
        level_penyajian="Kode",
        example_filter="daftar = 'jenis_faskes'",
    )
    row_rules: ClassVar[tuple[RowRule, ...]] = (
        RowRule(field="kode_induk", code="own_parent", needs=("kode", "kode_induk"), holds=_not_its_own_parent),
        RowRule(
            field="berlaku_dari",
            code="range_order",
            needs=("berlaku_dari", "berlaku_sampai"),
            holds=lambda values: bool(values["berlaku_dari"] <= values["berlaku_sampai"]),
        ),
    )

    daftar: DaftarKode = spec(
        "Daftar kode",
        "List of codes",
        "Nama daftar dengan huruf kecil dan garis bawah",
        "Name of the list in lower snake_case",
        example="jenis_faskes",
    )
    kode: KodeAsal = spec("Kode", "Code", "Kode dalam daftar itu", "Code within the list", example="puskesmas")
    nama: Nama = spec("Nama", "Name", "Arti kode", "What the code stands for", example="Pusat Kesehatan Masyarakat")
    kode_induk: KodeAsal | None = spec(
        "Kode induk",
        "Parent code",
        "Kode yang lebih umum dalam daftar yang sama",
        "Broader code of the same list",
        example="fasilitas_pemerintah",
        nullable=True,
    )
    definisi: TeksPanjang | None = spec(
        "Definisi",
        "Definition",
        "Penjelasan kode",
        "What the code means in full",
        example="Fasilitas kesehatan tingkat pertama milik pemerintah daerah",
        nullable=True,
    )
    standar: Teks | None = spec(
        "Standar",
        "Standard",
        "Standar atau peraturan asal daftar",
        "Standard or regulation that the list comes from",
        example="Permenkes 19/2024",
        nullable=True,
    )
    berlaku_dari: Tanggal | None = spec(
        "Berlaku dari",
        "Valid from",
        "Tanggal kode mulai berlaku",
        "First day on which the code is valid",
        example="2025-01-01",
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
