"""Regions and code systems as values, and the matching of BPS codes to Kemendagri codes. Pure.

BPS and Kemendagri write region codes alike, but a BPS code with dots in it is **not** the Kemendagri code: below the
regency the numbering differs (3320120 Karimunjawa is 33.20.10), and in some provinces that of regencies does too (3171
is Jakarta Selatan, 31.71 Jakarta Pusat). So names decide, within the parent region and only where the region is loaded;
what no name decides stays unmatched.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

BPS = "bps"
MANUAL = "manual"
BPS_LEVELS = {2: "provinsi", 4: "kabupaten", 7: "kecamatan", 10: "desa"}
_PARENT_DIGITS = {4: 2, 7: 4, 10: 7}
_REGION = re.compile(r"[0-9]{2}(\.[0-9]{2}(\.[0-9]{2}(\.[0-9]{4})?)?)?")
_VILLAGES = {"1": "kelurahan", "2": "desa"}


@dataclass(frozen=True, slots=True)
class RegionEntry:
    """One region of the Kemendagri list: dotted code, name, level and parent (both implied by the code), origin, validity.

    `valid_from`, `valid_to`: first and last day; `pengganti`: the codes that replaced it, separated by blanks; None: not known.
    """

    kode: str
    nama: str
    tingkat: str
    kode_induk: str | None
    sumber: str
    valid_from: str | None = None
    valid_to: str | None = None
    pengganti: str | None = None


@dataclass(frozen=True, slots=True)
class CrosswalkEntry:
    """One code of another system and the region it means, None when unmatched. `metode`: nama, kode or manual."""

    sistem: str
    kode_asal: str
    tingkat: str
    nama_asal: str | None
    kode_kemendagri: str | None
    metode: str
    sumber: str
    valid_from: str | None = None
    valid_to: str | None = None
    pengganti: str | None = None


def region_level(kode: str) -> tuple[str, str | None]:
    """Level and parent of a dotted code (PP.KK.CC.DDDD); ValueError when it is none.

    The level follows from the length; in the fourth part a leading 1 means kelurahan, 2 desa (Permendagri 137/2017).
    """
    if not _REGION.fullmatch(kode):
        message = "a region code is written 33, 33.20, 33.20.06 or 33.20.06.1001"
        raise ValueError(message)
    parts = kode.split(".")
    parent = ".".join(parts[:-1]) or None
    if len(parts) < 4:
        return ("provinsi", "kabupaten", "kecamatan")[len(parts) - 1], parent
    if parts[3][0] not in _VILLAGES:
        message = "the fourth part of a region code starts with 1 (kelurahan) or 2 (desa)"
        raise ValueError(message)
    return _VILLAGES[parts[3][0]], parent


def normal_name(name: str) -> str:
    """The form in which names are compared: NFKC, case folded, runs of blanks as one."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def match_bps(entries: Iterable[CrosswalkEntry], regions: Iterable[RegionEntry]) -> list[CrosswalkEntry]:
    """The BPS entries with the regions they mean, by code; the provinces and regencies they imply are added.

    - a province or regency with a name: the one loaded region of its level with that name (method `nama`);
    - otherwise a regency stands for the region with the same digits when most of the names below it are names below
      that region, and a province when one of its regencies does (method `kode`);
    - a kecamatan or village: the one region of that name below its matched parent (method `nama`).
    Entries with the method `manual` are left as they are.
    """
    return _BpsMatch(entries, regions).run()


class _BpsMatch:
    def __init__(self, entries: Iterable[CrosswalkEntry], regions: Iterable[RegionEntry]) -> None:
        self.entries = {entry.kode_asal: entry for entry in entries}
        self.regions = {region.kode: region for region in regions}
        for entry in list(self.entries.values()):
            self._add_parents(entry)
        self.codes_below: dict[str, list[str]] = defaultdict(list)
        self.children: dict[str | None, list[RegionEntry]] = defaultdict(list)
        for entry in self.entries.values():
            digits = _PARENT_DIGITS.get(len(entry.kode_asal))
            self.codes_below[entry.kode_asal[:digits] if digits else ""].append(entry.kode_asal)
        for region in self.regions.values():
            self.children[region.kode_induk].append(region)

    def _add_parents(self, entry: CrosswalkEntry) -> None:
        for digits in (4, 2):
            code = entry.kode_asal[:digits]
            if len(entry.kode_asal) > digits and code not in self.entries:
                self.entries[code] = CrosswalkEntry(BPS, code, BPS_LEVELS[digits], None, None, "kode", entry.sumber)

    def _below(self, code: str) -> list[CrosswalkEntry]:
        return [self.entries[child] for child in self.codes_below[code]]

    def run(self) -> list[CrosswalkEntry]:
        """From the top down, as a name counts only below its matched parent; provinces look at regencies, so second."""
        for digits in (4, 2, 7, 10):
            for code in sorted(code for code in self.entries if len(code) == digits):
                if self.entries[code].metode != MANUAL:
                    self._match(self.entries[code])
        return [self.entries[code] for code in sorted(self.entries)]

    def _match(self, entry: CrosswalkEntry) -> None:
        digits = len(entry.kode_asal)
        if digits in _PARENT_DIGITS and digits > 4:
            parent = self.entries.get(entry.kode_asal[: _PARENT_DIGITS[digits]])
            target = self._named_below(entry, parent.kode_kemendagri if parent else None)
            self.entries[entry.kode_asal] = replace(entry, kode_kemendagri=target, metode="nama")
            return
        target = self._named(entry)
        confirmed = None if target else self._confirmed(entry)
        self.entries[entry.kode_asal] = replace(
            entry, kode_kemendagri=target or confirmed, metode="nama" if target else "kode"
        )

    def _named_below(self, entry: CrosswalkEntry, parent: str | None) -> str | None:
        if parent is None or entry.nama_asal is None:
            return None
        name = normal_name(entry.nama_asal)
        siblings = self._below(entry.kode_asal[: _PARENT_DIGITS[len(entry.kode_asal)]])
        if sum(normal_name(other.nama_asal or "") == name for other in siblings) > 1:
            return None  # two codes of one name: which is which is not known
        return _only(region.kode for region in self.children[parent] if normal_name(region.nama) == name)

    def _named(self, entry: CrosswalkEntry) -> str | None:
        if entry.nama_asal is None:
            return None
        name = normal_name(entry.nama_asal)
        same = (region for region in self.regions.values() if region.tingkat == entry.tingkat)
        return _only(region.kode for region in same if normal_name(region.nama) == name)

    def _confirmed(self, entry: CrosswalkEntry) -> str | None:
        """The region with the same digits, when what stands below both agrees."""
        code = entry.kode_asal if entry.tingkat == "provinsi" else f"{entry.kode_asal[:2]}.{entry.kode_asal[2:]}"
        if code not in self.regions:
            return None
        below = self._below(entry.kode_asal)
        if entry.tingkat == "provinsi":
            agrees = any((other.kode_kemendagri or "").startswith(f"{code}.") for other in below)
            return code if agrees else None
        found = sum(self._named_below(other, code) is not None for other in below)
        return code if found * 2 > len(below) else None


def _only(codes: Iterable[str]) -> str | None:
    found = list(codes)
    return found[0] if len(found) == 1 else None
