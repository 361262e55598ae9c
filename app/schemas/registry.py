"""The list of shared schemas and everything derived from each model. Adding a schema: one file, and one line here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from app import errors
from app.schemas.agenda_kegiatan import AgendaKegiatan
from app.schemas.arrow import arrow_schema
from app.schemas.base import SharedSchema, field_specs
from app.schemas.batas_wilayah import BatasWilayah
from app.schemas.definition import SchemaDef
from app.schemas.destinasi_wisata import DestinasiWisata
from app.schemas.fasilitas_kesehatan import FasilitasKesehatan
from app.schemas.harga_komoditas import HargaKomoditas
from app.schemas.json_schema import coordinates_of, queryables_of, record_schema
from app.schemas.kejadian_bencana import KejadianBencana
from app.schemas.kode_pos import KodePos
from app.schemas.kode_referensi import KodeReferensi
from app.schemas.kunjungan_wisata import KunjunganWisata
from app.schemas.lokasi_layanan import LokasiLayanan
from app.schemas.metadata_dataset import MetadataDataset
from app.schemas.penduduk_agregat import PendudukAgregat
from app.schemas.penduduk_verifikasi import PendudukVerifikasi
from app.schemas.penerima_bantuan_agregat import PenerimaBantuanAgregat
from app.schemas.pulau import Pulau
from app.schemas.realisasi_apbd import RealisasiApbd
from app.schemas.satuan_pendidikan import SatuanPendidikan
from app.schemas.statistik_indikator import StatistikIndikator
from app.schemas.wilayah import Wilayah
from app.schemas.wilayah_padanan import WilayahPadanan

__all__ = ["MODELS", "SchemaDef", "all_schemas", "get"]

MODELS: tuple[type[SharedSchema], ...] = (
    Wilayah,
    WilayahPadanan,
    BatasWilayah,
    FasilitasKesehatan,
    SatuanPendidikan,
    DestinasiWisata,
    HargaKomoditas,
    StatistikIndikator,
    RealisasiApbd,
    KejadianBencana,
    MetadataDataset,
    PendudukVerifikasi,
    KodePos,
    Pulau,
    PendudukAgregat,
    AgendaKegiatan,
    KunjunganWisata,
    PenerimaBantuanAgregat,
    LokasiLayanan,
    KodeReferensi,
)


def _defined(model: type[SharedSchema]) -> SchemaDef:
    meta, fields = model.meta, field_specs(model)
    named = {*meta.key, *([meta.subject] if meta.subject else [])}
    if not named <= set(fields):
        raise TypeError(f"{meta.name}: no such field: {sorted(named - set(fields))}")
    return SchemaDef(
        meta=meta,
        model=model,
        fields=fields,
        arrow=arrow_schema(meta, fields),
        queryables=queryables_of(meta, fields),
        json_schema=record_schema(meta, fields),
        coordinates=coordinates_of(fields),
    )


_SCHEMAS: Mapping[str, SchemaDef] = {model.meta.name: _defined(model) for model in MODELS}


def all_schemas() -> tuple[SchemaDef, ...]:
    """Every schema, in the order of the list above."""
    return tuple(_SCHEMAS.values())


def get(name: str) -> SchemaDef:
    """The schema called `fasilitas_kesehatan`, `fasilitas-kesehatan` or `fasilitas_kesehatan@1`.

    Raises SchemaUnknown with the closest names, or with the version that exists.
    """
    plain, _, version = name.partition("@")
    plain = plain.replace("-", "_")
    found = _SCHEMAS.get(plain)
    if found is not None and version in ("", str(found.meta.version)) and (version or "@" not in name):
        return found
    if found is not None:
        raise errors.SchemaUnknown(f"{plain} exists in version {found.meta.version} only; write {found.meta.ref}")
    close = difflib.get_close_matches(plain[:100], _SCHEMAS, n=3, cutoff=0.5)
    advice = f"did you mean {', '.join(close)}?" if close else f"there are: {', '.join(_SCHEMAS)}"
    raise errors.SchemaUnknown(f"no schema has this name; {advice}", closest=tuple(close))
