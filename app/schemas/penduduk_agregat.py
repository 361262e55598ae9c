"""Penduduk agregat: counts of residents by region, period, sex, age group and one more category. Nobody by name."""

from __future__ import annotations

from typing import Annotated, ClassVar

from app.schemas.base import RowRule, SchemaMeta, SharedSchema, spec
from app.schemas.constraints import TextRule
from app.schemas.shared_fields import region_or_origin
from app.schemas.small_cells import small_cell_rule
from app.schemas.types import Jumlah, KodeWilayahAtauAsal, Periode, Teks

JenisKelamin = Annotated[str, TextRule(semantic="JenisKelamin", max_length=9, enum=("laki_laki", "perempuan"))]


def _age_order(value: str) -> str | None:
    low, _, high = value.partition("-")
    return "range_order" if high and int(low) > int(high) else None


KelompokUmur = Annotated[
    str,
    TextRule(
        semantic="KelompokUmur",
        min_length=2,
        max_length=7,
        pattern=r"^(0|[1-9][0-9]{0,2})(-(0|[1-9][0-9]{0,2})|\+)$",
        check=_age_order,
    ),
]
"""Ages in whole years, both included, without leading zeros: `0-4`, `17-17`, `75+`."""
Kategori = Annotated[
    str,
    TextRule(
        semantic="Kategori",
        min_length=3,
        max_length=120,
        pattern=r"^[a-z][a-z0-9_]{0,39}:[0-9A-Za-z][0-9A-Za-z .,()/_-]{0,79}$",
    ),
]
"""What is counted by, and the class: `agama:Islam`, `pendidikan:SLTA/Sederajat`."""


class PendudukAgregat(SharedSchema):
    """One count. A part of the key that is null is not divided by: both sexes, all ages, every category."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="penduduk_agregat",
        version=1,
        key=("kode_wilayah", "periode", "jenis_kelamin", "kelompok_umur", "kategori"),
        title_id="Penduduk agregat",
        title_en="Population counts",
        judul="Jumlah Penduduk Menurut Wilayah dan Kelompok",
        definisi="Jumlah penduduk menurut wilayah, periode, jenis kelamin, kelompok umur, dan kategori",
        definition_en="Counts of residents by region, period, sex, age group and category",
        konsep="Data kependudukan bersih, agregat (UU 24/2013 pasal 58)",
        ukuran="Jumlah penduduk",
        satuan="Jiwa",
        klasifikasi="Jenis kelamin, kelompok umur, dan kategori (agama, pekerjaan, pendidikan, status perkawinan)",
        frekuensi="Semesteran",
        produsen_data="Dinas Kependudukan dan Pencatatan Sipil",
        pembina="Kementerian Dalam Negeri",
        level_penyajian="Desa/kelurahan",
        tingkat_akses="internal",
        example_filter="periode = '2025-S1' AND kategori IS NULL",
    )
    row_rules: ClassVar[tuple[RowRule, ...]] = (small_cell_rule("jumlah"),)

    kode_wilayah: KodeWilayahAtauAsal = region_or_origin("33.20.10", akses="internal")
    periode: Periode = spec(
        "Periode",
        "Period",
        "Semester, misalnya 2025-S1; tahun bila sumber hanya menyebut tahun",
        "Half year such as 2025-S1; the year where the source states nothing more",
        example="2025-S1",
        akses="internal",
    )
    jenis_kelamin: JenisKelamin | None = spec(
        "Jenis kelamin",
        "Sex",
        "Kosong untuk jumlah keduanya",
        "Null for both together",
        example="perempuan",
        nullable=True,
        akses="internal",
    )
    kelompok_umur: KelompokUmur | None = spec(
        "Kelompok umur",
        "Age group",
        "Umur terendah dan tertinggi dalam tahun; kosong untuk semua umur",
        "Lowest and highest age in years; null for all ages",
        example="15-19",
        nullable=True,
        akses="internal",
    )
    kategori: Kategori | None = spec(
        "Kategori",
        "Category",
        "Klasifikasi dan kelasnya, misalnya agama:Islam; kosong bila tidak dipilah",
        "What is counted by and the class, such as agama:Islam; null where not divided",
        example="pendidikan:SLTA/Sederajat",
        nullable=True,
        akses="internal",
    )
    jumlah: Jumlah | None = spec(
        "Jumlah",
        "Count",
        "Jumlah jiwa; kosong bila tidak tersedia atau disamarkan karena di bawah lima di suatu desa",
        "Persons; null when not available, or suppressed because a village has fewer than five",
        example=312,
        nullable=True,
        unit="jiwa",
        akses="internal",
    )
    keterangan: Teks | None = spec(
        "Keterangan",
        "Remark",
        "Catatan sumber",
        "Remark of the source",
        example="Data Konsolidasi Bersih",
        nullable=True,
        akses="internal",
    )
