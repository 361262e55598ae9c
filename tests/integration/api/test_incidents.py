"""Incidents and the Data Tracker's routes, over HTTP, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.api.conftest import furnish
from tests.integration.api.test_audit import PERSON, verify
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

KNOWN = datetime.now(UTC).replace(microsecond=0)


def scope(connector: str = "dukcapil-penduduk") -> dict[str, str]:
    window = {"from": (KNOWN - timedelta(hours=1)).isoformat(), "to": (KNOWN + timedelta(hours=1)).isoformat()}
    return {"title": "Kredensial bocor", "connector": connector, "known_at": KNOWN.isoformat(), **window}


def test_incident_counts_people_and_drafts_the_notice(gateway: RunningGateway) -> None:
    verify(gateway, "RM-1", PERSON["nik"])
    verify(gateway, "RM-2", "3320990909900009")
    supervisor = gateway.client("supervisor", "diskominfo")
    made = supervisor.post("/v1/incident-scope", json=scope())
    found = made.json()

    assert made.status_code == 201, made.text
    assert found["found"]["subjects"] == 2
    assert found["found"]["receivers"] == ["ID-JEPARA/GOV/rsud"]
    assert found["found"]["providers"] == ["ID-JEPARA/GOV/disdukcapil"]
    assert datetime.fromisoformat(found["deadline"]) - KNOWN == timedelta(hours=72)
    assert "Pasal 46" in found["notice"]
    assert "Jumlah subjek data: 2" in found["notice"]
    assert PERSON["nik"] not in made.text

    own = gateway.client("steward", "disdukcapil").post(f"/v1/incident-scope/{found['id']}/resolve")
    other = gateway.client("steward", "dinkes").post(f"/v1/incident-scope/{found['id']}/resolve")
    assert own.json() == {"subjects": {"nik": [PERSON["nik"]]}, "unresolved": 1}
    assert other.status_code == 404  # it does not concern them

    path = f"/v1/incident-scope/{found['id']}"
    assert supervisor.patch(path, json={"state": "notified"}).json()["state"] == "notified"
    assert supervisor.get("/v1/incident-scope").json()["items"][0]["id"] == found["id"]
    assert gateway.client("steward", "dinkes").patch(path, json={"state": "closed"}).status_code == 403


@pytest.mark.parametrize("body", [{**scope(), "client": "x"}, {**scope(), "from": "soon"}, {"title": "x"}])
def test_incident_that_makes_no_sense_is_refused(gateway: RunningGateway, body: dict[str, str]) -> None:
    assert gateway.client("supervisor", "diskominfo").post("/v1/incident-scope", json=body).status_code == 422


def test_data_tracker_is_off_unless_turned_on(gateway: RunningGateway) -> None:
    assert gateway.client("supervisor", "diskominfo").get("/v2/heartbeat").status_code == 404


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[RunningGateway]:
    services = SourceServer()
    running = RunningGateway(tmp_path / "instance", {"SIMPUL_DATA_TRACKER": "true"})
    running.init()
    try:
        running.start()
        furnish(running, tmp_path, services)
        yield running
    finally:
        running.stop()
        services.close()


def test_data_tracker_protocol(tracker: RunningGateway) -> None:
    nik = PERSON["nik"]
    for case in ("RM-1", "RM-2", "RM-3"):
        verify(tracker, case, nik)
    portal = tracker.client("supervisor", "diskominfo")
    portal.headers["X-Road-UserId"] = nik
    first = portal.get("/v2/findUsage", params={"userCode": nik, "offset": 0, "limit": 2}).json()
    rest = portal.get("/v2/findUsage", params={"userCode": nik, "offset": 2, "limit": 2}).json()

    assert portal.get("/v2/heartbeat").json() == {"status": "OK"}
    assert portal.get("/v2/usagePeriod").json()["periodStart"].endswith("Z")
    assert (first["totalUsages"], len(first["usages"]), len(rest["usages"])) == (3, 2, 1)
    assert first["usages"][0]["logtime"] > first["usages"][1]["logtime"]
    assert first["usages"][0]["receiverCode"] == "ID-JEPARA/GOV/rsud"
    assert first["usages"][0]["receiverName"] == "OPD rsud"
    other = portal.get("/v2/findUsage", params={"userCode": "3320990909900009"})
    assert other.status_code == 422
