"""Equal questions under way at one time are one read of a real service; what each caller sees of it is its own grant's."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from app.datasets.dataset import MappedDataset
from app.federation.question.query import Answer, DatasetRef, Grant, Query
from app.federation.reading.batches import answer_records
from app.federation.reading.breaker import Guards
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from app.filters.tree import Compare, Filter, Literal, Property
from tests.support.memory import FACILITIES
from tests.support.reading import dataset
from tests.support.sources import SourceServer

ROWS = [{"kode": f"S{number}", "nama": f"Nama {number}", "jenis": "klinik"} for number in range(50)]
FIELDS = frozenset(("kode_faskes", "nama", "jenis"))
PLAIN = Grant(FIELDS)
HASHED = Grant(FIELDS, masks={"nama": "hash"}, agreement="pks-1")
HIDDEN = Grant(FIELDS - {"nama"}, agreement="pks-2")
FIRST = Grant(FIELDS, row_filter=Compare("=", Property("nama"), Literal("Nama 1")))


class Gate:
    """A route that answers when it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.left = 0

    def __call__(self, *_: Any) -> tuple[int, str, bytes]:
        self.opened.wait(10)
        return 200, "application/json", json.dumps(ROWS).encode()


@pytest.fixture
def server() -> Iterator[SourceServer]:
    made = SourceServer()
    yield made
    made.close()


@pytest.fixture
async def source(tmp_path: Path, server: SourceServer) -> AsyncIterator[MappedDataset]:
    fields = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"}
    made = dataset(tmp_path, "fasilitas_kesehatan", {"kind": "rest", "url": f"{server.url}/s"}, fields)
    yield made
    await made.close()


def runtime() -> Runtime:
    return Runtime(Guards(5, 30.0, 8), time.monotonic() + 20, mask_key=b"key of masks", client="c")


def asking(source: MappedDataset, grant: Grant, wanted: Filter | None = None) -> asyncio.Task[Answer]:
    ref = DatasetRef("dinkes", "dinkes-set", 1, source, grant)
    query = Query(FACILITIES, limit=100) if wanted is None else Query(FACILITIES, limit=100, filter=wanted)
    return asyncio.create_task(read_page(query, [ref], runtime()))


async def asked(server: SourceServer, times: int) -> None:
    async with asyncio.timeout(5):
        while len(server.asked) < times:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)


def names(answer: Answer) -> list[Any]:
    return [one.record.values.get("nama", "absent") for one in answer.records]


async def test_one_read_serves_callers_with_other_masks_and_shows_none_of_them_more(
    server: SourceServer, source: MappedDataset
) -> None:
    gate = server.routes["/s"] = Gate()
    tasks = [asking(source, grant) for grant in (PLAIN, HASHED, HIDDEN, PLAIN)]
    await asked(server, 1)
    gate.opened.set()
    plain, hashed, hidden, again = await asyncio.gather(*tasks)

    assert len(server.asked) == 1
    assert sorted(names(plain)) == sorted(names(again)) == sorted(row["nama"] for row in ROWS)
    assert not set(names(hashed)) & {row["nama"] for row in ROWS}
    assert len(set(names(hashed))) == 50
    assert set(names(hidden)) == {"absent"}
    assert hidden.sources[0].withheld


async def test_row_filters_are_part_of_the_question(server: SourceServer, source: MappedDataset) -> None:
    gate = server.routes["/s"] = Gate()
    tasks = [asking(source, PLAIN), asking(source, FIRST)]
    await asked(server, 2)
    gate.opened.set()
    plain, first = await asyncio.gather(*tasks)

    assert len(server.asked) == 2
    assert (len(plain.records), names(first)) == (50, ["Nama 1"])


async def test_who_leaves_leaves_the_others_their_read(server: SourceServer, source: MappedDataset) -> None:
    gate = server.routes["/s"] = Gate()
    leaving, staying = asking(source, HASHED), asking(source, PLAIN)
    await asked(server, 1)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    gate.opened.set()

    assert len(names(await staying)) == 50
    assert len(server.asked) == 1


async def test_whole_answers_of_callers_with_other_masks_do_not_mix(
    server: SourceServer, source: MappedDataset
) -> None:
    gate = server.routes["/s"] = Gate()

    async def whole(grant: Grant, *, leaves: bool = False) -> list[Any]:
        read = WholeRead(Query(FACILITIES), [DatasetRef("dinkes", "dinkes-set", 1, source, grant)], runtime())
        seen: list[Any] = []
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                seen += [one.record.values["nama"] for one in answer_records(FACILITIES, batch)]
                if leaves:
                    break
        return seen

    tasks = [asyncio.create_task(whole(grant)) for grant in (PLAIN, HASHED, HIDDEN, FIRST)]
    tasks.append(asyncio.create_task(whole(PLAIN, leaves=True)))
    await asked(server, 1)
    gate.opened.set()
    plain, hashed, hidden, first, _ = await asyncio.gather(*tasks)

    known = {row["nama"] for row in ROWS}
    assert set(plain) == known
    assert (len(hashed), set(hashed) & known) == (50, set())
    assert set(hidden) == {None}
    assert first == ["Nama 1"]
