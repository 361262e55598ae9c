"""Every operation of the register, the agreements and the audit answers what its component in the document says, no more and no less.

Whoever adds a route to these rooms adds an answer of it here: the last line of the test counts them.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from fastapi.routing import APIRoute

from app.api import operation
from app.api.audit import exchange_summary, exchanges, incidents, subject_usage
from app.api.governance import access, agreements, enrolment, entitlements, erasures
from app.api.people import accounts, session, sign_in
from app.api.registry import agencies, catalogue, clients, codes, connectors, discovery, health, quality, uploads
from app.main import build_openapi
from app.schemas import registry
from tests.integration.api.conftest import facility_manifest, terms
from tests.integration.api.test_audit import PERSON, verify
from tests.support.documented import answer_of
from tests.support.gateway import RunningGateway
from tests.support.people import Browser, PersonAt
from tests.support.programs import SIMPUL, run
from tests.support.signing import Signer

ROOMS = (
    operation, agencies, uploads, clients, connectors, discovery, health, quality, catalogue, codes, agreements, access, enrolment, entitlements,
    erasures, exchange_summary, exchanges, incidents, subject_usage, accounts, session, sign_in,
)  # fmt: skip
JSON = "application/json"
NOTHING = 204
Place = tuple[str, str, int]


def routes() -> Iterator[APIRoute]:
    """In the order in which they are matched."""
    for room in ROOMS:
        for resource in (room.routes, *([room.schema_routes] if room is discovery else [])):
            yield from (route for route in resource.router.routes if isinstance(route, APIRoute))


def documented() -> dict[Place, Mapping[str, Any]]:
    """Every success of these rooms' operations, and what the document says of it."""
    document = build_openapi()
    paths = document["paths"]
    return {
        (method, route.path, int(status)): answer_of(document, response)
        for route in routes()
        for method in route.methods
        for status, response in paths[route.path.replace(":path", "")][method.lower()]["responses"].items()
        if status.startswith("2")
    }


def strict(schema: Any) -> Any:
    """A copy in which no object has members that it does not declare."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: strict(part) for name, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        copy.setdefault("additionalProperties", False)
    return copy


DOCUMENTED = documented()
COMPONENTS = strict(build_openapi()["components"]["schemas"])
VALIDATORS: dict[str, Any] = {}


def faults(response: Mapping[str, Any], document: Any) -> list[str]:
    """What does not fit the component that the document names for this answer."""
    reference = response["content"][JSON]["schema"]["$ref"]
    if reference not in VALIDATORS:
        whole = {"$ref": reference, "components": {"schemas": COMPONENTS}}
        VALIDATORS[reference] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [
        f"{'/'.join(map(str, one.instance_path))}: {one.message}" for one in VALIDATORS[reference].iter_errors(document)
    ]


class Fit:
    """Takes answers, says whether they fit, and keeps which operations they were of."""

    def __init__(self) -> None:
        self.seen: set[Place] = set()

    def __call__(self, answer: httpx.Response) -> Any:
        """The document of an answer that fits."""
        method, path = answer.request.method, answer.request.url.path
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        route = next(route for route in routes() if method in route.methods and route.path_regex.match(path))
        place = (method, route.path, answer.status_code)
        self.seen.add(place)
        content = DOCUMENTED[place].get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status_code == NOTHING:
            assert (content, answer.content) == ({}, b"")
            return None
        assert kind in content, place
        if kind != JSON:
            return answer.text
        document = answer.json()
        found = faults(DOCUMENTED[place], document)
        assert found == [], (place, found, document)
        return document


@pytest.mark.parametrize("place", sorted(DOCUMENTED), ids=lambda place: "-".join(map(str, place)))
def test_every_example_fits(place: Place) -> None:
    content = DOCUMENTED[place].get("content", {})
    if JSON in content:
        assert faults(DOCUMENTED[place], content[JSON]["example"]) == []
    else:
        assert place[2] == NOTHING or {"text/plain", "text/csv"} & set(content)


@pytest.mark.parametrize(
    "change", [{"colour": "blue"}, {"name": None}, {"name": 1}, {"created_at": "yesterday"}, {"env_allow": None}]
)
def test_what_does_not_fit_is_told(change: dict[str, Any]) -> None:
    response = DOCUMENTED["GET", "/v1/agencies", 200]
    item = response["content"][JSON]["example"]["items"][0]

    assert faults(response, {"items": [item]}) == []
    assert faults(response, {"items": [item | change]}) != []
    assert faults(response, {}) != []


def test_every_answer_fits(gateway: RunningGateway, tmp_path: Path) -> None:
    fit = Fit()
    ask_operation(gateway, fit)
    ask_access(gateway, fit)
    ask_agencies(gateway, fit)
    ask_clients(gateway, fit)
    ask_people(gateway, fit)
    ask_connectors(gateway, fit, tmp_path)
    ask_broken_connector(gateway, fit)
    ask_catalogue(gateway, fit, tmp_path)
    ask_agreements(gateway, fit)
    ask_erasures(gateway, fit)
    ask_incidents(gateway, fit)
    ask_audit(gateway, fit)

    assert fit.seen == set(DOCUMENTED)


def ask_operation(gateway: RunningGateway, fit: Fit) -> None:
    for path in ("/health/live", "/health/ready", "/status", "/metrics"):
        fit(gateway.admin.get(path))


def ask_access(gateway: RunningGateway, fit: Fit) -> None:
    for more in ({}, {"scope": "admin"}):
        form = {"grant_type": "client_credentials", **more}
        assert ("scope" in fit(gateway.admin.post("/oauth/token", data=form, auth=gateway.credential))) == bool(more)
    fit(gateway.admin.get("/.well-known/jwks.json"))
    fit(gateway.admin.get("/.well-known/oauth-authorization-server"))
    fit(gateway.admin.get("/.well-known/oauth-protected-resource"))
    fit(gateway.admin.post("/oauth/revoke", data={"token": "x"}, auth=gateway.credential))


def ask_agencies(gateway: RunningGateway, fit: Fit) -> None:
    admin, client = gateway.admin, gateway.client("client", "rsud")
    body = {
        "id": "dkp",
        "name": "Dinas Kelautan",
        "name_en": "Fisheries",
        "contact": "0291",
        "env_allow": ["DKP_SANDI"],
    }
    fit(admin.post("/v1/agencies", json=body))
    fit(admin.patch("/v1/agencies/dkp", json={"contact": None, "network_allow": ["10.20.0.0/16", "data.example"]}))
    for caller, shown in ((admin, True), (client, False)):
        assert all(("network_allow" in item) == shown for item in fit(caller.get("/v1/agencies"))["items"])
        assert ("env_allow" in fit(caller.get("/v1/agencies/dkp"))) == shown
    for new in (True, False):
        assert fit(admin.put("/v1/agencies/dkp/files/kapal/2026.csv", content=b"kode\n1\n"))["new_version"] == new
    assert fit(admin.get("/v1/agencies/dkp/files"))["items"]
    ask_uploads(admin, fit)


def ask_uploads(admin: httpx.Client, fit: Fit) -> None:
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(b'kode').digest()).decode()}:"
    headers = {"content-type": "application/partial-upload", "upload-offset": "0"}
    for new in (True, False):
        begun = admin.post("/v1/agencies/dkp/files/b.csv", headers={"upload-complete": "?0", "repr-digest": digest})
        fit(begun)
        path = begun.headers["location"]
        assert fit(admin.get(path))["offset"] == 0
        fit(admin.patch(path, content=b"ko", headers={**headers, "upload-complete": "?0"}))
        last = {**headers, "upload-offset": "2", "upload-complete": "?1"}
        assert fit(admin.patch(path, content=b"de", headers=last))["new_version"] == new
        assert fit(admin.get(path))["complete"]
    assert fit(admin.get("/v1/agencies/dkp/uploads"))["items"]
    begun = admin.post("/v1/agencies/dkp/files/c.csv", headers={"upload-complete": "?0"})
    fit(admin.delete(begun.headers["location"]))


def ask_clients(gateway: RunningGateway, fit: Fit) -> None:
    admin, steward = gateway.admin, gateway.client("steward", "rsud")
    made = fit(admin.post("/v1/clients", json={"agency": "rsud", "role": "client", "name": "SIMRS pendaftaran"}))
    path = f"/v1/clients/{made['client_id']}"
    fit(admin.get(path))
    fit(admin.post(f"{path}/rotate"))
    fit(admin.put(f"{path}/keys", json={"keys": [Signer("Ed25519").jwk]}))
    code, signer = fit(admin.post(f"{path}/enrolment"))["enrolment_code"], Signer("Ed25519")
    proof = signer.assertion(made["client_id"], gateway.url)
    body = {"client_id": made["client_id"], "code": code, "key": signer.jwk, "client_assertion": proof}
    fit(admin.post("/oauth/enrol", json=body))
    fit(admin.patch(path, json={"disabled": True}))
    assert fit(admin.get("/v1/clients"))["items"]
    for _ in range(2):
        fit(steward.put("/v1/secrets/simrs-db", json={"value": "contoh"}))
    assert fit(steward.get("/v1/secrets"))["items"]
    fit(steward.delete("/v1/secrets/simrs-db"))


def ask_people(gateway: RunningGateway, fit: Fit) -> None:
    person = PersonAt(gateway, "steward", "dinkes", "rini@dinkes.example")
    other = fit(gateway.admin.post("/v1/people", json=PersonAt.body("auditor", "rsud", "budi@rsud.example")))
    assert fit(gateway.admin.get("/v1/people"))["items"]
    path = f"/v1/people/{other['id']}"
    fit(gateway.admin.get(path))
    fit(gateway.admin.patch(path, json={"disabled": True}))
    fit(gateway.admin.post(f"{path}/reset"))
    with Browser(gateway.url) as page, Browser(gateway.url) as elsewhere:
        given = {"login": person.login, "code": person.made["code"]}
        person.secret = fit(page.post("/sign-in/account", json=given))["secret"]
        body = {**given, "password": person.password, "totp": person.code()}
        codes = fit(page.post("/sign-in/account/open", json=body))["recovery_codes"]
        proof = {"login": person.login, "password": person.password}
        page.csrf = fit(page.post("/sign-in", json={**proof, "totp": person.code()}))["csrf_token"]
        elsewhere.post("/sign-in", json={**proof, "recovery_code": codes[0]}).raise_for_status()
        fit(page.get("/v1/session"))
        page.csrf = fit(page.post("/v1/session/step-up", json={"totp": person.code()}))["csrf_token"]
        listed = fit(page.get("/v1/sessions"))["items"]
        fit(page.delete(f"/v1/sessions/{next(one['id'] for one in listed if not one['current'])}"))
        fit(page.delete("/v1/session"))


def ask_connectors(gateway: RunningGateway, fit: Fit, folder: Path) -> None:
    """One life of a connector, of a file with faults."""
    admin, steward = gateway.admin, gateway.client("steward", "dinkes")
    rows = ["kode,nama,jenis,lat,lng", "F1,Satu,puskesmas,-6.5,110.6", "F2,Dua", "F1,Lagi,puskesmas,,", "F3,,warung,,"]
    rows += ["F4,Empat,puskesmas,jauh,110.6", ""]
    (folder / "cocok.csv").write_text("\n".join(rows), "utf-8")
    gateway.upload("dinkes", folder / "cocok.csv")
    path, location = "/v1/connectors/cocok", "inbox/cocok.csv"
    draft = {"connector": "cocok", "agency": "dinkes", "source": {"kind": "file", "location": location}}
    whole = facility_manifest("cocok", "dinkes", location)
    mapped = {name: {"from": name, "number": {"decimal": "."}, "else": "null"} for name in ("lat", "lng")}
    whole["fields"] = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis", **mapped}
    whole |= {"accept_rejects": 0.9, "description": "Contoh", "licence": "CC-BY-4.0"}
    whole["freshness"] = {"field": "nama", "slo": "30d"}
    assert fit(steward.put(path, json=draft))["state"] == "draft"
    assert fit(steward.get(f"{path}/quarantine"))["rejected_rows"] is None
    assert fit(steward.get(path))["check"] is None
    assert fit(steward.post(f"{path}/discover"))["schemas"]
    assert "source_file" in fit(steward.get("/v1/manifest-schema"))["$defs"]
    assert fit(steward.post(f"{path}/suggest?schema=fasilitas_kesehatan"))["lacking"] == []
    assert fit(steward.put(path, json=whole))["created"] is True
    assert fit(steward.put(path, json=whole))["created"] is False
    found = fit(steward.post(f"{path}/check"))
    assert found["mapping"]["rejects"]
    preview = fit(steward.post(f"{path}/preview"))["items"]
    assert any(item["rejects"] for item in preview)
    assert any(item["warnings"] for item in preview)
    assert fit(steward.post(f"{path}/publish"))["joined"] is None
    assert fit(admin.post(f"{path}/join"))["joined"] == "fasilitas_kesehatan"
    fit(steward.put(path, json={**whole, "title": "Lain"}))
    steward.post(f"{path}/check")
    fit(steward.post(f"{path}/publish"))
    fit(steward.post(f"{path}/rollback", json={"revision": 2}))
    page = gateway.client("client", "rsud").get("/v1/records/fasilitas-kesehatan", params={"agencies": "dinkes"})
    assert page.status_code == httpx.codes.OK
    assert fit(steward.get(f"{path}/quarantine", params={"limit": 1}))["items"]
    assert fit(steward.get(path))["discovery"]
    assert fit(steward.get("/v1/connectors"))["items"]
    assert len(fit(steward.get(f"{path}/revisions"))["items"]) == 3
    for number in (1, 2):
        fit(steward.get(f"{path}/revisions/{number}"))
    fit(steward.get(f"{path}/health"))
    assert fit(steward.delete(f"{path}/snapshot")) == {"connector": "cocok", "removed": 0}
    assert fit(steward.get(f"{path}/quality"))["measured"]["rows"] > 0
    assert fit(steward.get(f"{path}/quarantine/template")).startswith("lokasi,")
    assert fit(admin.get("/v1/datasets/cocok"))["freshness"]


def ask_broken_connector(gateway: RunningGateway, fit: Fit) -> None:
    admin, path = gateway.admin, "/v1/connectors/rusak"
    manifest = facility_manifest("rusak", "dinkes") | {"source": {"kind": "rest", "url": "http://127.0.0.1:9/x"}}
    fit(admin.put(path, json=manifest))
    found = fit(admin.post(f"{path}/check"))
    assert (found["passed"], found["mapping"]) == (False, None)
    assert fit(admin.get(path))["check"]["passed"] is False
    fit(admin.post(f"{path}/publish", json={"unchecked": True}))
    reader = gateway.client("client", "rsud")
    for _ in range(6):
        reader.get("/v1/records/fasilitas-kesehatan", params={"agencies": "dinkes"})
    assert fit(admin.get(f"{path}/health"))["circuit_cause"]
    assert fit(admin.get("/v1/datasets/rusak"))["quality"]["last_error"]
    fit(admin.post(f"{path}/suspend"))
    fit(admin.post(f"{path}/retire"))


def ask_catalogue(gateway: RunningGateway, fit: Fit, folder: Path) -> None:
    admin = gateway.admin
    fit(admin.get("/v1/schemas"))
    for schema in registry.all_schemas():
        fit(admin.get(f"/v1/schemas/{schema.meta.slug}"))
        fit(admin.get(f"/v1/schemas/{schema.meta.slug}/queryables"))
    assert fit(admin.get("/v1/datasets"))["items"]
    regions, foreign = folder / "wilayah.csv", folder / "dapodik.csv"
    regions.write_text("kode,nama\n33,Jawa Tengah\n33.20,Jepara\n33.20.10,Karimunjawa\n", "utf-8")
    foreign.write_text(
        "sistem,kode_asal,tingkat,nama_asal,kode_kemendagri\ndapodik,032015,kecamatan,Kec. Karimunjawa,33.20.10\n",
        "utf-8",
    )
    for file in (regions, foreign):
        command = [*SIMPUL, "codes", "load", str(file), "--dir", str(gateway.folder)]
        loaded = run(command, env=gateway.environment)
        assert loaded.returncode == 0, loaded.stderr
    ends = time.monotonic() + 20
    while admin.get("/v1/codes/dapodik/032015").status_code != httpx.codes.OK:
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert fit(admin.get("/v1/codes/dapodik/032015"))["kode_wilayah"] == "33.20.10"
    assert fit(admin.get("/v1/codes/kemendagri/33.20.10"))["nama"] == "Karimunjawa"
    assert fit(admin.get("/v1/codes/kemendagri", params={"level": "kecamatan", "parent": "33.20"}))["total"] == 1
    assert fit(admin.get("/v1/codes/kemendagri/lookup", params={"name": "Kec. Karimun Jawa"}))["status"] == "variant"
    assert fit(admin.get("/v1/codes/kemendagri/lookup", params={"name": "Karimunjowo"}))["status"] == "unmatched"
    assert fit(admin.get("/v1/codes/dapodik/032015/crosswalk"))["items"]


def ask_agreements(gateway: RunningGateway, fit: Fit) -> None:
    admin = gateway.admin
    more = {"fields": ["nik", "nama"], "masks": {"nama": "hide"}, "row_filter": "status_dasar = 'HIDUP'"}
    for name, last in (("cocok-1", "end"), ("cocok-2", "revoke")):
        client = gateway.client("client", "rsud").get("/v1/access")
        assert {item["agreement"] for item in fit(client)["items"]} >= {None, "pks-1"}
        question = {"schema": "penduduk_verifikasi", "operation": "verify", "officer": True}
        explained = fit(gateway.client("client", "rsud").post("/v1/access/explain", json=question))
        assert [one["rule"] for one in explained["items"]] == ["purpose_required"]
        fit(gateway.steward("rsud").post("/v1/agreements", json=terms("disdukcapil", id=name, **more)))
        for hand in (gateway.steward("disdukcapil"), admin):
            fit(hand.post(f"/v1/agreements/{name}/approve"))
        assert fit(admin.get(f"/v1/agreements/{name}"))["state"] == "active"
        assert fit(admin.post(f"/v1/agreements/{name}/{last}", json={"reason": "Selesai"}))["reason"] == "Selesai"
    assert fit(admin.get("/v1/agreements"))["items"]
    assert fit(admin.get("/v1/purposes"))["items"]


def ask_erasures(gateway: RunningGateway, fit: Fit) -> None:
    steward, supervisor = gateway.client("steward", "disdukcapil"), gateway.client("supervisor", "diskominfo")
    verify(gateway, "RM-1", PERSON["nik"])
    why = {"basis": "UU 27/2022 Ps. 8", "reference": "P-12"}
    subject = {"subject": {"id_type": "nik", "value": PERSON["nik"]}, **why}
    window = {"from": "2020-01-01", "to": "2020-01-31", "agreement": "pks-1", "provider": "disdukcapil"}
    span = {"range": {**window, "schema": "penduduk_verifikasi"}, **why}
    refused = fit(steward.post("/v1/erasures", json=span))
    fit(supervisor.post(f"/v1/erasures/{refused['id']}/refuse"))
    for body in (span, subject):
        hold = fit(steward.post("/v1/legal-holds", json=body))
        fit(supervisor.post(f"/v1/legal-holds/{hold['id']}/release"))
    fit(steward.post("/v1/legal-holds", json=span))
    made = fit(steward.post("/v1/erasures", json=subject))
    done = fit(supervisor.post(f"/v1/erasures/{made['id']}/approve"))
    assert done["result"]["details"] > 0
    assert done["result"]["receivers"]
    fit(supervisor.get(f"/v1/erasures/{made['id']}"))
    fit(steward.post("/v1/erasures", json=subject))
    assert {item["state"] for item in fit(supervisor.get("/v1/erasures"))["items"]} == {"proposed", "done", "refused"}
    assert {item["state"] for item in fit(supervisor.get("/v1/legal-holds"))["items"]} == {"active", "released"}


def ask_incidents(gateway: RunningGateway, fit: Fit) -> None:
    supervisor, known = gateway.client("supervisor", "diskominfo"), datetime.now(UTC).replace(microsecond=0)
    verify(gateway, "RM-2", PERSON["nik"])
    window = {"from": (known - timedelta(hours=1)).isoformat(), "to": (known + timedelta(hours=1)).isoformat()}
    body = {"title": "Kredensial bocor", "known_at": known.isoformat(), **window}
    fit(supervisor.post("/v1/incident-scope", json={**body, "client": "rsud-simrs", "credential": "q1Y3nR0o"}))
    made = fit(supervisor.post("/v1/incident-scope", json={**body, "connector": "dukcapil-penduduk"}))
    path = f"/v1/incident-scope/{made['id']}"
    assert fit(gateway.client("steward", "disdukcapil").post(f"{path}/resolve"))["subjects"]
    fit(supervisor.patch(path, json={"state": "notified"}))
    fit(supervisor.get(path))
    assert len(fit(supervisor.get("/v1/incident-scope"))["items"]) == 2


def ask_audit(gateway: RunningGateway, fit: Fit) -> None:
    """The log of all that was asked before, entry by entry."""
    supervisor = gateway.client("supervisor", "diskominfo")
    asked = verify(gateway, "RM-3", PERSON["nik"])
    gateway.client("client", "dinkes").post("/v1/records/penduduk-verifikasi/verify", json=PERSON)
    page = fit(supervisor.get("/v1/exchanges", params={"limit": 10}))
    while page["next_cursor"]:
        page = fit(supervisor.get("/v1/exchanges", params={"limit": 1000, "cursor": page["next_cursor"]}))
        kinds = {entry["kind"]: entry["xid"] for entry in page["items"]}
    assert {"intent", "outcome", "admin", "audit_read", "erasure"} <= kinds.keys()
    for exchange_id in (asked, *kinds.values()):
        fit(supervisor.get(f"/v1/exchanges/{exchange_id}"))
    for params in ({}, {"bucket": "day"}, {"bucket": "hour", "by": "provider", "top": "1"}):
        fit(supervisor.get("/v1/exchanges/summary", params=params))
    body = {"subject": {"id_type": "nik", "value": PERSON["nik"]}, "limit": 1}
    usage = fit(supervisor.post("/v1/subject-usage", json=body, headers={"X-Road-Issue": "P-12"}))
    assert usage["next_cursor"]
    body |= {"limit": 1000, "cursor": usage["next_cursor"]}
    fit(supervisor.post("/v1/subject-usage", json=body, headers={"X-Road-Issue": "P-12"}))
