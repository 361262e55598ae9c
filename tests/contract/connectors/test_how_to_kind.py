"""The kind that docs/how-to/write-a-connector-kind.md writes, as it stands on the page, in the suite of all kinds."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import app.connectors
from app.connectors.contract import Connector
from app.connectors.registry import KINDS
from app.datasets.manifest import parse_manifest
from app.errors import ManifestInvalid, SourceFormatError, SourceMissing, SourcePermissionDenied, SourceSchemaMismatch
from tests.contract.connectors.suite import PERSON, WHOLE_READS, ConnectorSuite, Fault, Subject, opened
from tests.support.pages import DOCS, sections

PAGE = "how-to/write-a-connector-kind.md"
MOST_LINES = 100
_NAMES = ("Kode Akun", "Uraian", "Realisasi")
_SOURCE = {
    "kind": "fixed",
    "location": "realisasi.txt",
    "columns": {"Kode Akun": [1, 12], "Uraian": [13, 40], "Realisasi": [41, 56]},
}
_ROWS = [
    (f"5.1.{number:02}", ("Belanja Pegawai", "Belanja Barang", "")[number % 3], f"{number * 1000},50")
    for number in range(1, 2500)
]


def blocks(language: str) -> list[str]:
    return [block for section in sections(PAGE) for block in section.blocks(language)]


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The kind's files as the page has them, in a folder that counts as part of `app/connectors`."""
    folder = tmp_path_factory.mktemp("kind")
    for block in blocks("python"):
        path = folder / block.partition("\n")[0].removeprefix("# app/connectors/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(block, "utf-8")
    app.connectors.__path__.append(str(folder))
    kind = importlib.import_module("app.connectors.fixed").KIND
    KINDS[kind.name] = kind
    yield
    del KINDS[kind.name]
    app.connectors.__path__.remove(str(folder))
    for name in [name for name in sys.modules if name.startswith("app.connectors.fixed")]:
        del sys.modules[name]


def _write(folder: Path, encoding: str = "utf-8") -> None:
    lines = [f"{code:12}{text:28}{amount:16}" for code, text, amount in _ROWS]
    (folder / "realisasi.txt").write_text("\n".join([*lines[:9], "short", *lines[9:]]) + "\n", encoding)


@pytest.fixture(scope="module")
async def subject(fixed: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Subject]:
    folder, empty, linked, strange = (tmp_path_factory.mktemp(name) for name in ("fixed", "none", "linked", "bytes"))
    _write(folder)
    (linked / "realisasi.txt").symlink_to("/etc/passwd")
    (strange / "realisasi.txt").write_bytes(f"{PERSON:60}\n".encode() + b"\xff\xfe" * 40)
    connector = opened(folder, _SOURCE)

    def at(place: Path) -> Connector:
        return opened(place, _SOURCE)

    async def fingerprint() -> object:
        return hashlib.sha256((folder / "realisasi.txt").read_bytes()).hexdigest()

    yield Subject(
        connector,
        pa.schema([(name, pa.string()) for name in _NAMES]),
        [tuple(row) for row in _ROWS],
        rejects=1,
        fingerprint=fingerprint,
        faults=[
            Fault("no file", lambda: at(empty), SourceMissing, False),
            Fault("a link out of the folder", lambda: at(linked), SourcePermissionDenied, False),
            Fault("wrong bytes", lambda: at(strange), SourceFormatError, False),
            Fault("column gone", lambda: at(folder), SourceSchemaMismatch, False, ("Uraian", "pergi")),
        ],
        cannot=WHOLE_READS | {"estimate"},
    )
    await connector.close()


class TestKindOfThePage(ConnectorSuite):
    def test_the_kind_has_less_than_a_hundred_lines_of_code(self) -> None:
        connector = max(blocks("python"), key=len)

        assert len([line for line in connector.splitlines() if line.strip()]) < MOST_LINES

    def test_the_manifest_of_the_page_is_taken_and_wrong_places_are_refused(self, fixed: None) -> None:
        (manifest,) = blocks("yaml")
        parse_manifest(manifest, draft=True)

        with pytest.raises(ManifestInvalid, match="counted from 1"):
            parse_manifest(manifest.replace("[1, 12]", "[0, 12]"), draft=True)

    def test_the_places_that_the_page_names_exist(self) -> None:
        root = DOCS.parent
        assert "KINDS" in (root / "app/connectors/registry.py").read_text("utf-8")
        assert "class ManifestSource" in (root / "app/api/registry/manifest_wire.py").read_text("utf-8")
        assert [
            name
            for name in ('id = "kinds"', 'id = "independent"')
            if name not in (root / "pyproject.toml").read_text("utf-8")
        ] == []
