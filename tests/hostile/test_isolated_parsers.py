"""Files of agencies are parsed in processes that hold nothing of the gateway, with limits; what goes wrong there stays there."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import jiter
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.connectors.isolation.calls import NURSERY, Isolated
from app.connectors.isolation.wire import packed, unpacked
from app.errors import SourceFailed, SourceTimeout, SourceTooLarge
from tests.support.isolated_probe import Probe
from tests.support.reading import dataset, read


@pytest.fixture
async def probe() -> AsyncIterator[Isolated]:
    made = Isolated(Probe(), name="probe", memory_bytes=256 << 20, count=2)
    yield made
    made.close()


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(process: int) -> bool:
    for _ in range(200):
        if not lives(process):
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.anyio
async def test_a_worker_sees_no_environment_and_no_open_file(
    probe: Isolated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMPUL_SECRET_KEY", "canary")
    with (tmp_path / "log.db").open("wb"):
        names = await probe.call("environment")
        files = await probe.call("open_files")
    assert set(names) <= {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "ARROW_DEFAULT_MEMORY_POOL"}
    assert not [name for name in files if "log.db" in name]
    assert len([name for name in files if "socket" in name]) == 1  # the one that it talks through


@pytest.mark.anyio
async def test_hostile_48_memory_and_time_of_a_worker_end(probe: Isolated) -> None:
    first = await probe.call("pid")
    with pytest.raises((SourceTooLarge, SourceFailed)):
        await probe.call("hog", 1 << 30)
    second = await probe.call("pid")
    with pytest.raises(SourceTimeout):
        await probe.call("sleep", 30.0, deadline=time.monotonic() + 0.3)
    assert await gone(second)
    assert await probe.call("pid") not in {first, second, os.getpid()}


@pytest.mark.anyio
async def test_a_worker_that_dies_takes_nobody_with_it(probe: Isolated) -> None:
    with pytest.raises(SourceFailed, match="ended"):
        await probe.call("die")
    assert await probe.call("count", 1) == 0
    idle = await probe.call("pid")
    os.kill(idle, signal.SIGKILL)
    assert await gone(idle)
    assert await probe.call("pid") != idle  # one that was idle and has ended is replaced


@pytest.mark.anyio
async def test_only_values_come_back(probe: Isolated) -> None:
    with pytest.raises(SourceFailed, match="no valid answer"):
        await probe.call("foreign")
    with pytest.raises(SourceFailed) as caught:
        await probe.call("fail")
    assert "3320" not in caught.value.detail


BATCHES = {
    "buffers": pa.record_batch({"a": ["a", "b"], "n": [1, None]}),
    "a stream": pa.record_batch({"a": ["a", "b"], "n": pa.array(["x", "y"]).dictionary_encode()}),
    "a slice": pa.record_batch({"a": ["z", "a", "b"]}).slice(1),
}


@pytest.mark.parametrize("last", [1 << 20, -1, 0])
@pytest.mark.parametrize("form", BATCHES)
def test_columns_that_reach_outside_of_themselves_are_no_answer(form: str, last: int) -> None:
    """A parser that was taken over may say that a text ends where it does not: whoever read it would read the gateway's memory."""
    beside: list[pickle.PickleBuffer] = []
    body = packed(BATCHES[form], beside.append)
    parts = [part.raw().tobytes() for part in beside]
    assert unpacked(body, parts).equals(BATCHES[form])

    ends, forged_ends = struct.pack("<3i", 0, 1, 2), struct.pack("<3i", 0, 1, last)
    at = next(number for number, part in enumerate(parts) if ends in part)
    forged = [*parts[:at], parts[at].replace(ends, forged_ends, 1), *parts[at + 1 :]]
    with pytest.raises(SourceFailed, match="no valid answer"):
        unpacked(body, forged)


def test_a_part_of_a_large_column_is_sent_without_the_rest() -> None:
    beside: list[pickle.PickleBuffer] = []
    body = packed(pa.record_batch({"a": ["x" * 100] * 10_000}).slice(0, 5), beside.append)
    assert sum(len(part.raw()) for part in beside) < 5_000
    assert unpacked(body, [part.raw().tobytes() for part in beside]).num_rows == 5


def test_a_column_that_is_shorter_than_its_rows_is_no_answer() -> None:
    beside: list[pickle.PickleBuffer] = []
    body = packed(pa.record_batch({"n": list(range(1000))}), beside.append)
    (numbers,) = (part.raw().tobytes() for part in beside)
    assert unpacked(body, [numbers]).num_rows == 1000
    for short in (numbers[:100], b""):
        with pytest.raises(SourceFailed, match="no valid answer"):
            unpacked(body, [short])


@pytest.mark.anyio
async def test_leaving_in_the_middle_ends_the_worker(probe: Isolated) -> None:
    before = await probe.call("pid")
    items = probe.stream("count", 10_000_000)
    async with aclosing(items):  # type: ignore[type-var]
        async for item in items:
            assert item == 0
            break
    assert await gone(before)


@pytest.mark.anyio
async def test_the_nursery_starts_again(probe: Isolated) -> None:
    await probe.call("pid")
    process = NURSERY._process
    assert process is not None
    process.kill()
    process.wait()
    probe.close()
    fresh = Isolated(Probe(), name="probe", memory_bytes=256 << 20, count=1)
    assert await fresh.call("count", 1) == 0
    fresh.close()


def test_workers_end_with_a_killed_gateway() -> None:
    program = (
        "import asyncio, time\n"
        "from app.connectors.isolation.calls import NURSERY, Isolated\n"
        "from tests.support.isolated_probe import Probe\n"
        "probe = Isolated(Probe(), name='p', memory_bytes=1 << 28, count=2)\n"
        "async def main():\n"
        "    print(await probe.call('pid'), NURSERY.pid, flush=True)\n"
        "    await probe.call('sleep', 60.0)\n"
        "asyncio.run(main())\n"
    )
    here = Path(__file__).parents[2]  # named, since installed packages may bring a package called tests of their own
    environment = {**os.environ, "PYTHONPATH": str(here)}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=here, env=environment)
    assert process.stdout is not None
    found = [int(word) for word in process.stdout.readline().split()]
    assert len(found) == 2
    process.kill()
    process.wait()
    process.stdout.close()
    assert all(asyncio.run(gone(child)) for child in found)


@pytest.mark.anyio
async def test_sqlite_and_parquet_are_read_in_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE faskes (kode TEXT PRIMARY KEY NOT NULL, nama TEXT)")
        database.execute("INSERT INTO faskes VALUES ('F1', 'Satu')")
    database.close()
    pq.write_table(pa.table({"kode": ["F1"], "nama": ["Satu"]}), tmp_path / "a.parquet")
    rows = [{"kode": "F1", "nama": "Satu", "catatan": "x" * 1_200_000}]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("in the process of the gateway")

    for module, name in ((sqlite3, "connect"), (pq, "ParquetFile"), (jiter, "from_json")):
        monkeypatch.setattr(module, name, refuse)
    fields = {"kode_faskes": "kode", "nama": "nama"}
    for source in (
        {"kind": "sql", "url": "sqlite:a.db", "table": "faskes"},
        {"kind": "file", "location": "a.parquet"},
        {"kind": "file", "location": "a.json"},
    ):
        opened = dataset(tmp_path, "fasilitas_kesehatan@1", source, fields)
        assert [record.key for record in (await read(opened)).records] == ["F1"], source
