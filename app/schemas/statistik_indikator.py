"""Statistik indikator: one value of one indicator for one region and year."""

from __future__ import annotations

from typing import Annotated, ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, spec
from app.schemas.constraints import TextRule
from app.schemas.shared_fields import region_or_origin
from app.schemas.types import Desimal, Istilah, KodeIndikator, KodeWilayahAtauAsal, Pengali, Tahun, Teks, TeksPanjang

StatusAngka = Annotated[str, TextRule(semantic="StatusAngka", max_length=9, enum=("tetap", "sementara"))]


class StatistikIndikator(SharedSchema):
    """One figure; `nilai` null means not available, never zero."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="statistik_indikator",
        version=1,
        key=("kode_indikator", "kode_wilayah", "tahun"),
        title_id="Statistik indikator",
        title_en="Statistical indicators",
        judul="Nilai Indikator Statistik Daerah",
        definisi="Nilai indikator pembangunan menurut wilayah dan tahun",
        definition_en="Values of development indicators by region and year",
        konsep="Indikator statistik dasar dan sektoral",
        ukuran="Nilai indikator",
        satuan="Menurut indikator",
        klasifikasi="Kode indikator, wilayah, dan tahun",
        frekuensi="Tahunan",
        produsen_data="Badan Perencanaan Pembangunan Daerah / BPS",
        level_penyajian="Kabupaten/kota",
        example_filter="tahun >= 2020",
    )

    kode_indikator: KodeIndikator = spec(
        "Kode indikator",
        "Indicator code",
        "Kode indikator dengan huruf kecil dan garis bawah",
        "Code of the indicator in lower snake_case",
        example="kemiskinan_pct",
    )
    kode_wilayah: KodeWilayahAtauAsal | None = region_or_origin("33.20", nullable=True)
    tahun: Tahun = spec("Tahun", "Year", "Tahun acuan nilai", "Year that the value describes", example=2024)
    nilai: Desimal | None = spec(
        "Nilai",
        "Value",
        "Nilai indikator dalam satuan kali pengali; kosong bila tidak tersedia",
        "Value in units times multiplier; null when not available",
        example="6.09",
        nullable=True,
    )
    satuan: Istilah | None = spec(
        "Satuan", "Unit", "Satuan nilai", "Unit of the value", example="persen", nullable=True
    )
    pengali: Pengali | None = spec(
        "Pengali",
        "Multiplier",
        "Faktor pengali nilai, misalnya 1000 untuk ribuan",
        "Factor of the value, such as 1000 for thousands",
        example=1,
        nullable=True,
    )
    status: StatusAngka | None = spec(
        "Status", "Status", "Angka tetap atau sementara", "Final or preliminary figure", example="tetap", nullable=True
    )
    produsen: Teks | None = spec(
        "Produsen", "Producer", "Penghasil angka", "Who produced the figure", example="BPS Jepara", nullable=True
    )
    definisi: TeksPanjang | None = spec(
        "Definisi",
        "Definition",
        "Definisi indikator",
        "Definition of the indicator",
        example="Persentase penduduk di bawah garis kemiskinan",
        nullable=True,
    )
