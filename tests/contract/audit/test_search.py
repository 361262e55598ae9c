"""Auditors' reads: every filter against a plain scan, pages that stay fixed, scopes, proofs."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from app.audit.entry.record import (
    Caller,
    DatasetUse,
    Entry,
    Gateway,
    Record,
    SourceLeg,
    Subject,
    Verdict,
    utc_microseconds,
    utc_text,
    uuid7,
)
from app.audit.keys.files import load_verifier
from app.audit.read.candidates import SearchBounds
from app.audit.read.filters import ExchangeFilter, Scope
from app.audit.read.search import Cursor, ExchangeSearch
from app.audit.read.summary import summarise
from app.audit.tlog.proofs import inclusion_holds
from app.errors import ExchangeUnknown

GATEWAY = Gateway("gw-1", "simpul 0.1.0")
AGENCIES = [f"ID-JEPARA/GOV/{name}" for name in ("dinkes", "rsud-kartini", "disdukcapil", "bappeda")]
START = datetime(2026, 11, 2, tzinfo=UTC)
EVERYTHING = Scope(None)


def varied(rng: random.Random, number: int) -> Record:
    """An entry with every dimension varied; its clock is now and then an hour behind."""
    kind = rng.choice(["intent", "outcome", "outcome", "outcome", "audit_read", "admin"])
    deny = rng.random() < 0.1
    moment = START + timedelta(seconds=number * 30) - timedelta(hours=1 if rng.random() < 0.02 else 0)
    return Record(
        Entry(
            xid=uuid7(),
            kind=kind,
            t=utc_text(moment),
            gw=GATEWAY,
            op="connector.publish" if kind == "admin" else rng.choice(["list", "lookup", "verify"]),
            client=Caller(rng.choice(AGENCIES), rng.choice(["portal", "simrs"])),
            providers=tuple(rng.sample(AGENCIES, rng.randrange(3))),
            schemas=rng.choice([(), ("fasilitas_kesehatan",), ("wilayah", "satuan_pendidikan")]),
            datasets=rng.choice([(), (DatasetUse("dinkes-faskes", 2),)]),
            purpose=rng.choice([None, "pelayanan-kesehatan", "statistik"]),
            agreement=rng.choice([None, "PKS-1", "PKS-2"]),
            dec=Verdict("deny", "agreement_missing") if deny else Verdict("allow", "open_data"),
            status=403 if deny else rng.choice([200, 200, 404, 502]),
            rows=rng.choice([None, 0, 1, 9, 10, 99, 100, 5000]),
            fields=rng.choice([(), ("nama", "kode_wilayah"), ("nik",)]),
        ),
        {"number": number, "case": case(number)},
        (Subject("case", case(number), "case"),),
    )


def case(number: int) -> str:
    return f"RM-2026-{number % 11}"


def at(clock: str) -> int:
    return utc_microseconds(f"2026-11-02T{clock}:00.000000Z")


FILTERS = [
    ExchangeFilter(),
    ExchangeFilter(agency=AGENCIES[1]),
    ExchangeFilter(provider=AGENCIES[0]),
    ExchangeFilter(client="simrs", op="verify"),
    ExchangeFilter(schema="wilayah"),
    ExchangeFilter(dataset="dinkes-faskes"),
    ExchangeFilter(field="nik"),
    ExchangeFilter(purpose="statistik", agreement="PKS-2"),
    ExchangeFilter(outcome="deny"),
    ExchangeFilter(outcome="allow"),
    ExchangeFilter(outcome="5xx"),
    ExchangeFilter(status=404),
    ExchangeFilter(rule="agreement_missing"),
    ExchangeFilter(kind="admin"),
    ExchangeFilter(case="RM 2026/7"),
    ExchangeFilter(case="rm-2026-7", outcome="deny"),
    ExchangeFilter(case="---"),
    ExchangeFilter(text="KESEHATAN"),
    ExchangeFilter(text="rm-2026-3", provider=AGENCIES[0]),
    ExchangeFilter(text="nowhere"),
    ExchangeFilter(min_rows=1),
    ExchangeFilter(min_rows=10),
    ExchangeFilter(min_rows=101, provider=AGENCIES[0]),
    ExchangeFilter(schema="nothing_like_it"),
    ExchangeFilter(from_us=at("02:00"), to_us=at("03:00")),
    ExchangeFilter(to_us=at("00:30"), outcome="deny"),
    ExchangeFilter(from_us=at("06:00"), client="portal"),
    ExchangeFilter(from_us=utc_microseconds("2027-01-01T00:00:00.000000Z")),
]  # fmt: skip


def fits(wanted: ExchangeFilter, found: dict, number: int) -> bool:
    """The meaning of a filter, written down a second time."""
    spelled = case(number).replace("-", "")
    moment = utc_microseconds(found["t"])
    effect, status = found["dec"]["effect"], found["status"]
    checks = [
        wanted.from_us is None or moment >= wanted.from_us,
        wanted.to_us is None or moment < wanted.to_us,
        wanted.agency in (None, found["client"]["agency"]),
        wanted.client in (None, found["client"]["client"]),
        wanted.provider is None or wanted.provider in found.get("providers", []),
        wanted.schema is None or wanted.schema in found.get("schemas", []),
        wanted.dataset is None or wanted.dataset in [use["dataset"] for use in found.get("datasets", [])],
        wanted.field is None or wanted.field in found.get("fields", []),
        wanted.purpose in (None, found.get("purpose")),
        wanted.agreement in (None, found.get("agreement")),
        wanted.outcome in (None, effect, f"{status // 100}xx"),
        wanted.status in (None, status),
        wanted.rule in (None, found["dec"]["rule"]),
        wanted.kind in (None, found["kind"]),
        wanted.op in (None, found["op"]),
        wanted.min_rows is None or found.get("rows", 0) >= wanted.min_rows,
        wanted.case is None or letters(wanted.case) == spelled,
        wanted.text is None or wanted.text.lower() in found.get("purpose", "") or letters(wanted.text) == spelled,
    ]
    return all(checks)


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).upper()


async def pages(search: ExchangeSearch, wanted: ExchangeFilter, scope: Scope, limit: int) -> list[int]:
    found: list[int] = []
    cursor: Cursor | None = None
    while True:
        page = await search.search(wanted, scope, limit=limit, cursor=cursor)
        assert len(page.entries) <= limit
        found += [entry.idx for entry in page.entries]
        if page.next is None:
            return found
        cursor = page.next


async def test_every_filter_gives_what_a_plain_scan_gives_newest_first(instance):
    rng = random.Random(20261102)
    async with instance.opened() as log:
        await log.append_many([varied(rng, number) for number in range(900)])
        everything = [orjson.loads(bytes(row[0])) for row in instance.rows("SELECT entry FROM log_entry ORDER BY idx")]
        for few_facets, listed in ((200, 1000), (3, 1000), (3, 2)):
            bounds = SearchBounds(look_back=50, few_facets=few_facets, facets_listed=listed)
            search = ExchangeSearch(log, log.reader, bounds=bounds)
            for wanted in FILTERS:
                for scope in (EVERYTHING, Scope(AGENCIES[2])):
                    expected = [
                        idx
                        for idx in reversed(range(900))
                        if fits(wanted, everything[idx], idx) and scope.sees(everything[idx])
                    ]
                    assert await pages(search, wanted, scope, 70) == expected, wanted


async def test_a_summary_counts_what_the_search_finds(instance):
    """Buckets and values over all filters and two scopes, against counting one by one."""
    rng = random.Random(7)
    hour = 3_600_000_000
    async with instance.opened() as log:
        await log.append_many([varied(rng, number) for number in range(600)])
        search = ExchangeSearch(log, log.reader)
        everything = [orjson.loads(bytes(row[0])) for row in instance.rows("SELECT entry FROM log_entry ORDER BY idx")]
        for wanted in FILTERS:
            for scope in (EVERYTHING, Scope(AGENCIES[2])):
                chosen = [
                    found for idx, found in enumerate(everything) if fits(wanted, found, idx) and scope.sees(found)
                ]
                found = await summarise(
                    search, log.reader, log.subject_keys, wanted, scope,
                    width_us=hour, offset_us=7 * hour, dimension="provider",
                )  # fmt: skip
                hours = Counter((utc_microseconds(entry["t"]) + 7 * hour) // hour for entry in chosen)
                providers = Counter(name for entry in chosen for name in entry.get("providers", []))
                closed = [entry for entry in chosen if entry["kind"] != "intent"]
                assert {bucket: count.entries for bucket, count in found.buckets.items()} == hours, wanted
                assert {value: count.entries for value, count in found.values} == providers, wanted
                assert (found.total.entries, found.total.exchanges) == (len(chosen), len(closed))
                assert found.total.rows == sum(entry.get("rows") or 0 for entry in closed)


async def test_later_pages_stay_in_the_tree_of_the_first(instance):
    rng = random.Random(1)
    async with instance.opened() as log:
        await log.append_many([varied(rng, number) for number in range(30)])
        search = ExchangeSearch(log, log.reader)
        first = await search.search(ExchangeFilter(), EVERYTHING, limit=10)
        await log.append_many([varied(rng, number) for number in range(30, 60)])
        second = await search.search(ExchangeFilter(), EVERYTHING, limit=10, cursor=first.next)
        assert [entry.idx for entry in first.entries + second.entries] == list(range(29, 9, -1))
        assert second.tree_size == first.tree_size == 30


async def test_an_auditor_sees_entries_of_its_agency_alone(instance, exchange):
    mine = exchange()
    other = exchange(client=Caller("ID-JEPARA/GOV/bappeda", "portal"), providers=("ID-JEPARA/GOV/bpkad",))
    async with instance.opened() as log:
        await log.append_many([*mine, *other])
        search = ExchangeSearch(log, log.reader)
        for agency, wanted in (("rsud-kartini", [1, 0]), ("disdukcapil", [1, 0]), ("bpkad", [3, 2]), ("dinkes", [])):
            page = await search.search(ExchangeFilter(), Scope(f"ID-JEPARA/GOV/{agency}"))
            assert [entry.idx for entry in page.entries] == wanted
        with pytest.raises(ExchangeUnknown):
            await search.exchange(other[0].entry.xid, Scope("ID-JEPARA/GOV/rsud-kartini"))
        with pytest.raises(ExchangeUnknown):
            await search.exchange("nonsense", EVERYTHING)


async def test_one_exchange_end_to_end_with_proofs_that_hold(instance, exchange):
    records = exchange()
    verifier = load_verifier(instance.folder)
    async with instance.opened(checkpoint_seconds=60) as log:
        for _ in range(150):
            await log.append_many(exchange())
        await log.append_many(records)
        for _ in range(190):
            await log.append_many(exchange())
        found = await ExchangeSearch(log, log.reader).exchange(records[0].entry.xid, EVERYTHING)
    assert [entry.members["kind"] for entry in found.entries] == ["intent", "outcome"]
    assert found.entries[0].detail["query"] == {"nik": "3320010101900001"}
    known = verifier.open(found.checkpoint.note)
    for entry, proof in zip(found.entries, found.proofs, strict=True):
        assert inclusion_holds(entry.leaf_hash, entry.idx, known.size, proof.hashes, known.root)


async def test_details_are_for_the_consumer_the_only_provider_and_the_supervisor(instance, exchange):
    two = ("ID-JEPARA/GOV/dinkes", "ID-JEPARA/GOV/bappeda")
    alone, shared = exchange(), exchange(providers=two)
    async with instance.opened() as log:
        await log.append_many([*alone, *shared])
        search = ExchangeSearch(log, log.reader)
        for agency, record, shown in (
            (None, shared, True),
            ("ID-JEPARA/GOV/rsud-kartini", shared, True),
            ("ID-JEPARA/GOV/disdukcapil", alone, True),
            ("ID-JEPARA/GOV/dinkes", shared, False),
        ):
            found = await search.exchange(record[0].entry.xid, Scope(agency))
            assert [entry.detail is not None for entry in found.entries] == [shown, shown]


async def test_lists_too_long_for_an_entry_are_found_and_shown_all_the_same(instance, exchange):
    providers = tuple(f"ID-JEPARA/GOV/kecamatan-{number:03d}" for number in range(120))
    sources = tuple(SourceLeg(provider, "ok", 1) for provider in providers)
    records = exchange(providers=providers, sources=sources, fields=tuple(f"kolom_{n}" for n in range(300)))
    async with instance.opened() as log:
        await log.append_many(records)
        search = ExchangeSearch(log, log.reader)
        scope = Scope(providers[77])
        page = await search.search(ExchangeFilter(provider=providers[99]), scope)
        assert [entry.idx for entry in page.entries] == [1, 0]
        assert page.entries[0].members["providers"] == list(providers)
        assert len(page.entries[0].entry_bytes) <= 4096
        page = await search.search(ExchangeFilter(field="kolom_299"), EVERYTHING)
        assert [entry.idx for entry in page.entries] == [1]
    assert instance.verify().ok
