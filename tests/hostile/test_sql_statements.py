"""Statements that must never run, each refused by the guard with the code of its kind: nothing reaches an engine."""

from __future__ import annotations

import time

import pytest

from app.errors import SimpulError
from app.federation.sql.guard import guarded
from app.federation.sql.refusals import SqlNoTable, SqlRefused, SqlTableUnknown, SqlTooComplex
from app.federation.sql.regenerate import bound, schemas_of
from app.schemas import registry
from tests.support.sql import governed

SCHEMAS = frozenset(schema.name for schema in registry.all_schemas())

WRITES = [
    "INSERT INTO wilayah VALUES ('1')", "UPDATE wilayah SET nama = 'x'", "DELETE FROM wilayah", "DROP TABLE wilayah",
    "CREATE TABLE x AS SELECT 1", "CREATE VIEW x AS SELECT 1", "CREATE MACRO f(a) AS a", "CREATE FUNCTION f(a) AS a",
    "CREATE SECRET s (TYPE S3)", "ALTER TABLE wilayah ADD COLUMN x INT", "TRUNCATE wilayah", "COPY wilayah TO '/tmp/x'",
    "COPY wilayah FROM '/etc/passwd'", "EXPORT DATABASE '/tmp/x'", "IMPORT DATABASE '/tmp/x'", "ATTACH '/tmp/x.db' AS x",
    "DETACH x", "USE x", "INSTALL httpfs", "LOAD httpfs", "FORCE INSTALL spatial", "UPDATE EXTENSIONS", "PRAGMA database_list",
    "PRAGMA version", "SET memory_limit = '100GB'", "SET enable_external_access = true", "RESET memory_limit", "CALL pragma_version()",
    "CHECKPOINT", "VACUUM", "ANALYZE", "BEGIN", "COMMIT", "ROLLBACK", "EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT 1",
    "DESCRIBE wilayah", "SUMMARIZE wilayah", "SHOW TABLES", "SHOW ALL TABLES", "PREPARE a AS SELECT 1", "EXECUTE a", "DEALLOCATE a",
    "MERGE INTO wilayah USING x ON true WHEN MATCHED THEN DELETE", "GRANT ALL ON wilayah TO x", "REVOKE ALL ON wilayah FROM x",
    "COMMENT ON TABLE wilayah IS 'x'", "FROM wilayah", "FROM wilayah SELECT nama", "TABLE wilayah", "VALUES (1)",
    "PIVOT wilayah ON nama", "UNPIVOT wilayah ON nama INTO NAME a VALUE b", "(SELECT 1)", "/* x */ SELECT 1", "-- x\nSELECT 1",
    "DO $$ BEGIN END $$", "LISTEN x", "LOCK TABLE wilayah", "KILL 1", "SHUTDOWN", "",
    "   ", ";", "SELEC nama FROM wilayah", "REPLACE INTO wilayah VALUES (1)", "UNLOAD x", "HANDLER x OPEN",
]  # fmt: skip
DATA_MODIFYING = [
    "WITH x AS (DELETE FROM wilayah RETURNING *) SELECT * FROM x", "WITH x AS (INSERT INTO wilayah VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE wilayah SET nama = 'x' RETURNING *) SELECT * FROM x", "WITH x AS (SELECT 1) DELETE FROM wilayah",
    "WITH x AS (SELECT 1) INSERT INTO wilayah SELECT * FROM x", "WITH x AS (SELECT 1) UPDATE wilayah SET nama = 'x'",
    "SELECT 1 INTO x", "SELECT * INTO OUTFILE '/tmp/x' FROM wilayah", "SELECT nama FROM wilayah FOR UPDATE",
    "SELECT nama FROM wilayah FOR SHARE", "WITH x AS (DROP TABLE wilayah) SELECT 1", "WITH x AS (CREATE TABLE y (a INT)) SELECT 1",
]  # fmt: skip
STACKED = [
    "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE wilayah", "SELECT 1;;SELECT 2", "SELECT nama FROM wilayah; SET threads = 100",
    "SELECT 1; ATTACH 'x'", "SELECT 1 ; -- x\n SELECT 2", "SELECT 1; COPY wilayah TO 'x'", "WITH a AS (SELECT 1) SELECT 1; SELECT 2",
    "SELECT ';'; DELETE FROM wilayah", "SELECT 1; INSTALL httpfs; LOAD httpfs",
]  # fmt: skip
FILES_AND_NETWORK = [
    f"SELECT * FROM {name}"
    for name in (
        "read_csv('/etc/passwd')", "read_csv_auto('/etc/passwd')", "read_text('/etc/passwd')", "read_blob('/etc/passwd')",
        "read_parquet('x.parquet')", "read_json('x')", "read_json_auto('x')", "read_ndjson('x')", "read_ndjson_auto('x')",
        "read_json_objects('x')", "parquet_scan('x')", "parquet_metadata('x')", "parquet_schema('x')", "sniff_csv('x')", "glob('/*')",
        "arrow_scan(1, 2, 3)", "pandas_scan(1)", "python_map_function(1)", "sqlite_scan('x', 'y')", "postgres_scan('a', 'b', 'c')",
        "postgres_query('a', 'b')", "mysql_scan('a', 'b', 'c')", "iceberg_scan('x')", "delta_scan('x')", "st_read('x')", "read_xlsx('x')",
        "query('SELECT 1')", "query_table('wilayah')", "'/etc/passwd'", "'https://example.org/x.csv'", "'s3://x/y.parquet'", '"/etc/passwd"',
        "'x.db'.wilayah", "read_duckdb('x')", "http_get('x')", "seq_scan('wilayah')", "checkpoint()", "force_checkpoint()",
        "repeat_row(1, num_rows=100000000)", "test_all_types()", "unnest([1, 2, 3])", "generate_series(1, 1000000000)", "range(1000000000)",
        "repeat('x', 1000000000)", "summary((SELECT 1))", "json_each('[1]')", "json_tree('[1]')", "which_secret('x', 'y')",
        "json_execute_serialized_sql('{}')", "from_substrait('x')", "vector_type(1)", "reservoir_quantile(1)", "enable_logging()",
    )
]  # fmt: skip
SYSTEM = [
    f"SELECT * FROM {name}"
    for name in (
        "duckdb_settings()", "duckdb_tables()", "duckdb_columns()", "duckdb_secrets()", "duckdb_functions()", "duckdb_extensions()",
        "duckdb_views()", "duckdb_databases()", "duckdb_logs()", "duckdb_memory()", "duckdb_temporary_files()", "pragma_table_info('wilayah')",
        "pragma_database_size()", "pragma_storage_info('wilayah')", "information_schema.tables", "information_schema.columns",
        "pg_catalog.pg_class", "pg_class", "pg_shadow", "pg_user", "sqlite_master", "sqlite_schema", "main.wilayah", "memory.main.wilayah",
        "temp.wilayah", "system.main.duckdb_tables", "simpul.client", "log_entry", "client", "source_secret", "agreement", "job", "arriving", "part",
        "a.b.c.d", "wilayah@1", "wilayah_", "penduduk", "db..wilayah", "mysql.user", "v$session", "dual", "all_tables",
    )
]  # fmt: skip
FUNCTIONS = [
    f"SELECT {call} FROM wilayah"
    for call in (
        "current_setting('memory_limit')", "getenv('HOME')", "version()", "current_user", "session_user", "current_database()",
        "current_schema()", "current_schemas(true)", "pg_sleep(10)", "sleep(10)", "setseed(0.5)", "random()", "uuid()", "gen_random_uuid()",
        "nextval('s')", "currval('s')", "txid_current()", "repeat('x', 1000000000)", "rpad('x', 1000000000, 'y')", "lpad('x', 1000000000, 'y')",
        "printf('%1000000000d', 1)", "format('{:>1000000000}', 'x')", "bar(1, 0, 10, 1000000000)", "range(1000000000)",
        "generate_series(1, 1000000000)", "unnest(range(1000000000))", "lpad(nama, 1001, 'y')", "rpad(nama, kode::INTEGER, 'y')", "histogram(nama)",
        "list_transform([1], x -> x)", "struct_pack(a := 1)", "map([1], [2])", "json('{}')", "json_extract('{}', '$')", "to_json(nama)",
        "from_json('{}', '{}')", "json_serialize_sql('SELECT 1')",
        "nama GLOB '*'", "md5(nama)", "sha256(nama)", "hash(nama)",
        "error('x')", "write_log('x')", "read_text('x')", "pg_read_file('x')", "load_extension('x')", "lo_import('x')", "dblink('x', 'y')",
        "xp_cmdshell('x')", "benchmark(1000000, 1)", "extractvalue(1, 2)", "eval('x')", "getvariable('x')", "icu_sort_key(nama, 'de')",
        "in_search_path('a', 'b')", "stats(nama)", "query('x')", "add_parquet_key('a', 'b')", "array_slice(nama, 1, 2)",
        "{'a': 1}", "(SELECT x -> x)", "COLUMNS('.*')", "nama::json", "nama::blob", "nama::uuid",
        "CAST(nama AS STRUCT(a INT))", "CAST(nama AS INT[])", "CAST(nama AS MAP(INT, INT))", "nama COLLATE de", "$1", "?", ":x", "nama AT TIME ZONE 'x'",
        "wilayah.kode.nama.x", "ascii(nama)", "chr(7)", "bit_count(1)", "factorial(100000)", "bitstring('1', 1000000000)",
    )
]  # fmt: skip
SHAPES = [
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT * FROM x",
    "WITH RECURSIVE x(n) AS (SELECT 1 UNION SELECT n * 2 FROM x) SELECT count(*) FROM x",
    "WITH RECURSIVE a AS (SELECT * FROM wilayah) SELECT * FROM a",
    "SELECT * FROM wilayah, wilayah b", "SELECT * FROM wilayah a, wilayah b, wilayah c, wilayah d", "SELECT * FROM wilayah CROSS JOIN wilayah b",
    "SELECT * FROM wilayah JOIN wilayah b ON true", "SELECT * FROM wilayah JOIN wilayah b ON 1 = 1", "SELECT * FROM wilayah JOIN wilayah b",
    "SELECT * FROM wilayah a JOIN wilayah b ON a.kode > b.kode", "SELECT * FROM wilayah a JOIN wilayah b ON a.kode = a.nama",
    "SELECT * FROM wilayah a JOIN wilayah b ON a.kode = b.kode OR true", "SELECT * FROM wilayah a JOIN wilayah b ON NOT a.kode = b.kode",
    "SELECT * FROM wilayah NATURAL JOIN satuan_pendidikan", "SELECT * FROM wilayah POSITIONAL JOIN wilayah b",
    "SELECT * FROM wilayah a ASOF JOIN wilayah b ON a.kode >= b.kode", "SELECT * FROM wilayah, LATERAL (SELECT * FROM wilayah b) x", "SELECT * FROM wilayah, wilayah b WHERE kode = kode OR true",
    "SELECT * FROM wilayah TABLESAMPLE 10%", "SELECT * FROM wilayah USING SAMPLE 10", "SELECT * FROM (VALUES (1)) x",
    "SELECT * FROM wilayah PIVOT (count(*) FOR nama IN ('a'))", "SELECT * FROM wilayah UNPIVOT (x FOR y IN (nama))",
    "SELECT * FROM wilayah, LATERAL unnest([1]) x", "SELECT * FROM wilayah, (VALUES (1), (2)) v",
    "SELECT $$x$$", "SELECT $tag$x$tag$",
    "SELECT 'a\x00b'", "SELECT '\x1b'", "SELECT nama\u200b FROM wilayah", "\ufeffSELECT 1", "SELECT nama\u2028FROM wilayah",
    "SELECT '\ud800'", "SELECT 'unterminated", 'SELECT "unterminated', "SELECT (1", "SELECT 1)", "SELECT /* unterminated", "SELECT ,",
    "SELECT FROM WHERE", "WITH wilayah AS (SELECT 1) SELECT * FROM wilayah", "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x WHERE",
    "SELECT nama FROM wilayah WHERE nama IN UNNEST(['a'])",
    "SELECT DATE_ADD(", "SELECT * FROM wilayah FOR SYSTEM_TIME AS OF '2020-01-01'", "SELECT CASE", "SELECT x -> x + 1",
]  # fmt: skip
LARGE = [
    "SELECT " + "(" * 60 + "1" + ")" * 60, "SELECT " + "NOT " * 500 + "true", "SELECT " + "- " * 500 + "1", "SELECT '" + "x" * 17_000 + "'",
    "SELECT " + ", ".join(["1"] * 3_000), "SELECT 1 WHERE " + " OR ".join(["1=1"] * 900), "SELECT " + "CASE WHEN true THEN " * 60 + "1" + " END" * 60,
    " UNION ALL ".join(["SELECT 1"] * 1_200), "SELECT " + "abs(" * 60 + "1" + ")" * 60, "SELECT * FROM " + "(SELECT * FROM " * 60 + "wilayah" + ")" * 60,
    "WITH " + ", ".join(f"a{n} AS (SELECT 1)" for n in range(500)) + " SELECT 1", "SELECT " + "[" * 60 + "]" * 60, "SELECT " + "{" * 100,
    "SELECT " + "1 + " * 2_500 + "1", "SELECT " + "a." * 500 + "b",
]  # fmt: skip
HOSTILE = [*WRITES, *DATA_MODIFYING, *STACKED, *FILES_AND_NETWORK, *SYSTEM, *FUNCTIONS, *SHAPES, *LARGE]


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) >= 200


@pytest.mark.parametrize("statement", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_statement_is_refused(statement: str) -> None:
    with pytest.raises(SqlRefused) as caught:
        guarded(statement, SCHEMAS)

    assert caught.value.code.startswith("sql_")
    assert caught.value.detail


@pytest.mark.parametrize("statement", STACKED)
def test_stacked_statements_have_a_code_of_their_own(statement: str) -> None:
    with pytest.raises(SqlRefused) as caught:
        guarded(statement, SCHEMAS)

    assert caught.value.code == "sql_several_statements"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT pg_sleep(1)", "sql_function_forbidden"),
        ("SELECT * FROM wilaya", "sql_table_unknown"),
        ("SELECT * FROM wilayah, wilayah b", "sql_join_unbounded"),
        ("WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x", "sql_recursive"),
        ("SELECT '" + "x" * 17_000 + "'", "sql_too_long"),
        ("SELECT " + "(" * 60 + "1" + ")" * 60, "sql_too_complex"),
        ("DELETE FROM wilayah", "sql_not_select"),
        ("SELECT FROM WHERE", "sql_malformed"),
        ("SELECT $$x$$", "sql_construct_forbidden"),
    ],
)
def test_each_kind_has_its_code(statement: str, code: str) -> None:
    with pytest.raises(SqlRefused) as caught:
        guarded(statement, SCHEMAS)

    assert caught.value.code == code


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT nama FROM wilayah WHERE EXISTS (WITH t AS (SELECT 1 AS a) SELECT a FROM t) AND EXISTS (SELECT 1 FROM t)",
        "SELECT nama FROM wilayah WHERE EXISTS (SELECT 1 FROM t) AND EXISTS (WITH t AS (SELECT 1 AS a) SELECT a FROM t)",
        "SELECT a FROM (WITH t AS (SELECT 1 AS a) SELECT a FROM t) x UNION ALL SELECT a FROM t",
        "WITH a AS (SELECT n FROM b), b AS (SELECT 1 AS n) SELECT n FROM a",
        "WITH a AS (SELECT n FROM a) SELECT n FROM a",
        "WITH a AS (WITH b AS (SELECT 1 AS n) SELECT n FROM b) SELECT a.n FROM a JOIN b ON a.n = b.n",
    ],
)
def test_a_with_name_is_seen_only_where_it_is_in_scope(statement: str) -> None:
    with pytest.raises(SqlTableUnknown):
        guarded(statement, SCHEMAS)


@pytest.mark.parametrize(
    "statement",
    [
        "WITH t AS (SELECT nama FROM wilayah) SELECT nama FROM t WHERE EXISTS (SELECT 1 FROM t u WHERE u.nama = t.nama)",
        "WITH a AS (SELECT 1 AS n), b AS (SELECT n FROM a) SELECT n FROM b",
        "WITH a AS (SELECT 1 AS n) SELECT n FROM a UNION ALL SELECT n FROM a",
        "SELECT x.n FROM (WITH a AS (SELECT 1 AS n) SELECT n FROM a) x",
        "WITH a AS (SELECT 1 AS n), b AS (WITH c AS (SELECT n FROM a) SELECT n FROM c) SELECT n FROM b",
        "WITH T AS (SELECT 1 AS n) SELECT n FROM t",
    ],
)
def test_with_names_in_scope_are_taken(statement: str) -> None:
    assert guarded(governed(statement), SCHEMAS)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SELECT 'a' AS b UNION ALL SELECT 'c'",
        "WITH a AS (SELECT 1 AS n) SELECT n FROM a",
        "SELECT n FROM (SELECT 1 AS n) a WHERE EXISTS (SELECT 2)",
    ],
)
def test_a_statement_that_reads_nothing_governed_is_refused(statement: str) -> None:
    with pytest.raises(SqlNoTable):
        guarded(statement, SCHEMAS)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT kode FROM wilayah, satuan_pendidikan WHERE kode = nama", "SELECT a.kode FROM wilayah a, wilayah b WHERE kode = a.nama",
        "SELECT 1 FROM wilayah a JOIN satuan_pendidikan s ON npsn = s.nama", "SELECT 1 FROM satuan_pendidikan, wilayah WHERE npsn = bentuk",
    ],
)  # fmt: skip
def test_columns_without_a_prefix_do_not_tie_tables_that_they_are_not_of(statement: str) -> None:
    tree = guarded(statement, SCHEMAS)
    schemas = {name: registry.get(name) for name in schemas_of(tree)}

    with pytest.raises(SimpulError) as caught:
        bound(tree, schemas, {name: frozenset(schema.fields) for name, schema in schemas.items()})
    assert caught.value.code in {"sql_join_unbounded", "field_unknown"}


TABLE = "fasilitas_kesehatan"


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT {', '.join(['*'] * 900)} FROM {TABLE}",
        f"SELECT {', '.join(['a.*'] * 400)} FROM {TABLE} a",
        f"SELECT * FROM {TABLE} a0 " + " ".join(f"JOIN {TABLE} a{n} USING (nama)" for n in range(1, 60)),
        f"SELECT {', '.join(['*'] * 50)} FROM {TABLE} a0 "
        + " ".join(f"JOIN {TABLE} a{n} USING (nama, jenis, kode_faskes)" for n in range(1, 40)),
        f"WITH q0 AS (SELECT * FROM {TABLE})"
        + "".join(f", q{n} AS (SELECT *, * FROM q{n - 1})" for n in range(1, 12))
        + " SELECT * FROM q11",
        f"SELECT * FROM (SELECT {', '.join(['*'] * 400)} FROM {TABLE}) a",
    ],
    ids=["stars", "table stars", "using", "stars over using", "doubling", "inside"],
)
def test_what_is_written_out_is_counted_before(statement: str) -> None:
    started = time.thread_time()
    tree = guarded(statement, SCHEMAS)
    schemas = {name: registry.get(name) for name in schemas_of(tree)}
    with pytest.raises(SqlTooComplex, match="name the columns"):
        bound(tree, schemas, {name: frozenset(schema.fields) for name, schema in schemas.items()})
    assert time.thread_time() - started < 0.5


def test_ordinary_joins_stay_below() -> None:
    names = ["satuan_pendidikan", "fasilitas_kesehatan", "destinasi_wisata", "wilayah"]
    joined = " ".join(f"JOIN {name} USING (nama)" for name in names[1:])
    tree = guarded(f"SELECT * FROM {names[0]} {joined}", SCHEMAS)
    schemas = {name: registry.get(name) for name in schemas_of(tree)}
    assert bound(tree, schemas, {name: frozenset(schema.fields) for name, schema in schemas.items()}).names
