"""Each operation answers with the statuses that the document lists, and the list holds no other.

That no answer has a status beyond the list is held by `tests/support/documented.py` for every answer that any test gets. Here each
listed status is provoked at each operation. `EVERYWHERE` can happen in the layer around all routes: other tests show them once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.layer.resource import RuleTable
from app.api.routes import RESOURCES
from tests.integration.api.conftest import furnish
from tests.support.documented import DOCUMENT, METHODS, parameters_of
from tests.support.gateway import RunningGateway
from tests.support.people import PersonAt, close_browsers
from tests.support.sources import SourceServer

WHOLE = json.loads(DOCUMENT.read_text("utf-8"))
PATHS = WHOLE["paths"]
RULES = {(found.method, found.path.replace(":path}", "}")): found.rule for found in RuleTable(RESOURCES).rules}
OPERATIONS = [(method.upper(), path) for path in PATHS for method in METHODS if method in PATHS[path]]
BODY_BYTES = 4096
EVERYWHERE = {"500", "503", "504", "507", "default"}
PROVOKED = ("400", "401", "403", "404", "406", "412", "413", "415", "422", "428", "431")
ELSEWHERE = {
    "405": "test_explain.py: a schema of persons",
    "409": "test_idempotency.py, test_jobs.py, test_connectors.py: states and keys",
    "416": "test_representations.py: a part behind the end",
    "429": "below, with one request a minute",
    "502": "test_connectors.py: a source's own fault",
}
OFFICER = {"x-road-userid": "P1", "x-road-issue": "K1", "simpul-purpose": "pelayanan_kesehatan"}
PERSONAL = ("/v1/session", "/v1/sessions", "/v1/session/step-up", "/v1/sessions/{session}")
PROVIDER = ("/sign-in/oidc", "/sign-in/oidc/callback")
"""At a gateway without a provider 404, a way back with a condition 412: tests/integration/people shows them."""
ROLES = ("client", "steward", "auditor", "supervisor", "admin")
KNOWN = {
    "agency": "dinkes", "connector": "dinkes-faskes", "schema": "fasilitas_kesehatan", "key": "P1", "client": "t-client-1",
    "dataset": "dinkes-faskes", "system": "kemendagri", "agreement": "pks-1", "revision": "1",
}  # fmt: skip


def listed(status: str) -> list[Any]:
    found = [(method, path) for method, path in OPERATIONS if status in PATHS[path][method.lower()]["responses"]]
    return [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in found]


def provided(path: str) -> bool:
    """Whether somebody here provides the schema of the path."""
    return not path.startswith("/v1/records/") or path.split("/")[3] in {"fasilitas-kesehatan", "penduduk-verifikasi"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that takes small bodies."""
    folder = tmp_path_factory.mktemp("statuses")
    provider = {"ISSUER": "http://127.0.0.1:9", "CLIENT_ID": "uji", "CLIENT_SECRET": "uji"}
    named = {f"SIMPUL_OIDC_{name}": value for name, value in provider.items()}
    running = RunningGateway(folder / "instance", {"SIMPUL_REQUEST_BODY_BYTES": str(BODY_BYTES), **named})
    running.init()
    running.start()
    sources = SourceServer()
    try:
        furnish(running, folder, sources)
        yield running
    finally:
        running.stop()
        sources.close()


@pytest.fixture(scope="module")
def roles(small: RunningGateway) -> Iterator[dict[str, httpx.Client]]:
    person = PersonAt(small, "steward", "dinkes", "orang@dinkes.example").open().sign_in()
    clients = {role: small.client(role, "dinkes") for role in ROLES}
    yield {**clients, "verifier": small.client("client", "rsud"), "person": person}
    close_browsers()


def allowed(method: str, path: str) -> str:
    """A role that may."""
    if path.startswith("/v1/records/penduduk-verifikasi/"):
        return "verifier"
    if path in PERSONAL:
        return "person"
    rule = RULES.get((method, path))
    return "admin" if rule is None or "admin" in rule.roles else max(rule.roles)


def filled(method: str, path: str, known: dict[str, str]) -> str:
    for parameter in parameters_of(WHOLE, PATHS[path][method.lower()]):
        if parameter["in"] == "path":
            value = known.get(parameter["name"], "tidak-ada")
            path = path.replace("{" + parameter["name"] + "}", value)
    return path


def body_of(method: str, path: str) -> dict[str, Any]:
    """The example of the document as a request's body."""
    content = PATHS[path][method.lower()].get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return {"json": content["application/json"]["example"]}
    if "application/x-www-form-urlencoded" in content:
        return {"data": content["application/x-www-form-urlencoded"]["example"]}
    return {"content": b"x"} if content else {}


def small_body(method: str, path: str) -> bool:
    """Whether its bodies are bounded by the setting. Keys to match and files may be larger: test_match.py, test_connectors.py, test_uploads.py."""
    files = "/files/" in path or "/uploads/" in path
    return "requestBody" in PATHS[path][method.lower()] and not path.endswith("/match") and not files


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def test_every_listed_status_is_shown_somewhere() -> None:
    statuses = {status for method, path in OPERATIONS for status in PATHS[path][method.lower()]["responses"]}
    assert {one for one in statuses if one >= "400"} == {*PROVOKED, *EVERYWHERE, *ELSEWHERE}


@pytest.mark.parametrize(("method", "path"), listed("400"))
def test_400(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    twice = [("simpul-purpose", "a"), ("simpul-purpose", "b")]
    assert code(roles["admin"].request(method, filled(method, path, KNOWN), headers=twice)) == (400, "header_repeated")


@pytest.mark.parametrize(("method", "path"), listed("431"))
def test_431(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    much = {"x-more": "a" * 40_000}
    assert code(roles["admin"].request(method, filled(method, path, KNOWN), headers=much)) == (431, "header_too_large")


def test_429(tmp_path: Path) -> None:
    """Of one client with one request a minute: the second is refused, whatever it asks for."""
    running = RunningGateway(tmp_path / "instance", {"SIMPUL_RATE_PER_MINUTE": "1"})
    running.init()
    running.start()
    try:
        running.admin.get("/v1/schemas")
        limited = [one.values for one in listed("429") if one.values in RULES]
        found = {
            (method, path): code(running.admin.request(method, filled(method, path, KNOWN))) for method, path in limited
        }
    finally:
        running.stop()
    assert found == dict.fromkeys(found, (429, "rate_limited"))
    assert found.keys() == {(method, path) for method, path in OPERATIONS if (method, path) in RULES}


@pytest.mark.parametrize(("method", "path"), listed("401"))
def test_401(small: RunningGateway, method: str, path: str) -> None:
    more = {"params": {"step_up": "true"}} if path == "/sign-in/oidc" else body_of(method, path)
    with httpx.Client(base_url=small.url, trust_env=False) as nobody:
        answer = nobody.request(method, filled(method, path, KNOWN), **more)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"]


def test_all_schemas_have_the_same_statuses() -> None:
    """So that what is shown of those which somebody provides here holds of the others."""
    found: dict[str, set[str]] = {}
    for path, item in PATHS.items():
        parts = path.split("/")
        if path.startswith("/v1/records/") and parts[3] != "penduduk-verifikasi":
            for method in item:
                found.setdefault(f"{method} {parts[4:]}", set()).add(" ".join(item[method]["responses"]))
    assert {act: len(lists) for act, lists in found.items()} == dict.fromkeys(found, 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [one for one in listed("403") if provided(one.values[1]) and not one.values[1].endswith("/result")],
)
def test_403(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    rule = RULES.get((method, path))
    without = [role for role in ROLES if rule is not None and role not in rule.roles]
    if without:
        answer = roles[without[0]].request(method, filled(method, path, KNOWN))
    elif path == "/metrics":
        answer = roles["client"].get(path)
    elif path.startswith("/sign-in"):
        answer = roles["client"].request(method, path, headers={"origin": "https://lain.example"})
    elif rule is None or rule.recording != "outcome" or rule.op == "job.cancel":  # everybody may, under the own name
        stated = {"x-road-client": "ID-LAIN/GOV/lain"}
        answer = roles["client"].request(method, filled(method, path, KNOWN), headers=stated)
    else:
        role, more = "client", body_of(method, path)
        if path == "/v1/explain":
            more = {"json": {"schema": "fasilitas_kesehatan"}}
        headers = {**OFFICER, "simpul-agreement": "tidak-ada"}
        answer = roles[role].request(method, filled(method, path, KNOWN), headers=headers, **more)
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize(("method", "path"), [one for one in listed("404") if one.values[1] not in PROVIDER])
def test_404(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    more, known = body_of(method, path), {}
    manifest = {"connector": "tidak-ada", "agency": "tidak-ada", "source": {"kind": "file", "location": "inbox/x.csv"}}
    wrong = {
        "/v1/explain": {"schema": "tidak_ada"},
        "/v1/access/explain": {"schema": "tidak_ada"},
        "/v1/clients": {**more.get("json", {}), "agency": "tidak-ada"},
        "/v1/people": {**more.get("json", {}), "agency": "tidak-ada"},
        "/v1/agreements": {**more.get("json", {}), "schema": "tidak_ada"},
        "/v1/connectors/{connector}": manifest,
        "/v1/secrets/{name}": {**more.get("json", {}), "agency": "tidak-ada"},
    }
    if path in wrong and method in {"POST", "PUT"}:
        more = {"json": wrong[path]}
    if path.endswith("/{revision}"):
        known = {"connector": "dinkes-faskes", "revision": "99"}
    elif path.endswith("/{key}"):
        key = next(one for one in parameters_of(WHOLE, PATHS[path]["get"]) if one["name"] == "key")
        known = {"key": str(key["example"]).replace("P3320120101", "none")}
    if (method, path) == ("GET", "/v1/datasets"):
        more = {"params": {"schema": "tidak_ada"}}
    headers = {"if-match": "*"} if method == "PATCH" else {}
    answer = roles[allowed(method, path)].request(method, filled(method, path, known), headers=headers, **more)
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize(("method", "path"), listed("406"))
def test_406(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    picture = {"accept": "image/png"}
    answer = roles["client"].request(method, filled(method, path, KNOWN), headers=picture, **body_of(method, path))
    assert code(answer) == (406, "not_acceptable")


@pytest.mark.parametrize(("method", "path"), [one for one in listed("413") if small_body(*one.values)])
def test_413_of_a_body(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    large = json.dumps({"x": "a" * BODY_BYTES}).encode()
    sent = {"content": large, "headers": {**OFFICER, "content-type": "application/json"}}
    answer = roles[allowed(method, path)].request(method, filled(method, path, KNOWN), **sent)
    assert code(answer) == (413, "body_too_large")


@pytest.mark.parametrize(("method", "path"), [one for one in listed("415") if one.values in RULES])
def test_415(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    packed = {"content": b"{}", "headers": {**OFFICER, "content-type": "application/json", "content-encoding": "zstd"}}
    answer = roles[allowed(method, path)].request(method, filled(method, path, KNOWN), **packed)
    assert code(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize(("method", "path"), listed("422"))
def test_422(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    role = allowed(method, path)
    headers = OFFICER
    address = filled(method, path, KNOWN)
    answer = roles[role].request(method, address, params={"tidak_ada": "1"}, headers=headers, **body_of(method, path))
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(("method", "path"), listed("428"))
def test_428(small: RunningGateway, roles: dict[str, httpx.Client], method: str, path: str) -> None:
    address = filled(method, path, KNOWN)
    if "{incident}" in path:
        made = roles["admin"].post("/v1/incident-scope", json=body_of("POST", "/v1/incident-scope")["json"])
        address = path.replace("{incident}", made.json()["id"])
    if "{person}" in path:
        body = PersonAt.body("client", "dinkes", "siapa@dinkes.example")
        address = path.replace("{person}", roles["admin"].post("/v1/people", json=body).json()["id"])
    token = {"authorization": roles["admin"].headers["authorization"]}
    with httpx.Client(base_url=small.url, trust_env=False, headers=token) as plain:
        bodies: dict[str, Any] = {
            "/v1/connectors/{connector}": {
                "connector": "dinkes-faskes",
                "agency": "dinkes",
                "source": {"kind": "file", "location": "inbox/x.csv"},
            }
        }
        sent = bodies.get(path) or body_of(method, path)["json"]
        assert code(plain.request(method, address, json=sent)) == (428, "precondition_required")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        one
        for one in listed("412")
        if one.values[0] == "GET" and "{" not in one.values[1] and one.values[1] not in PROVIDER
    ],
)
def test_412_of_a_read(roles: dict[str, httpx.Client], method: str, path: str) -> None:
    answer = roles[allowed(method, path)].request(method, path, headers={"if-match": '"other"'})
    assert code(answer) == (412, "precondition_failed")
