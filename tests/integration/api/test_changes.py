"""The change feed over HTTP: what a reader may see of what moved, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.integration.api.test_records import entries
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

PATH = "/v1/records/fasilitas-kesehatan/changes"
ONLY = {"agencies": "dprkp"}
HEAD = "kode,nama,jenis,email\n"
FIRST = ("C1,Satu,klinik,a@b.id", "C2,Dua,klinik,a@b.id", "C3,Tiga,klinik,a@b.id", "C4,Empat,klinik,a@b.id")


class Register:
    """One agency's file, written anew at will."""

    def __init__(self, gateway: RunningGateway, folder: Path, agency: str) -> None:
        self.gateway, self.file, self.agency = gateway, folder / "ubah.csv", agency
        gateway.agency(agency)
        self.write(*FIRST)
        manifest = facility_manifest(f"{agency}-ubah", agency, "inbox/ubah.csv")
        gateway.publish({**manifest, "fields": {**manifest["fields"], "email_kontak": "email"}})  # type: ignore[dict-item]

    def write(self, *rows: str) -> None:
        self.file.write_text(HEAD + "\n".join(rows) + "\n", "utf-8")
        self.gateway.upload(self.agency, self.file)


@pytest.fixture
def register(gateway: RunningGateway, tmp_path: Path) -> Register:
    return Register(gateway, tmp_path, "dprkp")


def follow(reader: httpx.Client, since: str | None, limit: int = 100, **more: str) -> tuple[list[dict[str, Any]], str]:
    items: list[dict[str, Any]] = []
    while True:
        params: dict[str, Any] = {**ONLY, "limit": limit, **more, **({"since": since} if since else {})}
        answer = reader.get(PATH, params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        since = page["next_cursor"]
        assert since
        if not page["has_more"]:
            return items, since


def told(items: list[dict[str, Any]]) -> set[tuple[str, str, str | None]]:
    assert len({item["id"] for item in items}) == len(items)
    return {(item["change"], item["id"], item["new_id"]) for item in items}


@pytest.mark.parametrize("limit", [1, 100])
def test_what_moved_is_given_once(gateway: RunningGateway, register: Register, limit: int) -> None:
    reader = gateway.client("client", "dinkes")
    items, since = follow(reader, None, limit)
    assert told(items) == {("upsert", f"C{place}", None) for place in range(1, 5)}
    assert {item["record"]["nama"] for item in items} == {"Satu", "Dua", "Tiga", "Empat"}
    assert not any("email_kontak" in item["record"] for item in items)
    assert follow(reader, since, limit)[0] == []

    register.write(
        "C1,Satu Baru,klinik,a@b.id", "C9,Dua,klinik,a@b.id", "C4,Empat,klinik,a@b.id", "C5,Lima,klinik,a@b.id"
    )
    items, since = follow(reader, since, limit)

    assert told(items) == {
        ("upsert", "C1", None),
        ("key_change", "C2", "C9"),
        ("upsert", "C9", None),
        ("delete", "C3", None),
        ("upsert", "C5", None),
    }
    assert next(item["record"]["nama"] for item in items if item["id"] == "C1") == "Satu Baru"
    assert next(item["record"] for item in items if item["id"] == "C3") is None
    assert follow(reader, since, limit)[0] == []
    assert {item["id"] for item in follow(reader, None, limit)[0]} == {"C1", "C9", "C4", "C5"}


def test_hidden_field_that_moves_tells_nothing(gateway: RunningGateway, register: Register) -> None:
    reader = gateway.client("client", "dinkes")
    since = follow(reader, None)[1]
    register.write(*[row.replace("a@b.id", "lain@b.id") for row in FIRST])

    assert follow(reader, since)[0] == []


def test_source_that_is_away_owes_its_changes(gateway: RunningGateway, register: Register) -> None:
    reader = gateway.client("client", "dinkes")
    since = follow(reader, None)[1]
    kept = register.file.read_bytes()
    register.file.write_bytes(b"PAR1" + b"\0" * 64 + b"PAR1")  # what no CSV begins with
    gateway.upload("dprkp", register.file)
    away = reader.get(PATH, params={"since": since, **ONLY})
    register.file.write_bytes(kept)
    register.write(*FIRST[1:])

    assert away.status_code in {502, 503}, away.text
    assert told(follow(reader, since)[0]) == {("delete", "C1", None)}


def test_since_may_be_a_time(gateway: RunningGateway, tmp_path: Path) -> None:
    register, reader, only = (
        Register(gateway, tmp_path, "dpupr"),
        gateway.client("client", "dinkes"),
        {"agencies": "dpupr"},
    )
    before = datetime.now(UTC)
    early = reader.get(PATH, params={**only, "since": before.isoformat()})
    assert early.status_code == 422, early.text
    assert [one["code"] for one in early.json()["errors"]] == ["since_too_early"]
    assert "none was read for you yet" in early.json()["detail"]

    follow(reader, None, **only)
    first = datetime.now(UTC)
    register.write(*FIRST[1:], "C5,Lima,klinik,a@b.id")
    follow(reader, first.isoformat(), **only)
    second = datetime.now(UTC).astimezone(timezone(timedelta(hours=7)))
    register.write(*FIRST[2:])

    gone = {("delete", "C2", None), ("delete", "C5", None)}
    assert told(follow(reader, second.isoformat(), **only)[0]) == gone
    assert told(follow(reader, first.isoformat(), 1, **only)[0]) == {("delete", "C1", None), *gone}
    early = reader.get(PATH, params={**only, "since": before.isoformat()})
    assert "the first reading for you ended at" in early.json()["detail"]
    everything = told(follow(reader, "2020-01-01T00:00:00Z", **only)[0])  # before the dataset was registered
    assert everything == {("upsert", "C3", None), ("upsert", "C4", None)}


@pytest.mark.parametrize(
    ("since", "code"),
    [
        ("2026-11-20T08:00:00", "since_malformed"),
        ("2999-01-01T00:00:00Z", "since_ahead"),
    ],
)
def test_time_that_cannot_be_answered_is_refused_and_named(
    gateway: RunningGateway, register: Register, since: str, code: str
) -> None:
    answer = gateway.client("client", "dinkes").get(PATH, params={**ONLY, "since": since})

    assert answer.status_code == 422, answer.text
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [("/since", code)]


def test_feed_is_recorded_and_its_cursor_is_its_own(
    gateway: RunningGateway, register: Register, services: SourceServer
) -> None:
    reader = gateway.client("client", "dinkes")
    answer = reader.get(PATH, params=ONLY)
    token = answer.json()["next_cursor"]

    assert entries(gateway, answer.headers["exchange-id"])[-1]["op"] == "changes"
    for bad in ("AAAA", token[:-2], token[::-1]):
        assert reader.get(PATH, params={**ONLY, "since": bad}).json()["code"] == "cursor_invalid"
    assert reader.get(PATH, params={"since": token}).json()["code"] == "cursor_invalid"
    assert reader.get(PATH, params={**ONLY, "nothing": "1"}).status_code == 422
    assert reader.get("/v1/records/penduduk-verifikasi/changes").status_code in {403, 404, 405}
