"""Kode pos: which postcode serves which village."""

from __future__ import annotations

from typing import ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, SoftRule, spec
from app.schemas.types import KodePos as NomorPos
from app.schemas.types import KodeWilayahAtauAsal, Nama


class KodePos(SharedSchema):
    """One postcode of one village; a village with several has a record for each."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="kode_pos",
        version=1,
        key=("kode_wilayah", "kode_pos"),
        title_id="Kode pos",
        title_en="Postcodes",
        judul="Kode Pos Desa dan Kelurahan",
        definisi="Kode pos yang melayani suatu desa atau kelurahan",
        definition_en="Postcodes that serve a village",
        konsep="Kode pos lima digit (UU 38/2009 tentang Pos)",
        ukuran="Jumlah kode pos",
        satuan="Kode pos",
        klasifikasi="Kode wilayah Kemendagri",
        frekuensi="Saat berubah",
        produsen_data="Bagian Pemerintahan / Dinas Komunikasi dan Informatika",
        pembina="Kementerian Komunikasi dan Digital",
        level_penyajian="Desa/kelurahan",
        example_filter="kode_pos = '59455'",
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = (
        SoftRule(
            field="kode_wilayah",
            code="not_a_village",
            needs=("kode_wilayah",),
            holds=lambda values: ":" in values["kode_wilayah"] or values["kode_wilayah"].count(".") == 3,
            detail_id="kode wilayah bukan desa atau kelurahan; satu kecamatan dapat memiliki beberapa kode pos",
            detail_en="the region is no village; a kecamatan may have several postcodes",
        ),
    )

    kode_wilayah: KodeWilayahAtauAsal = spec(
        "Kode wilayah",
        "Region code",
        "Kode desa atau kelurahan menurut Kemendagri, atau sistem:kode bila sumber tidak memilikinya",
        "Code of the village of Kemendagri, or system:code where the source has none",
        example="33.20.10.2001",
    )
    kode_pos: NomorPos = spec(
        "Kode pos", "Postcode", "Lima digit, tidak diawali nol", "Five digits, the first not zero", example="59455"
    )
    nama: Nama | None = spec(
        "Nama wilayah",
        "Region name",
        "Nama desa atau kelurahan sebagaimana tertulis di sumber",
        "Name of the village as the source writes it",
        example="Karimunjawa",
        nullable=True,
    )
