"""The JSON texts of a column are those of its values, one by one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.wire import wire_texts, wire_value

COLUMNS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (
        pa.string(),
        st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(['a"b', "a\\b", "\x00", "\x1f\x7f", "é"]),
    ),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.date32(), st.dates()),
    (pa.timestamp("us", "UTC"), st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001 - bounds have none
    (pa.decimal128(38, 6), st.decimals(-(10**9), 10**9, places=6) | st.just(Decimal("1.500000"))),
    (pa.list_(pa.date32()), st.lists(st.none() | st.just(date(2024, 5, 6)), max_size=3)),
    (
        pa.struct({"a": pa.string()}),
        st.fixed_dictionaries({"a": st.none() | st.text(st.characters(max_codepoint=127))}),
    ),
]


@given(data=st.data())
def test_a_column_as_its_values_one_by_one(data: st.DataObject) -> None:
    kind, values = data.draw(st.sampled_from(COLUMNS))
    column: Any = pa.array(data.draw(st.lists(st.none() | values, max_size=8)), kind)
    for part in (column, column.slice(1)):
        found = wire_texts(part)
        assert found.null_count == 0
        assert found.to_pylist() == [orjson.dumps(wire_value(value)).decode() for value in part.to_pylist()]
