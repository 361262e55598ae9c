"""SQL answers in every format, at once and as jobs: names, numbers, dates, keys of several agencies, connections kept open."""

from __future__ import annotations

import csv
import io
import json
import time
from decimal import Decimal
from typing import Any

import httpx
import openpyxl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer
from tests.support.sql import governed

PATH = "/v1/queries"
FORMS = ["json", "ndjson", "csv", "csv=id", "xlsx", "parquet", "arrow"]
PRICES = [
    ("2024-01-15", "beras", "1.25"),
    ("2024-02-15", "beras", "2.50"),
    ("2024-02-20", "gula", "9007199254740993.5"),
]


# What a statement gives does not hang on where the log and the catalogue are kept: `test_queries.py` asks on both stores.
pytestmark = pytest.mark.parametrize("gateway", ["sqlite"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway, postgres_module_url: str, services: SourceServer) -> httpx.Client:
    """Prices on PostgreSQL, and schools that two agencies hold: one of them both, with other numbers."""
    with psycopg.connect(postgres_module_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS harga CASCADE")
        connection.execute("CREATE TABLE harga (tanggal date, kode text, pasar text, barang text, harga numeric)")
        for day, goods, price in PRICES:
            connection.execute("INSERT INTO harga VALUES (%s, '33.20', 'Ratu', %s, %s)", (day, goods, price))
    for agency in ("disperindag", "disdikpora", "kemenag"):
        gateway.agency(agency)
    url = f"{postgres_module_url}{'&' if '?' in postgres_module_url else '?'}sslmode=disable"
    price_fields = {
        "tanggal": "tanggal",
        "kode_wilayah": "kode",
        "pasar": "pasar",
        "komoditas": "barang",
        "harga": "harga",
    }
    source = {"kind": "sql", "url": url, "table": "harga"}
    gateway.publish(manifest("disperindag", "harga_komoditas@1", source, price_fields))
    services.json(
        "/sd",
        b'{"data": [{"npsn": "20300001", "nama": "SD 1", "n": 100}, {"npsn": "20300002", "nama": "SD 2", "n": 50}]}',
    )
    services.json("/mi", b'{"data": [{"npsn": "20300002", "nama": "MI 2", "n": 51}]}')
    for agency, path in (("disdikpora", "/sd"), ("kemenag", "/mi")):
        source = {"kind": "rest", "url": f"{services.url}{path}", "record_path": "$.data[*]"}
        gateway.publish(
            manifest(agency, "satuan_pendidikan@1", source, {"npsn": "npsn", "nama": "nama", "jumlah_siswa": "n"})
        )
    return gateway.client("client", "dinkes")


def manifest(agency: str, schema: str, source: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {"connector": f"{agency}-data", "agency": agency, "schema": schema, "source": source, "fields": fields}


def ask(reader: httpx.Client, sql: str, form: str = "json", **more: Any) -> httpx.Response:
    return reader.post(PATH, params=params(form), json={"sql": governed(sql), **more})


def params(form: str) -> dict[str, str]:
    return {"f": "csv", "csv": "id"} if form == "csv=id" else {"f": form}


def by_job(reader: httpx.Client, sql: str, form: str) -> httpx.Response:
    asked = reader.post(PATH, params=params(form), json={"sql": governed(sql)}, headers={"prefer": "respond-async"})
    assert asked.status_code == 202, asked.text
    found = ended(reader, asked.headers["location"])
    assert found["state"] == "done", found
    return reader.get(found["result"]["href"])


def ended(reader: httpx.Client, address: str) -> dict[str, Any]:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        found: dict[str, Any] = reader.get(address).json()
        if found["state"] not in {"queued", "running"}:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def strict(content: bytes) -> Any:
    """JSON as its standard has it: no NaN, no Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(content, parse_constant=refuse)


def opened(form: str, content: bytes) -> tuple[list[str], list[list[Any]]]:
    """Header and rows, read with the program that people read the format with."""
    match form:
        case "json":
            found = strict(content)
            names = [column["name"] for column in found["columns"]]
            return names, [[item[name] for name in names] for item in found["items"]]
        case "ndjson":
            rows = [strict(line) for line in content.splitlines()]
            return list(rows[0]), [list(row.values()) for row in rows]
        case "csv":
            head, *rest = csv.reader(io.StringIO(content.decode(), newline=""))
            return head, rest
        case "csv=id":
            head, *rest = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")
            return head, rest
        case "xlsx":
            lines = [
                list(row) for row in openpyxl.load_workbook(io.BytesIO(content))["Data"].iter_rows(values_only=True)
            ]
            return lines[0], lines[1:]
        case "parquet":
            table = pq.read_table(io.BytesIO(content))
        case _:
            table = pa.ipc.open_stream(content).read_all()
    return table.column_names, [
        list(row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("later", [False, True])
def test_columns_of_a_join_have_distinct_names(reader: httpx.Client, form: str, later: bool) -> None:
    sql = (
        "SELECT a.nama, b.nama, a.nama AS nama_2 FROM fasilitas_kesehatan a JOIN fasilitas_kesehatan b ON a.jenis = b.jenis "
        "WHERE a.kode_faskes = 'P1' ORDER BY b.kode_faskes"
    )
    answer = by_job(reader, sql, form) if later else ask(reader, sql, form)
    assert answer.status_code == 200, answer.text

    assert opened(form, answer.content) == (
        ["nama", "nama_3", "nama_2"],
        [["Puskesmas Satu", other, "Puskesmas Satu"] for other in ("Puskesmas Satu", "Puskesmas Dua")],
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_name_twice_whatever_its_case(reader: httpx.Client, form: str) -> None:
    sql = 'SELECT kode_faskes AS "Kode", nama AS "kode", jenis AS KODE FROM fasilitas_kesehatan WHERE kode_faskes = \'P1\''

    assert opened(form, ask(reader, sql, form).content) == (
        ["Kode", "kode_2", "KODE_3"],
        [["P1", "Puskesmas Satu", "puskesmas"]],
    )


def test_star_of_a_join_with_itself(reader: httpx.Client) -> None:
    sql = "SELECT * FROM fasilitas_kesehatan a JOIN fasilitas_kesehatan b ON a.kode_faskes = b.kode_faskes"
    names, rows = opened("json", ask(reader, sql).content)

    half = len(names) // 2
    assert names[half:] == [f"{name}_2" for name in names[:half]]
    assert all(row[:half] == row[half:] for row in rows)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name", ["a,b", "a;b", "=1+1", "@x", "-2", "x12345678", "O'Brien", 'a "b"', "Kode Faskes", "é 你", "a\nb"]
)
def test_any_alias_is_a_header_in_every_format(reader: httpx.Client, form: str, name: str) -> None:
    quoted = name.replace('"', '""')
    answer = ask(reader, f"SELECT kode_faskes AS \"{quoted}\" FROM fasilitas_kesehatan WHERE kode_faskes = 'P1'", form)
    assert answer.status_code == 200, answer.text
    neutral = f"'{name}" if form.startswith("csv") and name[0] in "=@-" else name

    assert opened(form, answer.content) == ([neutral], [["P1"]])


def test_a_header_like_a_formula_is_text_in_a_sheet(reader: httpx.Client) -> None:
    answer = ask(reader, 'SELECT 1 AS "=1+1"', "xlsx")
    cell = openpyxl.load_workbook(io.BytesIO(answer.content))["Data"]["A1"]

    assert (cell.value, cell.data_type, cell.quotePrefix) == ("=1+1", "s", True)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT date_trunc('month', tanggal) AS bulan FROM harga_komoditas",
        "SELECT date_diff('day', tanggal, DATE '2024-03-01') AS hari FROM harga_komoditas",
        "SELECT initcap(komoditas) AS x12345678 FROM harga_komoditas",
        "SELECT harga AS \"O'Brien\" FROM harga_komoditas WHERE komoditas = 'rahasia 3320990101900001'",
    ],
)
def test_every_statement_stands_in_the_log(gateway: RunningGateway, reader: httpx.Client, sql: str) -> None:
    answer = ask(reader, sql)
    auditor = gateway.client("supervisor", "dinkes")
    entries = auditor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"]

    assert answer.status_code == 200, answer.text
    assert [(entry["kind"], entry["op"]) for entry in entries] == [("intent", "sql"), ("outcome", "sql")]
    assert all("FROM harga_komoditas" in entry["q"] for entry in entries)
    assert not any(word in entry["q"] for entry in entries for word in ("'", "rahasia", "12345678", "Brien", "month"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("SELECT harga / 0 AS hasil FROM harga_komoditas", "hasil"),
        ("SELECT 1 AS satu, sqrt(-1) AS akar", "akar"),
        ("SELECT ln(0) AS l", "l"),
        ("SELECT avg(x) AS r FROM (SELECT 1e308 * 10 AS x) t", "r"),
        ("SELECT CAST('infinity' AS DATE) AS hari", "hari"),
        ("SELECT DATE '9999-12-31' + INTERVAL 2 DAY AS hari", "hari"),
    ],
)
def test_what_is_no_number_is_refused_in_every_format(reader: httpx.Client, form: str, sql: str, column: str) -> None:
    answer = ask(reader, sql, form)

    assert (answer.status_code, answer.json()["code"]) == (422, "sql_value_not_finite")
    assert repr(column) in answer.json()["detail"]


@pytest.mark.parametrize("sql", ["SELECT 1 // 0 AS n", "SELECT 1 % 0 AS n"])
def test_a_whole_division_by_zero_is_refused(reader: httpx.Client, sql: str) -> None:
    answer = ask(reader, sql)

    assert (answer.status_code, answer.json()["code"]) == (422, "sql_value_not_finite")
    assert "nullif" in answer.json()["detail"]


def test_a_job_says_that_a_value_is_no_number(reader: httpx.Client) -> None:
    body = {"sql": "SELECT harga / 0 AS hasil FROM harga_komoditas"}
    asked = reader.post(PATH, json=body, headers={"prefer": "respond-async"})
    found = ended(reader, asked.headers["location"])

    assert (found["state"], found["problem"]["code"]) == ("failed", "sql_value_not_finite")


NUMBERS = (
    "SELECT CAST(9007199254740991 AS BIGINT) AS kecil, CAST(9007199254740992 AS BIGINT) AS besar, "
    "-9007199254740993 AS minus, sum(5) AS jumlah, sum(CAST(9007199254740993 AS BIGINT)) AS lebar, "
    "CAST('12345678901234567.89' AS DECIMAL(20, 2)) AS uang"
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("later", [False, True])
def test_large_numbers_keep_every_digit(reader: httpx.Client, form: str, later: bool) -> None:
    answer = by_job(reader, NUMBERS, form) if later else ask(reader, NUMBERS, form)
    _, ((*whole, money),) = opened(form, answer.content)
    small, large, minus, total, wide = whole
    texts = ["9007199254740992", "-9007199254740993", "9007199254740993"]

    match form:
        case "json" | "ndjson":
            assert (small, total, money) == (9007199254740991, 5, "12345678901234567.89")
            assert [large, minus, wide] == texts
        case "csv" | "csv=id":
            assert (small, total) == ("9007199254740991", "5")
            assert [large, minus, wide] == texts
            assert money.replace(",", ".") == "12345678901234567.89"
        case "xlsx":
            assert (small, total, money) == ("9007199254740991", 5, "12345678901234567.89")
            assert [large, minus, wide] == texts
        case _:
            assert (small, total, money) == (9007199254740991, 5, Decimal("12345678901234567.89"))
            assert [large, minus, wide] == [Decimal(text) for text in texts]


def test_the_type_of_a_column_says_how_its_numbers_go_out(reader: httpx.Client) -> None:
    types = {column["name"]: column["type"] for column in ask(reader, NUMBERS).json()["columns"]}

    assert types == {
        "kecil": "BIGINT", "besar": "DECIMAL(38,0)", "minus": "DECIMAL(38,0)", "jumlah": "BIGINT",
        "lebar": "DECIMAL(38,0)", "uang": "DECIMAL(20,2)",
    }  # fmt: skip


def test_a_column_has_one_type_for_all_its_rows(reader: httpx.Client) -> None:
    found = ask(reader, "SELECT 9007199254740993 AS n UNION ALL SELECT 1 ORDER BY n").json()

    assert found["items"] == [{"n": "1"}, {"n": "9007199254740993"}]
    assert found["columns"] == [{"name": "n", "type": "DECIMAL(38,0)"}]


@pytest.mark.parametrize("form", FORMS)
def test_kinds_of_values_in_every_format(reader: httpx.Client, form: str) -> None:
    sql = (
        "SELECT NULL AS kosong, INTERVAL 1 DAY AS selang, DATE '2024-01-31' AS hari, TIMESTAMP '2024-01-31 10:00:00' AS waktu, "
        "TRUE AS ya, 1.50 AS d, 0.1e0 AS x, telepon FROM fasilitas_kesehatan WHERE kode_faskes = 'P1'"
    )
    answer = ask(reader, sql, form)
    names, rows = opened(form, answer.content)

    assert answer.status_code == 200, answer.text
    assert names == ["kosong", "selang", "hari", "waktu", "ya", "d", "x", "telepon"]
    assert [len(row) for row in rows] == [8]
    assert rows[0][1] == "1 day"
    assert str(rows[0][3]).startswith("2024-01-31")


@pytest.mark.parametrize("form", ["csv", "csv=id"])
def test_an_empty_value_alone_is_a_row_of_csv(reader: httpx.Client, form: str) -> None:
    empty = ask(reader, "SELECT coalesce(alamat, '') AS alamat FROM fasilitas_kesehatan", form)
    null = ask(reader, "SELECT alamat FROM fasilitas_kesehatan", form)

    assert opened(form, empty.content) == (["alamat"], [[""]] * 4)
    assert opened(form, null.content) == (["alamat"], [[]] * 4)  # told from an empty text


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT median(harga) AS h FROM harga_komoditas WHERE komoditas = 'beras'", "1.875"),
        ("SELECT median(harga) FILTER (WHERE harga < 100) AS h FROM harga_komoditas", "1.875"),
        (
            "SELECT DISTINCT median(harga) OVER (PARTITION BY komoditas) AS h FROM harga_komoditas WHERE komoditas = 'beras'",
            "1.875",
        ),
        ("SELECT median(harga) AS h FROM harga_komoditas", "2.5"),
        ("SELECT median(harga) AS h FROM harga_komoditas WHERE komoditas = 'gula'", "9007199254740993.5"),
        ("SELECT median(n) AS h FROM (SELECT 1 AS n UNION ALL SELECT 2) t", "1.5"),
        ("SELECT median(harga) AS h FROM harga_komoditas WHERE komoditas = 'emas'", None),
        ("SELECT avg(harga) AS h FROM harga_komoditas WHERE komoditas = 'beras'", 1.875),
        ("SELECT sum(harga) AS h FROM harga_komoditas", "9007199254740997.25"),
        ("SELECT harga % 2 AS h FROM harga_komoditas WHERE komoditas = 'gula'", "1.5"),
        ("SELECT round(harga, 1) AS h FROM harga_komoditas WHERE harga = 1.25", "1.3"),
        ("SELECT 7 // 2 AS h", 3),
        ("SELECT (harga - harga % 2) / 2 AS h FROM harga_komoditas WHERE harga = 2.5", 1.0),
    ],
)
def test_numbers_are_neither_cut_nor_rounded_silently(reader: httpx.Client, sql: str, expected: Any) -> None:
    answer = ask(reader, sql)

    assert answer.status_code == 200, answer.text
    assert answer.json()["items"] == [{"h": expected}]


def test_a_whole_quotient_of_decimals_is_refused_with_what_to_write(reader: httpx.Client) -> None:
    answer = ask(reader, "SELECT harga // 2 AS h FROM harga_komoditas")

    assert (answer.status_code, answer.json()["code"]) == (422, "sql_failed")
    assert "floor(x / y)" in answer.json()["detail"]


def test_sums_over_keys_of_several_agencies_are_refused(reader: httpx.Client) -> None:
    refused = ask(reader, "SELECT sum(jumlah_siswa) AS n FROM satuan_pendidikan")
    problem = refused.json()

    assert (refused.status_code, problem["code"]) == (422, "overlap_refused")
    assert (problem["keys"], problem["agencies"]) == (1, ["disdikpora", "kemenag"])


OVERLAP = {"schema": "satuan_pendidikan", "keys": 1, "agencies": ["disdikpora", "kemenag"]}


@pytest.mark.parametrize(
    ("sql", "more", "items", "overlap"),
    [
        ("SELECT sum(jumlah_siswa) AS n FROM satuan_pendidikan", {"overlap": "accept"}, [{"n": 201}], OVERLAP),
        ("SELECT count(*) AS n FROM satuan_pendidikan", {}, [{"n": 3}], OVERLAP),
        ("SELECT sum(jumlah_siswa) AS n FROM satuan_pendidikan WHERE npsn = '20300001'", {}, [{"n": 100}], None),
        ("SELECT sum(jumlah_siswa) AS n FROM satuan_pendidikan WHERE nama LIKE 'SD%'", {}, [{"n": 150}], None),
        ("SELECT sum(jumlah_siswa) AS n FROM satuan_pendidikan WHERE _agency = 'kemenag'", {}, [{"n": 51}], None),
        (
            "SELECT _agency AS opd, sum(jumlah_siswa) AS n FROM satuan_pendidikan GROUP BY _agency ORDER BY 1", {},
            [{"opd": "disdikpora", "n": 150}, {"opd": "kemenag", "n": 51}], OVERLAP,
        ),
        (
            "WITH t AS (SELECT npsn, max(jumlah_siswa) AS n FROM satuan_pendidikan GROUP BY npsn) SELECT sum(n) AS n FROM t", {},
            [{"n": 151}], OVERLAP,
        ),
        ("SELECT nama FROM satuan_pendidikan WHERE npsn = '20300001'", {}, [{"nama": "SD 1"}], None),
    ],
)  # fmt: skip
def test_an_answer_says_what_overlaps(
    reader: httpx.Client, sql: str, more: dict[str, Any], items: list[Any], overlap: dict[str, Any] | None
) -> None:
    found = ask(reader, sql, **more).json()

    assert found.get("items") == items, found
    assert found["meta"].get("overlap") == overlap


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT avg(jumlah_siswa) AS n FROM satuan_pendidikan",
        "SELECT sum(n) AS n FROM (SELECT jumlah_siswa AS n FROM satuan_pendidikan) t",
        "WITH t AS (SELECT jumlah_siswa AS n FROM satuan_pendidikan UNION ALL SELECT 1) SELECT sum(n) AS n FROM t",
        (
            "SELECT f.jenis, sum(1) AS n FROM fasilitas_kesehatan f JOIN satuan_pendidikan s ON f.nama <> s.nama AND f.jenis <> s.npsn "
            "AND s.npsn = replace(f.kode_faskes, f.kode_faskes, '20300002') GROUP BY f.jenis"
        ),
        "SELECT nama, sum(jumlah_siswa) OVER () AS n FROM satuan_pendidikan",
    ],
)
def test_no_way_round_the_check(reader: httpx.Client, sql: str) -> None:
    assert ask(reader, sql).json()["code"] == "overlap_refused"


def test_the_check_reads_keys_that_the_log_does_not_call_given(gateway: RunningGateway, reader: httpx.Client) -> None:
    answer = ask(reader, "SELECT count(nama) AS n FROM satuan_pendidikan")
    auditor = gateway.client("supervisor", "dinkes")
    entries = auditor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"]

    assert entries[-1]["fields"] == ["nama"]


def test_a_job_shows_how_far_it_is(reader: httpx.Client, postgres_module_url: str) -> None:
    sql = "SELECT count(*) AS n FROM fasilitas_kesehatan f JOIN harga_komoditas h ON h.komoditas = f.nama WHERE f.jenis <> 'x'"
    shown: list[int] = []
    with psycopg.connect(postgres_module_url, autocommit=True) as locker, locker.transaction():
        locker.execute("LOCK TABLE harga IN ACCESS EXCLUSIVE MODE")
        address = reader.post(PATH, json={"sql": governed(sql)}, headers={"prefer": "respond-async"}).headers[
            "location"
        ]
        ends = time.monotonic() + 8
        while time.monotonic() < ends and 4 not in shown:
            shown.append(reader.get(address).json()["rows"])
            time.sleep(0.1)
        under_way = reader.get(address).json()
    found = ended(reader, address)

    assert shown[-1] == 4
    assert {source["agency"]: source["rows"] for source in under_way["sources"]} == {
        "dinkes": 3,
        "rsud": 1,
        "disperindag": 0,
    }
    assert (found["state"], found["rows"]) == ("done", 1)


@pytest.mark.parametrize("path", [PATH, "/v1/records/fasilitas-kesehatan"])
@pytest.mark.parametrize("form", FORMS)
def test_a_connection_is_kept_after_every_format(
    gateway: RunningGateway, reader: httpx.Client, path: str, form: str
) -> None:
    with httpx.Client(
        base_url=gateway.url,
        trust_env=False,
        timeout=30,
        headers={"authorization": reader.headers["authorization"], "accept-encoding": "identity"},
    ) as client:
        ports = set()
        for _ in range(3):
            if path == PATH:
                answer = client.post(path, params=params(form), json={"sql": "SELECT nama FROM fasilitas_kesehatan"})
            else:
                answer = client.get(path, params=params(form))
            assert answer.status_code == 200
            assert len(answer.content) == int(answer.headers["content-length"])
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))

    assert len(ports) == 1
