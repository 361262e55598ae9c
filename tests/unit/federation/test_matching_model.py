"""A match answers as the plain one does, key by key over rows: statuses, agreements, reasons, order, sources, completeness."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.datasets.outline import Outline, Part
from app.datasets.records import ReadRequest
from app.errors import SimpulError, SourceFailed, SourceTimeout
from app.federation.match.answers import answers
from app.federation.match.found import Found
from app.federation.match.question import MatchKey, Question, bind
from app.federation.question.query import DatasetRef, Grant, Query
from app.federation.reading.breaker import Guards
from app.federation.reading.keyed import Lists
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from app.filters.cql2.parse import parse_filter
from app.filters.tree import Filter, In, all_of, conjuncts
from app.schemas import registry
from app.schemas.registry import SchemaDef, all_schemas
from tests.support.matching_oracle import Matching
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

ALL = frozenset(FACILITIES.fields)
GRANTS = {
    "all": Grant(ALL),
    "denied": None,
    "few": Grant(frozenset({"kode_faskes", "nama"})),
    "rows": Grant(ALL, row_filter=parse_filter("jenis = 'klinik'")),
    "masked": Grant(ALL, masks={"nama": "last4"}, agreement="pks-1"),
}
FAULTS = {"none": None, "failed": SourceFailed("x"), "late": SourceTimeout("x")}
NAMES = ("Nama 1", "nama  1.", "Nama 2", "Lain")
AGENCIES = ("bappeda", "dinkes", "rsud")


Held = tuple[str, int, str, str, list[int]]


class Bytes(io.BytesIO):
    """What waits outside of memory."""

    def chunks(self) -> Iterator[bytes]:
        yield self.getvalue()


def runtime() -> Runtime:
    return Runtime(Guards(failures_to_open=1000, rest_seconds=1.0, concurrency=4), mask_key=b"k" * 32)


def values(number: int) -> dict[str, Any]:
    return {
        "kode_faskes": f"K{number:02}",
        "nama": f"Nama {number % 4}",
        "jenis": ("klinik", "puskesmas")[number % 2],
        "lat": -6.5,
        "lng": 110.5 + number / 100,
    }


@st.composite
def keys(draw: st.DrawFn) -> MatchKey:
    key = draw(
        st.one_of(
            st.integers(0, 30).map(lambda number: f"K{number:02}"), st.sampled_from(["a~b", "", "K%31", "%zz", "x y"])
        )
    )
    if draw(st.integers(0, 12)) == 0:
        return MatchKey(draw(st.sampled_from([None, 7, {"key": 1}, "x" * 2001])), problem="no key")
    return MatchKey(
        key,
        draw(
            st.dictionaries(
                st.sampled_from(["nama", "jenis", "lat"]), st.sampled_from([*NAMES, "klinik", "-6.5"]), max_size=2
            )
        ),
    )


class LookUps(MemoryDataset):
    """Looks up lists of at most `most` keys; gives what it reads row by row."""

    most = 0

    async def outline(self, request: ReadRequest) -> Outline:
        def fits(part: Filter) -> bool:
            return isinstance(part, In) and len(part.values) <= self.most

        parts = tuple(Part(part, "exact" if fits(part) else "none", "") for part in conjuncts(request.filter))
        return Outline(("memory",), (), (), parts, exact=False, why=())


@st.composite
def sources(draw: st.DrawFn) -> list[Held]:
    return [
        (
            agency,
            draw(st.sampled_from([0, 1, 2, 4, 50])),
            draw(st.sampled_from(list(GRANTS))),
            draw(st.sampled_from(list(FAULTS))),
            draw(st.lists(st.integers(0, 30), unique=True)),
        )
        for agency in AGENCIES
    ]


def refs_of(held: Sequence[Held]) -> list[DatasetRef]:
    made = []
    for agency, most, grant, fault, numbers in held:
        source = LookUps([values(number) for number in numbers])
        source.most = most
        source.fault = FAULTS[fault]
        made.append(DatasetRef(agency, f"{agency}-set", 1, source, GRANTS[grant]))
    return made


def told(made: list[dict[str, Any]], read: Any, statuses: Any) -> Any:
    legs = [(one.agency, one.status, one.rows, one.problem and one.problem.code, one.withheld) for one in statuses]
    for answer in made:
        for record in answer["records"]:
            record["_source"].pop("as_of", None)
    return orjson.loads(orjson.dumps(made)), legs, read


async def plainly(
    query: Query, refs: Sequence[DatasetRef], wanted: list[MatchKey], fields: Sequence[str], compared: Sequence[str]
) -> Any:
    matching = Matching(FACILITIES, wanted, (*fields, *compared))
    reads: list[WholeRead] = []
    shared = runtime()
    for one in matching.filters():
        read = WholeRead(replace(query, filter=all_of(one, query.filter)), refs, shared)
        reads.append(read)
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                matching.take(batch)
        try:
            read.finish()
        except SimpulError as error:
            return error.code
    complete = all(read.complete for read in reads)
    statuses = reads[0].statuses if reads else []
    return told(list(matching.answers(fields, silent(statuses, complete))), complete, statuses)


def silent(statuses: Any, complete: bool) -> list[str]:
    return [] if complete else sorted({one.agency for one in statuses if one.status not in {"ok", "stale", "denied"}})


async def by_columns(
    query: Query,
    refs: Sequence[DatasetRef],
    wanted: list[MatchKey],
    fields: Sequence[str],
    how: Lists,
    window: int,
    held_bytes: int,
) -> Any:
    question = Question(FACILITIES)
    for start in range(0, len(wanted), window):
        question.add(wanted[start : start + window])
    asked = question.keys(how)
    found = Found(question, (*fields, *question.compared), Bytes, held_bytes=held_bytes, gathered_rows=window)
    read = WholeRead(query, refs if asked is not None else (), runtime(), asked)
    async with aclosing(read.batches()) as batches:
        async for batch in batches:
            found.take(batch)
    try:
        if asked is not None:
            read.finish()
    except SimpulError as error:
        return error.code
    parts = list(answers(question, found, fields, silent(read.statuses, read.complete)))
    made = [orjson.loads(text) for part in parts for text in part.texts]
    assert [answer["status"] for answer in made] == [status for part in parts for status in part.statuses]
    assert sum(len(answer["records"]) for answer in made) == sum(part.records for part in parts)
    found.close()
    return told(made, read.complete, read.statuses)


@given(
    held=sources(),
    wanted=st.lists(keys(), max_size=40),
    fields=st.lists(st.sampled_from(["kode_faskes", "nama", "jenis", "lat"]), max_size=3),
    partial=st.sampled_from(["allow", "never"]),
    window=st.sampled_from([1, 3, 7, 100]),
    lists=st.sampled_from([(50, 10), (4, 2), (2, 1)]),
    held_bytes=st.sampled_from([0, 500, 10**6]),
    lookups=st.booleans(),
)
def test_columns_answer_as_rows_do(held, wanted, fields, partial, window, lists, held_bytes, lookups):
    compared = tuple(dict.fromkeys(name for one in wanted for name in one.values))
    asked = tuple(dict.fromkeys(("kode_faskes", *fields, *compared)))
    query = Query(FACILITIES, fields=asked, also_needed=frozenset(compared), partial=partial)
    how = Lists(lists, worth=3, quick_seconds=60.0 if lookups else 0.0)
    expected = asyncio.run(plainly(query, refs_of(held), wanted, fields, compared))
    assert asyncio.run(by_columns(query, refs_of(held), wanted, fields, how, window, held_bytes)) == expected


def parts_of(schema: SchemaDef) -> st.SearchStrategy[str]:
    example = [str(schema.fields[name].example) for name in schema.meta.key]
    part = st.one_of(
        st.sampled_from([*example, "", "1", "2024", "2024-01-01", "33.20", "%41", "a b", "é", "%00", "~"]),
        st.text(max_size=5),
    )
    return st.one_of(st.just("~".join(example)), st.lists(part, min_size=1, max_size=len(example) + 1).map("~".join))


@pytest.mark.parametrize("schema", all_schemas(), ids=lambda schema: schema.name)
def test_keys_are_bound_as_one_alone_is(schema: SchemaDef):
    @given(st.lists(parts_of(schema), max_size=20))
    def same(wanted: list[str]) -> None:
        plain = Matching(schema, [MatchKey(key) for key in wanted], ())
        assert list(bind(schema, wanted)) == [(plain._keys.get(key), plain._invalid.get(key)) for key in wanted]

    same()


def test_sources_are_asked_for_the_first_field_of_a_key_that_every_record_has():
    assert all(schema.fields[schema.meta.key[0]].required for schema in all_schemas())
    assert registry.get("penduduk_verifikasi").meta.key == ("nik",)
    assert ref_of("a", MemoryDataset()).grant is not None
