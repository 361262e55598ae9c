"""Faults of the embedded log: full disk, failing flush, file gone, process killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import apsw
import pytest

from app.audit.entry.record import Entry, Gateway, Record, uuid7
from app.audit.keys.files import load_verifier
from app.audit.store.sqlite import SqliteLogStore
from app.audit.verify.stored_log import verify_folder
from app.errors import LogBroken, LogUnavailable
from tests.support import programs

GATEWAY = Gateway("gw-1", "simpul 0.1.0")
ORIGIN = "simpul.jepara.example/log"


def action() -> Record:
    return Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="connector.publish"), {"note": "x" * 2000})


class Faults:
    """Which file operations fail, by the end of the file's name and the operation."""

    def __init__(self) -> None:
        self.failing: dict[tuple[str, str], type[apsw.Error]] = {}
        self.hits = 0

    def check(self, name: str, operation: str) -> None:
        for (suffix, wanted), error in self.failing.items():
            if name.endswith(suffix) and operation == wanted:
                self.hits += 1
                raise error("injected")


class FaultyFile(apsw.VFSFile):
    def __init__(self, vfs, name, flags, faults):
        self.faults = faults
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__(vfs, name, flags)

    def xWrite(self, content, offset):
        self.faults.check(self.path, "write")
        super().xWrite(content, offset)

    def xSync(self, flags):
        self.faults.check(self.path, "sync")
        super().xSync(flags)


class FaultyVfs(apsw.VFS):
    def __init__(self, faults):
        self.faults = faults
        super().__init__("faulty", "")

    def xOpen(self, name, flags):
        return FaultyFile("", name, flags, self.faults)


@pytest.fixture
def faults():
    found = Faults()
    vfs = FaultyVfs(found)
    yield found
    vfs.unregister()


async def until_healthy(log) -> None:
    async with asyncio.timeout(10):
        while not log.healthy():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("file", "operation", "error"),
    [
        ("-wal", "write", apsw.FullError),
        ("-wal", "sync", apsw.IOError),
        ("-wal", "write", apsw.IOError),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_hostile_03_a_full_or_failing_disk_stops_the_log_and_it_recovers_by_itself(
    embedded, faults, file, operation, error
):
    async with embedded.opened(SqliteLogStore(embedded.folder, ORIGIN, vfs="faulty")) as log:
        acknowledged = [await log.append(action()) for _ in range(5)]
        faults.failing[(file, operation)] = error
        with pytest.raises(LogUnavailable):
            await log.append(action())
        assert not log.healthy()
        assert log.failures == 1
        with pytest.raises(LogUnavailable):
            await log.append(action())
        faults.failing.clear()
        await until_healthy(log)
        acknowledged += [await log.append(action()) for _ in range(5)]
        assert faults.hits
    stored = dict(embedded.rows("SELECT idx, id FROM log_entry"))
    assert all(stored[committed.idx] == committed.id for committed in acknowledged)
    found = embedded.verify()
    assert (found.ok, found.size) == (True, len(stored))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_after_a_failed_flush_everything_is_written_and_flushed_again(embedded, faults):
    async with embedded.opened(SqliteLogStore(embedded.folder, ORIGIN, vfs="faulty")) as log:
        await log.append(action())
        faults.failing[("-wal", "sync")] = apsw.IOError
        with pytest.raises(LogUnavailable):
            await log.append(action())
        faults.failing.clear()
        await until_healthy(log)
        assert (embedded.folder / "log.db-wal").stat().st_size == 0
        assert verify_folder(embedded.folder).ok


async def test_hostile_05_a_removed_log_file_is_noticed_before_anything_is_acknowledged(embedded):
    async with embedded.opened(checkpoint_seconds=60) as log:
        await log.append(action())
        kept = embedded.folder / "kept"
        for name in ("log.db", "log.db-wal", "log.db-shm"):
            (embedded.folder / name).rename(f"{kept}-{name}")
        with pytest.raises(LogUnavailable, match="removed or replaced"):
            await log.append(action())
        assert not log.healthy()
        for name in ("log.db", "log.db-wal", "log.db-shm"):
            Path(f"{kept}-{name}").rename(embedded.folder / name)
        await until_healthy(log)
        assert (await log.append(action())).idx == 1


async def test_hostile_05_a_log_file_replaced_by_an_older_copy_is_never_written(embedded, tmp_path_factory):
    older = tmp_path_factory.mktemp("older")
    async with embedded.opened() as log:
        await log.append(action())
    shutil.copy(embedded.folder / "log.db", older)
    async with embedded.opened(checkpoint_seconds=60) as log:
        await log.append_many([action() for _ in range(10)])
        for name in ("log.db-wal", "log.db-shm"):
            (embedded.folder / name).unlink()
        (embedded.folder / "log.db").rename(older / "taken")
        shutil.copy(older / "log.db", embedded.folder)
        with pytest.raises(LogUnavailable):
            await log.append(action())
        async with asyncio.timeout(10):
            while "11 were acknowledged" not in (log.last_error() or ""):
                await asyncio.sleep(0.01)
        with pytest.raises(LogUnavailable):
            await log.append(action())
    assert embedded.rows("SELECT count(*) FROM log_entry") == [(1,)]


async def test_hostile_06_an_older_copy_put_back_while_stopped_is_refused(embedded, tmp_path_factory):
    older = tmp_path_factory.mktemp("older")
    async with embedded.opened() as log:
        await log.append(action())
    shutil.copy(embedded.folder / "log.db", older)
    async with embedded.opened() as log:
        await log.append_many([action() for _ in range(10)])
    shutil.copy(older / "log.db", embedded.folder)
    with pytest.raises(LogBroken, match="entries were lost or removed"):
        async with embedded.opened():
            pass
    (embedded.folder / "log.db").unlink()
    with pytest.raises(LogBroken, match="gone"):
        async with embedded.opened():
            pass


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}


async def test_a_copied_folder_verifies_with_and_without_wal_and_nothing_in_it_changes(embedded, tmp_path_factory):
    live, stopped = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("stopped")
    async with embedded.opened() as log:
        await log.append_many([action() for _ in range(700)])
        for name in ("log.checkpoint", "log.vkey", "log.db", "log.db-wal"):
            shutil.copy2(embedded.folder / name, live)
    for name in ("log.checkpoint", "log.vkey", "log.db"):
        shutil.copy2(embedded.folder / name, stopped)
    for folder in (live, stopped):
        folder.chmod(0o555)
        before = listing(folder)
        found = verify_folder(folder)
        assert (found.ok, found.size, found.reason) == (True, 700, None)
        assert listing(folder) == before
        folder.chmod(0o755)


async def test_a_damaged_database_file_is_a_finding(embedded):
    async with embedded.opened() as log:
        await log.append_many([action() for _ in range(700)])
    path = embedded.folder / "log.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(40_000))
    assert not verify_folder(embedded.folder).ok


CHILD = """
    import asyncio, sys
    from pathlib import Path
    from app.audit.entry.record import Entry, Gateway, Record, Subject, uuid7
    from app.audit.write.log import ExchangeLog
    from app.audit.store.sqlite import SqliteLogStore
    from app.telemetry import configure_command

    configure_command()  # stdout is for the word that the parent waits for

    async def main():
        folder = Path(sys.argv[1])
        gateway = Gateway("gw-1", "b")
        log = await ExchangeLog.open(
            SqliteLogStore(folder, sys.argv[2]), folder, origin=sys.argv[2], gateway=gateway, checkpoint_seconds=0.05
        )
        acknowledged = open(folder / "acknowledged", "ab", buffering=0)

        async def write(worker):
            while True:
                xid = uuid7()
                for kind in ("intent", "outcome"):
                    entry = Entry(xid=xid, kind=kind, gw=gateway, op="lookup", schemas=("wilayah",))
                    done = await log.append(Record(entry, {"worker": worker}, (Subject("nik", xid, "asked"),)))
                    acknowledged.write(f"{done.idx} {done.id}\\n".encode())

        await log.append(Record(Entry(xid=uuid7(), kind="intent", gw=gateway, op="lookup"), {"answered": "never"}))
        print("ready", flush=True)
        await asyncio.gather(*(write(worker) for worker in range(16)))

    asyncio.run(main())
"""


async def test_hostile_01_02_killed_at_any_moment_every_acknowledged_entry_is_there(embedded):
    root = Path(__file__).resolve().parents[3]
    for round_ in range(6):
        command = [sys.executable, "-c", textwrap.dedent(CHILD), str(embedded.folder), ORIGIN]
        child = programs.start(command, stdout=subprocess.PIPE, cwd=root)
        with child.stdout:
            assert child.stdout.readline() == b"ready\n"
            await asyncio.sleep(0.15 + 0.07 * round_)
            child.send_signal(signal.SIGKILL)
            assert child.wait(timeout=20) == -signal.SIGKILL
        acknowledged = [line.split() for line in (embedded.folder / "acknowledged").read_text("ascii").splitlines()]
        found = verify_folder(embedded.folder)
        assert found.ok, found.reason
        stored = {str(idx): identity for idx, identity in embedded.rows("SELECT idx, id FROM log_entry")}
        assert len(stored) == found.size
        assert [pair for pair in acknowledged if stored.get(pair[0]) != pair[1]] == []
    assert len(acknowledged) > 200
    async with embedded.opened():
        pass
    found = embedded.verify()
    assert (found.ok, found.open_intents) == (True, ())
    assert embedded.rows("SELECT count(*) FROM log_entry WHERE kind = 'aborted'")[0][0] >= 6
    assert (
        load_verifier(embedded.folder).open((embedded.folder / "log.checkpoint").read_text("utf-8")).size == found.size
    )
