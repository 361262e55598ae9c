"""Matching over HTTP: one answer a key, compared values, uploads, honest refusals."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

PATH = "/v1/records/fasilitas-kesehatan/match"


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


def found(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {item["key"]: item["status"] for item in answer.json()["items"]}


def test_each_key_has_one_answer_in_order(reader: httpx.Client) -> None:
    answer = reader.post(PATH, json={"keys": ["R2", "P1", "X9", "P1", "a~b"], "fields": ["nama"]})
    items = answer.json()["items"]

    assert [(item["key"], item["status"]) for item in items] == [
        ("R2", "matched"), ("P1", "matched"), ("X9", "unmatched"), ("P1", "matched"), ("a~b", "invalid"),
    ]  # fmt: skip
    assert items[0]["records"][0]["nama"] == "RS Dua"
    assert items[0]["records"][0]["_source"]["agency"] == "rsud"
    assert items[2]["reason"] == "not_found"
    assert items[4]["reason"]
    assert answer.json()["counts"] == {"matched": 3, "unmatched": 1, "unknown": 0, "ambiguous": 0, "invalid": 1}


@pytest.mark.parametrize(
    ("name", "status", "how"),
    [
        ("Puskesmas Satu", "matched", "exact"),
        (" puskesmas   SATU.", "matched", "normalised"),
        ("Puskesmas Tiga", "unmatched", "different"),
    ],
)
def test_values_are_compared(reader: httpx.Client, name: str, status: str, how: str) -> None:
    item = reader.post(PATH, json={"keys": [{"key": "P1", "values": {"nama": name}}]}).json()["items"][0]

    assert (item["status"], item["compared"]) == (status, {"nama": how})


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_csv_upload(reader: httpx.Client, separator: str) -> None:
    lines = [["key", "nama"], ["P1", "Puskesmas Satu"], ["P2", "Lain"], ["Z", ""]]
    content = "\r\n".join(separator.join(line) for line in lines)
    answer = reader.post(PATH, content=content.encode("utf-8-sig"), headers={"content-type": "text/csv"})

    assert found(answer) == {"P1": "matched", "P2": "unmatched", "Z": "unmatched"}


def test_two_agencies_that_hold_a_key_are_both_told(reader: httpx.Client, services: SourceServer) -> None:
    route = services.routes["/rs"]
    services.json("/rs", b'{"data": [{"kode": "P1", "nama": "Puskesmas 1"}]}')
    try:
        item = reader.post(PATH, json={"keys": ["P1"]}).json()["items"][0]
        chosen = reader.post(PATH, json={"keys": [{"key": "P1", "values": {"nama": "Puskesmas 1"}}]}).json()["items"][0]
    finally:
        services.routes["/rs"] = route

    assert item["status"] == "ambiguous"
    assert {record["_source"]["agency"] for record in item["records"]} == {"dinkes", "rsud"}
    assert (chosen["status"], chosen["records"][0]["_source"]["agency"]) == ("matched", "rsud")


def test_a_hundred_thousand_keys(reader: httpx.Client) -> None:
    lines = "\n".join(["key", *(f"K{number}" for number in range(99_998)), "P1", "R2"])
    answer = reader.post(PATH, content=lines.encode(), headers={"content-type": "text/csv"})

    assert answer.json()["counts"] == {"matched": 2, "unmatched": 99_998, "unknown": 0, "ambiguous": 0, "invalid": 0}


def test_strict_unless_said_otherwise(reader: httpx.Client, services: SourceServer) -> None:
    route = services.routes["/rs"]
    services.routes["/rs"] = lambda _query, _headers: (503, "text/plain", b"down")
    try:
        strict = reader.post(PATH, json={"keys": ["P1"]})
        loose = reader.post(PATH, json={"keys": ["P1", "R2"]}, headers={"prefer": "partial=allow"})
    finally:
        services.routes["/rs"] = route

    assert strict.json()["code"] == "partial_answer_refused"
    assert (found(loose), loose.json()["complete"]) == ({"P1": "matched", "R2": "unknown"}, False)
    assert loose.json()["items"][1]["reason"] == "no answer from rsud"
    assert loose.json()["counts"]["unknown"] == 1


def test_a_key_that_is_none_is_answered_and_the_others_too(reader: httpx.Client) -> None:
    keys = [1, "P1", None, {"key": 7}, {"key": "P2", "values": {"nama": 3}}, {"key": "P2", "more": 1}, "x" * 2001]
    answer = reader.post(PATH, json={"keys": keys})
    items = answer.json()["items"]

    assert [item["status"] for item in items] == ["invalid", "matched", *["invalid"] * 5]
    assert [item["key"] for item in items[:4]] == [1, "P1", None, 7]
    assert items[3]["reason"].startswith("/key: ")
    assert items[4]["reason"].startswith("/values/nama: ")
    assert "constrained" not in answer.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"keys": []}, "validation_failed"),
        ({"keys": ["P1"], "fields": ["namaa"]}, "field_unknown"),
        ({"keys": [{"key": "P1", "values": {"namaa": "x"}}]}, "field_unknown"),
        ({"keys": "P1"}, "validation_failed"),
        ({}, "validation_failed"),
    ],
)
def test_bad_questions_name_the_pointer(reader: httpx.Client, body: dict[str, Any], code: str) -> None:
    assert reader.post(PATH, json=body).json()["code"] == code


@pytest.mark.parametrize("content", [b"", b"nama\r\nx", b"key,nama\r\nP1", b"key\r\n\xff"])
def test_bad_uploads_name_the_line(reader: httpx.Client, content: bytes) -> None:
    answer = reader.post(PATH, content=content, headers={"content-type": "text/csv"})

    assert answer.json()["code"] == "validation_failed"


def test_a_match_is_recorded_without_its_keys(gateway: RunningGateway, reader: httpx.Client) -> None:
    answer = reader.post(PATH, json={"keys": ["P1", "P2"]})
    entries = (
        gateway.client("supervisor", "dinkes").get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"]
    )

    assert [(entry["kind"], entry["op"]) for entry in entries] == [("intent", "match"), ("outcome", "match")]
    assert "P1" not in str(entries[0]["q"])


def test_a_personal_schema_is_not_matched_without_an_agreement(reader: httpx.Client) -> None:
    answer = reader.post("/v1/records/penduduk-verifikasi/match", json={"keys": ["3320990101900001"]})

    assert answer.json()["code"] == "agreement_missing"
