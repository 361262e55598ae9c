"""What somebody with full rights on the database does to the log, and that verification names the index each time."""

from __future__ import annotations

import orjson
import pytest

from app.audit.read.filters import ExchangeFilter, Scope
from app.audit.read.search import ExchangeSearch
from app.audit.store.contract import COLUMN_NAMES
from app.audit.tlog.merkle import Frontier, leaf_hash
from app.errors import LogBroken

ENTRIES = 600
"""Two finished tiles and an unfinished one."""

IN_A_TILE, IN_THE_TAIL = 130, 560
PLACES = pytest.mark.parametrize("index", [IN_A_TILE, IN_THE_TAIL])
COLUMNS = ", ".join(("leaf_hash", "entry", *COLUMN_NAMES))


@pytest.fixture
async def tampered(instance, exchange):
    """A log of 600 entries, closed, with the guards taken away: ready to be tampered with."""
    async with instance.opened(checkpoint_seconds=60) as log:
        records = [
            record
            for number in range(ENTRIES // 4)
            for start in ("33200101019", "33200202029")
            for record in exchange(nik=f"{start}{number:05d}")
        ]
        for first, end in ((0, 120), (120, 244), (244, 420), (420, ENTRIES)):
            await log.append_many(records[first:end])
            if end == 244:
                await log.checkpoint(end)
    found = instance.verify()
    assert (found.ok, found.size, found.entries_checked, found.open_intents) == (True, ENTRIES, ENTRIES, ())
    assert found.checkpoints_checked >= 3
    instance.disarm()
    return instance


def expect(instance, index: int, words: str) -> None:
    found = instance.verify()
    assert (found.ok, found.first_broken_index) == (False, index), found.reason
    assert words in found.reason


def changed(entry: bytes, **members: object) -> bytes:
    return orjson.dumps({**orjson.loads(entry), **members}, option=orjson.OPT_SORT_KEYS)


def bytes_at(instance, index: int) -> bytes:
    return bytes(instance.rows("SELECT entry FROM log_entry WHERE idx = $1", index)[0][0])


@PLACES
async def test_hostile_20_changed_bytes_of_an_entry(tampered, index):
    forged = changed(bytes_at(tampered, index), purpose="lain")
    tampered.rows("UPDATE log_entry SET entry = $1 WHERE idx = $2", forged, index)
    expect(tampered, index, "bytes of the entry were changed")


@PLACES
async def test_changed_bytes_with_the_leaf_hash_recomputed(tampered, index):
    forged = changed(bytes_at(tampered, index), status=204) if index % 2 else changed(bytes_at(tampered, index))
    forged = forged.replace(b"pelayanan-kesehatan", b"pelayanan-kesehatax")
    tampered.rows("UPDATE log_entry SET entry = $1, leaf_hash = $2 WHERE idx = $3", forged, leaf_hash(forged), index)
    expect(tampered, index, "another entry was committed at this index")


@PLACES
async def test_a_changed_leaf_hash(tampered, index):
    tampered.rows("UPDATE log_entry SET leaf_hash = $1 WHERE idx = $2", bytes(32), index)
    expect(tampered, index, "leaf hash")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("agency", "ID-JEPARA/GOV/lain"),
        ("status", 404),
        ("t_us", 1),
        ("kind", "outcome"),
        ("effect", None),
        ("facet", 7),
    ],
)
async def test_hostile_19_a_changed_column(tampered, column, value):
    index = IN_A_TILE + (column == "status")
    tampered.rows(f"UPDATE log_entry SET {column} = $1 WHERE idx = $2", value, index)
    expect(tampered, index, f"column {column} was changed")


async def test_hostile_19_an_auditor_gets_an_error_that_names_the_entry(tampered):
    tampered.rows("UPDATE log_entry SET agency = 'ID-JEPARA/GOV/lain' WHERE idx = 598")
    async with tampered.opened() as log:
        search = ExchangeSearch(log, log.reader)
        with pytest.raises(LogBroken, match="entry 598: column agency") as caught:
            await search.search(ExchangeFilter(), Scope(None))
    assert caught.value.facts["first_broken_index"] == 598


@PLACES
async def test_a_removed_row(tampered, index):
    tampered.rows("DELETE FROM log_entry WHERE idx = $1", index)
    expect(tampered, index, f"entry {index} is missing")


@PLACES
async def test_a_removed_row_with_everything_behind_it_moved_up(tampered, index):
    tampered.rows("DELETE FROM log_entry WHERE idx = $1", index)
    tampered.rows("DELETE FROM exchange_detail WHERE idx = $1", index)
    tampered.rows("DELETE FROM exchange_subject WHERE idx = $1", index)
    for table in ("log_entry", "exchange_detail", "exchange_subject"):
        tampered.rows(f"UPDATE {table} SET idx = -idx WHERE idx > $1", index)
        tampered.rows(f"UPDATE {table} SET idx = -idx - 1 WHERE idx < 0")
    expect(tampered, index, "another entry was committed at this index")


async def test_the_last_rows_removed(tampered):
    tampered.rows("DELETE FROM log_entry WHERE idx >= 597")
    expect(tampered, 597, "entry 597 is missing")


@PLACES
async def test_two_rows_swapped(tampered, index):
    swap(tampered, "log_entry", index, index + 2)
    expect(tampered, index, "another entry was committed at this index")


@PLACES
async def test_two_rows_swapped_with_details_and_tags(tampered, index):
    for table in ("log_entry", "exchange_detail", "exchange_subject"):
        swap(tampered, table, index, index + 2)
    expect(tampered, index, "another entry was committed at this index")


async def test_the_bytes_of_two_rows_swapped(tampered):
    one, two = bytes_at(tampered, 10), bytes_at(tampered, 14)
    tampered.rows("UPDATE log_entry SET entry = $1 WHERE idx = 10", two.replace(b"\x00", b""))
    tampered.rows("UPDATE log_entry SET entry = $1 WHERE idx = 14", one)
    expect(tampered, 10, "bytes of the entry were changed")


async def test_hostile_25_two_details_swapped(tampered):
    swap(tampered, "exchange_detail", 200, 204)
    expect(tampered, 200, "detail of the entry was changed")


async def test_hostile_24_a_removed_detail(tampered):
    tampered.rows("DELETE FROM exchange_detail WHERE idx = 201")
    expect(tampered, 201, "detail of the entry is missing")


async def test_a_changed_detail(tampered):
    tampered.rows("UPDATE exchange_detail SET detail = $1 WHERE idx = 7", b'{"user":"orang lain"}')
    expect(tampered, 7, "detail of the entry was changed")


async def test_hostile_23_a_removed_tag(tampered):
    tampered.rows("DELETE FROM exchange_subject WHERE idx = 333 AND role = 'released'")
    expect(tampered, 333, "1 subject tags, 2 were committed")


async def test_a_changed_tag(tampered):
    tampered.rows("UPDATE exchange_subject SET tag = $1 WHERE idx = 332", bytes(16))
    expect(tampered, 332, "subject tags of the entry were changed")


async def test_a_row_added_at_the_end(tampered):
    names = ", ".join(name for name in COLUMN_NAMES if name != "id")
    tampered.rows(
        f"INSERT INTO log_entry (idx, leaf_hash, entry, id, {names})"
        f" SELECT 600, leaf_hash, entry, 'another', {names} FROM log_entry WHERE idx = 3"
    )
    expect(tampered, 600, "was added at index 600")


@pytest.mark.parametrize("table", ["exchange_detail", "exchange_subject"])
async def test_a_side_row_added_beyond_the_tree(tampered, table):
    swap(tampered, table, 4, 1000)
    found = tampered.verify()
    assert (found.ok, found.first_broken_index) == (False, 4)
    swap(tampered, table, 4, 1000)
    if table == "exchange_detail":
        tampered.rows("INSERT INTO exchange_detail (idx, salt, detail) VALUES (-1, $1, $2)", bytes(32), b"{}")
    else:
        tampered.rows("INSERT INTO exchange_subject (idx, tag, role, epoch) VALUES (-1, $1, 'asked', 2026)", bytes(16))
    expect(tampered, -1, "was added at index -1")


async def test_changed_search_terms_would_hide_an_entry(tampered):
    tampered.rows("DELETE FROM log_facet WHERE term = $1", "provider:ID-JEPARA/GOV/disdukcapil")
    expect(tampered, 0, "search terms")


async def test_search_terms_without_an_entry(tampered):
    tampered.rows("INSERT INTO log_facet (term, facet) VALUES ('provider:lain', 99)")
    assert "provider:lain" in tampered.verify().reason


@pytest.mark.parametrize(
    ("statement", "index", "words"),
    [
        ("UPDATE log_node SET hash = leaves WHERE n = 1", 256, "does not match its entries"),
        ("DELETE FROM log_node WHERE n = 1", 256, "is missing"),
        ("UPDATE log_node SET t_max_us = 1 WHERE n = 0", 0, "times of tile 0"),
        (
            "INSERT INTO log_node (level, n, hash) SELECT 8, 9, hash FROM log_node WHERE n = 0",
            2304,
            "tile node was added",
        ),
    ],
)
async def test_changed_tiles(tampered, statement, index, words):
    tampered.rows(statement)
    expect(tampered, index, words)


async def test_a_changed_head(tampered):
    tampered.rows("UPDATE log_head SET root = $1", bytes(32))
    assert "head of the log" in tampered.verify().reason


async def test_a_head_that_counts_too_much(tampered):
    tampered.rows("UPDATE log_head SET size = 603")
    expect(tampered, 600, "entry 600 is missing")


async def test_a_head_that_counts_too_little(tampered):
    tampered.rows("DELETE FROM log_checkpoint")
    (tampered.folder / "log.checkpoint").unlink()
    rewrite_tree(tampered, keep=590)
    expect(tampered, 590, "was added at index 590")


async def test_a_forged_checkpoint(tampered):
    tampered.rows("UPDATE log_checkpoint SET root = $1 WHERE size = 600", bytes(32))
    assert "checkpoint of size 600" in tampered.verify().reason
    tampered.rows("UPDATE log_checkpoint SET note = 'nothing' WHERE size = 600")
    assert "does not verify" in tampered.verify().reason


async def test_hostile_21_a_full_rewrite_is_caught_by_the_signed_checkpoints(tampered):
    index = 300
    for table in ("exchange_detail", "exchange_subject"):
        tampered.rows(f"DELETE FROM {table} WHERE idx = $1", index)
    members = orjson.loads(bytes_at(tampered, index))
    del members["detail_c"], members["subj_n"]
    forged = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
    tampered.rows("UPDATE log_entry SET entry = $1, leaf_hash = $2 WHERE idx = $3", forged, leaf_hash(forged), index)
    rewrite_tree(tampered, keep=ENTRIES)
    found = tampered.verify()
    assert (found.ok, found.first_broken_index) == (False, 244)
    assert "entries between 244 and 600 were rewritten" in found.reason
    with pytest.raises(LogBroken):
        async with tampered.opened():
            pass


async def test_since_a_checkpoint_reads_only_what_came_after(tampered):
    notes = dict(tampered.rows("SELECT size, note FROM log_checkpoint"))
    found = tampered.verify(since=notes[244])
    assert (found.ok, found.size, found.entries_checked) == (True, 600, 600)
    tampered.rows("UPDATE log_entry SET kind = 'admin' WHERE idx = 500")
    assert tampered.verify(since=notes[244]).first_broken_index == 500
    assert tampered.verify(since=notes[600]).ok
    assert tampered.verify(since="nonsense").reason.startswith("the checkpoint given does not verify")


async def test_since_a_checkpoint_over_entries_that_were_replaced(tampered, exchange):
    notes = dict(tampered.rows("SELECT size, note FROM log_checkpoint"))
    tampered.rows("DELETE FROM log_checkpoint")
    (tampered.folder / "log.checkpoint").unlink()
    forged = changed(bytes_at(tampered, 580), mode="uji")
    tampered.rows("UPDATE log_entry SET entry = $1, leaf_hash = $2 WHERE idx = 580", forged, leaf_hash(forged))
    rewrite_tree(tampered, keep=ENTRIES)
    found = tampered.verify(since=notes[600])
    assert (found.ok, found.first_broken_index) == (False, 580)


async def test_verification_beside_a_running_gateway(tampered, exchange):
    async with tampered.opened(checkpoint_seconds=0.01) as log:
        for _ in range(20):
            await log.append_many(exchange() + exchange())
            found = tampered.verify()
            assert (found.ok, found.size) == (True, log.size())


async def test_progress_is_told(tampered):
    told: list[tuple[int, int]] = []
    tampered.verify(progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (600, 600)


def swap(instance, table: str, one: int, two: int) -> None:
    for old, new in ((one, -9999), (two, one), (-9999, two)):
        instance.rows(f"UPDATE {table} SET idx = $1 WHERE idx = $2", new, old)


def rewrite_tree(instance, keep: int) -> None:
    """Recompute tiles and head from the leaf hashes, as a careful forger would."""
    frontier, tail = Frontier(), b""
    for (leaf,) in instance.rows("SELECT leaf_hash FROM log_entry WHERE idx < $1 ORDER BY idx", keep):
        tail += bytes(leaf)
        for level, n, value in frontier.append(bytes(leaf)):
            instance.rows(
                "UPDATE log_node SET hash = $1, leaves = $2 WHERE level = $3 AND n = $4", value, tail, level, n
            )
        if frontier.size % 256 == 0:
            tail = b""
    instance.rows(
        "UPDATE log_head SET size = $1, root = $2, frontier = $3, tail = $4",
        keep,
        frontier.root(),
        frontier.pack(),
        tail,
    )
