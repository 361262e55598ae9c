"""Kind sql on SQLite."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest

from app.connectors.suite import PERSON, TEXTS, ConnectorSuite, Fault, Subject, opened
from app.errors import SourceFormatError, SourceMissing, SourcePermissionDenied, SourceSchemaMismatch

_DATES = ("2024-01-31", "2024-02-29", "2025", "", " ", "1x", "2024-01-31T00:00")
_NUMBERS = (0, 1, -1, 7, 2**53 + 1, 2**58, -(2**58))


def _rows() -> list[tuple]:
    rows = []
    for place in range(80):
        text = TEXTS[place % len(TEXTS)] if place % 7 else None
        number = _NUMBERS[place % len(_NUMBERS)] if place % 5 else None
        free = TEXTS[(place * 3) % len(TEXTS)] if place % 6 else None
        rows.append((place, text, number, place / 8 if place % 4 else None, _DATES[place % len(_DATES)], free))
    return rows


def _file(folder: Path, rows: list[tuple]) -> None:
    with sqlite3.connect(folder / "uji.db") as database:
        database.execute(
            "CREATE TABLE uji (id INTEGER PRIMARY KEY, nama TEXT COLLATE NOCASE, angka INTEGER, pecahan REAL,"
            " tanggal DATE NOT NULL, bebas)"
        )
        # DATE has the affinity NUMERIC: '2025' becomes a number there unless it is kept from it.
        database.executemany("INSERT INTO uji VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.close()


def _source(table: str = "uji") -> dict:
    return {"kind": "sql", "url": "sqlite:uji.db", "table": table}


@pytest.fixture(scope="module")
async def subject(tmp_path_factory) -> AsyncIterator[Subject]:
    folder = tmp_path_factory.mktemp("sqlite")
    rows = [row for row in _rows() if row[4] != "2025"]
    _file(folder, rows)
    broken = tmp_path_factory.mktemp("broken")
    (broken / "uji.db").write_text(f"nama\n{PERSON}\n" * 50)
    outside = tmp_path_factory.mktemp("outside")
    (outside / "uji.db").symlink_to("/etc/passwd")
    connector = opened(folder, _source())

    async def fingerprint() -> object:
        return sorted((file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in folder.glob("uji*"))

    yield Subject(
        connector,
        pa.schema(
            [
                ("id", pa.int64()),
                ("nama", pa.string()),
                ("angka", pa.int64()),
                ("pecahan", pa.float64()),
                ("tanggal", pa.string()),
                ("bebas", pa.string()),
            ]
        ),
        rows,
        literals={
            "id": (0, 3, 79, 1000),
            "nama": (*TEXTS, "x\0y"),
            "angka": (*_NUMBERS, 5, 2**62, 2**63),
            "tanggal": (*_DATES, "2024", "10", "0"),
            "bebas": TEXTS,
        },
        texts=frozenset({"nama", "tanggal", "bebas"}),
        unique="id",
        measured=("id", "nama", "angka"),
        fingerprint=fingerprint,
        faults=[
            Fault("no file", lambda: opened(outside, {**_source(), "url": "sqlite:none.db"}), SourceMissing, False),
            Fault("a link out of the folder", lambda: opened(outside, _source()), SourcePermissionDenied, False),
            Fault("no database", lambda: opened(broken, _source()), SourceFormatError, False),
            Fault("no table", lambda: opened(folder, _source("lain")), SourceMissing, False),
            Fault("column gone", lambda: opened(folder, _source()), SourceSchemaMismatch, False, ("nama", "pergi")),
        ],
    )
    await connector.close()


class TestSqlite(ConnectorSuite):
    pass
