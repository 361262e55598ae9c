"""Workers of statements are started ahead and used once."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest

from app.federation.sql.ahead import WorkersAhead
from app.federation.sql.engine import SqlWorker


@pytest.fixture
async def ahead(tmp_path: Path) -> AsyncIterator[WorkersAhead]:
    found = WorkersAhead(tmp_path, 1)
    yield found
    await found.close()
    assert not folders(tmp_path)


def folders(root: Path) -> list[Path]:
    return list(root.iterdir())


async def counted(ahead: WorkersAhead, rows: int) -> int:
    async with SqlWorker(ahead) as worker:
        await worker.add("t", pa.RecordBatch.from_pydict({"a": ["x"] * rows}))
        batches = [batch async for batch in worker.run("SELECT count(*) AS n FROM t", [], rows=10)]
    return int(batches[0].column("n")[0].as_py())


async def filled(ahead: WorkersAhead) -> None:
    ends = asyncio.get_running_loop().time() + 30
    while not ahead._waiting:
        assert asyncio.get_running_loop().time() < ends
        await asyncio.sleep(0.01)


async def test_no_worker_waits_before_the_first_statement_and_one_behind_it(ahead: WorkersAhead) -> None:
    assert not ahead._waiting

    assert await counted(ahead, 3) == 3

    await filled(ahead)
    assert ahead._waiting[0].lives


async def test_each_serves_one_statement(ahead: WorkersAhead) -> None:
    used = []
    for rows in (1, 2, 3):
        assert await counted(ahead, rows) == rows  # no row of the one before is there
        await filled(ahead)
        used.append(ahead._waiting[0].folder)

    assert len(set(used)) == 3


async def test_one_that_died_while_it_waited_is_not_given_to_a_statement(ahead: WorkersAhead) -> None:
    await counted(ahead, 1)
    await filled(ahead)
    waiting = ahead._waiting[0]
    waiting.kill()
    select.select([waiting.process], [], [])

    assert await counted(ahead, 2) == 2

    assert not waiting.folder.exists()


async def test_one_whose_statement_was_given_up_while_it_started_is_kept(ahead: WorkersAhead) -> None:
    taking = asyncio.ensure_future(ahead.take())
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking

    await filled(ahead)
    assert await counted(ahead, 2) == 2


async def test_one_that_still_starts_at_the_end_is_ended(tmp_path: Path) -> None:
    found = WorkersAhead(tmp_path, 1)
    taking = asyncio.ensure_future(found.take())
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking

    await found.close()

    assert not folders(tmp_path)


async def test_one_that_nobody_holds_any_more_ends(ahead: WorkersAhead) -> None:
    """As when the gateway is killed: its end of the socket goes."""
    started = await ahead.take()
    watched = os.dup(started.process)
    started.talk.close()

    ended, _, _ = await asyncio.to_thread(select.select, [watched], [], [], 20)
    os.close(watched)
    await ahead.end(started)

    assert ended


async def test_those_that_wait_and_those_that_work_are_never_more_than_the_most(tmp_path: Path) -> None:
    found = WorkersAhead(tmp_path, 3)
    for _ in range(3):
        await asyncio.gather(*[counted(found, rows) for rows in (1, 2, 3)])
    await asyncio.sleep(0.3)
    waiting = len(folders(tmp_path))
    first, second = await found.take(), await found.take()
    third = await found.take()
    working = len(folders(tmp_path))
    for used in (first, second, third):
        used.talk.close()
        await found.end(used)
    await found.close()

    assert (waiting, working, folders(tmp_path)) == (2, 3, [])
