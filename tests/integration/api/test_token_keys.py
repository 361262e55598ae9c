"""Metadata, revocation and rotation of token keys over HTTP, on both stores."""

from __future__ import annotations

import subprocess
import time

import httpx
import jwt

from tests.integration.api.test_client_assertions import keyed
from tests.support.gateway import RunningGateway
from tests.support.programs import SIMPUL
from tests.support.signing import Signer


def get(gateway: RunningGateway, path: str, token: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.get(f"{gateway.url}{path}", headers=headers, trust_env=False)


def token(gateway: RunningGateway, signer: Signer, client: str) -> str:
    answer = httpx.post(f"{gateway.url}/oauth/token", data=signer.form(client, gateway.url), trust_env=False)
    return str(answer.json()["access_token"])


def until(seconds: float, seen) -> bool:  # type: ignore[no-untyped-def]
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if seen():
            return True
        time.sleep(0.05)
    return False


def test_metadata_lead_from_a_401_to_the_token(gateway: RunningGateway) -> None:
    refused = get(gateway, "/v1/access")
    where = f"{gateway.url}/.well-known/oauth-protected-resource"
    assert f'resource_metadata="{where}"' in refused.headers["www-authenticate"]
    resource = get(gateway, "/.well-known/oauth-protected-resource").json()
    assert resource["resource"] == gateway.url
    server = get(gateway, "/.well-known/oauth-authorization-server").json()
    assert server["issuer"] == resource["authorization_servers"][0] == gateway.url
    assert set(server["token_endpoint_auth_signing_alg_values_supported"]) == {"ES256", "PS256", "EdDSA", "Ed25519"}
    assert "private_key_jwt" in server["token_endpoint_auth_methods_supported"]
    assert server["revocation_endpoint"] == f"{gateway.url}/oauth/revoke"


def test_a_client_revokes_its_own_token_and_no_other(gateway: RunningGateway) -> None:
    signer = Signer("ES256")
    mine, other = keyed(gateway, signer, client_id="simrs-cabut"), keyed(gateway, signer, client_id="simrs-lain")
    dead, alive, foreign = token(gateway, signer, mine), token(gateway, signer, mine), token(gateway, signer, other)

    def revoke(text: str) -> httpx.Response:
        form = {**signer.form(mine, gateway.url), "token": text}
        form.pop("grant_type")
        return httpx.post(f"{gateway.url}/oauth/revoke", data=form, trust_env=False)

    for text in (dead, foreign, "no-token", dead):
        answer = revoke(text)
        assert (answer.status_code, answer.json()) == (200, {}), answer.text
    assert until(2, lambda: get(gateway, "/v1/access", dead).status_code == 401)
    assert "revoked" in get(gateway, "/v1/access", dead).json()["detail"]
    assert [get(gateway, "/v1/access", text).status_code for text in (alive, foreign)] == [200, 200]
    form = {**signer.form(mine, gateway.url), "token": ""}
    assert httpx.post(f"{gateway.url}/oauth/revoke", data=form, trust_env=False).status_code == 400
    stranger = httpx.post(f"{gateway.url}/oauth/revoke", data={"token": alive}, trust_env=False)
    assert (stranger.status_code, stranger.json()["error"]) == (401, "invalid_client")
    gateway.stop()
    gateway.start()
    assert get(gateway, "/v1/access", dead).status_code == 401, "also after a restart"
    assert get(gateway, "/v1/access", alive).status_code == 200
    entries = gateway.client("supervisor", "rsud").get("/v1/exchanges", params={"limit": 50}).json()["items"]
    assert any(one["op"] == "token.revoke" and one["kind"] == "admin" for one in entries)


def test_keys_rotate_while_it_runs_and_old_tokens_live_on(gateway: RunningGateway) -> None:
    signer = Signer("Ed25519")
    client = keyed(gateway, signer, client_id="simrs-putar")

    def kids() -> set[str]:
        return {key["kid"] for key in get(gateway, "/.well-known/jwks.json").json()["keys"]}

    def command(*words: str) -> str:
        asked = [*SIMPUL, "keys", *words, "--dir", str(gateway.folder)]
        done = subprocess.run(asked, env=gateway.environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    old, before = token(gateway, signer, client), kids()
    new = command("rotate").split()[-1]
    assert until(3, lambda: new in kids())
    assert before <= kids()
    assert get(gateway, "/v1/access", old).status_code == 200
    assert jwt.get_unverified_header(token(gateway, signer, client))["kid"] in before, "published before it signs"
    assert new in command("list")
    last = command("rotate", "--revoke-others").split()[-1]
    assert until(3, lambda: kids() == {last})
    assert get(gateway, "/v1/access", old).status_code == 401
    fresh = token(gateway, signer, client)
    assert jwt.get_unverified_header(fresh)["kid"] == last
    assert get(gateway, "/v1/access", fresh).status_code == 200
    gateway.sign_in_again()
