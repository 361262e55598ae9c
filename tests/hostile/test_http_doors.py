"""What stands at the HTTP door and must change nothing: keys and proofs of nobody, headers of a proxy, other targets, two lengths."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest, furnish, terms
from tests.integration.api.test_recorded import VERIFY, WHY
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer
from tests.unit.access.test_tokens import claims, make_key, signed

LIST = "/v1/records/fasilitas-kesehatan"
SECRET = "rahasia-7f3a9c-jangan-bocor"
NIK = "3320990101900001"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
def services() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, services: SourceServer) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("doors")
    running = RunningGateway(folder / "instance", {"SIMPUL_HEAD_SECONDS": "2"})
    running.init()
    running.start()
    furnish(running, folder, services)
    rows = "".join(f"P{number},{'Nama panjang ' * 9}{number},klinik\n" for number in range(60_000))
    (folder / "banyak.csv").write_text("kode,nama,jenis\n" + rows, "utf-8")
    running.agency("bappeda")
    running.upload("bappeda", folder / "banyak.csv")
    running.publish(facility_manifest("bappeda-banyak", "bappeda", "inbox/banyak.csv"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "rsud")


@pytest.fixture(scope="module")
def supervisor(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("supervisor", "dinkes")


def sent(gateway: RunningGateway, raw: bytes, seconds: float = 5.0) -> bytes:
    """All that comes back on one connection until it is closed, or silent for a moment."""
    found = b""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=seconds) as connection:
        try:
            connection.sendall(raw)
            while piece := connection.recv(65_536):
                found += piece
                connection.settimeout(0.5)
        except (TimeoutError, ConnectionError):
            pass
    return found


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def entries(supervisor: httpx.Client, exchange: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = supervisor.get(f"/v1/exchanges/{exchange}").json()["entries"]
    return found


def test_hostile_33_a_thousand_keys_of_nobody_cost_no_look_at_the_keys(gateway: RunningGateway) -> None:
    before, started = len(gateway_log(gateway)), time.monotonic()
    with httpx.Client(base_url=gateway.url, trust_env=False) as asking:
        for number in range(1000):
            token = signed(claims(iss=gateway.url, aud=gateway.url), make_key(f"kid-{number}"))
            answer = asking.get("/v1/schemas", headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert time.monotonic() - started < 60
    assert len(gateway_log(gateway)) - before < 100_000  # nobody fills the disk by asking


def gateway_log(gateway: RunningGateway) -> bytes:
    return (gateway.folder / "serve.log").read_bytes()


def test_hostile_35_an_assertion_of_nobody_gives_no_token_however_often_it_is_sent(gateway: RunningGateway) -> None:
    assertion = signed(claims(iss="rsud-app", sub="rsud-app", aud=gateway.url, jti="sekali"), make_key("k-nobody"))
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": assertion}
    for more in ({}, {"client_id": "rsud-app"}, {"client_id": gateway.credential[0]}):
        for _ in range(2):
            answer = httpx.post(f"{gateway.url}/oauth/token", data={**form, **more}, trust_env=False)
            assert answer.status_code in {400, 401}, answer.text
            assert "access_token" not in answer.text


def test_hostile_37_a_bearer_token_is_no_proof_of_possession(gateway: RunningGateway, reader: httpx.Client) -> None:
    token = reader.headers["authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=gateway.url, trust_env=False) as asking:
        for headers in (
            [("authorization", f"DPoP {token}")],
            [("authorization", f"DPoP {token}"), ("dpop", "e30.e30.AAAA")],
            [("dpop", signed({"htm": "GET", "htu": f"{gateway.url}{LIST}", "jti": "a", "iat": int(time.time())}))],
        ):
            assert asking.get(LIST, headers=headers).status_code == 401, headers
        twice = [("authorization", f"Bearer {token}"), ("dpop", "a"), ("dpop", "b")]
        assert (answer := asking.get(LIST, headers=twice)).status_code == 400
        assert answer.json()["code"] == "header_repeated"


@pytest.mark.parametrize(
    "name",
    ["X-Client-Cert", "X-SSL-Client-Cert", "SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-ARR-ClientCert"],
)  # fmt: skip
def test_hostile_38_a_certificate_in_a_header_makes_nobody(
    gateway: RunningGateway, reader: httpx.Client, name: str
) -> None:
    proxy = {name: "Subject=CN=admin", "SSL_CLIENT_VERIFY": "SUCCESS", "X-SSL-Client-Verify": "SUCCESS"}
    assert httpx.get(f"{gateway.url}/v1/clients", headers=proxy, trust_env=False).status_code == 401
    refused = reader.get("/v1/clients", headers={**proxy, "X-Remote-User": "admin", "X-Road-Client": "GOV/diskominfo"})
    assert (refused.status_code, refused.json()["code"]) == (403, "role_forbidden")


TARGETS = [
    b"//v1/clients", b"/v1//clients", b"/v1/clients/", b"/v1/./clients", b"/health/../v1/clients", b"/health/..%2fv1/clients",
    b"/health/live/..%2f..%2fv1%2fclients", b"/v1%2fclients", b"/%76%31/clients", b"/v1/clients;a=b", b"/health/live;/v1/clients",
    b"/v1/clients%00", b"/v1/clients%0d%0aX: y", b"/docs/../v1/clients", b"/V1/clients", b"http://lain.example/v1/clients",
    b"http://lain.example//v1/clients", b"/openapi.json/../v1/clients", b"/v1\\clients", b"/v1/clients?x=/health/live", b"*",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_hostile_40_no_way_to_write_a_target_leads_past_its_door(
    gateway: RunningGateway, reader: httpx.Client, target: bytes
) -> None:
    for host in (b"x", b"x/openapi.json?x=", b"127.0.0.1/health/live"):
        head = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n"
        nobody = sent(gateway, head + b"\r\n")
        token = b"Authorization: " + reader.headers["authorization"].encode() + b"\r\n"
        client = sent(gateway, head + token + b"\r\n")
        for answer in (nobody, client):
            assert b'"client_id"' not in answer, (target, answer)
            assert all(status in {301, 307, 308, 400, 401, 403, 404, 405} for status in statuses(answer)), answer


def test_hostile_40_two_hosts_change_nothing(gateway: RunningGateway) -> None:
    answer = sent(gateway, b"GET /v1/clients HTTP/1.1\r\nHost: a\r\nHost: b/health/live\r\nConnection: close\r\n\r\n")
    assert statuses(answer) in ([400], [401])


INNER = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\nContent-Length: 50\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: 4, 4\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"X-A: 1\r\n folded: 2\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ],
)
def test_hostile_41_two_ways_to_end_a_body_are_no_request(gateway: RunningGateway, head: bytes) -> None:
    body = b"0\r\n\r\n" + INNER
    answer = sent(gateway, b"POST /v1/queries HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body)
    assert statuses(answer)[:1] in ([400], [401], [501]), answer
    assert b"alive" not in answer
    assert 200 not in statuses(answer), answer


def test_hostile_41_headers_without_an_end_and_other_protocols_are_closed(gateway: RunningGateway) -> None:
    large = sent(gateway, b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 1_048_576 + b"\r\n\r\n")
    assert statuses(large) in ([], [400], [431])
    reset = b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"
    second = sent(gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + reset * 1000)
    assert 200 not in statuses(second)
    assert httpx.get(f"{gateway.url}/health/live", trust_env=False).status_code == 200


def test_hostile_42_the_address_of_an_exchange_is_that_of_the_connection(
    reader: httpx.Client, supervisor: httpx.Client
) -> None:
    spoof = {"X-Forwarded-For": "203.0.113.9, 10.0.0.1", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    answer = reader.get(f"{LIST}/P1", headers=spoof)
    assert answer.status_code == 200
    kept = entries(supervisor, answer.headers["exchange-id"])
    assert [entry["detail"]["address"] for entry in kept if "address" in entry["detail"]] != []
    assert {entry["detail"].get("address", "127.0.0.1") for entry in kept} == {"127.0.0.1"}
    assert "203.0.113.9" not in str(kept)


def test_hostile_49_a_source_that_gives_another_person_gives_nobody(
    gateway: RunningGateway, services: SourceServer
) -> None:
    other = b'{"data": [{"nik": "3320990202910002", "nama": "Orang Lain", "status": "HIDUP", "gaji": "9000000"}]}'
    services.json("/orang", other)
    gateway.agency("bkd")
    fields = {"nik": "nik", "nama": "nama", "status_dasar": "status"}
    source = {"kind": "rest", "url": f"{services.url}/orang", "record_path": "$.data[*]", "params": {"a": "b"}}
    manifest = {"connector": "bkd-orang", "agency": "bkd", "schema": "penduduk_verifikasi@1", "source": source}
    gateway.publish({**manifest, "fields": fields})
    gateway.agree(terms("bkd", id="pks-bkd"))
    asking = gateway.client("client", "rsud")
    why = {**WHY, "Simpul-Purpose": "pelayanan_kesehatan", "Simpul-Agreement": "pks-bkd"}
    for body in (other, b'{"data": [{"nik": 7, "nama": ["x"], "status": {}}]}', b'{"data": [{"nik": null}]}'):
        services.json("/orang", body)
        answer = asking.post(VERIFY, json={"nik": NIK, "nama": "Siti Contoh Aminah"}, headers=why)
        assert answer.status_code in {200, 502, 503}, answer.text
        assert "cocok" not in answer.text.replace("tidak_cocok", "")
        assert not any(word in answer.text for word in ("Orang", "O***", "9000000", "3320990202910002", "gaji"))


def test_hostile_57_a_consumer_that_leaves_in_the_middle_leaves_a_release_and_what_it_got(
    gateway: RunningGateway, reader: httpx.Client, supervisor: httpx.Client
) -> None:
    asked = f"GET {LIST}?f=csv&agencies=bappeda HTTP/1.1\r\nHost: x\r\nAuthorization: {reader.headers['authorization']}\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", gateway.port))
        connection.sendall(asked.encode())
        begun = connection.recv(8192)
    assert begun.startswith(b"HTTP/1.1 200"), begun[:200]
    exchange = re.search(rb"(?i)exchange-id: ([0-9a-f-]+)", begun)[1].decode()
    ends = time.monotonic() + 15
    while len(kept := entries(supervisor, exchange)) < 3:
        assert time.monotonic() < ends, kept
        time.sleep(0.05)
    assert [entry["kind"] for entry in kept] == ["intent", "outcome", "delivery"]
    assert kept[1]["status"] == 200
    assert kept[2]["bytes"] < kept[1]["bytes"]


def test_hostile_60_no_secret_stands_in_a_document_an_answer_or_a_log(gateway: RunningGateway) -> None:
    steward = gateway.client("steward", "dinkes")
    assert steward.put("/v1/secrets/db", json={"value": SECRET}).is_success
    source = {"kind": "sql", "url": "postgresql://u:${secret:db}@127.0.0.1:9/d", "table": "t"}
    connector = {"connector": "dinkes-rahasia", "agency": "dinkes", "source": source}
    answers = [
        steward.put("/v1/connectors/dinkes-rahasia", json=connector),
        steward.post("/v1/connectors/dinkes-rahasia/check"),
        steward.post("/v1/connectors/dinkes-rahasia/discover"),
        steward.get("/v1/connectors/dinkes-rahasia"),
        steward.get("/v1/secrets"),
        steward.put("/v1/secrets/db", json={"value": SECRET, "lain": 1}),
        steward.put("/v1/secrets/db", json={"value": [SECRET]}),
        steward.get(f"/v1/secrets/{SECRET}"),
        httpx.post(f"{gateway.url}/oauth/token", auth=("x", SECRET), data={"grant_type": "client_credentials"}),
        httpx.post(f"{gateway.url}/oauth/token", data={"grant_type": SECRET, "client_secret": SECRET}),
        httpx.get(f"{gateway.url}/openapi.json"),
        httpx.get(f"{gateway.url}/docs"),
    ]
    token = steward.headers["authorization"].removeprefix("Bearer ")
    hidden = (SECRET, gateway.credential[1], token)
    for answer in answers:
        told = answer.text.replace(f"/v1/secrets/{SECRET}", "")
        assert not any(secret in told for secret in hidden), told[:2000]
    log = gateway_log(gateway).decode("utf-8", "replace")
    assert not any(secret in log for secret in hidden)
    document = answers[-2].text
    for pattern in (r"eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.", r"-----BEGIN [A-Z ]*PRIVATE KEY", r"\$argon2id\$"):
        assert re.search(pattern, document) is None, pattern
    secrets = [
        path for path in Path(gateway.folder).rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert secrets == []
