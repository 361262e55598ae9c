"""Entries: their bytes, ids, times, limits, and that a wrong one cannot be written or read."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from app.audit.entry.commitments import BodyCommitment, commit_body, commit_detail, commit_tags
from app.audit.entry.facets import facet_id, facet_terms
from app.audit.entry.record import (
    ENTRY_BYTES,
    Caller,
    DatasetUse,
    Entry,
    Gateway,
    Record,
    SourceLeg,
    Subject,
    Verdict,
    columns,
    decode,
    list_digest,
    members,
    utc_microseconds,
    utc_text,
    uuid7,
)
from app.audit.keys.details import DetailKeys
from app.audit.keys.subjects import SubjectKeys
from app.audit.write.prepare import prepare
from app.errors import EntryInvalid, EntryTooLarge

GATEWAY = Gateway("gw-1", "simpul 0.1.0")
PROVIDER = "ID-JEPARA/GOV/disdukcapil"
FULL = Entry(
    id="0193a5b0-7c00-7000-8000-000000000001",
    xid="0193a5b0-7c00-7000-8000-000000000002",
    t="2026-11-24T00:00:00.000001Z",
    kind="outcome",
    gw=GATEWAY,
    op="verify",
    client=Caller("ID-JEPARA/GOV/rsud-kartini", "simrs", "3bO8"),
    rep="GOV/rsud-kartini",
    schemas=("penduduk_verifikasi",),
    providers=(PROVIDER,),
    datasets=(DatasetUse("disdukcapil-penduduk", 3),),
    agreement="PKS-2026-014",
    purpose="pelayanan-kesehatan",
    basis="UU 27/2022 Ps. 20",
    dec=Verdict("allow", "agreement"),
    q="nik = ?",
    status=200,
    rows=1,
    rejected=0,
    bytes=214,
    complete=True,
    fields=("hasil",),
    sources=(SourceLeg(PROVIDER, "ok", 1),),
    body_c="ab" * 32,
    mode="uji",
)


@pytest.fixture
def keys(tmp_path):
    return SubjectKeys(tmp_path / "keys"), DetailKeys(tmp_path / "keys")


def test_the_bytes_are_canonical_json_and_absent_members_are_left_out(keys):
    small = prepare(Record(Entry(xid=FULL.xid, id=FULL.id, t=FULL.t, kind="admin", gw=GATEWAY, op="a.b")), *keys)
    assert small.entry == (
        b'{"gw":{"build":"simpul 0.1.0","replica":"gw-1"},"id":"0193a5b0-7c00-7000-8000-000000000001","kind":"admin",'
        b'"op":"a.b","t":"2026-11-24T00:00:00.000001Z","v":"simpul-log/1","xid":"0193a5b0-7c00-7000-8000-000000000002"}'
    )
    full = prepare(Record(FULL, {"user": "x"}, (Subject("nik", "1", "asked"),)), *keys)
    found = orjson.loads(full.entry)
    assert rfc8785.dumps(found) == full.entry
    assert found.keys() == {*members(FULL), "detail_c", "subj_n"}
    assert decode(full.entry) == found


def test_columns_are_derived_from_the_bytes_alone(keys):
    stored = prepare(Record(FULL, {"user": "x"}), *keys)
    assert columns(stored.entry) == {
        "id": FULL.id,
        "xid": FULL.xid,
        "kind": "outcome",
        "t_us": 1795478400000001,
        "agency": "ID-JEPARA/GOV/rsud-kartini",
        "client": "simrs",
        "op": "verify",
        "effect": "allow",
        "status": 200,
        "row_count": 1,
        "facet": facet_id(facet_terms(orjson.loads(stored.entry))),
    }
    assert tuple(columns(stored.entry).values()) == stored.columns


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"kind": "intention"}, "/kind"),
        ({"op": "lisst"}, "/op"),
        ({"op": "Connector.publish"}, "/op"),
        ({"xid": "1"}, "/xid"),
        ({"id": FULL.id.upper()}, "/id"),
        ({"t": "2026-11-24T00:00:00Z"}, "/t"),
        ({"t": "2026-13-24T00:00:00.000000Z"}, "/t"),
        ({"t": "2026-02-30T00:00:00.000000Z"}, "/t"),
        ({"v": "simpul-log/2"}, "/v"),
        ({"client": Caller("rsud", "simrs")}, "/client"),
        ({"providers": ("dinkes",)}, "/providers"),
        ({"schemas": ("Fasilitas",)}, "/schemas"),
        ({"rows": -1}, "/rows"),
        ({"rows": 2**53}, "/rows"),
        ({"rows": 1.5}, "/rows"),
        ({"rows": True}, "/rows"),
        ({"status": 99}, "/status"),
        ({"complete": 1}, "/complete"),
        ({"body_c": "AB" * 32}, "/body_c"),
        ({"mode": "latihan"}, "/mode"),
        ({"dec": Verdict("maybe", "x")}, "/dec"),
        ({"sources": (SourceLeg(PROVIDER, "Not a word"),)}, "/sources"),
        ({"datasets": (DatasetUse("x", -1),)}, "/datasets"),
        ({"gw": Gateway("", "b")}, "/gw"),
        ({"q": "nik = '3320010101900001'"}, "/q"),
        ({"q": "nik = 3320010101900001"}, "/q"),
        ({"purpose": ""}, "/purpose"),
        ({"detail_c": "ab" * 32}, "/detail_c"),
        ({"subj_n": 1}, "/subj_n"),
        ({"kind": "admin", "op": "list"}, "/op"),
    ],
)
def test_a_wrong_entry_cannot_be_written(keys, change, member):
    with pytest.raises(EntryInvalid, match=f"^{member}"):
        prepare(Record(replace(FULL, **change)), *keys)


@pytest.mark.parametrize("purpose", ["\ud800", "x" * 201])
def test_text_that_is_no_text_or_too_long_is_refused(keys, purpose):
    with pytest.raises(EntryInvalid):
        prepare(Record(replace(FULL, purpose=purpose)), *keys)


@pytest.mark.parametrize(
    "stored",
    [b"", b"[]", b"{", b'{"v": "simpul-log/1"}', b'{"v":"simpul-log/1"}', b"null"],
)
def test_bytes_that_are_no_entry_cannot_be_read(stored):
    with pytest.raises(EntryInvalid):
        decode(stored)


def test_bytes_that_are_not_canonical_or_unknown_cannot_be_read(keys):
    good = prepare(Record(FULL), *keys).entry
    assert decode(good)
    with pytest.raises(EntryInvalid, match="canonical"):
        decode(good.replace(b'{"', b'{ "', 1))
    with pytest.raises(EntryInvalid, match="/extra"):
        decode(orjson.dumps({**orjson.loads(good), "extra": 1}, option=orjson.OPT_SORT_KEYS))
    with pytest.raises(EntryTooLarge):
        decode(good + b" " * ENTRY_BYTES)


@pytest.mark.parametrize("count", [1, 60, 200, 2000])
def test_hostile_28_lists_that_pass_the_limit_move_into_the_detail_and_stay_findable(keys, count):
    names = tuple(f"kolom_dengan_nama_panjang_{number}" for number in range(count))
    providers = tuple(f"ID-JEPARA/GOV/kecamatan-{number}" for number in range(count))
    legs = tuple(SourceLeg(provider, "ok", 1) for provider in providers)
    stored = prepare(Record(replace(FULL, fields=names, providers=providers, sources=legs)), *keys)
    assert len(stored.entry) <= ENTRY_BYTES
    found = decode(stored.entry)
    plain = keys[1].open(FULL.id, stored.detail) if stored.detail else None
    lists = orjson.loads(plain)["lists"] if plain else {}
    for name in ("fields", "providers", "sources"):
        if name in lists:
            assert found[name] == {"count": count, "digest": list_digest(lists[name])}
        else:
            assert len(found[name]) == count
    assert f"provider:{providers[-1]}" in stored.terms
    assert f"field:{names[-1]}" in stored.terms
    assert columns(stored.entry)["facet"] == stored.facet
    assert facet_terms(found, lists) == stored.terms
    if plain:
        assert found["detail_c"] == commit_detail(stored.salt, plain)


def test_what_cannot_move_is_refused(keys):
    schemas = tuple(f"skema_dengan_nama_panjang_{number}" for number in range(300))
    with pytest.raises(EntryTooLarge):
        prepare(Record(replace(FULL, schemas=schemas)), *keys)
    with pytest.raises(EntryTooLarge):
        prepare(Record(FULL, {"query": "x" * 5_000_000}), *keys)


@pytest.mark.parametrize("name", ["lists", "tags"])
def test_members_of_the_detail_that_belong_to_the_log(keys, name):
    with pytest.raises(EntryInvalid, match=f"/detail/{name}"):
        prepare(Record(FULL, {name: 1}), *keys)


def test_tags_are_committed_by_count_in_the_entry_and_by_digest_in_the_detail(keys):
    twice = (Subject("nik", "3320", "asked"), Subject("nik", " 3320 ", "asked"), Subject("nik", "3320", "released"))
    stored = prepare(Record(FULL, None, twice), *keys)
    assert decode(stored.entry)["subj_n"] == len(stored.tags) == 2
    assert keys[1].document(FULL.id, stored.detail) == {"tags": commit_tags(stored.tags)}
    assert b"3320" not in stored.detail + stored.entry.replace(b"0193", b"")


def test_a_subject_never_shows_its_value():
    assert "3320010101900001" not in repr(Record(FULL, None, (Subject("nik", "3320010101900001", "asked"),)))


def test_uuid7_is_strictly_increasing_also_between_threads():
    found: list[list[str]] = [[] for _ in range(4)]

    def make(mine: list[str]) -> None:
        mine.extend(uuid7() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in found)
    everything = [identity for mine in found for identity in mine]
    assert len(set(everything)) == 8000
    assert all(identity[14] == "7" and identity[19] in "89ab" for identity in everything)
    milliseconds = int(everything[0].replace("-", "")[:12], 16)
    assert abs(milliseconds / 1000 - datetime.now(UTC).timestamp()) < 60


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), st.integers(-12, 14))
def test_times_are_utc_with_microseconds(moment, hours):
    aware = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    text = utc_text(aware)
    assert len(text) == 27
    assert datetime.fromisoformat(text) == aware
    assert utc_text(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=utc_microseconds(text))) == text


def test_a_body_is_committed_to_in_pieces():
    commitment = BodyCommitment(bytes(32))
    commitment.update(b"ab")
    commitment.update(b"c")
    assert commitment.hexdigest() == commit_body(bytes(32), b"abc")
    assert BodyCommitment().salt != BodyCommitment().salt
    with pytest.raises(ValueError, match="32 bytes"):
        BodyCommitment(b"short")
