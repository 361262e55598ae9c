"""Snapshots of a source that is slow, fails, is killed: real gateways, a real service that counts what it is asked."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.registry.health_wire import HealthAnswer
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"
LIVE = {"Cache-Control": "no-cache"}
CONNECTOR = "dinkes-faskes"


def rows(count: int, name: str = "Puskesmas") -> list[dict[str, str]]:
    return [{"kode": f"P3320{index:06}", "nama": f"{name} {index}", "jenis": "puskesmas"} for index in range(count)]


def manifest(url: str, **more: Any) -> dict[str, Any]:
    source = {"kind": "rest", "url": f"{url}/faskes", **more.pop("source", {})}
    return {
        "connector": CONNECTOR,
        "agency": "dinkes",
        "schema": "fasilitas_kesehatan@1",
        "title": "Faskes",
        "source": source,
        "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"},
        "snapshot": {"every": "1h"},
        **more,
    }


def until(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `holds` says as soon as it is true."""
    ends = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.1)


@pytest.fixture
def server() -> Iterator[SourceServer]:
    made = SourceServer()
    made.json("/faskes", json.dumps(rows(30)).encode())
    yield made
    made.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    made = RunningGateway(tmp_path / "one", {"SIMPUL_RATE_PER_MINUTE": "100000", "SIMPUL_BREAKER_SECONDS": "2"})
    made.init()
    made.start()
    made.agency("dinkes")
    made.agency("rsud")
    yield made
    made.stop()


def answered_by(reader: httpx.Client, **params: Any) -> dict[str, Any]:
    answer = reader.get(LIST, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def taken(reader: httpx.Client) -> dict[str, Any]:
    """The source's part in an answer that came from a snapshot."""
    return until(lambda: next((one for one in answered_by(reader)["sources"] if one.get("snapshot")), None))  # type: ignore[no-any-return]


def test_reads_are_answered_from_the_snapshot_and_the_source_is_asked_once(
    gateway: RunningGateway, server: SourceServer
) -> None:
    gateway.publish(manifest(server.url))
    reader = gateway.client("client", "rsud")
    taken(reader)
    asked = len(server.asked)

    answers = [answered_by(reader, limit=7) for _ in range(20)]
    found = reader.get(f"{LIST}/P3320000003").json()
    searched = reader.post(f"{LIST}/search", json={"filter": "nama LIKE '%9'", "sort": ["-nama"]}).json()
    counted = reader.post(f"{LIST}/aggregate", json={"aggregates": [{"function": "count", "as": "n"}]}).json()
    sql = reader.post("/v1/queries", json={"sql": "SELECT count(*) AS n FROM fasilitas_kesehatan"}).json()
    csv = reader.get(LIST, headers={"Accept": "text/csv"}).text

    assert len(server.asked) == asked
    assert all(len(one["items"]) == 7 and one["complete"] for one in answers)
    assert found["items"][0]["nama"] == "Puskesmas 3"
    assert [one["nama"] for one in searched["items"]] == ["Puskesmas 9", "Puskesmas 29", "Puskesmas 19"]
    assert counted["items"] == [{"n": 30}]
    assert sql["items"] == [{"n": 30}]
    assert len(csv.splitlines()) == 31
    for one in (found, searched, counted, sql):
        (source,) = one["sources"]
        assert (source["status"], source["snapshot"], source["pushed"]) == (
            "ok", answers[0]["sources"][0]["snapshot"], ["snapshot"],
        )  # fmt: skip


def test_a_caller_asks_the_source_itself_or_bounds_the_age(gateway: RunningGateway, server: SourceServer) -> None:
    gateway.publish(manifest(server.url))
    reader = gateway.client("client", "rsud")
    taken(reader)
    server.json("/faskes", json.dumps(rows(31)).encode())
    asked = len(server.asked)

    live = reader.get(LIST, headers=LIVE).json()
    time.sleep(1.1)
    young = reader.get(LIST, headers={"Cache-Control": "max-age=1"}).json()
    kept = reader.get(LIST, headers={"Cache-Control": "max-age=600"}).json()

    assert len(server.asked) == asked + 2
    assert [len(one["items"]) for one in (live, young, kept)] == [31, 31, 30]
    assert "snapshot" not in live["sources"][0]
    assert "snapshot" in kept["sources"][0]


def part(reader: httpx.Client) -> dict[str, Any]:
    """The source's part in a list, whatever becomes of the list."""
    source: dict[str, Any] = reader.get(LIST).json()["sources"][0]
    return source


def tried(part: dict[str, Any]) -> bool:
    """Whether a new copy was tried to be taken meanwhile: before, the former one is overdue."""
    return bool(part["problem"]["code"] != "snapshot_overdue")


def health(gateway: RunningGateway) -> dict[str, Any]:
    found: dict[str, Any] = gateway.admin.get(f"/v1/connectors/{CONNECTOR}/health").json()
    HealthAnswer.model_validate(found)
    return found


def test_a_source_that_breaks_off_leaves_the_former_snapshot_which_is_called_stale(
    gateway: RunningGateway, server: SourceServer
) -> None:
    gateway.publish(manifest(server.url, snapshot={"every": "3s", "max_stale": "12s"}))
    reader = gateway.client("client", "rsud")
    first = taken(reader)
    server.routes["/faskes"] = lambda *_: (200, "application/json", json.dumps(rows(30)).encode()[:-40])

    stale = until(lambda: (found := part(reader))["status"] == "stale" and tried(found) and found)
    whole = answered_by(reader)
    strict = reader.get(LIST, headers={"Prefer": "partial=never"})
    live = reader.get(LIST, headers=LIVE)
    told = health(gateway)["snapshot"]
    measured = gateway.admin.get(f"/v1/connectors/{CONNECTOR}/quality").json()["snapshot"]
    over = until(lambda: (found := part(reader))["status"] in {"unavailable", "open_circuit"} and found)

    assert stale["problem"]["code"] == "source_format_error"
    assert stale["snapshot"]
    assert stale["as_of"] >= first["as_of"]
    assert (len(whole["items"]), whole["complete"], strict.status_code) == (30, True, 200)
    assert (live.status_code, live.json()["code"]) == (503, "all_sources_failed")
    assert (told["age"], told["problem"]["code"]) == ("stale", "source_format_error")
    assert told["problem"]["failures"] >= 1
    assert (measured["id"], measured["problem"]["code"]) == (told["id"], "source_format_error")
    assert "snapshot" not in over

    server.json("/faskes", json.dumps(rows(31)).encode())
    fresh = until(lambda: (found := part(reader)).get("snapshot") and found["status"] == "ok" and found)
    assert fresh["rows"] == 31
    assert health(gateway)["snapshot"]["problem"] is None


def test_on_error_fail_gives_nothing_beyond_its_time(gateway: RunningGateway, server: SourceServer) -> None:
    gateway.publish(manifest(server.url, snapshot={"every": "3s", "on_error": "fail"}))
    reader = gateway.client("client", "rsud")
    taken(reader)
    server.routes["/faskes"] = lambda *_: (500, "text/plain", b"down")

    seen = set()
    ended = until(lambda: seen.add((found := part(reader))["status"]) or (found["status"] != "ok" and found))
    assert ended["status"] in {"unavailable", "open_circuit"}
    assert "stale" not in seen


def test_grants_hold_at_the_time_of_the_read(gateway: RunningGateway, server: SourceServer) -> None:
    mixed = [*rows(3), {"kode": "K1", "nama": "Klinik Satu", "jenis": "klinik"}]
    server.json("/faskes", json.dumps(mixed).encode())
    gateway.publish(manifest(server.url))
    terms = {
        "provider": "dinkes", "consumer": "rsud", "schema": "fasilitas_kesehatan", "fields": ["kode_faskes", "nama", "email_kontak"],
        "masks": {"nama": "hash"}, "row_filter": "jenis = 'klinik'", "purposes": ["pelayanan_kesehatan"], "basis": "PKS 1",
        "valid_from": "2026-01-01", "valid_until": "2030-12-31", "id": "pks-klinik",
    }  # fmt: skip
    gateway.agree(terms)
    reader = gateway.client("client", "rsud")
    taken(reader)
    under = {"Simpul-Purpose": "pelayanan_kesehatan", "Simpul-Agreement": "pks-klinik"}
    asked = {"fields": "kode_faskes,nama,email_kontak"}

    masked = reader.get(LIST, params=asked, headers=under).json()
    plain = answered_by(reader)
    assert gateway.admin.post("/v1/agreements/pks-klinik/revoke", json={"reason": "uji"}).status_code == 200
    time.sleep(1.1)
    revoked = reader.get(LIST, params=asked, headers=under)

    assert [one["kode_faskes"] for one in masked["items"]] == ["K1"]
    assert masked["items"][0]["nama"] != "Klinik Satu"
    assert "jenis" not in masked["items"][0]
    assert masked["sources"][0]["snapshot"] == plain["sources"][0]["snapshot"]
    assert [one["nama"] for one in plain["items"]] == ["Klinik Satu", "Puskesmas 0", "Puskesmas 1", "Puskesmas 2"]
    assert revoked.status_code == 403


def test_pages_stay_on_their_snapshot_or_say_that_it_is_gone(gateway: RunningGateway, server: SourceServer) -> None:
    gateway.publish(manifest(server.url, snapshot={"every": "2s", "max_stale": "1h"}))
    reader = gateway.client("client", "rsud")
    began = until(lambda: (found := answered_by(reader, limit=10))["sources"][0].get("snapshot") and found)
    server.json("/faskes", json.dumps(rows(30, "Baru")).encode())
    until(lambda: "Baru" in answered_by(reader, limit=1)["items"][0]["nama"])

    second = answered_by(reader, limit=10, cursor=began["next_cursor"])
    third = answered_by(reader, limit=10, cursor=second["next_cursor"])
    removed = gateway.admin.delete(f"/v1/connectors/{CONNECTOR}/snapshot").json()["removed"]
    gone = reader.get(LIST, params={"limit": 10, "cursor": second["next_cursor"]})

    names = [one["nama"] for page in (began, second, third) for one in page["items"]]
    assert names == [f"Puskesmas {index}" for index in range(30)]
    assert {page["sources"][0]["snapshot"] for page in (began, second, third)} == {began["sources"][0]["snapshot"]}
    assert removed >= 2
    assert (gone.status_code, gone.json()["code"]) == (422, "snapshot_gone")


def test_a_new_revision_makes_it_void(gateway: RunningGateway, server: SourceServer) -> None:
    gateway.publish(manifest(server.url))
    reader = gateway.client("client", "rsud")
    before = taken(reader)
    again = manifest(server.url, fields={"kode_faskes": "kode", "nama": {"from": "nama", "text": "upper"}})
    gateway.publish(again)

    first = reader.get(f"{LIST}/P3320000001").json()
    after = taken(reader)

    assert first["items"][0]["nama"] == "PUSKESMAS 1"
    assert first["sources"][0].get("snapshot") != before["snapshot"]
    assert after["snapshot"] != before["snapshot"]
    assert answered_by(reader, limit=1)["items"][0]["nama"] == "PUSKESMAS 0"


def test_it_is_sealed_survives_a_restart_and_cannot_be_read_without_the_key(
    gateway: RunningGateway, server: SourceServer
) -> None:
    gateway.publish(manifest(server.url))
    taken(gateway.client("client", "rsud"))
    (file,) = (gateway.folder / "snapshots").glob("*/*.parquet")
    sealed = file.read_bytes()
    asked = len(server.asked)
    assert b"Puskesmas" not in sealed
    assert b"kode_faskes" not in sealed
    assert (file.stat().st_mode & 0o077, file.parent.stat().st_mode & 0o077) == (0, 0)

    gateway.stop()
    gateway.start()
    assert part(gateway.client("client", "rsud"))["snapshot"] == file.stem
    assert len(server.asked) == asked

    gateway.stop()
    (key,) = (gateway.folder / "keys").glob("seal.key")
    key.chmod(0o600)
    known = key.read_bytes()
    other = base64.urlsafe_b64encode(bytes(32)) + b"\n"
    for damaged, keys in ((sealed, other + known), (sealed[:-9] + b"x" + sealed[-8:], known), (sealed[:1000], known)):
        file.write_bytes(damaged)
        key.write_bytes(keys)
        server.routes["/faskes"] = lambda *_: (500, "text/plain", b"down")
        gateway.start()
        source = part(gateway.client("client", "rsud"))
        gateway.stop()
        if keys != known:  # the first key seals, all of them open
            assert source["snapshot"] == file.stem
            continue
        assert source["status"] in {"unavailable", "open_circuit"}
        assert "snapshot_unreadable" in (gateway.folder / "serve.log").read_text("utf-8")
    server.json("/faskes", json.dumps(rows(30)).encode())
    gateway.start()
    assert until(lambda: health(gateway)["snapshot"]["id"]) != file.stem


def test_it_is_recorded_and_erased(gateway: RunningGateway, server: SourceServer) -> None:
    gateway.publish(manifest(server.url))
    reader = gateway.client("client", "rsud")
    before = taken(reader)
    supervisor = gateway.client("supervisor", "dinkes")

    found = supervisor.get("/v1/exchanges", params={"op": "refresh"}).json()["items"]
    (file,) = (gateway.folder / "snapshots").glob("*/*.parquet")
    subject = {"subject": {"id_type": "nik", "value": "3320990101900001"}, "basis": "UU PDP", "reference": "E-1"}
    made = gateway.client("steward", "rsud").post("/v1/erasures", json=subject).json()
    done = supervisor.post(f"/v1/erasures/{made['id']}/approve").json()
    after = taken(reader)

    assert [one["kind"] for one in found] in (["outcome", "intent"], ["intent", "outcome"], ["outcome"])
    assert done["result"]["copies"]["snapshots"] == 1
    assert not file.exists()
    assert after["snapshot"] != before["snapshot"]


def test_the_change_feed_and_a_match_read_it(gateway: RunningGateway, server: SourceServer) -> None:
    gateway.publish(manifest(server.url, snapshot={"every": "2s", "max_stale": "1h"}))
    reader = gateway.client("client", "rsud")
    taken(reader)
    first = reader.get(f"{LIST}/changes", params={"limit": 100}).json()
    changed = [*rows(30)[:-1], {"kode": "P3320000029", "nama": "Lain", "jenis": "puskesmas"}]
    server.json("/faskes", json.dumps(changed).encode())
    moved = until(
        lambda: (
            (found := reader.get(f"{LIST}/changes", params={"since": first["next_cursor"], "limit": 100}).json())[
                "items"
            ]
            and found
        )
    )
    matched = reader.post(f"{LIST}/match", json={"keys": ["P3320000029", "P3320000000", "X"]}).json()

    assert len(first["items"]) == 30
    assert [one["record"]["nama"] for one in moved["items"]] == ["Lain"]
    assert moved["sources"][0]["snapshot"]
    assert matched["sources"][0]["snapshot"]
