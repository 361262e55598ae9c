"""Penduduk verifikasi: facts of one resident, compared with what an office was told. Looked up by NIK, never listed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, SoftRule, spec
from app.schemas.identifiers import nik_parts
from app.schemas.types import Istilah, KodeWilayah, Nama, Nik, Tanggal


def _birth_date_agrees(values: Mapping[str, Any]) -> bool:
    """A NIK keeps its digits when the data in it were wrong (PP 40/2019 article 30(2)), so this only warns."""
    born: dt.date = values["tanggal_lahir"]
    return any(born == date for date in nik_parts(values["nik"], dt.date.max).birth_dates)


class PendudukVerifikasi(SharedSchema):
    """One resident. Every field is personal and restricted; access rules answer matches, not values."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="penduduk_verifikasi",
        version=1,
        key=("nik",),
        title_id="Verifikasi penduduk",
        title_en="Resident verification",
        judul="Verifikasi Data Penduduk",
        definisi="Pencocokan data seseorang dengan data kependudukan",
        definition_en="Comparison of a person's data with the population register",
        konsep="Hak akses data kependudukan (Permendagri 102/2019)",
        ukuran="Hasil pencocokan",
        satuan="Orang",
        klasifikasi="Nomor Induk Kependudukan",
        frekuensi="Saat diminta",
        produsen_data="Dinas Kependudukan dan Pencatatan Sipil",
        pembina="Kementerian Dalam Negeri",
        level_penyajian="Orang",
        tingkat_akses="terbatas",
        lookup_only=True,
        subject="nik",
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = (
        SoftRule(
            field="tanggal_lahir",
            code="nik_birth_date_mismatch",
            needs=("nik", "tanggal_lahir"),
            holds=_birth_date_agrees,
            detail_id="tanggal lahir berbeda dari digit NIK; NIK tidak berubah walau data lahir dibetulkan",
            detail_en="the birth date differs from the digits of the NIK; a NIK stays when birth data are corrected",
        ),
    )

    nik: Nik = spec(
        "NIK",
        "NIK",
        "Nomor Induk Kependudukan, 16 digit",
        "National identity number, 16 digits",
        example="3320994101900001",
        pdp="sensitive",
        akses="terbatas",
    )
    nama: Nama = spec(
        "Nama", "Name", "Nama lengkap", "Full name", example="Contoh Warga Uji", pdp="personal", akses="terbatas"
    )
    tanggal_lahir: Tanggal | None = spec(
        "Tanggal lahir",
        "Date of birth",
        "Tanggal lahir menurut data kependudukan",
        "Date of birth in the population register",
        example="1990-01-01",
        nullable=True,
        pdp="personal",
        akses="terbatas",
    )
    status_dasar: Istilah | None = spec(
        "Status dasar",
        "Basic status",
        "Status kependudukan: hidup, mati, pindah, hilang",
        "Status in the register: alive, dead, moved, missing",
        example="hidup",
        nullable=True,
        pdp="personal",
        akses="terbatas",
    )
    kode_wilayah: KodeWilayah | None = spec(
        "Kode wilayah",
        "Region code",
        "Kode wilayah alamat terdaftar",
        "Region code of the registered address",
        example="33.20.99",
        nullable=True,
        pdp="personal",
        akses="terbatas",
    )
