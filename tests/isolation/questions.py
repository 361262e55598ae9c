"""What an attacker asks to learn of a closed field, of records beyond a row filter, and of what others have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.isolation.world import PROVIDER

FACILITIES, COUNTS = "/v1/records/fasilitas-kesehatan", "/v1/records/penduduk-agregat"
_COUNT = [{"function": "count", "as": "n"}]
Ask = tuple[str, str, dict[str, Any]]


def _get(path: str, **params: str) -> Ask:
    return ("GET", path, {"params": params})


def _post(path: str, **body: Any) -> Ask:
    return ("POST", path, {"json": body})


def _sql(text: str, **more: Any) -> Ask:
    return _post("/v1/queries", sql=text, **more)


OF_FACILITIES: Mapping[str, Ask] = {
    "list": _get(FACILITIES),
    "page": _get(FACILITIES, limit="1"),
    "page in order": _get(FACILITIES, limit="1", sort="-nama"),
    "filter": _get(FACILITIES, filter="email_kontak = 'aaaaaaaa@faskes.example'"),
    "filter on null": _get(FACILITIES, filter="email_kontak IS NULL"),
    "filter beside": _get(FACILITIES, filter="kode_faskes = 'F1' OR email_kontak LIKE 'a%'"),
    "filter never": _get(FACILITIES, filter="kode_faskes = 'F0' AND email_kontak = 'aaaaaaaa@faskes.example'"),
    "sort": _get(FACILITIES, sort="email_kontak"),
    "exact count": _get(FACILITIES, count="exact", limit="1"),
    "estimate": _get(FACILITIES, count="estimated", limit="1"),
    "fields": _get(FACILITIES, fields="kode_faskes,email_kontak"),
    "merged": _get(FACILITIES, view="merged"),
    "conflicts": _get(f"{FACILITIES}/conflicts"),
    "changes": _get(f"{FACILITIES}/changes"),
    "look-up": _get(f"{FACILITIES}/F1"),
    "csv": _get(FACILITIES, f="csv"),
    "ndjson": _get(FACILITIES, f="ndjson"),
    "geojson": _get(FACILITIES, f="geojson"),
    "search": _post(f"{FACILITIES}/search", filter="email_kontak <> ''"),
    "group": _post(f"{FACILITIES}/aggregate", group_by=["email_kontak"], aggregates=_COUNT),
    "distinct": _post(
        f"{FACILITIES}/aggregate", aggregates=[{"function": "count_distinct", "field": "email_kontak", "as": "n"}]
    ),
    "count of field": _post(
        f"{FACILITIES}/aggregate", aggregates=[{"function": "count", "field": "email_kontak", "as": "n"}]
    ),
    "having": _post(f"{FACILITIES}/aggregate", group_by=["jenis"], aggregates=_COUNT, having="n > 0"),
    "match": _post(
        f"{FACILITIES}/match", keys=["F1", "F2", {"key": "F1", "values": {"email_kontak": "aaaaaaaa@faskes.example"}}]
    ),
    "match shown": _post(f"{FACILITIES}/match", keys=["F1"], fields=["kode_faskes", "email_kontak"]),
    "explain": _post("/v1/explain", schema="fasilitas_kesehatan", filter="email_kontak = 'aaaaaaaa@faskes.example'"),
    "explain plainly": _post("/v1/explain", schema="fasilitas_kesehatan"),
    "access explained": _post("/v1/access/explain", schema="fasilitas_kesehatan", provider=PROVIDER),
    "sql all": _sql("SELECT * FROM fasilitas_kesehatan ORDER BY kode_faskes"),
    "sql where": _sql("SELECT kode_faskes FROM fasilitas_kesehatan WHERE email_kontak LIKE 'a%'"),
    "sql order": _sql("SELECT kode_faskes FROM fasilitas_kesehatan ORDER BY email_kontak"),
    "sql order by place": _sql("SELECT kode_faskes, email_kontak FROM fasilitas_kesehatan ORDER BY 2"),
    "sql case": _sql(
        "SELECT CASE WHEN email_kontak = 'aaaaaaaa@faskes.example' THEN 1 ELSE 1/0 END AS x FROM fasilitas_kesehatan"
    ),
    "sql cast": _sql("SELECT CAST(email_kontak AS INTEGER) AS x FROM fasilitas_kesehatan"),
    "sql try": _sql("SELECT TRY_CAST(email_kontak AS INTEGER) AS x FROM fasilitas_kesehatan"),
    "sql group": _sql("SELECT email_kontak, count(*) AS n FROM fasilitas_kesehatan GROUP BY ALL"),
    "sql window": _sql("SELECT kode_faskes, row_number() OVER (ORDER BY email_kontak) AS r FROM fasilitas_kesehatan"),
    "sql self join": _sql(
        "SELECT a.kode_faskes FROM fasilitas_kesehatan a JOIN fasilitas_kesehatan b ON a.email_kontak = b.email_kontak"
    ),
    "sql exists": _sql("SELECT 1 AS x WHERE EXISTS (SELECT 1 FROM fasilitas_kesehatan WHERE email_kontak IS NULL)"),
    "sql natural": _sql("SELECT kode_faskes FROM fasilitas_kesehatan a NATURAL JOIN fasilitas_kesehatan b"),
    "sql except": _sql(
        "SELECT * FROM fasilitas_kesehatan EXCEPT SELECT * FROM fasilitas_kesehatan WHERE kode_faskes = 'F1'"
    ),
    "sql whole row": _sql("SELECT f FROM fasilitas_kesehatan f"),
    "sql error on granted": _sql("SELECT CAST(nama AS INTEGER) AS x FROM fasilitas_kesehatan"),
}
OF_COUNTS: Mapping[str, Ask] = {
    "list": _get(COUNTS),
    "page": _get(COUNTS, limit="1"),
    "page in order": _get(COUNTS, limit="2", sort="-jumlah"),
    "filter": _get(COUNTS, filter="jumlah > 50"),
    "filter beyond": _get(COUNTS, filter="kode_wilayah = '33.20.02'"),
    "exact count": _get(COUNTS, count="exact", limit="1"),
    "estimate": _get(COUNTS, count="estimated", limit="1"),
    "merged": _get(COUNTS, view="merged"),
    "conflicts": _get(f"{COUNTS}/conflicts"),
    "changes": _get(f"{COUNTS}/changes"),
    "look-up beyond": _get(f"{COUNTS}/33.20.02~2025~laki_laki~0-4~agama:islam"),
    "csv": _get(COUNTS, f="csv"),
    "ndjson": _get(COUNTS, f="ndjson"),
    "sum": _post(f"{COUNTS}/aggregate", aggregates=[{"function": "sum", "field": "jumlah", "as": "n"}, *_COUNT[:0]]),
    "group": _post(f"{COUNTS}/aggregate", group_by=["kode_wilayah"], aggregates=_COUNT),
    "extremes": _post(f"{COUNTS}/aggregate", aggregates=[{"function": "max", "field": "jumlah", "as": "most"}]),
    "match": _post(
        f"{COUNTS}/match", keys=["33.20.01~2025~laki_laki~0-4~agama:islam", "33.20.02~2025~laki_laki~0-4~agama:islam"]
    ),
    "explain": _post("/v1/explain", schema="penduduk_agregat"),
    "explain filter": _post("/v1/explain", schema="penduduk_agregat", filter="kode_wilayah = '33.20.02'"),
    "sql all": _sql("SELECT * FROM penduduk_agregat ORDER BY ALL"),
    "sql count": _sql("SELECT count(*) AS n, max(jumlah) AS m FROM penduduk_agregat"),
    "sql beyond": _sql("SELECT count(*) AS n FROM penduduk_agregat WHERE kode_wilayah = '33.20.02'"),
    "sql error": _sql("SELECT 1 / (jumlah - 99) AS x FROM penduduk_agregat WHERE kode_wilayah = '33.20.02'"),
    "sql cast": _sql("SELECT CAST(keterangan AS INTEGER) AS x FROM penduduk_agregat"),
    "sql any": _sql("SELECT kode_wilayah FROM penduduk_agregat LIMIT 1"),
    "sql rank": _sql("SELECT kode_wilayah, rank() OVER (ORDER BY jumlah DESC) AS r FROM penduduk_agregat"),
}
NOTE = "tersembunyi"
BY_NOTE: Mapping[str, Ask] = {
    "filter": _get(COUNTS, filter=f"keterangan = '{NOTE}'"),
    "filter like": _get(COUNTS, filter=f"keterangan LIKE '{NOTE}%'"),
    "filter in": _get(COUNTS, filter=f"keterangan IN ('{NOTE}', 'x')"),
    "filter beside": _get(COUNTS, filter=f"jumlah > 1 OR keterangan = '{NOTE}'"),
    "filter never": _get(COUNTS, filter=f"jumlah < 0 AND keterangan = '{NOTE}'"),
    "filter in a cast": _get(COUNTS, filter=f"CASEI(keterangan) = CASEI('{NOTE}')"),
    "count": _get(COUNTS, filter=f"keterangan = '{NOTE}'", count="exact", limit="1"),
    "estimate": _get(COUNTS, filter=f"keterangan = '{NOTE}'", count="estimated", limit="1"),
    "export": _get(COUNTS, filter=f"keterangan = '{NOTE}'", f="csv"),
    "sort": _get(COUNTS, sort="keterangan"),
    "sort down": _get(COUNTS, sort="-keterangan", limit="1"),
    "search": _post(f"{COUNTS}/search", filter=f"keterangan = '{NOTE}'"),
    "group": _post(f"{COUNTS}/aggregate", group_by=["keterangan"], aggregates=_COUNT),
    "distinct": _post(
        f"{COUNTS}/aggregate", aggregates=[{"function": "count_distinct", "field": "keterangan", "as": "n"}]
    ),
    "extreme": _post(f"{COUNTS}/aggregate", aggregates=[{"function": "max", "field": "keterangan", "as": "m"}]),
    "aggregate filter": _post(f"{COUNTS}/aggregate", aggregates=_COUNT, filter=f"keterangan = '{NOTE}'"),
    "match": _post(
        f"{COUNTS}/match",
        keys=[{"key": "33.20.01~2025~laki_laki~0-4~agama:islam", "values": {"keterangan": NOTE}}],
    ),
    "explain": _post("/v1/explain", schema="penduduk_agregat", filter=f"keterangan = '{NOTE}'"),
    "sql where": _sql(f"SELECT kode_wilayah FROM penduduk_agregat WHERE keterangan = '{NOTE}'"),
    "sql order": _sql("SELECT kode_wilayah FROM penduduk_agregat ORDER BY keterangan"),
    "sql case": _sql(f"SELECT CASE WHEN keterangan = '{NOTE}' THEN 1 ELSE 1 / 0 END AS x FROM penduduk_agregat"),
    "sql cast": _sql("SELECT CAST(keterangan AS INTEGER) AS x FROM penduduk_agregat"),
    "sql having": _sql(
        f"SELECT kode_wilayah FROM penduduk_agregat GROUP BY kode_wilayah HAVING max(keterangan) = '{NOTE}'"
    ),
    "sql join": _sql(
        f"SELECT a.jumlah FROM penduduk_agregat a JOIN penduduk_agregat b ON a.keterangan = b.keterangan AND b.keterangan = '{NOTE}'"
    ),
    "sql in a subquery": _sql(
        f"SELECT 1 AS x WHERE EXISTS (SELECT 1 FROM penduduk_agregat WHERE keterangan = '{NOTE}')"
    ),
}
"""Every way to let a source decide by the note of a count."""
AROUND: Mapping[str, Ask] = {
    name: _get(path)
    for name, path in {
        "access": "/v1/access", "datasets": "/v1/datasets", "schemas": "/v1/schemas", "agreements": "/v1/agreements",
        "connectors": "/v1/connectors", "own document": "/openapi.json?as=me", "agencies": "/v1/agencies",
    }.items()
}  # fmt: skip
STEADY: Mapping[str, str] = {
    "export": f"{FACILITIES}?f=csv",
    **{name: ask[1] for name, ask in AROUND.items() if name != "access"},
}
"""Reads whose answers hold no time: as long as nothing of them changes, their tag stays."""
