"""Looking through the loaded code lists: pages of them, a name and what it may mean, a code in another system. Never a guess.

A name that is written otherwise is a *variant*: by an administrative word (`Kec. Jepara`), by blanks, hyphens and apostrophes
(`Karimun Jawa`), or by the spelling before 1972 (`Djepara`). What is further off is unmatched; the closest names are told beside it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.mapping.codes import CodeBook, name_key, plain_level

KEMENDAGRI: Final = "kemendagri"
MOST_SIMILAR: Final = 5
_MOST_COMPARED: Final = 2000
"""Closest names are looked for among no more than these: the villages of a regency, the regencies of the country."""

Match = Literal["exact", "variant", "similar"]
Status = Literal["exact", "variant", "ambiguous", "unmatched"]
Difference = Literal["administrative_word", "separators", "old_spelling"]

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "provinsi": ("PROVINSI", "PROPINSI", "PROV"),
    "kabupaten": ("KABUPATEN ADMINISTRASI", "KABUPATEN", "KAB"),
    "kota": ("KOTA ADMINISTRASI", "KOTAMADYA", "KODYA", "KOTA"),
    "kecamatan": ("KECAMATAN", "KEC", "DISTRIK"),
    "desa": ("KELURAHAN", "KEL", "DESA", "DS"),
}
_WORD: Final = {word: kind for kind, words in _WORDS.items() for word in words}
_PREFIX: Final = re.compile(rf"({'|'.join(sorted(_WORD, key=len, reverse=True))})(?:\.\s*|\s+)(?=\S)")
_SEPARATORS: Final = re.compile(r"[\s\-\u2010-\u2015'`\u2018\u2019\u02bc./()]+")
_ARROW_SEPARATORS: Final = r"[\s\p{Z}\-\x{2010}-\x{2015}'`\x{2018}\x{2019}\x{02bc}./()]+"
"""The same for the expressions of Arrow (RE2)."""
OLD_SPELLING: Final = (("DJ", "J"), ("TJ", "C"), ("SJ", "SY"), ("OE", "U"))
"""Spelling before 1972 (Ejaan Yang Disempurnakan). `J` for `Y`, `NJ` and `CH` are left out: today's names hold them as they are."""


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code of a loaded list. `kode_wilayah` is the Kemendagri code of what it means, None where it is unmatched."""

    code: str
    nama: str | None
    tingkat: str
    kode_wilayah: str | None
    metode: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    pengganti: str | None = None
    """Codes that replaced it, separated by blanks; `valid_from` and `valid_to` are its first and last day. None: not known."""

    @property
    def successors(self) -> list[str]:
        """The codes that replaced it; none where that is not known."""
        return (self.pengganti or "").split()

    def valid(self, day: str) -> bool:
        """Whether it is valid on a day (ISO 8601), as far as anybody knows."""
        return (self.valid_from or day) <= day <= (self.valid_to or day)

    @property
    def kind(self) -> str:
        """Level, with a kota apart from a kabupaten: by its code (from 71 on) or, without one, by its name."""
        level = plain_level(self.tingkat)
        if level != "kabupaten":
            return level
        if self.kode_wilayah is not None:
            return "kota" if self.kode_wilayah[3:5] >= "71" else "kabupaten"
        return "kota" if _parted(name_key(self.nama or ""))[0] == "kota" else "kabupaten"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that a name may mean, and in what the name is written otherwise."""

    row: CodeRow
    match: Match
    differs_by: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a name means: one row (`exact`, `variant`), several (`ambiguous`), none. Candidates of none are similar names."""

    status: Status
    candidates: Sequence[Candidate]


def systems(book: CodeBook) -> tuple[str, ...]:
    """Names of the loaded systems, Kemendagri first."""
    loaded: list[str] = pc.unique(_column(book.tables()["code_crosswalk"], "sistem")).to_pylist()
    return (KEMENDAGRI, *sorted(loaded))


def rows_of(
    book: CodeBook,
    system: str,
    *,
    level: str | None = None,
    parent: str | None = None,
    part: str | None = None,
    as_of: str | None = None,
) -> pa.Table:
    """The rows of a system, by code: those of a level, of regions within `parent` (at any depth), whose name holds `part`.

    `as_of`: a day (ISO 8601), on which the codes have to be valid as far as anybody knows.
    """
    table = _valid(_table(book, system), as_of)
    if level is not None:
        every: list[str] = pc.unique(_column(table, "tingkat")).to_pylist()
        levels = [found for found in every if plain_level(found) == plain_level(level)]
        table = table.filter(pc.is_in(_column(table, "tingkat"), pa.array(levels, pa.string())))
    if parent is not None:
        table = table.filter(pc.starts_with(table["kode_wilayah"], f"{parent}."))
    if part is not None:
        table = table.filter(pc.match_substring(pc.utf8_upper(table["nama"]), name_key(part)))
    return table.sort_by("code")


def page_of(table: pa.Table, *, after: str | None, limit: int) -> tuple[list[CodeRow], bool]:
    """Up to `limit` rows whose code stands behind `after`, and whether more follow."""
    behind = table if after is None else table.filter(pc.greater(_column(table, "code"), pa.scalar(after)))
    return _rows(behind.slice(0, limit)), len(behind) > limit


def row_of(book: CodeBook, system: str, code: str) -> CodeRow | None:
    """The row of one code, None where it is not loaded."""
    table = _table(book, system)
    found = _rows(table.filter(pc.equal(_column(table, "code"), pa.scalar(code))))
    return found[0] if found else None


def crosswalk_of(book: CodeBook, row: CodeRow, target: str, as_of: str | None = None) -> list[CodeRow]:
    """The codes of another system that mean the same region; none where the row is unmatched or the system has none.

    `as_of`: only those that are valid on this day.
    """
    if row.kode_wilayah is None:
        return []
    table = _valid(_table(book, target), as_of)
    return sorted(
        _rows(table.filter(pc.equal(_column(table, "kode_wilayah"), pa.scalar(row.kode_wilayah)))),
        key=lambda found: str(found.code),
    )


def find_name(
    book: CodeBook,
    system: str,
    name: str,
    *,
    level: str | None = None,
    parent: str | None = None,
    as_of: str | None = None,
) -> Found:
    """What a name means among the rows of a system, of a level and within a region where these are given.

    A row that is written so beats variants of its own kind alone: `Tegal` is ambiguous beside a Kabupaten and a Kota Tegal.
    """
    table = rows_of(book, system, level=level, parent=parent, as_of=as_of)
    table = table.filter(pc.is_valid(table["nama"]))
    wanted = _Name.of(name)
    near = _rows(table.filter(_ends_alike(_column(table, "nama"), wanted.bare)))
    found = [candidate for row in near if (candidate := wanted.compared(row)) is not None]
    written = {candidate.row.kind for candidate in found if candidate.match == "exact"}
    left = [one for one in found if one.match == "exact" or one.row.kind not in written]
    if len(left) == 1:
        return Found("exact" if left[0].match == "exact" else "variant", left)
    if left:
        return Found("ambiguous", sorted(left, key=lambda one: (one.match, one.row.code)))
    return Found("unmatched", list(_similar(wanted, table)))


def _ends_alike(names: Any, bare: str) -> Any:
    """Which names can be this one at all: without separators and in today's spelling they end as it does.

    Its first letter is left out: behind an administrative word that was joined to it, the old spelling may reach over.
    """
    folded = pc.replace_substring_regex(pc.utf8_upper(names), _ARROW_SEPARATORS, "")
    for old, new in OLD_SPELLING:
        folded = pc.replace_substring(folded, old, new)
    return pc.ends_with(folded, _modern(_SEPARATORS.sub("", bare))[1:])


@dataclass(frozen=True, slots=True)
class _Name:
    whole: str
    kind: str | None
    bare: str

    @classmethod
    def of(cls, name: str) -> _Name:
        whole = name_key(name)
        kind, bare = _parted(whole)
        return cls(whole, kind, bare)

    def compared(self, row: CodeRow) -> Candidate | None:
        """How this name is one of the row, None where it is not."""
        other = _Name.of(row.nama or "")
        if self.whole == other.whole:
            return Candidate(row, "exact")
        differs = _difference(self.whole, other.whole)
        if differs is not None:
            return Candidate(row, "variant", differs)
        for mine in self.without_word(row.kind):
            for theirs in other.without_word(row.kind):
                differs = _difference(mine, theirs)
                if differs is not None:
                    return Candidate(row, "variant", ("administrative_word", *differs))
        return None

    def without_word(self, kind: str) -> tuple[str, ...]:
        """The name as it is, and without its administrative word, where that is the word of this kind."""
        return (self.whole, self.bare) if self.kind == kind else (self.whole,)


def _parted(whole: str) -> tuple[str | None, str]:
    """The kind that an administrative word before a name tells, and the name without it."""
    word = _PREFIX.match(whole)
    return (_WORD[word[1]], whole[word.end() :]) if word else (None, whole)


def _difference(one: str, other: str) -> tuple[Difference, ...] | None:
    """In what two spellings of one name differ (nothing: alike); None where they are two names."""
    if one == other:
        return ()
    joined = [_SEPARATORS.sub("", text) for text in (one, other)]
    if not all(joined):
        return None
    if joined[0] == joined[1]:
        return ("separators",)
    if _modern(joined[0]) == _modern(joined[1]):
        apart = _modern(one) != _modern(other)
        return ("separators", "old_spelling") if apart else ("old_spelling",)
    return None


def _modern(text: str) -> str:
    for old, new in OLD_SPELLING:
        text = text.replace(old, new)
    return text


def _similar(wanted: _Name, table: pa.Table) -> Iterable[Candidate]:
    if len(table) > _MOST_COMPARED:
        return
    by_name: dict[str, list[CodeRow]] = {}
    for row in _rows(table):
        by_name.setdefault(_Name.of(row.nama or "").bare, []).append(row)
    close = difflib.get_close_matches(wanted.bare[:100], by_name, n=MOST_SIMILAR, cutoff=0.75)
    found = [row for name in close for row in by_name[name]]
    yield from (Candidate(row, "similar") for row in found[:MOST_SIMILAR])


def _table(book: CodeBook, system: str) -> pa.Table:
    """The rows of a system in one form: the members of `CodeRow`."""
    if system == KEMENDAGRI:
        regions = book.tables()["region_code"]
        columns = [regions["kode"], regions["nama"], regions["tingkat"], regions["kode"]]
        method: list[Any] = [pa.nulls(len(regions), pa.string())]
        return pa.table([*columns, *method, *_validity(regions)], names=list(CodeRow.__slots__))
    foreign = book.tables()["code_crosswalk"]
    foreign = foreign.filter(pc.equal(_column(foreign, "sistem"), pa.scalar(system)))
    columns = [foreign[name] for name in ("kode_asal", "nama_asal", "tingkat", "kode_kemendagri", "metode")]
    return pa.table([*columns, *_validity(foreign)], names=list(CodeRow.__slots__))


def _validity(table: pa.Table) -> list[Any]:
    """The columns of validity; nulls where the table has none."""
    none = pa.nulls(len(table), pa.string())
    return [table[name] if name in table.column_names else none for name in ("valid_from", "valid_to", "pengganti")]


def _valid(table: pa.Table, day: str | None) -> pa.Table:
    """The rows that are valid on a day: texts of days compare as days do."""
    if day is None:
        return table
    begun = pc.less_equal(pc.fill_null(_column(table, "valid_from"), day), pa.scalar(day))
    lasts = pc.greater_equal(pc.fill_null(_column(table, "valid_to"), day), pa.scalar(day))
    return table.filter(pc.and_(begun, lasts))


def _column(table: pa.Table, name: str) -> Any:
    """A column, of which the stubs of the kernels know less than the kernels do."""
    return table[name]


def _rows(table: pa.Table) -> list[CodeRow]:
    made: list[dict[str, Any]] = table.to_pylist()
    return [CodeRow(**row) for row in made]
