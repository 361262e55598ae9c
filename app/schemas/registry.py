"""The list of shared schemas and everything derived from each model. Adding a schema: one file, and one line here.

Installed packages bring further ones by the entry point `simpul.schemas`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cache

from app import errors
from app.extensions import SCHEMAS, Extension, Found, Unfit, find, require_contract, told
from app.schemas.agenda_kegiatan import AgendaKegiatan
from app.schemas.arrow import arrow_schema
from app.schemas.base import SchemaMeta, SharedSchema, field_specs
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

__all__ = ["MODELS", "SchemaDef", "all_schemas", "brought_schemas", "get"]

_NAME = re.compile(r"[a-z][a-z0-9_]{1,62}", re.ASCII)

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
"""The gateway's own."""


@cache
def _brought() -> Found[SchemaDef]:
    return find(SCHEMAS, schema_of_package, _SCHEMAS)


def schema_of_package(name: str, found: object) -> SchemaDef:
    """The schema of the model that an entry point of this name gives; raises `Unfit`."""
    if not (
        isinstance(found, type)
        and issubclass(found, SharedSchema)
        and isinstance(found.__dict__.get("meta"), SchemaMeta)
    ):
        raise Unfit("wrong_object", "it is no subclass of SharedSchema (app.schemas.base) with a meta")
    require_contract(found.__dict__.get("contract"))
    if found.meta.name != name or not _NAME.fullmatch(name):
        detail = (
            f"its schema is called {found.meta.name!r:.80}: schema and entry point have one name, of a-z, 0-9 and _"
        )
        raise Unfit("wrong_object", detail)
    try:
        return _defined(found)
    except Exception as error:  # noqa: BLE001 - whatever a model of a package raises concerns it alone
        raise Unfit("wrong_object", f"its fields cannot be read: {told(error)}") from None


@cache
def _by_name() -> Mapping[str, SchemaDef]:
    return {**_SCHEMAS, **_brought().things}


def all_schemas() -> tuple[SchemaDef, ...]:
    """Every schema, in the order of the list above; behind them those of installed packages."""
    return tuple(_by_name().values())


def brought_schemas() -> tuple[Extension, ...]:
    """The entry points of installed packages, taken or refused."""
    return _brought().extensions


def get(name: str) -> SchemaDef:
    """The schema called `fasilitas_kesehatan`, `fasilitas-kesehatan` or `fasilitas_kesehatan@1`.

    Raises SchemaUnknown with the closest names, or with the version that exists.
    """
    plain, _, version = name.partition("@")
    plain = plain.replace("-", "_")
    known = _by_name()
    found = known.get(plain)
    if found is not None and version in ("", str(found.meta.version)) and (version or "@" not in name):
        return found
    if found is not None:
        raise errors.SchemaUnknown(f"{plain} exists in version {found.meta.version} only; write {found.meta.ref}")
    close = difflib.get_close_matches(plain[:100], known, n=3, cutoff=0.5)
    advice = f"did you mean {', '.join(close)}?" if close else f"there are: {', '.join(known)}"
    advice = _brought().refusal(plain) or advice
    raise errors.SchemaUnknown(f"no schema has this name; {advice}", closest=tuple(close))
