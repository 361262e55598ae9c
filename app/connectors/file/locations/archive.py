"""Files inside a ZIP and files packed by gzip: which there are, and each of them unpacked within bounds.

Names are UTF-8 where the archive says so or their bytes are, else code page 437 (APPNOTE.TXT, appendix D).
"""

from __future__ import annotations

import gzip
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from app.connectors.contents import content_of
from app.connectors.file.located import ending_of
from app.connectors.file.several import MOST_FILES, is_pattern, matching
from app.connectors.file.source import ENDINGS, FileSource
from app.errors import SourceFormatError, SourceMissing, SourceTooLarge

MOST_MEMBERS: Final = 10_000
"""Files in one archive."""
DIRECTORY_BYTES: Final = 8_388_608
"""The list of an archive's members, which is held in memory."""
MOST_RATIO: Final = 200
"""Unpacked bytes to packed ones, above `LARGE_BYTES`: more is no table but a bomb."""
LARGE_BYTES: Final = 10_000_000
_CHUNK_BYTES: Final = 1 << 16
_SHOWN: Final = 20
_UTF8_FLAG: Final = 0x800
_LOCKED_FLAG: Final = 0x1
_PACKED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_ARCHIVES = frozenset({".zip", ".gz", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz"})
_SYSTEM_FOLDER = "__MACOSX/"
_END = struct.Struct("<4sHHHHIIH")
_LOCATOR64 = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_TAIL_BYTES = 65_535 + _END.size + _LOCATOR64.size


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive by its name, and what the name says."""

    name: str
    parts: dict[str, str]


class Archive:
    """An open ZIP. `location`: how errors call it."""

    def __init__(self, file: zipfile.ZipFile, path: Path, location: str) -> None:
        self._file = file
        self._location = location
        self._packed_bytes = path.stat().st_size
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in file.infolist():
            if entry.is_dir():
                continue
            name = _name(entry)
            if name in self._entries:
                raise SourceFormatError(
                    f"{location}: two members are called {name[:200]}; one of them would be lost",
                    field="/source/location",
                )
            self._entries[name] = entry

    def data(self, source: FileSource) -> list[str]:
        """The members that may be what is read: those whose ending says a format, or all where the format is stated."""
        names = [name for name in self._entries if _visible(name)]
        known = [name for name in names if (ending := ending_of(name)) in ENDINGS and ending not in _ARCHIVES]
        return sorted(known or (names if source.format is not None else []))

    def chosen(self, source: FileSource) -> list[Member]:
        """The members that the manifest means, in the order of their names. Raises `SourceMissing`, `SourceFormatError`."""
        wanted = source.member
        if wanted is None:
            names = self.data(source)
            if len(names) == 1:
                return [Member(names[0], {})]
            raise self._undecided(names, source)
        if is_pattern(wanted):
            folder, _, pattern = wanted.rpartition("/")
            fits = matching(pattern)
            found = [
                Member(name, match.groupdict())
                for name in sorted(self._entries)
                if str(PurePosixPath(name).parent) == (folder or ".")
                and _visible(name)
                and (match := fits.fullmatch(PurePosixPath(name).name))
            ]
            if len(found) > MOST_FILES:
                detail = f"{self._location}: {len(found)} members fit {wanted}; at most {MOST_FILES} are one dataset"
                raise SourceTooLarge(detail, field="/source/member", limit_files=MOST_FILES)
        else:
            found = [Member(wanted, {})] if wanted in self._entries else []
        if not found:
            shown = self._listed(list(self._entries))
            raise SourceMissing(f"{self._location}: no member fits {wanted}; it holds {shown}", field="/source/member")
        return found

    def unpack(self, name: str, write: Callable[[bytes], None], most: int) -> None:
        """Writes a member, held to its checksum and the bounds. Raises `SourceFormatError`, `SourceTooLarge`."""
        entry = self._entries[name]
        if entry.flag_bits & _LOCKED_FLAG:
            raise SourceFormatError(
                f"{self._location}: {name} is protected by a password, which is not opened; pack it anew without one",
                field="/source/location",
            )
        if entry.compress_type not in _PACKED:
            raise SourceFormatError(
                f"{self._location}: {name} is packed by method {entry.compress_type}, which is not unpacked; "
                "pack it as an ordinary ZIP (deflate)",
                field="/source/location",
            )
        bound = Bound(f"{self._location}, {name}", entry.compress_size, most)
        with _damaged(self._location), self._file.open(entry) as packed:
            bound.copy(packed, write)

    def size(self, name: str) -> int:
        """Unpacked bytes, as the archive says."""
        return self._entries[name].file_size

    def mark(self, name: str) -> str:
        """Changes when the member does."""
        entry = self._entries[name]
        return f"{entry.CRC:08x}-{entry.file_size}-{entry.header_offset}"

    def _undecided(self, names: Sequence[str], source: FileSource) -> SourceFormatError | SourceMissing:
        if names:
            detail = f"{self._location} holds {len(names)} files that may be read, and member names none: {self._listed(names)}"
            return SourceFormatError(detail, field="/source/member", members=list(names[:_SHOWN]))
        inner = [
            name
            for name in self._entries
            if ending_of(name) in _ARCHIVES or PurePosixPath(name).suffix.lower() == ".gz"
        ]
        if inner:
            detail = f"{self._location} holds archives ({self._listed(inner)}), which are not opened: unpack it and give what is inside"
            return SourceFormatError(detail, field="/source/location")
        shown = self._listed(list(self._entries)) or "nothing"
        detail = f"{self._location} holds no file that is read by its ending: {shown}; name one in member and state its format"
        return SourceMissing(detail, field="/source/member")

    def _listed(self, names: Sequence[str]) -> str:
        shown = ", ".join(sorted(names)[:_SHOWN])[:1000]
        return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


class Bound:
    """What may come out of a packed file. The sizes that it states itself are not believed."""

    def __init__(self, shown: str, packed: int, most: int) -> None:
        self._shown = shown
        self._packed = max(packed, 1)
        self._most = most

    def copy(self, packed: IO[bytes], write: Callable[[bytes], None]) -> None:
        """Writes all of it. Raises `SourceTooLarge`."""
        size = 0
        while chunk := packed.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > self._most:
                detail = f"{self._shown}: unpacked, it has more than {self._most} bytes (SIMPUL_SOURCE_BYTES)"
                raise SourceTooLarge(detail, field="/source/location", limit_bytes=self._most)
            if size > LARGE_BYTES and size > MOST_RATIO * self._packed:
                detail = f"{self._shown}: it unpacks to more than {MOST_RATIO} times its size, which no table does; it is not read"
                raise SourceTooLarge(detail, field="/source/location", limit_ratio=MOST_RATIO)
            write(chunk)


@contextmanager
def opened(path: Path, location: str) -> Iterator[Archive]:
    """The archive. Raises `SourceFormatError` where it is none or damaged, `SourceTooLarge` where it lists too much."""
    with path.open("rb") as file:
        count, listed = _directory(file, location)
        if count > MOST_MEMBERS or listed > DIRECTORY_BYTES:
            detail = f"{location}: the archive lists {count} members in {listed} bytes; at most {MOST_MEMBERS} are looked through"
            raise SourceTooLarge(detail, field="/source/location", limit_members=MOST_MEMBERS)
        with _damaged(location):
            archive = zipfile.ZipFile(file)
        with archive:
            yield Archive(archive, path, location)


def holds_members(path: Path, source: FileSource) -> bool:
    """Whether a ZIP is an archive of files to the reader, and not one file itself (a workbook, a zipped Shapefile, a KMZ)."""
    if source.member is not None:
        return True
    found = content_of(path)
    if found is None or found.format is not None:
        return False
    return not found.advice or "ZIP archive" in found.name


def is_zip(path: Path) -> bool:
    """Whether the file begins as a ZIP."""
    with path.open("rb") as file:
        return file.read(4) in {b"PK\x03\x04", b"PK\x05\x06"}


def is_gzip(path: Path) -> bool:
    """Whether the file begins as what gzip packs."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def gunzip(path: Path, location: str, write: Callable[[bytes], None], most: int) -> None:
    """Writes what gzip packed, held to its checksum and length (RFC 1952). Raises `SourceFormatError`, `SourceTooLarge`."""
    if not is_gzip(path):
        raise SourceFormatError(
            f"{location} ends in .gz, but is not packed by gzip; call it what it is", field="/source/location"
        )
    with _damaged(location), gzip.open(path, "rb") as packed:
        Bound(location, path.stat().st_size, most).copy(packed, write)  # type: ignore[arg-type]


@contextmanager
def _damaged(location: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile):
        raise SourceFormatError(
            f"{location}: the archive is damaged or cut off; upload it again, whole", field="/source/location"
        ) from None
    except (NotImplementedError, RuntimeError):
        raise SourceFormatError(
            f"{location}: the archive is packed in a way that is not unpacked; pack it as an ordinary ZIP",
            field="/source/location",
        ) from None


def _directory(file: IO[bytes], location: str) -> tuple[int, int]:
    """How many members the end of the archive says it lists, and in how many bytes (APPNOTE.TXT 4.3.14 to 4.3.16)."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise SourceFormatError(
            f"{location}: the archive is damaged or cut off; upload it again, whole", field="/source/location"
        )
    _, _, _, _, count, listed, _, _ = _END.unpack_from(tail, at)
    before = at - _LOCATOR64.size
    if before >= 0 and tail[before : before + 4] == b"PK\x06\x07":
        _, _, offset, _ = _LOCATOR64.unpack_from(tail, before)
        file.seek(min(offset, size))
        head = file.read(_END64.size)
        if len(head) == _END64.size and head.startswith(b"PK\x06\x06"):
            _, _, _, _, _, _, _, count, listed, _ = _END64.unpack(head)
    file.seek(0)
    return count, listed


def _name(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & _UTF8_FLAG or entry.filename.isascii():
        return entry.filename
    try:
        return entry.orig_filename.encode("cp437").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return entry.filename


def _visible(name: str) -> bool:
    last = PurePosixPath(name).name
    return not name.startswith(_SYSTEM_FOLDER) and not last.startswith((".", "~$"))
