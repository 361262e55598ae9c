"""Metadata dataset: data sets of a portal with what their files claim to be and what they are."""

from __future__ import annotations

from typing import Annotated, ClassVar

from app.schemas.base import SchemaMeta, SharedPart, SharedSchema, spec
from app.schemas.constraints import ItemsRule
from app.schemas.types import Istilah, Pengenal, Teks, TeksJudul, UkuranBita, Url


class Sumberdaya(SharedPart):
    """One file of a data set. Two formats: the one stated and the one that its content shows."""

    nama: Teks | None = spec("Nama", "Name", "Nama berkas", "Name of the file", example="Hasil Akip.png", nullable=True)
    format_tercantum: Istilah | None = spec(
        "Format tercantum",
        "Stated format",
        "Format menurut portal",
        "Format by the portal",
        example="CSV",
        nullable=True,
    )
    format_terdeteksi: Istilah | None = spec(
        "Format terdeteksi",
        "Detected format",
        "Format menurut isi berkas",
        "Format by the content of the file",
        example="image/png",
        nullable=True,
    )
    ukuran: UkuranBita | None = spec(
        "Ukuran", "Size", "Ukuran berkas", "Size of the file", example=37986, nullable=True, unit="bita"
    )
    url: Url | None = spec(
        "Alamat",
        "Address",
        "Alamat berkas",
        "Address of the file",
        example="https://satudata.jepara.example/berkas/akip.csv",
        nullable=True,
    )


class MetadataDataset(SharedSchema):
    """One data set of a portal (CKAN, DCAT)."""

    meta: ClassVar[SchemaMeta] = SchemaMeta(
        name="metadata_dataset",
        version=1,
        key=("id",),
        title_id="Metadata dataset",
        title_en="Data set metadata",
        judul="Metadata Dataset Portal Data",
        definisi="Keterangan tentang dataset yang diterbitkan di portal data",
        definition_en="Descriptions of datasets published on data portals",
        konsep="Metadata kegiatan dan variabel (Perpres 39/2019)",
        ukuran="Jumlah dataset",
        satuan="Dataset",
        klasifikasi="Organisasi penerbit",
        frekuensi="Saat dataset berubah",
        produsen_data="Dinas Komunikasi dan Informatika",
        level_penyajian="Dataset",
        example_filter="org = 'Diskominfo'",
    )

    id: Pengenal = spec(
        "Pengenal",
        "Identifier",
        "Pengenal dataset di portal",
        "Identifier of the data set in the portal",
        example="ds-akip",
    )
    judul: TeksJudul = spec(
        "Judul",
        "Title",
        "Judul dataset",
        "Title of the data set",
        example="Hasil Evaluasi Akuntabilitas Kinerja Instansi Pemerintah (AKIP)",
    )
    org: Teks | None = spec(
        "Organisasi",
        "Organisation",
        "Organisasi penerbit",
        "Publishing organisation",
        example="Diskominfo",
        nullable=True,
    )
    lisensi: Teks | None = spec(
        "Lisensi", "Licence", "Lisensi data", "Licence of the data", example="cc-by", nullable=True
    )
    sumberdaya: Annotated[list[Sumberdaya], ItemsRule(semantic="DaftarSumberdaya", max_items=500)] | None = spec(
        "Sumber daya",
        "Resources",
        "Berkas dataset",
        "Files of the data set",
        example=[
            {
                "nama": "Hasil Akip.png",
                "format_tercantum": "CSV",
                "format_terdeteksi": "image/png",
                "ukuran": 37986,
                "url": "https://satudata.jepara.example/berkas/akip.csv",
            }
        ],
        nullable=True,
    )
