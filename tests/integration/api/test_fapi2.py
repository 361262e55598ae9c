"""The fourteen modules of the plan `fapi2-security-profile-final-client-credentials-grant-test-plan` of the OpenID conformance
suite, with `private_key_jwt` and DPoP: each has a test of its name here. Authlib asks as an independent client.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.integration.api.test_client_assertions import keyed
from tests.support.gateway import RunningGateway
from tests.support.signing import Signer

CLIENT = "fapi-klien"


class Party:
    """A FAPI client: a key for its assertions and one for its proofs."""

    def __init__(self, gateway: RunningGateway, alg: str = "ES256") -> None:
        self.gateway, self.url = gateway, gateway.url
        self.signer, self.holder = Signer(alg, kid="fapi"), Signer(alg)
        self.client = f"{CLIENT}-{time.time_ns()}"
        body = {
            "id": self.client,
            "agency": "rsud",
            "role": "client",
            "name": "x",
            "keys": [self.signer.jwk],
            "dpop": True,
        }
        assert gateway.admin.post("/v1/clients", json=body).status_code == 201
        self.nonce = ""

    def ask(
        self, *, form: dict[str, Any] | None = None, header: dict[str, Any] | None = None, **claims: Any
    ) -> httpx.Response:
        """A token request; a nonce that is asked for is fetched first."""
        place = f"{self.url}/oauth/token"
        for _ in range(2):
            sent = form or self.signer.form(self.client, self.url)
            proof = self.holder.proof("POST", place, header=header, **{"nonce": self.nonce or None, **claims})
            answer = httpx.post(place, data=sent, headers={"DPoP": proof}, trust_env=False)
            if answer.status_code != 400 or answer.json()["error"] != "use_dpop_nonce":
                break
            self.nonce = answer.headers["dpop-nonce"]
        return answer

    def token(self) -> str:
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == "DPoP"
        return str(answer.json()["access_token"])

    def read(
        self, token: str, *, scheme: str = "DPoP", proof: str | None = None, path: str = "/v1/access", **claims: Any
    ) -> httpx.Response:
        made = proof or self.holder.proof("GET", f"{self.url}{path}", token=token, **{"nonce": self.nonce, **claims})
        headers = {"authorization": f"{scheme} {token}", "DPoP": made}
        return httpx.get(f"{self.url}{path}", headers=headers, trust_env=False)


@pytest.fixture
def party(gateway: RunningGateway) -> Party:
    return Party(gateway)


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error") or answer.json()["code"]


def test_discovery_endpoint_verification(party: Party) -> None:
    found = httpx.get(f"{party.url}/.well-known/oauth-authorization-server", trust_env=False).json()
    assert found["issuer"] == party.url
    assert found["grant_types_supported"] == ["client_credentials"]
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
    assert set(found["token_endpoint_auth_signing_alg_values_supported"]) <= {"PS256", "ES256", "EdDSA", "Ed25519"}
    assert "ES256" in found["dpop_signing_alg_values_supported"]


@pytest.mark.parametrize("alg", ["ES256", "PS256", "Ed25519"])
def test_happy_flow(gateway: RunningGateway, alg: str) -> None:
    party = Party(gateway, alg)
    answer = party.read(party.token(), path="/v1/records/fasilitas-kesehatan")
    assert answer.status_code == 200, answer.text
    assert answer.json()["items"]


def test_access_token_type_header_case_sensitivity(party: Party) -> None:
    token = party.token()
    assert [party.read(token, scheme=scheme).status_code for scheme in ("DPoP", "dpop", "DPOP", "dPoP")] == [200] * 4


def test_check_dpop_proof_nbf_exp(party: Party) -> None:
    token, now = party.token(), int(time.time())
    assert party.read(token, exp=now + 60, nbf=now - 5).status_code == 200
    for wrong in ({"exp": now - 60}, {"nbf": now + 60}, {"exp": "soon"}):
        assert error(party.read(token, **wrong)) == (401, "invalid_dpop_proof")


def test_ensure_dpop_proof_with_iat_10_seconds_before_succeeds(party: Party) -> None:
    assert party.ask(iat=int(time.time()) - 10).status_code == 200
    assert party.read(party.token(), iat=int(time.time()) - 10).status_code == 200


def test_ensure_dpop_proof_with_iat_10_seconds_after_succeeds(party: Party) -> None:
    assert party.ask(iat=int(time.time()) + 10).status_code == 200
    assert party.read(party.token(), iat=int(time.time()) + 10).status_code == 200


def test_ensure_client_id_in_token_endpoint(party: Party) -> None:
    other = keyed(party.gateway, Signer(), client_id="fapi-lain")
    form = {**party.signer.form(party.client, party.url), "client_id": other}
    assert error(party.ask(form=form)) == (401, "invalid_client")


def test_ensure_holder_of_key_required(party: Party) -> None:
    form = party.signer.form(party.client, party.url)
    answer = httpx.post(f"{party.url}/oauth/token", data=form, trust_env=False)
    assert error(answer) == (400, "invalid_dpop_proof")
    token = party.token()
    for scheme in ("Bearer", "DPoP"):
        headers = {"authorization": f"{scheme} {token}"}
        assert httpx.get(f"{party.url}/v1/access", headers=headers, trust_env=False).status_code == 401
    assert error(party.read(token, scheme="Bearer")) == (401, "token_invalid"), "a proof beside Bearer is not ignored"


def test_ensure_signed_client_assertion_with_rs256_fails(party: Party) -> None:
    signer = Signer("RS256", kid="fapi")
    assert error(party.ask(form=signer.form(party.client, party.url))) == (401, "invalid_client")


def test_ensure_client_assertion_in_token_endpoint(party: Party) -> None:
    assert error(party.ask(form={"grant_type": "client_credentials", "client_id": party.client})) == (
        401,
        "invalid_client",
    )


def test_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails(party: Party) -> None:
    form = party.signer.form(party.client, party.url, exp=int(time.time()) - 300)
    assert error(party.ask(form=form)) == (401, "invalid_client")


def test_ensure_client_assertion_with_wrong_aud_fails(party: Party) -> None:
    for wrong in (f"{party.url}/oauth/token", "https://other.example", [party.url]):
        assert error(party.ask(form=party.signer.form(party.client, wrong))) == (401, "invalid_client")


def test_ensure_client_assertion_with_no_sub_fails(party: Party) -> None:
    assert error(party.ask(form=party.signer.form(party.client, party.url, sub=None))) == (401, "invalid_client")


def test_dpop_negative_tests(party: Party) -> None:
    token, url, holder = party.token(), f"{party.url}/v1/access", party.holder
    now, other, nonce = int(time.time()), Signer(), {"nonce": party.nonce}
    used = holder.proof("GET", url, token=token, **nonce)
    assert party.read(token, proof=used).status_code == 200
    wrong = {
        "used again": used,
        "another key": other.proof("GET", url, token=token, **nonce),
        "another method": holder.proof("POST", url, token=token, **nonce),
        "another address": holder.proof("GET", f"{party.url}/v1/schemas", token=token, **nonce),
        "no ath": holder.proof("GET", url, **nonce),
        "ath of another": holder.proof("GET", url, token="x", **nonce),
        "no jti": holder.proof("GET", url, token=token, jti=None, **nonce),
        "no iat": holder.proof("GET", url, token=token, iat=None, **nonce),
        "too old": holder.proof("GET", url, token=token, iat=now - 120, **nonce),
        "from the future": holder.proof("GET", url, token=token, iat=now + 120, **nonce),
        "no typ": holder.proof("GET", url, token=token, header={"typ": "JWT"}, **nonce),
        "none": holder.proof("GET", url, token=token, header={"alg": "none"}, **nonce),
        "private key": holder.proof("GET", url, token=token, header={"jwk": {**holder.jwk, "d": "AAAA"}}, **nonce),
        "key of another": holder.proof("GET", url, token=token, header={"jwk": other.jwk}, **nonce),
        "no proof": "a.b.c",
    }
    found = {name: error(party.read(token, proof=proof)) for name, proof in wrong.items()}
    assert found == dict.fromkeys(wrong, (401, "invalid_dpop_proof"))
    for nonce_sent in (None, "x", party.nonce[:-2] + "AA"):
        answer = party.read(token, nonce=nonce_sent)
        assert error(answer) == (401, "use_dpop_nonce")
        assert answer.headers["www-authenticate"].startswith("DPoP ")
        assert party.read(token, nonce=answer.headers["dpop-nonce"]).status_code == 200
    query = holder.proof("GET", url.upper().replace("/V1/ACCESS", "/v1/access") + "?x=1", token=token, **nonce)
    assert party.read(token, proof=query).status_code == 200, "compared as addresses, without the query"


def test_a_proof_beside_an_unbound_token_is_not_overlooked(gateway: RunningGateway, party: Party) -> None:
    free = keyed(gateway, party.signer, client_id="fapi-bebas")
    form = party.signer.form(free, gateway.url)
    token = httpx.post(f"{gateway.url}/oauth/token", data=form, trust_env=False).json()["access_token"]
    plain = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{gateway.url}/v1/access", headers=plain, trust_env=False).status_code == 200
    assert [party.read(token, scheme=scheme).status_code for scheme in ("Bearer", "DPoP")] == [401, 401]
    assert gateway.admin.patch(f"/v1/clients/{free}", json={"disabled": False, "dpop": True}).json()["dpop"] is True
    assert httpx.get(f"{gateway.url}/v1/access", headers=plain, trust_env=False).status_code == 401


@pytest.mark.parametrize("alg", ["ES256", "PS256", "Ed25519"])
def test_authlib_gets_and_uses_a_token(gateway: RunningGateway, alg: str) -> None:
    signer = Signer(alg, kid="authlib")
    client = keyed(gateway, signer, client_id=f"authlib-{alg.lower()}")
    private = signer.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    place = f"{gateway.url}/oauth/token"
    kind = {"ES256": ECKey, "PS256": RSAKey, "Ed25519": OKPKey}[alg]
    with OAuth2Client(
        client, kind.import_key(private), token_endpoint_auth_method="private_key_jwt", trust_env=False
    ) as asking:
        method = PrivateKeyJWT(place, claims={"aud": gateway.url, "exp": int(time.time()) + 120}, alg=alg)
        asking.register_client_auth_method(method)
        found = asking.fetch_token(place, grant_type="client_credentials")
        assert found["token_type"] == "Bearer"
        assert asking.get(f"{gateway.url}/v1/access").status_code == 200
