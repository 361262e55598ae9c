"""What a caller is not granted takes no part in anything: not in what moved, what is merged, what is doubtful, what exists."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.datasets.records import RecordWarning
from app.federation.question.query import Query, SortKey
from app.federation.reading.breaker import Guards
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from app.federation.survivorship import MergeRules, merge_records
from app.federation.writers import write_json
from tests.integration.api.conftest import agree, facility_manifest, gateway, services
from tests.integration.api.test_changes import FIRST, ONLY, PATH, Register, follow, register, told
from tests.support.gateway import RunningGateway
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

__all__ = ["gateway", "register", "services"]

OPEN = frozenset(FACILITIES.open_fields)


def runtime() -> Runtime:
    return Runtime(Guards(2, 60.0, 2), mask_key=b"k" * 32)


def test_hostile_39_hidden_moves_do_not_reach_the_cursor(gateway: RunningGateway, register: Register) -> None:
    reader = gateway.client("client", "dinkes")
    _, since = follow(reader, None)
    register.write(*[row.replace("a@b.id", "lain@b.id") for row in FIRST])
    items, then = follow(reader, since)
    assert (items, then) == ([], since)


def test_hostile_39_a_hidden_field_does_not_say_which_record_goes_on(
    gateway: RunningGateway, register: Register
) -> None:
    reader = gateway.client("client", "dinkes")
    _, since = follow(reader, None)
    register.write(FIRST[0], "C9,Dua,klinik,lain@b.id", *FIRST[2:])
    items, _ = follow(reader, since)
    assert told(items) == {("key_change", "C2", "C9"), ("upsert", "C9", None)}


def test_hostile_39_alike_records_are_never_guessed_to_be_one(gateway: RunningGateway, register: Register) -> None:
    reader = gateway.client("client", "dinkes")
    register.write("C1,Sama,klinik,a@b.id", "C2,Sama,klinik,b@b.id")
    _, since = follow(reader, None)
    register.write("C1,Sama,klinik,a@b.id", "C3,Sama,klinik,c@b.id")
    items, _ = follow(reader, since)
    assert told(items) == {("delete", "C2", None), ("upsert", "C3", None)}


def test_hostile_39_no_cursor_can_be_read(gateway: RunningGateway, register: Register) -> None:
    reader = gateway.client("client", "dinkes")
    tokens = [
        reader.get(PATH, params={**ONLY, "limit": 1}).json()["next_cursor"],
        reader.get(PATH.removesuffix("/changes"), params={**ONLY, "limit": 1, "sort": "nama"}).json()["next_cursor"],
        gateway.client("supervisor", "diskominfo").get("/v1/exchanges", params={"limit": 1}).json()["next_cursor"],
    ]
    for token in tokens:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        assert not any(word in raw for word in (b"dprkp", b"Satu", b"dinkes"))
        printable = sum(32 <= byte < 127 for byte in raw)
        assert printable < len(raw) * 0.75, raw


@pytest.mark.anyio
async def test_hostile_39_findings_of_what_is_not_granted_are_not_told() -> None:
    source = MemoryDataset([{"kode_faskes": "P1", "nama": "Satu", "email_kontak": "a@b.id", "lat": 1.0, "lng": 2.0}])
    source.held["P1"].warnings = (
        RecordWarning("email_kontak", "nulled", "x", "x"),
        RecordWarning("lat", "outside_indonesia", "x", "x"),
        RecordWarning("nama", "odd", "x", "x"),
    )
    for fields, told_of in ((OPEN, {"lat", "nama"}), (OPEN - {"lng"}, {"nama"})):
        refs = [ref_of("dinkes", source, fields=fields)]
        answer = await read_page(Query(FACILITIES), refs, runtime())
        assert {warning.field for warning in answer.records[0].record.warnings} == told_of
        assert answer.records[0].record.values.keys() <= fields
        assert b"email_kontak" not in write_json(answer, next_cursor=None).split(b'"sources"')[0]
        read = WholeRead(Query(FACILITIES), refs, runtime())
        rows = [row async for batch in read.batches() for row in batch.columns.to_pylist()]
        assert [name in rows[0]["_warnings"] for name in ("email_kontak", "nulled")] == [False, False]


@pytest.mark.anyio
async def test_hostile_39_an_ungranted_freshness_field_chooses_nothing() -> None:
    older = MemoryDataset([{"kode_faskes": "P1", "nama": "Lama", "email_kontak": "a@b.id", "alamat": "Jl. Satu"}])
    newer = MemoryDataset([{"kode_faskes": "P1", "nama": "Baru", "email_kontak": "z@b.id"}])
    rules = MergeRules(changed={"dinkes-set": "email_kontak", "rsud-set": "email_kontak"})
    merged = {}
    for fields in (frozenset(FACILITIES.fields), OPEN):
        refs = [
            ref_of("dinkes", older, fields=fields),
            ref_of("rsud", newer, fields=fields),
        ]
        answer = await read_page(Query(FACILITIES, sort=(SortKey("kode_faskes"),)), refs, runtime())
        merged[fields] = merge_records(FACILITIES, answer.records, rules)
    assert merged[frozenset(FACILITIES.fields)].provenance["nama"][1] == "most_recent"
    assert merged[frozenset(FACILITIES.fields)].values["nama"] == "Baru"
    assert merged[OPEN].provenance["nama"][1] == "most_complete"
    assert merged[OPEN].values["nama"] == "Lama"


@pytest.fixture(scope="module")
def own_select(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("bappeda") / "rahasia.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE tabel_dalam (kode TEXT PRIMARY KEY NOT NULL, nama TEXT, jenis TEXT)")
        database.execute("INSERT INTO tabel_dalam VALUES ('B1', 'Klinik', 'klinik')")
    database.close()
    gateway.agency("bappeda")
    gateway.upload("bappeda", file)
    source = {"kind": "sql", "url": "sqlite:inbox/rahasia.db", "query": "SELECT kode, nama, jenis FROM tabel_dalam"}
    gateway.publish({**facility_manifest("bappeda-select", "bappeda"), "source": source})
    return "tabel_dalam"


def test_hostile_39_a_providers_own_select_is_its_stewards_alone(gateway: RunningGateway, own_select: str) -> None:
    question = {"schema": "fasilitas_kesehatan", "agencies": ["bappeda"]}

    def explained(session: httpx.Client) -> dict[str, Any]:
        answer = session.post("/v1/explain", json=question)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["sources"][0]
        return found

    for role, agency in (("client", "dinkes"), ("client", "bappeda"), ("steward", "dinkes")):
        found = explained(gateway.client(role, agency))
        assert found["status"] == "ok"
        assert found["text"] is None
        assert own_select not in str(found)
        assert any("stewards" in why for why in found["why"])
    assert own_select in explained(gateway.client("steward", "bappeda"))["text"]
    assert own_select in explained(gateway.admin)["text"]


def test_hostile_39_what_exists_of_others_is_not_told(gateway: RunningGateway) -> None:
    agree(gateway, "pks-orang-lain", "disdukcapil")
    draft = facility_manifest("dinkes-rahasia", "dinkes")
    assert gateway.admin.put("/v1/connectors/dinkes-rahasia", json=draft).status_code == 201
    gateway.agency("bappeda")
    stranger = gateway.client("steward", "bappeda")

    def same(method: str, path: str, there: str, body: Any = None) -> None:
        answers = []
        for name in (there, "tidak-ada-sama-sekali"):
            answer = stranger.request(method, path.format(name), json=body)
            problem = answer.json()
            for batch in ("instance", "exchange_id", "trace_id"):
                problem.pop(batch, None)
            answers.append((answer.status_code, str(problem).replace(name, "NAME")))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404, answers

    same("GET", "/v1/agreements/{}", "pks-orang-lain")
    for act in ("approve", "end", "revoke"):
        same("POST", "/v1/agreements/{}/" + act, "pks-orang-lain", {"reason": "x"} if act != "approve" else None)
    for path in ("", "/revisions", "/revisions/1", "/quarantine", "/health"):
        same("GET", "/v1/connectors/{}" + path, "dinkes-rahasia")
    for act in ("check", "discover", "preview", "publish", "suspend", "retire"):
        same("POST", "/v1/connectors/{}/" + act, "dinkes-rahasia")
    same("POST", "/v1/connectors/{}/rollback", "dinkes-rahasia", {"revision": 1})
    assert stranger.get("/v1/connectors/dinkes-faskes").status_code == 403  # published: everybody sees that it exists
