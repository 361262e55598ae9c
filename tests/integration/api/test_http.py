"""HTTP as it is meant: lists on several lines, languages, methods, limits that are told, pages that are found."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import re
import socket
import time
from typing import Self

import httpx
import pytest

from app.api.layer.headers import LONGEST
from app.api.layer.problems import PROBLEMS
from app.main import build_openapi
from tests.integration.api.test_answers_fit import faults
from tests.support.documented import parameters_of
from tests.support.gateway import RunningGateway

LIST = "/v1/records/fasilitas-kesehatan"
LIMIT = re.compile(r'"client";r=(\d+);t=(\d+)')


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


def test_what_is_left_of_the_requests_is_told_with_every_answer(gateway: RunningGateway, reader: httpx.Client) -> None:
    answers = [
        reader.get(LIST, params={"limit": 1}),
        reader.get("/v1/schemas"),
        reader.get(f"{LIST}/none-has-this"),
        reader.get("/v1/no-such-route"),
    ]
    policy = re.fullmatch(r'"client";q=(\d+);w=60', answers[0].headers["ratelimit-policy"])
    assert policy is not None
    for answer in answers:
        left = LIMIT.fullmatch(answer.headers["ratelimit"])
        assert left is not None
        assert 0 < int(left[1]) < int(policy[1])
        assert 0 < int(left[2]) <= 60
        assert answer.headers["ratelimit-policy"] == policy[0]
    assert "ratelimit" not in httpx.get(f"{gateway.url}/status", trust_env=False).headers


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("id", "id"),
        ("id-ID,id;q=0.9,en;q=0.8", "id"),
        ("en;q=0.5, id;q=0.9", "id"),
        ("id;q=0.1, en", "en"),
        ("fr, id;q=0", "en"),
        ("in", "id"),
        ("fr", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_problem_is_the_one_of_higher_quality(
    reader: httpx.Client, accepted: str, language: str
) -> None:
    answer = reader.get("/v1/agencies/tidak-ada", headers={"accept-language": accepted})
    assert answer.headers["content-language"] == language
    kind = PROBLEMS["agency_unknown"]
    assert answer.json()["title"] == {"id": kind.title_id, "en": kind.title_en}[language]


@pytest.mark.parametrize(
    ("method", "act", "preference"),
    [
        ("GET", "changes", "partial=never"),
        ("GET", "conflicts", "partial=never"),
        ("POST", "aggregate", "partial=allow"),
        ("POST", "match", "partial=allow"),
    ],
)
def test_every_read_heeds_preferences_on_any_line(reader: httpx.Client, method: str, act: str, preference: str) -> None:
    bodies = {"aggregate": {"aggregates": [{"function": "count", "as": "n"}]}, "match": {"keys": ["P1"]}}
    lines = [("Prefer", "wait=5"), ("Prefer", preference)]
    answer = reader.request(method, f"{LIST}/{act}", json=bodies.get(act), headers=lines)

    assert (answer.status_code, answer.headers["preference-applied"]) == (200, preference)


def test_preferences_on_several_lines_are_one_list_and_are_told(reader: httpx.Client) -> None:
    both = [("prefer", "partial=never"), ("prefer", "handling=lenient")]
    answer = reader.get(LIST, params={"limit": 1}, headers=both)
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "partial=never"
    assert "preference-applied" not in reader.get(LIST, params={"limit": 1}).headers
    job = reader.get(LIST, params={"f": "csv"}, headers=[("prefer", "partial=never"), ("prefer", "respond-async")])
    assert job.status_code == 202
    assert set(job.headers["preference-applied"].split(", ")) == {"partial=never", "respond-async"}


def test_accept_on_several_lines_is_one_list(reader: httpx.Client) -> None:
    lines = [("accept", "application/json;q=0.1"), ("accept", "text/csv")]
    assert reader.get(LIST, params={"limit": 1}, headers=lines).headers["content-type"].startswith("text/csv")


def test_options_tells_the_methods_of_a_path(gateway: RunningGateway) -> None:
    with httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        assert nobody.options("/v1/agencies").headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert nobody.options(f"{LIST}/search").headers["allow"] == "OPTIONS, POST"
        assert nobody.options(f"{LIST}/P1").headers["allow"] == "GET, HEAD, OPTIONS"
        assert nobody.options("/oauth/token").headers["allow"] == "OPTIONS, POST"
        assert nobody.options("/v1/nothing").status_code == 404
        answer = nobody.options("/v1/agencies")
        assert (answer.status_code, answer.content) == (204, b"")
        assert "access-control-allow-origin" not in answer.headers


def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(reader: httpx.Client) -> None:
    answer = reader.delete("/v1/agencies")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("word", ["search", "match", "aggregate", "%73earch"])
def test_an_operations_path_is_no_key(gateway: RunningGateway, reader: httpx.Client, word: str) -> None:
    for ask in (reader.get, reader.head, reader.delete):
        answer = ask(f"{LIST}/{word}")
        assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert reader.get(f"{LIST}/{word}").json()["code"] == "method_not_allowed"
    assert reader.get(f"/v1/records/nothing/{word}").json()["code"] == "schema_unknown"
    with httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        assert nobody.get(f"{LIST}/{word}").status_code == 401


def test_a_key_that_is_an_operations_word_is_found_by_the_list(reader: httpx.Client) -> None:
    assert reader.get(LIST, params={"kode_faskes": "search"}).json()["items"] == []
    assert reader.get(f"{LIST}/searches").json()["code"] == "record_not_found"


def test_head_is_get_without_a_body(reader: httpx.Client) -> None:
    answer = reader.head(LIST, params={"limit": 1})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["exchange-id"]


def keys(answer: httpx.Response) -> list[str]:
    return [item["_source"]["id"] for item in answer.json()["items"]]


def test_an_empty_list_says_what_an_absent_one_says(reader: httpx.Client) -> None:
    absent = reader.post(f"{LIST}/search", json={"limit": 5})
    empty = reader.post(f"{LIST}/search", json={"limit": 5, "agencies": [], "fields": [], "sort": []})
    assert empty.status_code == 200
    assert keys(empty) == keys(absent)
    assert {source["agency"] for source in empty.json()["sources"]} == {s["agency"] for s in absent.json()["sources"]}
    question = {"group_by": ["jenis"], "aggregates": [{"function": "count", "as": "n"}]}
    told = reader.post(f"{LIST}/aggregate", json=question)
    counted = reader.post(f"{LIST}/aggregate", json={**question, "agencies": []})
    assert (counted.status_code, counted.json().get("items")) == (told.status_code, told.json().get("items"))


def test_a_packed_body_is_refused_by_name(gateway: RunningGateway, reader: httpx.Client) -> None:
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    answer = reader.post(f"{LIST}/search", content=gzip.compress(b"{}"), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "gzip" in answer.json()["detail"]
    upload = gateway.admin.put(
        "/v1/agencies/dinkes/files/x.csv", content=gzip.compress(b"a"), headers={"content-encoding": "gzip"}
    )
    assert (upload.status_code, upload.json()["code"]) == (415, "unsupported_media_type")


def test_who_sends_no_token_is_told_the_scheme_and_of_no_error(gateway: RunningGateway) -> None:
    metadata = f'resource_metadata="{gateway.url}/.well-known/oauth-protected-resource"'
    with httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        assert nobody.get(LIST).headers["www-authenticate"] == f'Bearer realm="simpul", {metadata}'
        wrong = nobody.get(LIST, headers={"authorization": "Bearer none"})
        assert wrong.headers["www-authenticate"] == f'Bearer realm="simpul", error="invalid_token", {metadata}'


def test_the_log_is_paged_by_links_too(gateway: RunningGateway) -> None:
    auditor = gateway.client("supervisor", "dinkes")
    page = auditor.get("/v1/exchanges", params={"limit": 1})
    following = page.links["next"]["url"]
    assert page.json()["next_cursor"] in following
    assert auditor.get(following).status_code == 200


def test_addresses_that_people_and_crawlers_try(gateway: RunningGateway) -> None:
    with httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        assert nobody.get("/").headers["location"] == "/docs"
        assert nobody.get("/favicon.ico").headers["content-type"] == "image/svg+xml"
        catalogue = nobody.get("/.well-known/api-catalog")
        assert catalogue.headers["content-type"].startswith("application/linkset+json")
        described = catalogue.json()["linkset"][0]["service-desc"][0]["href"]
        assert described.startswith(gateway.url)
        assert nobody.get(described).json()["openapi"] == "3.1.0"
        lines = nobody.get("/.well-known/security.txt").text.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["Contact", "Expires", "Preferred-Languages", "Canonical"]


def test_a_refused_token_is_what_the_document_says_of_it(gateway: RunningGateway) -> None:
    declared = build_openapi()["paths"]["/oauth/token"]["post"]["responses"]
    with httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        for form, auth in (
            ({"grant_type": "client_credentials"}, ("none", "x" * 40)),
            ({"grant_type": "password"}, gateway.credential),
        ):
            answer = nobody.post("/oauth/token", data=form, auth=auth)
            assert answer.status_code in {400, 401}
            assert faults(declared[str(answer.status_code)], answer.json()) == []


@pytest.mark.parametrize("name", LONGEST)
def test_a_header_longer_than_the_document_says_is_refused(
    gateway: RunningGateway, reader: httpx.Client, name: str
) -> None:
    def ask(characters: int) -> httpx.Response:
        return reader.get("/v1/schemas", headers={name: "a" * characters})

    assert ask(LONGEST[name]).status_code != 431
    answer = ask(LONGEST[name] + 1)
    assert (answer.status_code, answer.json()["code"]) == (431, "header_too_large")
    assert name.lower() in answer.json()["detail"]
    document = build_openapi()
    declared = [
        parameter["schema"]["maxLength"]
        for item in document["paths"].values()
        for operation in item.values()
        for parameter in parameters_of(document, operation)
        if parameter["name"] == name
    ]
    assert set(declared) == {LONGEST[name]}


@pytest.mark.parametrize(
    "asked", [{"text": "a" * 201}, {"status": "99"}, {"status": "600"}, {"min_rows": "2147483648"}]
)
@pytest.mark.parametrize("path", ["/v1/exchanges", "/v1/exchanges/summary"])
def test_a_value_beyond_what_the_document_allows_is_refused(
    gateway: RunningGateway, path: str, asked: dict[str, str]
) -> None:
    answer = gateway.client("supervisor", "dinkes").get(path, params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


@pytest.mark.parametrize("wrong", [0, "false"])
def test_a_number_is_no_truth_value(gateway: RunningGateway, wrong: object) -> None:
    answer = gateway.admin.post("/v1/connectors/dinkes-faskes/publish", json={"unchecked": wrong})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/unchecked")


def test_groups_may_be_null(reader: httpx.Client) -> None:
    asked = {"aggregates": [{"function": "count", "as": "n"}], "group_by": None}
    assert reader.post(f"{LIST}/aggregate", json=asked).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{LIST}/search", {"limit": 1}),
        (f"{LIST}/aggregate", {"aggregates": [{"function": "count", "as": "n"}]}),
        (f"{LIST}/match", {"keys": ["P1"]}),
        ("/v1/explain", {"schema": "fasilitas_kesehatan"}),
        ("/v1/queries", {"sql": "SELECT nama FROM fasilitas_kesehatan"}),
    ],
)
def test_a_purpose_in_a_body_has_64_characters_at_most(
    reader: httpx.Client, path: str, body: dict[str, object]
) -> None:
    assert reader.post(path, json=body).status_code == 200
    answer = reader.post(path, json={**body, "purpose": "a" * 65})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/purpose"]


UPGRADE = (
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "Connection: keep-alive, upgrade\r\nUpgrade: h2c, TLS/1.3\r\n",
)


class Unclosed(io.BufferedReader):
    """What comes over a connection: answers that arrive together are read one after the other."""

    def close(self) -> None:
        """The end of one answer is not that of the connection."""


class Wire:
    """One connection, spoken to in bytes."""

    def __init__(self, gateway: RunningGateway, reader: httpx.Client, upgrade: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
        self.reader = reader
        self.upgrade = upgrade
        self.arriving = Unclosed(self.socket.makefile("rb", buffering=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def makefile(self, *_: object) -> Unclosed:
        """What an answer is read from."""
        return self.arriving

    def request(self, path: str, kind: str, body: bytes, chunked: bool) -> list[bytes]:
        """Head, and pieces of the body as they go on the wire."""
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        token = "" if path == "/oauth/token" else f"Authorization: {self.reader.headers['authorization']}\r\n"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{token}{self.upgrade}Content-Type: {kind}\r\n{length}\r\n\r\n"
        halves = [body[: len(body) // 2], body[len(body) // 2 :]]
        if chunked:
            halves = [b"%x\r\n%s\r\n" % (len(half), half) for half in halves] + [b"0\r\n\r\n"]
        return [head.encode(), *halves]

    def send(self, pieces: list[bytes], apart: bool) -> None:
        """In one packet, or each on its own."""
        for piece in pieces if apart else [b"".join(pieces)]:
            self.socket.sendall(piece)
            time.sleep(0.02 * apart)

    def answer(self) -> tuple[int, http.client.HTTPResponse, bytes]:
        """The next answer."""
        found = http.client.HTTPResponse(self)  # type: ignore[arg-type] - it asks for `makefile` alone
        found.begin()
        return found.status, found, found.read()


@pytest.mark.parametrize("apart", [False, True], ids=["one-packet", "packets"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("upgrade", UPGRADE, ids=["h2c", "websocket", "several"])
def test_a_wish_for_another_protocol_is_ignored_and_the_body_is_read(
    gateway: RunningGateway, reader: httpx.Client, upgrade: str, chunked: bool, apart: bool
) -> None:
    client, secret = gateway.credential
    form = f"grant_type=client_credentials&client_id={client}&client_secret={secret}".encode()
    asked = json.dumps({"filter": "jenis = 'puskesmas'", "sort": ["nama"], "limit": 1, "agencies": ["dinkes"]}).encode()
    with Wire(gateway, reader, upgrade) as wire:
        for _ in range(2):  # a connection is kept
            wire.send(wire.request("/oauth/token", "application/x-www-form-urlencoded", form, chunked), apart)
            status, head, body = wire.answer()
            assert (status, head.getheader("upgrade"), json.loads(body)["token_type"]) == (200, None, "Bearer")
            wire.send(wire.request(f"{LIST}/search", "application/json", asked, chunked), apart)
            status, _, body = wire.answer()
            assert (status, [item["_source"]["id"] for item in json.loads(body)["items"]]) == (200, ["P2"])
            wire.send([f"GET /status HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n".encode()], apart)
            status, head, body = wire.answer()
            assert (status, head.getheader("connection")) == (200, None)
            assert json.loads(body)


def test_a_body_behind_a_wish_for_another_protocol_is_no_request(gateway: RunningGateway, reader: httpx.Client) -> None:
    hidden = b"GET /v1/no-such-route HTTP/1.1\r\nHost: x\r\n\r\n"
    with Wire(gateway, reader, UPGRADE[0]) as wire:
        wire.send(wire.request(f"{LIST}/search", "application/json", hidden, chunked=False), apart=True)
        assert wire.answer()[0] == 400
        wire.socket.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.answer()[0] == 200


def test_requests_sent_at_once_are_answered_in_turn(gateway: RunningGateway, reader: httpx.Client) -> None:
    with Wire(gateway, reader, UPGRADE[0]) as wire:
        pieces: list[bytes] = []
        for limit in (1, 2, 1, 2):
            body = json.dumps({"limit": limit, "agencies": ["dinkes"]}).encode()
            pieces += wire.request(f"{LIST}/search", "application/json", body, chunked=limit == 2)
        pieces.append(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.send(pieces, apart=False)
        for limit in (1, 2, 1, 2):
            status, _, body = wire.answer()
            assert (status, len(json.loads(body)["items"])) == (200, limit)
        assert wire.answer()[0] == 200


def test_a_tunnel_is_refused_and_the_connection_closed(gateway: RunningGateway, reader: httpx.Client) -> None:
    with Wire(gateway, reader, "") as wire:
        wire.socket.sendall(
            b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\nGET /status HTTP/1.1\r\n\r\n"
        )
        status, head, _ = wire.answer()
        assert 400 <= status < 500
        assert head.getheader("connection") == "close"
        assert wire.arriving.read(1) == b""


@pytest.mark.parametrize(
    "sent", [b"hallo\r\n\r\n", b"GET /health/live?a=" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n"]
)
def test_what_is_no_request_gets_a_problem(gateway: RunningGateway, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(sent)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["code"], problem["retryable"]) == (400, "http_malformed", False)
    assert problem["type"] == f"{gateway.url}/problems/http-malformed"
    assert httpx.get(problem["type"], trust_env=False).status_code == 200
