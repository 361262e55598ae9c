"""Penerima bantuan agregat: how many families and persons a programme reached, and with how much. Nobody by name."""

from __future__ import annotations

from typing import ClassVar

from app.schemas.base import RowRule, SchemaMeta, SharedSchema, spec
from app.schemas.shared_fields import region_or_origin
from app.schemas.small_cells import small_cell_rule
from app.schemas.types import Istilah, Jumlah, KodeWilayahAtauAsal, RupiahTakNegatif, Tahun, Teks


class PenerimaBantuanAgregat(SharedSchema):
    """One programme in one region and year; null means not counted, or suppressed."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="penerima_bantuan_agregat",
        version=1,
        key=("program", "kode_wilayah", "tahun"),
        title_id="Penerima bantuan agregat",
        title_en="Recipients of aid, counted",
        judul="Jumlah Penerima Bantuan Sosial Menurut Program dan Wilayah",
        definisi="Jumlah keluarga dan jiwa penerima bantuan sosial menurut program, wilayah, dan tahun",
        definition_en="Counts of families and persons who received social aid, by programme, region and year",
        konsep="Bantuan sosial (UU 13/2011, PP 39/2012)",
        ukuran="Jumlah penerima dan nilai bantuan",
        satuan="Keluarga; jiwa; rupiah",
        klasifikasi="Program bantuan dan kode wilayah Kemendagri",
        frekuensi="Tahunan",
        produsen_data="Dinas Sosial, Pemberdayaan Masyarakat dan Desa",
        pembina="Kementerian Sosial / BPS",
        level_penyajian="Desa/kelurahan",
        example_filter="tahun = 2025",
    )
    row_rules: ClassVar[tuple[RowRule, ...]] = (small_cell_rule("jumlah_kk"), small_cell_rule("jumlah_jiwa"))

    program: Istilah = spec(
        "Program", "Programme", "Nama program bantuan", "Name of the programme", example="Program Keluarga Harapan"
    )
    kode_wilayah: KodeWilayahAtauAsal | None = region_or_origin("33.20.06", nullable=True)
    tahun: Tahun = spec("Tahun", "Year", "Tahun anggaran", "Budget year", example=2025)
    jumlah_kk: Jumlah | None = spec(
        "Jumlah keluarga",
        "Families",
        "Jumlah keluarga penerima; kosong bila tidak tersedia atau disamarkan",
        "Families that received it; null when not available or suppressed",
        example=1240,
        nullable=True,
        unit="keluarga",
    )
    jumlah_jiwa: Jumlah | None = spec(
        "Jumlah jiwa",
        "Persons",
        "Jumlah jiwa penerima; kosong bila tidak tersedia atau disamarkan",
        "Persons who received it; null when not available or suppressed",
        example=4310,
        nullable=True,
        unit="jiwa",
    )
    rupiah: RupiahTakNegatif | None = spec(
        "Nilai bantuan",
        "Amount",
        "Nilai bantuan yang disalurkan; kosong untuk bantuan berupa barang",
        "Amount that was paid out; null for aid in kind",
        example="3720000000",
        nullable=True,
        unit="rupiah",
    )
    sumber_dana: Teks | None = spec(
        "Sumber dana", "Source of funds", "Sumber pendanaan", "Where the funds come from", example="APBN", nullable=True
    )
