"""Faults of the log on PostgreSQL: cut connections, a replica that stands still, an unsafe server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest

from app.audit.entry.record import Entry, Gateway, Record, uuid7
from app.audit.store.postgres import PostgresLogStore
from app.errors import LogError, LogOverloaded, LogUnavailable, StoreOutdated

GATEWAY = Gateway("gw-1", "simpul 0.1.0")
ORIGIN = "simpul.jepara.example/log"


def action() -> Record:
    return Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="connector.publish"), {"note": "x"})


async def until_healthy(log) -> None:
    async with asyncio.timeout(15):
        while not log.healthy():
            await asyncio.sleep(0.01)


def ignore_lost_connections(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """The driver leaves a future behind when a connection dies under a COPY; everything else stays an error."""
    if not isinstance(context.get("exception"), asyncpg.PostgresConnectionError):
        loop.default_exception_handler(context)
        pytest.fail(str(context["message"]))


class Proxy:
    """A TCP proxy that cuts a connection at a batch of entries: before the server sees it, or before its answer gets back."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._url = url
        self.cut: str | None = None
        self.cuts = 0
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = self._url.replace(f":{self._target[1]}/", f":{port}/")
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer) -> None:
        self._tasks.add(asyncio.current_task())
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        state = {"swallow": False}
        down = asyncio.create_task(self._down(up_reader, writer, state))
        try:
            while piece := await reader.read(65536):
                if b"simpul-log/1" in piece and self.cut is not None:
                    mode, self.cut = self.cut, None
                    self.cuts += 1
                    if mode == "before":
                        break
                    state["swallow"] = True
                up_writer.write(piece)
                await up_writer.drain()
                if state["swallow"]:
                    await asyncio.sleep(0.2)
                    break
        except ConnectionError:
            pass
        finally:
            down.cancel()
            writer.close()
            up_writer.close()

    @staticmethod
    async def _down(up_reader, writer, state) -> None:
        try:
            while piece := await up_reader.read(65536):
                if not state["swallow"]:
                    writer.write(piece)
                    await writer.drain()
            writer.close()
        except ConnectionError:
            pass


async def test_hostile_08_a_lost_answer_to_commit_is_resolved_by_looking_for_the_entry(postgres):
    async with (
        Proxy(postgres.url).running() as proxy,
        postgres.opened(PostgresLogStore(proxy.url, ORIGIN, "gw-1"), checkpoint_seconds=60) as log,
    ):
        await log.append(action())
        proxy.cut = "after"
        committed = await log.append_many([action() for _ in range(3)])
        assert proxy.cuts == 1
        assert [found.idx for found in committed] == [1, 2, 3]
        assert (await log.append(action())).idx == 4
    assert postgres.rows("SELECT idx, id FROM log_entry WHERE idx = 2") == [(2, committed[1].id)]
    assert postgres.verify().ok


async def test_hostile_08_a_commit_that_never_arrived_is_refused_and_leaves_nothing(postgres):
    async with (
        Proxy(postgres.url).running() as proxy,
        postgres.opened(PostgresLogStore(proxy.url, ORIGIN, "gw-1"), checkpoint_seconds=60) as log,
    ):
        await log.append(action())
        proxy.cut = "before"
        with pytest.raises(LogUnavailable):
            await log.append_many([action() for _ in range(3)])
        await until_healthy(log)
        assert (await log.append(action())).idx == 1
    assert postgres.verify().size == 2


async def test_hostile_10_connections_terminated_under_load_lose_nothing_that_was_acknowledged(postgres):
    acknowledged: dict[int, str] = {}
    refused = 0
    asyncio.get_running_loop().set_exception_handler(ignore_lost_connections)
    async with postgres.opened() as log:
        stop_at = time.monotonic() + 3

        async def write() -> None:
            nonlocal refused
            while time.monotonic() < stop_at:
                try:
                    found = await log.append(action())
                except (LogUnavailable, LogOverloaded):
                    refused += 1
                    await asyncio.sleep(0.01)
                else:
                    assert found.idx not in acknowledged
                    acknowledged[found.idx] = found.id

        async def cut() -> None:
            while time.monotonic() < stop_at - 0.5:
                await asyncio.sleep(0.15)
                await asyncio.to_thread(
                    postgres.rows,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'simpul-log-writer' AND datname = current_database()",
                )

        await asyncio.gather(cut(), *(write() for _ in range(16)))
        await until_healthy(log)
        await log.append(action())
    stored = dict(postgres.rows("SELECT idx, id FROM log_entry"))
    assert refused
    assert len(acknowledged) > 100
    assert [idx for idx, identity in acknowledged.items() if stored.get(idx) != identity] == []
    found = postgres.verify()
    assert (found.ok, found.size) == (True, len(stored))


async def test_hostile_09_a_replica_that_stands_still_with_the_head_delays_others_at_most_three_seconds(postgres):
    async with postgres.opened(checkpoint_seconds=60) as log:
        await log.append(action())
        with psycopg.connect(postgres.url) as stuck:
            stuck.execute("SELECT size FROM log_head FOR UPDATE")
            began = time.monotonic()
            with pytest.raises(LogUnavailable):
                await log.append(action())
            assert time.monotonic() - began < 3
        await until_healthy(log)
        assert (await log.append(action())).idx == 1


@pytest.mark.parametrize("name", ["synchronous_commit"])
async def test_hostile_11_a_server_that_may_lose_commits_is_refused(postgres, name):
    database = urlsplit(postgres.url).path[1:]
    postgres.rows(f'ALTER DATABASE "{database}" SET {name} = off')
    with pytest.raises(LogUnavailable, match=f"{name} = off"):
        async with postgres.opened():
            pass


async def test_a_database_without_tables_names_the_command(postgres_url, tmp_path):
    store = PostgresLogStore(postgres_url, ORIGIN, "gw-1")
    with pytest.raises(StoreOutdated, match="simpul db upgrade"):
        await store.open(create=True)
    await store.close()


async def test_an_unreachable_server_is_unavailable():
    store = PostgresLogStore("postgresql://simpul@127.0.0.1:1/none", ORIGIN, "gw-1")
    with pytest.raises(LogUnavailable):
        await store.open(create=True)
    await store.close()


async def test_a_driver_suffix_in_the_address_is_understood(postgres):
    url = postgres.url.replace("postgresql://", "postgresql+psycopg://")
    async with postgres.opened(PostgresLogStore(url, ORIGIN, "gw-1")) as log:
        assert (await log.append(action())).idx == 0


async def test_errors_never_carry_values_of_the_address():
    store = PostgresLogStore("postgresql://simpul:rahasia-sekali@127.0.0.1:1/none", ORIGIN, "gw-1")
    with pytest.raises(LogError) as caught:
        await store.open(create=True)
    assert "rahasia" not in f"{caught.value} {caught.value.detail} {caught.value.facts}"
