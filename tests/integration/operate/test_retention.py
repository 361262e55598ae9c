"""Details of exchanges go when their agreement says so, and not before; what a legal hold names stays, and all proofs hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.audit.entry.record import Gateway
from app.audit.verify.stored_log import verify_settings
from app.gateway.retention import Retention
from app.settings import load_settings
from app.wiring import open_services
from tests.integration.api.conftest import PEOPLE, terms
from tests.support.gateway import RunningGateway

VERIFY = "/v1/records/penduduk-verifikasi/verify"
PERSON = {"nik": "3320990101900001", "nama": "Siti Contoh Aminah"}
OTHER = {**PERSON, "nik": "3320990101900002"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("retention")
    running = RunningGateway(folder / "instance")
    running.init()
    running.start()
    for agency in ("rsud", "disdukcapil"):
        running.agency(agency)
    (folder / "penduduk.csv").write_text(PEOPLE, "utf-8")
    running.upload("disdukcapil", folder / "penduduk.csv")
    fields = {"nik": "nik", "nama": "nama", "tanggal_lahir": {"from": "tanggal_lahir", "date": "iso"}}
    running.publish(
        {
            "connector": "dukcapil-penduduk", "agency": "disdukcapil", "schema": "penduduk_verifikasi@1",
            "source": {"kind": "file", "location": "inbox/penduduk.csv"}, "fields": fields,
        }
    )  # fmt: skip
    running.agree(terms("disdukcapil", id="pks-30", detail_days=30))
    running.agree(terms("disdukcapil", id="pks-tetap"))
    yield running
    running.stop()


def verify(client: httpx.Client, agreement: str, person: dict[str, str]) -> str:
    headers = {
        "Simpul-Purpose": "pelayanan_kesehatan", "X-Road-UserId": "ID1", "X-Road-Issue": "RM-1", "Simpul-Agreement": agreement,
    }  # fmt: skip
    answer = client.post(VERIFY, json=person, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["exchange-id"]


def details(client: httpx.Client, exchange: str) -> list[bool]:
    found: list[dict[str, Any]] = client.get(f"/v1/exchanges/{exchange}").json()["entries"]
    return [entry["detail"] is not None for entry in found]


async def swept(gateway: RunningGateway, days: int) -> int:
    """What goes in so many days, of a gateway that stands still meanwhile."""
    async with open_services(load_settings(dir=gateway.folder)) as state:
        return await Retention(state, Gateway("test", "1")).sweep(datetime.now(UTC) + timedelta(days=days))


async def test_details_go_by_the_agreement_and_holds_win(gateway: RunningGateway) -> None:
    reader = gateway.client("client", "rsud")
    mine, held = verify(reader, "pks-30", PERSON), verify(reader, "pks-30", OTHER)
    other = verify(reader, "pks-tetap", PERSON)
    plain = reader.get("/v1/records/penduduk-verifikasi").headers["exchange-id"]
    hold = {"subject": {"id_type": "nik", "value": OTHER["nik"]}, "basis": "Perkara 7/2026", "reference": "PN-7"}
    placed = gateway.client("steward", "disdukcapil").post("/v1/legal-holds", json=hold)
    assert placed.status_code == 201, placed.text
    gateway.stop()

    assert await swept(gateway, 29) == 0
    assert await swept(gateway, 31) == 2  # the intent's and the outcome's
    assert await swept(gateway, 31) == 0

    verified = verify_settings(load_settings(dir=gateway.folder))
    assert (verified.ok, verified.erased_details) == (True, 2), verified.reason
    gateway.start()
    shown = gateway.client("supervisor", "disdukcapil")
    assert details(shown, mine) == [False, False]
    assert details(shown, held) == [True, True]
    assert details(shown, other) == [True, True]
    assert details(shown, plain) == [True, True]
    assert shown.get(f"/v1/exchanges/{mine}/receipt").status_code == 200
    erased = shown.get("/v1/exchanges", params={"kind": "erasure"}).json()["items"]
    assert [one["op"] for one in erased] == ["erasure.retention"]


def test_days_beyond_those_of_the_instance_are_refused(gateway: RunningGateway) -> None:
    for days in (29, 3651):
        steward = gateway.client("steward", "rsud")
        answer = steward.post("/v1/agreements", json=terms("disdukcapil", id=f"pks-{days}-hari", detail_days=days))
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/detail_days"), answer.text
        assert "30 to 3650 days" in answer.json()["errors"][0]["detail"]


def test_what_was_agreed_is_shown(gateway: RunningGateway) -> None:
    shown = {
        name: gateway.admin.get(f"/v1/agreements/{name}").json()["detail_days"] for name in ("pks-30", "pks-tetap")
    }
    assert shown == {"pks-30": 30, "pks-tetap": None}
