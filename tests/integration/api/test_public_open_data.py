"""`SIMPUL_PUBLIC_OPEN_DATA`: open fields without a token, by address, recorded as PUBLIC; all else stays closed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import furnish
from tests.integration.api.test_asserted import DOORS
from tests.integration.api.test_recorded import LIST, VERIFY, WHY, recorded
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

MOST = 20
_ADDRESS = count(1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, services: SourceServer) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("public")
    more = {
        "SIMPUL_PUBLIC_OPEN_DATA": "true",
        "SIMPUL_PUBLIC_RATE_PER_MINUTE": str(MOST),
        "SIMPUL_TRUSTED_PROXIES": '["127.0.0.1/32"]',
    }
    running = RunningGateway(folder / "instance", more)
    running.init()
    running.start()
    furnish(running, folder, services)
    yield running
    assert running.stop() == 0


@pytest.fixture
def stranger(gateway: RunningGateway) -> Iterator[httpx.Client]:
    """Without a token, each time from another address."""
    number = next(_ADDRESS)
    with httpx.Client(base_url=gateway.url, headers={"X-Forwarded-For": f"198.51.100.{number}"}) as client:
        yield client


@pytest.fixture(scope="module")
def supervisor(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("supervisor", "dinkes")


def test_open_fields_are_read_and_recorded(stranger: httpx.Client, supervisor: httpx.Client) -> None:
    for answer in (
        stranger.get(LIST),
        stranger.get(f"{LIST}/P1"),
        stranger.post(f"{LIST}/search", json={"filter": "jenis = 'puskesmas'"}),
        stranger.get(LIST, params={"f": "csv", "limit": "2"}),
        stranger.get(f"{LIST}/conflicts"),
        stranger.post(
            f"{LIST}/aggregate", json={"group_by": ["jenis"], "aggregates": [{"function": "count", "as": "n"}]}
        ),
    ):
        assert answer.status_code == 200, answer.text
        assert '"email_kontak":' not in answer.text
        assert answer.headers["ratelimit-policy"] == f'"address";q={MOST};w=60'
        assert answer.headers["cache-control"] == "no-store"
        intent, outcome = recorded(supervisor, answer)
        assert (intent["client"]["client"], intent["client"]["agency"].rpartition("/")[2]) == ("PUBLIC", "PUBLIC")
        assert outcome["dec"] == {"effect": "allow", "rule": "open_data"}
        assert intent["detail"]["address"].startswith("198.51.100.")


@pytest.mark.parametrize(
    "more",
    [
        {"params": {"fields": "kode_faskes,email_kontak"}},
        {"params": {"fields": "email_kontak"}},
        {"params": {"filter": "email_kontak IS NOT NULL"}},
        {"params": {"sort": "email_kontak"}},
        {"params": {"email_kontak": "a@b.example"}},
    ],
)
def test_a_closed_field_asks_for_a_token(
    stranger: httpx.Client, supervisor: httpx.Client, more: dict[str, Any]
) -> None:
    answer = stranger.get(LIST, **more)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing"), answer.text
    assert "email_kontak" in answer.json()["detail"]
    assert "/oauth/token" in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")
    _, outcome = recorded(supervisor, answer)
    assert outcome["dec"] == {"effect": "deny", "rule": "token_needed"}


def test_an_aggregate_of_a_closed_field_and_a_whole_answer_ask_for_a_token(stranger: httpx.Client) -> None:
    counted = {"aggregates": [{"function": "count_distinct", "field": "email_kontak", "as": "n"}]}
    for answer in (
        stranger.post(f"{LIST}/aggregate", json=counted),
        stranger.post(
            f"{LIST}/aggregate", json={"group_by": ["email_kontak"], "aggregates": [{"function": "count", "as": "n"}]}
        ),
        stranger.get(LIST, params={"f": "csv"}),
        stranger.get(LIST, params={"f": "parquet"}),
        stranger.get(LIST, headers={"Prefer": "respond-async"}),
        stranger.get("/v1/records/penduduk-agregat"),
    ):
        told = (answer.status_code, answer.json().get("code"))
        assert told == (401, "token_missing") or (answer.status_code == 200 and not answer.json()["items"]), answer.text


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_every_other_door_stays_closed(stranger: httpx.Client, door: tuple[str, str, dict[str, Any]]) -> None:
    method, path, more = door
    answer = stranger.request(method, path, **more)
    last = path.rpartition("/")[2]
    if path in (LIST, f"{LIST}/P1") or last in {"search", "aggregate", "conflicts"}:
        assert answer.status_code == 200, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/schemas"), ("GET", "/v1/agencies"), ("GET", "/v1/access"), ("GET", "/v1/exchanges"),
        ("GET", "/v1/records/penduduk-verifikasi"), ("POST", VERIFY), ("POST", "/v1/records/penduduk-verifikasi/match"),
        ("GET", "/v1/jobs/019aa1b2-0000-7000-8000-000000000001"), ("POST", "/v1/agencies"), ("GET", "/metrics"),
    ],
)  # fmt: skip
def test_nothing_else_is_open(stranger: httpx.Client, method: str, path: str) -> None:
    answer = stranger.request(method, path, headers=WHY)
    assert answer.status_code == 401, answer.text
    assert "exchange-id" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"Authorization": "Basic YTpi"},
        {"DPoP": "x"},
        {"Simpul-Mode": "uji"},
    ],
)
def test_what_looks_like_a_token_or_practice_is_never_silently_public(
    stranger: httpx.Client, headers: dict[str, str]
) -> None:
    assert stranger.get(LIST, headers=headers).status_code == 401


def test_the_rate_is_of_the_address_behind_trusted_proxies(gateway: RunningGateway) -> None:
    def ask(forwarded: str) -> httpx.Response:
        return httpx.get(f"{gateway.url}{LIST}", params={"limit": "1"}, headers={"X-Forwarded-For": forwarded})

    answers = [ask(f"10.9.9.{number}, 203.0.113.7") for number in range(MOST + 2)]  # the left part anybody can write
    assert [answer.status_code for answer in answers].count(429) >= 1
    limited = answers[-1]
    assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
    assert int(limited.headers["retry-after"]) >= 1
    assert ask("203.0.113.8").status_code == 200
    inside = [ask(f"2001:db8:1:2::{number:x}") for number in range(MOST + 2)]  # one subscriber has a whole /64
    assert 429 in {answer.status_code for answer in inside}
    assert ask("2001:db8:1:3::1").status_code == 200


def test_a_stranger_can_name_no_agreement_no_client_and_no_job(stranger: httpx.Client) -> None:
    assert stranger.get(LIST, headers={"Simpul-Agreement": "pks-1"}).json()["code"] == "agreement_missing"
    assert stranger.get(LIST, headers={"X-Road-Client": "ID-JEPARA/GOV/rsud"}).json()["code"] == "road_client_mismatch"


def test_the_document_says_that_a_token_is_a_choice(gateway: RunningGateway) -> None:
    document = httpx.get(f"{gateway.url}/openapi.json").json()
    assert document["paths"][LIST]["get"]["security"][-1] == {}
    assert "security" not in document["paths"][f"{LIST}/match"]["post"]
    assert {"oauth2": []} in document["paths"][LIST]["get"]["security"]


def test_without_the_setting_nothing_is_public(tmp_path_factory: pytest.TempPathFactory) -> None:
    running = RunningGateway(tmp_path_factory.mktemp("closed") / "instance")
    running.init()
    running.start()
    try:
        answer = httpx.get(f"{running.url}{LIST}")
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
        document = httpx.get(f"{running.url}/openapi.json").json()
        assert "security" not in document["paths"][LIST]["get"]
    finally:
        running.stop()
