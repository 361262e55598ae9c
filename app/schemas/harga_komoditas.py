"""Harga komoditas: prices of food and other goods by day, region and market."""

from __future__ import annotations

from typing import ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, spec
from app.schemas.shared_fields import region_or_origin
from app.schemas.types import Istilah, KodeWilayahAtauAsal, RupiahTakNegatif, Tanggal, Teks


class HargaKomoditas(SharedSchema):
    """One price; `harga` null means that the market was asked and had none."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="harga_komoditas",
        version=1,
        key=("tanggal", "kode_wilayah", "pasar", "komoditas"),
        title_id="Harga komoditas",
        title_en="Commodity prices",
        judul="Harga Komoditas Harian",
        definisi="Harga eceran komoditas pada tanggal dan tempat tertentu",
        definition_en="Retail prices of commodities at a place on a day",
        konsep="Harga konsumen rata-rata hasil pencatatan di pasar",
        ukuran="Harga",
        satuan="Rupiah per satuan",
        klasifikasi="Komoditas, pasar, dan wilayah",
        frekuensi="Harian",
        produsen_data="Dinas Perindustrian dan Perdagangan",
        level_penyajian="Pasar atau wilayah",
        example_filter="komoditas = 'Beras medium'",
    )

    tanggal: Tanggal = spec("Tanggal", "Date", "Tanggal pencatatan", "Day of the record", example="2026-11-01")
    kode_wilayah: KodeWilayahAtauAsal | None = region_or_origin("33.20", nullable=True)
    pasar: Istilah | None = spec(
        "Pasar",
        "Market",
        "Nama pasar; kosong untuk rata-rata wilayah",
        "Name of the market; null for the average of the region",
        example="Pasar Bangsri",
        nullable=True,
    )
    komoditas: Istilah = spec(
        "Komoditas", "Commodity", "Nama komoditas", "Name of the commodity", example="Beras medium"
    )
    satuan: Istilah | None = spec(
        "Satuan", "Unit", "Satuan barang untuk harga ini", "Unit of goods for this price", example="kg", nullable=True
    )
    harga: RupiahTakNegatif | None = spec(
        "Harga",
        "Price",
        "Harga per satuan; kosong bila tidak ada harga",
        "Price per unit; null when there was none",
        example="14300",
        nullable=True,
        unit="rupiah",
    )
    sumber: Teks | None = spec(
        "Sumber", "Source", "Asal pencatatan", "Where the price was recorded", example="PIHPS", nullable=True
    )
