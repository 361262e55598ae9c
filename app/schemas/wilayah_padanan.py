"""Wilayah padanan: the crosswalk from other coding systems to the region codes of Kemendagri."""

from __future__ import annotations

from typing import Annotated, ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, spec
from app.schemas.constraints import TextRule
from app.schemas.types import Keyakinan, KodeAsal, KodeWilayah, Nama, Tahun

Sistem = Annotated[str, TextRule(semantic="Sistem", max_length=8, enum=("bps", "dapodik", "pihps", "pos", "kemenkes"))]
Metode = Annotated[str, TextRule(semantic="Metode", max_length=6, enum=("kode", "nama", "manual"))]


class WilayahPadanan(SharedSchema):
    """One code of another system with its Kemendagri code, and how the two were matched."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="wilayah_padanan",
        version=1,
        key=("sistem", "kode_asal"),
        title_id="Padanan kode wilayah",
        title_en="Region code crosswalk",
        judul="Padanan Kode Wilayah Antarsistem",
        definisi="Pasangan kode wilayah suatu sistem dengan kode wilayah Kemendagri",
        definition_en="Pairs of a region code of some system and that of the Ministry of Home Affairs",
        konsep="Kode referensi (Perpres 39/2019): satu wilayah, banyak kode",
        ukuran="Jumlah pasangan kode",
        satuan="Pasangan",
        klasifikasi="Kode wilayah Kemendagri dan kode sistem asal",
        frekuensi="Tahunan",
        produsen_data="Dinas Komunikasi dan Informatika (walidata) bersama BPS",
        level_penyajian="Desa/kelurahan",
        example_filter="sistem = 'bps'",
    )

    kode_kemendagri: KodeWilayah | None = spec(
        "Kode Kemendagri",
        "Kemendagri code",
        "Kode wilayah Kemendagri; kosong bila belum ada padanan",
        "Region code of Kemendagri; null while there is no match",
        example="33.20.10",
        nullable=True,
    )
    sistem: Sistem = spec("Sistem", "System", "Sistem pemilik kode asal", "System that owns the code", example="bps")
    kode_asal: KodeAsal = spec(
        "Kode asal",
        "Original code",
        "Kode menurut sistem asal, sebagai teks",
        "Code in the original system, as text",
        example="3320120",
    )
    nama_asal: Nama | None = spec(
        "Nama asal",
        "Original name",
        "Nama menurut sistem asal",
        "Name in the original system",
        example="KARIMUNJAWA",
        nullable=True,
    )
    metode: Metode | None = spec(
        "Metode",
        "Method",
        "Cara padanan dibuat: dari kode, dari nama, atau manual",
        "How the match was made: by code, by name or by hand",
        example="nama",
        nullable=True,
    )
    keyakinan: Keyakinan | None = spec(
        "Keyakinan",
        "Confidence",
        "Keyakinan atas padanan, 0 sampai 1",
        "Confidence in the match, 0 to 1",
        example=1.0,
        nullable=True,
    )
    tahun: Tahun | None = spec(
        "Tahun", "Year", "Tahun edisi kode asal", "Year of the original code list", example=2018, nullable=True
    )
