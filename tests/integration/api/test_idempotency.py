"""Idempotency keys over HTTP: what is sent again is answered again, and done once."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"


def key() -> str:
    return str(uuid4())


def client_of(name: str) -> dict[str, str]:
    return {"agency": "rsud", "role": "client", "name": "SIMRS", "id": name}


def entries(gateway: RunningGateway, answer: httpx.Response) -> list[dict[str, Any]]:
    auditor = gateway.client("supervisor", "dinkes")
    found: list[dict[str, Any]] = auditor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"]
    return found


def test_a_client_is_made_once_and_its_secret_told_again(gateway: RunningGateway) -> None:
    sent = {"Idempotency-Key": key()}
    first = gateway.admin.post("/v1/clients", json=client_of("once-a"), headers=sent)
    again = gateway.admin.post("/v1/clients", json=client_of("once-a"), headers=sent)
    bare = gateway.admin.post("/v1/clients", json=client_of("once-a"))

    assert (first.status_code, again.status_code, bare.status_code) == (201, 201, 409)
    assert again.content == first.content
    assert first.json()["client_secret"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    for same in ("content-type", "content-digest"):
        assert again.headers[same] == first.headers[same]
    assert again.headers["exchange-id"] != first.headers["exchange-id"]


def test_a_repetition_is_an_exchange_of_its_own_that_names_the_first(gateway: RunningGateway) -> None:
    sent = {"Idempotency-Key": f'"{key()}"'}
    first = gateway.admin.post("/v1/clients", json=client_of("once-b"), headers=sent)
    again = gateway.admin.post("/v1/clients", json=client_of("once-b"), headers=sent)
    told = entries(gateway, again)

    assert [entry["kind"] for entry in told] == ["intent", "admin"]
    assert (told[-1]["op"], told[-1]["status"]) == ("client.create", 201)
    assert told[-1]["dec"] == {"effect": "allow", "rule": "idempotency_replay"}
    assert told[0]["detail"]["replays"] == first.headers["exchange-id"]
    assert "replays" not in json.dumps(entries(gateway, first))


@pytest.mark.parametrize(
    ("name", "headers"),
    [("once-d", {}), ("once-c", {"simpul-purpose": "penelitian"}), ("once-c", {"accept": "text/csv"})],
)
def test_hostile_59_a_key_stands_for_one_request(gateway: RunningGateway, name: str, headers: dict[str, str]) -> None:
    sent = {"Idempotency-Key": key()}
    made = client_of(f"once-c{time.monotonic_ns()}")
    first = gateway.admin.post("/v1/clients", json=made, headers=sent)
    other = client_of("once-d") if name == "once-d" else made
    answer = gateway.admin.post("/v1/clients", json=other, headers={**headers, **sent})
    elsewhere = gateway.admin.post(f"/v1/clients/{made['id']}/rotate", headers=sent)

    assert first.status_code == 201

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_is_its_clients_own(gateway: RunningGateway) -> None:
    sent = {"Idempotency-Key": key()}
    one = gateway.client("admin", "dinkes").post("/v1/clients", json=client_of("once-e"), headers=sent)
    two = gateway.client("admin", "dinkes").post("/v1/clients", json=client_of("once-f"), headers=sent)

    assert (one.status_code, two.status_code) == (201, 201)
    assert two.json()["client_id"] == "once-f"


def test_a_refusal_frees_the_key(gateway: RunningGateway) -> None:
    sent = {"Idempotency-Key": key()}
    wrong = gateway.admin.post("/v1/clients", json={**client_of("once-g"), "agency": "tidak-ada"}, headers=sent)
    right = gateway.admin.post("/v1/clients", json=client_of("once-g"), headers=sent)

    assert (wrong.status_code, right.status_code) == (404, 201)


def test_whose_role_may_not_is_refused_before_the_key_counts(gateway: RunningGateway) -> None:
    sent = {"Idempotency-Key": key()}
    reader = gateway.client("client", "dinkes")

    assert reader.post("/v1/clients", json=client_of("once-h"), headers=sent).status_code == 403


@pytest.mark.parametrize("bad", ["", "two words", 'half"quoted', "x" * 256, '"with \\ backslash"', "a,b"])
def test_a_key_that_is_none_is_refused_by_name(gateway: RunningGateway, bad: str) -> None:
    answer = gateway.admin.post("/v1/clients", json=client_of("once-i"), headers={"Idempotency-Key": bad})

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    unheeded = gateway.admin.post(
        "/v1/records/fasilitas-kesehatan/search", json={"limit": 1}, headers={"Idempotency-Key": bad}
    )
    assert (unheeded.status_code, unheeded.json()["code"]) == (400, "idempotency_key_invalid")


def test_a_key_on_two_lines_is_not_guessed(gateway: RunningGateway) -> None:
    lines = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = gateway.admin.post("/v1/clients", json=client_of("once-j"), headers=lines)

    assert (answer.status_code, answer.json()["code"]) == (400, "header_repeated")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_job_for_one_key(gateway: RunningGateway, method: str) -> None:
    reader = gateway.client("client", "dinkes")
    sent = {"Idempotency-Key": key(), "Prefer": "respond-async"}
    asked = (LIST, None) if method == "GET" else ("/v1/queries", {"sql": "SELECT nama FROM fasilitas_kesehatan"})
    first, again = (reader.request(method, asked[0], json=asked[1], params={"f": "ndjson"}, headers=sent) for _ in "12")
    bare = reader.request(method, asked[0], json=asked[1], params={"f": "ndjson"}, headers={"Prefer": "respond-async"})

    assert (first.status_code, again.status_code, bare.status_code) == (202, 202, 202)
    assert again.headers["location"] == first.headers["location"] != bare.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["retry-after"] == "1"


def test_a_read_without_a_job_is_read_again(gateway: RunningGateway) -> None:
    reader = gateway.client("client", "dinkes")
    sent = {"Idempotency-Key": key()}
    first, again = (reader.post(f"{LIST}/search", json={"limit": 1}, headers=sent) for _ in "12")

    assert (first.status_code, again.status_code) == (200, 200)
    assert "idempotency-replayed" not in again.headers


def test_two_at_once_do_it_once(gateway: RunningGateway) -> None:
    sent = {"Idempotency-Key": key()}
    sessions = [gateway.session(*gateway.credential) for _ in range(6)]
    answers: list[httpx.Response] = []

    def post(session: httpx.Client) -> None:
        answers.append(session.post("/v1/clients", json=client_of("once-k"), headers=sent))

    threads = [threading.Thread(target=post, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code != 201]

    assert len({answer.content for answer in done}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1
    assert {(answer.status_code, answer.json()["code"], answer.headers["retry-after"]) for answer in waiting} <= {
        (409, "idempotency_in_progress", "1")
    }


def test_what_has_a_key_is_done_though_its_caller_left(gateway: RunningGateway, services: SourceServer) -> None:
    """A caller that gave up gets, with the same key, what came of it; the source was asked once."""

    def slow(_query: object, _headers: object) -> tuple[int, str, bytes]:
        time.sleep(1)
        return 200, "application/json", b'{"data": [{"kode": "S1", "nama": "Lambat"}]}'

    services.routes["/slow"] = slow
    manifest = {
        "connector": "rsud-lambat",
        "agency": "rsud",
        "schema": "fasilitas_kesehatan@1",
        "source": {"kind": "rest", "url": f"{services.url}/slow", "record_path": "$.data[*]"},
        "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "puskesmas"}},
    }
    assert gateway.admin.put("/v1/connectors/rsud-lambat", json=manifest).status_code in {200, 201}
    sent = {"Idempotency-Key": key(), "authorization": gateway.admin.headers["authorization"]}
    before = services.asked.count("/slow")
    with socket.create_connection(("127.0.0.1", gateway.port)) as left:
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        head = f"POST /v1/connectors/rsud-lambat/check HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{lines}\r\n"
        left.sendall(head.encode())
        time.sleep(0.4)
    ends = time.monotonic() + 20
    while True:
        again = gateway.admin.post("/v1/connectors/rsud-lambat/check", headers=sent)
        if again.status_code != 409 or time.monotonic() > ends:
            break
        assert again.json()["code"] == "idempotency_in_progress"
        time.sleep(0.1)
    both = services.asked.count("/slow")
    gateway.admin.post("/v1/connectors/rsud-lambat/check")

    assert again.status_code == 200, again.text
    assert again.headers["idempotency-replayed"] == "true"
    assert both - before == services.asked.count("/slow") - both  # as often as one check asks


def test_conditions_on_several_lines_are_one_list(gateway: RunningGateway) -> None:
    tag = gateway.admin.get("/v1/agencies/rsud").headers["etag"]
    lines = [("If-None-Match", '"other"'), ("If-None-Match", tag), ("If-None-Match", '"third"')]
    changes = [("If-Match", '"other"'), ("If-Match", tag)]
    codings = [("Accept-Encoding", "br;q=0.5"), ("Accept-Encoding", "gzip"), ("Accept-Encoding", "identity;q=0.1")]
    contact = {"contact": "rsud@jepara.example"}

    assert gateway.admin.get("/v1/agencies/rsud", headers=lines).status_code == 304
    assert gateway.admin.patch("/v1/agencies/rsud", json=contact, headers=changes).status_code == 200
    assert gateway.admin.get("/openapi.json", headers=codings).headers["content-encoding"] == "gzip"
