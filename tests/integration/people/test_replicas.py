"""People at two replicas of one store on PostgreSQL: what counts once counts once for both, and what ends has ended for both."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.gateway import RunningGateway
from tests.support.gateways import Replicas, two_replicas
from tests.support.people import Browser, PersonAt


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory, postgres_module_url: str) -> Iterator[Replicas]:
    with two_replicas(tmp_path_factory.mktemp("people") / "instance", postgres_module_url) as made:
        made[0].agency("dinkes")
        yield made


@pytest.fixture
def person(replicas: Replicas, request: pytest.FixtureRequest) -> PersonAt:
    return PersonAt(replicas[0], "steward", "dinkes", f"{request.node.name[:40]}@dinkes.example").open()


def at(gateway: RunningGateway, replicas: Replicas) -> Browser:
    """A browser that is sent to this replica, under the address that both have."""
    page = Browser(gateway.url)
    page.origin = replicas[0].url
    return page


def signed_in(person: PersonAt, store: str) -> Browser:
    """Minutes after the last code was used."""
    with psycopg.connect(store, autocommit=True) as connection:
        connection.execute("UPDATE person SET totp_counter = 0 WHERE id = %s", (person.id,))
    person._used = 0
    return person.sign_in(aged=False)


def test_a_code_counts_once_for_both(replicas: Replicas, person: PersonAt) -> None:
    proof = person.proof()

    def asked(gateway: RunningGateway) -> int:
        with at(gateway, replicas) as page:
            return page.post("/sign-in", json=proof).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(asked, [*replicas, *replicas])) == [200, 401, 401, 401]


def test_a_session_made_at_one_is_known_to_the_other_and_ends_for_both_at_once(
    replicas: Replicas, person: PersonAt, postgres_module_url: str
) -> None:
    one, other = replicas
    page = signed_in(person, postgres_module_url)
    cookie = page.cookies["simpul-session"]
    with at(other, replicas) as there:
        there.cookies.set("simpul-session", cookie)
        assert there.get("/v1/session").json()["person"] == f"person:{person.id}"
        assert page.delete("/v1/session").status_code == 204
        assert there.get("/v1/session").status_code == 401

        again = signed_in(person, postgres_module_url).cookies["simpul-session"]
        there.cookies.set("simpul-session", again)
        assert there.get("/v1/session").status_code == 200
        assert one.admin.patch(f"/v1/people/{person.id}", json={"disabled": True}).status_code == 200
        assert there.get("/v1/session").status_code == 401
