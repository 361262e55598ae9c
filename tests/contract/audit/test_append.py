"""Appending: indexes, durability over restarts, checkpoints, orphans, who may have the store open."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import orjson
import pytest
from pymerkle import InmemoryTree

from app.audit.entry.commitments import commit_detail
from app.audit.entry.record import Entry, Gateway, Record, columns, uuid7
from app.audit.keys.details import DetailKeys
from app.audit.keys.files import load_verifier
from app.audit.store.contract import COLUMN_NAMES
from app.errors import EntryInvalid, LogBroken, LogLocked, LogOverloaded, LogUnavailable, SettingsInvalid

GATEWAY = Gateway("gw-1", "simpul 0.1.0")


def action(number: int = 0) -> Record:
    return Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="connector.publish"), {"number": number})


async def test_indexes_are_gap_free_in_order_of_commit_and_go_on_after_a_restart(instance):
    async with instance.opened() as log:
        found = [await log.append(action(number)) for number in range(3)]
        found += await log.append_many([action(number) for number in range(4)])
        assert log.size() == 7
    async with instance.opened() as log:
        found.append(await log.append(action()))
    assert [committed.idx for committed in found] == list(range(8))
    stored = instance.rows("SELECT idx, id, leaf_hash FROM log_entry ORDER BY idx")
    assert [(row[0], row[1], bytes(row[2])) for row in stored] == [(c.idx, c.id, c.leaf_hash) for c in found]


async def test_many_writers_at_once_each_get_an_index_of_their_own_and_the_root_is_the_one_of_pymerkle(instance):
    async with instance.opened() as log:

        async def write() -> list[int]:
            return [(await log.append(action(number))).idx for number in range(25)]

        found = await asyncio.gather(*(write() for _ in range(24)))
    assert sorted(idx for mine in found for idx in mine) == list(range(600))
    assert all(mine == sorted(mine) for mine in found)
    tree = InmemoryTree(algorithm="sha256")
    for (entry,) in instance.rows("SELECT entry FROM log_entry ORDER BY idx"):
        tree.append_entry(bytes(entry))
    assert bytes(instance.rows("SELECT root FROM log_head")[0][0]) == tree.get_root()
    assert instance.verify().ok


async def test_every_column_can_be_derived_from_the_bytes_and_details_and_tags_stand_beside(instance, exchange):
    async with instance.opened() as log:
        await log.append_many(exchange())
    names = ", ".join(COLUMN_NAMES)
    for entry, *stored in instance.rows(f"SELECT entry, {names} FROM log_entry ORDER BY idx"):
        assert dict(zip(COLUMN_NAMES, stored, strict=True)) == columns(bytes(entry))
        assert len(bytes(entry)) < 1000
        assert b"3320010101900001" not in bytes(entry)
    roles = instance.rows("SELECT idx, role FROM exchange_subject ORDER BY idx, role")
    assert [tuple(row) for row in roles] == [(0, "asked"), (1, "asked"), (1, "released")]
    for idx, salt, detail in instance.rows("SELECT idx, salt, detail FROM exchange_detail ORDER BY idx"):
        entry = orjson.loads(bytes(instance.rows("SELECT entry FROM log_entry WHERE idx = $1", idx)[0][0]))
        assert b"3320010101900001" not in bytes(detail)
        plain = DetailKeys.of(instance.folder).open(entry["id"], bytes(detail))
        assert entry["detail_c"] == commit_detail(bytes(salt), plain)


async def test_a_wrong_record_is_refused_before_anything_is_written_and_harms_nobody_else(instance):
    async with instance.opened() as log:
        with pytest.raises(EntryInvalid):
            await log.append(Record(Entry(xid="no-uuid", kind="admin", gw=GATEWAY, op="connector.publish")))
        with pytest.raises(EntryInvalid):
            await log.append_many([action(), Record(Entry(xid=uuid7(), kind="intent", gw=GATEWAY, op="lisst"))])
        assert log.size() == 0
        assert (await log.append(action())).idx == 0


async def test_above_the_queue_bound_appends_are_refused_with_a_time_to_retry(instance):
    async with instance.opened(queue_entries=10) as log:
        tasks = [asyncio.create_task(log.append(action(number))) for number in range(40)]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [error for error in found if isinstance(error, BaseException)]
        assert refused
        assert all(isinstance(error, LogOverloaded) and error.retry_after_seconds for error in refused)
        assert log.size() == 40 - len(refused)
        assert (await log.append(action())).idx == log.size() - 1


async def test_a_checkpoint_is_signed_stored_and_kept_in_the_local_file(instance):
    verifier = load_verifier(instance.folder)
    async with instance.opened(checkpoint_seconds=0.05) as log:
        await log.append_many([action(number) for number in range(300)])
        async with asyncio.timeout(5):
            while (known := log.latest_checkpoint()) is None or known.size < 300:
                await asyncio.sleep(0.01)
        assert verifier.open(known.note).root == known.root
        assert verifier.open((instance.folder / "log.checkpoint").read_text("utf-8")).size == 300
        assert log.healthy()
    assert [row[0] for row in instance.rows("SELECT size FROM log_checkpoint ORDER BY size")][-1] == 300


async def test_one_root_per_size_is_ever_signed(instance):
    async with instance.opened(checkpoint_seconds=60) as log:
        await log.append(action())
        first = await log.checkpoint(1)
        assert await log.checkpoint(1) == first
        assert instance.rows("SELECT count(*) FROM log_checkpoint WHERE size = 1")[0][0] == 1


async def test_an_intent_that_a_crash_left_open_is_closed_as_aborted_at_the_next_start(instance, exchange):
    answered, open_one = exchange(), exchange()
    async with instance.opened() as log:
        await log.append_many([open_one[0], *answered])
    async with instance.opened() as log:
        assert log.size() == 4
    xid, entry = instance.rows("SELECT xid, entry FROM log_entry WHERE idx = 3")[0]
    found = orjson.loads(bytes(entry))
    assert xid == open_one[0].entry.xid
    assert (found["kind"], found["op"], found["providers"]) == ("aborted", "verify", list(open_one[0].entry.providers))
    async with instance.opened() as log:
        assert log.size() == 4
    assert instance.verify().open_intents == ()


async def test_an_older_store_than_the_signed_checkpoint_is_refused(instance):
    async with instance.opened() as log:
        await log.append_many([action(number) for number in range(5)])
    instance.disarm()
    instance.rows("DELETE FROM log_entry WHERE idx >= 3")
    instance.rows("DELETE FROM log_checkpoint WHERE size > 3")
    instance.rows("DELETE FROM exchange_detail WHERE idx >= 3")
    tree = InmemoryTree(algorithm="sha256")
    leaves = [bytes(row[0]) for row in instance.rows("SELECT leaf_hash FROM log_entry ORDER BY idx")]
    for (entry,) in instance.rows("SELECT entry FROM log_entry ORDER BY idx"):
        tree.append_entry(bytes(entry))
    frontier = sha256(b"\x01" + leaves[0] + leaves[1]).digest() + leaves[2]
    instance.rows(
        "UPDATE log_head SET size = 3, root = $1, frontier = $2, tail = $3",
        tree.get_root(),
        frontier,
        b"".join(leaves),
    )
    with pytest.raises(LogBroken, match="a checkpoint over 5 is signed"):
        async with instance.opened():
            pass
    found = instance.verify()
    assert (found.ok, found.first_broken_index) == (False, 3)


async def test_a_store_that_lost_its_last_row_is_refused(instance):
    async with instance.opened() as log:
        await log.append_many([action(number) for number in range(5)])
    instance.disarm()
    instance.rows("DELETE FROM log_entry WHERE idx = 4")
    with pytest.raises(LogBroken, match="entry 4 is missing"):
        async with instance.opened():
            pass


async def test_a_log_keeps_its_origin(instance):
    async with instance.opened():
        pass
    with pytest.raises(SettingsInvalid, match="keeps its origin"):
        async with instance.opened() as log:
            await type(log).open(instance.store(), instance.folder, origin="other.example/log", gateway=GATEWAY)


async def test_after_close_nothing_is_accepted(instance):
    async with instance.opened() as log:
        pass
    with pytest.raises(LogUnavailable):
        await log.append(action())


async def test_entries_cannot_be_changed_or_removed_through_the_database(instance):
    async with instance.opened() as log:
        await log.append(action())
    for statement in ("UPDATE log_entry SET kind = 'intent'", "DELETE FROM log_entry"):
        with pytest.raises(Exception, match="immutable"):
            instance.rows(statement)


async def test_hostile_07_a_second_gateway_on_one_embedded_store_is_refused(embedded):
    async with embedded.opened():
        with pytest.raises(LogLocked):
            async with embedded.opened():
                pass
    async with embedded.opened() as log:
        assert (await log.append(action())).idx == 0


async def test_hostile_18_replicas_share_one_log_and_one_note_per_size(postgres):
    async with (
        postgres.opened(gateway=Gateway("gw-1", "b"), checkpoint_seconds=0.02) as one,
        postgres.opened(gateway=Gateway("gw-2", "b"), checkpoint_seconds=0.02) as two,
        postgres.opened(gateway=Gateway("gw-3", "b"), checkpoint_seconds=0.02) as three,
    ):

        async def write(log) -> list[int]:
            return [(await log.append(action(number))).idx for number in range(40)]

        found = await asyncio.gather(*(write(log) for log in (one, two, three) for _ in range(4)))
    assert sorted(idx for mine in found for idx in mine) == list(range(480))
    result = postgres.verify()
    assert (result.ok, result.size) == (True, 480)


async def test_a_starting_replica_leaves_the_open_intents_of_a_running_one_alone(postgres, exchange):
    async with postgres.opened(gateway=Gateway("gw-1", "simpul 0.1.0")) as one:
        opened = exchange()
        await one.append(opened[0])
        async with postgres.opened(gateway=Gateway("gw-2", "b")) as two:
            assert two.size() == 1
        await one.append(opened[1])
    assert postgres.verify().open_intents == ()
