"""What a caller may use and why: the explanation of a question is what the question itself is told."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.test_agreed_terms import DOORS, FIELDS, LIST, PURPOSE, agreed, asked, reader
from tests.support.gateway import RunningGateway

__all__ = ["reader"]

FACILITIES = {"schema": "fasilitas_kesehatan", "provider": "dinkes", "purpose": PURPOSE}


def explained(client: httpx.Client, **members: Any) -> dict[str, Any]:
    """The one verdict about dinkes."""
    answer = client.post("/v1/access/explain", json={**FACILITIES, **members})
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["items"]
    found: dict[str, Any] = item
    assert answer.json()["allow"] is found["allow"]
    return found


def fields_of(verdict: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    return {field["name"]: (field["allow"], field["rule"]) for field in verdict["fields"]}


def test_allowed_by_which_agreement_field_by_field(gateway: RunningGateway, reader: httpx.Client) -> None:
    terms = {"fields": ["kode_faskes", "email_kontak"], "masks": {"email_kontak": "last4", "nama": "hide"}}
    agreed(gateway, "e-fields", **terms, row_filter="jenis = 'puskesmas'")
    found = explained(reader, agreement="e-fields")
    assert (found["allow"], found["rule"], found["agreement"]) == (True, "agreement", "e-fields")
    assert found["row_filter"] == "jenis = 'puskesmas'"
    verdicts = fields_of(found)
    assert verdicts["kode_faskes"] == (True, "open_data")
    assert verdicts["email_kontak"] == (True, "agreement")
    assert verdicts["nama"] == (False, "field_hidden")
    assert {one["name"]: one["mask"] for one in found["fields"]}["email_kontak"] == "last4"


def test_denied_with_the_rule_and_the_words_of_the_read(gateway: RunningGateway, reader: httpx.Client) -> None:
    agreed(gateway, "e-denied", rights=[], formats=["json"])
    fields = FIELDS.split(",")
    for operation, door, more in (
        ("aggregate", "aggregate", {"fields": ["email_kontak"]}),
        ("match", "match", {}),
        ("list", "export", {"format": "csv"}),
    ):
        found = explained(reader, operation=operation, agreement="e-denied", **{"fields": fields, **more})
        told = asked(reader, DOORS[door], "e-denied").json()
        if found["allow"]:  # the open fields remain, and the closed one says why it is not there
            closed = {one["name"]: one for one in found["fields"]}["email_kontak"]
            assert (closed["allow"], closed["rule"]) == (False, told["rule"])
            assert closed["detail"] == told["detail"]
        else:
            assert (found["rule"], found["code"]) == (told["rule"], told["code"])


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"purpose": None, "fields": ["email_kontak"]}, "purpose_required"),
        ({"purpose": "tidak_ada"}, "purpose_unknown"),
        ({"purpose": "statistik", "fields": ["email_kontak"]}, "purpose_not_in_agreement"),
        ({"agreement": "bukan-milik"}, "agreement_unknown"),
        ({"provider": "rsud", "fields": ["email_kontak"]}, "agreement_unknown"),
    ],
)
def test_each_rule_is_named(gateway: RunningGateway, reader: httpx.Client, members: dict[str, Any], rule: str) -> None:
    if gateway.admin.get("/v1/agreements/e-rules").status_code == 404:
        agreed(gateway, "e-rules")
    given = {"agreement": "e-rules", **members}
    if rule == "agreement_unknown" and "provider" in members:
        given["agreement"], rule = None, "no_agreement"
    found = explained(reader, **given)
    assert (found["allow"], found["rule"]) == (False, rule), found
    assert found["detail"]


def test_persons_need_officer_and_case(reader: httpx.Client) -> None:
    body = {"schema": "penduduk_verifikasi", "operation": "verify", "purpose": PURPOSE, "agreement": "pks-1"}
    without = reader.post("/v1/access/explain", json=body).json()["items"][0]
    named = reader.post("/v1/access/explain", json={**body, "officer": True}).json()["items"][0]
    listed = reader.post("/v1/access/explain", json={**body, "officer": True, "operation": "list"}).json()["items"][0]
    assert (without["allow"], without["rule"]) == (False, "officer_required")
    assert (named["allow"], named["rule"]) == (True, "agreement")
    assert (listed["allow"], listed["rule"]) == (False, "lookup_only")


def test_what_is_left_is_told_and_nothing_is_spent(gateway: RunningGateway, reader: httpx.Client) -> None:
    agreed(gateway, "e-quota", quota={"requests": 2, "rows": 10})
    for _ in range(3):
        assert explained(reader, agreement="e-quota")["quota"]["requests"] == {"limit": 2, "left": 2}
    assert len(asked(reader, DOORS["list"], "e-quota").json()["items"]) == 3
    item = next(one for one in reader.get("/v1/access").json()["items"] if one["agreement"] == "e-quota")
    assert item["quota"] == {
        "requests": {"limit": 2, "left": 1},
        "rows": {"limit": 10, "left": 7},
        "subjects": None,
    }
    assert asked(reader, DOORS["list"], "e-quota").status_code == 200
    spent = explained(reader, agreement="e-quota")
    assert (spent["allow"], spent["rule"], spent["code"]) == (False, "quota_requests", "agreement_quota_spent")
    assert asked(reader, DOORS["list"], "e-quota").json()["rule"] == "quota_requests"


def test_access_lists_terms_as_they_hold(gateway: RunningGateway, reader: httpx.Client) -> None:
    masks, rows = {"email_kontak": "last4"}, "jenis = 'klinik'"
    agreed(gateway, "e-listed", masks=masks, row_filter=rows, formats=["csv"], rights=["join"], data_life_days=7)
    items = reader.get("/v1/access").json()["items"]
    item = next(one for one in items if one["agreement"] == "e-listed")
    assert (item["masks"], item["row_filter"], item["formats"], item["rights"]) == (masks, rows, ["csv"], ["join"])
    assert (item["data_life_days"], item["quota"], item["provided"]) == (7, None, True)
    openly = next(one for one in items if one["agreement"] is None and one["provider"] == "dinkes")
    assert (openly["masks"], openly["row_filter"], openly["formats"]) == ({}, None, [])
    assert "email_kontak" not in openly["fields"]


def test_whose_access_may_be_asked(gateway: RunningGateway, reader: httpx.Client) -> None:
    agreed(gateway, "e-whose")
    client = reader.get("/v1/access").request.headers["authorization"]
    assert client
    name = gateway.admin.get("/v1/clients").json()["items"]
    mine = next(one["client_id"] for one in name if one["agency"] == "rsud" and one["role"] == "client")
    body = {**FACILITIES, "agreement": "e-whose", "client": mine}
    for role, agency, status in (
        ("steward", "rsud", 200),
        ("steward", "dinkes", 403),
        ("supervisor", "dinkes", 200),
        ("auditor", "rsud", 403),
        ("client", "dinkes", 403),
    ):
        answer = gateway.client(role, agency).post("/v1/access/explain", json=body)
        assert answer.status_code == status, (role, answer.text)
        if status == 200:
            assert (answer.json()["client"], answer.json()["items"][0]["agreement"]) == (mine, "e-whose")
    unknown = {**body, "client": "tidak-ada"}
    assert gateway.admin.post("/v1/access/explain", json=unknown).status_code == 404
    assert gateway.client("steward", "rsud").post("/v1/access/explain", json=unknown).status_code == 403


def test_wrong_questions_name_the_place(reader: httpx.Client) -> None:
    for body, status, pointer in (
        ({"schema": "fasilitas_kesehatan", "fields": ["namaa"]}, 422, "/fields/0"),
        ({"schema": "fasilitas_kesehatan", "operation": "hapus"}, 422, "/operation"),
        ({"schema": "tidak_ada"}, 404, None),
        ({"schema": "fasilitas_kesehatan", "provider": "tidak-ada"}, 404, None),
    ):
        answer = reader.post("/v1/access/explain", json=body)
        assert answer.status_code == status, answer.text
        if pointer:
            assert answer.json()["errors"][0]["pointer"] == pointer


def test_no_source_is_touched(gateway: RunningGateway, reader: httpx.Client) -> None:
    supervisor = gateway.client("supervisor", "dinkes")

    def scans() -> list[str]:
        lines = supervisor.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("simpul_source_") and "_created" not in line]

    reader.get(f"{LIST}?fields=kode_faskes")
    before = scans()
    assert before
    reader.post("/v1/access/explain", json={"schema": "fasilitas_kesehatan"})
    assert scans() == before
    reader.get(f"{LIST}?fields=kode_faskes")
    assert scans() != before
