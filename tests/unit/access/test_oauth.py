"""The token request of RFC 6749: both ways to authenticate a client, and every way to get it wrong."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.access.attempts import FailedAttempts
from app.access.clients import Client
from app.access.credentials import SecretVerifier, hash_secret
from app.access.keys import KeySet, SigningKey
from app.access.oauth import Means, oauth_error, token_request
from app.access.tokens import TokenIssuer
from app.errors import SimpulError
from tests.unit.access.making import Remembered, caller, make_client, make_state

SECRET = "s3cr3t-of-the-hospital_-"
GRANT = ("grant_type", "client_credentials")
FORM = [GRANT, ("client_id", "rsud-app"), ("client_secret", SECRET)]


@pytest.fixture(scope="module")
async def client(anyio_backend) -> Client:
    return make_client(secret_hash=await hash_secret(SECRET))


class Endpoint:
    def __init__(self, client: Client) -> None:
        self.verifier = SecretVerifier()
        self.attempts = FailedAttempts(600)
        self.issuer = TokenIssuer("https://simpul.example")
        private = Ed25519PrivateKey.generate()
        key = SigningKey("k1", datetime(2026, 1, 1, tzinfo=UTC), private, private.public_key())
        self.snapshot = make_state(clients=(client,))
        self.issuer.install(KeySet((key,)), self.snapshot)

    async def ask(self, form: list[tuple[str, str]], authorization: str | None = None) -> dict[str, object]:
        return await token_request(
            form, authorization, Means(self.snapshot, self.verifier, self.issuer, Remembered(), self.attempts)
        )

    async def refused(self, form: list[tuple[str, str]], authorization: str | None = None) -> str:
        with pytest.raises(SimpulError) as caught:
            await self.ask(form, authorization)
        assert SECRET not in caught.value.detail
        return caught.value.code


@pytest.fixture
def endpoint(client: Client) -> Endpoint:
    return Endpoint(client)


def basic(client_id: str = "rsud-app", secret: str = SECRET, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"


async def test_the_form_way(endpoint: Endpoint):
    answer = await endpoint.ask(FORM)
    assert set(answer) == {"access_token", "token_type", "expires_in"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
    assert endpoint.issuer.verify(str(answer["access_token"])) == caller()


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
async def test_the_basic_way(endpoint: Endpoint, scheme: str):
    assert await endpoint.ask([GRANT], basic(scheme=scheme))
    assert await endpoint.ask([GRANT, ("client_id", "rsud-app")], basic(scheme=scheme))


async def test_basic_parts_are_form_decoded(endpoint: Endpoint):
    assert await endpoint.ask([GRANT], basic(client_id="rsud%2Dapp", secret=SECRET.replace("-", "%2D")))


async def test_a_scope_may_be_given_and_the_answer_says_what_there_is(endpoint: Endpoint):
    assert (await endpoint.ask([*FORM, ("scope", "records.read")]))["scope"] == "client"
    assert "scope" not in await endpoint.ask([*FORM, ("scope", "")])
    assert await endpoint.refused([*FORM, ("scope", 'a"b')]) == "invalid_request"


async def test_unknown_parameters_are_ignored(endpoint: Endpoint):
    assert await endpoint.ask([*FORM, ("x", "1"), ("x", "2")])


@pytest.mark.parametrize(
    ("form", "authorization", "code"),
    [
        (FORM[1:], None, "invalid_request"),
        ([("grant_type", ""), *FORM[1:]], None, "invalid_request"),
        ([("grant_type", "password"), *FORM[1:]], None, "unsupported_grant_type"),
        ([*FORM, GRANT], None, "invalid_request"),
        ([*FORM, ("client_secret", SECRET)], None, "invalid_request"),
        (FORM, basic(), "invalid_request"),
        ([GRANT, ("client_id", "other")], basic(), "invalid_request"),
        ([GRANT], None, "invalid_client"),
        ([GRANT, ("client_id", "rsud-app")], None, "invalid_client"),
        ([GRANT, ("client_secret", SECRET)], None, "invalid_client"),
        ([GRANT, ("client_id", "rsud-app"), ("client_secret", "wrong")], None, "invalid_client"),
        ([GRANT, ("client_id", "nobody"), ("client_secret", SECRET)], None, "invalid_client"),
        ([GRANT, ("client_id", "rsud-app"), ("client_secret", "x" * 100_000)], None, "invalid_client"),
        ([GRANT, ("client_id", "rsud-app"), ("client_secret", "\udc80")], None, "invalid_client"),
        ([*FORM, ("client_assertion", "a.b.c")], None, "invalid_client"),
        ([GRANT], basic(secret="wrong"), "invalid_client"),
        ([GRANT], basic(client_id="nobody"), "invalid_client"),
        ([GRANT], "Bearer abc", "invalid_client"),
        ([GRANT], "Basic", "invalid_client"),
        ([GRANT], "Basic !!!", "invalid_client"),
        ([GRANT], "Basic " + base64.b64encode(b"no-colon").decode(), "invalid_client"),
        ([GRANT], "Basic " + base64.b64encode(b"\xff:\xff").decode(), "invalid_client"),
        ([GRANT], "Basic " + "QUFB" * 5000, "invalid_client"),
    ],
)
async def test_every_other_request_is_refused(endpoint: Endpoint, form, authorization, code: str):
    assert await endpoint.refused(form, authorization) == code


async def test_a_disabled_client_gets_no_token_and_the_same_words(client: Client):
    with pytest.raises(SimpulError) as disabled:
        await Endpoint(replace(client, disabled=True)).ask(FORM)
    with pytest.raises(SimpulError) as unknown:
        await Endpoint(make_client("other")).ask(FORM)
    assert (disabled.value.code, disabled.value.detail) == (unknown.value.code, unknown.value.detail)


def test_the_error_body_is_of_rfc_6749():
    body = oauth_error(SimpulError('say "é" \\ \n'))
    assert body == {"error": "internal_error", "error_description": "say ''' ' '"}
