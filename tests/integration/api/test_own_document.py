"""`/openapi.json?as=me`: the operations of the caller's role, and of records the schemas, doors and fields that it may use today."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.integration.api.test_agreed_terms import agreed
from tests.support.documented import parameters_of
from tests.support.gateway import RunningGateway

FACILITIES = "/v1/records/fasilitas-kesehatan"
PERSONS = "/v1/records/penduduk-verifikasi"


def own(client: httpx.Client, **more: str) -> dict[str, Any]:
    answer = client.get("/openapi.json", params={"as": "me", **more})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def references(document: Any) -> set[str]:
    return {part.split(chr(34))[0] for part in json.dumps(document).split('"$ref": "')[1:]}


@pytest.mark.parametrize("role", ["client", "steward", "auditor", "supervisor", "admin"])
def test_it_holds_the_operations_of_the_role_and_is_whole(gateway: RunningGateway, role: str) -> None:
    found = own(gateway.client(role, "dinkes"))
    assert ("/v1/agreements/{agreement}/approve" in found["paths"]) is (role in {"steward", "admin"})
    assert ("/v1/exchanges" in found["paths"]) is (role in {"auditor", "supervisor"})
    assert "/health/live" in found["paths"]
    for reference in references(found):
        _, _, kind, name = reference.split("/")
        assert name in found["components"][kind], reference
    named = {reference.rsplit("/", 1)[1] for reference in references(found)}
    assert set(found["components"]["schemas"]) <= named


def test_records_are_those_that_may_be_used(gateway: RunningGateway) -> None:
    stranger, verifier = gateway.client("client", "dinkes"), gateway.client("client", "rsud")
    assert f"{PERSONS}/verify" not in own(stranger)["paths"]
    assert {f"{PERSONS}/verify", f"{PERSONS}/match"} <= own(verifier)["paths"].keys()
    whole = gateway.admin.get("/openapi.json").json()["paths"]
    listed = {path for path in whole if path.startswith("/v1/records/")}
    mine = {path for path in own(stranger)["paths"] if path.startswith("/v1/records/")}
    assert mine == {path for path in listed if path.startswith(FACILITIES)}, "nobody provides the others here"


def test_fields_are_those_that_some_agreement_grants(gateway: RunningGateway) -> None:
    gateway.agency("klinik")
    reader = gateway.client("client", "klinik")

    def shown() -> tuple[bool, bool, bool]:
        found = own(reader)
        listing = found["paths"][FACILITIES]["get"]
        component = found["components"]["schemas"]["FasilitasKesehatan"]
        assert "kode_faskes" in component["properties"]
        return (
            "email_kontak" in component["properties"],
            "email_kontak" in {given["name"] for given in parameters_of(found, listing)},
            "email_kontak" in json.dumps(listing["responses"]["200"]) + json.dumps(component.get("example")),
        )

    assert shown() == (False, False, False)
    agreed(gateway, "d-klinik", consumer="klinik")
    assert shown() == (True, True, True)
    assert gateway.admin.post("/v1/agreements/d-klinik/revoke", json={"reason": "Uji"}).status_code == 200
    assert shown() == (False, False, False)


def test_a_door_without_its_right_is_not_there(gateway: RunningGateway) -> None:
    gateway.agency("apotek")
    agreed(gateway, "d-apotek", consumer="apotek", schema="penduduk_verifikasi", rights=[])
    paths = own(gateway.client("client", "apotek"))["paths"]
    assert f"{PERSONS}/verify" in paths
    assert f"{PERSONS}/match" not in paths


def test_it_needs_a_token_and_speaks_indonesian(gateway: RunningGateway) -> None:
    reader = gateway.client("client", "rsud")
    with httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        refused = nobody.get("/openapi.json", params={"as": "me"})
        assert (refused.status_code, refused.json()["code"]) == (401, "token_missing")
        assert nobody.get("/openapi.json").status_code == 200
    wrong = reader.get("/openapi.json", params={"as": "admin"})
    assert wrong.json()["code"] == "parameter_unknown"
    assert (
        own(reader, lang="id")["paths"][FACILITIES]["get"]["summary"]
        != own(reader)["paths"][FACILITIES]["get"]["summary"]
    )
