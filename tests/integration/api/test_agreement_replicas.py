"""Two replicas on one PostgreSQL store: a revocation holds on both within a second, in a running job too; a quota is one for both."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.database import upgrade
from app.settings import load_settings
from tests.integration.api.conftest import furnish, services
from tests.integration.api.test_agreed_terms import DOORS, FIELDS, LIST, PURPOSE, agreed, asked
from tests.integration.api.test_jobs import ended
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

__all__ = ["services"]

SECOND = 1.0
TOLERANCE = 0.5
"""For a machine under load."""


@pytest.fixture(scope="module")
def replicas(
    tmp_path_factory: pytest.TempPathFactory, postgres_module_url: str, services: SourceServer
) -> Iterator[tuple[RunningGateway, RunningGateway]]:
    folder = tmp_path_factory.mktemp("replicas")
    environment = {"SIMPUL_DATABASE_URL": postgres_module_url}
    one = RunningGateway(folder / "instance", environment)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SIMPUL_DATABASE_URL", postgres_module_url)
        one.init()
        upgrade(load_settings(dir=one.folder))
    other = RunningGateway(folder / "instance", environment)
    try:
        one.start()
        other.start()
        furnish(one, folder, services)
        yield one, other
    finally:
        codes = (one.stop(), other.stop())
    assert codes == (0, 0)


@pytest.fixture(scope="module")
def sides(replicas: tuple[RunningGateway, RunningGateway]) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """One credential on both."""
    reader = replicas[0].client("client", "rsud")
    with httpx.Client(base_url=replicas[1].url, headers=reader.headers, trust_env=False, timeout=60) as there:
        yield reader, there


def known(client: httpx.Client, agreement: str) -> None:
    """Waits until the replica knows the agreement."""
    ends = time.monotonic() + 20
    while asked(client, DOORS["look-up"], agreement).status_code != 200:
        assert time.monotonic() < ends
        time.sleep(0.02)


def refused_after(client: httpx.Client, agreement: str, begun: float) -> float:
    """How long the replica still answered under it."""
    while True:
        answer = asked(client, DOORS["look-up"], agreement)
        if answer.status_code == 403:
            assert answer.json()["rule"] == "agreement_revoked"
            return time.monotonic() - begun
        assert time.monotonic() - begun < 20


def test_a_revocation_holds_on_every_replica_within_a_second(
    replicas: tuple[RunningGateway, RunningGateway], sides: tuple[httpx.Client, httpx.Client]
) -> None:
    agreed(replicas[0], "r-revoked")
    for client in sides:
        known(client, "r-revoked")
    begun = time.monotonic()
    revoked = replicas[0].admin.post("/v1/agreements/r-revoked/revoke", json={"reason": "Uji"})
    assert revoked.status_code == 200
    done = time.monotonic()
    assert asked(sides[0], DOORS["look-up"], "r-revoked").status_code == 403
    assert refused_after(sides[1], "r-revoked", done) < SECOND + TOLERANCE
    assert done > begun


@pytest.mark.parametrize("where", [0, 1], ids=["here", "on the other replica"])
def test_a_revocation_stops_a_running_job(
    replicas: tuple[RunningGateway, RunningGateway],
    sides: tuple[httpx.Client, httpx.Client],
    services: SourceServer,
    where: int,
) -> None:
    agreement = f"r-job-{where}"
    agreed(replicas[0], agreement, provider="rsud")
    known_door = ("GET", f"{LIST}/R2?fields={FIELDS}&agencies=rsud", {})
    ends = time.monotonic() + 20
    while asked(sides[where], known_door, agreement).status_code != 200:
        assert time.monotonic() < ends
        time.sleep(0.02)
    route, asked_for, release = services.routes["/rs"], threading.Event(), threading.Event()

    def held(_query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
        asked_for.set()
        release.wait(20)
        return 200, "application/json", b'{"data": []}'

    services.routes["/rs"] = held
    try:
        door: Any = ("GET", f"{LIST}?fields={FIELDS}&agencies=rsud&f=csv", {})
        accepted = asked(sides[where], door, agreement, Prefer="respond-async")
        assert accepted.status_code == 202, accepted.text
        assert asked_for.wait(20)
        assert replicas[0].admin.post(f"/v1/agreements/{agreement}/revoke", json={"reason": "Uji"}).status_code == 200
        begun = time.monotonic()
        job = accepted.headers["location"].split("/v1/")[1]
        found = ended(sides[where], f"/v1/{job}")
        took = time.monotonic() - begun
    finally:
        release.set()
        services.routes["/rs"] = route
    assert (found["state"], found["problem"]["code"]) == ("failed", "access_denied"), found
    assert took < SECOND + TOLERANCE


def test_a_quota_is_one_for_all_replicas(
    replicas: tuple[RunningGateway, RunningGateway], sides: tuple[httpx.Client, httpx.Client]
) -> None:
    agreed(replicas[0], "r-quota", quota={"requests": 70})
    ends = time.monotonic() + 20
    while sides[1].get("/v1/access").json()["items"][-1]["agreement"] != "r-quota":
        assert time.monotonic() < ends
        time.sleep(0.02)
    answers = [asked(sides[turn % 2], DOORS["look-up"], "r-quota").status_code for turn in range(100)]
    assert set(answers) == {200, 429}
    assert answers.count(200) <= 70
    time.sleep(4)  # what was held and not used goes back
    rest = [asked(sides[0], DOORS["look-up"], "r-quota").status_code for _ in range(30)]
    assert answers.count(200) + rest.count(200) == 70
    left = next(one for one in sides[1].get("/v1/access").json()["items"] if one["agreement"] == "r-quota")
    assert left["quota"]["requests"] == {"limit": 70, "left": 0}
    assert PURPOSE in left["purposes"]
