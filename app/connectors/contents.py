"""What a file is by its bytes, whatever it is called; of what no kind reads, how to save it so that it is read.

Asked at an upload, at a check and at every read.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

HEAD_BYTES: Final = 4_096
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Content:
    """What a file is. `format`: of kind `file`; None where it is none of them, and then `advice` says what to do."""

    name: str
    format: str | None = None
    advice: str = ""
    readable: bool = False
    """Whether another kind reads it."""


_AS_TABLE = "save the table itself as XLSX or CSV and upload that"
_UNPACK = "unpack it and upload the file that is inside"
_DUMP = "load it into a database and use kind sql, or export the table as CSV"
_ZIP = Content("ZIP archive", None, _UNPACK)
_NAME_MEMBER = "name the file in it: member: …"
_MEMBERS = frozenset(
    [
        "csv",
        "tsv",
        "txt",
        "xlsx",
        "xlsm",
        "xls",
        "xlsb",
        "html",
        "htm",
        "xml",
        "ods",
        "json",
        "ndjson",
        "jsonl",
        "geojson",
        "parquet",
        "dbf",
        "gpkg",
        "kml",
        "sav",
        "zsav",
    ]
)
"""Endings of members that are read; kind `file` knows the formats."""
_ACCESS = "export each table from Access as XLSX or CSV, or by mdb-export of mdbtools"
_GZIP = b"\x1f\x8b"
_SQLITE = Content(
    "SQLite database", None, "use kind: sql with url: sqlite:inbox/NAME, and name its table", readable=True
)
_MAGIC: tuple[tuple[bytes, Content], ...] = (
    (b"\x89PNG\r\n\x1a\n", Content("PNG image", None, f"an image holds no records: {_AS_TABLE}")),
    (b"\xff\xd8\xff", Content("JPEG image", None, f"an image holds no records: {_AS_TABLE}")),
    (b"GIF8", Content("GIF image", None, f"an image holds no records: {_AS_TABLE}")),
    (b"II*\0", Content("TIFF image", None, f"an image holds no records: {_AS_TABLE}")),
    (b"MM\0*", Content("TIFF image", None, f"an image holds no records: {_AS_TABLE}")),
    (
        b"%PDF-",
        Content("PDF document", None, f"a PDF keeps no cells; ask whoever made it for the sheet, or {_AS_TABLE}"),
    ),
    (b"{\\rtf", Content("RTF document", None, _AS_TABLE)),
    (b"Rar!\x1a\x07", Content("RAR archive", None, _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Content("7z archive", None, _UNPACK)),
    (_GZIP, Content("gzip archive", None, _UNPACK)),
    (b"BZh", Content("bzip2 archive", None, _UNPACK)),
    (b"\xfd7zXZ\0", Content("xz archive", None, _UNPACK)),
    (b"PAR1", Content("Parquet file", "parquet")),
    (b"\0\x01\0\0Standard Jet DB", Content("Access database", None, _ACCESS)),
    (b"\0\x01\0\0Standard ACE DB", Content("Access database", None, _ACCESS)),
    (b"$FL2", Content("SPSS file", "spss")),
    (b"$FL3", Content("SPSS file", "spss")),
    (
        b"0" * 40 + b"ASCII SPSS PORT FILE",
        Content("portable file of SPSS", None, "its numbers are not kept exactly; save it as SAV"),
    ),
    (b"PGDMP", Content("PostgreSQL dump", None, _DUMP)),
    (b"\0\0\x27\x0a", Content("Shapefile", "shapefile")),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SQL = re.compile(
    rb"\s*(?:(?:--[^\n]*\n\s*){0,4}--[^\n]*(?:dump|phpMyAdmin|HeidiSQL|Navicat)|/\*M?!\d{5,6}|"
    rb"(?:(?:--[^\n]*\n|/\*.*?\*/)\s*)*"
    rb"(?:create\s+(?:table|database|schema)\s|insert\s+into\s|drop\s+table\s|begin\s+transaction;|pragma\s+foreign_keys))",
    re.IGNORECASE | re.DOTALL,
)
_BEFORE_ROOT = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!doctype[^>\[]*(?:\[.*?\]\s*)?>)*", re.IGNORECASE | re.DOTALL)
_ROOT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z][\w.-]*)")
_HTML = frozenset(
    {"html", "head", "meta", "title", "body", "style", "table", "div", "center", "form", "link", "script"}
)
_SPREADSHEET = "urn:schemas-microsoft-com:office:spreadsheet"


def why_unread(found: Content) -> str | None:
    """Why no kind reads such a file on this machine and what to do; None where one does."""
    if found.format == "spss" and find_spec("pyreadstat") is None:
        return "the operator installs simpul[spss], or save it from SPSS or PSPP as CSV or XLSX"
    return found.advice if found.format is None and not found.readable else None


def content_of(path: Path) -> Content | None:
    """What the file is; None for text without a sign of its own. Raises `OSError`."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return _in_zip(file)
        if head.startswith(_OLE):
            return _in_ole(file, head)
        if head.startswith(_GZIP):
            return _in_gzip(head)
    return content_of_bytes(head)


def content_of_bytes(head: bytes) -> Content | None:
    """The same by the first bytes alone."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _ZIP
    if head.startswith(_OLE):
        return Content("old Office file (XLS)", "xls")
    if head.startswith(b"SQLite format 3\0"):
        return Content("GeoPackage", "gpkg") if head[68:72] in {b"GPKG", b"GP10", b"GP11"} else _SQLITE
    found = next((content for magic, content in _MAGIC if head.startswith(magic)), None)
    if found is not None:
        return found
    if _SQL.match(head.removeprefix(b"\xef\xbb\xbf")):
        return Content("SQL dump", None, _DUMP)
    return _markup(head)


def _markup(head: bytes) -> Content | None:
    """HTML, XML and the kinds of XML that are read as something else."""
    text = _text(head)
    root = _ROOT.match(text, _BEFORE_ROOT.match(text).end())  # type: ignore[union-attr]
    if root is None:
        return Content("XML document", "xml") if text.lstrip().startswith("<?xml") else None
    name = root[1].lower()
    if name in _HTML:
        return Content("HTML page", "html")
    if name == "workbook" and _SPREADSHEET in text:
        return Content("Excel 2003 XML workbook", "xml2003")
    if name == "kml":
        return Content("KML document", "kml")
    return Content("XML document", "xml") if text.lstrip().startswith("<?xml") else None


def _text(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def _in_zip(file: IO[bytes]) -> Content:
    """What an archive is by its members."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            names = {entry.filename for entry in entries}
            kind = ""
            if "mimetype" in names:
                with archive.open("mimetype") as member:  # as much as is looked at, whatever the member unpacks to
                    kind = member.read(100).decode("latin-1")
    except (
        NotImplementedError,
        RuntimeError,
    ):  # what zipfile says of a packing that it does not know, and of a password
        return Content(
            "ZIP archive that is packed with a password or in an unknown way", None, "pack it anew without one"
        )
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        return Content("ZIP archive (XLSX, ODS or DOCX) that is damaged or cut off", None, "upload it again, whole")
    if any(name.startswith("xl/") for name in names):
        binary = "xl/workbook.bin" in names
        return Content("XLSB workbook", "xlsb") if binary else Content("XLSX workbook", "xlsx")
    if any(name.startswith("word/") for name in names):
        return Content("DOCX document", None, f"a text document is not read: {_AS_TABLE}")
    if any(name.startswith("ppt/") for name in names):
        return Content("PPTX presentation", None, f"a presentation is not read: {_AS_TABLE}")
    if kind.startswith("application/vnd.oasis.opendocument.") and "spreadsheet" not in kind:
        return Content("OpenDocument text or drawing", None, f"it is no spreadsheet: {_AS_TABLE}")
    if "content.xml" in names:
        return Content("ODS workbook", "ods")
    endings = [name.rpartition(".")[2].lower() for name in names]
    if "shp" in endings:
        return Content("zipped Shapefile", "shapefile")
    if "kml" in endings:
        return Content("KMZ archive", "kml")
    return _plain_zip(entries)


def _plain_zip(entries: list[zipfile.ZipInfo]) -> Content:
    inside = ", ".join(sorted(entry.filename for entry in entries)[:_SHOWN]) or "nothing"
    locked = " protected by a password" if any(entry.flag_bits & 1 for entry in entries) else ""
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    endings = {entry.filename.rpartition(".")[2].lower() for entry in entries}
    readable = not locked and bool(endings & _MEMBERS)
    advice = _NAME_MEMBER if readable else f"no member of it is read: {_UNPACK}"
    return Content(f"ZIP archive{locked} that holds {inside[:300]}{more}", None, advice, readable)


def _in_gzip(head: bytes) -> Content:
    """What gzip packed, by its first bytes: a file that is read is so as NAME.csv.gz, an archive of files is not."""
    try:
        inside = zlib.decompressobj(31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return Content("gzip archive that is damaged", None, "pack it anew, or upload what is inside")
    found = Content("tar archive", None, _UNPACK) if inside[257:262] == b"ustar" else content_of_bytes(inside)
    if found is not None and found.format is None:
        return Content(f"gzip archive of a {found.name}", None, _UNPACK)
    return Content("gzip archive", None, "call it by the file inside, with .gz behind it: NAME.csv.gz", readable=True)


def _in_ole(file: IO[bytes], head: bytes) -> Content:
    """What an old Office container is by the names in its directory."""
    names = _ole_names(file, head)
    if "EncryptedPackage" in names:
        return Content(
            "workbook or document that is protected by a password", None, "save it without a password and upload that"
        )
    if names & {"Workbook", "Book"} or not names:
        return Content("old Office file (XLS)", "xls")
    if "WordDocument" in names:
        return Content("DOC document", None, f"a text document is not read: {_AS_TABLE}")
    if "PowerPoint Document" in names:
        return Content("PPT presentation", None, f"a presentation is not read: {_AS_TABLE}")
    return Content("old Office file that is no workbook", None, _AS_TABLE)


def _ole_names(file: IO[bytes], head: bytes) -> set[str]:
    """The names of a compound file's directory, as far as its sectors can be followed by the header alone ([MS-CFB])."""
    if len(head) < 512:
        return set()
    size = 1 << min(struct.unpack_from("<H", head, 30)[0], 12)
    sector: int = struct.unpack_from("<I", head, 48)[0]
    tables = struct.unpack_from("<109I", head, 76)
    names: set[str] = set()
    for _ in range(64):
        file.seek((sector + 1) * size)
        block = file.read(size)
        for start in range(0, len(block) - 127, 128):
            length = struct.unpack_from("<H", block, start + 64)[0]
            if 2 < length <= 64:
                names.add(block[start : start + length - 2].decode("utf-16-le", "replace"))
        table, at = divmod(sector, size // 4)
        if table >= len(tables) or tables[table] >= 0xFFFFFFFA:
            break
        file.seek((tables[table] + 1) * size + at * 4)
        following = file.read(4)
        if len(following) < 4 or (sector := struct.unpack("<I", following)[0]) >= 0xFFFFFFFA:
            break
    return names
