"""Agenda kegiatan: events and festivals, also those whose date is known to the month alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from app.schemas.base import RowRule, SchemaMeta, SharedSchema, spec
from app.schemas.constraints import TextRule
from app.schemas.shared_fields import region_where
from app.schemas.types import Istilah, KodeWilayah, Nama, Pengenal, Tanggal, Teks, TeksPanjang

Presisi = Annotated[str, TextRule(semantic="Presisi", max_length=11, enum=("hari", "bulan", "tahun", "tidak_pasti"))]
Kalender = Annotated[str, TextRule(semantic="Kalender", max_length=7, enum=("masehi", "jawa", "hijriah"))]


def _first_day(name: str) -> RowRule:
    """A date that is known to the month is written as its first day, one known to the year as the first of January."""

    def holds(values: Mapping[str, Any]) -> bool:
        date: dt.date = values[name]
        match values["presisi"]:
            case "bulan":
                return date.day == 1
            case "tahun":
                return (date.month, date.day) == (1, 1)
        return True

    return RowRule(field=name, code="precision_date", needs=("presisi", name), holds=holds)


class AgendaKegiatan(SharedSchema):
    """One event. What `mulai` and `selesai` say is as exact as `presisi`; the words of the source stand beside them."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="agenda_kegiatan",
        version=1,
        key=("id",),
        title_id="Agenda kegiatan",
        title_en="Calendar of events",
        judul="Agenda Kegiatan dan Acara Daerah",
        definisi="Kegiatan, festival, dan tradisi yang diadakan pada waktu tertentu",
        definition_en="Events, festivals and traditions that are held at a time",
        konsep="Kalender kegiatan pariwisata dan kebudayaan (UU 10/2009, UU 5/2017)",
        ukuran="Jumlah kegiatan",
        satuan="Kegiatan",
        klasifikasi="Jenis kegiatan dan kode wilayah Kemendagri",
        frekuensi="Tahunan",
        produsen_data="Dinas Pariwisata dan Kebudayaan",
        level_penyajian="Kegiatan",
        example_filter="mulai >= DATE('2026-01-01')",
    )
    row_rules: ClassVar[tuple[RowRule, ...]] = (
        RowRule(
            field="mulai",
            code="range_order",
            needs=("mulai", "selesai"),
            holds=lambda values: bool(values["mulai"] <= values["selesai"]),
        ),
        _first_day("mulai"),
        _first_day("selesai"),
    )

    id: Pengenal = spec(
        "Pengenal", "Identifier", "Pengenal di sumber", "Identifier in the source", example="pesta-lomban-2026"
    )
    nama: Nama = spec("Nama", "Name", "Nama kegiatan", "Name of the event", example="Pesta Lomban")
    jenis: Istilah | None = spec("Jenis", "Kind", "Jenis kegiatan", "Kind of event", example="Tradisi", nullable=True)
    mulai: Tanggal | None = spec(
        "Mulai",
        "Begins",
        "Hari pertama; bila presisi bulan atau tahun, hari pertama bulan atau tahun itu",
        "First day; where the precision is bulan or tahun, the first day of that month or year",
        example="2026-03-01",
        nullable=True,
    )
    selesai: Tanggal | None = spec(
        "Selesai",
        "Ends",
        "Hari terakhir; bila presisi bulan atau tahun, hari pertama bulan atau tahun terakhir",
        "Last day; where the precision is bulan or tahun, the first day of the last month or year",
        example=None,
        nullable=True,
    )
    presisi: Presisi | None = spec(
        "Presisi",
        "Precision",
        "Ketelitian mulai dan selesai; kosong bila sumber tidak menyebutnya",
        "How exact begin and end are; null where the source does not say",
        example="bulan",
        nullable=True,
    )
    teks_tanggal: Teks | None = spec(
        "Teks tanggal",
        "Date in words",
        "Waktu sebagaimana tertulis di sumber",
        "The time as the source writes it",
        example="8 Syawal (Maret 2026)",
        nullable=True,
    )
    kalender: Kalender | None = spec(
        "Kalender",
        "Calendar",
        "Kalender yang menentukan tanggal kegiatan",
        "Calendar by which the date is set",
        example="hijriah",
        nullable=True,
    )
    lokasi: Teks | None = spec(
        "Lokasi",
        "Location",
        "Lokasi kegiatan dengan kata-kata",
        "Where it is held, in words",
        example="Pantai Kartini",
        nullable=True,
    )
    kode_wilayah: KodeWilayah | None = region_where("tempat kegiatan", "where it is held", "33.20.06")
    penyelenggara_lembaga: Teks | None = spec(
        "Lembaga penyelenggara",
        "Organising body",
        "Lembaga yang menyelenggarakan",
        "Body that organises the event",
        example="Dinas Pariwisata dan Kebudayaan",
        nullable=True,
    )
    uraian: TeksPanjang | None = spec(
        "Uraian",
        "Description",
        "Uraian kegiatan",
        "Description of the event",
        example="Sedekah laut nelayan sepekan setelah Idul Fitri",
        nullable=True,
    )
