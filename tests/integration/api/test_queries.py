"""SQL over HTTP: joins across agencies, refusals with their own codes, limits, cancellation at the source."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.children import workers_of
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer
from tests.support.sql import governed

PATH = "/v1/queries"


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


@pytest.fixture(scope="module")
def database(gateway: RunningGateway, postgres_module_url: str) -> Iterator[str]:
    """A school office on PostgreSQL, and a view that takes its time."""
    with psycopg.connect(postgres_module_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS sekolah CASCADE")
        connection.execute("CREATE TABLE sekolah (npsn text PRIMARY KEY, nama text, bentuk text, kode text)")
        connection.execute(
            "INSERT INTO sekolah SELECT (20300000 + n)::text, 'SD ' || n, 'SD', CASE WHEN n % 2 = 0 THEN 'P1' ELSE 'P2' END"
            " FROM generate_series(1, 5000) n"
        )
    gateway.agency("disdikpora")
    location = postgres_module_url.removeprefix("postgresql://")
    user, _, rest = location.partition("@")
    host, _, name = rest.rpartition("/")
    manifest: dict[str, Any] = {
        "connector": "disdikpora-sekolah",
        "agency": "disdikpora",
        "schema": "satuan_pendidikan@1",
        "source": {"kind": "sql", "url": f"postgresql://{user}@{host}/{name}?sslmode=disable", "table": "sekolah"},
        "fields": {"npsn": "npsn", "nama": "nama", "bentuk": "bentuk", "alamat": "kode"},
    }
    gateway.publish(manifest)
    return postgres_module_url


def ask(reader: httpx.Client, sql: str, **more: Any) -> httpx.Response:
    return reader.post(PATH, json={"sql": sql, **more})


def test_a_join_across_agencies(reader: httpx.Client, database: str) -> None:
    answer = ask(
        reader,
        "SELECT f.kode_faskes, f._agency AS opd, count(*) AS n FROM fasilitas_kesehatan f "
        "JOIN satuan_pendidikan s ON s.alamat = f.kode_faskes WHERE f.jenis = 'puskesmas' GROUP BY 1, 2 ORDER BY 1",
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()

    assert found["items"] == [
        {"kode_faskes": "P1", "opd": "dinkes", "n": 2500},
        {"kode_faskes": "P2", "opd": "dinkes", "n": 2500},
    ]
    assert found["columns"] == [
        {"name": "kode_faskes", "type": "VARCHAR"},
        {"name": "opd", "type": "VARCHAR"},
        {"name": "n", "type": "BIGINT"},
    ]
    assert {source["agency"]: source["status"] for source in found["sources"]} == {
        "dinkes": "ok", "rsud": "ok", "disdikpora": "ok",
    }  # fmt: skip
    assert (found["complete"], found["meta"]["has_more"]) == (True, False)


def test_keys_of_the_selective_side_narrow_the_other(reader: httpx.Client, database: str) -> None:
    found = ask(
        reader,
        "SELECT count(*) AS n FROM fasilitas_kesehatan f JOIN satuan_pendidikan s ON s.alamat = f.kode_faskes "
        "WHERE f.kode_faskes = 'P1'",
    ).json()
    rows = {source["agency"]: source["rows"] for source in found["sources"]}

    assert found["items"] == [{"n": 2500}]
    assert rows["disdikpora"] == 2500


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM fasilitas_kesehatan WHERE kode_faskes = 'P1'", ["P1"]),
        (
            "WITH x AS (SELECT *, _agency AS a FROM fasilitas_kesehatan) SELECT kode_faskes FROM x WHERE a = 'rsud'",
            ["R2"],
        ),
        ("SELECT kode_faskes FROM fasilitas_kesehatan WHERE nama LIKE 'Pusk%' ORDER BY kode_faskes DESC", ["P2", "P1"]),
        ("SELECT kode_faskes FROM fasilitas_kesehatan WHERE kode_faskes IN ('P1', 'R2') ORDER BY 1", ["P1", "R2"]),
        (
            (
                "SELECT kode_faskes FROM (SELECT kode_faskes, row_number() OVER (PARTITION BY jenis ORDER BY kode_faskes) AS n "
                "FROM fasilitas_kesehatan) x WHERE n = 1 ORDER BY 1"
            ),
            ["P1", "R1"],
        ),
        ("SELECT 'a''b; --' AS kode_faskes", ["a'b; --"]),
        ("SELECT induk('33.20.05.2001', 'kecamatan') AS kode_faskes", ["33.20.05"]),
        ("SELECT tingkat('33.20.05.2001') AS kode_faskes", ["desa"]),
        ("SELECT tingkat('33.20') AS kode_faskes", ["kabupaten"]),
        ("SELECT induk('33.20', 'kecamatan') AS kode_faskes", [None]),
        ("SELECT induk('33.20.05.2001', 'kelurahan') AS kode_faskes", [None]),
        ("SELECT tingkat('LN-SGP') AS kode_faskes UNION ALL SELECT induk('LN-SGP', 'provinsi')", [None, None]),
        ("SELECT induk('33.20.05.1001', lower('PROVINSI')) AS kode_faskes", ["33"]),
        ("SELECT kode_faskes FROM fasilitas_kesehatan WHERE nama NOT LIKE 'Pusk%' AND nama NOT ILIKE 'rsu%'", ["R2"]),
        (
            "SELECT kode_faskes FROM fasilitas_kesehatan WHERE kode_faskes NOT LIKE 'P!%' ESCAPE '!' ORDER BY 1 LIMIT 1; -- note",
            ["P1"],
        ),
        ("SELECT CAST(DATE '2024-01-31' AS TEXT) AS kode_faskes;", ["2024-01-31"]),
        ("SELECT CAST(TIMESTAMP '2024-01-31 10:00:00' AS TEXT) AS kode_faskes /* note */", ["2024-01-31 10:00:00"]),
        (
            "SELECT string_agg(kode_faskes, '+' ORDER BY kode_faskes DESC) AS kode_faskes FROM fasilitas_kesehatan",
            ["R2+R1+P2+P1"],
        ),
    ],
)
def test_what_it_can_say(reader: httpx.Client, sql: str, expected: list[Any]) -> None:
    answer = ask(reader, governed(sql))

    assert answer.status_code == 200, answer.text
    assert [row["kode_faskes"] for row in answer.json()["items"]] == expected


def test_star_means_the_granted_fields(reader: httpx.Client) -> None:
    names = [column["name"] for column in ask(reader, "SELECT * FROM fasilitas_kesehatan").json()["columns"]]

    assert "kode_faskes" in names
    assert not {"_agency", "_dataset"} & set(names)


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELECT pg_sleep(1)", 422, "sql_function_forbidden"),
        ("DELETE FROM wilayah", 422, "sql_not_select"),
        ("SELECT 1; SELECT 2", 422, "sql_several_statements"),
        ("SELECT * FROM fasilitas", 422, "sql_table_unknown"),
        ("SELECT namaa FROM fasilitas_kesehatan", 422, "field_unknown"),
        ("SELECT * FROM penduduk_verifikasi", 422, "sql_table_personal"),
        ("SELECT 1 / 0 + CAST('x' AS INTEGER) FROM fasilitas_kesehatan", 422, "sql_failed"),
        ("SELECT 1", 422, "sql_no_table"),
        ("WITH a AS (SELECT 1 AS n) SELECT n FROM a", 422, "sql_no_table"),
        ("SELECT a.kode_faskes FROM fasilitas_kesehatan a, fasilitas_kesehatan b", 422, "sql_join_unbounded"),
        ("SELECT induk(kode_wilayah) FROM fasilitas_kesehatan", 422, "sql_malformed"),
        ("SELECT induk(kode_wilayah, 'kota') FROM fasilitas_kesehatan", 422, "sql_malformed"),
        ('SELECT nama AS "" FROM fasilitas_kesehatan', 422, "sql_malformed"),
        ("SELECT nama, count(*) FROM fasilitas_kesehatan", 422, "sql_failed"),
    ],
)
def test_each_refusal_has_its_code(reader: httpx.Client, sql: str, status: int, code: str) -> None:
    answer = ask(reader, sql)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["exchange-id"]


@pytest.fixture(scope="module")
def regions(gateway: RunningGateway, services: SourceServer) -> None:
    """A province, a regency, two districts and two villages."""
    codes = [("33", None), ("33.20", "33"), ("33.20.05", "33.20"), ("33.20.06", "33.20")]
    codes += [("33.20.05.2001", "33.20.05"), ("33.20.05.1002", "33.20.05")]
    levels = {2: "provinsi", 5: "kabupaten", 8: "kecamatan"}
    items = [
        {"kode": code, "nama": f"Wilayah {code}", "induk": above, "tingkat": levels.get(len(code)) or "desa"}
        for code, above in codes
    ]
    items[-1]["tingkat"] = "kelurahan"
    services.json("/wilayah", json.dumps({"data": items}).encode())
    gateway.publish(
        {
            "connector": "dinkes-wilayah",
            "agency": "dinkes",
            "schema": "wilayah@1",
            "source": {"kind": "rest", "url": f"{services.url}/wilayah", "record_path": "$.data[*]"},
            "fields": {"kode": "kode", "nama": "nama", "tingkat": "tingkat", "kode_induk": "induk"},
        }
    )


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT kode AS k FROM wilayah WHERE tingkat(kode) = 'kecamatan' ORDER BY 1", ["33.20.05", "33.20.06"]),
        ("SELECT kode AS k FROM wilayah WHERE induk(kode, 'kecamatan') = '33.20.05' ORDER BY 1 LIMIT 1", ["33.20.05"]),
        ("SELECT tingkat(kode) AS k FROM wilayah GROUP BY tingkat(kode) HAVING count(*) > 1", ["kecamatan"]),
        ("SELECT induk(kode, 'kecamatan') AS k FROM wilayah GROUP BY 1 HAVING induk(min(kode), 'provinsi') = '33' ORDER BY 1 DESC NULLS LAST", ["33.20.06", "33.20.05", None]),
        ("SELECT induk(kode, 'kecamatan') AS k, count(*) AS n FROM wilayah WHERE induk(kode, 'kecamatan') IS NOT NULL GROUP BY k ORDER BY n DESC", ["33.20.05", "33.20.06"]),
        ("SELECT b.nama AS k FROM wilayah a JOIN wilayah b ON induk(a.kode, 'kabupaten') = b.kode WHERE tingkat(a.kode) = 'desa'", ["Wilayah 33.20"]),
        ("SELECT kode AS k FROM wilayah WHERE tingkat(kode) <> tingkat", []),
        ("SELECT kode AS k FROM wilayah ORDER BY tingkat(kode), kode LIMIT 2", ["33.20.05.2001", "33.20"]),
        ("SELECT kode AS k FROM wilayah QUALIFY row_number() OVER (PARTITION BY induk(kode, 'kabupaten') ORDER BY kode) = 1 ORDER BY 1", ["33", "33.20"]),
    ],
)  # fmt: skip
def test_levels_of_regions_everywhere(reader: httpx.Client, regions: None, sql: str, expected: list[Any]) -> None:
    answer = ask(reader, sql)

    assert answer.status_code == 200, answer.text
    assert [row["k"] for row in answer.json()["items"]] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tingkat(kode) = 'kecamatan'", ["33.20.05", "33.20.06"]),
        ("induk(kode, 'kecamatan') = '33.20.05'", ["33.20.05", "33.20.05.1002", "33.20.05.2001"]),
        ("induk(kode, 'kecamatan') <> '33.20.05'", ["33.20.06"]),
        ("tingkat(kode) IN ('desa', 'kelurahan')", ["33.20.05.1002", "33.20.05.2001"]),
    ],
)
def test_filters_know_levels_of_regions_too(
    reader: httpx.Client, regions: None, text: str, expected: list[str]
) -> None:
    listed = reader.get("/v1/records/wilayah", params={"filter": text, "sort": "kode"})
    counted = reader.post("/v1/records/wilayah/aggregate", json={"filter": text, "aggregates": [{"function": "count"}]})

    assert [item["kode"] for item in listed.json()["items"]] == expected
    assert counted.json()["items"] == [{"count": len(expected)}]


@pytest.mark.parametrize(
    ("sql", "advice"),
    [
        ("SELECT to_char(current_date, 'YYYY')", "strftime(x, '%Y-%m-%d')"),
        ("SELECT current_time", "current_timestamp"),
        ("SELECT nama FROM fasilitas_kesehatan WHERE nama ~* 'a'", "LIKE '%text%'"),
        ("SELECT group_array(nama) FROM fasilitas_kesehatan", "array_agg(x ORDER BY x)"),
        ("SELECT jenis, count(*) FROM fasilitas_kesehatan GROUP BY jenis WITH ROLLUP", "GROUP BY ROLLUP (a, b)"),
        ("SELECT f FROM fasilitas_kesehatan f", "f.*"),
        ("SELECT lpad(nama, 5000, 'x') FROM fasilitas_kesehatan", "at most 1000 characters"),
        ("SELECT unnest(telepon) FROM fasilitas_kesehatan", "take them apart on your side"),
        ("SELECT a.nama FROM fasilitas_kesehatan a CROSS JOIN fasilitas_kesehatan b", "JOIN b ON a.x = b.y"),
        ("SELECT induk(kode_wilayah, 'kec') FROM fasilitas_kesehatan", "kecamatan"),
        ("-- note\nSELECT 1", "name one behind FROM"),
        ("SELECT 1 // 2 // 3 // 4 // 5 FROM fasilitas_kesehatan", "at most 3 deep"),
    ],
)
def test_a_refusal_says_what_to_write(reader: httpx.Client, sql: str, advice: str) -> None:
    answer = ask(reader, sql)

    assert answer.status_code == 422
    assert advice in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "accept", "media"),
    [
        ({"f": "csv"}, "application/json", "text/csv"),
        ({}, "text/csv", "text/csv"),
        ({}, "text/csv;q=0.1, application/x-ndjson", "application/x-ndjson"),
        ({}, "text/html, application/vnd.apache.parquet;q=0.5, */*;q=0.1", "application/vnd.apache.parquet"),
        ({"csv": "id"}, "text/csv", "text/csv"),
        ({"csv": "id", "f": "csv"}, "*/*", "text/csv"),
        ({}, "*/*", "application/json"),
    ],
)
def test_the_format_asked_for_is_given(reader: httpx.Client, query: dict[str, str], accept: str, media: str) -> None:
    answer = reader.post(PATH, params=query, json={"sql": governed("SELECT 1 AS n")}, headers={"accept": accept})

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(media)
    assert answer.content.startswith(b"\xef\xbb\xbf") == ("csv" in query)


@pytest.mark.parametrize(
    ("query", "accept", "words"),
    [
        ({"f": "dbf"}, "*/*", "f is one of"),
        ({"f": ""}, "*/*", "f is one of"),
        ({"f": "geojson"}, "*/*", "no place on a map"),
        ({}, "application/geo+json", "no place on a map"),
        ({}, "application/pdf", "media types"),
        ({}, "application/json;q=0", "media types"),
        ({"csv": "id"}, "*/*", "csv=id is a form of CSV"),
        ({"csv": "id", "f": "xlsx"}, "*/*", "csv=id is a form of CSV"),
        ({"csv": "en", "f": "csv"}, "*/*", "csv is id"),
    ],
)
@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_a_format_that_is_not_there_is_refused(
    reader: httpx.Client, query: dict[str, str], accept: str, words: str, prefer: str
) -> None:
    answer = reader.post(
        PATH, params=query, json={"sql": governed("SELECT 1 AS n")}, headers={"accept": accept, "prefer": prefer}
    )

    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert words in answer.json()["detail"]


def test_limit_says_that_there_is_more(reader: httpx.Client, database: str) -> None:
    found = ask(reader, "SELECT npsn FROM satuan_pendidikan ORDER BY npsn", limit=10).json()

    assert len(found["items"]) == 10
    assert found["meta"]["has_more"]


def test_too_many_rows_is_a_refusal(reader: httpx.Client, database: str) -> None:
    answer = ask(reader, "SELECT a.npsn FROM satuan_pendidikan a JOIN satuan_pendidikan b ON a.bentuk = b.bentuk")

    assert (answer.status_code, answer.json()["code"]) == (422, "sql_rows_exceeded")


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet", "xlsx"])
def test_rows_come_in_other_formats(reader: httpx.Client, form: str) -> None:
    answer = reader.post(PATH, params={"f": form}, json={"sql": "SELECT kode_faskes FROM fasilitas_kesehatan"})

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-digest"].startswith("sha-256=")


def test_half_of_the_sources_is_no_answer(reader: httpx.Client, services: SourceServer) -> None:
    route = services.routes["/rs"]
    services.routes["/rs"] = lambda _query, _headers: (503, "text/plain", b"down")
    body = {"sql": "SELECT count(*) AS n FROM fasilitas_kesehatan"}
    try:
        strict = reader.post(PATH, json=body)
        loose = reader.post(PATH, json=body, headers={"prefer": "partial=allow"})
    finally:
        services.routes["/rs"] = route

    assert (strict.status_code, strict.json()["code"]) == (503, "partial_answer_refused")
    assert (loose.json()["items"], loose.json()["complete"]) == ([{"n": 3}], False)
    assert loose.headers["simpul-complete"] == "?0"


def test_the_log_holds_the_structure_and_no_value(gateway: RunningGateway, reader: httpx.Client) -> None:
    answer = ask(reader, "SELECT kode_faskes FROM fasilitas_kesehatan WHERE nama = 'Rahasia'")
    auditor = gateway.client("supervisor", "dinkes")
    entries = auditor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"]

    assert [(entry["kind"], entry["op"]) for entry in entries] == [("intent", "sql"), ("outcome", "sql")]
    assert all("Rahasia" not in str(entry["q"]) for entry in entries)
    assert entries[0]["schemas"] == ["fasilitas_kesehatan"]


def test_a_client_that_leaves_ends_the_worker_and_the_read(
    gateway: RunningGateway, reader: httpx.Client, database: str
) -> None:
    with (
        psycopg.connect(database, autocommit=True) as locker,
        psycopg.connect(database, autocommit=True) as watcher,
        locker.transaction(),
    ):
        locker.execute("LOCK TABLE sekolah IN ACCESS EXCLUSIVE MODE")
        impatient = httpx.Client(
            base_url=gateway.url,
            timeout=2.0,
            trust_env=False,
            headers={"authorization": reader.headers["authorization"]},
        )
        asking = threading.Thread(target=lambda: leave(impatient))
        asking.start()
        waited = until(lambda: bool(reads(watcher)), 8)
        there = set(workers_of(gateway.pid))
        asking.join()
        ended = until(lambda: not reads(watcher), 20)  # a scheduled look that waits too ends by its deadline
        gone = until(lambda: not there <= set(workers_of(gateway.pid)), 8)  # others wait for the next statements
    assert (waited, bool(there), ended, gone) == (True, True, True, True)


def leave(client: httpx.Client) -> None:
    with client, pytest.raises(httpx.ReadTimeout):
        client.post(PATH, json={"sql": "SELECT count(*) AS n FROM satuan_pendidikan"})


def reads(watcher: psycopg.Connection[Any]) -> list[Any]:
    return watcher.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'simpul' AND state = 'active' AND query LIKE '%sekolah%'"
    ).fetchall()


def until(holds: Any, seconds: float) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if holds():
            return True
        time.sleep(0.05)
    return False
