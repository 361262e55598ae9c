"""Kunjungan wisata: visitors and revenue of a tourist destination in a period."""

from __future__ import annotations

from typing import ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, spec
from app.schemas.types import Jumlah, Nama, Pengenal, Periode, RupiahTakNegatif


class KunjunganWisata(SharedSchema):
    """One destination in one period; null means not counted, never zero."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="kunjungan_wisata",
        version=1,
        key=("destinasi_id", "periode"),
        title_id="Kunjungan wisata",
        title_en="Tourist visits",
        judul="Kunjungan Wisatawan dan Pendapatan Destinasi",
        definisi="Jumlah kunjungan wisatawan dan pendapatan suatu destinasi dalam suatu periode",
        definition_en="Visits of tourists to a destination in a period, and its revenue",
        konsep="Wisatawan nusantara dan mancanegara (UU 10/2009)",
        ukuran="Jumlah kunjungan dan pendapatan",
        satuan="Kunjungan; rupiah",
        klasifikasi="Destinasi, periode, dan asal wisatawan",
        frekuensi="Bulanan",
        produsen_data="Dinas Pariwisata dan Kebudayaan",
        level_penyajian="Destinasi",
        example_filter="periode = '2025-07'",
    )

    destinasi_id: Pengenal = spec(
        "Pengenal destinasi",
        "Destination",
        "Pengenal destinasi, sama dengan id pada destinasi_wisata",
        "Identifier of the destination, the id of destinasi_wisata",
        example="1",
    )
    periode: Periode = spec(
        "Periode",
        "Period",
        "Bulan, triwulan, semester, atau tahun, misalnya 2025-07",
        "Month, quarter, half year or year, such as 2025-07",
        example="2025-07",
    )
    nama_destinasi: Nama | None = spec(
        "Nama destinasi",
        "Name of the destination",
        "Nama destinasi sebagaimana tertulis di sumber",
        "Name of the destination as the source writes it",
        example="Pantai Kartini",
        nullable=True,
    )
    wisnus: Jumlah | None = spec(
        "Wisatawan nusantara",
        "Domestic visits",
        "Kunjungan wisatawan nusantara; kosong bila tidak dicatat",
        "Visits of domestic tourists; null when not counted",
        example=12450,
        nullable=True,
        unit="kunjungan",
    )
    wisman: Jumlah | None = spec(
        "Wisatawan mancanegara",
        "Foreign visits",
        "Kunjungan wisatawan mancanegara; kosong bila tidak dicatat",
        "Visits of foreign tourists; null when not counted",
        example=38,
        nullable=True,
        unit="kunjungan",
    )
    pendapatan: RupiahTakNegatif | None = spec(
        "Pendapatan",
        "Revenue",
        "Pendapatan tiket dan retribusi; kosong bila tidak dicatat",
        "Revenue of tickets and levies; null when not counted",
        example="62250000",
        nullable=True,
        unit="rupiah",
    )
