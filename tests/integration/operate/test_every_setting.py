"""Every setting and every metric that is declared is used: each is turned, and its effect is seen."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.access.clients import ClientDraft, create_client, list_clients
from app.access.people import accounts
from app.api.layer.exchange_layer import ExchangeLayer
from app.api.layer.resource import EVERYONE, Resource, Rule, RuleTable
from app.audit.keys.files import load_verifier
from app.audit.store.postgres import PostgresLogStore
from app.audit.write.from_settings import log_store, open_exchange_log
from app.catalog.agencies import Agency, create_agency
from app.cli.instance import create_instance
from app.cli.local import WALIDATA
from app.cli.local import create_client as make_client
from app.cli.serving import server_config
from app.datasets.manifest import parse_manifest
from app.errors import RateLimited, SettingsInvalid, StoreUnavailable
from app.gateway.people import open_session
from app.gateway.services import Services
from app.gateway.storage import StorageFull
from app.main import create_app
from app.settings import Settings, load_settings
from app.telemetry import configure_logging
from tests.integration.api.conftest import FACILITIES, facility_manifest
from tests.support.provider import CLIENT, SECRET, OpenIdProvider
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"


class At:
    """A gateway in this process: its settings and services, and a client that is its admin."""

    def __init__(self, settings: Settings, app: FastAPI, client: httpx.AsyncClient, services: SourceServer) -> None:
        self.settings, self.app, self.client, self.services = settings, app, client, services
        self.state: Services = app.state.services

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(path, **more)

    async def session(self, role: str) -> dict[str, str]:
        """The header of a new credential."""
        draft = ClientDraft(agency="dinkes", role=role, name=f"Test {role}")  # type: ignore[arg-type]
        async with self.state.database.begin() as connection:
            await ensure_agency(connection)
            client, _ = await create_client(connection, draft, now())
        await self.state.current.refresh()
        return {"authorization": f"Bearer {self.state.access.issuer.issue(client).text}"}

    async def provide(self, **source: Any) -> None:
        """An agency with a file of three facilities, published."""
        await self.session("client")
        assert (
            await self.client.put("/v1/agencies/dinkes/files/inbox/faskes.csv", content=FACILITIES.encode())
        ).status_code in {200, 201}
        manifest = facility_manifest("dinkes-faskes", "dinkes")
        await self.publish({**manifest, "source": {**manifest["source"], **source}} if source else manifest)  # type: ignore[dict-item]

    async def provide_service(self, answer: Callable[..., tuple[int, str, bytes]]) -> None:
        """As `provide`, by a service that works while it is checked and answers as `answer` says from then on."""
        await self.session("client")
        self.services.json("/s", b'[{"kode": "S1", "nama": "Satu"}]')
        fields = {"kode_faskes": "kode", "nama": "nama"}
        source = {"kind": "rest", "url": f"{self.services.url}/s", "record_path": "$[*]"}
        await self.publish({**facility_manifest("dinkes-faskes", "dinkes"), "source": source, "fields": fields})
        self.services.routes["/s"] = answer

    async def publish(self, manifest: Mapping[str, Any]) -> None:
        name = manifest["connector"]
        assert (await self.client.put(f"/v1/connectors/{name}", json=dict(manifest))).status_code == 201
        report = (await self.client.post(f"/v1/connectors/{name}/check")).json()
        assert report["passed"], report
        assert (await self.client.post(f"/v1/connectors/{name}/publish")).status_code == 200


async def ensure_agency(connection: Any) -> None:
    from app.catalog.agencies import list_agencies

    if "dinkes" not in {agency.id for agency in await list_agencies(connection)}:
        await create_agency(connection, Agency("dinkes", "Dinas Kesehatan", network_allow=("127.0.0.0/8",)))


def now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "instance"
    settings = load_settings(dir=folder, base_url="http://gateway")
    create_instance(settings)
    make_client(settings, ClientDraft(WALIDATA, "admin", "Uji"))
    return folder


@asynccontextmanager
async def serving(folder: Path, template: Path, **changed: Any) -> AsyncIterator[At]:
    """The gateway of a copy of the template with these settings."""
    shutil.copytree(template, folder)
    settings = load_settings(dir=folder, **changed)
    app, services = create_app(settings), SourceServer()
    try:
        async with app.router.lifespan_context(app):
            state: Services = app.state.services
            async with state.database.read() as connection:
                admin = (await list_clients(connection))[0]
            headers = {"authorization": f"Bearer {state.access.issuer.issue(admin).text}"}
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
                yield At(settings, app, client, services)
    finally:
        services.close()


Effect = Callable[[At], Awaitable[None]]
EFFECTS: dict[str, tuple[Any, Effect]] = {}


def effect(name: str, value: Any) -> Callable[[Effect], Effect]:
    """Registers what is seen of a setting when it has this value."""

    def keep(function: Effect) -> Effect:
        EFFECTS[name] = (value, function)
        return function

    return keep


async def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@effect("instance", "ID-UJI")
async def _(at: At) -> None:
    assert (await at.get("/status")).json()["instance"] == "ID-UJI"
    assert at.state.names.member("dinkes") == "ID-UJI/GOV/dinkes"


@effect("region", "33.19")
async def _(at: At) -> None:
    assert (await at.get("/status")).json()["region"] == "33.19"


@effect("bbox", (109.0, -8.0, 112.0, -5.0))
async def _(at: At) -> None:
    assert (await at.get("/status")).json()["bbox"] == [109.0, -8.0, 112.0, -5.0]
    await at.session("client")
    rows = "kode,nama,lat,lng\nP1,Di dalam,-7.9,111.9\nP2,Di luar,-8.1,111.9\n"
    await at.client.put("/v1/agencies/dinkes/files/inbox/faskes.csv", content=rows.encode())
    places = {name: {"from": name, "number": {}} for name in ("lat", "lng")}
    fields = {"kode_faskes": "kode", "nama": "nama", **places}
    await at.publish({**facility_manifest("dinkes-faskes", "dinkes"), "fields": fields})
    items = (await at.get(LIST)).json()["items"]
    told = {item["kode_faskes"]: [warning["code"] for warning in item.get("_warnings", [])] for item in items}
    assert ["outside_region" in told[kode] for kode in ("P1", "P2")] == [False, True]


@effect("zone", "Asia/Jayapura")
async def _(at: At) -> None:
    auditor = await at.session("supervisor")
    await at.get(LIST)
    found = (await at.get("/v1/exchanges/summary", params={"bucket": "day"}, headers=auditor)).json()
    assert found["meta"]["zone"] == "Asia/Jayapura"
    assert found["buckets"][0]["from"].endswith("T15:00:00Z")


@effect("base_url", "https://simpul.example")
async def _(at: At) -> None:
    assert (await at.get("/v1/schemas/none")).json()["type"].startswith("https://simpul.example/problems/")


@effect("request_body_bytes", 2048)
async def _(at: At) -> None:
    answer = await at.client.post("/v1/queries", json={"sql": "SELECT 1" + " " * 4000})
    assert await code_of(answer) == (413, "body_too_large")


@effect("upload_bytes", 1024)
async def _(at: At) -> None:
    await at.session("client")
    answer = await at.client.put("/v1/agencies/dinkes/files/inbox/a.csv", content=b"x" * 2000)
    assert answer.status_code == 413


@effect("header_bytes", 1024)
async def _(at: At) -> None:
    assert (await at.get("/v1/schemas", headers={"x-long": "x" * 2000})).status_code == 431


@effect("json_depth", 5)
async def _(at: At) -> None:
    answer = await at.client.post(f"{LIST}/search", json={"filter": {"op": "not", "args": [[[[[[]]]]]]}})
    assert await code_of(answer) == (400, "malformed_json")


@effect("request_seconds", 0.6)
async def _(at: At) -> None:
    def slow(*_: Any) -> tuple[int, str, bytes]:
        time.sleep(1.5)
        return 200, "application/json", b"[]"

    await at.provide_service(slow)
    before = time.monotonic()
    assert (await at.get(LIST)).status_code == 504
    assert time.monotonic() - before < 1.4


@effect("concurrent_requests", 1)
async def _(at: At) -> None:
    answers = await asyncio.gather(*[at.get("/v1/exchanges/none") for _ in range(20)])
    assert {answer.status_code for answer in answers} >= {503}


@effect("verify_requests_per_day", 3)
async def _(at: At) -> None:
    assert at.state.verifications._requests == 3  # its effect is seen in tests/hostile/test_verification_limits.py


@effect("verify_people_per_day", 3)
async def _(at: At) -> None:
    assert at.state.verifications._people == 3


@effect("not_found_burst", 3)
async def _(at: At) -> None:
    for _ in range(3):
        at.state.verifications.missed("pks-1", "uji")
    assert b'simpul_alarms_total{kind="not_found_burst"} 1.0' in at.state.metrics.render()


@effect("spool_bytes", 4000)
async def _(at: At) -> None:
    assert at.state.storage._share_bytes == 3000


@effect("log_reserve_bytes", 1 << 60)
async def _(at: At) -> None:
    with pytest.raises(StorageFull):
        at.state.storage.check_free(1)


@effect("job_result_bytes", 1024)
async def _(at: At) -> None:
    await at.provide()
    for _ in range(8):
        answer = await at.get(LIST, params={"f": "csv"}, headers={"prefer": "respond-async"})
        if answer.status_code != 202:
            break
        while (await at.get(answer.headers["location"])).json()["state"] in {"queued", "running"}:
            await asyncio.sleep(0.02)
    assert await code_of(answer) == (429, "quota_exceeded")


@effect("agency_file_bytes", 1024)
async def _(at: At) -> None:
    await at.session("client")
    assert await code_of(await at.client.put("/v1/agencies/dinkes/files/a.csv", content=b"x" * 1025)) == (
        429,
        "quota_exceeded",
    )


@effect("file_versions", 1)
async def _(at: At) -> None:
    await at.session("client")
    for content in (b"a", b"b", b"c"):
        await at.client.put("/v1/agencies/dinkes/files/a.csv", content=content)
    kept = at.settings.dir / "agencies" / "dinkes" / "inbox" / ".versions" / "a.csv"
    assert len(list(kept.iterdir())) == 1


async def begin_part(at: At) -> httpx.Response:
    return await at.client.post("/v1/agencies/dinkes/files/a.csv", headers={"upload-complete": "?0"})


@effect("open_uploads", 2)
async def _(at: At) -> None:
    await at.session("client")
    assert [(await begin_part(at)).status_code for _ in range(2)] == [201, 201]
    assert await code_of(await begin_part(at)) == (429, "quota_exceeded")


@effect("open_upload_seconds", 60)
async def _(at: At) -> None:
    await at.session("client")
    assert (await begin_part(at)).headers["upload-limit"].endswith(("max-age=60", "max-age=59"))


@effect("detail_bytes_per_hour", 1024)
async def _(at: At) -> None:
    question = {"filter": f"nama = '{'x' * 3000}'"}
    answers = [await at.client.post(f"{LIST}/search", json=question) for _ in range(3)]
    assert await code_of(answers[-1]) == (429, "quota_exceeded")


@effect("read_seconds", 3.0)
async def _(at: At) -> None:
    assert getattr(server_config(at.settings).http, "head_seconds") == 3.0  # noqa: B009 - of a class made for it


@effect("connections_per_address", 7)
async def _(at: At) -> None:
    assert getattr(server_config(at.settings).http, "most") == 7  # noqa: B009 - of a class made for it


@effect("sql_workers", 3)
async def _(at: At) -> None:
    assert at.state.runtime.workers.slots == 3


@effect("answer_memory_bytes", 1024)
async def _(at: At) -> None:
    from app.gateway.exports import new_spool

    spool = new_spool(at.state, "uji")
    spool.write(b"x" * 2000)
    assert spool._file is not None
    spool.close()


@effect("answer_spool_bytes", 1024)
async def _(at: At) -> None:
    await at.provide()
    assert await code_of(await at.get(LIST, params={"f": "xlsx"})) == (413, "answer_too_large")


@effect("page_rows", 2)
async def _(at: At) -> None:
    await at.provide()
    assert len((await at.get(LIST)).json()["items"]) == 2
    assert await code_of(await at.get(LIST, params={"limit": 3})) == (422, "limit_out_of_range")


@effect("agreement_rate_per_minute", 3)
async def _(at: At) -> None:
    limiter = at.state.access.agreement_rates
    assert [limiter.check("pks-1").remaining for _ in range(3)] == [2, 1, 0]  # its effect: tests/hostile/test_rates.py


@effect("rate_per_minute", 3)
async def _(at: At) -> None:
    answers = [await at.get("/v1/schemas") for _ in range(6)]
    assert answers[-1].status_code == 429


@effect("refusals_per_minute", 10)
async def _(at: At) -> None:
    wrong = {"authorization": "Bearer x"}
    answers = [await at.get("/v1/schemas", headers=wrong) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert (await at.get("/v1/schemas")).status_code == 200, "a right token passes"


@effect("trusted_proxies", ("127.0.0.1/32",))
async def _(at: At) -> None:
    auditor = await at.session("supervisor")
    answer = await at.get(LIST, headers={"x-forwarded-for": "203.0.113.9, 198.51.100.7"})
    found = (await at.get(f"/v1/exchanges/{answer.headers['exchange-id']}", headers=auditor)).text
    assert "198.51.100.7" in found
    assert "203.0.113.9" not in found


async def detail_days(at: At, days: int) -> httpx.Response:
    await at.session("client")
    terms = {
        "provider": "dinkes", "consumer": "dinkes", "schema": "penduduk_agregat", "fields": ["*"], "basis": "UU 23/2014",
        "purposes": ["pelayanan_kesehatan"], "valid_from": "2026-01-01", "valid_until": "2030-12-31", "detail_days": days,
    }  # fmt: skip
    return await at.client.post("/v1/agreements", json=terms, headers=await at.session("steward"))


@effect("detail_days_least", 100)
async def _(at: At) -> None:
    assert "100 to 3650 days" in (await detail_days(at, 99)).text
    assert (await detail_days(at, 100)).status_code == 201


@effect("detail_days_most", 100)
async def _(at: At) -> None:
    assert "30 to 100 days" in (await detail_days(at, 101)).text
    assert (await detail_days(at, 100)).status_code == 201


@effect("public_open_data", True)
async def _(at: At) -> None:
    await at.provide()
    asked = at.client.build_request("GET", LIST)
    del asked.headers["authorization"]
    answer = await at.client.send(asked)
    assert (answer.status_code, len(answer.json()["items"])) == (200, 3)


@effect("public_rate_per_minute", 2)
async def _(at: At) -> None:
    limits = [at.state.public_rates.check("203.0.113.9").limit for _ in range(2)]
    assert limits == [2, 2]
    with pytest.raises(RateLimited):
        at.state.public_rates.check("203.0.113.9")


@effect("subject_usage_per_minute", 1)
async def _(at: At) -> None:
    auditor = {**await at.session("supervisor"), "x-road-issue": "RM-1"}
    body = {"subject": "3320990101900001"}
    answers = [await at.client.post("/v1/subject-usage", json=body, headers=auditor) for _ in range(4)]
    assert answers[-1].status_code == 429


@effect("source_deadline_seconds", 0.3)
async def _(at: At) -> None:
    def slow(*_: Any) -> tuple[int, str, bytes]:
        time.sleep(1.0)
        return 200, "application/json", b"[]"

    await at.provide_service(slow)
    answer = await at.get(LIST)
    assert (answer.status_code, answer.json()["sources"][0]["status"]) == (504, "timeout")


@effect("source_concurrency", 1)
async def _(at: At) -> None:
    assert at.state.runtime.guards.bulkhead("any").slots == 1
    await at.provide()
    assert limits_of(at).concurrency == 1


@effect("source_rows", 2)
async def _(at: At) -> None:
    await at.session("client")
    await at.client.put("/v1/agencies/dinkes/files/inbox/faskes.csv", content=FACILITIES.encode())
    await at.client.put("/v1/connectors/dinkes-faskes", json=facility_manifest("dinkes-faskes", "dinkes"))
    await at.client.post("/v1/connectors/dinkes-faskes/check")
    await at.client.post("/v1/connectors/dinkes-faskes/publish", json={"unchecked": True})
    answer = await at.get(LIST)
    assert answer.json()["sources"][0]["problem"]["code"] == "source_too_large"


async def checked(at: At, rows: str) -> dict[str, Any]:
    """The check of the three facilities and these rows."""
    await at.session("client")
    await at.client.put("/v1/agencies/dinkes/files/inbox/faskes.csv", content=(FACILITIES + rows).encode())
    await at.client.put("/v1/connectors/dinkes-faskes", json=facility_manifest("dinkes-faskes", "dinkes"))
    report = (await at.client.post("/v1/connectors/dinkes-faskes/check")).json()
    assert isinstance(report, dict)
    return report


@effect("check_rows", 2)
async def _(at: At) -> None:
    report = await checked(at, "")
    assert (report["passed"], report["mapping"]["rows"], report["mapping"]["bounded"]) == (True, 2, "rows")


@effect("check_seconds", 1e-9)
async def _(at: At) -> None:
    report = await checked(at, "")
    assert (report["passed"], report["mapping"]["rows"], report["mapping"]["bounded"]) == (True, 0, "seconds")


@effect("check_reject_share", 0.5)
async def _(at: At) -> None:
    report = await checked(at, "P8,,puskesmas\n")
    assert (report["passed"], report["mapping"]["rejected"]) == (True, 1)
    assert not (await checked(at, "P6,,puskesmas\nP7,,puskesmas\nP8,,puskesmas\nP9,,puskesmas\n"))["passed"]


@effect("source_bytes", 1024)
async def _(at: At) -> None:
    await at.provide_service(lambda *_: (200, "application/json", b"[" + b" " * 5000 + b"]"))
    answer = await at.get(LIST)
    assert answer.json()["sources"][0]["problem"]["code"] == "source_too_large"


async def health_until(at: At, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The health of the connector as soon as it is so."""
    async with asyncio.timeout(20):
        while True:
            found = (await at.get("/v1/connectors/dinkes-faskes/health")).json()
            if holds(found):
                return dict(found)
            await asyncio.sleep(0.1)


async def provide_snapshot(at: At) -> None:
    await at.session("client")
    rows = [{"kode": f"S{number}", "nama": f"Nama {number}"} for number in range(500)]
    at.services.json("/s", json.dumps(rows).encode())
    source = {"kind": "rest", "url": f"{at.services.url}/s"}
    manifest = {**facility_manifest("dinkes-faskes", "dinkes"), "source": source, "snapshot": {"every": "1h"}}
    await at.publish({**manifest, "fields": {"kode_faskes": "kode", "nama": "nama"}})


@effect("snapshot_bytes", 1024)
async def _(at: At) -> None:
    await provide_snapshot(at)
    found = await health_until(at, lambda health: health["snapshot"]["problem"] is not None)
    assert found["snapshot"]["problem"]["code"] == "snapshot_too_large"
    assert (await at.get(LIST)).json()["sources"][0]["status"] == "ok"


@effect("snapshot_seconds", 1e-9)
async def _(at: At) -> None:
    await provide_snapshot(at)
    found = await health_until(at, lambda health: health["snapshot"]["problem"] is not None)
    assert found["snapshot"]["problem"]["code"] == "source_timeout"


@effect("health_seconds", 1)
async def _(at: At) -> None:
    await at.provide()
    found = await health_until(at, lambda health: bool(health["checks"]) and health["checks"][0]["checks"] > 1)
    assert (found["check_seconds"], found["checks"][0]["passed"]) == (1.0, True)


@effect("breaker_failures", 1)
async def _(at: At) -> None:
    await at.provide_service(lambda *_: (500, "text/plain", b"down"))
    statuses = [(await at.get(LIST)).json()["sources"][0]["status"] for _ in range(2)]
    assert statuses == ["unavailable", "open_circuit"]


@effect("breaker_seconds", 1.5)
async def _(at: At) -> None:
    await at.provide_service(lambda *_: (500, "text/plain", b"down"))
    statuses = [(await at.get(LIST)).json()["sources"][0]["status"] for _ in range(6)]
    at.services.json("/s", b"[]")
    await asyncio.sleep(1.6)
    assert statuses[-1] == "open_circuit"
    assert (await at.get(LIST)).json()["sources"][0]["status"] == "ok"


@effect("parse_memory_bytes", 123_456_789)
async def _(at: At) -> None:
    await at.provide()
    assert limits_of(at).parse_memory_bytes == 123_456_789


@effect("quarantine_rows", 1)
async def _(at: At) -> None:
    await at.session("client")
    rows = FACILITIES + "P7,,puskesmas\nP8,,puskesmas\nP9,,puskesmas\n"
    await at.client.put("/v1/agencies/dinkes/files/inbox/faskes.csv", content=rows.encode())
    await at.publish({**facility_manifest("dinkes-faskes", "dinkes"), "accept_rejects": 0.6})
    assert (await at.get(LIST)).json()["sources"][0]["rejected_rows"] == 3
    assert len((await at.get("/v1/connectors/dinkes-faskes/quarantine")).json()["items"]) == 1


@effect("log_batch_entries", 1)
async def _(at: At) -> None:
    assert at.state.log._writer._batch_entries == 1
    assert (await at.get(LIST)).headers["exchange-id"]


@effect("log_queue_entries", 2)
async def _(at: At) -> None:
    answers = await asyncio.gather(*[at.get(f"{LIST}/P{number}") for number in range(60)])
    assert "log_overloaded" in {answer.json().get("code") for answer in answers}


@effect("data_tracker", True)
async def _(at: At) -> None:
    auditor = await at.session("supervisor")
    assert (await at.get("/v2/heartbeat", headers=auditor)).status_code == 200


@effect("checkpoint_seconds", 0.05)
async def _(at: At) -> None:
    await at.get(LIST)
    size = at.state.log.size()
    ends = time.monotonic() + 0.9
    while time.monotonic() < ends and (at.state.log.latest_checkpoint() or None).size < size:  # type: ignore[union-attr]
        await asyncio.sleep(0.02)
    assert at.state.log.latest_checkpoint().size >= size  # type: ignore[union-attr]


@effect("token_seconds", 61)
async def _(at: At) -> None:
    draft = ClientDraft(agency="dinkes", role="client", name="Test")
    async with at.state.database.begin() as connection:
        await ensure_agency(connection)
        client, secret = await create_client(connection, draft, now())
    await at.state.current.refresh()
    grant = {"grant_type": "client_credentials"}
    answer = await at.client.post("/oauth/token", data=grant, auth=(client.id, secret))
    assert answer.json()["expires_in"] == 61


@effect("cors_origins", ("https://dasbor.jepara.example",))
async def _(at: At) -> None:
    wanted = {"origin": "https://dasbor.jepara.example", "access-control-request-method": "GET"}
    asked = await at.client.options("/v1/agencies", headers=wanted)
    assert asked.headers["access-control-allow-origin"] == "https://dasbor.jepara.example"
    answer = await at.client.get("/v1/agencies", headers={"origin": "https://dasbor.jepara.example"})
    assert answer.headers["access-control-allow-origin"] == "https://dasbor.jepara.example"
    assert "Exchange-Id" in answer.headers["access-control-expose-headers"]
    other = await at.client.get("/v1/agencies", headers={"origin": "https://lain.example"})
    assert "access-control-allow-origin" not in other.headers


@effect("security_contact", "mailto:csirt@jepara.example")
async def _(at: At) -> None:
    assert "Contact: mailto:csirt@jepara.example\n" in (await at.client.get("/.well-known/security.txt")).text


def environment_of(at: At) -> Any:
    opened = at.state.sources.get("dinkes-faskes")
    assert opened is not None
    manifest = opened.manifest or parse_manifest({})
    return at.state.opener.environment(manifest, at.state.agency("dinkes"))


def limits_of(at: At) -> Any:
    return environment_of(at).limits


@pytest.mark.parametrize("name", sorted(EFFECTS))
async def test_a_setting_has_an_effect(tmp_path: Path, template: Path, name: str) -> None:
    value, seen = EFFECTS[name]
    async with serving(tmp_path / "instance", template, **{name: value}) as at:
        await seen(at)


ELSEWHERE = {
    "session_seconds", "session_idle_seconds", "oidc_issuer", "oidc_client_id", "oidc_client_secret",
    "dir", "database_url", "log_origin", "ca_file", "host", "port", "log_policy", "witness_failure_seconds", "log_level", "drain_seconds",
}  # fmt: skip
"""Settings of which nothing is to be seen through the API: the two tests below show their effects."""


def test_the_server_takes_its_settings(tmp_path: Path, template: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(template, folder)
    settings = load_settings(dir=folder, host="127.0.0.9", port=1234, drain_seconds=7, log_level="ERROR")
    config = server_config(settings)
    root = logging.getLogger()
    before = list(root.handlers), root.level
    try:
        configure_logging(settings.log_level)
        level = root.level
    finally:
        root.handlers, root.level = before

    assert settings.instance == load_settings(dir=template).instance
    assert (config.host, config.port, config.timeout_graceful_shutdown) == ("127.0.0.9", 1234, 7)
    assert level == logging.ERROR
    stored = log_store(load_settings(dir=folder, database_url="postgresql://nobody@127.0.0.1:9/none"), "replica")
    assert isinstance(stored, PostgresLogStore)


async def test_the_log_takes_its_settings(tmp_path: Path) -> None:
    from app.audit.entry.record import Gateway

    settings = load_settings(dir=tmp_path / "instance", log_origin="log.example/uji")
    await asyncio.to_thread(create_instance, settings)
    log = await open_exchange_log(settings, Gateway("uji", "1"))
    try:
        checkpoint = log.latest_checkpoint()
        assert checkpoint is not None
        assert checkpoint.origin == "log.example/uji"
    finally:
        await log.close()
    policy = tmp_path / "policy"
    policy.write_text("nonsense\n", "utf-8")
    with pytest.raises(SettingsInvalid, match="SIMPUL_LOG_POLICY"):
        await open_exchange_log(load_settings(dir=settings.dir, log_policy=policy), Gateway("uji", "1"))


async def test_the_patience_with_witnesses_is_a_setting(tmp_path: Path, template: Path) -> None:
    from app.audit.write.from_settings import witnesses_of
    from tests.contract.audit.test_witnessing import COSIGNER

    key = COSIGNER.key.text()
    path = tmp_path / "policy"
    path.write_text(f"log {load_verifier(template).text()}\nwitness w1 {key} http://127.0.0.1:9\nquorum w1\n", "utf-8")
    found = witnesses_of(load_settings(dir=tmp_path, log_policy=path, witness_failure_seconds=12.5))
    assert found is not None
    assert found.failure_seconds == 12.5


async def test_the_authorities_are_a_setting(tmp_path: Path, template: Path) -> None:
    from tests.integration.connectors.test_database_tls import certificate

    trusted, _ = certificate(tmp_path, "localhost")
    async with serving(tmp_path / "instance", template, ca_file=trusted) as at:
        await at.provide_service(lambda *_: (200, "application/json", b"[]"))
        assert environment_of(at).ca_file == trusted
    with pytest.raises(SettingsInvalid, match="SIMPUL_CA_FILE"):
        async with serving(tmp_path / "other", template, ca_file=tmp_path / "none.pem"):
            pass


async def made_person(at: At, **more: Any) -> accounts.Person:
    async with at.state.database.begin() as connection:
        draft = accounts.PersonDraft("diskominfo", "auditor", "Uji", "uji", **more)
        made, _ = await accounts.create_person(connection, draft, now())
    await at.state.current.refresh()
    return made


async def test_the_life_of_sessions_is_a_setting(tmp_path: Path, template: Path) -> None:
    changed = {"base_url": "http://127.0.0.1:9", "session_seconds": 61, "session_idle_seconds": 7}
    async with serving(tmp_path / "instance", template, **changed) as at:
        person = await made_person(at)
        async with at.state.database.begin() as connection:
            opened = await open_session(at.state, connection, person, "totp", fresh=True)
        headers = {"cookie": f"simpul-session={opened.value}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(at.app), base_url="http://gateway") as page:
            found = (await page.get("/v1/session", headers=headers)).json()
    begun, idle, end = (datetime.fromisoformat(found[name]) for name in ("created_at", "idle_until", "expires_at"))
    assert ((idle - begun).total_seconds(), (end - begun).total_seconds()) == (7.0, 61.0)


@pytest.mark.parametrize("secret", [SECRET, "lain"])
async def test_the_provider_of_people_is_a_setting(tmp_path: Path, template: Path, secret: str) -> None:
    provider = OpenIdProvider()
    named = {"oidc_issuer": provider.url, "oidc_client_id": CLIENT, "oidc_client_secret": secret}
    try:
        async with serving(tmp_path / "instance", template, base_url="http://127.0.0.1:9", **named) as at:
            await made_person(at, oidc_issuer=provider.url, oidc_subject=provider.subject)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(at.app), base_url="http://gateway") as page:
                begun = await page.get("/sign-in/oidc")
                assert begun.headers["location"].startswith(f"{provider.url}/authorize?")
                async with httpx.AsyncClient(trust_env=False) as browser:
                    back = (await browser.get(begun.headers["location"])).headers["location"]
                status = (await page.get(back.removeprefix("http://127.0.0.1:9"))).status_code
        assert status == (200 if secret == SECRET else 401)
    finally:
        provider.close()


async def test_half_a_provider_is_none(tmp_path: Path, template: Path) -> None:
    with pytest.raises(SettingsInvalid, match="SIMPUL_OIDC_CLIENT_ID"):
        async with serving(tmp_path / "half", template, oidc_issuer="https://masuk.example"):
            pass
    named = {"oidc_issuer": "http://masuk.example", "oidc_client_id": "a", "oidc_client_secret": "b"}
    with pytest.raises(SettingsInvalid, match="https"):
        async with serving(tmp_path / "open", template, **named):
            pass


def test_every_setting_is_shown() -> None:
    assert EFFECTS.keys() | ELSEWHERE == Settings.model_fields.keys()
    assert EFFECTS.keys().isdisjoint(ELSEWHERE)


async def test_every_metric_moves(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: set[str] = set()

    async def quoting(request: Request) -> Response:
        request.state.exchange.structure = "nama = 'Siti'"
        return Response(b"never released")

    async with serving(tmp_path / "instance", template) as at:
        await at.provide_service(lambda *_: (500, "text/plain", b"down"))
        seen = families(at)

        def look() -> None:
            nonlocal seen
            now_ = families(at)
            moved.update(name for name, value in now_.items() if value != seen.get(name))
            seen = now_

        assert (await at.get(LIST)).status_code == 503
        look()
        asking = [asyncio.create_task(at.get(f"{LIST}/P{number}")) for number in range(20)]
        while "simpul_log_queue_entries" not in moved and not all(task.done() for task in asking):
            await asyncio.sleep(0)
            look()
        await asyncio.wait(asking)
        assert (await from_layer(at, quoting)).status_code == 500
        looked = (await at.get("/v1/connectors/dinkes-faskes")).json()["manifest"]
        at.services.json("/s", b"[]")
        again = {**looked, "snapshot": {"every": "1h"}, "health": {"every": "1s"}}
        await at.client.put("/v1/connectors/dinkes-faskes", json=again, headers={"If-Match": "*"})
        await at.client.post(
            "/v1/connectors/dinkes-faskes/publish", json={"unchecked": True}, headers={"If-Match": "*"}
        )
        async with asyncio.timeout(20):
            while not {"simpul_snapshots", "simpul_source_checks"} <= moved:
                await asyncio.sleep(0.1)
                look()
        at.services.routes["/s"] = lambda *_: (500, "text/plain", b"down")
        await at.client.delete("/v1/connectors/dinkes-faskes/snapshot")
        with monkeypatch.context() as patched:
            patched.setattr(at.state.database, "begin", unavailable)
            assert (await at.get(LIST)).status_code == 503
            with pytest.raises(StoreUnavailable):
                await at.state.notes.flush()
        look()
        with monkeypatch.context() as patched:
            patched.setattr(at.state.log._store, "commit", broken)
            assert (await at.get(LIST)).status_code == 503
        for _ in range(at.settings.not_found_burst):
            at.state.verifications.missed("pks-1", "uji")
        assert (await at.get(LIST, headers={"authorization": "Bearer none"})).status_code == 401
        look()

    assert moved == set(seen)


async def from_layer(at: At, endpoint: Callable[[Request], Awaitable[Response]]) -> httpx.Response:
    """The answer of a route that no other gateway has, by way of the layer."""
    resource = Resource("/v1/uji", "records")
    resource.add("GET", "", Rule("list", EVERYONE, "outcome", direct=True), endpoint)
    layer = ExchangeLayer(at.app, RuleTable((resource,)))

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await layer({**scope, "app": at.app}, receive, send)

    transport = httpx.ASGITransport(called)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=at.client.headers) as client:
        return await client.get("/v1/uji")


def unavailable() -> Any:
    raise StoreUnavailable("for a moment")


async def broken(*_: Any) -> int:
    raise OSError("for a moment")


def families(at: At) -> dict[str, tuple[tuple[Any, ...], ...]]:
    return {
        family.name: tuple(
            (sample.name, tuple(sorted(sample.labels.items())), sample.value) for sample in family.samples
        )
        for family in at.state.metrics.registry.collect()
        if family.name.startswith("simpul_")
    }
