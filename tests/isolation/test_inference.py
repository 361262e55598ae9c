"""Two worlds that differ in one secret thing alone are asked the same by an attacker with a valid credential: every answer must be the same.

The secret is the value of a field that is not granted or masked, records that a row filter takes away, or what another agency has and
has not published. The source's content is put in place between two rounds of the same questions. What differs by nature (ids of
exchanges, times, durations) is taken out; all else is compared, cursors and headers too.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.conditions import tag_of_bytes
from tests.fixtures.postgres import Cluster
from tests.isolation.questions import (
    AROUND,
    BY_NOTE,
    COUNTS,
    FACILITIES,
    NOTE,
    OF_COUNTS,
    OF_FACILITIES,
    STEADY,
    Ask,
)
from tests.isolation.sources import Sources
from tests.isolation.world import CONSUMER, OTHER, PROVIDER, WHY, Caller, World, opened, terms
from tests.support.sources import SourceServer
from tests.support.statement_log import StatementLog

_VOLATILE = {
    "trace_id",
    "exchange_id",
    "instance",
    "elapsed_ms",
    "as_of",
    "receipts",
    "id",
    "href",
    "created_at",
    "finished_at",
    "expires_at",
}
_HEADERS = ("link", "simpul-complete", "content-type", "allow", "content-disposition", "sunset", "vary", "retry-after")
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_DURATIONS = re.compile(r'"elapsed_ms":[\d.]+')
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def plain(value: Any) -> Any:
    """What of an answer can be compared."""
    if isinstance(value, dict):
        return {
            name: plain(part)
            for name, part in value.items()
            if name not in _VOLATILE or (name == "id" and not _IDS.search(str(part)))
        }
    if isinstance(value, list):
        return [plain(part) for part in value]
    return _DURATIONS.sub("", _IDS.sub("ID", _TIMES.sub("TIME", value))) if isinstance(value, str) else value


def seen(session: httpx.Client, ask: Ask, headers: Mapping[str, str], *, job: bool = False) -> dict[str, Any]:
    """All that an attacker sees of one question; of a job its state, its result and its length too."""
    method, path, more = ask
    prefer = {"Prefer": "respond-async"} if job else {"Prefer": "partial=allow"}
    answer = session.request(method, path, headers={**headers, **prefer}, **more)
    told: dict[str, Any] = {}
    if answer.status_code == httpx.codes.ACCEPTED:
        address, ends = (
            answer.headers["location"].removeprefix(str(session.base_url).rstrip("/")),
            time.monotonic() + 30,
        )
        while (state := session.get(address).json())["state"] in {"queued", "running"} and time.monotonic() < ends:
            time.sleep(0.02)
        if state["result"]:
            state["result"].pop("digest")  # of bytes that hold the time of reading
            if "json" in state["result"]["media_type"]:  # which holds how many milliseconds a read took
                state["result"].pop("bytes")
        told["job"] = plain(state)
        answer = session.get(f"{address}/result")
        session.delete(address)
    shown = {name: _IDS.sub("ID", answer.headers.get(name, "")) for name in _HEADERS}
    tag = answer.headers.get("etag", "")  # of the bytes that the caller has, and of nothing beside them
    shown["etag"] = "its bytes" if tag == tag_of_bytes(answer.content) else tag
    kind = answer.headers.get("content-type", "")
    body = (
        plain(answer.json())
        if kind.startswith(("application/json", "application/problem", "application/geo"))
        else plain(answer.text)
    )
    if "ndjson" in kind or "csv" in kind:  # whole answers come in the source's own order, which is that of its plan
        body = sorted(plain(answer.text).splitlines())
    return {**told, "status": answer.status_code, "headers": shown, "body": body}


def differences(
    session: httpx.Client,
    asks: Mapping[str, Ask],
    headers: Mapping[str, str],
    worlds: list[Callable[[], None]],
    *,
    jobs: bool = False,
) -> list[str]:
    """The questions that are answered otherwise in another world than in the first. `changes` is asked as if for the first time."""
    rounds = []
    for change in worlds:
        change()
        found = {name: seen(session, ask, headers) for name, ask in asks.items()}
        if jobs:
            found |= {
                f"job: {name}": seen(session, ask, headers, job=True)
                for name, ask in asks.items()
                if name in {"csv", "sql all"}
            }
        rounds.append(found)
    first = rounds[0]
    return [f"{name}: {found}" for other in rounds[1:] for name in first for found in unlike(first[name], other[name])]


def unlike(one: Any, other: Any, pointer: str = "") -> Iterator[str]:
    """Where two answers differ, as JSON Pointers with both values."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from unlike(one[name], other[name], f"{pointer}/{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from unlike(*pair, f"{pointer}/{index}")
    elif one != other:
        yield f"{pointer} was {json.dumps(one, ensure_ascii=False)[:400]} and then {json.dumps(other, ensure_ascii=False)[:400]}"


@pytest.fixture(scope="module")
def sources(postgres_cluster: Cluster, postgres_module_url: str) -> Iterator[Sources]:
    services = SourceServer()
    yield Sources(services, postgres_module_url, StatementLog(postgres_cluster, postgres_module_url))
    services.close()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, sources: Sources) -> Iterator[World]:
    """The provider's service and table beside what it has; agreements that hide, mask and filter."""
    with opened(tmp_path_factory.mktemp("inference")) as world:
        gateway = world.gateway
        suspended = gateway.admin.post("/v1/connectors/faskes/suspend")
        assert suspended.status_code == 200, suspended.text
        sources.facilities("a@faskes.example", None)()
        sources.counts()()
        fields = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis", "email_kontak": "email"}
        rest = {"kind": "rest", "url": f"{sources.services.url}/faskes", "record_path": "$.data[*]"}
        gateway.publish(
            {
                "connector": "layanan",
                "agency": PROVIDER,
                "schema": "fasilitas_kesehatan@1",
                "source": rest,
                "fields": fields,
            }
        )
        counted = {
            "kode_wilayah": "wilayah", "periode": "periode", "jenis_kelamin": "jk", "kelompok_umur": "umur", "kategori": "kategori",
            "jumlah": "jumlah", "keterangan": "ket",
        }  # fmt: skip
        table = {"kind": "sql", "url": sources.database, "table": "jumlah_penduduk"}
        gateway.publish(
            {
                "connector": "tabel",
                "agency": PROVIDER,
                "schema": "penduduk_agregat@1",
                "source": table,
                "fields": counted,
            }
        )
        gateway.agree(terms("tutup", fields=["*"], masks={"email_kontak": "hide"}))
        gateway.agree(terms("akhir", fields=["*"], masks={"email_kontak": "last4"}))
        gateway.agree(terms("sebagian", schema="penduduk_agregat", row_filter="kode_wilayah = '33.20.01'"))
        gateway.agree(terms("utuh", schema="penduduk_agregat"))
        shown = [name for name in counted if name != "keterangan"]
        gateway.agree(terms("tanpa", schema="penduduk_agregat", fields=shown))
        for mask in ("hide", "hash", "last4"):
            gateway.agree(terms(f"ket-{mask}", schema="penduduk_agregat", masks={"keterangan": mask}))
        _read_once(world)
        yield world


def _read_once(world: World) -> None:
    """The catalogue tells when a dataset was first read, and first read whole: both were, before worlds are compared."""
    session, ends = world.sessions[Caller("client", CONSUMER)], time.monotonic() + 20
    for path, agreement in ((FACILITIES, "tutup"), (COUNTS, "utuh")):
        assert session.get(path, headers={**by(agreement), "Accept": "text/csv"}).status_code == 200
    while time.monotonic() < ends:
        items = session.get("/v1/datasets").json()["items"]
        kept = [item["quality"] for item in items if item["id"] in {"layanan", "tabel"}]
        if all(quality["last_success_at"] and quality["counted_at"] for quality in kept):
            return
        time.sleep(0.1)
    raise AssertionError(items)


def by(agreement: str) -> dict[str, str]:
    return {**WHY, "Simpul-Agreement": agreement}


@pytest.mark.parametrize(
    "who", ["stranger", "consumer without agreement", "steward of another", "auditor of another", "hidden", "masked"]
)
def test_the_value_of_a_closed_field_is_not_learned(attacked: World, sources: Sources, who: str) -> None:
    attackers: dict[str, tuple[Caller, dict[str, str]]] = {
        "stranger": (Caller("client", OTHER), {}),
        "consumer without agreement": (Caller("client", CONSUMER), {}),
        "steward of another": (Caller("steward", OTHER), {}),
        "auditor of another": (Caller("auditor", OTHER), {}),
        "hidden": (Caller("client", CONSUMER), by("tutup")),
        "masked": (Caller("client", CONSUMER), by("akhir")),
    }
    caller, headers = attackers[who]
    first = sources.facilities("aaaaaaaa@faskes.example", "bbbbbbbb@faskes.example")
    others = [sources.facilities("zzzzzzzz@faskes.example", "aaaaaaaa@faskes.example")]
    if who == "hidden":
        others += [
            sources.facilities(None, "bbbbbbbb@faskes.example"),
            sources.facilities("a-much-longer-address@faskes.example", None),
        ]
    found = differences(attacked.sessions[caller], {**OF_FACILITIES, **AROUND}, headers, [first, *others], jobs=True)
    assert found == []


def test_a_tag_of_what_was_read_before_tells_nothing_of_what_is_closed(attacked: World, sources: Sources) -> None:
    """An answer that is the same but for what the caller may not see still stands: 304, with the same tag, also of an export."""
    first = sources.facilities("aaaaaaaa@faskes.example", "bbbbbbbb@faskes.example")
    then = sources.facilities("zzzzzzzz@faskes.example", "much-longer-than-that@faskes.example")
    session, told = attacked.sessions[Caller("client", CONSUMER)], {}
    for agreement in ("tutup", "pks-active"):
        headers = by(agreement)
        first()
        held = {name: session.get(path, headers=headers).headers["etag"] for name, path in STEADY.items()}
        then()
        for name, path in STEADY.items():
            again = session.get(path, headers={**headers, "If-None-Match": held[name]})
            told[agreement, name] = (again.status_code, again.headers["etag"] == held[name])
    assert {told["tutup", name] for name in STEADY} == {(304, True)}
    assert told["pks-active", "export"] == (200, False)


def test_the_same_questions_tell_the_difference_to_whom_the_field_is_granted(attacked: World, sources: Sources) -> None:
    """Else the test above would find nothing because it sees nothing."""
    worlds = [
        sources.facilities("aaaaaaaa@faskes.example", None),
        sources.facilities("zzzzzzzz@faskes.example", "b@faskes.example"),
    ]
    session = attacked.sessions[Caller("client", CONSUMER)]
    found = differences(session, OF_FACILITIES, by("pks-active"), worlds)
    assert {line.partition(":")[0] for line in found} > {
        "list",
        "filter",
        "sql where",
        "sql order",
        "group",
        "match",
        "look-up",
        "changes",
    }


def test_records_beyond_the_row_filter_are_not_learned(attacked: World, sources: Sources) -> None:
    worlds = [
        sources.counts(),
        sources.counts(("33.20.02", 7), ("33.20.04", 100000)),
        sources.counts(("33.20.02", 99), many=5000),
    ]
    session = attacked.sessions[Caller("client", CONSUMER)]
    assert differences(session, OF_COUNTS, by("sebagian"), worlds, jobs=True) == []


def test_a_guess_of_a_source_is_told_only_where_all_rows_are_the_callers(attacked: World, sources: Sources) -> None:
    """PostgreSQL guesses from statistics of the whole table: of a table that it has not looked at, from its size."""
    sources.counts(("33.20.02", 99), many=500)()
    session = attacked.sessions[Caller("client", CONSUMER)]

    def told(agreement: str) -> tuple[int | None, int | None]:
        explained = session.post("/v1/explain", json={"schema": "penduduk_agregat"}, headers=by(agreement)).json()
        counted = session.get(COUNTS, params={"count": "estimated", "limit": "1"}, headers=by(agreement)).json()
        return explained["sources"][0]["rows_estimated"], counted["meta"]["count"]["value"]

    assert told("utuh") == (504, 504)
    assert told("sebagian") == (None, None)


def test_a_schema_without_open_fields_tells_strangers_nothing_of_its_records(attacked: World, sources: Sources) -> None:
    worlds = [sources.counts(), sources.counts(("33.20.02", 99), many=500)]
    for caller in (Caller("client", OTHER), Caller("steward", OTHER), Caller("auditor", CONSUMER)):
        assert differences(attacked.sessions[caller], {**OF_COUNTS, **AROUND}, {}, worlds) == []


def test_what_another_agency_has_not_published_is_not_learned(attacked: World) -> None:
    """Drafts, proposals between others, secrets, uploads, exchanges and jobs: an address that is another's is as unknown as one of nobody."""
    gateway, own = attacked.gateway, attacked.sessions
    taken = own[Caller("client", CONSUMER)].get(
        FACILITIES, params={"f": "csv"}, headers={**by("pks-active"), "Prefer": "respond-async"}
    )
    names = {
        "/v1/connectors/{}": ("draf", "nihil", "steward"),
        "/v1/connectors/{}/health": ("draf", "nihil", "steward"),
        "/v1/connectors/{}/quality": ("draf", "nihil", "steward"),
        "/v1/datasets/{}": ("draf", "nihil", "client"),
        "/v1/agreements/{}": ("pks-proposed", "pks-nihilxxx", "client"),
        "/v1/jobs/{}": (taken.headers["location"].rpartition("/")[2], "019aa1b2-0000-7000-8000-000000000001", "client"),
        "/v1/jobs/{}/result": (
            taken.headers["location"].rpartition("/")[2],
            "019aa1b2-0000-7000-8000-000000000001",
            "client",
        ),
        "/v1/exchanges/{}": (taken.headers["exchange-id"], "019aa1b2-0000-7000-8000-000000000001", "auditor"),
        "/v1/exchanges/{}/receipt": (taken.headers["exchange-id"], "019aa1b2-0000-7000-8000-000000000001", "client"),
    }
    for path, (there, nowhere, role) in names.items():
        answers = []
        for name in (there, nowhere):
            answer = own[Caller(role, OTHER)].get(path.format(name))
            assert answer.status_code == 404, answer.text
            answers.append(json.dumps(plain({**answer.json(), "instance": ""})).replace(name, "NAME"))
        assert answers[0] == answers[1], path
    for header in ("pks-active", "pks-proposed", "pks-nihil"):
        refused = own[Caller("client", OTHER)].get(FACILITIES, headers={**WHY, "Simpul-Agreement": header}).json()
        assert (
            plain(refused)["detail"] == "The agreement named in Simpul-Agreement is none of yours; see GET /v1/access."
        ), header
    session = own[Caller("steward", OTHER)]
    before = {name: seen(session, ask, {}) for name, ask in AROUND.items()}
    manifest = {"connector": "draf-baru", "agency": PROVIDER, "schema": "fasilitas_kesehatan@1", "source": {"kind": "file", "location": "inbox/faskes.csv"}, "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"}}  # fmt: skip
    assert gateway.admin.put("/v1/connectors/draf-baru", json=manifest).status_code in {200, 201}
    gateway.agree(terms("pks-orang-lain"), steps=1)
    assert {name: seen(session, ask, {}) for name, ask in AROUND.items()} == before


def test_a_forbidden_condition_never_reaches_a_source(attacked: World, sources: Sources) -> None:
    """What a source never sees it cannot be slow about: no request and no statement names the field or the value."""
    session = attacked.sessions[Caller("client", CONSUMER)]
    sources.facilities("aaaaaaaa@faskes.example", None)()
    begun = len(sources.services.asked)
    for agreement in ("tutup", "akhir"):
        for name, ask in OF_FACILITIES.items():
            if "filter" in name or name == "sort" or "sql" in name or name in {"search", "group", "distinct", "match"}:
                seen(session, ask, by(agreement))
    asked = sources.services.asked[begun:]
    assert [path for path in asked if "email" in path or "aaaaaaaa" in path] == []
    forbidden = ("filter", "filter on null", "filter beside", "filter never", "sort", "search", "group", "distinct", "sql where", "sql order", "sql case", "sql cast")  # fmt: skip
    begun = len(sources.services.asked)
    for name in forbidden:
        seen(session, OF_FACILITIES[name], by("tutup"))
    assert sources.services.asked[begun:] == [], "a question that is refused asks no source"


@pytest.mark.parametrize("agreement", ["tanpa", "ket-hide", "ket-hash", "ket-last4", "none"])
def test_a_forbidden_condition_never_reaches_a_database(attacked: World, sources: Sources, agreement: str) -> None:
    """The server's own log of statements and bound values tells: a refused question sends it nothing of the table at all."""
    session, log = attacked.sessions[Caller("client", CONSUMER)], sources.statements
    headers = {} if agreement == "none" else by(agreement)
    told = {}
    for name, ask in BY_NOTE.items():
        begun = log.mark()
        answer = seen(session, ask, headers)
        arrived = log.since(begun)
        refused = answer["status"] >= 400 or "field_not_granted" in str(answer["body"])  # a plan says it of a source
        told[name] = (refused, NOTE in arrived, "jumlah_penduduk" in arrived)
    assert told == dict.fromkeys(BY_NOTE, (True, False, False))


def test_the_log_of_the_database_shows_a_condition_that_is_allowed(attacked: World, sources: Sources) -> None:
    """Else the test above would find nothing because nothing is ever pushed, or logged."""
    session, log = attacked.sessions[Caller("client", CONSUMER)], sources.statements
    pushed = {}
    for name in ("filter", "search", "sql where", "sort", "group"):
        begun = log.mark()
        assert seen(session, BY_NOTE[name], by("utuh"))["status"] == 200
        arrived = log.since(begun)
        pushed[name] = ('"ket"' in arrived, NOTE in arrived)
    assert pushed == dict.fromkeys(("filter", "search", "sql where"), (True, True)) | {
        "sort": (True, False),
        "group": (True, False),
    }


def test_every_statement_under_a_row_filter_bears_it(attacked: World, sources: Sources) -> None:
    """Rows beyond it do not leave the database. A record that is asked for by its key is held against the filter by the gateway."""
    session, log = attacked.sessions[Caller("client", CONSUMER)], sources.statements
    sources.counts(("33.20.02", 99), many=20)()
    begun = log.mark()
    for ask in OF_COUNTS.values():
        seen(session, ask, by("sebagian"))
    told = re.split(r"^\S+ \S+ UTC \[\d+\] LOG:", log.since(begun), flags=re.MULTILINE)
    reads = [one for one in told if re.search(r'execute [^:]*:.* FROM "jumlah_penduduk"', one, re.DOTALL)]
    whole = [one for one in reads if " IN (SELECT * FROM unnest(" not in one]
    assert len(whole) >= 10
    assert [one for one in whole if not re.search(r'WHERE .*"wilayah" = .*= \'33\.20\.01\'', one, re.DOTALL)] == []


def test_a_cursor_holds_nothing_to_read(attacked: World, sources: Sources) -> None:
    """It is sealed, the same for the same position, and no longer for a longer hidden value."""
    session = attacked.sessions[Caller("client", CONSUMER)]
    found = []
    for world in (
        sources.facilities("a@faskes.example", "b@faskes.example"),
        sources.facilities("very-much-longer-than-before@faskes.example", None),
    ):
        world()
        found.append(
            session.get(FACILITIES, params={"limit": "1", "sort": "-nama"}, headers=by("tutup")).json()["next_cursor"]
        )
    assert found[0] is not None
    assert found[0] == found[1]
    raw = base64.urlsafe_b64decode(found[0] + "==")
    for word in (b"Klinik", b"F1", b"F2", b"faskes.example", b"layanan", PROVIDER.encode()):
        assert word not in raw


def test_kept_and_copied_records_are_cut_to_each_reader(attacked: World, sources: Sources) -> None:
    """Whoever asks together with one to whom the field is granted, or after it, gets what its own grant gives."""
    sources.facilities("aaaaaaaa@faskes.example", "bbbbbbbb@faskes.example")()
    granted, stranger = attacked.sessions[Caller("client", CONSUMER)], attacked.sessions[Caller("client", OTHER)]

    def ask(which: int) -> tuple[int, str]:
        if which % 2:
            return which, granted.get(FACILITIES, headers=by("pks-active")).text
        headers = by("tutup") if which % 4 else {}
        return which, (granted if which % 4 else stranger).get(FACILITIES, headers=headers).text

    with ThreadPoolExecutor(8) as pool:
        for which, text in pool.map(ask, range(48)):
            assert ("aaaaaaaa@" in text) == bool(which % 2), which


def test_a_stored_copy_is_cut_to_each_reader(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The copy of a source that is down holds every row (a personal field is never copied): each reader gets what its grant gives."""
    services, names = SourceServer(), ("wilayah", "periode", "jk", "umur", "kategori", "jumlah")
    rows = [
        ("33.20.01", "2025", "laki_laki", "0-4", "agama:islam", 40),
        ("33.20.02", "2025", "perempuan", "0-4", "agama:islam", 77),
    ]
    services.json("/jumlah", json.dumps({"data": [dict(zip(names, row, strict=True)) for row in rows]}).encode())
    fields = {"kode_wilayah": "wilayah", "periode": "periode", "jenis_kelamin": "jk", "kelompok_umur": "umur", "kategori": "kategori", "jumlah": "jumlah"}  # fmt: skip
    with opened(tmp_path_factory.mktemp("copies")) as world:
        gateway = world.gateway
        gateway.publish(
            {
                "connector": "jumlah", "agency": PROVIDER, "schema": "penduduk_agregat@1", "snapshot": {"every": "1h"}, "fields": fields,
                "source": {"kind": "rest", "url": f"{services.url}/jumlah", "record_path": "$.data[*]"},
            }
        )  # fmt: skip
        gateway.agree(terms("sebagian", schema="penduduk_agregat", row_filter="kode_wilayah = '33.20.01'"))
        gateway.agree(terms("utuh", schema="penduduk_agregat"))
        session, ends = world.sessions[Caller("client", CONSUMER)], time.monotonic() + 30
        while "snapshot" not in session.get(COUNTS, headers=by("utuh")).json()["sources"][0]:
            assert time.monotonic() < ends
            time.sleep(0.1)
        services.routes["/jumlah"] = lambda *_: (500, "text/plain", b"down")
        stranger = world.sessions[Caller("client", OTHER)]

        def told(asking: httpx.Client, headers: Mapping[str, str], **params: str) -> tuple[int, list[int]]:
            answer = asking.get(COUNTS, params=params, headers=headers)
            return answer.status_code, sorted(item["jumlah"] for item in answer.json().get("items", []))

        assert told(session, by("utuh")) == (200, [40, 77])
        assert told(session, by("sebagian")) == (200, [40])
        assert told(session, by("sebagian"), filter="jumlah > 50") == (200, [])
        assert told(stranger, {}) == told(stranger, {}, filter="jumlah > 50") == (403, [])
    services.close()
