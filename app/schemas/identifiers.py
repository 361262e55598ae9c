"""Indonesian identifiers: what makes a number impossible (hard) or doubtful (soft), and what can be read in it.

Pure functions of one canonical value; each names the source of its rule where there is one. None of these numbers
except the NPWP has a public check digit, so "valid" here never means "registered".
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Literal

_PROVINCE_RANGES = ((11, 19), (21, 21), (31, 36), (51, 53), (61, 65), (71, 76), (81, 82), (91, 96))
PROVINCES = frozenset(str(code) for first, last in _PROVINCE_RANGES for code in range(first, last + 1))
"""The 38 provinces of Kepmendagri 300.2.2-2138/2025. A code outside is doubtful, not impossible: codes come and go."""

NIK_PATTERN = r"^[0-9]{16}$"
KEMENDAGRI_PATTERN = (
    r"^[0-9]{2}(\.(0[1-9]|[1-6][0-9]|7[1-9]|[89][0-9])(\.[0-9]{2}(\.[123][0-9]{3})?)?)?$"  # PP.KK.CC.DDDD
)
BPS_PATTERN = r"^[0-9]{2}([0-9]{2}([0-9]{3}([0-9]{3})?)?)?$"  # PPKKCCCDDD
NIP_PATTERN = r"^([0-9]{18}|[0-9]{9})$"
NPWP_PATTERN = r"^([0-9]{15}|[0-9]{16})$"

_SEPARATORS = re.compile(r"[ .\-/]")
_PHONE = re.compile(r"[+(]?([0-9][ ()./-]{0,3}){5,15}")
_FACILITY_SCHEMES = {
    "puskesmas": re.compile(r"P?[0-9]{10,11}"),
    "rumah_sakit": re.compile(r"R?[0-9]{7}"),
    "bpjs": re.compile(r"[0-9]{4}[0-9A-Z][0-9]{3}"),
    "satusehat": re.compile(r"[0-9]{6,12}"),
}
_ANY_FACILITY_SCHEME = re.compile("|".join(pattern.pattern for pattern in _FACILITY_SCHEMES.values()))


def normalise_identifier(text: str) -> str:
    """Remove the separators people write in identifiers: space, dot, dash, slash. Nothing else changes.

    The schemas accept canonical values only; a mapping calls this (step `text: identifier`), a check never does.
    """
    return _SEPARATORS.sub("", text)


def parent_of(kode: str) -> str | None:
    """The code one level up (`33.20.10` of `33.20.10.2001`); None for a province."""
    head, _, _ = kode.rpartition(".")
    return head or None


def level_of(kode: str) -> str:
    """provinsi, kabupaten (also a kota), kecamatan, kelurahan or desa (also desa adat) of a canonical code."""
    depth = kode.count(".")
    if depth < 3:
        return ("provinsi", "kabupaten", "kecamatan")[depth]
    return "kelurahan" if kode[9] == "1" else "desa"


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def _short_date_exists(day: int, month: int, year: int) -> bool:
    return _is_date(2000 + year, month, day) or _is_date(1900 + year, month, day)


def nik_fault(nik: str) -> str | None:
    """Hard rules of sixteen digits as a NIK: DD 01-31 or 41-71, a date of 19YY or 20YY, serial not 0000."""
    day = int(nik[6:8])
    if day > 40:
        day -= 40
    if not _short_date_exists(day, int(nik[8:10]), int(nik[10:12])):
        return "nik_date"
    return "nik_serial" if nik.endswith("0000") else None


def kk_fault(nomor_kk: str) -> str | None:
    """Hard rules of sixteen digits as a family card number: DD 01-31 only (a date of recording), serial not 0000."""
    if not _short_date_exists(int(nomor_kk[6:8]), int(nomor_kk[8:10]), int(nomor_kk[10:12])):
        return "kk_date"
    return "kk_serial" if nomor_kk.endswith("0000") else None


@dataclass(frozen=True, slots=True)
class NikParts:
    """What a NIK says of the day it was issued. None of it is proof: a NIK keeps its digits when the data were wrong.

    `region` is the kecamatan of FIRST registration, never a present address. `birth_dates` holds one or two dates, the
    likelier first (the century is not encoded).
    """

    region: str
    sex: Literal["male", "female"]
    birth_dates: tuple[dt.date, ...]


def nik_parts(nik: str, today: dt.date) -> NikParts:
    """Parts of a NIK that `nik_fault` passed. 20YY comes first unless that date is still to come."""
    day, month, year = int(nik[6:8]), int(nik[8:10]), int(nik[10:12])
    sex: Literal["male", "female"] = "female" if day > 40 else "male"
    day = day - 40 if day > 40 else day
    found = [dt.date(century + year, month, day) for century in (2000, 1900) if _is_date(century + year, month, day)]
    past = [date for date in found if date <= today]
    return NikParts(f"{nik[:2]}.{nik[2:4]}.{nik[4:6]}", sex, tuple(past or found))


def nip_fault(nip: str) -> str | None:
    """Hard rules of a NIP or NI PPPK of 18 digits; an old one of 9 digits has none."""
    if len(nip) == 9:
        return None
    year = int(nip[:4])
    if not 1900 <= year <= 2099 or not _is_date(year, int(nip[4:6]), int(nip[6:8])):
        return "nip_birth_date"
    if nip[14] not in "12":
        return "nip_sex"
    return "nip_serial" if nip.endswith("000") else None


def nip_appointed_adult(nip: str) -> bool:
    """Soft: not appointed before the year in which the holder turned 18. True of an old NIP, which has no years."""
    return len(nip) == 9 or int(nip[8:12]) - int(nip[:4]) >= 18


def npwp_fault(npwp: str) -> str | None:
    """Hard rules: sixteen digits that do not start with 0 are a NIK; the check digit is soft (`npwp_luhn_holds`)."""
    return nik_fault(npwp) if len(npwp) == 16 and npwp[0] != "0" else None


def npwp_luhn_holds(npwp: str) -> bool:
    """Luhn over the first nine digits of the old fifteen. True where it does not apply (a NIK as NPWP).

    Real registers hold numbers that fail, so this is a warning and never a rejection.
    """
    if len(npwp) == 16:
        if npwp[0] != "0":
            return True
        npwp = npwp[1:]
    total = 0
    for index, digit in enumerate(reversed(npwp[:9])):
        doubled = int(digit) * (1 + index % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def nop_sector_usual(nop: str) -> bool:
    """Soft: the last digit of a PBB-P2 object number is 0 (one taxpayer), 7 (SISTEP) or 9 (shared use)."""
    return nop[-1] in "079"


def facility_scheme_known(kode: str) -> bool:
    """Soft: the code has the form of at least one scheme."""
    return _ANY_FACILITY_SCHEME.fullmatch(kode) is not None


def province_known(kode: str) -> bool:
    """Whether the first two digits are one of the 38 provinces (Kemendagri and BPS agree on these)."""
    return kode[:2] in PROVINCES


def phone_usual(phone: str) -> bool:
    """Soft: one phone number of 5 to 15 digits (ITU-T E.164), with the usual marks between them."""
    return _PHONE.fullmatch(phone) is not None
