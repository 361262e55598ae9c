"""Destinasi wisata: tourist destinations with prices, opening hours and who runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from app.schemas.base import SchemaMeta, SharedPart, SharedSchema, SoftRule, spec
from app.schemas.constraints import ItemsRule
from app.schemas.coordinates import POSITION_RULES
from app.schemas.shared_fields import latitude, longitude, region_where
from app.schemas.types import (
    Bujur,
    Istilah,
    KodeWilayah,
    Lintang,
    Nama,
    Pengenal,
    RupiahBulat,
    Teks,
    TeksPanjang,
)


class HargaTiket(SharedPart):
    """One price of admission; `rupiah` null where the text names no number."""

    kategori: Teks | None = spec(
        "Kategori", "Category", "Golongan pengunjung", "Who pays this price", example="Dewasa", nullable=True
    )
    hari: Teks | None = spec(
        "Hari", "Days", "Hari berlakunya harga", "Days on which it holds", example="Hari biasa", nullable=True
    )
    rupiah: RupiahBulat | None = spec(
        "Harga", "Price", "Harga tiket", "Price of the ticket", example=10000, nullable=True, unit="rupiah"
    )
    teks_asli: TeksPanjang | None = spec(
        "Teks asli",
        "Original text",
        "Harga sebagaimana tertulis di sumber",
        "The price as the source writes it",
        example="Dewasa Rp 10.000",
        nullable=True,
    )


def _prices_clear(values: Mapping[str, Any]) -> bool:
    """Whether every price that is written with a digit has its amount."""
    for price in values["harga_tiket"]:
        given = price if isinstance(price, Mapping) else vars(price)
        if given.get("rupiah") is None and any(sign.isdigit() for sign in given.get("teks_asli") or ""):
            return False
    return True


_PRICE_RULES = (
    SoftRule(
        field="harga_tiket",
        code="price_unclear",
        needs=("harga_tiket",),
        holds=_prices_clear,
        detail_id="teks harga memuat angka yang tidak pasti merupakan harga; jumlahnya dikosongkan",
        detail_en="the text holds a number that may be no price; its amount is null",
    ),
)


class DestinasiWisata(SharedSchema):
    """One destination."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="destinasi_wisata",
        version=1,
        key=("id",),
        title_id="Destinasi wisata",
        title_en="Tourist destinations",
        judul="Daftar Destinasi Wisata",
        definisi="Tempat yang dikunjungi karena daya tarik wisatanya",
        definition_en="Places that are visited for what attracts tourists there",
        konsep="Daya tarik wisata (UU 10/2009)",
        ukuran="Jumlah destinasi",
        satuan="Destinasi",
        klasifikasi="Jenis wisata dan kode wilayah Kemendagri",
        frekuensi="Tahunan",
        produsen_data="Dinas Pariwisata dan Kebudayaan",
        level_penyajian="Destinasi (titik)",
        example_filter="kode_wilayah = '33.20.06'",
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = (*POSITION_RULES, *_PRICE_RULES)

    id: Pengenal = spec("Pengenal", "Identifier", "Pengenal di sumber", "Identifier in the source", example="1")
    nama: Nama = spec("Nama", "Name", "Nama destinasi", "Name of the destination", example="Pantai Kartini")
    jenis: Annotated[list[Istilah], ItemsRule(semantic="DaftarIstilah", max_items=20)] | None = spec(
        "Jenis", "Kinds", "Jenis wisata", "Kinds of tourism", example=["Wisata Alam"], nullable=True
    )
    kode_wilayah: KodeWilayah | None = region_where("tempat destinasi berada", "where the destination lies", "33.20.06")
    lat: Lintang | None = latitude(-6.589444)
    lng: Bujur | None = longitude(110.646389)
    jam_buka: TeksPanjang | None = spec(
        "Jam buka",
        "Opening hours",
        "Jam buka sebagaimana tertulis",
        "Opening hours as written",
        example="Setiap hari 07.00-17.00",
        nullable=True,
    )
    harga_tiket: Annotated[list[HargaTiket], ItemsRule(semantic="DaftarHargaTiket", max_items=50)] | None = spec(
        "Harga tiket",
        "Admission prices",
        "Daftar harga tiket masuk",
        "Prices of admission",
        example=[
            {"kategori": "WNI", "hari": "Hari biasa", "rupiah": 5000, "teks_asli": "WNI (Weekday Rp 5.000)"},
        ],
        nullable=True,
    )
    fasilitas: Annotated[list[Teks], ItemsRule(semantic="DaftarTeks", max_items=100)] | None = spec(
        "Fasilitas",
        "Facilities",
        "Fasilitas di destinasi",
        "Facilities at the destination",
        example=["Penginapan", "Pelabuhan Rakyat"],
        nullable=True,
    )
    pengelola_lembaga: Teks | None = spec(
        "Lembaga pengelola",
        "Managing body",
        "Lembaga yang mengelola",
        "Body that runs the destination",
        example="Dinas Pariwisata dan Kebudayaan",
        nullable=True,
    )
    pengelola_nama: Teks | None = spec(
        "Nama pengelola",
        "Manager's name",
        "Nama orang yang mengelola",
        "Name of the person in charge",
        example="Contoh Nama Pengelola",
        nullable=True,
        pdp="personal",
        akses="internal",
    )
    kontak: Teks | None = spec(
        "Kontak",
        "Contact",
        "Nomor atau alamat kontak pengelola",
        "Number or address of the person in charge",
        example="0800-0000-0000",
        nullable=True,
        pdp="personal",
        akses="internal",
    )
    status_kepemilikan: Teks | None = spec(
        "Status kepemilikan",
        "Ownership",
        "Pemilik menurut sumber",
        "Owner according to the source",
        example="BALAI TAMAN NASIONAL",
        nullable=True,
    )
