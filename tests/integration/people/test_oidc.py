"""Signing in at a real provider on the loopback: who is tied to an account comes in, and whatever is bent does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from app.access.people.oidc import Flow, Identity, OidcUnavailable, Provider, ProviderSettings
from app.errors import SettingsInvalid
from tests.support.gateway import RunningGateway
from tests.support.people import Browser, PersonAt, age
from tests.support.provider import CLIENT, SECRET, OpenIdProvider
from tests.support.signing import Signer

USAGE = {"subject": {"id_type": "nik", "value": "3320990101900001"}}
CASE = {"x-road-issue": "RM-1"}
_MADE = iter(range(10_000))


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    running = OpenIdProvider()
    yield running
    running.close()


@pytest.fixture(scope="module")
def gateway(provider: OpenIdProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder: Path = tmp_path_factory.mktemp("oidc")
    named = {"ISSUER": provider.url, "CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET}
    running = RunningGateway(folder, {f"SIMPUL_OIDC_{name}": value for name, value in named.items()})
    running.init()
    running.start()
    running.agency("dinkes")
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def person(gateway: RunningGateway, provider: OpenIdProvider) -> PersonAt:
    """An auditor of dinkes, tied to the subject that signs in next."""
    provider.straight()
    number = next(_MADE)
    provider.subject = f"sub-{number}"
    tied = {"oidc_issuer": provider.url, "oidc_subject": provider.subject}
    return PersonAt(gateway, "auditor", "dinkes", f"orang{number}@dinkes.example", **tied)


def to_provider(page: Browser, **query: str) -> str:
    """Begins a sign-in; the provider's address for the browser."""
    answer = page.get("/sign-in/oidc", params=query)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def from_provider(address: str) -> str:
    """The person signs in there; the way back with its parameters."""
    parts = urlsplit(httpx.get(address, trust_env=False).headers["location"])
    return f"{parts.path}?{parts.query}"


def around(page: Browser, **query: str) -> httpx.Response:
    """There and back, as a browser does it: the last step comes from another site."""
    return page.get(from_provider(to_provider(page, **query)), headers={"sec-fetch-site": "cross-site"})


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, "oidc_refused"), answer.text
    assert "simpul-session" not in answer.headers.get("set-cookie", "")


def signed_in(page: Browser) -> dict[str, Any]:
    found = page.get("/v1/session")
    assert found.status_code == 200, found.text
    page.csrf = found.json()["csrf_token"]
    document: dict[str, Any] = found.json()
    return document


def test_who_is_tied_to_an_account_is_signed_in(
    person: PersonAt, gateway: RunningGateway, provider: OpenIdProvider
) -> None:
    page = Browser(gateway.url)
    answer = around(page, return_to="/docs?a=1")
    assert answer.status_code == 200, answer.text
    assert 'url=/docs?a=1"' in answer.text
    cookies = answer.headers.get_list("set-cookie")
    assert [line.partition("=")[0] for line in cookies] == ["simpul-session", "simpul-oidc"]
    assert all("HttpOnly" in line for line in cookies)
    found = signed_in(page)
    assert (found["person"], found["role"], found["means"], found["fresh_until"]) == (
        f"person:{person.id}", "auditor", "oidc", None,
    )  # fmt: skip
    asked = provider.asked[-1]
    assert (asked["scope"], asked["redirect_uri"]) == ("openid email", f"{gateway.url}/sign-in/oidc/callback")
    assert "prompt" not in asked


def test_a_step_up_is_signing_in_anew(person: PersonAt, gateway: RunningGateway, provider: OpenIdProvider) -> None:
    page = Browser(gateway.url)
    around(page)
    signed_in(page)
    assert page.post("/v1/subject-usage", json=USAGE, headers=CASE).json()["code"] == "step_up_required"
    before = page.cookies["simpul-session"]
    answer = around(page, step_up="true")
    assert answer.status_code == 200, answer.text
    assert (provider.asked[-1]["prompt"], provider.asked[-1]["max_age"]) == ("login", "0")
    assert page.cookies["simpul-session"] != before
    assert signed_in(page)["fresh_until"] is not None
    assert page.post("/v1/subject-usage", json=USAGE, headers=CASE).status_code == 200
    age(gateway, "fresh_until", 301)
    assert page.post("/v1/subject-usage", json=USAGE, headers=CASE).json()["code"] == "step_up_required"


@pytest.mark.parametrize("seconds_ago", [60, 3600, -3600, None])
def test_a_step_up_without_a_new_sign_in_is_none(
    person: PersonAt, gateway: RunningGateway, provider: OpenIdProvider, seconds_ago: int | None
) -> None:
    page = Browser(gateway.url)
    around(page)
    signed_in(page)
    if seconds_ago is None:
        provider.bend = lambda claims: claims.pop("auth_time")
    else:
        provider.signed_in_at = time.time() - seconds_ago
    refused(around(page, step_up="true"))
    assert signed_in(page)["fresh_until"] is None


def test_a_step_up_by_another_person_is_none(
    person: PersonAt, gateway: RunningGateway, provider: OpenIdProvider
) -> None:
    page = Browser(gateway.url)
    around(page)
    provider.subject = "sub-lain"
    tied = {"oidc_issuer": provider.url, "oidc_subject": "sub-lain"}
    PersonAt(gateway, "admin", "diskominfo", f"lain-{person.login}", **tied)
    refused(around(page, step_up="true"))
    assert signed_in(page)["person"] == f"person:{person.id}"
    assert Browser(gateway.url).get("/sign-in/oidc", params={"step_up": "true"}).json()["code"] == "session_invalid"


BENT: dict[str, Any] = {
    "nonce_wrong": lambda claims: claims.update(nonce="lain"),
    "nonce_missing": lambda claims: claims.pop("nonce"),
    "audience_wrong": lambda claims: claims.update(aud="aplikasi-lain"),
    "audience_missing": lambda claims: claims.pop("aud"),
    "audience_of_two": lambda claims: claims.update(aud=[CLIENT, "aplikasi-lain"], azp=CLIENT),
    "party_wrong": lambda claims: claims.update(azp="aplikasi-lain"),
    "issuer_wrong": lambda claims: claims.update(iss="https://lain.example"),
    "issuer_missing": lambda claims: claims.pop("iss"),
    "expired": lambda claims: claims.update(exp=int(time.time()) - 60, iat=int(time.time()) - 120),
    "old": lambda claims: claims.update(iat=int(time.time()) - 4000),
    "future": lambda claims: claims.update(iat=int(time.time()) + 4000, exp=int(time.time()) + 5000),
    "subject_missing": lambda claims: claims.pop("sub"),
    "subject_number": lambda claims: claims.update(sub=7),
    "subject_long": lambda claims: claims.update(sub="s" * 300),
    "access_token_of_another": lambda claims: claims.update(at_hash="AAAA"),
}


@pytest.mark.parametrize("how", sorted(BENT))
def test_a_bent_token_signs_nobody_in(
    person: PersonAt, gateway: RunningGateway, provider: OpenIdProvider, how: str
) -> None:
    provider.bend = BENT[how]
    page = Browser(gateway.url)
    refused(around(page))
    assert page.get("/v1/session").status_code == 401


@pytest.mark.parametrize("how", ["none", "hs256", "public_key", "other_key"])
def test_a_forged_token_signs_nobody_in(
    person: PersonAt, gateway: RunningGateway, provider: OpenIdProvider, how: str
) -> None:
    provider.forged = how
    refused(around(Browser(gateway.url)))


def changed(way: str, **change: str | None) -> str:
    """The way back with other parameters."""
    parts = urlsplit(way)
    given = {**dict(parse_qsl(parts.query)), **change}
    return f"{parts.path}?{urlencode({name: value for name, value in given.items() if value is not None})}"


@pytest.mark.parametrize(
    "change",
    [
        {"state": "lain"},
        {"state": None},
        {"code": "lain"},
        {"code": None},
        {"code": "c" * 3000},
        {"iss": "https://lain.example"},
        {"iss": None},
        {"error": "access_denied"},
    ],
)
def test_a_bent_way_back_signs_nobody_in(
    person: PersonAt, gateway: RunningGateway, change: dict[str, str | None]
) -> None:
    page = Browser(gateway.url)
    refused(page.get(changed(from_provider(to_provider(page)), **change)))


def test_a_way_back_with_a_condition_fails_as_any_read_does(person: PersonAt, gateway: RunningGateway) -> None:
    page = Browser(gateway.url)
    assert page.get(from_provider(to_provider(page)), headers={"if-match": '"lain"'}).status_code == 412


def test_the_way_back_counts_once_and_in_its_own_browser(person: PersonAt, gateway: RunningGateway) -> None:
    page, other = Browser(gateway.url), Browser(gateway.url)
    way = from_provider(to_provider(page))
    kept = page.cookies["simpul-oidc"]
    refused(other.get(way))
    to_provider(other)
    refused(other.get(way))
    assert page.get(way).status_code == 200
    page.cookies.set("simpul-oidc", kept, domain="127.0.0.1")
    refused(page.get(way))
    page.cookies.set("simpul-oidc", kept[:-4] + "AAAA", domain="127.0.0.1")
    refused(page.get(way))


def test_a_verified_address_ties_the_account_the_first_time(gateway: RunningGateway, provider: OpenIdProvider) -> None:
    provider.straight()
    number = next(_MADE)
    address = f"surel{number}@dinkes.example"
    person = PersonAt(gateway, "auditor", "dinkes", f"surel{number}", email=address)
    provider.subject, provider.claims = f"surel-{number}", {"email": address.upper(), "email_verified": False}
    refused(around(Browser(gateway.url)))
    provider.claims["email_verified"] = "true"  # a text is no truth value
    refused(around(Browser(gateway.url)))
    provider.claims["email_verified"] = True
    page = Browser(gateway.url)
    assert around(page).status_code == 200
    assert signed_in(page)["person"] == f"person:{person.id}"
    assert gateway.admin.get(f"/v1/people/{person.id}").json()["oidc"] is True
    provider.claims = {}
    assert around(Browser(gateway.url)).status_code == 200
    provider.subject, provider.claims = f"pencuri-{number}", {"email": address, "email_verified": True}
    refused(around(Browser(gateway.url)))


def asked(provider: OpenIdProvider) -> Provider:
    """A reader of this provider that has read nothing yet, of a gateway at port 8000."""
    return Provider(ProviderSettings(provider.url, CLIENT, SECRET, "http://127.0.0.1:8000", port=8000))


async def identity(reader: Provider) -> Identity:
    """Who signs in there now."""
    flow = Flow.begin("/", None)
    async with httpx.AsyncClient(trust_env=False) as browser:
        way = (await browser.get(await reader.address(flow))).headers["location"]
    return await reader.identity(flow, dict(parse_qsl(urlsplit(way).query)))


async def test_keys_that_cannot_be_read_are_passed_over(provider: OpenIdProvider) -> None:
    provider.straight()
    provider.others = [{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "baru"}, {"kid": "kosong"}]
    assert (await identity(asked(provider))).issuer == provider.url


@pytest.mark.parametrize("signs", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("said", ["EdDSA", "Ed25519", None])
async def test_an_ed25519_key_may_have_either_name(provider: OpenIdProvider, signs: str, said: str | None) -> None:
    provider.straight()
    provider.edwards = Signer(signs, kid="dua")
    provider.others = [{**provider.edwards.jwk, **({"alg": said} if said else {})}]
    assert (await identity(asked(provider))).subject == provider.subject


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
async def test_the_own_port_is_no_provider(provider: OpenIdProvider, name: str) -> None:
    provider.straight()
    provider.metadata = {name: "http://localhost:8000/token"}
    with pytest.raises(OidcUnavailable, match=name):
        await asked(provider).address(Flow.begin("/", None))
    with pytest.raises(SettingsInvalid, match="the gateway itself"):
        Provider(ProviderSettings("http://127.0.0.1:8000", CLIENT, SECRET, "http://127.0.0.1:8000", port=8000))
    provider.straight()
    assert (await identity(asked(provider))).subject == provider.subject


def test_nobody_gets_an_account_by_signing_in(gateway: RunningGateway, provider: OpenIdProvider) -> None:
    provider.straight()
    provider.subject, provider.claims = "tidak-dikenal", {"email": "tamu@lain.example", "email_verified": True}
    before = len(gateway.admin.get("/v1/people").json()["items"])
    refused(around(Browser(gateway.url)))
    assert len(gateway.admin.get("/v1/people").json()["items"]) == before


def test_a_disabled_person_does_not_come_in(person: PersonAt, gateway: RunningGateway) -> None:
    page = Browser(gateway.url)
    assert around(page).status_code == 200
    assert gateway.admin.patch(f"/v1/people/{person.id}", json={"disabled": True}).status_code == 200
    assert page.get("/v1/session").status_code == 401
    refused(around(Browser(gateway.url)))


@pytest.mark.parametrize("target", ["https://jahat.example/", "//jahat.example", "/\\jahat.example", "docs", "/a\nb"])
def test_the_way_on_stays_at_the_gateway(gateway: RunningGateway, target: str) -> None:
    answer = Browser(gateway.url).get("/sign-in/oidc", params={"return_to": target})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "pattern")


def test_what_happened_stands_in_the_log_without_names(
    person: PersonAt, gateway: RunningGateway, provider: OpenIdProvider
) -> None:
    page = Browser(gateway.url)
    around(page)
    around(page, step_up="true")
    provider.forged = "none"
    refused(around(Browser(gateway.url)))
    supervisor = gateway.client("supervisor", "diskominfo")
    found = supervisor.get("/v1/exchanges", params={"client": f"person:{person.id}"})
    assert {(one["op"], one["dec"]["effect"]) for one in found.json()["items"]} >= {
        ("person.sign_in", "allow"), ("person.step_up", "allow"),
    }  # fmt: skip
    unknown = supervisor.get("/v1/exchanges", params={"client": "person:unknown"}).json()["items"]
    assert {one["dec"]["effect"] for one in unknown} == {"deny"}
    told = found.text + (gateway.folder / "serve.log").read_text("utf-8")
    assert person.login not in told
    assert provider.subject not in told
    assert SECRET not in told
