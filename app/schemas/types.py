"""Semantic types: the vocabulary that all schemas use. A value that a type accepts is canonical; mapping makes it so.

Identifiers are text always (leading zeros). Rules of the numbers themselves live in `identifiers.py`.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any

from app.schemas import identifiers as ids
from app.schemas.constraints import (
    MOST_INTEGER,
    BooleanRule,
    DateRule,
    DatetimeRule,
    DecimalRule,
    GeometryRule,
    IntegerRule,
    NumberRule,
    TextRule,
)
from app.schemas.geometry import geometry_fault
from app.schemas.rules import name_fault, text_fault


def _digits(semantic: str, count: int) -> TextRule:
    return TextRule(semantic=semantic, min_length=count, max_length=count, pattern=rf"^[0-9]{{{count}}}$")


# --- identifiers of people and businesses ---------------------------------------------------------------------------

Nik = Annotated[
    str, TextRule(semantic="Nik", min_length=16, max_length=16, pattern=ids.NIK_PATTERN, check=ids.nik_fault)
]
"""Nomor Induk Kependudukan, 16 digits `PPKKCC DDMMYY SSSS`."""
NomorKk = Annotated[
    str, TextRule(semantic="NomorKk", min_length=16, max_length=16, pattern=ids.NIK_PATTERN, check=ids.kk_fault)
]
"""Nomor Kartu Keluarga, 16 digits; its date is the date of recording."""
Nip = Annotated[
    str, TextRule(semantic="Nip", min_length=9, max_length=18, pattern=ids.NIP_PATTERN, check=ids.nip_fault)
]
"""Employee number of a civil servant: NIP (PNS) or NI PPPK of 18 digits, or an old one of 9."""
Npwp = Annotated[
    str, TextRule(semantic="Npwp", min_length=15, max_length=16, pattern=ids.NPWP_PATTERN, check=ids.npwp_fault)
]
"""Tax number, 16 digits (a NIK, or 0 and the old number) or the old 15."""
Nib = Annotated[str, _digits("Nib", 13)]
"""Nomor Induk Berusaha, 13 digits, no check digit."""
Kbli = Annotated[str, _digits("Kbli", 5)]
Nisn = Annotated[str, _digits("Nisn", 10)]
NomorBpjs = Annotated[str, _digits("NomorBpjs", 13)]
Nop = Annotated[str, _digits("Nop", 18)]
"""Property tax object number, 18 digits in BPS-style areas; an unusual last digit is a warning."""

# --- identifiers of places and institutions -------------------------------------------------------------------------

KodeWilayah = Annotated[
    str, TextRule(semantic="KodeWilayah", min_length=2, max_length=13, pattern=ids.KEMENDAGRI_PATTERN)
]
"""Region code of Kemendagri, dotted: `33`, `33.20`, `33.20.10`, `33.20.10.2001`."""
_OTHER_SYSTEM = r"[a-z][a-z0-9_-]{1,19}:[0-9A-Za-z][0-9A-Za-z .,'()/_-]{0,79}"
KodeWilayahAtauAsal = Annotated[
    str,
    TextRule(
        semantic="KodeWilayahAtauAsal",
        min_length=2,
        max_length=100,
        pattern=f"^({ids.KEMENDAGRI_PATTERN[1:-1]}|{_OTHER_SYSTEM})$",
    ),
]
"""A region as part of a key: the Kemendagri code, or `<system>:<code>` where the source has none (`pihps:12`,
`baileo:Provinsi Maluku`). The manifest says which; it is never compared with a Kemendagri code."""
KodeBps = Annotated[str, TextRule(semantic="KodeBps", min_length=2, max_length=10, pattern=ids.BPS_PATTERN)]
"""Region code of BPS, 2, 4, 7 or 10 digits. Split unlike Kemendagri's ten digits: never compare the two."""
Npsn = Annotated[str, TextRule(semantic="Npsn", min_length=8, max_length=8, pattern=r"^[0-9A-Z]{8}$")]
"""School number, 8 digits or capital letters."""
KodePos = Annotated[str, TextRule(semantic="KodePos", min_length=5, max_length=5, pattern=r"^[1-9][0-9]{4}$")]
KodeFaskes = Annotated[
    str, TextRule(semantic="KodeFaskes", max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}$")
]
"""Health facility code: opaque text. At least four schemes are in use; which one it has the form of is a warning."""
Pengenal = Annotated[str, TextRule(semantic="Pengenal", max_length=128, check=name_fault)]
"""An agency's own identifier of a record: opaque text."""
KodeAsal = Annotated[str, TextRule(semantic="KodeAsal", max_length=64, check=name_fault)]
KodeIndikator = Annotated[str, TextRule(semantic="KodeIndikator", max_length=80, pattern=r"^[a-z][a-z0-9_]{0,79}$")]
"""Indicator code in lower snake_case: `kemiskinan_pct`, `ipm`."""
KodeAkun = Annotated[str, TextRule(semantic="KodeAkun", max_length=40, pattern=r"^(agregat|[0-9]+(\.[0-9]+)*)$")]
"""Budget account (`4.1.01`), or `agregat` for the sum over all accounts."""

# --- text -----------------------------------------------------------------------------------------------------------

Nama = Annotated[str, TextRule(semantic="Nama", max_length=200, check=name_fault)]
Istilah = Annotated[str, TextRule(semantic="Istilah", max_length=100, check=name_fault)]
"""A short term of a list that is not closed: a commodity, a kind, a unit."""
Teks = Annotated[str, TextRule(semantic="Teks", min_length=0, max_length=500, check=text_fault)]
TeksJudul = Annotated[str, TextRule(semantic="TeksJudul", max_length=500, check=name_fault)]
TeksPanjang = Annotated[str, TextRule(semantic="TeksPanjang", min_length=0, max_length=10_000, check=text_fault)]
Telepon = Annotated[str, TextRule(semantic="Telepon", min_length=0, max_length=60, check=text_fault)]
"""A phone number as the source writes it (`021-7650384 ; 7666087`); an unusual one is a warning."""
Email = Annotated[
    str,
    TextRule(
        semantic="Email", min_length=3, max_length=254, pattern=r"^[0-9A-Za-z.!#$%&'*+/=?^_`{|}~-]+@[0-9A-Za-z.-]+$"
    ),
]
Url = Annotated[str, TextRule(semantic="Url", min_length=0, max_length=2000, check=text_fault)]

# --- numbers, times, coordinates -----------------------------------------------------------------------------------------

Rupiah = Annotated[Decimal, DecimalRule(semantic="Rupiah", scale=2)]
"""Rupiah, signed, two decimals, below 10^18 in size."""
RupiahTakNegatif = Annotated[Decimal, DecimalRule(semantic="RupiahTakNegatif", scale=2, signed=False)]
RupiahBulat = Annotated[int, IntegerRule(semantic="RupiahBulat", minimum=0, maximum=10**15)]
"""Whole rupiah, not negative: prices of tickets."""
Desimal = Annotated[Decimal, DecimalRule(semantic="Desimal", scale=6)]
"""An exact value of any unit, signed, six decimals."""
Jumlah = Annotated[int, IntegerRule(semantic="Jumlah", minimum=0, maximum=10**12)]
Pengali = Annotated[int, IntegerRule(semantic="Pengali", minimum=1, maximum=10**12)]
UkuranBita = Annotated[int, IntegerRule(semantic="UkuranBita", minimum=0, maximum=MOST_INTEGER)]
Tahun = Annotated[int, IntegerRule(semantic="Tahun", minimum=1900, maximum=2100)]
Bulan = Annotated[int, IntegerRule(semantic="Bulan", minimum=1, maximum=12)]
Periode = Annotated[
    str,
    TextRule(
        semantic="Periode", min_length=4, max_length=7, pattern=r"^(19|20)[0-9]{2}(-(S[12]|Q[1-4]|0[1-9]|1[0-2]))?$"
    ),
]
"""A year, half year, quarter or month as SDMX writes it: `2025`, `2025-S1`, `2025-Q3`, `2025-07`."""
SkalaMmi = Annotated[int, IntegerRule(semantic="SkalaMmi", minimum=1, maximum=12)]
"""Modified Mercalli intensity, I to XII."""
Lintang = Annotated[float, NumberRule(semantic="Lintang", minimum=-90, maximum=90)]
"""Latitude in degrees, WGS 84, south is negative."""
Bujur = Annotated[float, NumberRule(semantic="Bujur", minimum=-180, maximum=180)]
"""Longitude in degrees, WGS 84, east is positive."""
LuasKm2 = Annotated[float, NumberRule(semantic="LuasKm2", minimum=0, maximum=10_000_000)]
Persen = Annotated[float, NumberRule(semantic="Persen", minimum=0, maximum=100)]
Keyakinan = Annotated[float, NumberRule(semantic="Keyakinan", minimum=0, maximum=1)]
Magnitudo = Annotated[float, NumberRule(semantic="Magnitudo", minimum=-3, maximum=10)]
KedalamanKm = Annotated[float, NumberRule(semantic="KedalamanKm", minimum=0, maximum=1000)]
Benar = Annotated[bool, BooleanRule(semantic="Benar")]
Tanggal = Annotated[dt.date, DateRule(semantic="Tanggal")]
Waktu = Annotated[dt.datetime, DatetimeRule(semantic="Waktu")]
GeometriWilayah = Annotated[dict[str, Any], GeometryRule(semantic="GeometriWilayah", check=geometry_fault)]
"""An area as GeoJSON Polygon or MultiPolygon, longitude before latitude (CRS84)."""
