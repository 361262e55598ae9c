"""The SQL page against the guard and the engine: examples give what is shown, refusals have their code, limits are the code's."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from sqlglot import exp

from app.federation.sql import ahead, engine, expansion, guard, loading, names
from app.federation.sql.allowed import FUNCTIONS, OTHER_FUNCTIONS, OWN_FUNCTIONS, TYPES
from app.federation.sql.exact import MOST_NESTED
from app.federation.sql.guard import guarded
from app.federation.sql.refusals import SqlRefused
from app.federation.sql.regenerate import Bound, bound, schemas_of
from app.federation.sql.worker import _engine
from app.schemas import registry
from tests.integration.federation.sql import refused
from tests.support.pages import DOCS, sections, table_rows

PAGE = "reference/sql.md"
TEXT = (DOCS / PAGE).read_text("utf-8")
PARTS = {section.heading: section for section in sections(PAGE)}
SCHEMAS = frozenset(schema.name for schema in registry.all_schemas())
OTHER_NAMES = {"DateStrToDate", "TsOrDsToDate", "DateTrunc"}
"""Classes that the parser makes of no text of its own: `date_trunc` and `date` are read as others of the list."""


def code(cell: str) -> str:
    return cell.replace("\\|", "|").strip("`")


def whole(text: str) -> str:
    """A cell of the page as a statement."""
    statement = re.match(r"\(?(SELECT|WITH|FROM|DELETE)\b", text) is not None
    return (
        text
        if statement
        else f"SELECT {text}"
        if "FROM harga_komoditas" in text
        else f"SELECT {text} FROM harga_komoditas"
    )


def made(sql: str) -> tuple[exp.Query, Bound]:
    tree = guarded(sql, SCHEMAS)
    schemas = {name: registry.get(name) for name in schemas_of(tree)}
    return tree, bound(tree, schemas, {name: frozenset(schema.fields) for name, schema in schemas.items()})


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The engine of the worker with the page's table."""
    made = _engine({"memory_bytes": 1 << 28, "temp_bytes": 1 << 20, "folder": str(tmp_path_factory.mktemp("sql"))})
    made.execute(
        "CREATE TABLE harga_komoditas(tanggal DATE, kode_wilayah TEXT, pasar TEXT, komoditas TEXT, satuan TEXT, harga DECIMAL(18, 2))"
    )
    for cells in table_rows(PARTS["Functions"].text):
        made.execute("INSERT INTO harga_komoditas VALUES (?, ?, ?, ?, ?, ?)", [cell or None for cell in cells])
    return made


def examples() -> list[tuple[str, str]]:
    rows = [cells for section in sections(PAGE) for cells in table_rows(section.text) if section.part == "Functions"]
    return [(code(cells[0]), code(cells[2])) for cells in rows if len(cells) == 3]


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    return Decimal(str(value)) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


@pytest.mark.parametrize(("text", "shown"), examples())
def test_a_function_gives_what_is_shown(tables: duckdb.DuckDBPyConnection, text: str, shown: str) -> None:
    _, statement = made(whole(text))

    rows = tables.execute(statement.text, list(statement.parameters) or None).fetchall()

    values = sorted((plain(row[0]) for row in rows), key=lambda value: (value is None, value))
    wanted = json.loads(shown)
    listed = wanted if isinstance(wanted, list) else [wanted] * len(values)
    assert values == [plain(value) for value in listed]


def test_every_function_has_its_example() -> None:
    used: set[str] = set()
    for text, _ in examples():
        tree, _ = made(whole(text))
        used |= {type(node).__name__ for node in tree.walk()}
        used |= {str(node.this).lower() for node in tree.find_all(exp.Anonymous)}

    assert (set(FUNCTIONS) | set(OWN_FUNCTIONS) | set(OTHER_FUNCTIONS)) - used == OTHER_NAMES


def test_every_type_of_a_cast_is_told() -> None:
    listed = TEXT.partition("Types of a CAST: ")[2].partition(".\n")[0]
    said = {
        exp.DataType.build(name, dialect="duckdb").this
        for name in re.split(r", (?![^(]*\))", listed.replace("(p, s)", ""))
    }

    names_alike = {exp.DataType.Type.TIMESTAMP, exp.DataType.Type.CHAR, exp.DataType.Type.VARCHAR}
    assert TYPES - said <= names_alike
    assert said - TYPES == set()


@pytest.mark.parametrize("text", PARTS["What a statement is made of"].blocks("sql"))
def test_a_whole_example_is_taken(text: str) -> None:
    made(text)


REFUSED = table_rows(PARTS["What is refused, and what to write"].text)


@pytest.mark.parametrize(("refused", "named", "instead"), [tuple(map(code, cells)) for cells in REFUSED])
def test_what_is_refused_has_its_code_and_what_to_write_is_taken(refused: str, named: str, instead: str) -> None:
    with pytest.raises(SqlRefused) as caught:
        made(whole(refused))

    assert caught.value.code == named
    made(whole(instead))


def test_every_function_that_is_refused_in_the_lists_of_statements_has_a_row() -> None:
    called = {name for statement in refused.REFUSED for name in re.findall(r"([a-z_0-9]+)\(", statement)} - {"left"}
    told = {name for cells in REFUSED for name in re.findall(r"([a-z_0-9]+)\(", cells[0])}

    assert called <= told


def test_the_limits_are_those_of_the_code() -> None:
    told = {cells[0]: cells[1] for cells in table_rows(PARTS["Limits"].text)}

    assert told == {
        "text of a statement": f"{guard.TEXT_BYTES:,} bytes",
        "words": f"{guard.MOST_TOKENS:,}",
        "parts of the tree": f"{guard.MOST_NODES:,}",
        "nesting": str(guard.DEEPEST),
        "columns that `*` and USING stand for": f"{expansion.MOST_WRITTEN_OUT:,}",
        "`induk`, `tingkat` or `median` in one another": str(MOST_NESTED),
        "a name behind AS": f"{names.LONGEST_NAME} characters",
        "records read for a statement": f"{loading.MOST_INPUT_ROWS:,}; where sources are sure of four times as many, nothing is read",
        "time of the whole answer": f"{engine.SECONDS:g} s",
        "memory of the engine": f"{ahead.MEMORY_BYTES >> 20} MiB, and {ahead.TEMP_BYTES >> 30} GiB of temporary space",
        "rows of the answer": f"{engine.MOST_ROWS:,}, where the body states no `limit`",
    }
    assert guard.MOST_OWN_NESTED == MOST_NESTED
