"""Pulau: named islands by the codes of Kemendagri."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from app.schemas.base import SchemaMeta, SharedSchema, SoftRule, spec
from app.schemas.constraints import TextRule
from app.schemas.coordinates import POSITION_RULES
from app.schemas.shared_fields import latitude, longitude, region_where
from app.schemas.types import Benar, Bujur, KodeWilayah, Lintang, LuasKm2, Nama, Teks

KodePulau = Annotated[
    str,
    TextRule(
        semantic="KodePulau",
        min_length=11,
        max_length=11,
        pattern=r"^[0-9]{2}\.(0[0-9]|[1-6][0-9]|7[1-9]|[89][0-9])\.4[0-9]{4}$",
    ),
]
"""Island code of Kemendagri: regency (`00`: of the province alone), then five digits that start with 4 (`33.20.40001`)."""


def _in_its_regency(values: Mapping[str, Any]) -> bool:
    regency: str = values["kode"][:5].removesuffix(".00")
    return bool(f"{values['kode_wilayah']}.".startswith(f"{regency}."))


class Pulau(SharedSchema):
    """One island; `berpenduduk` null means that the source does not say."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="pulau",
        version=1,
        key=("kode",),
        title_id="Pulau",
        title_en="Islands",
        judul="Kode dan Nama Pulau",
        definisi="Pulau bernama menurut kode Kementerian Dalam Negeri",
        definition_en="Named islands by the codes of the Ministry of Home Affairs",
        konsep="Pulau: daratan yang terbentuk alami dan berada di atas air saat pasang (UNCLOS 1982 pasal 121)",
        ukuran="Jumlah pulau",
        satuan="Pulau",
        klasifikasi="Kode pulau Kemendagri (Kepmendagri 300.2.2-2138/2025)",
        frekuensi="Tahunan",
        produsen_data="Bagian Pemerintahan / Dinas Perikanan",
        pembina="Kementerian Dalam Negeri / Badan Informasi Geospasial",
        level_penyajian="Pulau (titik)",
        example_filter="berpenduduk = TRUE",
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = (
        *POSITION_RULES,
        SoftRule(
            field="kode_wilayah",
            code="island_elsewhere",
            needs=("kode", "kode_wilayah"),
            holds=_in_its_regency,
            detail_id="kode wilayah berada di luar kabupaten/kota yang disebut kode pulau",
            detail_en="the region lies outside the regency that the code of the island names",
        ),
    )

    kode: KodePulau = spec(
        "Kode pulau", "Island code", "Kode pulau Kemendagri", "Island code of Kemendagri", example="33.20.40001"
    )
    nama: Nama = spec("Nama pulau", "Island name", "Nama pulau", "Name of the island", example="Pulau Karimunjawa")
    kode_wilayah: KodeWilayah | None = region_where("tempat pulau berada", "where the island lies", "33.20.10")
    lat: Lintang | None = latitude(-5.845)
    lng: Bujur | None = longitude(110.437)
    berpenduduk: Benar | None = spec(
        "Berpenduduk",
        "Inhabited",
        "Apakah dihuni tetap; kosong bila tidak diketahui",
        "Whether people live there; null when not known",
        example=True,
        nullable=True,
    )
    luas_km2: LuasKm2 | None = spec(
        "Luas", "Area", "Luas pulau", "Area of the island", example=46.24, nullable=True, unit="km2"
    )
    keterangan: Teks | None = spec(
        "Keterangan",
        "Remark",
        "Keterangan sumber, misalnya nama lain",
        "Remark of the source, such as another name",
        example="Taman Nasional Karimunjawa",
        nullable=True,
    )
