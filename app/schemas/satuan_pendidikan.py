"""Satuan pendidikan: schools with their national number, kind and place."""

from __future__ import annotations

from typing import Annotated, ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, SoftRule, spec
from app.schemas.constraints import TextRule
from app.schemas.coordinates import POSITION_RULES
from app.schemas.shared_fields import latitude, longitude, region_where
from app.schemas.types import Bujur, Istilah, Jumlah, KodeWilayah, Lintang, Nama, Npsn, Teks

StatusSekolah = Annotated[str, TextRule(semantic="StatusSekolah", max_length=6, enum=("NEGERI", "SWASTA"))]


class SatuanPendidikan(SharedSchema):
    """One school."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="satuan_pendidikan",
        version=1,
        key=("npsn",),
        title_id="Satuan pendidikan",
        title_en="Schools",
        judul="Daftar Satuan Pendidikan",
        definisi="Kelompok layanan pendidikan formal dan nonformal pada setiap jenjang",
        definition_en="Institutions of formal and non-formal education at every level",
        konsep="Satuan pendidikan (UU 20/2003)",
        ukuran="Jumlah satuan pendidikan",
        satuan="Unit",
        klasifikasi="Bentuk pendidikan, status sekolah, dan kode wilayah Kemendagri",
        frekuensi="Semesteran",
        produsen_data="Dinas Pendidikan, Pemuda dan Olahraga",
        level_penyajian="Satuan pendidikan (titik)",
        example_filter="bentuk = 'MI'",
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = POSITION_RULES

    npsn: Npsn = spec(
        "NPSN", "School number", "Nomor Pokok Sekolah Nasional", "National school number", example="20398000"
    )
    nama: Nama = spec("Nama", "Name", "Nama satuan pendidikan", "Name of the school", example="MI Contoh Kedung")
    bentuk: Istilah | None = spec(
        "Bentuk", "Form", "Bentuk pendidikan", "Form of education", example="MI", nullable=True
    )
    status: StatusSekolah | None = spec(
        "Status", "Status", "Negeri atau swasta", "Public or private", example="SWASTA", nullable=True
    )
    kode_wilayah: KodeWilayah | None = region_where("tempat sekolah berada", "where the school lies", "33.20.01")
    alamat: Teks | None = spec(
        "Alamat",
        "Address",
        "Alamat satuan pendidikan",
        "Address of the school",
        example="Jl. Contoh 1, Kedung",
        nullable=True,
    )
    lat: Lintang | None = latitude(-6.6702)
    lng: Bujur | None = longitude(110.6411)
    jumlah_siswa: Jumlah | None = spec(
        "Jumlah siswa",
        "Pupils",
        "Jumlah peserta didik; kosong bila tidak diketahui",
        "Number of pupils; null when not known",
        example=184,
        nullable=True,
        unit="orang",
    )
    kepala_sekolah: Nama | None = spec(
        "Kepala sekolah",
        "Head of school",
        "Nama kepala sekolah",
        "Name of the head of the school",
        example="Contoh Nama Kepala",
        nullable=True,
        pdp="personal",
        akses="internal",
    )
