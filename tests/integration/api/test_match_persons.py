"""Matching of persons: capped, by right, blind to who is there with other values; counted and tagged as verifications are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import terms
from tests.support.gateway import RunningGateway

PATH = "/v1/records/penduduk-verifikasi/match"
NIK = "33209901019000{:02}"
OFFICER = {"X-Road-UserId": "198609262015051001", "X-Road-Issue": "RM-7", "Simpul-Purpose": "pelayanan_kesehatan"}
NAMES = {1: "Siti Contoh", 2: "Budi Contoh", 3: "Ani Contoh"}


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("persons")
    made = RunningGateway(
        folder / "instance", {"SIMPUL_VERIFY_REQUESTS_PER_DAY": "150", "SIMPUL_VERIFY_PEOPLE_PER_DAY": "105"}
    )
    made.init()
    made.start()
    for agency in ("rsud", "dinkes", "disdukcapil"):
        made.agency(agency)
    rows = "".join(f"{NIK.format(number)},{name},1990-01-01\n" for number, name in NAMES.items())
    (folder / "penduduk.csv").write_text(f"nik,nama,lahir\n{rows}", "utf-8")
    made.upload("disdukcapil", folder / "penduduk.csv")
    made.publish(
        {
            "connector": "dukcapil-penduduk",
            "agency": "disdukcapil",
            "schema": "penduduk_verifikasi@1",
            "source": {"kind": "file", "location": "inbox/penduduk.csv"},
            "fields": {"nik": "nik", "nama": "nama", "tanggal_lahir": {"from": "lahir", "date": "iso"}},
        }
    )
    for agreement, more in (
        ("with-right", {"rights": ["match"]}),
        ("without", {"rights": []}),
        ("masked", {"rights": ["match"], "masks": {"nama": "hash"}}),
        ("capped", {"rights": ["match"]}),
    ):
        made.agree(terms("disdukcapil", id=agreement, **more))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def reader(register: RunningGateway) -> httpx.Client:
    return register.client("client", "rsud")


def person(number: int, **values: str) -> dict[str, Any]:
    return {"key": NIK.format(number), "values": values}


def ask(
    client: httpx.Client, *persons: dict[str, Any], agreement: str = "with-right", **headers: str
) -> httpx.Response:
    return client.post(
        PATH, json={"keys": list(persons)}, headers={**OFFICER, "Simpul-Agreement": agreement, **headers}
    )


def test_each_person_is_there_with_these_values_or_not_and_no_more_is_told(reader: httpx.Client) -> None:
    answer = ask(
        reader,
        person(2, nama="BUDI  contoh", tanggal_lahir="1990-01-01"),
        person(1, nama="Orang Lain"),
        person(77, nama="Siti Contoh"),
        {"key": "12345", "values": {"nama": "x"}},
        person(3, nama="Ani Contoh", tanggal_lahir="1991-01-01"),
    )

    assert answer.status_code == 200, answer.text
    statuses = [item.pop("status") for item in answer.json()["items"]]
    assert statuses == ["matched", "unmatched", "unmatched", "invalid", "unmatched"]
    different, absent = answer.json()["items"][1:3]
    assert {**different, "key": ""} == {**absent, "key": ""}
    assert answer.json()["counts"] == {"matched": 1, "unmatched": 3, "invalid": 1}
    assert set(answer.json()) == {"items", "counts"}
    assert all(name not in answer.text for name in ("Siti", "Ani", "1990"))
    assert answer.headers["cache-control"] == "no-store"


def test_entries_tell_how_many_were_asked_about_and_not_how_many_are_there(
    register: RunningGateway, reader: httpx.Client
) -> None:
    supervisor = register.client("supervisor", "dinkes")
    seen = []
    for numbers in ((1, 2), (78, 79)):
        answer = ask(reader, *(person(number, nama="Orang Lain") for number in numbers))
        kept = supervisor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"]
        seen.append(
            [
                {name: entry.get(name) for name in ("kind", "op", "rows", "rejected", "sources", "q", "subj_n")}
                for entry in kept
            ]
        )
        assert all(NIK.format(numbers[0]) not in str(entry["q"]) for entry in kept)
    assert seen[0] == seen[1]
    assert [entry["op"] for entry in seen[0]] == ["match", "match"]


def test_a_person_who_was_asked_about_is_found_in_the_log(register: RunningGateway, reader: httpx.Client) -> None:
    answer = ask(reader, person(1, nama="Siti Contoh"))
    body = {"subject": {"id_type": "nik", "value": NIK.format(1)}}
    found = register.client("supervisor", "dinkes").post(
        "/v1/subject-usage", json=body, headers={"X-Road-Issue": "P-1"}
    )

    assert answer.headers["exchange-id"] in found.text


@pytest.mark.parametrize(
    ("agreement", "persons", "status", "code"),
    [
        ("without", [person(1, nama="x")], 403, "agreement_missing"),
        ("masked", [person(1, nama="x")], 403, "field_not_granted"),
        ("with-right", [person(1)], 422, "validation_failed"),
        ("with-right", [person(1, nama="x"), person(1, nama="y")], 422, "validation_failed"),
        ("with-right", [person(1, status_dasar="x")], 422, "validation_failed"),
        ("with-right", [person(1, tanggal_lahir="kemarin")], 422, "validation_failed"),
        ("with-right", ["3320990101900001"], 422, "validation_failed"),
        ("with-right", [], 422, "validation_failed"),
        ("with-right", [person(1, nama="x")] * 101, 422, "validation_failed"),
    ],
)
def test_what_is_refused(reader: httpx.Client, agreement: str, persons: list[Any], status: int, code: str) -> None:
    answer = ask(reader, *persons, agreement=agreement)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert NIK.format(1) not in answer.text


@pytest.mark.parametrize("path", [PATH, PATH.replace("match", "verify")])
def test_a_name_that_stands_twice_is_refused_and_no_person_is_asked_about(reader: httpx.Client, path: str) -> None:
    one = '"nik": "3320990101900001"' if path.endswith("verify") else '"key": "3320990101900001", "values": {}'
    for body in (f"{{{one}, {one}}}", f'{{"keys": [{{{one}, {one}}}]}}'):
        headers = {**OFFICER, "Simpul-Agreement": "with-right", "content-type": "application/json"}
        answer = reader.post(path, content=body.encode(), headers=headers)
        assert answer.status_code == 400, answer.text
        assert "twice" in answer.json()["detail"]
        assert "3320990101900001" not in answer.text


def test_the_decision_comes_before_any_look_at_the_values(register: RunningGateway) -> None:
    stranger = register.client("client", "dinkes")
    for body in ({"keys": "none"}, {"keys": [person(1, nama="Siti Contoh")]}):
        answer = stranger.post(PATH, json=body, headers=OFFICER)
        assert (answer.status_code, answer.json()["code"]) == (403, "agreement_missing")


def test_officer_and_case_are_needed(reader: httpx.Client) -> None:
    headers = {"Simpul-Purpose": "pelayanan_kesehatan", "Simpul-Agreement": "with-right"}
    answer = reader.post(PATH, json={"keys": [person(1, nama="x")]}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "officer_required")


def test_every_person_counts_all_or_none_and_with_verifications(register: RunningGateway, reader: httpx.Client) -> None:
    for first, many in ((1, 60), (61, 39)):
        keys = [{"key": f"33209901019{number:05}", "values": {"nama": "x"}} for number in range(first, first + many)]
        assert ask(reader, *keys, agreement="capped").status_code == 200
    others = [{"key": f"33209902019{number:05}", "values": {"nama": "x"}} for number in range(1, 11)]
    refused = ask(reader, *others, agreement="capped")
    assert (refused.status_code, "105 people" in refused.json()["detail"]) == (429, True)
    assert ask(reader, *others[:6], agreement="capped").status_code == 200  # none of the ten was counted
    one = {"nik": "3320990301900001", "nama": "x"}
    verified = reader.post(PATH.replace("match", "verify"), json=one, headers={**OFFICER, "Simpul-Agreement": "capped"})
    assert verified.status_code == 429
    assert ask(reader, others[0], agreement="with-right").status_code == 200

    metrics = register.client("supervisor", "dinkes").get("/metrics").text
    assert 'simpul_alarms_total{kind="not_found_burst"}' in metrics


def test_a_right_that_the_schema_does_not_know_is_refused(register: RunningGateway) -> None:
    body = terms("disdukcapil")
    for schema, rights in (
        ("fasilitas_kesehatan", ["everything"]),
        ("penduduk_verifikasi", ["join"]),
        ("penduduk_verifikasi", ["aggregate"]),
    ):
        answer = register.steward("rsud").post("/v1/agreements", json={**body, "schema": schema, "rights": rights})
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/rights/0"]
    shown = register.admin.get("/v1/agreements/with-right").json()
    assert shown["rights"] == ["match"]
