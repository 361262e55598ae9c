"""The code book: an immutable snapshot of the loaded region list and crosswalks. A code outside of it is unmatched, never guessed.

Loading and storing of the lists live in the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from app.datasets.mapping.text import squeeze, upper

LEVELS = ("provinsi", "kabupaten", "kecamatan", "desa")
"""Levels of the manifest. `kabupaten` holds kota too, `desa` holds kelurahan too."""
_LEVEL_OF = {"kelurahan": "desa", "kota": "kabupaten", "desa_adat": "desa"}
REGION_SCHEMA = pa.schema([(name, pa.string()) for name in ("kode", "nama", "tingkat", "kode_induk")])
CROSSWALK_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("sistem", "kode_asal", "nama_asal", "tingkat", "kode_kemendagri")]
)


@dataclass(frozen=True, slots=True)
class RegionRow:
    """A loaded region: dotted Kemendagri code, name as in the decree, level, code of the parent."""

    kode: str
    nama: str
    tingkat: str
    kode_induk: str | None


class CodeBook(Protocol):
    """What mapping steps ask. All answers come from one version of the lists."""

    @property
    def version(self) -> str:
        """Changes whenever an answer may change."""

    def crosswalk(self, system: str, code: str, level: str) -> str | None:
        """The Kemendagri code of a foreign code, or None. Systems and codes compare exactly."""

    def region(self, code: str) -> RegionRow | None:
        """The region with this dotted Kemendagri code."""

    def known_regions(self) -> Collection[str]:
        """The dotted Kemendagri codes of the loaded list."""

    def lookup_name(self, name: str, parent: str | None, level: str, *, blanks: bool = True) -> list[str]:
        """Codes of the regions of a level with this name at or below `parent`: none, one or many (= no match).

        Without `blanks` neither blanks nor hyphens count: `Karimun Jawa` is `Karimunjawa`.
        """

    def names_in(self, text: str, parents: Collection[str], level: str, *, blanks: bool = True) -> list[str]:
        """Codes of the regions of a level at or below `parents` whose name stands in the text as words.

        Of names of which one holds the other the longer counts.
        """

    def tables(self) -> Mapping[str, pa.Table]:
        """`region_code` and `code_crosswalk` in Arrow."""


def plain_level(level: str) -> str:
    """`kelurahan` looks among `desa`, `kota` among `kabupaten`: one level has one name here."""
    return _LEVEL_OF.get(level, level)


def name_key(name: str) -> str:
    """How names compare: blanks collapsed, upper case. Administrative words stay; a manifest strips them explicitly."""
    return upper(squeeze(name))


def closed_name(name: str) -> str:
    """A name without blanks and hyphens."""
    return _OPEN.sub("", name)


def _stands_in(name: str, text: str, *, blanks: bool) -> bool:
    """Whether a name stands in a text as words; without `blanks` its own words may be written together or apart."""
    pattern = re.escape(name) if blanks else "[ -]*".join(map(re.escape, closed_name(name)))
    return re.search(rf"(?<!\w){pattern}(?!\w)", text) is not None


def _below(code: str, parent: str) -> bool:
    return code == parent or code.startswith(parent + ".")


_OPEN = re.compile(r"[ -]")
_REGENCY_WORDS = ("KABUPATEN ", "KOTA ")


@dataclass(frozen=True, slots=True)
class InMemoryCodeBook:
    """A code book over two Arrow tables (`REGION_SCHEMA`, `CROSSWALK_SCHEMA`); about 0.4 microseconds an answer.

    A regency named `Kabupaten Jepara` in the list is found by that name and, as `JEPARA`, by its bare name.
    Where `Kabupaten X` and `Kota X` both exist the bare name has two answers and so none.
    """

    version: str
    region_table: pa.Table
    crosswalk_table: pa.Table
    _regions: dict[str, RegionRow] = field(init=False, repr=False, compare=False)
    _names: dict[tuple[str, str], list[str]] = field(init=False, repr=False, compare=False)
    _closed: dict[tuple[str, str], list[str]] = field(init=False, repr=False, compare=False)
    """By names without blanks and hyphens."""
    _crosswalk: dict[tuple[str, str, str], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Builds the indexes. Rows of one foreign code with different Kemendagri codes cancel out (no match)."""
        regions: dict[str, RegionRow] = {}
        names: dict[tuple[str, str], list[str]] = {}
        for row in self.region_table.select(REGION_SCHEMA.names).to_pylist():
            region = RegionRow(row["kode"], row["nama"], row["tingkat"], row["kode_induk"])
            regions[region.kode] = region
            level = plain_level(region.tingkat)
            for key in _names_of(region.nama, level):
                names.setdefault((level, key), []).append(region.kode)
        object.__setattr__(self, "_regions", regions)
        object.__setattr__(self, "_names", names)
        closed: dict[tuple[str, str], list[str]] = {}
        for (level, key), codes in names.items():
            closed.setdefault((level, closed_name(key)), []).extend(codes)
        object.__setattr__(self, "_closed", closed)
        object.__setattr__(self, "_crosswalk", _crosswalk_index(self.crosswalk_table))

    def crosswalk(self, system: str, code: str, level: str) -> str | None:
        """See CodeBook."""
        return self._crosswalk.get((system, plain_level(level), code))

    def region(self, code: str) -> RegionRow | None:
        """See CodeBook."""
        return self._regions.get(code)

    def known_regions(self) -> Collection[str]:
        """See CodeBook."""
        return self._regions.keys()

    def lookup_name(self, name: str, parent: str | None, level: str, *, blanks: bool = True) -> list[str]:
        """See CodeBook."""
        index, key = (self._names, name_key(name)) if blanks else (self._closed, closed_name(name_key(name)))
        found = index.get((plain_level(level), key), [])
        if parent is None:
            return list(dict.fromkeys(found))
        return [code for code in dict.fromkeys(found) if _below(code, parent)]

    def names_in(self, text: str, parents: Collection[str], level: str, *, blanks: bool = True) -> list[str]:
        """See CodeBook."""
        wanted, words = plain_level(level), name_key(text)
        met: dict[str, list[str]] = {}
        for (of_level, name), codes in self._names.items():
            inside = [code for code in codes if any(_below(code, parent) for parent in parents)]
            if of_level == wanted and inside and _stands_in(name, words, blanks=blanks):
                met[name] = inside
        longest = [name for name in met if not any(name != other and name in other for other in met)]
        return list(dict.fromkeys(code for name in longest for code in met[name]))

    def tables(self) -> Mapping[str, pa.Table]:
        """See CodeBook."""
        return {"region_code": self.region_table, "code_crosswalk": self.crosswalk_table}


def _names_of(name: str, level: str) -> list[str]:
    key = name_key(name)
    if level != "kabupaten":
        return [key]
    return [key, *[key.removeprefix(word) for word in _REGENCY_WORDS if key.startswith(word)]]


def _crosswalk_index(table: pa.Table) -> dict[tuple[str, str, str], str]:
    index: dict[tuple[str, str, str], str] = {}
    conflicting: set[tuple[str, str, str]] = set()
    for row in table.select(CROSSWALK_SCHEMA.names).to_pylist():
        key = (row["sistem"], plain_level(row["tingkat"]), row["kode_asal"])
        if index.setdefault(key, row["kode_kemendagri"]) != row["kode_kemendagri"]:
            conflicting.add(key)
    for key in conflicting:
        del index[key]
    return index


def empty_code_book() -> InMemoryCodeBook:
    """A code book in which nothing is loaded: every crosswalk and look-up is unmatched."""
    return InMemoryCodeBook("empty", REGION_SCHEMA.empty_table(), CROSSWALK_SCHEMA.empty_table())
