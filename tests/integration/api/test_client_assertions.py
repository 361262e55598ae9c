"""Clients that prove themselves by a signed assertion, over HTTP on both stores: every algorithm, every way to get it wrong."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.signing import ASSERTION_TYPE, Signer, encoded

ALGORITHMS = ("ES256", "PS256", "EdDSA", "Ed25519")


def keyed(gateway: RunningGateway, *signers: Signer, client_id: str) -> str:
    body = {"id": client_id, "agency": "rsud", "role": "client", "name": "SIMRS", "keys": [one.jwk for one in signers]}
    made = gateway.admin.post("/v1/clients", json=body)
    assert made.status_code in {201, 409}, made.text
    return client_id


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("ES256", kid="utama")


@pytest.fixture
def client(gateway: RunningGateway, signer: Signer) -> str:
    return keyed(gateway, signer, client_id="simrs-kunci")


def ask(gateway: RunningGateway, form: dict[str, Any], **more: Any) -> httpx.Response:
    return httpx.post(f"{gateway.url}/oauth/token", data=form, trust_env=False, **more)


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 401, answer.text
    assert answer.json()["error"] == "invalid_client"
    return str(answer.json()["error_description"])


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_each_algorithm_gets_a_token_that_reads(gateway: RunningGateway, alg: str) -> None:
    signer = Signer(alg, kid="k1")
    client_id = keyed(gateway, signer, client_id=f"simrs-{alg.lower()}")
    answer = ask(gateway, signer.form(client_id, gateway.url))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert httpx.get(f"{gateway.url}/v1/access", headers=headers, trust_env=False).status_code == 200


@pytest.mark.parametrize(("said", "signs"), [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_two_names_of_one_signature_stand_for_each_other(gateway: RunningGateway, said: str, signs: str) -> None:
    signer = Signer(signs, kid="k1")
    signer.jwk["alg"] = said
    client_id = keyed(gateway, signer, client_id=f"simrs-{said.lower()}-{signs.lower()}")
    assert ask(gateway, signer.form(client_id, gateway.url)).status_code == 200
    assert ask(gateway, signer.form(client_id, gateway.url, header={"alg": "ES256"})).status_code == 401


def test_a_client_with_keys_has_no_secret_and_shows_no_key_of_its_own(gateway: RunningGateway, signer: Signer) -> None:
    body = {"id": "simrs-baru", "agency": "rsud", "role": "client", "name": "SIMRS", "keys": [signer.jwk]}
    made = gateway.admin.post("/v1/clients", json=body)
    assert made.status_code == 201
    assert "client_secret" not in made.json()
    assert made.json()["proves_by"] == "keys"
    assert made.json()["keys"][0] | {"thumbprint": ""} == {
        "kid": "utama", "thumbprint": "", "kty": "EC", "algorithms": ["ES256"],
    }  # fmt: skip
    assert gateway.admin.post("/v1/clients/simrs-baru/rotate").status_code == 409


def test_an_assertion_counts_once_also_after_a_restart(gateway: RunningGateway, client: str, signer: Signer) -> None:
    form = signer.form(client, gateway.url)
    assert ask(gateway, form).status_code == 200
    assert "used already" in refused(ask(gateway, form))
    gateway.stop()
    gateway.start()
    assert "used already" in refused(ask(gateway, form))
    fresh = signer.form(client, gateway.url, jti="dua-kali")
    assert ask(gateway, fresh).status_code == 200
    assert "used already" in refused(ask(gateway, signer.form(client, gateway.url, jti="dua-kali")))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"aud": "{issuer}/oauth/token"}, "aud"),
        ({"aud": "{issuer}/"}, "aud"),
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": ["{issuer}"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"iss": "simrs-lain"}, "iss and sub"),
        ({"sub": "simrs-lain"}, "iss and sub"),
        ({"iss": None}, "iss and sub"),
        ({"sub": None}, "iss and sub"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, "jti"),
        ({"jti": "x" * 257}, "jti"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": "+400"}, "300 seconds"),
        ({"exp": "-30"}, "ended"),
        ({"iat": "+90"}, "future"),
        ({"nbf": "+90"}, "future"),
    ],
)
def test_every_claim_that_is_wrong_is_named(
    gateway: RunningGateway, client: str, signer: Signer, changed: dict[str, Any], told: str
) -> None:
    now = int(time.time())

    def meant(value: Any) -> Any:
        if isinstance(value, str) and value[:1] in "+-" and value:
            return now + int(value)
        if isinstance(value, list):
            return [meant(one) for one in value]
        return value.replace("{issuer}", gateway.url) if isinstance(value, str) else value

    form = signer.form(client, gateway.url, **{name: meant(value) for name, value in changed.items()})
    assert told in refused(ask(gateway, form))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"alg": "RS256"}, "alg"),
        ({"alg": "none"}, "alg"),
        ({"alg": "HS256"}, "alg"),
        ({"alg": "Ed448"}, "alg"),
        ({"alg": 1}, "alg"),
        ({"kid": 1}, "kid"),
        ({"kid": "another"}, "unknown"),
        ({"typ": "at+jwt"}, "typ"),
        ({"typ": "dpop+jwt"}, "typ"),
        ({"crit": ["exp"]}, "crit"),
        ({"jwk": {"kty": "EC"}}, "jwk"),
        ({"jku": "https://evil.example/keys"}, "jku"),
        ({"x5u": "https://evil.example/cert"}, "x5u"),
    ],
)
def test_every_header_that_is_wrong_is_named(
    gateway: RunningGateway, client: str, signer: Signer, header: dict[str, Any], told: str
) -> None:
    assert told in refused(ask(gateway, signer.form(client, gateway.url, header=header)))


def test_strangers_disabled_clients_and_wrong_keys_are_told_the_same(gateway: RunningGateway, signer: Signer) -> None:
    client = keyed(gateway, signer, client_id="simrs-mati")
    assert gateway.admin.patch(f"/v1/clients/{client}", json={"disabled": True}).status_code == 200
    secret = gateway.admin.post("/v1/clients", json={"agency": "rsud", "role": "client", "name": "x"}).json()
    wrong = Signer("ES256", kid="utama")
    told = {
        refused(ask(gateway, signer.form(client, gateway.url))),
        refused(ask(gateway, signer.form("nobody", gateway.url))),
        refused(ask(gateway, signer.form(secret["client_id"], gateway.url))),
        refused(ask(gateway, wrong.form("simrs-kunci", gateway.url))),
    }
    assert len(told) == 1


@pytest.mark.parametrize("assertion", ["", "a", "a.b", "a.b.c", "...", "a.b.c.d", "é.b.c", "x" * 5000, f"{encoded({})}.{encoded(b'[]')}.x"])  # fmt: skip
def test_what_is_no_assertion_is_refused(gateway: RunningGateway, assertion: str) -> None:
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    refused(ask(gateway, form))


def test_one_way_to_prove_oneself(gateway: RunningGateway, client: str, signer: Signer) -> None:
    form = signer.form(client, gateway.url)
    refused(ask(gateway, form, auth=gateway.credential))
    refused(ask(gateway, {**form, "client_secret": "x"}))
    assert "client_assertion_type" in refused(ask(gateway, {**form, "client_assertion_type": "jwt"}))
    assert "client_id" in refused(ask(gateway, {**form, "client_id": "other"}))
    assert ask(gateway, {**form, "client_id": client}).status_code == 200


def test_keys_are_changed_by_the_walidata_and_the_old_ones_stop(gateway: RunningGateway) -> None:
    old, new = Signer("ES256", kid="lama"), Signer("EdDSA", kid="baru")
    client = keyed(gateway, old, client_id="simrs-ganti")
    token = ask(gateway, old.form(client, gateway.url)).json()["access_token"]
    for keys, works in (([old, new], True), ([new], False)):
        answer = gateway.admin.put(f"/v1/clients/{client}/keys", json={"keys": [one.jwk for one in keys]})
        assert answer.status_code == 200, answer.text
        time.sleep(0.3)
        headers = {"authorization": f"Bearer {token}"}
        found = httpx.get(f"{gateway.url}/v1/access", headers=headers, trust_env=False)
        assert (found.status_code == 200) == works
        assert (ask(gateway, old.form(client, gateway.url)).status_code == 200) == works
        assert ask(gateway, new.form(client, gateway.url)).status_code == 200
    assert gateway.admin.put(f"/v1/clients/{client}/keys", json={"keys": []}).json()["proves_by"] == "nothing"
    refused(ask(gateway, new.form(client, gateway.url)))


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"d": "AAAA"}, "/keys/0/d"),
        ({"kty": "oct", "k": "AAAA"}, "/keys/0/kty"),
        ({"crv": "P-384"}, "/keys/0/crv"),
        ({"crv": "Ed25519"}, "/keys/0/crv"),
        ({"x": "AAAA"}, "/keys/0"),
        ({"x": None}, "/keys/0/x"),
        ({"y": "not base64 !"}, "/keys/0/y"),
        ({"alg": "RS256"}, "/keys/0/alg"),
        ({"alg": "PS256"}, "/keys/0/alg"),
        ({"use": "enc"}, "/keys/0/use"),
        ({"key_ops": ["sign"]}, "/keys/0/key_ops"),
        ({"kid": ""}, "/keys/0/kid"),
    ],
)
def test_a_key_that_is_none_is_refused_at_its_member(
    gateway: RunningGateway, signer: Signer, change: dict[str, Any], pointer: str
) -> None:
    body = {"agency": "rsud", "role": "client", "name": "SIMRS", "keys": [{**signer.jwk, **change}]}
    answer = gateway.admin.post("/v1/clients", json=body)
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert "AAAA" not in answer.text


def test_an_rsa_key_that_is_too_short_and_a_key_twice_are_refused(gateway: RunningGateway, signer: Signer) -> None:
    short = Signer("PS256", bits=1024).jwk
    for keys, word in (([short], "2048"), ([signer.jwk, signer.jwk], "twice")):
        body = {"agency": "rsud", "role": "client", "name": "SIMRS", "keys": keys}
        answer = gateway.admin.post("/v1/clients", json=body)
        assert answer.status_code == 422
        assert word in answer.json()["errors"][0]["detail"]


def test_the_change_of_keys_stands_in_the_log_by_thumbprints(gateway: RunningGateway, signer: Signer) -> None:
    client = keyed(gateway, signer, client_id="simrs-catat")
    shown = gateway.admin.put(f"/v1/clients/{client}/keys", json={"keys": [signer.jwk]}).json()
    supervisor = gateway.client("supervisor", "rsud")
    entries = supervisor.get("/v1/exchanges", params={"limit": 50}).json()["items"]
    ops = [one["op"] for one in entries]
    assert "client.keys" in ops
    token = ask(gateway, signer.form(client, gateway.url)).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.get(f"{gateway.url}/v1/records/fasilitas-kesehatan", headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    found = supervisor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()
    assert shown["keys"][0]["thumbprint"] in str(found)
