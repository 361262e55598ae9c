"""Masks: what leaves is the masked value and nothing that tells of the true one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from app.datasets.records import MappedRecord, RecordWarning
from app.errors import FieldForbidden
from app.federation.question.query import Grant, Query, SortKey
from app.federation.reading.breaker import Guards
from app.federation.reading.masks import Cut, mask_fault
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from app.federation.writers import write_json
from app.filters.tree import Compare, Literal, Property
from app.schemas import registry
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

PEOPLE = registry.get("penduduk_verifikasi")
ALL = {"nama": "last4", "kode_wilayah": "region-only", "alamat": "hash", "email_kontak": "hide"}


def masked(mask: str, value: Any, *, agreement: str = "pks-1", key: bytes = b"k" * 32) -> Any:
    record = MappedRecord("K", {"nama": value})
    grant = Grant(frozenset({"nama"}), masks={"nama": mask}, agreement=agreement)
    return Cut(FACILITIES, grant, key).records([record])[0].values.get("nama")


@pytest.mark.parametrize(
    ("mask", "value", "shown"),
    [
        ("last4", "3320990101900001", "************0001"),
        ("last4", "12345678", "********"),
        ("last4", "a", "*"),
        ("year-only", date(1990, 12, 31), date(1990, 1, 1)),
        ("year-only", datetime(1990, 12, 31, 23, tzinfo=UTC), datetime(1990, 1, 1, tzinfo=UTC)),
        ("region-only", "33.20.10.2001", "33.20"),
        ("region-only", "33", "33"),
        ("hide", "x", None),
        ("of another version", "x", None),
        ("hash", None, None),
    ],
)
def test_each_mask(mask: str, value: Any, shown: Any) -> None:
    assert masked(mask, value) == shown


def test_hash_is_the_same_within_one_agreement_only() -> None:
    tag = masked("hash", "Siti")

    assert tag == masked("hash", "Siti")
    assert (
        len({tag, masked("hash", "Sitii"), masked("hash", "Siti", agreement="pks-2"), masked("hash", "Siti", key=b"x")})
        == 4
    )
    assert "Siti" not in tag


def test_record_itself_stays_as_it_was_and_findings_of_masked_fields_go() -> None:
    record = MappedRecord("K", {"nama": "Puskesmas Satu"}, (RecordWarning("nama", "odd", "aneh", "odd"),))

    grant = Grant(frozenset(FACILITIES.fields), masks={"nama": "last4"})
    hidden = Cut(FACILITIES, grant, b"k").records([record])[0]

    assert record.values["nama"] == "Puskesmas Satu"
    assert (hidden.values["nama"], hidden.warnings) == ("**********Satu", ())


@pytest.mark.parametrize(
    ("field", "mask", "fits"),
    [
        ("nama", "last4", True),
        ("nama", "hide", True),
        ("kode_wilayah", "region-only", True),
        ("kode_faskes", "hash", False),
        ("jenis", "hash", False),
        ("lat", "last4", False),
        ("nama", "year-only", False),
        ("nama", "region-only", False),
    ],
)
def test_mask_must_fit_its_field(field: str, mask: str, *, fits: bool) -> None:
    assert (mask_fault(FACILITIES.fields[field], mask, FACILITIES.meta.key) is None) is fits
    assert mask_fault(PEOPLE.fields["tanggal_lahir"], "year-only", PEOPLE.meta.key) is None


@pytest.fixture
def source() -> MemoryDataset:
    return MemoryDataset(
        [
            {
                "kode_faskes": "P1",
                "nama": "Puskesmas Rahasia",
                "alamat": "Jalan Tersembunyi 1",
                "kode_wilayah": "33.20.10.2001",
                "email_kontak": "orang@faskes.example",
            }
        ]
    )


@pytest.mark.anyio
async def test_no_format_shows_a_true_value(source: MemoryDataset) -> None:
    runtime = Runtime(Guards(2, 60.0, 2), mask_key=b"k" * 32)
    for query in (Query(FACILITIES), Query(FACILITIES, key="P1")):
        answer = await read_page(query, [ref_of("dinkes", source, masks=ALL, agreement="pks-1")], runtime)
        text = write_json(answer, next_cursor=None)
        for secret in (b"Rahasia", b"Tersembunyi", b"33.20.10", b"orang@"):
            assert secret not in text
        values = answer.records[0].record.values
        assert values["nama"] == "*************asia"
        assert values["kode_wilayah"] == "33.20"
        assert "email_kontak" not in answer.records[0].fields
        assert "email_kontak" in answer.sources[0].withheld


@pytest.mark.anyio
@pytest.mark.parametrize("field", ["nama", "alamat", "email_kontak"])
async def test_filter_and_sort_on_masked_fields_are_refused_before_the_source(
    source: MemoryDataset, field: str
) -> None:
    wanted = Compare("=", Property(field), Literal("Puskesmas Rahasia"))
    for query in (Query(FACILITIES, filter=wanted), Query(FACILITIES, sort=(SortKey(field),))):
        with pytest.raises(FieldForbidden):
            await read_page(query, [ref_of("dinkes", source, masks=ALL)], Runtime(Guards(2, 60.0, 2)))
    assert source.asked == []


@pytest.mark.anyio
async def test_row_filter_sees_the_true_value(source: MemoryDataset) -> None:
    only = Compare("=", Property("nama"), Literal("Puskesmas Rahasia"))
    answer = await read_page(
        Query(FACILITIES), [ref_of("dinkes", source, masks=ALL, row_filter=only)], Runtime(Guards(2, 60.0, 2))
    )

    assert len(answer.records) == 1


@pytest.mark.anyio
async def test_masked_key_gives_nothing(source: MemoryDataset) -> None:
    with pytest.raises(FieldForbidden):
        await read_page(
            Query(FACILITIES), [ref_of("dinkes", source, masks={"kode_faskes": "hash"})], Runtime(Guards(2, 60.0, 2))
        )
    assert source.asked == []


@pytest.mark.anyio
async def test_what_goes_into_exports_sql_and_matches_is_masked_before(source: MemoryDataset) -> None:
    runtime = Runtime(Guards(2, 60.0, 2), mask_key=b"k" * 32)
    read = WholeRead(Query(FACILITIES), [ref_of("dinkes", source, masks=ALL, agreement="pks-1")], runtime)
    rows = [row async for batch in read.batches() for row in batch.columns.to_pylist()]
    assert rows
    for secret in ("Rahasia", "Tersembunyi", "33.20.10", "orang@"):
        assert secret not in str(rows)
    assert (rows[0]["nama"], rows[0]["kode_wilayah"], rows[0]["email_kontak"]) == ("*************asia", "33.20", None)
    assert "email_kontak" not in read.fields
    assert "email_kontak" in read.statuses[0].withheld


@pytest.mark.anyio
async def test_a_masked_field_cannot_be_filtered_by_in_bulk_and_a_masked_key_gives_nothing(
    source: MemoryDataset,
) -> None:
    runtime = Runtime(Guards(2, 60.0, 2), mask_key=b"k" * 32)
    asked = Query(FACILITIES, filter=Compare("=", Property("nama"), Literal("x")))
    for query, masks, status in ((asked, ALL, "skipped"), (Query(FACILITIES), {"kode_faskes": "hash"}, "denied")):
        read = WholeRead(query, [ref_of("dinkes", source, masks=masks, agreement="pks-1")], runtime)
        assert [batch async for batch in read.batches()] == []
        assert read.statuses[0].status == status
