"""XML files: what is refused, what is told, what is read in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.connectors.diagnosis import Diagnoses
from app.connectors.file.source import FileSource
from app.connectors.file.xml_reader import read_xml
from app.connectors.suite import opened
from app.connectors.xml_records import MOST_RECORD_CHARACTERS
from app.errors import SimpulError, SourceFormatError, SourceTooLarge


def read(path: Path, content: str | bytes, record_path: str | None = "/a/b") -> list[tuple[Any, ...]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    source = FileSource.model_validate({"kind": "file", "location": path.name, "record_path": record_path})
    return [row for batch in read_xml(path, source, path.name) for row in batch.rows or ()]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><a><b>&x;</b></a>", "document type"),
        ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "document type"),
        ("<a><b>1</b><b>", "line 1: the XML is broken or cut off"),
        ("<a><b>1</b>\n</c>", "line 2: the XML is broken"),
        ("<a><b>&x;</b></a>", "undefined entity"),
        ("<?xml version='1.0' encoding='x-jepara'?><a/>", "encoding"),
        ("<a><c/></a>", "no element at /a/b; beside it stand c"),
        ("<x><b/></x>", "no element at /a/b"),
        ("<a><b>" + "<c>" * 100 + "</c>" * 100 + "</b></a>", "100 deep"),
    ],
)
def test_what_is_no_such_document_is_told(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(SourceFormatError, match=said):
        read(tmp_path / "a.xml", content)


def test_a_list_without_records_has_none_and_a_path_must_be_stated(tmp_path: Path) -> None:
    assert read(tmp_path / "a.xml", "<a></a>") == []
    assert read(tmp_path / "a.xml", "<a/>", "/a") == [("",)]
    with pytest.raises(SourceFormatError, match="state record_path"):
        read(tmp_path / "a.xml", "<a/>", None)
    for wrong in ("a/b", "/a//b", "/x:a", "$.a", "/a[1]", "/"):
        with pytest.raises(ValueError, match="written /data/item"):
            FileSource.model_validate({"kind": "file", "location": "a.xml", "record_path": wrong})


def test_a_record_without_end_is_bounded_and_many_records_come_in_pieces(tmp_path: Path) -> None:
    with pytest.raises(SourceTooLarge):
        read(tmp_path / "a.xml", b"<a><b>" + b"x" * (MOST_RECORD_CHARACTERS + 1) + b"</b></a>")
    rows = read(tmp_path / "a.xml", b"<a>" + b"<b i='1'>x</b>" * 3_500 + b"</a>")
    assert rows == [("1", "x")] * 3_500


def test_encodings_that_the_document_names(tmp_path: Path) -> None:
    for name in ("windows-1252", "iso-8859-1", "utf-16", "utf-8"):
        text = f"<?xml version='1.0' encoding='{name}'?><a><b>é</b></a>"
        assert read(tmp_path / "a.xml", text.encode(name)) == [("é",)]


async def test_discover_finds_the_records_and_an_option_for_sheets_is_refused(tmp_path: Path) -> None:
    items = "<item id='1'><nama>x</nama><tag>1</tag><tag>2</tag></item>" * 3
    (tmp_path / "a.xml").write_text(f"<data><meta v='1'/><hasil>{items}</hasil></data>")
    connector = opened(tmp_path, {"kind": "file", "location": "a.xml"})
    assert isinstance(connector, Diagnoses)
    assert (await connector.diagnose()).source == {"record_path": "/data/hasil/item"}
    await connector.close()
    sheet = opened(tmp_path, {"kind": "file", "location": "a.xml", "sheet": "x"})
    with pytest.raises(SimpulError, match="sheet does nothing for a file of format xml"):
        await sheet.discover()
    await sheet.close()
