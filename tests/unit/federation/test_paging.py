"""Pages over a union that moves: no record twice, none missed, also when a source leaves and returns."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.errors import SourceFailed
from app.federation.question.query import Query, SortKey
from app.federation.reading.breaker import Guards
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

AGENCIES = ("bappeda", "dinkes", "dpmptsp", "rsud")
KINDS = (None, "klinik", "puskesmas", "rs_umum")
SORTS = (
    (),
    (SortKey("jenis"),),
    (SortKey("jenis", descending=True), SortKey("nama")),
    (SortKey("lat"),),
    (SortKey("kode_faskes", descending=True),),
)
RECORDS = st.sets(st.integers(0, 30), max_size=15)
CHANGES = st.lists(st.tuples(st.sampled_from(AGENCIES), st.sampled_from("+-"), st.integers(0, 30)), max_size=3)


def values(number: int) -> dict[str, object]:
    kind, lat = KINDS[number % 4], None if number % 3 == 0 else -6.0 - number % 5 / 10
    return {"kode_faskes": f"K{number:02}", "nama": f"Nama {number % 7}", "jenis": kind, "lat": lat}


@given(
    held=st.tuples(*[RECORDS for _ in AGENCIES]),
    sort=st.sampled_from(SORTS),
    limits=st.lists(st.integers(1, 7), min_size=1),
    changes=st.lists(CHANGES, max_size=20),
    outages=st.lists(st.sets(st.sampled_from(AGENCIES), max_size=2), max_size=12),
)
def test_what_stands_all_the_time_is_given_once_and_nothing_twice(
    held: tuple[set[int], ...],
    sort: tuple[SortKey, ...],
    limits: list[int],
    changes: list[list[tuple[str, str, int]]],
    outages: list[set[str]],
) -> None:
    sources = {name: MemoryDataset(values(one) for one in rows) for name, rows in zip(AGENCIES, held, strict=True)}
    always = {(name, key) for name, source in sources.items() for key in source.held}
    refs = [ref_of(name, source) for name, source in sources.items()]
    runtime = Runtime(Guards(failures_to_open=1000, rest_seconds=1.0, concurrency=4))
    query, seen, page = Query(FACILITIES, sort=sort), [], 0
    while True:
        down = outages[page] if page < len(outages) else set()
        for name, source in sources.items():
            source.fault = SourceFailed("out for now") if name in down else None
        answer = asyncio.run(read_page(replace(query, limit=limits[page % len(limits)]), refs, runtime))
        seen += [(one.agency, one.record.key) for one in answer.records]
        assert answer.complete is not bool(down)
        page += 1
        if answer.after is None and not down:
            break
        if answer.after is not None:  # at the end of an incomplete answer the same page is asked again
            query = replace(query, after=answer.after, owed=answer.owed)
        else:
            seen = seen[: len(seen) - len(answer.records)]
        for name, what, number in changes[page - 1] if page <= len(changes) else ():
            source, key = sources[name], f"K{number:02}"
            if what == "-":
                source.held.pop(key, None)
                always.discard((name, key))
            elif key not in source.held and (name, key) not in seen:
                source.put(**values(number))

    assert len(seen) == len(set(seen))
    assert always <= set(seen)


def test_returning_source_gives_first_what_it_owes() -> None:
    sources = {
        name: MemoryDataset([values(number) for number in range(place, 20, 2)]) for place, name in enumerate("ab")
    }
    refs = [ref_of(name, source) for name, source in sources.items()]
    runtime = Runtime(Guards(failures_to_open=1000, rest_seconds=1.0, concurrency=4))
    query = Query(FACILITIES, sort=(SortKey("kode_faskes"),), limit=4)
    pages = []
    for down in ("", "a", "", "", "", "", ""):
        for name, source in sources.items():
            source.fault = SourceFailed("out for now") if name == down else None
        answer = asyncio.run(read_page(query, refs, runtime))
        pages.append([one.record.key for one in answer.records])
        if answer.after is None:
            break
        query = replace(query, after=answer.after, owed=answer.owed)

    assert pages == [
        ["K00", "K01", "K02", "K03"],
        ["K05", "K07", "K09", "K11"],
        ["K04", "K06", "K08", "K10"],
        ["K12", "K13", "K14", "K15"],
        ["K16", "K17", "K18", "K19"],
    ]
