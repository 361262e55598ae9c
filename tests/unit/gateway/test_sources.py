"""The opened datasets of a process: what changed is opened anew, what did not is kept, what is gone is closed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.catalog.agencies import Agency
from app.catalog.snapshot import ActiveConnector
from app.catalog.states import State
from app.datasets.manifest import Manifest
from app.datasets.mapping.codes import CodeBook, InMemoryCodeBook, empty_code_book
from app.datasets.records import ReadRequest
from app.errors import SimpulError, SourceFailed, SourceSuspended
from app.gateway.sources import PublishedConnector, SourcePool
from app.schemas import registry
from tests.support.memory import MemoryDataset

pytestmark = pytest.mark.anyio

CODES = empty_code_book()
FIELDS = {"wilayah": ("kode", "nama", "tingkat"), "fasilitas_kesehatan": ("kode_faskes", "nama")}


def manifest_of(name: str, agency: str, schema: str) -> str:
    """The canonical text of a small manifest."""
    source = {"kind": "file", "location": "inbox/x.csv"}
    fields = {field: field for field in FIELDS[schema]}
    return json.dumps(
        {"connector": name, "agency": agency, "schema": f"{schema}@1", "source": source, "fields": fields}
    )


class WatchedDataset(MemoryDataset):
    """A dataset that knows whether it was closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True


class Shelf:
    """Opens datasets in memory; `faults` are raised for the connectors that they name."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, int, WatchedDataset]] = []
        self.faults: dict[str, SimpulError] = {}

    def dataset(self, manifest: Manifest, revision: int, agency: Agency, codes: CodeBook) -> WatchedDataset:
        if manifest.connector in self.faults:
            raise self.faults[manifest.connector]
        source = WatchedDataset(schema=registry.get(manifest.schema_ref or ""))
        self.opened.append((manifest.connector, revision, source))
        return source

    def names(self) -> list[str]:
        """Connectors in the order in which they were opened."""
        return [name for name, _, _ in self.opened]


def published(
    name: str,
    agency: str = "dinkes",
    *,
    revision: int = 1,
    state: State = State.PUBLISHED,
    schema: str = "wilayah",
    manifest: str | None = None,
) -> PublishedConnector:
    text = manifest or manifest_of(name, agency, schema)
    active = ActiveConnector(name, agency, state, revision, schema, f"{schema}@1", "file", name, text, "d", schema)
    return PublishedConnector(Agency(agency, agency), active, away=state is not State.PUBLISHED)


async def test_datasets_of_a_schema_stand_by_agency_and_name():
    pool = SourcePool(Shelf())
    items = [
        published("z1", "bps"),
        published("a1", "rsud"),
        published("b1", "bps"),
        published("c1", schema="fasilitas_kesehatan"),
    ]
    await pool.replace(items, CODES, 0)

    assert [one.dataset for one in pool.of_schema("wilayah")] == ["b1", "z1", "a1"]
    assert [one.dataset for one in pool.of_schema("fasilitas_kesehatan")] == ["c1"]
    assert pool.of_schema("kejadian_bencana") == ()


async def test_what_did_not_change_is_kept_open():
    shelf = Shelf()
    pool = SourcePool(shelf)
    await pool.replace([published("a1"), published("b1")], CODES, 0)
    kept = pool.get("a1")
    await pool.replace([published("a1"), published("b1", revision=2)], CODES, 0)

    assert shelf.names() == ["a1", "b1", "b1"]
    assert pool.get("a1") is kept
    assert [source.closed for _, _, source in shelf.opened] == [False, True, False]


@pytest.mark.parametrize("changed", ["agency", "codes", "secrets"])
async def test_a_change_of_what_a_dataset_depends_on_opens_it_anew(changed: str):
    shelf, first = Shelf(), published("a1")
    pool = SourcePool(shelf)
    await pool.replace([first], CODES, 0)
    agency = replace(first.agency, network_allow=("10.0.0.0/8",))
    codes = InMemoryCodeBook("2", CODES.region_table, CODES.crosswalk_table)
    await pool.replace(
        [replace(first, agency=agency) if changed == "agency" else first],
        codes if changed == "codes" else CODES,
        1 if changed == "secrets" else 0,
    )

    assert [source.closed for _, _, source in shelf.opened] == [True, False]


async def test_what_is_gone_from_the_catalogue_is_closed_and_answers_no_more():
    shelf = Shelf()
    pool = SourcePool(shelf)
    await pool.replace([published("a1")], CODES, 0)
    await pool.replace([], CODES, 0)

    assert pool.get("a1") is None
    assert (pool.of_schema("wilayah"), list(pool.all())) == ((), [])
    assert shelf.opened[0][2].closed


async def test_a_connector_that_cannot_be_opened_answers_with_its_fault_and_others_serve():
    shelf = Shelf()
    shelf.faults["a1"] = SourceFailed("the secret is missing")
    pool = SourcePool(shelf)
    await pool.replace([published("a1"), published("b1")], CODES, 0)

    broken, sound = pool.of_schema("wilayah")
    assert isinstance(broken.error, SourceFailed)
    assert sound.error is None
    with pytest.raises(SourceFailed, match="the secret is missing"):
        await broken.source.read(ReadRequest())


async def test_a_manifest_that_is_none_any_more_is_a_fault_of_its_connector_alone():
    pool = SourcePool(Shelf())
    await pool.replace([published("a1", manifest='{"connector": "a1"}'), published("b1")], CODES, 0)

    broken, sound = pool.of_schema("wilayah")
    assert broken.error is not None
    assert broken.error.code == "manifest_invalid"
    assert (broken.manifest, sound.error) == (None, None)


async def test_a_suspended_connector_is_not_opened_and_says_that_it_is_missing():
    shelf = Shelf()
    pool = SourcePool(shelf)
    await pool.replace([published("a1", state=State.SUSPENDED)], CODES, 0)

    (away,) = pool.of_schema("wilayah")
    assert shelf.opened == []
    with pytest.raises(SourceSuspended, match="dinkes has suspended a1"):
        await away.source.read(ReadRequest())


async def test_a_retired_connector_is_told_only_to_who_names_its_agency():
    pool = SourcePool(Shelf())
    await pool.replace([published("a1", state=State.RETIRED), published("b1", "bps", state=State.RETIRED)], CODES, 0)

    assert (pool.of_schema("wilayah"), list(pool.all())) == ((), [])
    (retired,) = pool.retired("wilayah", ["dinkes", "rsud"])
    assert retired.dataset == "a1"
    assert pool.retired("fasilitas_kesehatan", ["dinkes"]) == ()
    with pytest.raises(SourceSuspended, match="dinkes has retired a1"):
        await retired.source.read(ReadRequest())


async def test_a_suspended_connector_that_resumes_is_opened():
    shelf = Shelf()
    pool = SourcePool(shelf)
    await pool.replace([published("a1", state=State.SUSPENDED)], CODES, 0)
    await pool.replace([published("a1")], CODES, 0)

    assert shelf.names() == ["a1"]
    assert [one.error for one in pool.of_schema("wilayah")] == [None]


async def test_readers_hold_one_consistent_set_while_it_is_replaced():
    pool = SourcePool(Shelf())
    await pool.replace([published("a1")], CODES, 0)
    held = pool.of_schema("wilayah")
    await pool.replace([published("a1"), published("b1")], CODES, 0)

    assert [one.dataset for one in held] == ["a1"]
    assert [one.dataset for one in pool.of_schema("wilayah")] == ["a1", "b1"]


async def test_a_closed_pool_has_closed_everything_and_opens_it_anew_when_it_is_filled_again():
    shelf = Shelf()
    pool = SourcePool(shelf)
    await pool.replace([published("a1"), published("b1")], CODES, 0)
    await pool.close()
    assert all(source.closed for _, _, source in shelf.opened)
    assert pool.get("a1") is None
    await pool.replace([published("a1")], CODES, 0)

    assert shelf.names() == ["a1", "b1", "a1"]


async def test_a_connector_of_a_schema_that_is_gone_affects_nobody_else():
    pool = SourcePool(Shelf())
    gone = published("lama")
    gone = replace(gone, connector=replace(gone.connector, schema_ref="tidak_ada@1"))
    await pool.replace([gone, published("a1")], CODES, 0)

    assert [one.dataset for one in pool.of_schema("wilayah")] == ["a1"]
    assert pool.get("lama") is None
