"""Kejadian bencana: disaster events with time, place and what was felt. Lists of victims are out of scope."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from app.schemas.base import RowRule, SchemaMeta, SharedPart, SharedSchema, SoftRule, spec
from app.schemas.constraints import ItemsRule, TextRule
from app.schemas.shared_fields import latitude, longitude
from app.schemas.types import (
    Bujur,
    Istilah,
    KedalamanKm,
    KodeWilayah,
    Lintang,
    Magnitudo,
    Nama,
    Pengenal,
    SkalaMmi,
    Teks,
    Waktu,
)

_WIB_TEXT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?\+07:00$"
WaktuWib = Annotated[str, TextRule(semantic="WaktuWib", min_length=25, max_length=32, pattern=_WIB_TEXT)]


def _same_instant(values: Mapping[str, Any]) -> bool:
    try:
        return bool(dt.datetime.fromisoformat(values["waktu_wib"]) == values["waktu"])
    except ValueError:
        return False


class Dirasakan(SharedPart):
    """Where a quake was felt and how strongly, on the Modified Mercalli scale."""

    row_rules: ClassVar[tuple[RowRule, ...]] = (
        RowRule(
            field="mmi_min",
            code="range_order",
            needs=("mmi_min", "mmi_max"),
            holds=lambda values: bool(values["mmi_min"] <= values["mmi_max"]),
        ),
    )

    mmi_min: SkalaMmi | None = spec(
        "MMI terendah",
        "Lowest MMI",
        "Skala MMI terendah",
        "Lowest intensity felt",
        example=3,
        nullable=True,
        unit="MMI",
    )
    mmi_max: SkalaMmi | None = spec(
        "MMI tertinggi",
        "Highest MMI",
        "Skala MMI tertinggi",
        "Highest intensity felt",
        example=4,
        nullable=True,
        unit="MMI",
    )
    tempat: Nama = spec("Tempat", "Place", "Tempat merasakan", "Place where it was felt", example="Kepahiang")


class KejadianBencana(SharedSchema):
    """One event. A quake may lie outside Indonesia, so its position is not judged."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="kejadian_bencana",
        version=1,
        key=("id",),
        title_id="Kejadian bencana",
        title_en="Disaster events",
        judul="Kejadian Bencana",
        definisi="Peristiwa yang mengancam atau mengganggu kehidupan masyarakat",
        definition_en="Events that threaten or disrupt the life of people",
        konsep="Bencana (UU 24/2007)",
        ukuran="Jumlah kejadian",
        satuan="Kejadian",
        klasifikasi="Jenis bencana dan kode wilayah Kemendagri",
        frekuensi="Saat kejadian",
        produsen_data="Badan Penanggulangan Bencana Daerah",
        level_penyajian="Kejadian (titik)",
        example_filter="jenis = 'gempa_bumi'",
    )
    soft_rules: ClassVar[tuple[SoftRule, ...]] = (
        SoftRule(
            field="waktu_wib",
            code="time_mismatch",
            needs=("waktu", "waktu_wib"),
            holds=_same_instant,
            detail_id="waktu WIB tidak sama dengan waktu UTC",
            detail_en="the time in WIB is not the same instant as the time in UTC",
        ),
    )

    id: Pengenal = spec(
        "Pengenal", "Identifier", "Pengenal di sumber", "Identifier in the source", example="20251103-0412"
    )
    jenis: Istilah | None = spec(
        "Jenis", "Kind", "Jenis bencana", "Kind of disaster", example="gempa_bumi", nullable=True
    )
    waktu: Waktu = spec(
        "Waktu", "Time", "Waktu kejadian dalam UTC", "Time of the event in UTC", example="2025-11-02T21:12:33Z"
    )
    waktu_wib: WaktuWib | None = spec(
        "Waktu WIB",
        "Time in WIB",
        "Waktu yang sama dalam zona WIB (+07:00), sebagai teks",
        "The same instant in the zone WIB (+07:00), as text",
        example="2025-11-03T04:12:33+07:00",
        nullable=True,
    )
    lat: Lintang | None = latitude(-5.92)
    lng: Bujur | None = longitude(110.61)
    magnitudo: Magnitudo | None = spec(
        "Magnitudo", "Magnitude", "Magnitudo gempa", "Magnitude of the quake", example=4.1, nullable=True, unit="M"
    )
    kedalaman_km: KedalamanKm | None = spec(
        "Kedalaman", "Depth", "Kedalaman pusat gempa", "Depth of the hypocentre", example=12.0, nullable=True, unit="km"
    )
    wilayah_teks: Teks | None = spec(
        "Wilayah",
        "Area in words",
        "Keterangan lokasi dari sumber",
        "The place in the words of the source",
        example="28 km tenggara Karimunjawa",
        nullable=True,
    )
    dirasakan: Annotated[list[Dirasakan], ItemsRule(semantic="DaftarDirasakan", max_items=200)] | None = spec(
        "Dirasakan",
        "Felt at",
        "Tempat yang merasakan dan skalanya",
        "Places where it was felt, with intensity",
        example=[{"mmi_min": 3, "mmi_max": 3, "tempat": "Karimunjawa"}],
        nullable=True,
    )
    kode_wilayah: Annotated[list[KodeWilayah], ItemsRule(semantic="DaftarKodeWilayah", max_items=600)] | None = spec(
        "Kode wilayah",
        "Region codes",
        "Kode wilayah Kemendagri yang terdampak; kosong bila tidak diketahui",
        "Region codes of Kemendagri that were affected; null when not known",
        example=["33.20.10"],
        nullable=True,
    )
