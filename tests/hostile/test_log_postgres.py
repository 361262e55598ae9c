"""The log on PostgreSQL when a replica stands still, a failover loses commits, the server gives up durability, replicas race."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.audit.entry.record import Entry, Gateway, Record, uuid7
from app.audit.store.contract import Committed
from app.audit.write.log import ExchangeLog
from app.errors import LogError, LogUnavailable
from tests.fixtures.postgres import Cluster, fresh_database, restart_immediately
from tests.hostile.test_log_kill import ROOT, command, own_cluster, sessions_ended
from tests.support.log_instance import GATEWAY, Instance, prepare_database

__all__ = ["own_cluster"]

_HEAD_IS_HELD = (
    "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction' AND application_name = 'simpul-log-writer'"
    " AND datname = current_database() AND clock_timestamp() - state_change > interval '40 ms'"
)


def action() -> Record:
    return Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="connector.publish"))


@pytest.fixture
def postgres(postgres_url: str, tmp_path: Path) -> Instance:
    prepare_database(postgres_url)
    return Instance(tmp_path, postgres_url)


@pytest.fixture
def alone(own_cluster: Cluster, tmp_path: Path) -> Iterator[Instance]:
    """An instance on a server that no other test uses."""
    with fresh_database(own_cluster) as url:
        prepare_database(url)
        yield Instance(tmp_path, url)


async def until_healthy(log: ExchangeLog) -> None:
    async with asyncio.timeout(20):
        while not log.healthy():  # noqa: ASYNC110 - the log has no event for it
            await asyncio.sleep(0.01)


async def _again(log: ExchangeLog) -> None:
    """Appends until it is taken again: a connection was lost."""
    async with asyncio.timeout(20):
        while True:
            try:
                await log.append(action())
            except LogUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


def stopped_with_the_head(instance: Instance, process: int) -> None:
    """Stops the process at a moment in which it holds the row of the head."""
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        os.kill(process, signal.SIGSTOP)
        time.sleep(0.05)  # what the server was asked before is done
        if instance.rows(_HEAD_IS_HELD):
            return
        os.kill(process, signal.SIGCONT)
        time.sleep(0.013)
    raise AssertionError("the replica was never met with the head in its hands")


async def beside_a_stopped_one(log: ExchangeLog, instance: Instance, process: int) -> tuple[int, float, Committed]:
    """Appends until one stands behind the moment in which the other was stopped: how many were refused, the longest wait, that one."""
    met = asyncio.create_task(asyncio.to_thread(stopped_with_the_head, instance, process))
    longest, refused, ends = 0.0, 0, time.monotonic() + 60
    while True:  # the head moves under the other one, which then takes its lock
        assert time.monotonic() < ends
        stopped, began = met.done(), time.monotonic()
        try:
            done = await log.append(action())
        except LogUnavailable:
            refused += 1
            await asyncio.sleep(0.02)
        else:
            if stopped:
                break
        longest = max(longest, time.monotonic() - began)
    await met
    return refused, longest, done


async def test_hostile_09_a_replica_stopped_with_the_head_in_its_hands_delays_the_others_for_seconds(
    postgres: Instance,
) -> None:
    with subprocess.Popen(  # noqa: ASYNC220 - it is stopped and killed as a process
        command(postgres, "run"), cwd=ROOT, stdout=subprocess.PIPE
    ) as child:
        try:
            assert await asyncio.to_thread(child.stdout.readline) == b"ready\n"
            async with postgres.opened(gateway=Gateway("gw-2", "b"), checkpoint_seconds=60) as log:
                await log.append(action())
                longest, refused = 0.0, 0
                for _ in range(5):  # what it sent a moment before may be done late, and let the head go
                    refused, longest, done = await beside_a_stopped_one(log, postgres, child.pid)
                    if refused:
                        break
                    os.kill(child.pid, signal.SIGCONT)
                assert refused
                assert longest <= 3.0
                kept = await asyncio.to_thread(postgres.rows, "SELECT id FROM log_entry WHERE idx = $1", done.idx)
                assert kept == [(done.id,)]
                os.kill(child.pid, signal.SIGCONT)
                await asyncio.sleep(0.5)
                await until_healthy(log)
                await log.append(action())
        finally:
            child.kill()
    await asyncio.to_thread(sessions_ended, postgres)
    stored = {f"{idx} {identity}" for idx, identity in postgres.rows("SELECT idx, id FROM log_entry")}
    lines = (postgres.folder / "acknowledged").read_text("ascii").splitlines()
    assert lines
    assert [line for line in lines if line not in stored] == []
    assert postgres.verify().ok


@pytest.mark.parametrize("checkpoint_seconds", [0.05, 60.0], ids=["busy", "idle"])
async def test_hostile_10_what_a_failover_lost_is_found_out_and_releases_stop(
    own_cluster: Cluster, alone: Instance, checkpoint_seconds: float
) -> None:
    """The standby that takes over lacks commits that were acknowledged and signed: nothing is written to it."""
    served, behind = Path(own_cluster.folder, "cluster"), Path(own_cluster.folder, "standby")

    def copied() -> None:
        restart_immediately(own_cluster)
        alone.rows("CHECKPOINT")
        subprocess.run(["cp", "-a", str(served), str(behind)], check=True)
        (behind / "postmaster.pid").unlink()

    def failed_over() -> None:
        pid = int((served / "postmaster.pid").read_text("ascii").split()[0])
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.02)
        served.rename(served.with_name("lost"))
        behind.rename(served)
        restart_immediately(own_cluster)

    async with alone.opened(checkpoint_seconds=checkpoint_seconds) as log:
        await log.append_many([action() for _ in range(5)])
        await log.checkpoint(5)
        await asyncio.to_thread(copied)
        await _again(log)
        await log.append_many([action() for _ in range(5)])
        signed = await log.checkpoint(log.size())
        await asyncio.to_thread(failed_over)
        before = alone.rows("SELECT max(idx) FROM log_entry")[0][0]
        assert before < signed.size - 1
        for _ in range(40):
            with pytest.raises(LogError):
                await log.append(action())
            await asyncio.sleep(0.05)
        assert not log.healthy()
        assert "acknowledged" in str(log.last_error())
        assert alone.rows("SELECT max(idx) FROM log_entry")[0][0] == before
    with pytest.raises(LogError, match="lost or removed"):
        async with alone.opened(gateway=Gateway("gw-2", "b")):
            pass


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_hostile_11_a_server_that_may_lose_commits_is_refused_at_start_and_when_it_comes_back(
    own_cluster: Cluster, alone: Instance, name: str
) -> None:
    def set_to(value: str) -> None:
        alone.rows(f"ALTER SYSTEM SET {name} = {value}")
        options = Path(own_cluster.folder, "cluster", "postmaster.opts")  # options of the command line win
        options.write_text(re.sub(rf'"-c" "{name}=\w+"', "", options.read_text("utf-8")), "utf-8")
        restart_immediately(own_cluster)

    async with alone.opened(checkpoint_seconds=60) as log:
        await log.append(action())
        await asyncio.to_thread(set_to, "off")
        assert await asyncio.to_thread(alone.rows, f"SHOW {name}") == [("off",)]
        for _ in range(20):
            with pytest.raises(LogUnavailable):
                await log.append(action())
            await asyncio.sleep(0.05)
        assert not log.healthy()
        assert f"{name} = off" in str(log.last_error())
        with pytest.raises(LogUnavailable, match=f"{name} = off"):
            async with alone.opened(gateway=Gateway("gw-2", "b")):
                pass
        await asyncio.to_thread(set_to, "on")
        await until_healthy(log)
        assert (await log.append(action())).idx == 1
        if name != "synchronous_commit":  # each session of the log sets that for itself
            alone.rows(f"ALTER SYSTEM SET {name} = off")  # while it runs, and no connection is lost
            alone.rows("SELECT pg_reload_conf()")
            await _refused_from_now_on(log)
            assert alone.rows("SELECT max(idx) FROM log_entry") == [(1,)]
            alone.rows(f"ALTER SYSTEM SET {name} = on")
            alone.rows("SELECT pg_reload_conf()")
            await until_healthy(log)
            assert (await log.append(action())).idx == 2
    assert alone.verify().ok


async def _refused_from_now_on(log: ExchangeLog) -> None:
    """A server reads its files again a moment after it was told to."""
    await asyncio.sleep(0.5)
    for _ in range(10):
        with pytest.raises(LogUnavailable):
            await log.append(action())
        await asyncio.sleep(0.02)


async def test_hostile_18_of_replicas_that_sign_one_size_at_once_one_note_stands(postgres: Instance) -> None:
    names = ("gw-1", "gw-2", "gw-3")
    options = [{"gateway": Gateway(name, "b"), "checkpoint_seconds": 60.0} for name in names]
    async with (
        postgres.opened(**options[0]) as one,
        postgres.opened(**options[1]) as two,
        postgres.opened(**options[2]) as three,
    ):
        logs, sizes = (one, two, three), set()
        for round_ in range(15):
            for log in logs:
                await log.append(action())
            size = max(log.size() for log in logs)
            found = await asyncio.gather(*(log.checkpoint(size) for log in logs))
            assert {note.size for note in found} == {size}, round_
            assert len({note.note for note in found}) == 1, round_
            sizes.add(size)
    kept = [size for (size,) in postgres.rows("SELECT size FROM log_checkpoint WHERE size > 0")]
    assert len(kept) == len(set(kept))
    assert sizes <= set(kept)
    assert postgres.verify().ok
