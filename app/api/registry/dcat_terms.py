"""Terms of vocabularies that harvesters know: themes, frequencies, licences, access rights, file types.

Those of the Publications Office of the EU (<https://op.europa.eu/en/web/eu-vocabularies>), which DCAT-AP 3 asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from app.datasets.manifest import Freshness
from app.schemas.base import SchemaMeta

AUTHORITY: Final = "http://publications.europa.eu/resource/authority"
CONTEXT: Final[Mapping[str, str]] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "geosparql": "http://www.opengis.net/ont/geosparql#",
    "hydra": "http://www.w3.org/ns/hydra/core#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
THEMES: Final[Mapping[str, str]] = {
    "AGRI": "Agriculture, fisheries, forestry and food",
    "ECON": "Economy and finance",
    "EDUC": "Education, culture and sport",
    "ENVI": "Environment",
    "GOVE": "Government and public sector",
    "HEAL": "Health",
    "REGI": "Regions and cities",
    "SOCI": "Population and society",
}
_THEME_OF: Final[Mapping[str, str]] = {
    "agenda_kegiatan": "EDUC",
    "batas_wilayah": "REGI",
    "destinasi_wisata": "EDUC",
    "fasilitas_kesehatan": "HEAL",
    "harga_komoditas": "AGRI",
    "kejadian_bencana": "ENVI",
    "kode_pos": "REGI",
    "kode_referensi": "GOVE",
    "kunjungan_wisata": "EDUC",
    "lokasi_layanan": "GOVE",
    "metadata_dataset": "GOVE",
    "penduduk_agregat": "SOCI",
    "penduduk_verifikasi": "SOCI",
    "penerima_bantuan_agregat": "SOCI",
    "pulau": "REGI",
    "realisasi_apbd": "ECON",
    "satuan_pendidikan": "EDUC",
    "statistik_indikator": "SOCI",
    "wilayah": "REGI",
    "wilayah_padanan": "REGI",
}
_FREQUENCIES: Final = (
    ("DAILY", 1, 1),
    ("WEEKLY", 7, 7),
    ("MONTHLY", 28, 31),
    ("QUARTERLY", 90, 92),
    ("ANNUAL_2", 180, 184),
    ("ANNUAL", 365, 366),
)
"""First and last number of days of a promise that means this frequency."""
_WORDS: Final[Mapping[str, str]] = {
    "Harian": "DAILY",
    "Mingguan": "WEEKLY",
    "Bulanan": "MONTHLY",
    "Triwulanan": "QUARTERLY",
    "Semesteran": "ANNUAL_2",
    "Tahunan": "ANNUAL",
}
_LICENCES: Final[Mapping[str, str]] = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "CC-BY-ND-4.0": "https://creativecommons.org/licenses/by-nd/4.0/",
    "ODbL-1.0": "https://opendatacommons.org/licenses/odbl/1-0/",
    "ODC-By-1.0": "https://opendatacommons.org/licenses/by/1-0/",
    "PDDL-1.0": "https://opendatacommons.org/licenses/pddl/1-0/",
}
FILE_TYPES: Final[Mapping[str, str]] = {
    "json": "JSON",
    "ndjson": "NDJSON",
    "csv": "CSV",
    "xlsx": "XLSX",
    "parquet": "PARQUET",
    "geojson": "GEOJSON",
}
"""Formats of answers that the list of file types holds; Arrow is not in it."""


def theme_of(meta: SchemaMeta | None) -> str | None:
    """Code of the data theme; None for a schema of a package, of which nobody said it."""
    return None if meta is None else _THEME_OF.get(meta.name)


def frequency_of(freshness: Freshness | None, meta: SchemaMeta | None) -> str | None:
    """By what the manifest promises, else by what the schema asks for (`frekuensi`); `IRREG` where it changes on occasion."""
    if freshness is not None:
        days = freshness.slo / timedelta(days=1)
        found = next((name for name, least, most in _FREQUENCIES if least <= days <= most), None)
        if found is not None:
            return found
    if meta is None:
        return None
    return _WORDS.get(meta.frekuensi.split(" ")[0]) if not meta.frekuensi.startswith("Saat") else "IRREG"


def licence_of(text: str) -> str | None:
    """The address of a licence that is named by SPDX or by its address; None where it is named otherwise."""
    if text.startswith(("http://", "https://")) and " " not in text:
        return text
    return _LICENCES.get(text.strip().replace(" ", "-"))


def access_of(meta: SchemaMeta | None) -> str:
    """Open to every client (`PUBLIC`), under an agreement (`RESTRICTED`), or about persons (`NON_PUBLIC`)."""
    if meta is not None and meta.lookup_only:
        return "NON_PUBLIC"
    return "PUBLIC" if meta is not None and meta.tingkat_akses == "terbuka" else "RESTRICTED"
