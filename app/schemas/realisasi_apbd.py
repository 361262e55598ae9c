"""Realisasi APBD: budget and realisation of a regional government by month and account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from app.schemas.base import RowRule, SchemaMeta, SharedSchema, spec
from app.schemas.types import Bulan, KodeAkun, KodeWilayahAtauAsal, Rupiah, Tahun, Tanggal

_BALANCE = ("pendapatan", "belanja", "pembiayaan", "silpa")


def _silpa_holds(values: Mapping[str, Any]) -> bool:
    """One rupiah is allowed: real files round each part by itself."""
    balance = values["pendapatan"] - values["belanja"] + values["pembiayaan"]
    return bool(abs(values["silpa"] - balance) <= 1)


class RealisasiApbd(SharedSchema):
    """One account (or `agregat`) of one government and month.

    An account row fills `anggaran` and `realisasi`; an aggregate row `pendapatan`, `belanja`, `pembiayaan`, `silpa`.
    """

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="realisasi_apbd",
        version=1,
        key=("kode_pemda", "tahun", "bulan", "kode_akun"),
        title_id="Realisasi APBD",
        title_en="Regional budget realisation",
        judul="Realisasi Anggaran Pendapatan dan Belanja Daerah",
        definisi="Anggaran dan realisasi APBD pemerintah daerah sampai tanggal batas",
        definition_en="Budget of the regional government and what was realised of it up to a day",
        konsep="Laporan realisasi anggaran (PP 12/2019)",
        ukuran="Nilai anggaran dan realisasi",
        satuan="Rupiah",
        klasifikasi="Kode akun (Permendagri 90/2019) dan kode pemerintah daerah",
        frekuensi="Bulanan",
        produsen_data="Badan Pengelolaan Keuangan dan Aset Daerah",
        level_penyajian="Pemerintah daerah",
        example_filter="tahun = 2025",
    )
    row_rules: ClassVar[tuple[RowRule, ...]] = (
        RowRule(field="silpa", code="silpa_mismatch", needs=_BALANCE, holds=_silpa_holds),
    )

    kode_pemda: KodeWilayahAtauAsal = spec(
        "Kode pemda",
        "Government code",
        "Kode wilayah pemerintah daerah, atau sistem:nama bila sumber tidak memilikinya",
        "Region code of the government, or system:name where the source has none",
        example="33.20",
    )
    tahun: Tahun = spec("Tahun", "Year", "Tahun anggaran", "Budget year", example=2026)
    bulan: Bulan | None = spec(
        "Bulan",
        "Month",
        "Bulan 1-12; kosong untuk setahun",
        "Month 1-12; null for a whole year",
        example=3,
        nullable=True,
    )
    tanggal_batas: Tanggal | None = spec(
        "Tanggal batas",
        "Cut-off date",
        "Angka dihitung sampai tanggal ini",
        "The figures count up to this day",
        example="2026-03-31",
        nullable=True,
    )
    kode_akun: KodeAkun | None = spec(
        "Kode akun",
        "Account code",
        "Kode akun, atau agregat untuk jumlah semua akun",
        "Code of the account, or agregat for the sum of all",
        example="agregat",
        nullable=True,
    )
    anggaran: Rupiah | None = spec(
        "Anggaran", "Budget", "Anggaran akun", "Budget of the account", example=None, nullable=True, unit="rupiah"
    )
    realisasi: Rupiah | None = spec(
        "Realisasi", "Realised", "Realisasi akun", "Realised on the account", example=None, nullable=True, unit="rupiah"
    )
    pendapatan: Rupiah | None = spec(
        "Pendapatan",
        "Revenue",
        "Realisasi pendapatan",
        "Realised revenue",
        example="172207423384",
        nullable=True,
        unit="rupiah",
    )
    belanja: Rupiah | None = spec(
        "Belanja",
        "Expenditure",
        "Realisasi belanja",
        "Realised expenditure",
        example="45202125011",
        nullable=True,
        unit="rupiah",
    )
    pembiayaan: Rupiah | None = spec(
        "Pembiayaan", "Financing", "Pembiayaan neto", "Net financing", example="0", nullable=True, unit="rupiah"
    )
    silpa: Rupiah | None = spec(
        "SiLPA",
        "Surplus",
        "Sisa lebih pembiayaan anggaran; boleh negatif",
        "Surplus after financing; may be negative",
        example="127005298373",
        nullable=True,
        unit="rupiah",
    )
