"""Lines made by columns against the same rules written for one value: JSON as `orjson` reads it, CSV by RFC 4180."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.federation.exports import Columns, writer_of
from app.federation.exports.lines import joined, parts_of
from app.federation.reading.batches import Batch

MOMENT = datetime(2026, 11, 20, 3, 15, tzinfo=UTC)
SCHEMA = pa.schema([("nama", pa.string()), ("jumlah", pa.int64()), ("luas", pa.float64())])
TEXTS = st.text(st.sampled_from("ab=+-@\t\r\n,;\"'\\/\x00\x1f\x7fé你😀\u2028 "), max_size=6)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), TEXTS),
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        TEXTS,
        st.sampled_from([None, '[{"field":"nama","code":"x","detail":"é \\"a\\""}]']),
    ),
    min_size=1,
    max_size=20,
)


def batch_of(rows: list[tuple[Any, ...]], before: int = 0) -> Batch:
    """`before`: rows that stand before them in the same buffers."""
    names = [*SCHEMA.names, "_id", "_warnings"]
    columns = [*SCHEMA.types, pa.string(), pa.string()]
    padded = [rows[0]] * before + rows
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*padded, strict=True), columns, strict=True)]
    return Batch(
        pa.RecordBatch.from_arrays(arrays, names=names).slice(before), "dinkes", "dinkes-x", MOMENT, tuple(SCHEMA.names)
    )


def written(form: str, columns: Columns, batch: Batch, **options: Any) -> bytes:
    sink = io.BytesIO()
    writer = writer_of(form, columns, sink, **options)
    try:
        writer.take(batch)
    finally:
        writer.close()
    return sink.getvalue()


def cell(text: str | None, separator: str) -> str:
    if text is None:
        return ""
    safe = f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
    return '"' + safe.replace('"', '""') + '"' if set(safe) & {separator, '"', "\r", "\n"} else safe


@given(ROWS, st.integers(0, 3))
def test_a_line_of_json_is_the_record(rows: list[tuple[Any, ...]], before: int) -> None:
    lines = written("ndjson", Columns(SCHEMA), batch_of(rows, before)).split(b"\n")

    assert lines.pop() == b""
    for line, (name, number, size, key, told) in zip(lines, rows, strict=True):
        source = {"agency": "dinkes", "dataset": "dinkes-x", "id": key, "as_of": "2026-11-20T03:15:00Z"}
        warnings = {} if told is None else {"_warnings": orjson.loads(told)}
        assert orjson.loads(line) == {"nama": name, "jumlah": number, "luas": size, "_source": source, **warnings}
        assert list(orjson.loads(line)) == ["nama", "jumlah", "luas", "_source", *warnings]


@given(ROWS, st.integers(0, 3), st.booleans())
def test_a_row_of_csv_follows_the_rule(rows: list[tuple[Any, ...]], before: int, indonesian: bool) -> None:
    schema, separator = SCHEMA.remove(2), ";" if indonesian else ","
    made = written("csv", Columns(schema), batch_of(rows, before), indonesian=indonesian).decode("utf-8-sig")

    wanted = [
        separator.join((cell(name, separator), "" if number is None else str(number), "dinkes", "dinkes-x"))
        for name, number, *_ in rows
    ]
    assert made == "\r\n".join([separator.join(("nama", "jumlah", "_agency", "_dataset")), *wanted, ""])


@given(ROWS)
def test_a_single_column_tells_null_from_an_empty_text(rows: list[tuple[Any, ...]]) -> None:
    schema = SCHEMA.remove(2).remove(1)
    found = written("csv", Columns(schema, sourced=False), batch_of(rows)).decode()

    assert found == "".join(
        f"{line}\r\n" for line in ("nama", *(cell(row[0], ",") if row[0] != "" else '""' for row in rows))
    )


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_fields_that_an_agency_does_not_grant_are_absent(form: str) -> None:
    batch = batch_of([("A", 1, 2.5, "k", None)])
    few = Batch(batch.columns, batch.agency, batch.dataset, batch.as_of, ("jumlah",))

    assert b"A" not in written(form, Columns(SCHEMA), few)
    assert b"2.5" not in written(form, Columns(SCHEMA), few)


@given(ROWS, st.integers(0, 3), st.integers(0, 200))
def test_parts_are_the_whole(rows: list[tuple[Any, ...]], before: int, most: int) -> None:
    columns = batch_of(rows, before).columns
    parts = list(parts_of(columns, most))

    assert pa.Table.from_batches(parts).to_pylist() == columns.to_pylist()
    assert all(part.num_rows == 1 or part.nbytes <= most for part in parts)


def test_lines_of_constants_are_as_many_as_rows() -> None:
    assert bytes(joined(["a", "b", "\n"], 3)) == b"ab\nab\nab\n"


def test_a_piece_without_text_is_no_lost_line() -> None:
    with pytest.raises(ValueError, match="no text"):
        joined(["a", pa.array(["b", None])], 2)
