"""SPSS files as SPSS and PSPP write them: codes, labels, missing values, times, encodings, damage."""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import pytest
from pydantic import ValidationError

from app.connectors.cells import LongNumber
from app.connectors.contract import RawReject, ScanRequest
from app.connectors.environment import Limits
from app.connectors.file import KIND
from app.connectors.file.content import FileContent
from app.connectors.file.source import FileSource
from app.errors import SourceFormatError, SourceSchemaMismatch, SourceTooLarge
from tests.support.reading import dataset, environment, read

_EPOCH = datetime.fromisoformat("1582-10-14")
_MIDNIGHT, _LATE = datetime.fromisoformat("2024-02-29"), datetime.fromisoformat("2024-02-29T23:59:58.500")
_LABELS = {"jk": {1.0: "Laki-laki", 2.0: "Perempuan", 9.0: "TT"}, "status": {"A": "Aktif"}}


def _seconds(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds()


def _write(path: Path, columns: dict[str, list[Any]], **options: Any) -> Path:
    pyreadstat.write_sav(pd.DataFrame(columns), path, **options)
    return path


async def _read(
    path: Path, columns: tuple[str, ...] | None = None, **source: Any
) -> tuple[list[Any], list[Any], list[Any]]:
    """Rows, rejects, notes."""
    connector = KIND.open(FileSource(location=path.name, **source), environment(path.parent))
    rows, rejects, notes = list[Any](), list[RawReject](), list[str]()
    try:
        async for batch in connector.scan(ScanRequest(columns=columns)):
            rows += batch.rows or []
            rejects += batch.rejects
            notes += batch.notes
    finally:
        await connector.close()
    return rows, rejects, notes


def _survey(path: Path, **options: Any) -> Path:
    return _write(
        path,
        {"jk": [1.0, 2.0, 9.0, None, 7.0], "status": ["A", "B", "X", "", "A"], "umur": [30.0, 31.5, 98.0, -1.0, 0.0]},
        variable_value_labels=_LABELS,
        column_labels={"jk": "Jenis kelamin"},
        missing_ranges={"jk": [9], "status": ["X"], "umur": [{"lo": 97, "hi": 99}]},
        variable_format={"jk": "F1.0"},
        **options,
    )


@pytest.mark.parametrize("packing", [{}, {"row_compress": True}, {"compress": True}])
async def test_codes_stand_as_numbers_and_what_the_file_calls_missing_is_null(tmp_path: Path, packing: Any) -> None:
    path = _survey(tmp_path / ("a.zsav" if "compress" in packing else "a.sav"), **packing)

    rows, rejects, notes = await _read(path)

    assert rows == [(1, "A", 30), (2, "B", 31.5), (None, None, None), (None, "", -1), (7, "A", 0)]
    assert [type(cell) for cell in rows[1]] == [int, str, float]
    assert not rejects
    assert notes == [
        f"{path.name}: values that the file declares as missing are null: jk (9), status (X), umur (97 to 99)"
    ]


async def test_labels_stand_for_codes_where_the_manifest_says_so_and_a_code_without_one_is_told(tmp_path: Path) -> None:
    rows, _, notes = await _read(_survey(tmp_path / "a.sav"), labels=True)

    assert [row[:2] for row in rows] == [
        ("Laki-laki", "Aktif"), ("Perempuan", "B"), (None, None), (None, ""), (7, "Aktif"),
    ]  # fmt: skip
    assert notes[1:] == [
        "a.sav: 1 values of jk have no label and stand as they are",
        "a.sav: 1 values of status have no label and stand as they are",
    ]


async def test_discover_shows_formats_and_labels(tmp_path: Path) -> None:
    _survey(tmp_path / "a.sav")
    connector = KIND.open(FileSource(location="a.sav"), environment(tmp_path))
    found = await connector.discover()
    estimate = await connector.estimate(ScanRequest())
    await connector.close()

    assert [(one.name, one.source_type) for one in found.columns] == [
        ("jk", "F1.0: Jenis kelamin"), ("status", "A1"), ("umur", "F8.2"),
    ]  # fmt: skip
    assert found.notes == ("labels of jk: 1 = Laki-laki, 2 = Perempuan, 9 = TT", "labels of status: A = Aktif")
    assert estimate is not None
    assert (estimate.rows, estimate.sure) == (5, True)


async def test_times_are_counted_from_the_first_day_of_the_calendar(tmp_path: Path) -> None:
    day, moment = _seconds(_MIDNIGHT), _seconds(_LATE)
    values = {
        "DATE11": [(day, date(2024, 2, 29)), (moment, _LATE), (0.0, date(1582, 10, 14))],
        "EDATE10": [(day, date(2024, 2, 29)), (-86400.0, date(1582, 10, 13)), (None, None)],
        "MOYR8": [(day, date(2024, 2, 29)), (day, date(2024, 2, 29)), (None, None)],
        "DATETIME23.2": [(day, _MIDNIGHT), (moment, _LATE), (None, None)],
        "TIME8": [(3723.0, time(1, 2, 3)), (90000.0, timedelta(hours=25)), (-1.0, timedelta(seconds=-1))],
        "DTIME12": [(3723.0, timedelta(seconds=3723)), (90000.0, timedelta(hours=25)), (None, None)],
        "WKDAY9": [(3.0, 3), (7.0, 7), (None, None)],
    }  # fmt: skip
    names = {f"v{at}": form for at, form in enumerate(values)}
    path = _write(
        tmp_path / "a.sav",
        {name: [raw for raw, _ in values[form]] for name, form in names.items()},
        variable_format=names,
    )

    rows, rejects, _ = await _read(path)

    assert rows == [tuple(cells[at][1] for cells in values.values()) for at in range(3)]
    assert [type(cell) for cell in rows[0][:4]] == [date, date, date, datetime]
    assert not rejects


async def test_values_that_cannot_be_are_rejects_with_their_number(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.sav",
        {"x": [1.0, float("inf"), 3.0], "t": [0.0, 0.0, 1e15]},
        variable_format={"t": "DATE11"},
    )

    rows, rejects, _ = await _read(path)

    assert rows == [(1, date(1582, 10, 14))]
    assert [(one.location, one.rule) for one in rejects] == [
        ("a.sav, line 2", "not_finite"), ("a.sav, line 3", "date_out_of_range"),
    ]  # fmt: skip


async def test_a_whole_number_beyond_what_a_double_holds_says_so(tmp_path: Path) -> None:
    rows, _, _ = await _read(_write(tmp_path / "a.sav", {"nik": [3320011505900001.0, 9107011505900002.0]}))

    assert rows == [(3320011505900001,), (LongNumber(9107011505900002),)]
    assert [type(row[0]) for row in rows] == [int, LongNumber]


async def test_more_records_than_one_part_holds_keep_order_and_numbers(tmp_path: Path) -> None:
    count = 50_500
    path = _write(tmp_path / "a.sav", {"x": [float(at) for at in range(count)], "y": ["t"] * count}, row_compress=True)

    rows, _, _ = await _read(path, ("x",))

    assert rows == [(at,) for at in range(count)]
    with pytest.raises(SourceSchemaMismatch):
        await _read(path, ("pergi",))


def _in_encoding(path: Path, code: int, letter: bytes) -> Path:
    """A file that names a code page, or none (0), and no other encoding; its é is these bytes."""
    _write(path, {"nama": ["Café", "b"], "x": [1.0, 2.0]}, column_labels={"x": "lébar"})
    raw = bytearray(path.read_bytes())
    named = raw.find(struct.pack("<ii", 7, 20))
    raw[named + 4 : named + 8] = struct.pack("<i", 99)
    paged = raw.find(struct.pack("<ii", 7, 3)) + 44
    raw[paged : paged + 4] = struct.pack("<i", code)
    path.write_bytes(raw.replace("é".encode(), letter))
    return path


@pytest.mark.parametrize(
    ("code", "letter", "stated"),
    [
        (1252, b"\xe9 ", {}),
        (65001, "é".encode(), {}),
        (0, "é".encode(), {}),
        (0, b"\xe9 ", {"encoding": "cp1252"}),
        (65001, b"\xe9 ", {"encoding": "cp1252"}),
    ],
)
async def test_texts_are_in_the_encoding_that_the_file_names_or_the_manifest_states(
    tmp_path: Path, code: int, letter: bytes, stated: dict[str, str]
) -> None:
    rows, _, _ = await _read(_in_encoding(tmp_path / "a.sav", code, letter), **stated)

    assert rows == [("Café", 1), ("b", 2)]


async def test_bytes_of_another_encoding_are_an_error_never_a_letter_less(tmp_path: Path) -> None:
    path = _in_encoding(tmp_path / "a.sav", 65001, b"\xe9 ")

    with pytest.raises(SourceFormatError, match="state the encoding, such as encoding: cp1252") as caught:
        await _read(path)
    assert caught.value.facts["field"] == "/source/encoding"


async def test_texts_lose_the_blanks_at_their_right_alone(tmp_path: Path) -> None:
    long = " " + "x" * 254 + "é" + "y" * 700
    rows, _, _ = await _read(_write(tmp_path / "a.sav", {"a": ["  Budi  ", "B"], "b": [long, ""]}))

    assert rows == [("  Budi", long), ("B", "")]


@pytest.mark.parametrize(
    ("keep", "why"), [(-30, "expected number of rows"), (300, "damaged"), (-1, "damaged|expected")]
)
async def test_a_file_that_is_cut_off_is_named_as_damaged(tmp_path: Path, keep: int, why: str) -> None:
    path = _survey(tmp_path / "a.sav")
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(SourceFormatError, match=why):
        await _read(path)


@pytest.mark.parametrize("count", [5, -1])
@pytest.mark.parametrize("limits", [Limits(rows=4), Limits(bytes=80)])
def test_a_file_beyond_the_limits_is_refused_whether_or_not_its_header_says_so(
    tmp_path: Path, count: int, limits: Limits
) -> None:
    path = _survey(tmp_path / "a.sav")
    raw = bytearray(path.read_bytes())
    raw[80:84] = struct.pack("<i", count)
    path.write_bytes(raw)

    with pytest.raises(SourceTooLarge, match="5 rows, 85 bytes unpacked, 3 columns"):
        list(FileContent(FileSource(location="a.sav"), tmp_path, limits, "a.sav").read(None))


async def test_a_file_that_does_not_say_how_many_records_it_has_is_read_to_its_end(tmp_path: Path) -> None:
    path = _survey(tmp_path / "a.sav")
    raw = bytearray(path.read_bytes())
    raw[80:84] = struct.pack("<i", -1)
    path.write_bytes(raw)

    rows, _, _ = await _read(path)
    connector = KIND.open(FileSource(location="a.sav"), environment(tmp_path))

    assert len(rows) == 5
    assert await connector.estimate(ScanRequest()) is None
    await connector.close()


async def test_what_is_no_spss_file_is_told_by_its_label(tmp_path: Path) -> None:
    (tmp_path / "a.sav").write_text("a,b\n1,2\n")

    with pytest.raises(SourceFormatError, match="labelled spss"):
        await _read(tmp_path / "a.sav")


def test_labels_of_another_format_are_refused() -> None:
    with pytest.raises(ValidationError, match="labels does nothing for a file of format csv"):
        FileSource(location="a.csv", labels=True)
    with pytest.raises(
        ValidationError, match="header does nothing for a file of format spss, which takes encoding, labels"
    ):
        FileSource(location="a.sav", header=False)


def test_a_gateway_without_the_extra_says_what_is_installed(tmp_path: Path) -> None:
    path = _survey(tmp_path / "a.sav")
    program = f"""
import sys
import zipfile
sys.modules["pyreadstat"] = None
from pathlib import Path
from app.catalog.inbox import refuse_unread
from app.connectors.environment import Limits
from app.connectors.file.content import FileContent
from app.connectors.file.source import FileSource
from app.errors import SimpulError
root = Path({str(tmp_path)!r})
for told in (lambda: refuse_unread(root / "a.sav"), lambda: list(FileContent(FileSource(location="a.sav"), root, Limits(), "a.sav").read(None))):
    try:
        told()
    except SimpulError as error:
        print(error.code, error.detail)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    upload, read = done.stdout.splitlines()
    assert upload.startswith("validation_failed the file is a SPSS file")
    assert "installs simpul[spss]" in upload
    assert read.startswith("source_rejected")
    assert "the operator installs simpul[spss]" in read
    assert path.exists()


@pytest.mark.parametrize(
    ("labels", "komoditas"),
    [(True, "barang"), (False, {"from": "barang", "codes": {"1": "Beras medium", "2": "Gula"}})],
)
async def test_records_are_mapped_from_codes_or_labels(tmp_path: Path, labels: bool, komoditas: Any) -> None:
    day = _seconds(_MIDNIGHT)
    _write(
        tmp_path / "harga.sav",
        {"tgl": [day, day], "pasar": ["Jepara", "Bangsri"], "barang": [1.0, 2.0], "harga": [14500.0, 999.0]},
        variable_format={"tgl": "DATE11"},
        variable_value_labels={"barang": {1.0: "Beras medium", 2.0: "Gula"}},
        missing_ranges={"harga": [999]},
    )
    source = {"kind": "file", "location": "harga.sav", "labels": labels}
    fields = {"tanggal": "tgl", "pasar": "pasar", "komoditas": komoditas, "harga": "harga"}

    found = await read(dataset(tmp_path, "harga_komoditas", source, fields))

    told = ("tanggal", "pasar", "komoditas", "harga")
    assert sorted(tuple(str(record.values[name]) for name in told) for record in found.records) == [  # noqa: PD011 - no table
        ("2024-02-29", "Bangsri", "Gula", "None"), ("2024-02-29", "Jepara", "Beras medium", "14500"),
    ]  # fmt: skip
    assert found.rejected_rows == 0


async def test_a_file_in_an_archive_is_read_by_its_member(tmp_path: Path) -> None:
    path = _survey(tmp_path / "a.sav")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "data/Survei.SAV")
    path.unlink()

    rows, _, _ = await _read(tmp_path / "a.zip", ("jk",), member="data/Survei.SAV", labels=True)

    assert rows == [("Laki-laki",), ("Perempuan",), (None,), (None,), (7,)]
