"""Wrong proofs over HTTP: they are counted by address, wait longer and longer, and never stop those who prove themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import RunningGateway

LIMIT = 100


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder: Path = tmp_path_factory.mktemp("gateway") / "instance"
    changed = {"SIMPUL_REFUSALS_PER_MINUTE": str(LIMIT), "SIMPUL_TRUSTED_PROXIES": '["127.0.0.0/8"]'}
    running = RunningGateway(folder, changed)
    running.init()
    running.start()
    yield running
    assert running.stop() == 0


def ask(gateway: RunningGateway, address: str, client_id: str, secret: str) -> httpx.Response:
    headers = {"x-forwarded-for": f"1.2.3.4, {address}"}
    form = {"grant_type": "client_credentials"}
    return httpx.post(
        f"{gateway.url}/oauth/token", data=form, auth=(client_id, secret), headers=headers, trust_env=False
    )


def made(gateway: RunningGateway) -> tuple[str, str]:
    gateway.agency("rsud")
    client = gateway.admin.post("/v1/clients", json={"agency": "rsud", "role": "client", "name": "x"}).json()
    return client["client_id"], client["client_secret"]


def until_it_waits(gateway: RunningGateway, address: str, client_id: str) -> list[httpx.Response]:
    """Wrong secrets, up to the first answer that says to wait (on a slow machine a wait of a second is over before the next try)."""
    found = [ask(gateway, address, client_id, "wrong")]
    while found[-1].status_code != 429:
        assert len(found) < 20
        found.append(ask(gateway, address, client_id, f"wrong-{len(found)}"))
    return found


def test_wrong_secrets_in_a_row_wait_and_the_client_goes_on_elsewhere(gateway: RunningGateway) -> None:
    client_id, secret = made(gateway)
    found = until_it_waits(gateway, "198.51.100.1", client_id)
    assert [answer.status_code for answer in found[:5]] == [401] * 5
    assert found[-1].json()["rule"] == "failed_attempts_in_a_row"
    assert int(found[-1].headers["retry-after"]) >= 1
    assert "mend the credential" in found[-1].json()["detail"]
    assert ask(gateway, "198.51.100.1", client_id, secret).status_code == 429, "nothing is hashed while it waits"
    assert ask(gateway, "198.51.100.2", client_id, secret).status_code == 200
    assert ask(gateway, "198.51.100.1", client_id, secret).status_code == 200, (
        "a secret that is known to be right passes"
    )
    time.sleep(1.1)
    assert ask(gateway, "198.51.100.1", client_id, "wrong-9").status_code == 401, "the row has ended"


def test_who_is_not_there_waits_as_who_is(gateway: RunningGateway) -> None:
    found = until_it_waits(gateway, "198.51.100.3", "nobody")
    assert [answer.status_code for answer in found[:5]] == [401] * 5


def test_an_address_has_so_many_401s_and_right_tokens_pass(gateway: RunningGateway) -> None:
    headers = {"x-forwarded-for": "198.51.100.4"}
    with httpx.Client(base_url=gateway.url, trust_env=False, headers=headers) as asking:
        before, found = time.monotonic(), []
        while 429 not in found:
            found.append(asking.get("/v1/access", headers={"authorization": f"Bearer {len(found)}"}).status_code)
            assert len(found) <= LIMIT + 2 + LIMIT * (time.monotonic() - before) / 60
        assert found.count(401) >= LIMIT
        refused = asking.get("/v1/access")
        assert (refused.status_code, refused.json()["rule"]) == (429, "failed_attempts_of_address")
        right = {"authorization": gateway.admin.headers["authorization"]}
        assert asking.get("/v1/clients", headers=right).status_code == 200
        assert asking.get("/v1/access", headers={"x-forwarded-for": "198.51.100.5"}).status_code == 401
    assert ask(gateway, "198.51.100.9", "nobody", "wrong").status_code == 401
    shown = gateway.admin.get("/metrics").text
    assert 'simpul_refusals_total{code="token_invalid"}' in shown
    assert 'simpul_refusals_total{code="invalid_client"}' in shown


def test_one_address_does_not_keep_the_threads_of_argon2(gateway: RunningGateway) -> None:
    client_id, secret = made(gateway)
    with ThreadPoolExecutor(40) as pool:
        flood = [pool.submit(ask, gateway, "198.51.100.6", f"nobody-{number}", "x") for number in range(40)]
        before = time.monotonic()
        answer = ask(gateway, "198.51.100.7", client_id, secret)
        taken = time.monotonic() - before
        statuses = {one.result().status_code for one in flood}
    assert answer.status_code == 200
    assert statuses <= {401, 429, 503}
    assert 401 in statuses
    assert taken < 5


def test_the_same_wrong_secret_is_hashed_once(gateway: RunningGateway) -> None:
    taken = []
    for _ in range(3):
        before = time.monotonic()
        assert ask(gateway, "198.51.100.8", "nobody-else", "always-the-same").status_code == 401
        taken.append(time.monotonic() - before)
    assert min(taken[1:]) < taken[0]
