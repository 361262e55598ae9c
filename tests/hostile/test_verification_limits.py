"""Nobody goes through a register number by number: questions and people of an agreement have a day's bound, misses an alarm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.api.conftest import agree
from tests.integration.api.test_recorded import VERIFY, WHY
from tests.support.gateway import RunningGateway

WHY_NOW = {**WHY, "Simpul-Purpose": "pelayanan_kesehatan"}
NIK = "33209901019000{:02}"


@pytest.fixture
def register(tmp_path: Path) -> Iterator[RunningGateway]:
    made = RunningGateway(
        tmp_path / "instance",
        {"SIMPUL_VERIFY_REQUESTS_PER_DAY": "8", "SIMPUL_VERIFY_PEOPLE_PER_DAY": "4", "SIMPUL_NOT_FOUND_BURST": "3"},
    )
    made.init()
    made.start()
    for agency in ("rsud", "disdukcapil"):
        made.agency(agency)
    (tmp_path / "penduduk.csv").write_text(f"nik,nama\n{NIK.format(1)},Siti Contoh\n", "utf-8")
    made.upload("disdukcapil", tmp_path / "penduduk.csv")
    made.publish(
        {
            "connector": "dukcapil-penduduk",
            "agency": "disdukcapil",
            "schema": "penduduk_verifikasi@1",
            "source": {"kind": "file", "location": "inbox/penduduk.csv"},
            "fields": {"nik": "nik", "nama": "nama"},
        }
    )
    agree(made, "pks-1", "disdukcapil")
    yield made
    made.stop()


def ask(client: httpx.Client, number: int) -> httpx.Response:
    return client.post(VERIFY, json={"nik": NIK.format(number), "nama": "Siti Contoh"}, headers=WHY_NOW)


def test_hostile_55_an_agreement_asks_about_so_many_people_a_day(register: RunningGateway) -> None:
    client, other = register.client("client", "rsud"), register.client("client", "rsud")
    found = [ask(client, number).json()["hasil"] for number in (1, 2, 3)]
    assert found == ["cocok", "tidak_ditemukan", "tidak_ditemukan"]
    assert ask(client, 1).status_code == 200
    assert ask(other, 4).status_code == 200
    refused = ask(other, 5)  # another client of the same agreement
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert "4 people" in refused.json()["detail"]
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert ask(client, 2).status_code == 200  # one that was asked about already

    register.stop()
    register.start()
    again = register.client("client", "rsud")
    assert ask(again, 6).status_code == 429  # counted from the log
    assert ask(again, 1).status_code == 200
    assert ask(again, 1).status_code == 200
    refused = ask(again, 1)
    assert (refused.status_code, "8 questions" in refused.json()["detail"]) == (429, True)
    kept = register.client("supervisor", "diskominfo").get(f"/v1/exchanges/{refused.headers['exchange-id']}").json()
    assert [(entry["kind"], entry.get("status")) for entry in kept["entries"]] == [("intent", None), ("outcome", 429)]


def test_hostile_55_many_that_are_not_found_are_an_alarm(register: RunningGateway) -> None:
    client = register.client("client", "rsud")
    for number in (2, 3, 4):
        assert ask(client, number).json()["hasil"] == "tidak_ditemukan"
    metrics = register.client("supervisor", "diskominfo").get("/metrics").text
    assert 'simpul_alarms_total{kind="not_found_burst"} 1.0' in metrics
    said = (register.folder / "serve.log").read_text("utf-8")
    assert "not_found_burst" in said
    assert NIK.format(2) not in said
