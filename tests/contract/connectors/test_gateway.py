"""Kind gateway against a real one in a process of its own: fields, comparisons and the end of a read go there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from app.connectors.contract import Connector
from app.connectors.requests import ScanRequest
from app.connectors.suite import PERSON, SECRET, WHOLE_READS, ConnectorSuite, Fault, Subject, opened, read
from app.errors import (
    NetworkForbidden,
    SourceAuthFailed,
    SourceFailed,
    SourceFormatError,
    SourceMissing,
    SourceRejected,
    SourceUnreachable,
)
from app.filters.tree import Compare, Literal, Property
from app.schemas import registry
from tests.support.gateway import RunningGateway
from tests.support.gateways import started
from tests.support.sources import SourceServer

SCHEMA = registry.get("harga_komoditas")
MARKETS = ("Pasar Bangsri", "pasar bangsri", "Pasar Jepara II", "Ångström", "Zürich's", 'Pasar "A"', "50%_a", None)
GOODS = ("Beras", "beras", "Minyak goreng", "日本米", "ß", "SS")
CLIENT = {"client_id": "tamu", "client_secret": "${secret:PW}"}
FIELDS = {
    "tanggal": {"from": "tanggal", "date": "iso"},
    "kode_wilayah": "kode_wilayah",
    "pasar": "pasar",
    "komoditas": "komoditas",
    "satuan": "satuan",
    "harga": {"from": "harga", "number": {}},
}


def prices() -> list[dict[str, Any]]:
    return [
        {
            "tanggal": f"2026-{at % 12 + 1:02}-{at % 28 + 1:02}",
            "kode_wilayah": "33.20" if at % 3 else None,
            "pasar": MARKETS[at % len(MARKETS)],
            "komoditas": f"{GOODS[at % len(GOODS)]} {at // 6}",
            "satuan": None if at % 4 else "kg",
            "harga": None if at % 5 == 0 else f"{1000 + at}.25",
        }
        for at in range(60)
    ]


def row_of(price: dict[str, Any]) -> tuple[Any, ...]:
    values = {**dict.fromkeys(SCHEMA.fields), **price}
    values["tanggal"] = date.fromisoformat(price["tanggal"])
    values["harga"] = None if price["harga"] is None else Decimal(price["harga"])
    return tuple(values[name] for name in SCHEMA.fields)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("upstream")
    gateway = started(folder / "instance")
    try:
        for agency in ("disperindag", "tamu"):
            gateway.agency(agency)
        file = folder / "harga.json"
        file.write_text(json.dumps(prices()))
        gateway.upload("disperindag", file)
        source = {"kind": "file", "location": "inbox/harga.json"}
        gateway.publish(
            {
                "connector": "harga",
                "agency": "disperindag",
                "schema": SCHEMA.meta.ref,
                "title": "Harga",
                "source": source,
                "fields": FIELDS,
            }
        )
        yield gateway
    finally:
        code = gateway.stop()
    assert code == 0


@pytest.fixture(scope="module")
def secret(upstream: RunningGateway) -> str:
    body = {"agency": "tamu", "role": "client", "name": "Gerbang lain", "id": "tamu"}
    made = upstream.admin.post("/v1/clients", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["client_secret"])


@pytest.fixture(scope="module")
def impostor() -> Iterator[SourceServer]:
    """Servers that are no gateway, or a broken one."""
    server = SourceServer()
    for name in ("broken", "page", "halves", "strange"):
        server.posts[f"/{name}/oauth/token"] = lambda _asked, _headers: (
            200,
            "application/json",
            b'{"access_token": "t", "expires_in": 60}',
        )
    search = "/v1/records/harga-komoditas/search"
    server.posts[f"/broken{search}"] = lambda _a, _h: (500, "text/plain", PERSON.encode())
    server.posts[f"/page{search}"] = lambda _a, _h: (200, "text/html", f"<p>{PERSON}</p>".encode())
    server.posts[f"/halves{search}"] = lambda _a, _h: (200, "application/json", f'{{"items": ["{PERSON}'.encode())
    server.posts[f"/strange{search}"] = lambda _a, _h: (200, "application/json", b'{"items": []}')
    yield server
    server.close()


@pytest.fixture(scope="module")
async def subject(
    upstream: RunningGateway, secret: str, impostor: SourceServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Subject]:
    folder = tmp_path_factory.mktemp("gateway")

    def at(url: str, known: str = SECRET, **more: Any) -> Connector:
        source = {"kind": "gateway", "url": url, "schema": SCHEMA.meta.ref, **CLIENT, **more}
        return opened(folder, source, secret=known)

    connector = at(upstream.url, secret)
    yield Subject(
        connector,
        pa.schema([SCHEMA.arrow.field(name).remove_metadata() for name in SCHEMA.fields]),
        [row_of(price) for price in prices()],
        literals={
            "pasar": [one for one in MARKETS if one],
            "komoditas": [f"{good} 3" for good in GOODS],
            "harga": [1001, Decimal("1007.25"), Decimal("-0.5"), 10**12],
            "tanggal": [date(2026, 5, 5), date(1999, 1, 1)],
        },
        texts=frozenset({"pasar", "komoditas"}),
        faults=[
            Fault("another secret", lambda: at(upstream.url), SourceAuthFailed, False),
            Fault(
                "an agency that is not there",
                lambda: at(upstream.url, secret, agencies=["bukan"]),
                SourceRejected,
                False,
            ),
            Fault("not there", lambda: at(f"{impostor.url}/nowhere"), SourceRejected, False),
            Fault("broken", lambda: at(f"{impostor.url}/broken"), SourceFailed, True),
            Fault("a page", lambda: at(f"{impostor.url}/page"), SourceFormatError, False),
            Fault("half an answer", lambda: at(f"{impostor.url}/halves"), SourceFormatError, False),
            Fault("not complete, nor incomplete", lambda: at(f"{impostor.url}/strange"), SourceFormatError, False),
            Fault("refuses", lambda: at("http://127.0.0.1:1"), SourceUnreachable, True),
            Fault("forbidden", lambda: at("http://169.254.169.254"), NetworkForbidden, False),
        ],
        cannot=WHOLE_READS - {"filters"} | {"fingerprint", "estimate"},
    )
    await connector.close()


class TestGateway(ConnectorSuite):
    only_asks = True

    async def test_a_read_of_some_records_ends_there(self, subject: Subject) -> None:
        found = await read(subject.connector, ScanRequest(limit=7))
        assert len(found) == 7

    async def test_a_gateway_without_the_schema_is_told(self, subject: Subject, upstream, secret, tmp_path) -> None:
        del subject
        source = {"kind": "gateway", "url": f"{upstream.url}/bukan", "schema": SCHEMA.meta.ref, **CLIENT}
        connector = opened(tmp_path, source, secret=secret)
        try:
            with pytest.raises((SourceMissing, SourceAuthFailed)):
                await read(connector, ScanRequest())
        finally:
            await connector.close()

    async def test_what_is_withheld_there_is_null_here_and_decides_over_nothing(
        self, subject: Subject, upstream, secret, tmp_path
    ) -> None:
        del subject
        facility = {"kode": "P3320010101", "nama": "Puskesmas Kedung I", "jenis": "puskesmas", "email": "a@contoh.id"}
        file = tmp_path / "faskes.json"
        file.write_text(json.dumps([facility]))
        upstream.upload("disperindag", file)
        fields = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis", "email_kontak": "email"}
        source = {"kind": "file", "location": "inbox/faskes.json"}
        upstream.publish(
            {
                "connector": "faskes",
                "agency": "disperindag",
                "schema": "fasilitas_kesehatan@1",
                "source": source,
                "fields": fields,
            }
        )
        own = {"kind": "gateway", "url": upstream.url, "schema": "fasilitas_kesehatan@1", **CLIENT}
        connector = opened(tmp_path, own, secret=secret)
        by_email = Compare("=", Property("email_kontak"), Literal("a@contoh.id"))
        try:
            await connector.learn()
            assert not connector.takes(by_email)
            assert connector.takes(Compare("=", Property("nama"), Literal("x")))
            found = await read(connector, ScanRequest(columns=("kode_faskes", "email_kontak")))
            assert found == [("P3320010101", None)]
            assert any("email_kontak" in note for note in (await connector.discover()).notes)
        finally:
            await connector.close()
