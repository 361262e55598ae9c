"""Rows of a sheet that come in blocks are the rows that come as lines: cells with their kinds, numbers, rejects."""

from __future__ import annotations

import io
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from app.connectors.file.sheet.parsed import all_rows, block_batch, row_lines
from app.connectors.file.sheet.reader import _table
from app.connectors.file.source import FileSource
from app.connectors.file.table import Ending
from app.connectors.workbooks.blocks import read_blocks
from app.connectors.workbooks.parser_child import Rows

CELLS = st.one_of(
    st.sampled_from(["", " ", "\u00a0", "a", "é", "12", "x" * 40]),
    st.none(),
    st.sampled_from([0.0, -0.0, 5.0, 5.5, 1e15, -1e16, 999999999999999.0, 0.1]),
    st.sampled_from([True, False]),
    st.sampled_from([date(2024, 5, 6), datetime(2024, 5, 6, 7, 8), time(9, 30), timedelta(hours=36, microseconds=5)]),
    st.sampled_from([["error", "#N/A"], ["percent", "0.0609"]]),
)
LIKELY = st.sampled_from(
    [st.sampled_from(["a", "b", ""]), st.sampled_from([1.0, 2.0]), st.sampled_from([1.0, 2.5, ""]), CELLS]
)


@st.composite
def sheets(draw: st.DrawFn) -> list[list[Any]]:
    """Rows whose columns mostly hold one kind each."""
    columns = draw(st.lists(LIKELY, min_size=1, max_size=4))
    return [
        [draw(cells) for cells in columns[: draw(st.sampled_from([len(columns)] * 4 + [0, 1]))]]
        for _ in range(draw(st.integers(0, 20)))
    ]


def parsed(rows: list[list[Any]], first: int) -> io.BytesIO:
    out = io.BytesIO()
    writer = Rows(out, first)
    for number, cells in enumerate(rows):
        writer.take(number, list(cells))
    writer.end()
    out.seek(0)
    return out


def shown(rows: Any, width: int) -> list[tuple[int, str]]:
    """Each row with its number, its cells to the same width; kinds are seen."""
    return [(number, repr([*cells, *[None] * width][:width])) for number, cells in rows]


@given(rows=sheets(), first=st.integers(0, 5))
@example(rows=[["a"], [None], [5.0], [5.5], [1e15], [["error", "#N/A"]]], first=1)
def test_cells_of_blocks_are_the_cells_of_lines(rows: list[list[Any]], first: int) -> None:
    width = max([len(row) for row in rows], default=0)
    lines, blocks = parsed(rows, len(rows) + 1), parsed(rows, first)
    assert shown(all_rows(blocks), width) == shown(all_rows(lines), width)


@given(rows=sheets(), width=st.integers(1, 4))
def test_records_of_blocks_are_the_records_of_rows(rows: list[list[Any]], width: int) -> None:
    """Blank rows are left out, cells behind the last name make a reject, in either way."""
    names = [f"kolom_{at}" for at in range(width)]
    source = FileSource.model_validate({"location": "inbox/a.xlsx"})
    rejects: list[Any] = []
    table = _table(
        all_rows(parsed(rows, len(rows) + 1)), source, names, "a.xlsx", rejects, Ending(source, names, "a.xlsx")
    )
    wanted = [(number, repr(list(cells))) for number, cells in table]

    blocks = parsed(rows, 0)
    assert list(islice(row_lines(blocks), 1)) == []
    found, told = [], []
    for numbers, columns in read_blocks(blocks):
        batch = block_batch(numbers, columns, names, "a.xlsx")
        told += batch.rejects
        found += list(
            zip(batch.numbers or (), [repr(list(row.values())) for row in batch.sample(len(batch))], strict=True)
        )
    assert found == wanted
    assert told == rejects
