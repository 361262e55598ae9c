"""Fasilitas kesehatan: health facilities with place, kind and contact."""

from __future__ import annotations

from typing import Annotated, ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, SoftRule, spec
from app.schemas.constraints import ItemsRule, TextRule
from app.schemas.coordinates import POSITION_RULES
from app.schemas.shared_fields import latitude, longitude, region_where
from app.schemas.types import Benar, Bujur, Email, Istilah, KodeFaskes, KodeWilayah, Lintang, Nama, Teks, Telepon

_KINDS = ("puskesmas", "rumah_sakit", "rs_umum", "rs_khusus", "klinik", "posyandu", "lainnya")
JenisFaskes = Annotated[str, TextRule(semantic="JenisFaskes", max_length=11, enum=_KINDS)]


class FasilitasKesehatan(SharedSchema):
    """One health facility; `jenis` null means that the source does not say."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="fasilitas_kesehatan",
        version=1,
        key=("kode_faskes",),
        title_id="Fasilitas kesehatan",
        title_en="Health facilities",
        judul="Daftar Fasilitas Pelayanan Kesehatan",
        definisi="Tempat yang digunakan untuk menyelenggarakan upaya pelayanan kesehatan",
        definition_en="Places where health services are provided",
        konsep="Fasilitas pelayanan kesehatan (PP 47/2016)",
        ukuran="Jumlah fasilitas",
        satuan="Unit",
        klasifikasi="Jenis fasilitas dan kode wilayah Kemendagri",
        frekuensi="Tahunan",
        produsen_data="Dinas Kesehatan",
        level_penyajian="Fasilitas (titik)",
        example_filter="jenis = 'puskesmas'",
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = POSITION_RULES

    kode_faskes: KodeFaskes = spec(
        "Kode fasilitas",
        "Facility code",
        "Kode fasilitas menurut sumber, tidak ditafsirkan",
        "Code of the facility in the source, not interpreted",
        example="P3320120101",
    )
    nama: Nama = spec("Nama", "Name", "Nama fasilitas", "Name of the facility", example="Puskesmas Karimunjawa")
    jenis: JenisFaskes | None = spec(
        "Jenis",
        "Kind",
        "Jenis fasilitas; rumah_sakit bila umum atau khusus tidak disebut",
        "Kind of facility; rumah_sakit where general or special is not stated",
        example="puskesmas",
        nullable=True,
    )
    rawat_inap: Benar | None = spec(
        "Rawat inap",
        "Inpatient care",
        "Apakah melayani rawat inap; kosong bila tidak diketahui",
        "Whether it takes inpatients; null when not known",
        example=True,
        nullable=True,
    )
    kelas: Istilah | None = spec(
        "Kelas", "Class", "Kelas rumah sakit atau klinik", "Class of the hospital or clinic", example="B", nullable=True
    )
    kode_wilayah: KodeWilayah | None = region_where("tempat fasilitas berada", "where the facility lies", "33.20.10")
    alamat: Teks | None = spec(
        "Alamat",
        "Address",
        "Alamat fasilitas",
        "Address of the facility",
        example="Jl. Jenderal Sudirman, Karimunjawa",
        nullable=True,
    )
    telepon: Annotated[list[Telepon], ItemsRule(semantic="DaftarTelepon", max_items=20)] | None = spec(
        "Telepon",
        "Phone numbers",
        "Nomor telepon fasilitas",
        "Phone numbers of the facility",
        example=["(0297) 312128"],
        nullable=True,
    )
    lat: Lintang | None = latitude(-5.879173)
    lng: Bujur | None = longitude(110.433174)
    status_operasi: Istilah | None = spec(
        "Status operasi",
        "Operating status",
        "Status operasi menurut sumber",
        "Operating status according to the source",
        example="beroperasi",
        nullable=True,
    )
    email_kontak: Email | None = spec(
        "Email kontak",
        "Contact e-mail",
        "Alamat email petugas kontak",
        "E-mail address of the contact person",
        example="kontak@faskes.example",
        nullable=True,
        pdp="personal",
        akses="internal",
    )
