"""What a file is by its bytes, and what is said of what is not read."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from app.connectors.contents import content_of


def _zip(*names: str, **contents: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), contents.get(name, "x"))
    return sink.getvalue()


def _ole(*names: str) -> bytes:
    head = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    struct.pack_into("<H", head, 30, 9)
    struct.pack_into("<I", head, 48, 1)
    struct.pack_into("<109I", head, 76, 0, *[0xFFFFFFFF] * 108)
    table = struct.pack("<128I", 0xFFFFFFFD, 2, 0xFFFFFFFE, *[0xFFFFFFFF] * 125)
    entries = b""
    for name in ("Root Entry", "a", "b", "c", *names):
        text = name.encode("utf-16-le")
        entries += text.ljust(64, b"\0") + struct.pack("<H", len(text) + 2) + bytes(62)
    return bytes(head) + table + entries.ljust(1024, b"\0")


@pytest.mark.parametrize(
    ("content", "name", "advice"),
    [
        (b"%PDF-1.7", "PDF document", "XLSX or CSV"),
        (b"\xff\xd8\xff\xe0", "JPEG image", "XLSX or CSV"),
        (b"Rar!\x1a\x07\x01\0", "RAR archive", "unpack"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z archive", "unpack"),
        (b"\0\x01\0\0Standard ACE DB\0", "Access database", "export each table"),
        (b"0" * 40 + b"ASCII SPSS PORT FILE   ", "portable file of SPSS", "save it as SAV"),
        (b"-- MySQL dump 10.13  Distrib 5.7\n", "SQL dump", "kind sql"),
        (b"-- phpMyAdmin SQL Dump\n-- version 5\n", "SQL dump", "kind sql"),
        (b"--\n-- PostgreSQL database dump\n--\n", "SQL dump", "kind sql"),
        (b"/*!40101 SET NAMES utf8 */;", "SQL dump", "kind sql"),
        (b"\xef\xbb\xbf-- data\nINSERT INTO a VALUES (1);", "SQL dump", "kind sql"),
        (b"PGDMP\1", "PostgreSQL dump", "kind sql"),
        (_zip("[Content_Types].xml", "word/document.xml"), "DOCX document", "XLSX or CSV"),
        (_zip("data.bin"), "ZIP archive that holds data.bin", "no member of it is read"),
        (_zip("a.csv.gz", "b.zip"), "ZIP archive that holds a.csv.gz, b.zip", "unpack"),
        (gzip.compress(b"%PDF-1.7", mtime=0), "gzip archive of a PDF document", "unpack"),
        (gzip.compress(b"a.csv".ljust(257, b"\0") + b"ustar", mtime=0), "gzip archive of a tar archive", "unpack"),
        (b"\x1f\x8b" + b"x" * 20, "gzip archive that is damaged", "pack it anew"),
        (_zip("a.csv")[:-30], "ZIP archive (XLSX, ODS or DOCX) that is damaged or cut off", "upload it again"),
        (
            _zip("mimetype", "content.xml", mimetype="application/vnd.oasis.opendocument.text"),
            "OpenDocument text or drawing",
            "XLSX",
        ),
        (
            _ole("EncryptionInfo", "EncryptedPackage"),
            "workbook or document that is protected by a password",
            "without a password",
        ),
        (_ole("WordDocument"), "DOC document", "XLSX or CSV"),
        (_ole("PowerPoint Document"), "PPT presentation", "XLSX or CSV"),
    ],
)
def test_what_is_not_read_says_what_to_do(tmp_path: Path, content: bytes, name: str, advice: str) -> None:
    (tmp_path / "a").write_bytes(content)
    found = content_of(tmp_path / "a")
    assert found is not None
    assert (found.name, found.format, found.readable) == (name, None, False)
    assert advice in found.advice


@pytest.mark.parametrize(
    ("content", "name", "advice"),
    [
        (_zip("data.csv"), "ZIP archive that holds data.csv", "member"),
        (_zip("a.csv", "b.xlsx", "c.pdf"), "ZIP archive that holds a.csv, b.xlsx, c.pdf", "member"),
        (gzip.compress(b"kode,nama\n", mtime=0), "gzip archive", "NAME.csv.gz"),
    ],
)
def test_what_is_read_by_naming_what_is_inside(tmp_path: Path, content: bytes, name: str, advice: str) -> None:
    (tmp_path / "a").write_bytes(content)
    found = content_of(tmp_path / "a")
    assert found is not None
    assert (found.name, found.format, found.readable) == (name, None, True)
    assert advice in found.advice


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (_ole("Workbook"), "xls"),
        (_zip("[Content_Types].xml", "xl/workbook.xml"), "xlsx"),
        (_zip("[Content_Types].xml", "xl/workbook.bin"), "xlsb"),
        (_zip("content.xml"), "ods"),
        (b"\n <!-- x --><!DOCTYPE html PUBLIC '-//W3C//DTD'>\n<HTML>", "html"),
        (b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'>", "html"),
        ('<?xml version="1.0" encoding="utf-16"?><table>'.encode("utf-16"), "html"),
        (b'<?xml version="1.0"?><ss:Workbook xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">', "xml2003"),
        (b'<?xml version="1.0"?><data/>', "xml"),
        (b"PAR1", "parquet"),
        (b"$FL2@(#) SPSS DATA FILE", "spss"),
        (b"$FL3@(#) SPSS DATA FILE", "spss"),
    ],
)
def test_what_is_read_is_known_by_its_bytes(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "a").write_bytes(content)
    found = content_of(tmp_path / "a")
    assert found is not None
    assert found.format == kind


@pytest.mark.parametrize(
    "content", [b"", b"kode,nama\n1,2\n", b"[]", b"<kosong>,a\n", b"-- catatan\nkode\n", b"insert,into\n", b"II,a\n"]
)
def test_plain_text_is_no_more_than_that(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert content_of(tmp_path / "a") is None


def test_a_member_that_unpacks_to_much_is_not_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "besar.ods"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", b"application/vnd.oasis.opendocument.spreadsheet" + bytes(200_000_000))
        archive.writestr("content.xml", "<x/>")
    tracemalloc.start()
    try:
        found = content_of(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found is not None
    assert found.name == "ODS workbook"
    assert peak < 5_000_000
