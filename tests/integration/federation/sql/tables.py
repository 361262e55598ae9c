"""Made rows of a few schemas: nulls, ties, capitals, accents, empty texts, quotes, negative and large numbers, nested values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from app.federation.sql.structure import SOURCE_COLUMNS
from app.schemas import registry

_REGIONS = [
    ("33", "Jawa Tengah", "provinsi", None, 34337.5),
    ("33.20", "Jepara", "kabupaten", "33", 1059.25),
    ("33.20.06", "Jepara", "kecamatan", "33.20", 24.667),
    ("33.20.08", "Bangsri", "kecamatan", "33.20", 85.352),
    ("33.20.09", "Keling", "kecamatan", "33.20", 123.116),
    ("33.20.16", "Karimunjawa", "kecamatan", "33.20", None),
    ("33.20.06.1001", "Panggang", "kelurahan", "33.20.06", 0.5),
    ("33.20.06.2002", "KARANGKEBAGUSAN", "desa", "33.20.06", -1.5),
    ("33.20.08.2001", "O'Brien's \"Desa\"", "desa", "33.20.08", 2.5),
    ("33.20.08.2002", "Guyangan%", "desa", "33.20.08", 3.5),
    ("33.20.08.2003", "été_é", "desa", "33.20.08", 0.0),
    ("33.20.09.2001", "", "desa", "33.20.09", 1e9),
]
_GOODS = [
    ("Beras premium", "kg", "15000.50"),
    ("Beras medium", "kg", "12500.00"),
    ("Cabai rawit", "kg", None),
    ("Telur", "butir", "-1.25"),
]
_MARKETS = [("33.20.06", "Pasar Ratu"), ("33.20.08", "Pasar Bangsri"), ("33.20.99", "pasar ratu")]
_SCHOOLS = [
    ("20318001", "SD Negeri 1", "SD", "negeri", "33.20.06", 120, None),
    ("20318002", "SD Negeri 2", "SD", "negeri", "33.20.08", 80, "Ani"),
    ("20318003", "SMP Islam", "SMP", "swasta", "33.20.08", None, "Budi"),
    ("20318004", "SMA 1", "SMA", "negeri", "33.20.06", 9007199254740993, "ANI"),
    ("20318005", "SMK", None, None, None, 0, ""),
    ("20318006", "Bangsri", "SD", "swasta", "33.20.16", -5, "Citra"),
]


def _wilayah() -> list[dict[str, Any]]:
    return [
        {"kode": kode, "nama": nama, "tingkat": tingkat, "kode_induk": above, "luas_km2": area,
         "dasar_hukum": None if n % 3 else f"UU {n}", "berlaku_dari": date(2000 + n, 1 + n % 12, 1 + n), "berlaku_sampai": None}
        for n, (kode, nama, tingkat, above, area) in enumerate(_REGIONS)
    ]  # fmt: skip


def _harga() -> list[dict[str, Any]]:
    made = []
    for day in range(3):
        for kode, pasar in _MARKETS:
            for n, (komoditas, satuan, harga) in enumerate(_GOODS):
                price = None if harga is None or (day, n) == (2, 1) else Decimal(harga) + day * 100 * n
                made.append(
                    {"tanggal": date(2025, 8, 15) + timedelta(days=day * 20), "kode_wilayah": kode, "pasar": pasar, "komoditas": komoditas,
                     "satuan": satuan, "harga": price, "sumber": "" if day == 1 else None}
                )  # fmt: skip
    return made


def _sekolah() -> list[dict[str, Any]]:
    return [
        {"npsn": npsn, "nama": nama, "bentuk": bentuk, "status": status, "kode_wilayah": kode, "alamat": None if n % 2 else f"Jl. {n}\nKav. 2",
         "lat": -6.5 - n / 100, "lng": None if n == 4 else 110.5 + n / 10, "jumlah_siswa": pupils, "kepala_sekolah": head}
        for n, (npsn, nama, bentuk, status, kode, pupils, head) in enumerate(_SCHOOLS)
    ]  # fmt: skip


def _statistik() -> list[dict[str, Any]]:
    return [
        {"kode_indikator": f"IPM{n % 2}", "kode_wilayah": kode, "tahun": year, "nilai": Decimal(f"{70 + n}.{n}25001") if n % 4 else None,
         "satuan": "indeks", "pengali": 10**n if n < 15 else 1, "status": ("tetap", "sementara")[n % 2], "produsen": "BPS", "definisi": None}
        for n, (kode, year) in enumerate((kode, year) for kode in ("33.20", "33.20.06", "33.20.08") for year in (2019, 2020, 2021))
    ]  # fmt: skip


def _bencana() -> list[dict[str, Any]]:
    return [
        {"id": f"b{n}", "jenis": ("gempa", "banjir", "Gempa")[n % 3], "waktu": datetime(2025, 1 + n, 28, 20 + n % 4, 59, 30, 123456 * (n % 2), UTC),
         "waktu_wib": f"2025-0{1 + n}-28", "lat": -6.0 - n, "lng": 110.0, "magnitudo": None if n == 3 else 4.0 + n / 4, "kedalaman_km": 10.0 * n,
         "wilayah_teks": f"{n} km barat", "dirasakan": None if n % 2 else [{"mmi_min": n, "mmi_max": n + 1, "tempat": "Jepara"}],
         "kode_wilayah": None if n == 5 else [] if n == 4 else ["33.20", f"33.20.0{n}"]}
        for n in range(6)
    ]  # fmt: skip


ROWS: Final = {
    "wilayah": _wilayah(), "harga_komoditas": _harga(), "satuan_pendidikan": _sekolah(), "statistik_indikator": _statistik(),
    "kejadian_bencana": _bencana(),
}  # fmt: skip


def sourced(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as two agencies give them, half each."""
    first = sum(ord(letter) for letter in name) % 2
    return [
        {**row, SOURCE_COLUMNS[0]: f"opd{(first + n) % 2}", SOURCE_COLUMNS[1]: f"opd{(first + n) % 2}-{name}"}
        for n, row in enumerate(rows)
    ]


def arrow(name: str, rows: list[dict[str, Any]], fields: list[str]) -> pa.Table:
    """Rows as the gateway hands them to the worker: these fields and who gave them."""
    kinds = registry.get(name).arrow
    columns = [*[kinds.field(field) for field in fields], *[pa.field(source, pa.string()) for source in SOURCE_COLUMNS]]
    return pa.Table.from_pylist(
        [{field.name: row[field.name] for field in columns} for row in rows], pa.schema(columns)
    )
