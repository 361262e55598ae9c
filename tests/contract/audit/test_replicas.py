"""Several replicas on one PostgreSQL: they start under load, and nobody closes the exchanges of one that lives."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from app.audit.entry.members import CLOSERS
from app.audit.entry.record import Entry, Gateway, Record, uuid7
from app.audit.store.postgres_reading import COMMAND_SECONDS, CONNECT_SECONDS
from app.audit.store.postgres_replicas import STOPPED_AFTER_SECONDS, lock_key
from app.audit.write.log import ExchangeLog
from app.audit.write.presence import BEAT_SECONDS
from app.audit.write.recovery import check_extension
from app.audit.write.writer import _RETRY_MOST_SECONDS
from app.errors import LogError, LogLocked, LogUnavailable
from app.settings import Settings
from app.wiring import _replica
from tests.support.log_instance import Instance

QUICK = {"checkpoint_seconds": 0.02, "beat_seconds": 0.1}
"""Rounds among the replicas every tenth of a second."""

SOON = 0.6
"""Silence after which a replica is stopped, in tests that wait for it."""

WRITERS_A_REPLICA = 4
ROOT = Path(__file__).resolve().parents[3]


def exchange(replica: str) -> tuple[Record, Record]:
    xid, gateway = uuid7(), Gateway(replica, "b")
    return (
        Record(Entry(xid=xid, kind="intent", gw=gateway, op="lookup"), {"n": 1}),
        Record(Entry(xid=xid, kind="outcome", gw=gateway, op="lookup", status=200), {"n": 1}),
    )


@contextlib.asynccontextmanager
async def replica(postgres: Instance, name: str, *, after: float = SOON) -> AsyncIterator[ExchangeLog]:
    store = postgres.store(name, stopped_after_seconds=after)
    async with postgres.opened(store, gateway=Gateway(name, "b"), **QUICK) as log:
        yield log


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


def kinds(postgres: Instance, xid: str) -> list[str]:
    return [str(kind) for (kind,) in postgres.rows("SELECT kind FROM log_entry WHERE xid = $1 ORDER BY idx", xid)]


def end_sessions(postgres: Instance, name: str) -> int:
    """End the session that holds the lock of a replica; how many there were."""
    key = lock_key(name)
    return len(
        postgres.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
            " AND classid::bigint = $1 AND objid::bigint = $2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (key >> 32) & 0xFFFFFFFF,
            key & 0xFFFFFFFF,
        )
    )


# --- starting while others write -----------------------------------------------------------------------------------


@pytest.mark.timeout(180)
async def test_ten_replicas_start_again_and_again_while_three_others_write(postgres):
    started, stop = [], asyncio.Event()

    async def write(log: ExchangeLog, name: str) -> int:
        done = 0
        while not stop.is_set():
            asked, answered = exchange(name)
            await log.append(asked)
            await log.append(answered)
            done += 1
        return done

    async def start(name: str) -> None:
        async with replica(postgres, name, after=STOPPED_AFTER_SECONDS) as log:
            started.append(name)
            for record in exchange(name):
                await log.append(record)

    async with contextlib.AsyncExitStack() as stack:
        names = [f"writer-{number}" for number in range(3)]
        logs = [await stack.enter_async_context(replica(postgres, name, after=STOPPED_AFTER_SECONDS)) for name in names]
        writing = [
            asyncio.create_task(write(log, name))
            for log, name in zip(logs, names, strict=True)
            for _ in range(WRITERS_A_REPLICA)
        ]
        for round_ in range(3):
            await asyncio.gather(*(start(f"starter-{round_}-{number}") for number in range(10)))
        stop.set()
        done = await asyncio.gather(*writing)
        assert all(log.healthy() for log in logs)
    assert len(started) == 30
    assert min(done) > 0
    exchanges = sum(done) + 30
    found = postgres.verify()
    assert (found.ok, found.reason, found.open_intents, found.warnings) == (True, None, (), ())
    assert [idx for (idx,) in postgres.rows("SELECT idx FROM log_entry ORDER BY idx")] == list(range(found.size))
    closing = Counter(xid for xid, kind in postgres.rows("SELECT xid, kind FROM log_entry") if kind in CLOSERS)
    assert found.size == 2 * exchanges
    assert (len(closing), set(closing.values())) == (exchanges, {1})
    assert postgres.rows("SELECT replica FROM log_replica") == []


async def test_what_must_fit_together_is_read_in_one_snapshot(instance):
    """Between any two statements of the check another process commits and signs: it sees none of it."""
    async with instance.opened(checkpoint_seconds=60, beat_seconds=0.1) as log:
        for record in exchange("gw-1"):
            await log.append(record)
        verifier = log._publisher._signer.verifier
        store, seen = log._store, []

        class Interrupted:
            def __init__(self, reader) -> None:
                self._reader = reader

            async def fetch(self, statement: str, *values: object) -> list[tuple[object, ...]]:
                rows = await self._reader.fetch(statement, *values)
                for record in exchange("gw-1"):
                    await log.append(record)
                seen.append((await log.checkpoint(log.size())).size)
                return rows

            @contextlib.asynccontextmanager
            async def snapshot(self):
                async with store.snapshot() as reader:
                    yield Interrupted(reader)

        known = await check_extension(Interrupted(store), verifier, None)
        assert known.size == 0
        assert len(seen) >= 4
        assert seen == sorted(set(seen))
        async with store.snapshot() as reader, reader.snapshot() as same:
            size = (await reader.fetch("SELECT size FROM log_head"))[0][0]
            for record in exchange("gw-1"):
                await log.append(record)
            assert (await same.fetch("SELECT max(idx) FROM log_entry"))[0][0] == size - 1
        assert log.size() == size + 2


# --- who lives -----------------------------------------------------------------------------------------------------


async def test_open_intents_of_a_replica_whose_session_lives_are_never_closed_by_another(postgres):
    async with replica(postgres, "one") as one:
        asked, answered = exchange("one")
        await one.append(asked)
        await one._presence.stop()  # it says nothing any more, as a process that stands still; its session is there
        async with replica(postgres, "two") as two:
            postgres.rows("UPDATE log_replica SET seen_us = 0 WHERE replica = 'one'")
            for _ in range(5):
                await two._presence._round()
            assert two.size() == 1
        await one.append(answered)
    assert kinds(postgres, asked.entry.xid) == ["intent", "outcome"]


async def test_open_intents_of_a_replica_whose_session_was_cut_are_its_own_when_it_connects_again(postgres):
    async with replica(postgres, "one", after=5) as one, replica(postgres, "two", after=5) as two:
        asked, answered = exchange("one")
        await one.append(asked)
        for _ in range(5):
            await asyncio.to_thread(end_sessions, postgres, "one")
            await two._presence._round()
        await until(one.healthy)
        await appended(one, answered)
        await two._presence._round()
    assert kinds(postgres, asked.entry.xid) == ["intent", "outcome"]
    assert postgres.verify().open_intents == ()


async def appended(log: ExchangeLog, record: Record) -> None:
    """Append, again when the connection is found cut."""
    async with asyncio.timeout(15):
        while True:
            try:
                await log.append(record)
            except LogUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_session_has_the_lock_of_its_replica_before_anything_is_acknowledged(postgres):
    async with replica(postgres, "one") as one:
        for record in exchange("one"):
            await one.append(record)
        thief = await asyncpg.connect(postgres.url)
        await asyncio.to_thread(end_sessions, postgres, "one")
        await thief.execute("SELECT pg_advisory_lock($1::bigint)", lock_key("one"))
        asked, answered = exchange("one")
        with pytest.raises(LogUnavailable):
            await one.append(asked)
        assert one.size() == 2
        await thief.close()
        await until(one.healthy)
        await appended(one, asked)
        await appended(one, answered)
    assert postgres.verify().ok


async def test_a_held_lock_is_not_ignored(postgres):
    async with replica(postgres, "one"):
        with pytest.raises(LogLocked, match="another process serves as replica one"):
            async with replica(postgres, "one"):
                pass
    async with replica(postgres, "one") as again:
        assert again.healthy()


async def test_two_names_never_share_a_lock(postgres):
    """These two names have one value of the server's 32-bit hash, and so had one lock."""
    pair = same_hash(postgres)
    assert lock_key(pair[0]) != lock_key(pair[1])
    async with replica(postgres, pair[0]) as one, replica(postgres, pair[1]) as two:
        assert await one._store.replicas.beat()
        assert await two._store.replicas.beat()
    postgres.rows("INSERT INTO log_replica (replica, open_from, lock_key) VALUES ('a', 0, $1)", lock_key("b"))
    with pytest.raises(LogLocked, match="that of another name"):
        async with replica(postgres, "b"):
            pass


def same_hash(postgres: Instance) -> tuple[str, str]:
    rows = postgres.rows(
        "SELECT min(name), max(name) FROM (SELECT 'gw-' || n AS name FROM generate_series(1, 400000) n) names"
        " GROUP BY hashtext(name) HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
    )
    return str(rows[0][0]), str(rows[0][1])


def test_processes_of_one_host_and_number_have_names_of_their_own(tmp_path):
    shared = Settings(dir=tmp_path, database_url="postgresql://u@h/d")
    names = {_replica(shared) for _ in range(100)}
    assert len(names) == 100
    assert len({name.rsplit("-", 1)[0] for name in names}) == 1
    assert max(map(len, names)) <= 120
    embedded = Settings(dir=tmp_path)
    assert {_replica(embedded), _replica(embedded)} == {embedded.instance}


def test_a_replica_connects_again_long_before_it_is_taken_for_stopped():
    assert STOPPED_AFTER_SECONDS >= _RETRY_MOST_SECONDS + CONNECT_SECONDS + COMMAND_SECONDS + BEAT_SECONDS


# --- who does not --------------------------------------------------------------------------------------------------


async def test_a_killed_replica_s_intents_are_closed_by_one_that_runs_and_by_no_second(postgres):
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.log_child", "run", str(postgres.folder), postgres.url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as child:
        assert await asyncio.to_thread(child.stdout.readline) == b"ready\n"
        async with replica(postgres, "one") as one, replica(postgres, "two") as two:
            await until(lambda: bool(postgres.verify().open_intents))
            child.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            await until(lambda: postgres.verify().open_intents == ())
            assert time.monotonic() - killed < 10
            for record in exchange("one"):
                await one.append(record)
            await two._presence._round()
            await until(lambda: len(postgres.rows("SELECT 1 FROM log_replica")) == 2)
    assert postgres.verify().ok
    closing = Counter(xid for xid, kind in postgres.rows("SELECT xid, kind FROM log_entry") if kind in CLOSERS)
    assert set(closing.values()) == {1}


async def test_a_clean_end_with_open_intents_lets_the_next_start_close_them_at_once(postgres):
    async with replica(postgres, "one", after=STOPPED_AFTER_SECONDS) as one:
        asked, _ = exchange("one")
        await one.append(asked)
    async with replica(postgres, "two", after=STOPPED_AFTER_SECONDS):
        assert await asyncio.to_thread(kinds, postgres, asked.entry.xid) == ["intent", "aborted"]


async def test_a_replica_that_was_declared_stopped_closes_nothing_again_and_goes_on(postgres):
    async with replica(postgres, "one") as one, replica(postgres, "two") as two:
        asked, answered = exchange("one")
        await one.append(asked)
        await one._presence.stop()
        postgres.rows("UPDATE log_replica SET seen_us = 0 WHERE replica = 'one'")
        async with one._store._lock:  # cut off: it cannot connect again
            await asyncio.to_thread(end_sessions, postgres, "one")
            await until(lambda: kinds(postgres, asked.entry.xid) == ["intent", "aborted"])
        with pytest.raises(LogError):
            await one.append(answered)
        await until(one.healthy)
        with pytest.raises(LogUnavailable, match="closed already"):
            await one.append(answered)
        for record in exchange("one"):
            await one.append(record)
        assert one._store.replicas.registrations == 2
        assert two.healthy()
    assert kinds(postgres, asked.entry.xid) == ["intent", "aborted"]
    assert postgres.verify().open_intents == ()


async def test_nothing_is_committed_for_a_replica_from_the_moment_it_is_declared_stopped(postgres):
    async with replica(postgres, "one") as one, replica(postgres, "two") as two:
        asked, answered = exchange("one")
        await one.append(asked)
        await one._presence.stop()
        await two._presence.stop()
        await asyncio.to_thread(postgres.rows, "UPDATE log_replica SET stopped_by = 'two' WHERE replica = 'one'")
        with pytest.raises(LogUnavailable, match="declared stopped"):  # its session lives: only its row says so
            await one.append(answered)
        assert await asyncio.to_thread(kinds, postgres, asked.entry.xid) == ["intent"]
        await two._presence._round()
        await until(one.healthy)
        with pytest.raises(LogUnavailable, match="closed already"):
            await one.append(answered)
    assert kinds(postgres, asked.entry.xid) == ["intent", "aborted"]


async def test_what_a_stopped_replica_had_claimed_is_closed_by_the_next_one(postgres):
    async with replica(postgres, "one") as one:
        asked, _ = exchange("one")
        await one.append(asked)
    postgres.rows(
        "INSERT INTO log_replica (replica, open_from, lock_key, seen_us, stopped_by) VALUES ('closer', 0, 7, 0, NULL)"
    )
    postgres.rows("UPDATE log_replica SET stopped_by = 'closer' WHERE replica = 'one'")
    async with replica(postgres, "two"):
        assert await asyncio.to_thread(kinds, postgres, asked.entry.xid) == ["intent", "aborted"]
        rows = await asyncio.to_thread(postgres.rows, "SELECT replica FROM log_replica")
    assert rows == [("two",)]


async def test_a_replica_takes_its_row_back_when_who_declared_it_stopped_has_stopped_too(postgres):
    async with replica(postgres, "one") as one:
        asked, answered = exchange("one")
        await one.append(asked)
        await asyncio.to_thread(
            postgres.rows,
            "INSERT INTO log_replica (replica, open_from, lock_key, seen_us) VALUES ('closer', 0, 7, 0)",
        )
        await asyncio.to_thread(postgres.rows, "UPDATE log_replica SET stopped_by = 'closer' WHERE replica = 'one'")
        await until(lambda: one._store.replicas.registrations == 2 and one.healthy())
        await one.append(answered)
        await until(lambda: postgres.rows("SELECT replica FROM log_replica") == [("one",)])
    assert kinds(postgres, asked.entry.xid) == ["intent", "outcome"]


async def test_replicas_that_look_at_once_close_each_intent_once(postgres):
    async with replica(postgres, "gone") as gone:
        opened = [exchange("gone")[0] for _ in range(300)]
        await gone.append_many(opened)
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(replica(postgres, f"gw-{number}")) for number in range(5)))
        await until(lambda: postgres.verify().open_intents == ())
    assert postgres.rows("SELECT count(*), count(DISTINCT xid) FROM log_entry WHERE kind = 'aborted'") == [(300, 300)]
