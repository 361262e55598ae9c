"""Killed, cut off, out of space, failing disk: after every round what was acknowledged is in the log and the log verifies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.audit.entry.record import Entry, Gateway, Record, uuid7
from app.audit.verify.source import is_served
from app.errors import LogUnavailable
from tests.fixtures.postgres import Cluster, fresh_database, restart_immediately, shared_cluster, stop_shared_cluster
from tests.support.log_instance import GATEWAY, Instance, prepare_database

ROOT = Path(__file__).resolve().parents[2]
CHILD = [sys.executable, "-m", "tests.support.log_child"]


def command(instance: Instance, mode: str) -> list[str]:
    return [*CHILD, mode, str(instance.folder), instance.url or "-"]


class Oracle:
    """What was acknowledged, what was signed; `check` holds both against the log."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.notes: dict[str, None] = {}
        self.acknowledged = 0
        self.rounds = 0

    def check(self) -> None:
        instance = self.instance
        if instance.url is not None:
            nobody_writes(instance)
        local = instance.folder / "log.checkpoint"
        if local.is_file():
            self.notes[local.read_text("utf-8")] = None
        found = instance.verify()
        assert found.ok, (self.rounds, found.first_broken_index, found.reason)
        for note in list(self.notes)[-5:]:
            extended = instance.verify(since=note)
            assert extended.ok, (self.rounds, extended.reason)
        path = instance.folder / "acknowledged"
        lines = path.read_text("ascii").splitlines() if path.is_file() else []
        stored = {str(idx): identity for idx, identity in instance.rows("SELECT idx, id FROM log_entry")}
        lost = [line for line in lines if stored.get(line.split()[0]) != line.split()[1]]
        assert lost == []
        assert len(stored) == found.size
        self.acknowledged = len(lines)
        self.rounds += 1


def nobody_writes(instance: Instance) -> None:
    """The server ends what a killed client had sent, and may commit it while the log is being looked at."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
        " AND pid <> pg_backend_pid()"
    )
    ends = time.monotonic() + 20
    while instance.rows(others) != [(0,)]:
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Instance:
    if request.param == "sqlite":
        return Instance(tmp_path, None)
    url = request.getfixturevalue("postgres_url")
    prepare_database(url)
    return Instance(tmp_path, url)


@contextmanager
def forker(instance: Instance) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(instance, "fork"), cwd=ROOT, **pipes) as child:
        try:
            yield child
        finally:
            child.stdin.close()
            child.wait(timeout=20)


def kill_rounds(instance: Instance, rounds: int) -> Oracle:
    oracle = Oracle(instance)
    chance = random.Random(20260101)
    with forker(instance) as parent:
        for _ in range(rounds):
            parent.stdin.write("go\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            assert parent.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.0, 0.25))
            os.kill(child, signal.SIGKILL)
            assert parent.stdout.readline() == "gone\n"
            sessions_ended(instance)
            oracle.check()
    return oracle


def sessions_ended(instance: Instance) -> None:
    """The server ends what a killed process began, a commit under way included, a moment after that process is gone."""
    ends = time.monotonic() + 20
    while instance.url is not None and instance.rows(
        "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'simpul-log-%' AND datname = current_database()"
    ):
        assert time.monotonic() < ends
        time.sleep(0.01)


def closed_by_the_next_start(instance: Instance) -> None:
    """Intents that were left open are closed by `aborted` entries when the log opens again, or soon after."""

    async def reopen() -> None:
        gateway = Gateway("gw-next", "b")
        store = instance.store(gateway.replica, stopped_after_seconds=0.5)
        async with instance.opened(store, gateway=gateway), asyncio.timeout(20):
            while (await asyncio.to_thread(instance.verify)).open_intents:  # noqa: ASYNC110 - the log has no event for it
                await asyncio.sleep(0.1)

    asyncio.run(reopen())
    found = instance.verify()
    assert (found.ok, found.open_intents) == (True, ())


def test_hostile_01_02_ten_kills_lose_nothing_that_was_acknowledged(instance, record_property):
    oracle = kill_rounds(instance, 10)
    assert oracle.rounds == 10
    assert oracle.acknowledged > 20
    closed_by_the_next_start(instance)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_hostile_01_02_two_hundred_kills(instance, capsys):
    oracle = kill_rounds(instance, 100)
    closed_by_the_next_start(instance)
    with capsys.disabled():
        sys.stdout.write(f"\n{oracle.rounds} kills, {oracle.acknowledged} entries acknowledged, 0 lost\n")
    assert (oracle.rounds, oracle.acknowledged > 1000) == (100, True)


# --- faults of the disk, injected by strace ------------------------------------------------------------------------

CALLS = {
    "open": "openat",
    "write": "pwrite64",
    "fsync": "fdatasync,fsync",
    "rename": "rename,renameat,renameat2",
    "close": "close",
}
FAULTS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "KILL": "signal=KILL"}
FAST = {("write", "ENOSPC"), ("fsync", "EIO"), ("rename", "KILL")}
FIRST_HIT = {"open": 1, "write": 150, "fsync": 12, "rename": 4, "close": 6}


def traced(instance: Instance, call: str, fault: str) -> int:
    """One run with a fault at some calls on the files of the log; returns how many were injected."""
    folder = instance.folder
    trace = folder / "strace.out"
    names = ["log.db", "log.db-wal", "log.db-shm", "log.checkpoint"]
    step = "" if fault == "KILL" else "+97" if call == "write" else "+9"
    options = ["-f", "-qq", "-o", str(trace), "-e", f"trace={CALLS[call]}"]
    options += ["-e", f"inject={CALLS[call]}:{FAULTS[fault]}:when={FIRST_HIT[call]}{step}"]
    if call in {"write", "fsync"}:
        for name in names:
            options += ["-P", str(folder / name)]
    elif call in {"open", "close"}:
        options += ["-P", str(folder / "log.db-wal"), "-P", str(folder / "log.db"), "-P", str(folder)]
    with subprocess.Popen(["strace", *options, *command(instance, "run")], cwd=ROOT, stdout=subprocess.PIPE) as child:
        line = child.stdout.readline()
        time.sleep(1.5)
        for traced_id in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text("ascii").split():
            os.kill(int(traced_id), signal.SIGKILL)
        child.kill()
        child.wait()
    ends = time.monotonic() + 20
    while is_served(folder):  # the killed process lives on for a moment, and may commit in it
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert line in {b"ready\n", b""} or b":" in line, line
    return trace.read_text("utf-8", "replace").count("(INJECTED)") + trace.read_text("utf-8", "replace").count(
        "killed by SIGKILL"
    )


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        pytest.param(call, fault, marks=() if (call, fault) in FAST else pytest.mark.slow)
        for call in CALLS
        for fault in FAULTS
    ],
)
def test_hostile_03_04_a_failing_disk_loses_nothing_that_was_acknowledged(tmp_path, call, fault):
    instance = Instance(tmp_path, None)

    async def begin() -> None:
        async with instance.opened() as log:
            await log.append(action(10))

    asyncio.run(begin())
    assert traced(instance, call, fault) > 0
    if (call, fault) in FAST and fault != "KILL":
        assert (tmp_path / "refused").read_text("ascii").split().count("log_unavailable") > 0
        assert (tmp_path / "acknowledged").stat().st_size > 0
    Oracle(instance).check()
    closed_by_the_next_start(instance)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 3 MiB in memory. For everybody the same fault is injected in `contract/audit/test_recovery_sqlite.py`."""
    assert os.geteuid() == 0, "this test mounts a small file system: run `make test-all` as root"
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.external
async def test_hostile_03_a_full_disk_refuses_and_the_log_goes_on_by_itself_when_there_is_room(small_disk):
    instance = Instance(small_disk, None)
    acknowledged = []
    async with instance.opened(checkpoint_seconds=0.05) as log:
        filler = small_disk / "filler"
        acknowledged += [await log.append(action(3000)) for _ in range(20)]
        await asyncio.to_thread(_fill, filler)

        async def until_refused() -> None:
            while True:
                acknowledged.append(await log.append(action(3000)))

        with pytest.raises(LogUnavailable):
            await until_refused()
        assert not log.healthy()
        filler.unlink()
        await until(log.healthy)
        acknowledged.append(await log.append(action(10)))
    stored = dict(instance.rows("SELECT idx, id FROM log_entry"))
    assert len(acknowledged) > 20
    assert all(stored[found.idx] == found.id for found in acknowledged)
    assert instance.verify().ok


def action(note_bytes: int) -> Record:
    entry = Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="connector.publish")
    return Record(entry, {"note": "x" * note_bytes})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the log has no event for it
            await asyncio.sleep(0.02)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own_cluster(tmp_path_factory) -> Iterator[Cluster]:
    """A server that may be stopped: no other test uses it."""
    folder = tmp_path_factory.mktemp("cluster")
    try:
        yield shared_cluster(folder)
    finally:
        stop_shared_cluster(folder)


def test_hostile_10_a_server_stopped_immediately_under_load_keeps_what_was_acknowledged(own_cluster, tmp_path):
    with fresh_database(own_cluster) as url:
        prepare_database(url)
        instance = Instance(tmp_path, url)
        oracle = Oracle(instance)
        with subprocess.Popen(command(instance, "run"), cwd=ROOT, stdout=subprocess.PIPE) as child:
            try:
                assert child.stdout.readline() == b"ready\n"
                for _ in range(3):
                    time.sleep(0.5)
                    restart_immediately(own_cluster)
                    grown = (tmp_path / "acknowledged").stat().st_size
                    ends = time.monotonic() + 30
                    while (tmp_path / "acknowledged").stat().st_size == grown:  # it goes on by itself
                        assert time.monotonic() < ends
                        time.sleep(0.05)
            finally:
                child.kill()
        sessions_ended(instance)
        oracle.check()
        assert (tmp_path / "refused").stat().st_size > 0
        closed_by_the_next_start(instance)
