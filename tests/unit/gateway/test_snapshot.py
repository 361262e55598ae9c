"""What the stores say, in memory: who is disabled, and which connectors are opened, which are away."""

from __future__ import annotations

from app.catalog.agencies import Agency
from app.catalog.snapshot import ActiveConnector, CatalogSnapshot
from app.catalog.states import State
from app.gateway.snapshot import Snapshot, _published
from tests.unit.gateway.making import NAMES


def connector(name: str, agency: str, state: State = State.PUBLISHED) -> ActiveConnector:
    return ActiveConnector(name, agency, state, 1, "wilayah", "wilayah@1", "file", "x", "{}", "d", "wilayah")


def test_a_new_process_knows_nobody_and_takes_every_stamp_for_new():
    empty = Snapshot(NAMES)

    assert (empty.disabled, empty.stamps) == (frozenset(), {})
    assert (empty.catalog.stamp, empty.granted.stamp) == (-1, -1)
    assert list(empty.codes.known_regions()) == []


def test_disabled_agencies_are_those_that_the_catalogue_marks():
    agencies = {
        "bps": Agency("bps", "BPS", disabled=True),
        "dinkes": Agency("dinkes", "Dinas Kesehatan"),
        "rsud": Agency("rsud", "RSUD", disabled=True),
    }

    assert Snapshot(NAMES, CatalogSnapshot(3, agencies)).disabled == {"bps", "rsud"}


def test_what_serves_is_opened_and_what_is_suspended_or_retired_stands_as_away():
    agencies = {name: Agency(name, name) for name in ("bps", "dinkes")}
    serving, suspended = connector("a", "bps"), connector("b", "dinkes", State.SUSPENDED)
    retired = connector("c", "dinkes", State.RETIRED)
    catalog = CatalogSnapshot(1, agencies, datasets={"wilayah": (serving,)}, paused=(suspended,), retired=(retired,))

    found = [(one.connector.id, one.agency.id, one.away) for one in _published(catalog)]
    assert found == [("a", "bps", False), ("b", "dinkes", True), ("c", "dinkes", True)]
