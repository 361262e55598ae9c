"""Kind file elsewhere: in a ZIP, packed by gzip, on a web server, in an object store, on an SFTP server. What is read and what is told is as if the file stood in the inbox."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.connectors.contract import Connector
from app.connectors.registry import open_connector, source_model
from app.connectors.suite import (
    SECRET,
    TEXTS,
    WHOLE_READS,
    ConnectorSuite,
    Fault,
    Secrets,
    Subject,
    environment,
)
from app.errors import SourceFormatError, SourceMissing, SourceSchemaMismatch
from tests.support.file_server import FileServer
from tests.support.object_store import REGION, ObjectStoreServer
from tests.support.sftp_server import USER, SftpServer

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
    secrets: dict[str, str] = field(default_factory=dict)


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


def _s3(folder: Path) -> Stand:
    server = ObjectStoreServer()

    def put(content: bytes | None) -> None:
        server.remove("data/uji.csv")
        if content is not None:
            server.put("data/uji.csv", content)

    source = {
        "kind": "file",
        "location": f"s3://{server.bucket}/data/uji.csv",
        "endpoint": server.url,
        "region": REGION,
    }
    keys = {"access_key": "${secret:ACCESS}", "secret_key": "${secret:SECRET}"}
    secrets = {"ACCESS": server.keys[0], "SECRET": server.keys[1]}
    return Stand({**source, **keys}, put, close=server.close, seen=server.listing, secrets=secrets)


def _sftp(folder: Path) -> Stand:
    server = SftpServer(folder, SECRET)

    def put(content: bytes | None) -> None:
        (folder / "uji.csv").unlink(missing_ok=True)
        if content is not None:
            (folder / "uji.csv").write_bytes(content)

    source = {"kind": "file", "location": f"sftp://127.0.0.1:{server.port}/uji.csv", "user": USER}
    proof = {"password": "${secret:PW}", "host_key": server.fingerprint}
    return Stand({**source, **proof}, put, close=server.close, seen=(folder / "uji.csv").read_bytes)


STANDS: dict[str, Callable[[Path], Stand]] = {"zip": _zip, "gz": _gz, "web": _web, "s3": _s3, "sftp": _sftp}


class _Secrets(Secrets):
    """Knows the secrets of a stand beside the suite's own."""

    def __init__(self, known: dict[str, str]) -> None:
        super().__init__()
        self._known = known

    def resolve(self, text: str) -> str:
        for name, value in self._known.items():
            text = text.replace(f"${{secret:{name}}}", value)
        return super().resolve(text)


def opened(folder: Path, stand: Stand) -> Connector:
    around = replace(environment(folder), secrets=_Secrets(stand.secrets))
    return open_connector(source_model("file").model_validate(stand.source), around)


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
    connector = opened(folder, stand)

    def broken(content: bytes | None) -> Callable[[], Connector]:
        where, other = at(content)
        return lambda: opened(where, other)

    async def fingerprint() -> object:
        return stand.seen()

    yield Subject(
        connector,
        _SCHEMA,
        _ROWS,
        rejects=1,
        fingerprint=fingerprint,
        faults=[
            Fault("no file", broken(None), SourceMissing, False),
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
