"""Nobody fills the disk: shares of space by client and agency, a reserve that only the log may use, and exchanges that close late."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from app.access.rates import ByteQuota
from app.api.layer.dependencies import exchange as exchange_of
from app.errors import LogUnavailable, QuotaExceeded
from app.gateway.spool import Spool
from app.gateway.storage import Storage, StorageFull
from app.settings import Settings
from tests.integration.api.conftest import facility_manifest
from tests.integration.api.test_layer import opened, settings
from tests.support.gateway import RunningGateway

__all__ = ["settings"]

LIST = "/v1/records/fasilitas-kesehatan"
ASYNC = {"prefer": "respond-async"}


def spool(storage: Storage, client: str, folder: Path) -> Spool:
    return Spool(folder, memory_bytes=0, most_bytes=1 << 30, room=storage.room(client))


def test_answers_on_their_way_are_shared_by_client(tmp_path: Path) -> None:
    storage = Storage(tmp_path, reserve_bytes=0, spool_bytes=4000)
    first, other = spool(storage, "one", tmp_path), spool(storage, "two", tmp_path)
    first.write(b"x" * 3000)
    with pytest.raises(QuotaExceeded):
        first.write(b"x")
    other.write(b"x" * 1000)
    with pytest.raises(StorageFull):
        other.write(b"x")
    assert storage.used == 4000
    first.close()
    first.close()
    assert storage.used == 1000
    other.write(b"x" * 100)
    other.close()
    assert storage.used == 0


def test_what_is_left_of_the_disk_is_the_logs(tmp_path: Path) -> None:
    storage = Storage(tmp_path, reserve_bytes=1 << 60, spool_bytes=1 << 30)
    refused = spool(storage, "one", tmp_path)
    with pytest.raises(StorageFull, match="kept for the exchange log"):
        refused.write(b"x")
    refused.close()
    with pytest.raises(StorageFull):
        storage.check_free(1)


def test_details_have_an_hourly_share() -> None:
    now = [0.0]
    quota = ByteQuota(1000, clock=lambda: now[0])
    for _ in range(3):
        quota.check("one")
        quota.spend("one", 400)
    with pytest.raises(QuotaExceeded) as caught:
        quota.check("one")
    quota.check("two")
    assert caught.value.retry_after_seconds == 720
    now[0] = 721.0
    quota.check("one")


@contextlib.contextmanager
def running(folder: Path, **environment: str) -> Iterator[RunningGateway]:
    made = RunningGateway(folder / "instance", {f"SIMPUL_{name.upper()}": value for name, value in environment.items()})
    made.init()
    made.start()
    try:
        made.agency("dinkes")
        rows = "".join(f"P{number},Nama {number},klinik\n" for number in range(200))
        (folder / "faskes.csv").write_text("kode,nama,jenis\n" + rows, "utf-8")
        made.upload("dinkes", folder / "faskes.csv")
        made.publish(facility_manifest("dinkes-faskes", "dinkes"))
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running(
        tmp_path_factory.mktemp("narrow"),
        job_result_bytes="5000", answer_memory_bytes="1024", spool_bytes="40000",
        agency_file_bytes="10000", file_versions="2", detail_bytes_per_hour="40000",
    ) as made:  # fmt: skip
        yield made


def job(client: httpx.Client) -> httpx.Response:
    answer = client.get(LIST, params={"f": "csv"}, headers=ASYNC)
    while answer.status_code == 202:
        found = client.get(answer.headers["location"])
        if found.json()["state"] not in {"queued", "running"}:
            return found
        time.sleep(0.05)
    return answer


def test_results_of_jobs_have_a_share(narrow: RunningGateway) -> None:
    client = narrow.client("client", "dinkes")
    first = job(client)
    assert first.json()["state"] == "done", first.text
    refused = job(client)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert job(narrow.client("client", "dinkes")).json()["state"] == "done"
    assert client.delete(f"/v1/jobs/{first.json()['id']}").status_code in {200, 204}
    assert job(client).json()["state"] == "done"


def test_hostile_58_an_answer_above_the_share_is_refused_and_recorded(narrow: RunningGateway) -> None:
    client = narrow.client("client", "dinkes")
    refused = client.get(LIST, params={"f": "ndjson"})
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert client.get(LIST, params={"f": "csv"}).status_code == 200
    kept = narrow.client("supervisor", "dinkes").get(f"/v1/exchanges/{refused.headers['exchange-id']}").json()
    assert [(entry["kind"], entry.get("status")) for entry in kept["entries"]] == [("intent", None), ("outcome", 429)]


def test_uploads_and_their_versions_have_a_share(narrow: RunningGateway) -> None:
    narrow.agency("bappeda")
    versions = narrow.folder / "agencies" / "bappeda" / "inbox" / ".versions"

    def put(name: str, content: bytes) -> httpx.Response:
        return narrow.admin.put(f"/v1/agencies/bappeda/files/{name}", content=content)

    for number in range(4):
        assert put("a.csv", b"%d" % number * 1000).status_code == 201
    assert len(list((versions / "a.csv").iterdir())) == 2
    assert put("b.csv", b"b" * 8500).status_code == 201
    assert len(list((versions / "a.csv").iterdir())) == 1  # the older version made room, the one in place stays
    refused = put("c.csv", b"c" * 2000)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert not (versions.parent / "c.csv").exists()
    listed = narrow.admin.get("/v1/agencies/bappeda/files").json()["items"]
    assert {(file["path"], file["version"], file["kept"]) for file in listed} == {
        ("a.csv", 4, True),
        ("b.csv", 1, True),
    }
    assert put("a.csv", b"kecil").status_code == 201


def test_large_questions_use_up_the_details_of_one_client(narrow: RunningGateway) -> None:
    client, other = narrow.client("client", "dinkes"), narrow.client("client", "dinkes")
    codes = [client.post(f"{LIST}/search", json={"filter": f"nama = '{'x' * 12_000}'"}).status_code for _ in range(5)]
    assert codes[0] != 429
    assert codes[-1] == 429
    refused = client.get(f"{LIST}/P1")
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert int(refused.headers["retry-after"]) > 0
    assert other.get(f"{LIST}/P1").status_code == 200


def test_a_full_disk_stops_exports_feeds_and_uploads_and_no_look_up(tmp_path: Path) -> None:
    with running(tmp_path) as made:
        made.stop()
        made.environment |= {"SIMPUL_LOG_RESERVE_BYTES": str(1 << 60), "SIMPUL_ANSWER_MEMORY_BYTES": "1024"}
        made.start()
        client = made.client("client", "dinkes")
        for refused in (
            client.get(LIST, params={"f": "csv"}),
            client.get(f"{LIST}/changes"),
            made.admin.put("/v1/agencies/dinkes/files/x.csv", content=b"a"),
        ):
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
        assert client.get(f"{LIST}/P1").status_code == 200
        assert job(client).json()["problem"]["code"] == "storage_full"


@pytest.mark.anyio
async def test_a_gateway_closes_its_own_exchanges_when_the_log_is_back(settings: Settings) -> None:
    async with opened(settings) as at:
        submit = at.services.log.submit

        def refuse(_: object) -> None:
            raise LogUnavailable("the disk of the log is full")

        async def work(request: Request) -> Response:
            await exchange_of(request).intend(at.services.log)
            at.services.log.submit = refuse  # type: ignore[method-assign, assignment]
            return Response(b"never released")

        answer = await at.ask(work)
        assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
        await at.services.unclosed.close(at.services.log)
        assert len(at.services.unclosed) == 1
        at.services.log.submit = submit  # type: ignore[method-assign]
        await at.services.unclosed.close(at.services.log)
        await at.services.unclosed.close(at.services.log)
        kept = await at.entries(answer.headers["exchange-id"])
    assert [entry["kind"] for entry in kept] == ["intent", "aborted"]
    assert len(at.services.unclosed) == 0


@pytest.mark.anyio
async def test_what_was_committed_without_an_answer_is_not_closed_twice(settings: Settings) -> None:
    async with opened(settings) as at:
        submit = at.services.log.submit

        async def work(request: Request) -> Response:
            under_way = exchange_of(request)
            await under_way.intend(at.services.log)

            def commit_and_fail(records: object) -> None:
                submit(records)  # type: ignore[arg-type]
                raise LogUnavailable("the answer to COMMIT was lost")

            at.services.log.submit = commit_and_fail  # type: ignore[method-assign, assignment]
            return Response(b"never released")

        answer = await at.ask(work)
        assert answer.status_code == 503
        at.services.log.submit = submit  # type: ignore[method-assign]
        await asyncio.sleep(0.3)  # until it is committed
        await at.services.unclosed.close(at.services.log)
        kept = await at.entries(answer.headers["exchange-id"])
    assert [entry["kind"] for entry in kept] == ["intent", "outcome"]
