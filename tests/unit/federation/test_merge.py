"""The total order of a union, and where one dataset goes on in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.federation.question.query import AnswerRecord, SortKey
from app.federation.reading.merge import leg_after, merge, order_of, position_of
from tests.support.memory import FACILITIES, record

NOW = datetime(2026, 11, 20, tzinfo=UTC)
NAMES = st.sampled_from(["a", "A", "ä", "Z", "é", "e\u0301", "\U0001f600", "\uffee", "b "])
KINDS = st.sampled_from([None, "klinik", "puskesmas"])


def found(agency: str, key: str, nama: str = "x", jenis: str | None = None) -> AnswerRecord:
    made = record(FACILITIES, kode_faskes=key, nama="x", jenis=jenis)
    made.values["nama"] = nama  # as a source may have it; the schema would trim
    return AnswerRecord(made, agency, f"{agency}-set", NOW, ("kode_faskes",))


@st.composite
def unions(draw: Any) -> list[list[AnswerRecord]]:
    return [
        [
            found(agency, f"K{number}", draw(NAMES), draw(KINDS))
            for number in draw(st.sets(st.integers(0, 9), max_size=6))
        ]
        for agency in ("bps", "dinkes", "rsud")
    ]


@given(
    union=unions(),
    sort=st.lists(st.tuples(st.sampled_from(["nama", "jenis"]), st.booleans()), unique_by=lambda key: key[0]),
    limit=st.integers(1, 20),
)
def test_merge_is_the_sorted_union_cut(
    union: list[list[AnswerRecord]], sort: list[tuple[str, bool]], limit: int
) -> None:
    keys = tuple(SortKey(name, descending=down) for name, down in sort)
    pages = [sorted(page, key=order_of(keys)) for page in union]

    merged = merge(pages, keys, limit)

    assert merged == sorted((one for page in union for one in page), key=order_of(keys))[:limit]


def test_text_sorts_as_binary_utf8_and_nulls_stand_last_both_ways() -> None:
    names = ["a", "A", "ä", "Z", "\uffee", "\U0001f600"]
    rows = [found("bps", f"K{place}", name) for place, name in enumerate(names)]
    up = sorted(rows, key=order_of((SortKey("nama"),)))
    assert [one.record.values["nama"] for one in up] == sorted(names, key=lambda name: name.encode())

    mixed = [found("bps", "K1", jenis=None), found("bps", "K2", jenis="klinik"), found("bps", "K3", jenis="posyandu")]
    for down, first in ((False, "klinik"), (True, "posyandu")):
        ordered = [one.record.values["jenis"] for one in sorted(mixed, key=order_of((SortKey("jenis", down),)))]
        assert (ordered[0], ordered[-1]) == (first, None)


@given(union=unions(), sort=st.sampled_from([(), (SortKey("jenis"),), (SortKey("nama", descending=True),)]))
def test_every_dataset_goes_on_exactly_behind_the_last_record(
    union: list[list[AnswerRecord]], sort: tuple[SortKey, ...]
) -> None:
    order = order_of(sort)
    rows = sorted((one for page in union for one in page), key=order)
    for last in rows:
        after = position_of(last, sort)
        for one in rows:
            start = leg_after(after, len(sort), one.agency, one.dataset)
            assert start is not None
            marker = found(one.agency, "K0")
            marker.record.key = start[-1]
            for key, value in zip(sort, start[:-1], strict=True):
                marker.record.values[key.field] = value
            assert (order(marker) < order(one)) == (order(last) < order(one))
