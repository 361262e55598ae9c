"""Values of a query's result in CSV and NDJSON, exact or refused; pauses after failures."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.faults import AgentFault
from app.agent.gateway import pause_seconds
from app.agent.query import QueryFault, csv_cell, json_token, write


@pytest.mark.parametrize(
    ("value", "cell", "token"),
    [
        (None, "", "null"),
        ("", '""', '""'),
        (" a ", '" a "', '" a "'),
        ('kata "dua", tiga', '"kata ""dua"", tiga"', '"kata \\"dua\\", tiga"'),
        ("baris\ndua", '"baris\ndua"', '"baris\\ndua"'),
        (True, "true", "true"),
        (0, "0", "0"),
        (2**70, str(2**70), str(2**70)),
        (0.1, "0.1", "0.1"),
        (1e300, "1e+300", "1e+300"),
        (Decimal("12.50"), "12.50", "12.50"),
        (Decimal("1E+3"), "1000", "1000"),
        (Decimal("0.000000001"), "0.000000001", "0.000000001"),
        (date(2026, 1, 5), "2026-01-05", '"2026-01-05"'),
        (datetime(2026, 1, 5, 6, 7, tzinfo=UTC), "2026-01-05T06:07:00+00:00", '"2026-01-05T06:07:00+00:00"'),
        (time(6, 7), "06:07:00", '"06:07:00"'),
        (timedelta(hours=6), "6:00:00", '"6:00:00"'),
        ({"a": [1, "é"]}, '"{""a"": [1, ""é""]}"', '{"a": [1, "é"]}'),
    ],
)
def test_values(value: Any, cell: str, token: str) -> None:
    assert csv_cell(value, "k") == cell
    assert json_token(value, "k") == token
    json.loads(token)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), b"x", bytearray(b""), memoryview(b"x")])
def test_what_is_no_value_of_a_file_is_refused_by_its_column(value: Any) -> None:
    for put in (csv_cell, json_token):
        with pytest.raises(QueryFault, match="column harga") as caught:
            put(value, "harga")
        assert caught.value.code == "query_value"


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_any_text_comes_back_as_it_was(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    assert write(out, "csv", ["a", "b"], iter(rows), None) == len(rows)
    assert [tuple(row) for row in csv.reader(io.StringIO(out.getvalue(), newline=""))] == [("a", "b"), *rows]
    out = io.StringIO()
    write(out, "ndjson", ["a", "b"], iter(rows), None)
    lines = [line for line in out.getvalue().split("\n") if line]
    assert [tuple(json.loads(line).values()) for line in lines] == rows


def test_a_row_of_one_absent_value_is_a_row() -> None:
    out = io.StringIO()
    write(out, "csv", ["a"], iter([(None,), ("x",)]), None)
    assert out.getvalue() == 'a\n""\nx\n'


def fault(retry: Any, after: float = 0.0) -> AgentFault:
    return AgentFault("upload", "x", "x", "x", retry=retry, after_seconds=after)


def test_pauses_double_up_to_a_bound_and_are_spread() -> None:
    soon, rarely = fault("soon"), fault("rarely")
    assert [pause_seconds(number, soon, 1.0) for number in (1, 2, 3, 20, 10_000)] == [15, 30, 60, 3600, 3600]
    assert pause_seconds(1, soon, 0.0) == 7.5
    assert [pause_seconds(number, rarely, 1.0) for number in (1, 2, 9)] == [900, 1800, 21_600]
    assert pause_seconds(1, fault("soon", 500.0), 0.0) == 500
    assert len({pause_seconds(3, soon) for _ in range(20)}) > 1
