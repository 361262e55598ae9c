"""Kind file elsewhere: in a ZIP, packed by gzip, on a web server. What is read and what is told is as if the file stood in the inbox."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.connectors.contract import Connector
from app.errors import SourceError, SourceFormatError, SourceMissing, SourceSchemaMismatch
from tests.contract.connectors.suite import TEXTS, WHOLE_READS, ConnectorSuite, Fault, Subject, opened
from tests.support.file_server import FileServer

_NAMES = ("kode", "nama", "nilai")
_ROWS = [(f"k{at}", text.replace("\uffff", "x"), str(at / 4)) for at, text in enumerate(TEXTS)]
_SCHEMA = pa.schema([(name, pa.string()) for name in _NAMES])
_PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


def table() -> bytes:
    """A CSV with one row that is ragged."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([_NAMES, *_ROWS[:5]])
    text.write("ragged,row\r\n")
    writer.writerows(_ROWS[5:])
    return text.getvalue().encode()


@dataclass
class Stand:
    """Where a file stands: what the manifest says of it, how it is laid there, and how it is seen to be untouched."""

    source: dict[str, Any]
    put: Callable[[bytes | None], None]
    close: Callable[[], None] = lambda: None
    seen: Callable[[], object] = lambda: None
    more: dict[str, Any] = field(default_factory=dict)
    missing: type[SourceError] = SourceMissing


def _zip(folder: Path) -> Stand:
    def put(content: bytes | None) -> None:
        with zipfile.ZipFile(folder / "laporan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("README.txt", "keterangan")
            if content is not None:
                archive.writestr("data/uji.csv", content)

    source = {"kind": "file", "location": "laporan.zip", "member": "data/uji.csv"}
    return Stand(source, put, seen=(folder / "laporan.zip").read_bytes)


def _gz(folder: Path) -> Stand:
    def put(content: bytes | None) -> None:
        (folder / "uji.csv.gz").unlink(missing_ok=True)
        if content is not None:
            (folder / "uji.csv.gz").write_bytes(gzip.compress(content))

    return Stand({"kind": "file", "location": "uji.csv.gz"}, put, seen=(folder / "uji.csv.gz").read_bytes)


def _web(folder: Path) -> Stand:
    server = FileServer()

    def put(content: bytes | None) -> None:
        server.files.clear()
        if content is not None:
            server.files["/data/uji.csv"] = content

    source = {"kind": "file", "location": f"{server.url}/data/uji.csv", "auth": {"kind": "none"}}
    return Stand(source, put, close=server.close, seen=lambda: dict(server.files))


STANDS: dict[str, Callable[[Path], Stand]] = {"zip": _zip, "gz": _gz, "web": _web}


@pytest.fixture(scope="module", params=list(STANDS))
async def subject(request, tmp_path_factory) -> AsyncIterator[Subject]:
    stands: list[Stand] = []

    def at(content: bytes | None) -> tuple[Path, Stand]:
        folder = tmp_path_factory.mktemp(request.param)
        stand = STANDS[request.param](folder)
        stands.append(stand)
        stand.put(content)
        return folder, stand

    folder, stand = at(table())
    connector = opened(folder, stand.source)

    def broken(content: bytes | None) -> Callable[[], Connector]:
        where, other = at(content)
        return lambda: opened(where, other.source)

    async def fingerprint() -> object:
        return stand.seen()

    yield Subject(
        connector,
        _SCHEMA,
        _ROWS,
        rejects=1,
        fingerprint=fingerprint,
        faults=[
            Fault("no file", broken(None), stand.missing, False),
            Fault("a PNG by another name", broken(_PNG), SourceFormatError, False),
            Fault("column gone", broken(b"kode,nama\n1,2\n"), SourceSchemaMismatch, False, ("nama", "pergi")),
        ],
        cannot=WHOLE_READS,
    )
    await connector.close()
    for one in stands:
        one.close()


class TestFileLocations(ConnectorSuite):
    pass
