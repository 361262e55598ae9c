"""Stolen and replayed proofs of a client that has a key, over HTTP, at two replicas of one store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.gateways import Replicas, two_replicas
from tests.support.signing import Signer

READ = "/v1/access"
ROUNDS = 12


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory, postgres_module_url: str) -> Iterator[Replicas]:
    with two_replicas(tmp_path_factory.mktemp("replays") / "instance", postgres_module_url) as made:
        made[0].agency("rsud")
        yield made


@pytest.fixture(scope="module")
def signer(replicas: Replicas) -> Signer:
    """The key of the client `rsud-kunci`, whose tokens are bound to keys."""
    made = Signer("ES256", kid="utama")
    body = {"id": "rsud-kunci", "agency": "rsud", "role": "client", "name": "x", "keys": [made.jwk], "dpop": True}
    answer = replicas[0].admin.post("/v1/clients", json=body)
    assert answer.status_code == 201, answer.text
    time.sleep(1.5)  # the other replica knows it within a second
    return made


def token_by(url: str, issuer: str, signer: Signer, holder: Signer) -> str:
    nonce = None
    for _ in range(2):
        proof = holder.proof("POST", f"{issuer}/oauth/token", nonce=nonce)
        form = signer.form("rsud-kunci", issuer)
        answer = httpx.post(f"{url}/oauth/token", data=form, headers={"DPoP": proof}, trust_env=False)
        if answer.status_code == 200:
            return str(answer.json()["access_token"])
        nonce = answer.headers.get("dpop-nonce")
    raise AssertionError(answer.text)


def test_hostile_35_an_assertion_sent_to_two_replicas_at_once_gives_one_token(
    replicas: Replicas, signer: Signer
) -> None:
    one, other = replicas
    free = {"id": "rsud-bebas", "agency": "rsud", "role": "client", "name": "x", "keys": [signer.jwk]}
    assert one.admin.post("/v1/clients", json=free).status_code == 201
    time.sleep(1.5)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(ROUNDS):
            form = signer.form("rsud-bebas", one.url)
            urls = [gateway.url for gateway in (one, other, one, other)]
            answers = list(
                pool.map(lambda url, form=form: httpx.post(f"{url}/oauth/token", data=form, trust_env=False), urls)
            )  # type: ignore[misc]
            assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
            assert {answer.json()["error"] for answer in answers if answer.status_code == 401} == {"invalid_client"}


def test_hostile_37_a_stolen_token_is_nothing_without_its_key_and_a_proof_counts_once_on_all_replicas(
    replicas: Replicas, signer: Signer
) -> None:
    one, other = replicas
    holder, thief = Signer(), Signer()
    token = token_by(one.url, one.url, signer, holder)
    first = httpx.get(f"{one.url}{READ}", headers={"authorization": f"DPoP {token}", "DPoP": holder.proof("GET", f"{one.url}{READ}", token=token)}, trust_env=False)  # fmt: skip
    nonce = first.headers.get("dpop-nonce")

    def read(proof: str | None, scheme: str = "DPoP", gateway: RunningGateway = one) -> int:
        headers = {"authorization": f"{scheme} {token}", **({"DPoP": proof} if proof else {})}
        return httpx.get(f"{gateway.url}{READ}", headers=headers, trust_env=False).status_code

    def proof(by: Signer = holder, method: str = "GET", path: str = READ, **more: object) -> str:
        given = {"token": token, "nonce": nonce, **more}
        return by.proof(method, f"{one.url}{path}", **given)  # type: ignore[arg-type]

    used = proof()
    assert read(used) == 200
    now = int(time.time())
    refused = {
        "as a bearer token": read(None, "Bearer"),
        "as a bearer token with its proof": read(proof(), "Bearer"),
        "without a proof": read(None),
        "by another key": read(proof(thief)),
        "another method": read(proof(method="POST")),
        "another address": read(proof(path="/v1/schemas")),
        "of another token": read(proof(token="x")),
        "of no token": read(proof(token=None)),
        "long ago": read(proof(iat=now - 120)),
        "not yet": read(proof(iat=now + 120)),
        "a private key in it": read(proof(header={"jwk": {**holder.jwk, "d": "AAAA"}})),
        "an algorithm for encryption": read(proof(header={"alg": "RSA1_5"})),
        "used": read(used),
    }
    assert set(refused.values()) == {401}, refused
    assert [read(proof(iat=now + skew)) for skew in (-10, 10)] == [200, 200]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(ROUNDS):
            again = proof()
            asked = (one, other, one, other)
            found = list(pool.map(lambda at, again=again: read(again, gateway=at), asked))  # type: ignore[misc]
            assert sorted(found) == [200, 401, 401, 401]
