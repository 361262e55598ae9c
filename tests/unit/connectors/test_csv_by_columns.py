"""A CSV read by columns says what the reader of rows says: records, lines, rejects, notes, faults."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.connectors.contract import RawBatch
from app.connectors.file.csv_columns import read_csv_columns
from app.connectors.file.csv_reader import FIELD_CHARACTERS, read_csv
from app.connectors.file.source import FileSource
from app.errors import SourceFormatError

Said = tuple[list[tuple[Any, ...]], list[int], list[tuple[str, str, str]], list[str]] | tuple[str, dict[str, Any]]


def source(**stated: Any) -> FileSource:
    return FileSource.model_validate({"location": "inbox/a.csv", **stated})


def rows_of(batch: RawBatch) -> list[tuple[Any, ...]]:
    if batch.rows is not None:
        return list(batch.rows)
    assert batch.arrow is not None
    return list(zip(*(column.to_pylist() for column in batch.arrow.columns), strict=True))


def said(batches: Any) -> Said:
    """Everything that a read tells, or its fault."""
    rows, numbers, rejects, notes = [], [], [], []
    try:
        for batch in batches:
            assert batch.numbers is not None
            assert len(batch.numbers) == len(batch)
            rows += rows_of(batch)
            numbers += list(batch.numbers)
            rejects += [(one.location, one.rule, one.detail) for one in batch.rejects]
            notes += batch.notes
    except SourceFormatError as fault:
        return str(fault.detail), dict(fault.facts)
    return rows, numbers, rejects, notes


def both(content: bytes, stated: FileSource, first: int, piece: int) -> tuple[Said, Said]:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        path = Path(file.name)
        path.write_bytes(content)
        by_rows = said(read_csv(path, stated, "a.csv"))
        by_columns = said(read_csv_columns(path, stated, "a.csv", None, first_bytes=first, piece_bytes=piece))
    return by_rows, by_columns


CELLS = st.sampled_from(
    ["", "a", "1", " ", "é", '"a"', '"a,b"', '"a\nb"', '""', '"a""b"', 'a"b', '"a"b', '"', "JUMLAH", "\t", "\r", "\0"]
)
PLAIN = st.sampled_from(["", "a", "12", "é", '"a,b"', '"a\nb"', '"c""d"', "x y"])
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n", "\r", "\r\n\r\n"])


@st.composite
def texts(draw: st.DrawFn, cells: st.SearchStrategy[str]) -> str:
    end = draw(ENDS)
    width = draw(st.integers(1, 3))
    lines = ["kolom_1,kolom_2,kolom_3"[: 8 * width - 1]]
    for _ in range(draw(st.integers(0, 14))):
        count = draw(st.sampled_from([width] * 6 + [width + 1, 0]))
        lines.append(",".join(draw(cells) for _ in range(count)))
    text = end.join(lines)
    return text + draw(st.sampled_from(["", end, end + end]))


@settings(max_examples=600)
@given(text=texts(PLAIN) | texts(CELLS), first=st.integers(1, 40), piece=st.integers(8, 80))
@example(text='a\n"x\n', first=3, piece=8)
@example(text='a,b\nx,"y\ny"\nz,"1""2"\n\n"",""\n', first=64, piece=64)
def test_every_text_is_read_as_by_rows(text: str, first: int, piece: int) -> None:
    by_rows, by_columns = both(text.encode(), source(), first, piece)
    assert by_columns == by_rows


@settings(max_examples=150)
@given(
    text=texts(CELLS),
    stated=st.sampled_from(
        [{"quote": "none"}, {"stop_at": "JUMLAH"}, {"stop_at": {"column": "kolom_1", "text": "a"}}, {"fill_down": ["kolom_1"]},
         {"skip": 2}, {"header": False, "columns": ["x"]}, {"header": {"rows": [1, 2], "skip": 1}}, {"delimiter": ";"}]
    ),
    first=st.integers(1, 40),
)  # fmt: skip
def test_options_mean_the_same(text: str, stated: dict[str, Any], first: int) -> None:
    by_rows, by_columns = both(text.encode(), source(**stated), first, 64)
    assert by_columns == by_rows


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig", "iso8859-1"])
def test_encodings(encoding: str) -> None:
    text = "nama,alamat\n" + "".join(f"Toko {at} é,Jalan Ü\r\n" for at in range(500))
    by_rows, by_columns = both(text.encode(encoding), source(encoding=encoding), 64, 256)
    assert by_columns == by_rows
    assert len(by_rows[0]) == 500


@pytest.mark.parametrize(("encoding", "wrong"), [("utf-8", b"\xff"), ("ascii", b"\xe9"), ("cp1252", b"\x81")])
def test_wrong_bytes_are_told_with_their_line_in_a_column_that_nobody_asked_for_too(
    encoding: str, wrong: bytes, tmp_path: Path
) -> None:
    content = b"nama,lain\n" + b"a,b\n" * 300 + b"a," + wrong + b"\n" + b"a,b\n" * 300
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(SourceFormatError) as fault:
        list(read_csv_columns(file, source(encoding=encoding), "a.csv", ["nama"], first_bytes=64, piece_bytes=64))
    assert fault.value.facts["line"] == 302
    assert fault.value.facts["field"] == "/source/encoding"


def test_a_cell_that_is_too_long_is_refused_in_either_way() -> None:
    content = b"nama,lain\n" + b"a,b\n" * 10 + b"a," + b"x" * (FIELD_CHARACTERS + 1) + b"\n"
    by_rows, by_columns = both(content, source(), 64, 4 * FIELD_CHARACTERS)
    assert by_columns == by_rows
    assert "larger than field limit" in str(by_rows[0])


def test_most_rows_of_a_plain_file_come_as_columns_and_only_those_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(
        "nama,alamat,lain\n" + "".join(f'"Toko, {at}",Jalan {at},x\n' for at in range(5_000)), encoding="utf-8"
    )
    batches = list(read_csv_columns(file, source(), "a.csv", ["lain", "nama"], first_bytes=64, piece_bytes=4096))
    assert sum(len(batch) for batch in batches if batch.arrow is not None) == 5_000
    assert {tuple(batch.schema.names) for batch in batches if batch.arrow is not None} == {("lain", "nama")}
    assert [number for batch in batches for number in batch.numbers or ()] == list(range(2, 5_002))
