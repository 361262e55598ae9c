"""Some members of JSON records as columns: what all of them as columns, then these only, come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.json_records import json_batch, json_columns
from app.connectors.projection import project
from app.errors import SourceSchemaMismatch

RECORDS = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.none() | st.integers() | st.text(max_size=3), max_size=4)
    | st.sampled_from([None, 1, ["a"], "text"]),
    max_size=5,
)
WHOLE = st.lists(st.fixed_dictionaries({name: st.integers() for name in "abc"}), max_size=5)


def records_of_members(records: list[Any]) -> list[dict[str, Any]]:
    return [record for record in records if isinstance(record, dict) and record]


@given(
    records=RECORDS | WHOLE, columns=st.lists(st.sampled_from("abce"), unique=True, max_size=4), first=st.integers(1, 9)
)
def test_columns_are_those_of_the_projected_batch(records: list[Any], columns: list[str], first: int) -> None:
    numbers = range(first, first + len(records))
    if columns and any(isinstance(record, dict) for record in records) and not any(records_of_members(records)):
        with pytest.raises(SourceSchemaMismatch):
            project(json_batch(records, "record", numbers), columns)
        with pytest.raises(SourceSchemaMismatch):
            json_columns(records, columns, "record", numbers)
        return
    told = project(json_batch(records, "record", numbers), columns)
    made = json_columns(records, columns, "record", numbers)
    assert made.schema.equals(told.schema, check_metadata=True)
    assert list(made.rows or ()) == list(told.rows or ())
    assert list(made.numbers or ()) == list(told.numbers or ())
    assert (made.location, made.rejects, made.notes) == (told.location, told.rejects, told.notes)
