"""Lokasi layanan: where the public is served: offices, counters, service points. Schools and clinics have schemas of their own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, SoftRule, spec
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
    Teks,
    TeksPanjang,
    Telepon,
    Url,
)


class LokasiLayanan(SharedSchema):
    """One office, counter or service point."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="lokasi_layanan",
        version=1,
        key=("id",),
        title_id="Lokasi layanan publik",
        title_en="Service points",
        judul="Lokasi Pelayanan Publik",
        definisi="Kantor, loket, dan titik tempat masyarakat menerima pelayanan publik",
        definition_en="Offices, counters and points where the public is served",
        konsep="Pelayanan publik (UU 25/2009)",
        ukuran="Jumlah lokasi",
        satuan="Lokasi",
        klasifikasi="Jenis lokasi dan kode wilayah Kemendagri",
        frekuensi="Saat berubah",
        produsen_data="Bagian Organisasi / Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu",
        pembina="Kementerian PANRB",
        level_penyajian="Lokasi (titik)",
        example_filter="jenis = 'Kantor kecamatan'",
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = POSITION_RULES

    id: Pengenal = spec(
        "Pengenal", "Identifier", "Pengenal di sumber", "Identifier in the source", example="mpp-jepara"
    )
    nama: Nama = spec(
        "Nama", "Name", "Nama lokasi layanan", "Name of the service point", example="Mal Pelayanan Publik Jepara"
    )
    jenis: Istilah | None = spec(
        "Jenis", "Kind", "Jenis lokasi", "Kind of service point", example="Mal pelayanan publik", nullable=True
    )
    penyelenggara_lembaga: Teks | None = spec(
        "Lembaga penyelenggara",
        "Body in charge",
        "Lembaga yang menyelenggarakan layanan",
        "Body that provides the services",
        example="Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu",
        nullable=True,
    )
    layanan: Annotated[list[Teks], ItemsRule(semantic="DaftarTeks", max_items=200)] | None = spec(
        "Layanan",
        "Services",
        "Layanan yang dapat diperoleh",
        "Services that can be had there",
        example=["Perizinan berusaha", "Perekaman KTP-el"],
        nullable=True,
    )
    kode_wilayah: KodeWilayah | None = region_where("tempat lokasi berada", "where it lies", "33.20.06")
    alamat: Teks | None = spec(
        "Alamat", "Address", "Alamat lokasi", "Address of the service point", example="Jl. Kartini 1", nullable=True
    )
    lat: Lintang | None = latitude(-6.5899)
    lng: Bujur | None = longitude(110.6681)
    jam_layanan: TeksPanjang | None = spec(
        "Jam layanan",
        "Service hours",
        "Jam layanan sebagaimana tertulis",
        "Service hours as written",
        example="Senin-Jumat 08.00-15.00",
        nullable=True,
    )
    telepon: Annotated[list[Telepon], ItemsRule(semantic="DaftarTelepon", max_items=20)] | None = spec(
        "Telepon",
        "Phone numbers",
        "Nomor telepon lembaga",
        "Phone numbers of the body",
        example=["(0291) 591492"],
        nullable=True,
    )
    situs: Url | None = spec(
        "Situs",
        "Website",
        "Alamat situs layanan",
        "Address of its website",
        example="https://mpp.example",
        nullable=True,
    )
    status_operasi: Istilah | None = spec(
        "Status operasi",
        "Operating status",
        "Status operasi menurut sumber",
        "Operating status according to the source",
        example="buka",
        nullable=True,
    )
