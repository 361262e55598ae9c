"""Statements by kind against plain DuckDB over the same rows: the same columns, types, values and order, in every format tried.

What the page says differs is put into its words on the other side: whole numbers are BIGINT or DECIMAL(38,0), intervals and
columns of NULL alone are text, the second `nama` is `nama_2`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from app.federation.exports import Summary
from app.federation.sql.names import distinct
from app.federation.sql.refusals import SqlRefused
from app.federation.sql.results import Settled
from app.gateway.answers import AnswerForm
from app.gateway.queries import _write
from app.gateway.spool import Spool
from app.schemas.wire import wire_value
from tests.integration.federation.sql.aggregates import AGGREGATES
from tests.integration.federation.sql.calculations import CALCULATIONS
from tests.integration.federation.sql.comparisons import COMPARISONS
from tests.integration.federation.sql.refused import REFUSED
from tests.integration.federation.sql.running import Engine, plain
from tests.integration.federation.sql.tables_read import TABLES_READ

STATEMENTS = [*COMPARISONS, *CALCULATIONS, *AGGREGATES, *TABLES_READ]
TAKEN = [statement for statement in STATEMENTS if statement not in REFUSED]
SAMPLE = TAKEN[::6]
WHOLE = frozenset({"BIGINT", "HUGEINT", "DECIMAL(38,0)"})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(tmp_path_factory.mktemp("sql"))


@pytest.fixture(scope="module")
def others() -> Iterator[dict[bool, duckdb.DuckDBPyConnection]]:
    made = {sources: plain(sources=sources) for sources in (True, False)}
    yield made
    for other in made.values():
        other.close()


def asked(
    others: dict[bool, duckdb.DuckDBPyConnection], sql: str
) -> tuple[list[str], list[str], list[tuple[Any, ...]]]:
    """Names, types and rows of plain DuckDB."""
    found = others["_agency" in sql or "_dataset" in sql].sql(sql)
    kinds = [str(kind) for kind in found.types]
    shown = ", ".join(
        f"CAST(#{n} AS VARCHAR)" if kind in {"INTERVAL", '"NULL"'} else f"#{n}" for n, kind in enumerate(kinds, 1)
    )
    rows = list(zip(*[column.to_pylist() for column in found.project(shown).to_arrow_table().columns], strict=True))
    return list(found.columns), ["VARCHAR" if kind in {"INTERVAL", '"NULL"'} else kind for kind in kinds], rows


def rows_of(found: Settled) -> list[tuple[Any, ...]]:
    table = pa.Table.from_batches(found.batches, found.schema)
    return list(zip(*[column.to_pylist() for column in table.columns], strict=True))


def as_told(rows: list[tuple[Any, ...]], columns: set[int]) -> list[tuple[Any, ...]]:
    """Rows with whole numbers as such, whatever type holds them."""
    return [
        tuple(int(value) if index in columns and value is not None else value for index, value in enumerate(row))
        for row in rows
    ]


def in_order(rows: list[tuple[Any, ...]], sql: str) -> list[str]:
    """Every value with its type; without ORDER BY no order is promised."""
    texts = [repr(row) for row in rows]
    return texts if "ORDER BY" in sql else sorted(texts)


def test_there_are_enough_of_them() -> None:
    assert len(set(STATEMENTS)) == len(STATEMENTS)
    assert len(TAKEN) >= 500
    assert set(REFUSED) <= set(STATEMENTS)


@pytest.mark.parametrize("sql", TAKEN)
def test_the_answer_is_that_of_the_engine_alone(
    engine: Engine, others: dict[bool, duckdb.DuckDBPyConnection], sql: str
) -> None:
    names, kinds, rows = asked(others, sql)

    found = engine.answer(sql)

    assert tuple(found.schema.names) == distinct(names)
    whole = {index for index, kind in enumerate(kinds) if kind in WHOLE and found.types[index] in WHOLE}
    assert [kind for index, kind in enumerate(found.types) if index not in whole] == [
        kind for index, kind in enumerate(kinds) if index not in whole
    ]
    assert in_order(as_told(rows_of(found), whole), sql) == in_order(as_told(rows, whole), sql)


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_refused_is_refused_by_name(engine: Engine, sql: str) -> None:
    with pytest.raises(SqlRefused):
        engine.answer(sql)


def written(found: Settled, form: str, folder: Path) -> str:
    spool = Spool(folder, memory_bytes=1 << 24, most_bytes=1 << 24)
    rows = sum(batch.num_rows for batch in found.batches)
    _write(found, Summary(sources=(), complete=True, rows=rows), AnswerForm(form), spool)
    return b"".join(spool.chunks()).decode()


@pytest.mark.parametrize("sql", SAMPLE)
def test_json_and_csv_read_back_hold_the_same(engine: Engine, tmp_path: Path, sql: str) -> None:
    found = engine.answer(sql)
    rows = [[wire_value(value) for value in row] for row in rows_of(found)]
    plainly = [name for name, kind in zip(found.schema.names, found.types, strict=True) if kind != "TIMESTAMP"]

    items = json.loads(written(found, "json", tmp_path))["items"]
    read = list(csv.reader(io.StringIO(written(found, "csv", tmp_path).removeprefix("\ufeff"))))

    wanted = [dict(zip(found.schema.names, row, strict=True)) for row in rows]
    assert [{name: item[name] for name in plainly} for item in items] == [
        {name: row[name] for name in plainly} for row in wanted
    ]
    assert len(read) == len(rows) + 1
    for line, row in zip(read[1:], rows, strict=True):
        if not line:  # null in a single column is an empty line, so that it is told from an empty text
            assert row == [None]
            continue
        for text, value in zip(line, row, strict=True):
            if isinstance(value, bool | int | float | Decimal):
                assert text in {str(value).lower(), str(value)} or float(text) == value
