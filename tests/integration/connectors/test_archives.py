"""Files in a ZIP or packed by gzip: which are read, what is proposed, what is refused and why."""

from __future__ import annotations

import asyncio
import gzip
import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from pydantic import ValidationError

from app.connectors.contract import RawBatch, RowEstimate
from app.connectors.file import KIND
from app.connectors.file.locations import archive as bounds
from app.connectors.file.source import FileSource
from app.connectors.requests import ScanRequest
from app.errors import SimpulError, SourceFormatError, SourceMissing, SourceTooLarge
from tests.support.reading import environment

PRICES = b"komoditas,harga\nBeras,13500\n"


def put(root: Path, members: dict[str, bytes], name: str = "laporan.zip", packing: int = zipfile.ZIP_DEFLATED) -> Path:
    (root / "inbox").mkdir(exist_ok=True)
    with zipfile.ZipFile(root / "inbox" / name, "w", packing) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return root / "inbox" / name


def opened(root: Path, location: str = "inbox/laporan.zip", **more: Any) -> Any:
    return KIND.open(FileSource(location=location, **more), environment(root))


def batches(root: Path, location: str = "inbox/laporan.zip", **more: Any) -> list[RawBatch]:
    async def read() -> list[RawBatch]:
        connector = opened(root, location, **more)
        try:
            return [batch async for batch in connector.scan(ScanRequest())]
        finally:
            await connector.close()

    return asyncio.run(read())


def rows(root: Path, location: str = "inbox/laporan.zip", **more: Any) -> list[dict[str, Any]]:
    found = batches(root, location, **more)
    return [dict(zip(batch.schema.names, row, strict=True)) for batch in found for row in batch.rows or ()]


def workbook() -> bytes:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink) as book:
        sheet = book.add_worksheet("Data")
        sheet.write_row(0, 0, ["komoditas", "harga"])
        sheet.write_row(1, 0, ["Gula", 17000])
    return sink.getvalue()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_only_data_file_of_an_archive_is_read(tmp_path: Path, packing: int) -> None:
    put(
        tmp_path, {"data/harga.csv": PRICES, "logo.png": b"\x89PNG", "__MACOSX/data/._harga.csv": b"x"}, packing=packing
    )

    found = batches(tmp_path)

    assert found[0].rows == [("Beras", "13500")]
    assert found[0].location == "inbox/laporan.zip/data/harga.csv"


def test_members_of_every_form_keep_their_kinds(tmp_path: Path) -> None:
    put(tmp_path, {"a.xlsx": workbook(), "b.json": b'{"data": [{"komoditas": "Teh"}]}', "c.tsv": b"x\ty\n1\t2\n"})

    assert rows(tmp_path, member="a.xlsx", sheet="Data") == [{"komoditas": "Gula", "harga": 17000}]
    assert rows(tmp_path, member="b.json", record_path="$.data[*]") == [{"komoditas": "Teh"}]
    assert rows(tmp_path, member="c.tsv", delimiter="\t") == [{"x": "1", "y": "2"}]


def test_several_members_are_one_dataset_with_the_parts_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, {"2024/harga-02.csv": b"a\n2\n", "2024/harga-01.csv": b"a\n1\n", "2023/harga-01.csv": b"a\n0\n"})

    assert rows(tmp_path, member="2024/harga-{bulan}.csv") == [{"a": "1", "bulan": "01"}, {"a": "2", "bulan": "02"}]


def test_several_archives_with_several_members(tmp_path: Path) -> None:
    put(tmp_path, {"harga-01.csv": b"a\n1\n", "harga-02.csv": b"a\n2\n"}, "laporan-2024.zip")
    put(tmp_path, {"harga-01.csv": b"a\n3\n"}, "laporan-2025.zip")

    found = rows(tmp_path, "inbox/laporan-{tahun}.zip", member="harga-{bulan}.csv")

    assert [(row["tahun"], row["bulan"], row["a"]) for row in found] == [
        ("2024", "01", "1"),
        ("2024", "02", "2"),
        ("2025", "01", "3"),
    ]


def test_several_data_files_and_no_member_are_listed_and_a_member_is_proposed(tmp_path: Path) -> None:
    put(tmp_path, {"besar.csv": b"a,b\n" + b"1,2\n" * 100, "kecil.csv": b"a\n1\n", "README.txt": b"x" * 9_000})

    with pytest.raises(SourceFormatError, match=r"holds 3 files .* README\.txt, besar\.csv, kecil\.csv") as told:
        rows(tmp_path)
    assert told.value.facts["field"] == "/source/member"

    async def diagnosed() -> Any:
        connector = opened(tmp_path)
        try:
            return await connector.diagnose()
        finally:
            await connector.close()

    found = asyncio.run(diagnosed())
    assert found.source["member"] == "besar.csv"
    assert any("kecil.csv (4 bytes)" in note for note in found.notes)


def test_members_that_differ_in_a_number_are_proposed_as_a_pattern_with_how_they_are_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        {f"data 2024/harga-{month:02}.csv": b"a;b\n1;2\n3;4\n" for month in (1, 2, 3)} | {"bacadulu.txt": b"x"},
    )

    async def diagnosed() -> Any:
        connector = opened(tmp_path)
        try:
            return await connector.diagnose()
        finally:
            await connector.close()

    found = asyncio.run(diagnosed())
    assert found.source == {"member": "data 2024/harga-{bagian_1}.csv", "delimiter": ";"}
    assert [guess.pointer for guess in found.guesses] == ["/source/member", "/source/delimiter"]


def test_a_member_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    put(tmp_path, {"harga.csv": PRICES})

    with pytest.raises(SourceMissing, match=r"no member fits harga-2\.csv; it holds harga\.csv") as told:
        rows(tmp_path, member="harga-2.csv")
    assert told.value.facts["field"] == "/source/member"


def test_names_in_utf8_without_the_flag_and_in_code_page_437(tmp_path: Path) -> None:
    file = put(tmp_path, {"h\u00e4rga.csv": PRICES})
    raw = file.read_bytes()
    assert raw.count(b"h\xc3\xa4rga.csv") == 2
    flag = struct.pack("<H", 0x800)
    plain = raw.replace(b"PK\x03\x04\x14\x00" + flag, b"PK\x03\x04\x14\x00\0\0").replace(
        b"PK\x01\x02\x14\x03\x14\x00" + flag, b"PK\x01\x02\x14\x03\x14\x00\0\0"
    )
    assert plain != raw
    file.write_bytes(plain)
    assert rows(tmp_path, member="h\u00e4rga.csv") == [{"komoditas": "Beras", "harga": "13500"}]

    file.write_bytes(plain.replace(b"h\xc3\xa4rga.csv", b"h\x84_rga.csv"))  # code page 437: 0x84 is a with a diaeresis
    assert rows(tmp_path, member="h\u00e4_rga.csv") == [{"komoditas": "Beras", "harga": "13500"}]


def test_an_archive_in_zip64_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    with (
        zipfile.ZipFile(tmp_path / "inbox/laporan.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("harga.csv", "w", force_zip64=True) as member,
    ):
        member.write(PRICES)

    assert rows(tmp_path) == [{"komoditas": "Beras", "harga": "13500"}]


@pytest.mark.parametrize("count", [bounds.MOST_MEMBERS + 1, 66_000])  # the second needs the records of ZIP64
def test_more_members_than_are_looked_through_are_refused_before_they_are_listed(tmp_path: Path, count: int) -> None:
    put(tmp_path, {f"{number}.csv": b"a\n1\n" for number in range(count)}, packing=zipfile.ZIP_STORED)

    with pytest.raises(SourceTooLarge, match=f"lists {count} members"):
        rows(tmp_path, member="1.csv")


def test_hostile_48_what_unpacks_to_too_much_is_refused_whatever_the_archive_says(tmp_path: Path) -> None:
    file = put(tmp_path, {"a.csv": b"a\n" + b"1\n" * 15_000_000})
    with pytest.raises(SourceTooLarge, match="more than 200 times its size"):
        rows(tmp_path)

    raw = file.read_bytes()
    said = raw.replace(struct.pack("<I", 30_000_002), struct.pack("<I", 10))
    assert said != raw
    file.write_bytes(said)
    with pytest.raises(SourceFormatError, match="damaged or cut off"):  # no more than it says is unpacked
        rows(tmp_path)

    (tmp_path / "inbox/a.csv.gz").write_bytes(gzip.compress(b"a\n" + b"1\n" * 15_000_000))
    with pytest.raises(SourceTooLarge, match="more than 200 times its size"):
        rows(tmp_path, "inbox/a.csv.gz")


def test_members_together_are_no_more_than_is_read_of_a_source(tmp_path: Path) -> None:
    put(tmp_path, {f"harga-{number}.csv": b"a\n" + b"1\n" * 300 for number in range(3)})
    around = environment(tmp_path)
    small = replace(around, limits=replace(around.limits, bytes=1_000))
    one = KIND.open(FileSource(location="inbox/laporan.zip", member="harga-{n}.csv"), small)

    async def read() -> None:
        try:
            async for _ in one.scan(ScanRequest()):
                pass
        finally:
            await one.close()

    with pytest.raises(SourceTooLarge, match="its members have 1806 bytes, 1000 are read"):
        asyncio.run(read())


def test_hostile_48_a_password_a_nested_archive_and_damage_are_named(tmp_path: Path) -> None:
    file = put(tmp_path, {"harga.csv": PRICES})
    raw = bytearray(file.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    locked = tmp_path / "inbox/terkunci.zip"
    locked.write_bytes(raw)
    with pytest.raises(SourceFormatError, match="protected by a password"):
        rows(tmp_path, "inbox/terkunci.zip", member="harga.csv")

    put(tmp_path, {"dalam.zip": file.read_bytes(), "isi.7z": b"7z"}, "luar.zip")
    with pytest.raises(SourceFormatError, match=r"holds archives \(dalam\.zip, isi\.7z\), which are not opened"):
        rows(tmp_path, "inbox/luar.zip")

    whole = file.read_bytes()
    file.write_bytes(whole[:30] + bytes([whole[40] ^ 255]) + whole[31:])
    with pytest.raises(SourceFormatError, match="damaged"):
        rows(tmp_path, member="harga.csv")
    file.write_bytes(whole[:-10])
    with pytest.raises(SourceFormatError, match="damaged or cut off"):
        rows(tmp_path)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    with zipfile.ZipFile(tmp_path / "inbox/laporan.zip", "w") as archive:
        archive.writestr("harga.csv", PRICES)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("harga.csv", b"a\n1\n")

    with pytest.raises(SourceFormatError, match=r"two members are called harga\.csv"):
        rows(tmp_path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"location": "inbox/a.zip", "member": "../a.csv"}, "by its path in the archive"),
        ({"location": "inbox/a.zip", "member": "/a.csv"}, "by its path in the archive"),
        ({"location": "inbox/a.zip", "member": "b.zip"}, "an archive in an archive"),
        ({"location": "inbox/a.zip", "member": "peta.shp"}, "a Shapefile in a ZIP is read whole"),
        ({"location": "inbox/a.csv", "member": "b.csv"}, "the location ends in .zip"),
        ({"location": "inbox/a-{x}.zip", "member": "b-{x}.csv"}, "x is a part of the location's name already"),
        ({"location": "inbox/a.zip", "member": "b.dat"}, "says no format"),
        ({"location": "inbox/a.zip", "member": "b.csv", "sheet": "Data"}, "sheet does nothing"),
        ({"location": "inbox/a.zip", "member": "b.sqlite"}, "read in the agency's folder alone"),
    ],
)
def test_a_manifest_that_cannot_mean_a_member_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FileSource.model_validate({"kind": "file", **given})


def test_a_packed_file_is_read_and_one_that_is_cut_short_or_no_gzip_is_not(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    file = tmp_path / "inbox/harga.csv.gz"
    file.write_bytes(gzip.compress(PRICES) + gzip.compress(b"Gula,17000\n"))
    assert [row["komoditas"] for row in rows(tmp_path, "inbox/harga.csv.gz")] == ["Beras", "Gula"]

    file.write_bytes(gzip.compress(PRICES)[:-5])
    with pytest.raises(SourceFormatError, match="damaged or cut off"):
        rows(tmp_path, "inbox/harga.csv.gz")
    file.write_bytes(PRICES)
    with pytest.raises(SourceFormatError, match="is not packed by gzip"):
        rows(tmp_path, "inbox/harga.csv.gz")


async def test_parquet_members_say_how_many_rows_they_have_together(tmp_path: Path) -> None:
    members = {}
    for number in (1, 2):
        sink = io.BytesIO()
        pq.write_table(pa.table({"a": list(range(number * 10))}), sink)
        members[f"data-{number}.parquet"] = sink.getvalue()
    put(tmp_path, members)
    connector = opened(tmp_path, member="data-{n}.parquet")
    try:
        assert await connector.estimate(ScanRequest()) == RowEstimate(30, sure=True)
    finally:
        await connector.close()


async def test_what_is_unpacked_is_kept_until_the_archive_changes(tmp_path: Path) -> None:
    put(tmp_path, {"harga.csv": PRICES})
    connector = opened(tmp_path)
    try:
        first = await connector.version()
        copies = sorted((tmp_path / "copies").iterdir())
        assert await connector.version() == first
        assert sorted((tmp_path / "copies").iterdir()) == copies
        assert [copy.stat().st_mode & 0o777 for copy in copies] == [0o600]

        put(tmp_path, {"harga.csv": PRICES + b"Gula,17000\n"})
        assert await connector.version() != first
        assert len(list((tmp_path / "copies").iterdir())) == 1
    finally:
        await connector.close()
    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_check_tells_the_member_that_fails(tmp_path: Path) -> None:
    put(tmp_path, {"harga-1.csv": b"a,b\n1,2\n", "harga-2.csv": b'a,b\n"1,2\n'})
    connector = opened(tmp_path, member="harga-{n}.csv")
    try:
        steps = await connector.check()
    finally:
        await connector.close()

    assert [(step.name, step.error is None) for step in steps] == [("permission", True), ("read", False)]
    assert steps[1].note == "inbox/laporan.zip/harga-2.csv"
    assert isinstance(steps[1].error, SimpulError)
