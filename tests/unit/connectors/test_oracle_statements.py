"""Statements for Oracle, word by word; each is one that its grammar knows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from app.connectors.cells import DATE_BEYOND, TIME_TOO_FINE
from app.connectors.requests import After, Order, ScanRequest
from app.connectors.sql.oracle_render import OracleRenderer
from app.connectors.sql.oracle_types import (
    KEYS,
    RIGHTS,
    TABLES,
    CatalogColumn,
    catalog_column,
    cell_check,
    column_of,
    columns_query,
    result_column,
    unique_keys,
)
from app.connectors.sql.query import check_query
from app.connectors.sql.statements import tail
from app.errors import CapabilityUndeclared, SourceRejected
from app.filters.tree import And, Compare, Filter, In, IsNull, Like, Literal, Not, Or, Property


def _columns(charset: str = "AL32UTF8") -> dict[str, Any]:
    entries = [
        CatalogColumn("NAMA", "VARCHAR2", collation="USING_NLS_COMP"),
        CatalogColumn("JENIS", "CHAR"),
        CatalogColumn("LAIN", "NVARCHAR2"),
        CatalogColumn("BEBAS", "VARCHAR2", collation="BINARY_CI"),
        CatalogColumn("ID", "NUMBER", nullable=False, precision=10, scale=0),
        CatalogColumn("HARGA", "NUMBER", precision=12, scale=2),
        CatalogColumn("TGL", "DATE"),
        CatalogColumn("SAAT", "TIMESTAMP(6) WITH TIME ZONE"),
        CatalogColumn("RASIO", "BINARY_DOUBLE"),
    ]
    return {entry.name: column_of(entry, charset=charset, zone=None) for entry in entries}


def _said(node: Filter, charset: str = "AL32UTF8") -> tuple[str, list[Any]]:
    renderer = OracleRenderer(_columns(charset))
    text = renderer.condition(node)
    tree = sqlglot.parse_one(f"SELECT 1 FROM t WHERE {text}", dialect="oracle")
    assert isinstance(tree, exp.Select)
    return text, renderer.parameters


def _of(name: str, op: str, value: Any) -> Compare:
    return Compare(op, Property(name), Literal(value))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("node", "text", "parameters"),
    [
        (_of("NAMA", "=", "Budi "), '("NAMA" = :p1)', ["Budi "]),
        (_of("NAMA", "<", "é𝄞"), '("NAMA" < :p1)', ["é𝄞"]),
        (_of("JENIS", "=", "L"), '(RTRIM("JENIS") = :p1)', ["L"]),
        (_of("NAMA", "=", ""), '("NAMA" <> "NAMA")', []),
        (_of("NAMA", "<>", ""), '("NAMA" = "NAMA")', []),
        (_of("NAMA", ">", ""), '("NAMA" = "NAMA")', []),
        (_of("NAMA", "<=", ""), '("NAMA" <> "NAMA")', []),
        (_of("LAIN", "=", "é"), '("LAIN" = :p1)', ["é"]),
        (_of("ID", "=", 2**64), '("ID" = 18446744073709551616)', []),
        (_of("ID", ">", 1.5), '("ID" > 1.5)', []),
        (_of("HARGA", "<=", Decimal("-0.10")), '("HARGA" <= -0.10)', []),
        (_of("TGL", "=", datetime(2024, 2, 29)), "(\"TGL\" = TIMESTAMP '2024-02-29 00:00:00.000000')", []),
        (
            _of("SAAT", ">=", datetime(2024, 2, 29, 7, tzinfo=timezone(timedelta(hours=7)))),
            "(\"SAAT\" >= TIMESTAMP '2024-02-29 00:00:00.000000 +00:00')",
            [],
        ),
        (In(Property("NAMA"), (Literal("a"), Literal(""), Literal("b"))), '("NAMA" IN (:p1, :p2))', ["a", "b"]),
        (In(Property("NAMA"), (Literal(""),)), '("NAMA" <> "NAMA")', []),
        (In(Property("ID"), (Literal(1), Literal(Decimal("2.5")))), '("ID" IN (1, 2.5))', []),
        (Like(Property("NAMA"), "a%_"), "(\"NAMA\" LIKE :p1 ESCAPE '\\')", ["a%_"]),
        (Like(Property("NAMA"), "\\%\\a\\\\b\\"), "(\"NAMA\" LIKE :p1 ESCAPE '\\')", ["\\%a\\\\b\\\\"]),
        (Like(Property("NAMA"), ""), '("NAMA" <> "NAMA")', []),
        (IsNull(Property("TGL")), '("TGL" IS NULL)', []),
        (
            And((Or((_of("ID", "=", 1), IsNull(Property("NAMA")))), Not(_of("NAMA", "=", "a")))),
            '((("ID" = 1) OR ("NAMA" IS NULL)) AND (NOT ("NAMA" = :p1)))',
            ["a"],
        ),
    ],
)
def test_conditions_are_said_word_by_word(node: Filter, text: str, parameters: list[Any]) -> None:
    assert _said(node) == (text, parameters)


@pytest.mark.parametrize(
    ("node", "charset"),
    [
        (_of("BEBAS", "=", "a"), "AL32UTF8"),
        (_of("LAIN", "<", "a"), "AL32UTF8"),
        (Like(Property("LAIN"), "a%"), "AL32UTF8"),
        (_of("NAMA", "=", "a\x00b"), "AL32UTF8"),
        (_of("NAMA", "=", "é"), "WE8MSWIN1252"),
        (_of("NAMA", "<", "a"), "WE8MSWIN1252"),
        (Like(Property("NAMA"), "a%"), "WE8MSWIN1252"),
        (_of("RASIO", "=", 0.5), "AL32UTF8"),
        (_of("ID", "=", Decimal("1e40")), "AL32UTF8"),
        (_of("ID", "=", Decimal("1." + "3" * 39)), "AL32UTF8"),
        (_of("TGL", "=", date(2024, 2, 29)), "AL32UTF8"),
        (_of("TGL", "=", datetime(2024, 2, 29, tzinfo=UTC)), "AL32UTF8"),
        (Compare("=", Property("ID"), Property("HARGA")), "AL32UTF8"),
    ],
)
def test_what_could_change_an_answer_is_not_asked_of_the_server(node: Filter, charset: str) -> None:
    with pytest.raises(CapabilityUndeclared):
        _said(node, charset)


def test_plain_texts_are_asked_for_in_any_character_set() -> None:
    assert _said(_of("NAMA", "=", "a"), "WE8MSWIN1252") == ('("NAMA" = :p1)', ["a"])


@pytest.mark.parametrize(
    ("request_", "blank", "text", "parameters"),
    [
        (ScanRequest(limit=5), False, " FETCH FIRST 5 ROWS ONLY", []),
        (
            ScanRequest(order=(Order("NAMA"), Order("ID", descending=True)), limit=2),
            False,
            ' ORDER BY "NAMA" ASC, "ID" DESC FETCH FIRST 2 ROWS ONLY',
            [],
        ),
        (ScanRequest(order=(Order("HARGA", descending=True),)), False, ' ORDER BY "HARGA" DESC NULLS LAST', []),
        (
            ScanRequest(order=(Order("NAMA"), Order("ID")), after=After(("b", 3)), limit=1),
            False,
            (
                ' WHERE ((("NAMA" >= :p1) OR ("NAMA" IS NULL)) AND ((("NAMA" > :p2) OR ("NAMA" IS NULL)) OR (("NAMA" = :p3) AND ("ID" > 3))))'
                ' ORDER BY "NAMA" ASC, "ID" ASC FETCH FIRST 1 ROWS ONLY'
            ),
            ["b", "b", "b"],
        ),
        (
            ScanRequest(order=(Order("NAMA"), Order("ID")), after=After((None, 3))),
            False,
            ' WHERE (("NAMA" IS NULL) AND ((1 = 0) OR (("NAMA" IS NULL) AND ("ID" > 3)))) ORDER BY "NAMA" ASC, "ID" ASC',
            [],
        ),
    ],
)
def test_order_position_and_limit(request_: ScanRequest, blank: bool, text: str, parameters: list[Any]) -> None:
    renderer = OracleRenderer(_columns(), blank_is_null=blank)

    assert (tail(renderer, request_), renderer.parameters) == (text, parameters)
    assert isinstance(sqlglot.parse_one(f"SELECT 1 FROM t{text}", dialect="oracle"), exp.Select)


def test_blank_texts_are_null_where_the_manifest_says_so() -> None:
    renderer = OracleRenderer(_columns(), blank_is_null=True)

    text = renderer.condition(IsNull(Property("NAMA")))

    assert text == (
        '(("NAMA" IS NULL) OR (CASE WHEN "NAMA" IS NULL THEN NULL WHEN LTRIM("NAMA", :p1) IS NULL THEN 1 ELSE 0 END = 1))'
    )
    assert "\u3000" in renderer.parameters[0]


@pytest.mark.parametrize("column", ["LAIN", "BEBAS", "RASIO"])
def test_what_the_server_orders_otherwise_is_ordered_here(column: str) -> None:
    with pytest.raises(CapabilityUndeclared):
        tail(OracleRenderer(_columns()), ScanRequest(order=(Order(column),)))


@pytest.mark.parametrize(
    ("entry", "family", "kind", "select"),
    [
        (("A", "NUMBER", "Y", 18, 0, None), "integer", pa.int64(), '"A"'),
        (("A", "NUMBER", "Y", 19, 0, None), "decimal", pa.decimal128(19, 0), '"A"'),
        (("A", "NUMBER", "Y", 5, -2, None), "integer", pa.int64(), '"A"'),
        (("A", "NUMBER", "Y", 2, 5, None), "decimal", pa.decimal128(5, 5), '"A"'),
        (("A", "NUMBER", "Y", None, 0, None), "decimal", pa.decimal128(38, 0), '"A"'),
        (("A", "NUMBER", "Y", None, None, None), "decimal", pa.decimal128(38, 20), '"A"'),
        (("A", "FLOAT", "Y", 126, None, None), "decimal", pa.decimal128(38, 20), '"A"'),
        (("A", "DATE", "Y", None, None, None), "timestamp", pa.timestamp("us"), "TO_CHAR(\"A\", 'SYYYY-MM-DD\"T\"HH24:MI:SS')"),
        (("A", "TIMESTAMP(9)", "Y", None, 9, None), "timestamp", pa.timestamp("us"), "TO_CHAR(\"A\", 'SYYYY-MM-DD\"T\"HH24:MI:SS.FF9')"),
        (
            ("A", "TIMESTAMP(6) WITH LOCAL TIME ZONE", "Y", None, 6, None), "instant", pa.timestamp("us", tz="UTC"),
            "TO_CHAR(SYS_EXTRACT_UTC(CAST(\"A\" AS TIMESTAMP WITH TIME ZONE)), 'SYYYY-MM-DD\"T\"HH24:MI:SS.FF9')",
        ),
        (("A", "CHAR", "Y", None, None, None), "text", pa.string(), 'RTRIM("A")'),
        (("A", "CLOB", "Y", None, None, None), "text", pa.string(), '"A"'),
        (("A", "JSON", "Y", None, None, None), "json", pa.string(), 'JSON_SERIALIZE("A" RETURNING CLOB)'),
        (("A", "ROWID", "Y", None, None, None), "text", pa.string(), 'ROWIDTOCHAR("A")'),
        (("A", "INTERVAL DAY(2) TO SECOND(6)", "Y", 2, 6, None), "text", pa.string(), 'TO_CHAR("A")'),
    ],
)  # fmt: skip
def test_each_type_is_read_as_one_of_ours(entry: tuple[Any, ...], family: str, kind: pa.DataType, select: str) -> None:
    column = column_of(catalog_column(entry), charset="AL32UTF8", zone=None)

    assert (column.family, column.arrow_type, column.select) == (family, kind, select)
    if family != "json":  # sqlglot knows no RETURNING there
        sqlglot.parse_one(f"SELECT {select} FROM t", dialect="oracle")


def test_a_type_that_is_not_read_is_named() -> None:
    with pytest.raises(SourceRejected, match="'BENTUK' is of type SDO_GEOMETRY"):
        column_of(CatalogColumn("BENTUK", "SDO_GEOMETRY"), charset="AL32UTF8", zone=None)


def test_a_date_with_a_stated_zone_is_an_instant_that_is_filtered_here() -> None:
    column = column_of(CatalogColumn("TGL", "DATE"), charset="AL32UTF8", zone="Asia/Jakarta")
    check = cell_check(column, "Asia/Jakarta")

    assert (column.family, column.filterable, column.sortable) == ("instant", False, False)
    assert check is not None
    assert check(" 2024-02-29T07:00:00") == datetime(2024, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("base", "value", "found"),
    [
        ("DATE", " 2024-02-29T23:59:58", datetime(2024, 2, 29, 23, 59, 58)),
        ("DATE", "-0044-03-15T00:00:00", DATE_BEYOND),
        ("TIMESTAMP(9)", " 2024-02-29T23:59:58.123456000", datetime(2024, 2, 29, 23, 59, 58, 123456)),
        ("TIMESTAMP(9)", " 2024-02-29T23:59:58.123456789", TIME_TOO_FINE),
        ("TIMESTAMP(6) WITH TIME ZONE", " 2024-02-29T00:00:00.000000000", datetime(2024, 2, 29, tzinfo=UTC)),
        ("RAW", b"\x00\xff", "00ff"),
        ("BINARY_FLOAT", 0.10000000149011612, 0.1),
        ("BINARY_DOUBLE", 0.1, 0.1),
    ],
)
def test_values_of_the_driver_become_ours(base: str, value: Any, found: Any) -> None:
    check = cell_check(column_of(CatalogColumn("A", base), charset="AL32UTF8", zone=None), None)

    assert check is not None
    assert check(value) == found


def test_a_result_is_described_by_the_driver_and_its_texts_are_compared_here() -> None:
    def told(kind: str, precision: int | None = None, scale: int | None = None) -> Any:
        return SimpleNamespace(
            name="A", type=SimpleNamespace(name=kind), precision=precision, scale=scale, null_ok=True
        )

    text = column_of(result_column(told("DB_TYPE_VARCHAR")), charset="AL32UTF8", zone=None)
    assert (text.family, text.filterable, text.sortable) == ("text", False, False)
    assert column_of(result_column(told("DB_TYPE_NUMBER", 0, -127)), charset="", zone=None).arrow_type == pa.decimal128(
        38, 20
    )
    assert column_of(result_column(told("DB_TYPE_NUMBER", 10, 0)), charset="", zone=None).family == "integer"
    with pytest.raises(SourceRejected, match="of type OBJECT"):
        column_of(result_column(told("DB_TYPE_OBJECT")), charset="", zone=None)


def test_keys_are_sets_that_are_never_null() -> None:
    rows = [("PK", "A", "N"), ("PK", "B", "N"), ("UQ", "C", "Y")]
    assert unique_keys(rows) == [["A", "B"]]


@pytest.mark.parametrize("text", [columns_query((12, 1)), columns_query((19, 0)), KEYS, TABLES, RIGHTS])
def test_questions_to_the_catalogue_are_single_selects(text: str) -> None:
    assert isinstance(sqlglot.parse_one(text, dialect="oracle"), exp.Select | exp.Union)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT utl_http.request('http://10.0.0.1/') FROM dual",
        "SELECT SYS.DBMS_XMLGEN.GETXML('select 1 from dual') FROM dual",
        "SELECT HTTPURITYPE('http://10.0.0.1/').GETCLOB() FROM dual",
        'SELECT "UTL_HTTP"."REQUEST"(\'http://10.0.0.1/\') FROM dual',
        "SELECT EXTRACT(XMLTYPE('<!DOCTYPE a SYSTEM \"http://10.0.0.1/\"><a/>'), '/a') FROM dual",
        "WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM dual",
        "SELECT nq'!a!' FROM dual",
        "SELECT s.NEXTVAL FROM dual",
        "SELECT * FROM penduduk@jauh",
        "SELECT q'[a]' FROM dual",
        "SELECT * FROM penduduk FOR UPDATE",
        "DELETE FROM penduduk",
        "BEGIN NULL; END;",
        "SELECT 1 FROM dual; SELECT 2 FROM dual",
        "SELECT * FROM penduduk WHERE id = :1",
    ],
)
def test_a_query_that_does_more_than_read_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r"query|function|SELECT"):
        check_query(query, "oracle")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, nama FROM simpul.penduduk WHERE status = 'AKTIF'",
        "SELECT id FROM penduduk WHERE kelas = 'q' AND surel = 'a@b.example' AND nama <> N'é' AND asal = 'UTL_HTTP'",
        "SELECT id, LEVEL FROM wilayah START WITH induk IS NULL CONNECT BY PRIOR id = induk",
        "WITH a AS (SELECT id FROM penduduk) SELECT * FROM a",
        "SELECT NVL(nama, '-') AS nama, TO_CHAR(tgl, 'YYYY') AS tahun FROM penduduk",
    ],
)
def test_a_query_that_reads_is_taken(query: str) -> None:
    assert check_query(query, "oracle") == query
