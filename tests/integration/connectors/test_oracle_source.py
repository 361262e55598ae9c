"""Oracle without a server: what a session says to its driver and makes of the answers; the driver itself against listeners on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from app.connectors.contract import RawReject, ScanRequest
from app.connectors.environment import Environment
from app.connectors.requests import Order
from app.connectors.sql.oracle import OracleConnector
from app.connectors.sql.oracle_session import READ_ONLY, SETTINGS
from app.connectors.sql.source import SqlSource
from app.errors import (
    NetworkForbidden,
    SimpulError,
    SourceAuthFailed,
    SourceMissing,
    SourceRejected,
    SourceTimeout,
    SourceTlsFailed,
    SourceUnreachable,
)
from app.filters.tree import Compare, Literal, Property
from tests.integration.connectors.test_database_tls import certificate
from tests.support.oracle import DriverError, FakeDriver
from tests.support.reading import environment

_CATALOGUE = [
    ("ID", "NUMBER", "N", 10, 0, None),
    ("NAMA", "VARCHAR2", "Y", None, None, "USING_NLS_COMP"),
    ("NILAI", "NUMBER", "Y", None, None, None),
    ("TGL", "DATE", "Y", None, None, None),
]
_ROWS = [
    (Decimal(1), "Budi", Decimal("0.10"), " 2024-02-29T23:59:58"),
    (Decimal(2), None, None, "-0044-03-15T00:00:00"),
    (Decimal(3), "é", Decimal("1e-30"), None),
    (Decimal(4), "Sri", Decimal(7), " 1900-01-01T00:00:00"),
]


def _driver(**answers: Any) -> FakeDriver:
    """A database with one table, PENDUDUK of the user's own schema."""
    known: dict[str, Any] = {
        "NLS_DATABASE_PARAMETERS": [("AL32UTF8",)],
        "SESSION_PRIVS": [],
        "FROM ALL_TAB_COLUMNS": _CATALOGUE,
        "FROM ALL_CONSTRAINTS": [("PK", "ID", "N")],
        "NUM_ROWS": [(4,)],
        "FROM ALL_TABLES": [("SIMPUL", "PENDUDUK", 1), ("LAIN", "HARGA.2024", 0)],
        'FROM "PENDUDUK"': _ROWS,
    }
    return FakeDriver({**answers, **known, **answers})


def _source(driver: FakeDriver | None, folder: Path, around: Environment | None = None, **more: Any) -> OracleConnector:
    given = {"url": "oracle://simpul:${secret:PW}@127.0.0.1:1521/XEPDB1", "table": "PENDUDUK", **more}
    given = {name: value for name, value in given.items() if value is not None}
    return OracleConnector(SqlSource(**given), around or environment(folder), driver)


async def _read(connector: OracleConnector, request: ScanRequest) -> tuple[list[Any], list[RawReject]]:
    rows, rejects = list[Any](), list[RawReject]()
    async for batch in connector.scan(request):
        rows += batch.rows or []
        rejects += batch.rejects
    return rows, rejects


async def test_a_read_is_one_statement_in_a_transaction_that_cannot_write(tmp_path: Path) -> None:
    driver = _driver()
    connector = _source(driver, tmp_path)

    rows, rejects = await _read(connector, ScanRequest())
    await connector.close()

    assert rows == [
        (1, "Budi", Decimal("0.10"), datetime.fromisoformat("2024-02-29T23:59:58")),
        (4, "Sri", Decimal(7), datetime.fromisoformat("1900-01-01")),
    ]
    assert [(one.location, one.rule) for one in rejects] == [
        ("table PENDUDUK, ID 2", "date_out_of_range"), ("table PENDUDUK, ID 3", "decimal_range"),
    ]  # fmt: skip
    said = [text for text, _ in driver.said]
    assert said[0] == SETTINGS
    before = said[: said.index(next(text for text in said if "ALL_TAB_COLUMNS" in text))]
    assert before[-1] == READ_ONLY
    assert said[-2] == ('SELECT "ID", "NAMA", "NILAI", TO_CHAR("TGL", \'SYYYY-MM-DD"T"HH24:MI:SS\') FROM "PENDUDUK"')
    assert said[-1] == "ROLLBACK"
    assert len(driver.connected) == 1
    options = driver.connected[0]
    assert (options["host"], options["port"], options["service_name"]) == ("127.0.0.1", 1521, "XEPDB1")
    assert (options["protocol"], options["retry_count"]) == ("tcp", 0)


async def test_conditions_order_and_limit_are_bound(tmp_path: Path) -> None:
    driver = _driver(**{'SELECT "NAMA" FROM': [("Budi",)]})
    connector = _source(driver, tmp_path)
    await connector.learn()
    node = Compare("=", Property("NAMA"), Literal("Budi"))

    assert connector.takes(node)
    assert connector.capabilities.keys == (frozenset({"ID"}),)
    await _read(connector, ScanRequest(columns=("NAMA",), filter=node, order=(Order("ID"),), limit=2))
    await connector.close()

    assert driver.said[-2] == (
        'SELECT "NAMA" FROM "PENDUDUK" WHERE ("NAMA" = :p1) ORDER BY "ID" ASC FETCH FIRST 2 ROWS ONLY', ["Budi"],
    )  # fmt: skip


async def test_discover_and_estimate(tmp_path: Path) -> None:
    connector = _source(_driver(), tmp_path)
    found = await connector.discover()
    estimate = await connector.estimate(ScanRequest())
    await connector.close()

    assert found.tables == ("PENDUDUK", 'LAIN."HARGA.2024"')
    assert [(one.name, one.source_type, one.nullable) for one in found.columns][:2] == [
        ("ID", "NUMBER", False), ("NAMA", "VARCHAR2", True),
    ]  # fmt: skip
    assert estimate is not None
    assert (estimate.rows, estimate.sure) == (4, False)


async def test_a_name_without_quotes_is_one_in_capitals(tmp_path: Path) -> None:
    driver = _driver()
    asked: list[Any] = []

    def catalogue() -> list[Any]:
        asked.append(driver.said[-1][1])
        return _CATALOGUE if asked[-1] == ["SIMPUL", "PENDUDUK"] else []

    driver.answers["FROM ALL_TAB_COLUMNS"] = catalogue
    driver.answers['FROM "SIMPUL"."PENDUDUK"'] = _ROWS[:1]
    connector = _source(driver, tmp_path, table="simpul.penduduk")
    rows, _ = await _read(connector, ScanRequest(columns=("ID",)))
    await connector.close()

    assert asked[:2] == [["simpul", "penduduk"], ["SIMPUL", "PENDUDUK"]]
    assert rows == [(1,)]


async def test_a_table_that_is_not_there_says_what_a_synonym_needs(tmp_path: Path) -> None:
    connector = _source(_driver(**{"FROM ALL_TAB_COLUMNS": []}), tmp_path)

    with pytest.raises(SourceMissing, match=r"OWNER\.NAME"):
        await _read(connector, ScanRequest())
    await connector.close()


async def test_a_check_tells_what_the_user_may_do_beyond_reading(tmp_path: Path) -> None:
    connector = _source(_driver(SESSION_PRIVS=[("CREATE TABLE",), ("DELETE ON LAIN.HARGA",)]), tmp_path)
    steps = await connector.check()
    await connector.close()

    assert [(step.name, step.error) for step in steps] == [("dns", None), ("auth", None), ("read", None)]
    assert steps[1].note == (
        "the user may do more than read (CREATE TABLE, DELETE ON LAIN.HARGA): give it CREATE SESSION and READ on the table alone; "
        "the connection is not encrypted: write sslmode=verify-full and the port of TCPS"
    )


@pytest.mark.parametrize(
    ("where", "code", "kind"),
    [
        ("connect", "ORA-01017", SourceAuthFailed),
        ("connect", "ORA-12514", SourceMissing),
        ("connect", "DPY-6005", SourceUnreachable),
        ("connect", "DPY-3010", SourceRejected),
        ('FROM "PENDUDUK"', "ORA-00942", SourceMissing),
        ('FROM "PENDUDUK"', "ORA-01456", SourceRejected),
        ('FROM "PENDUDUK"', "DPY-4024", SourceTimeout),
        ('FROM "PENDUDUK"', "ORA-01722", SourceRejected),
    ],
)
async def test_faults_of_the_server_are_told_by_their_numbers_alone(
    tmp_path: Path, where: str, code: str, kind: type[SimpulError]
) -> None:
    connector = _source(_driver(**{where: DriverError(code)}), tmp_path)

    with pytest.raises(kind) as caught:
        await _read(connector, ScanRequest())
    await connector.close()
    assert "RAHASIA" not in str(caught.value)


async def test_a_statement_is_broken_off_at_the_deadline(tmp_path: Path) -> None:
    driver = _driver(**{'FROM "PENDUDUK"': "hang"})
    connector = _source(driver, tmp_path)
    await connector.learn()
    started = time.monotonic()

    with pytest.raises(SourceTimeout):
        await _read(connector, ScanRequest(deadline=started + 0.3))
    await connector.close()

    assert driver.cancelled == 1
    assert time.monotonic() - started < 5


async def test_a_session_is_used_again_in_a_new_transaction_and_replaced_when_it_is_lost(tmp_path: Path) -> None:
    driver = _driver()
    connector = _source(driver, tmp_path)
    for _ in range(2):
        await _read(connector, ScanRequest())
    kept = len(driver.connected)
    for connection in driver.connections:
        connection.broken.set()
    rows, _ = await _read(connector, ScanRequest())
    await connector.close()

    assert (kept, len(driver.connected), len(rows)) == (1, 2, 2)
    said = [text for text, _ in driver.said]
    reads = [at for at, text in enumerate(said) if 'FROM "PENDUDUK"' in text]
    assert [said[at - 1] for at in reads[1:]] == [READ_ONLY, READ_ONLY]
    assert [said[at + 1] for at in reads] == ["ROLLBACK"] * 3


async def test_a_query_is_described_by_its_result(tmp_path: Path) -> None:
    told = [
        SimpleNamespace(
            name="JUMLAH", type=SimpleNamespace(name="DB_TYPE_NUMBER"), precision=0, scale=-127, null_ok=True
        )
    ]
    driver = FakeDriver(
        {
            "NLS_DATABASE_PARAMETERS": [("AL32UTF8",)],
            "SESSION_PRIVS": [],
            "1 = 0": [],
            "steward_query": [(Decimal(9),)],
        },
        told,
    )
    connector = _source(driver, tmp_path, table=None, query="SELECT COUNT(*) AS jumlah FROM penduduk")

    rows, _ = await _read(connector, ScanRequest())
    await connector.close()

    assert rows == [(Decimal(9),)]
    assert driver.said[-2][0] == 'SELECT "JUMLAH" FROM (SELECT COUNT(*) AS jumlah FROM penduduk) steward_query'


def _packet(kind: int, body: bytes) -> bytes:
    """A packet of TNS before its version is agreed on."""
    return struct.pack(">HHBBH", 8 + len(body), 0, kind, 0, 0) + body


class _Listener:
    """What answers a connect with the same packets, and counts who came."""

    def __init__(self, answer: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        self._answer, self._tls = answer, tls
        self.came = 0
        self._served: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._served, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        self._served.append(asyncio.current_task())  # type: ignore[arg-type]
        await reader.read(8192)
        await asyncio.sleep(0.1)
        with contextlib.suppress(OSError):
            writer.write(self._answer)
            await writer.drain()
            await asyncio.sleep(0.3)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def elsewhere() -> AsyncIterator[_Listener]:
    async with _Listener() as listener:
        yield listener


async def test_the_driver_is_not_let_go_where_a_listener_sends_it(tmp_path: Path, elsewhere: _Listener) -> None:
    target = f"(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT={elsewhere.port}))\0(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=X)))"
    redirect = _packet(5, struct.pack(">H", len(target))) + _packet(6, b"\0\0" + target.encode())
    async with _Listener(redirect) as listener:
        url = f"oracle://simpul:${{secret:PW}}@127.0.0.1:{listener.port}/X"
        connector = _source(None, tmp_path, url=url)
        with pytest.raises(NetworkForbidden, match="sends to another address"):
            await connector.learn()
        await connector.close()

    assert (listener.came, elsewhere.came) == (1, 0)


@pytest.mark.parametrize(("name", "reached"), [("localhost", True), ("lain.example", False)])
async def test_the_certificate_must_be_of_the_host_in_the_manifest(tmp_path: Path, name: str, reached: bool) -> None:
    cert, key = certificate(tmp_path, name)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    around = replace(environment(tmp_path), ca_file=cert)
    async with _Listener(b"", tls) as listener:
        url = f"oracle://simpul:${{secret:PW}}@localhost:{listener.port}/X?sslmode=verify-full"
        connector = _source(None, tmp_path, around, url=url)
        # Behind the handshake the listener hangs up: that it came so far shows that the certificate was taken.
        with pytest.raises(SourceUnreachable if reached else SourceTlsFailed):
            await connector.learn()
        await connector.close()

    assert listener.came == (1 if reached else 0)


async def test_an_address_that_is_not_allowed_is_not_dialled(tmp_path: Path) -> None:
    connector = _source(_driver(), tmp_path, url="oracle://simpul:${secret:PW}@10.9.8.7/X")

    with pytest.raises(NetworkForbidden):
        await connector.learn()
    await connector.close()


def test_a_gateway_without_the_extra_says_what_is_installed(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
sys.modules["oracledb"] = None
from pathlib import Path
from app.connectors.sql import KIND
from app.connectors.sql.source import SqlSource
from tests.support.reading import environment
source = SqlSource(url="oracle://a:${{secret:PW}}@127.0.0.1/X", table="T")
step = asyncio.run(KIND.open(source, environment(Path({str(tmp_path)!r}))).check())[-1]
print(step.error.code, step.error.detail)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("source_rejected")
    assert "the operator installs simpul[oracle]" in done.stdout


@pytest.mark.parametrize("scheme", ["mssql", "sqlserver"])
def test_sql_server_is_refused_with_the_next_step(scheme: str) -> None:
    with pytest.raises(ValueError, match="tds_fdw"):
        SqlSource(url=f"{scheme}://a:${{secret:PW}}@127.0.0.1/X", table="T")


def test_a_zone_makes_dates_instants(tmp_path: Path) -> None:
    async def go() -> list[Any]:
        connector = _source(_driver(), tmp_path, zone="Asia/Jakarta")
        rows, _ = await _read(connector, ScanRequest())
        await connector.close()
        return rows

    assert asyncio.run(go())[0][3] == datetime(2024, 2, 29, 16, 59, 58, tzinfo=UTC)
