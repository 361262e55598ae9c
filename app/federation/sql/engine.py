"""The gateway's side of the worker: one process a statement, killed with it. Limits of memory, time, rows and temporary space."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa

from app.federation.sql.ahead import MEMORY_BYTES, TEMP_BYTES, Started, WorkersAhead
from app.federation.sql.refusals import SqlFailed, SqlMemoryExceeded, SqlTimeExceeded, SqlValueNotFinite
from app.federation.sql.worker import FRAME
from app.lanes import in_writing
from app.nursery import NurseryDied

SECONDS: Final = 30.0
MOST_ROWS: Final = 100_000
_PIPE_BYTES: Final = 1 << 20


@dataclass(slots=True)
class SqlResult:
    """What a statement gave so far: types of its columns, and whether there was more than asked for."""

    types: Sequence[str] = ()
    more: bool = False


class SqlWorker:
    """A worker process for one statement. Leaving the context kills it, whatever it does, and removes what it spilled."""

    def __init__(self, ahead: WorkersAhead) -> None:
        self.result = SqlResult()
        self._ahead = ahead
        self._started: Started | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        try:
            self._started = await self._ahead.take()
        except NurseryDied:
            raise SqlFailed("no process could be started for the statement; try again") from None
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(sock=self._started.talk, limit=_PIPE_BYTES)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        started, self._started = self._started, None
        if started is None:
            return
        started.kill()
        if self._writer is not None:
            self._writer.close()
        await asyncio.shield(self._ahead.end(started))

    async def add(self, table: str, batch: pa.RecordBatch) -> None:
        """Gives rows of a table. A table is made by its first batch, which may be empty."""
        name = table.encode()
        body = await in_writing(_stream, batch)
        await self._send(b"B", bytes([len(name)]) + name + body)

    async def shared(self, text: str, parameters: Sequence[Any], *, seconds: float = SECONDS) -> tuple[int, list[str]]:
        """The answer to a check for keys of several agencies: how many there are, and whose. Raises as `run` does."""
        await self._send(b"C", json.dumps({"sql": text, "parameters": list(parameters)}).encode())
        kind, body = await self._answered(asyncio.get_running_loop().time() + seconds, seconds)
        if kind != b"C":
            raise self._fault(body)
        found = json.loads(body)
        return found["keys"], found["agencies"]

    async def run(
        self, text: str, parameters: Sequence[Any], *, rows: int, seconds: float = SECONDS
    ) -> AsyncGenerator[pa.RecordBatch]:
        """The answer's batches. Raises `SqlTimeExceeded`, `SqlMemoryExceeded`, `SqlValueNotFinite`, `SqlFailed`."""
        question = {"sql": text, "parameters": list(parameters), "rows": rows}
        ends = asyncio.get_running_loop().time() + seconds
        await self._send(b"Q", json.dumps(question).encode())
        while True:
            kind, body = await self._answered(ends, seconds)
            match kind:
                case b"T":
                    self.result.types = json.loads(body)
                case b"R":
                    for batch in pa.ipc.open_stream(body):
                        yield batch
                case b"D":
                    self.result.more = json.loads(body)["more"]
                    return
                case _:
                    raise self._fault(body)

    async def _answered(self, ends: float, seconds: float) -> tuple[bytes, bytes]:
        try:
            async with asyncio.timeout_at(ends):
                return await self._receive()
        except TimeoutError:
            raise SqlTimeExceeded(f"the statement ran longer than {seconds:g} s", limit_seconds=seconds) from None

    def _fault(self, body: bytes) -> Exception:
        fault = json.loads(body) if body else {"kind": "memory", "detail": "the process ended"}
        if fault["kind"] == "memory":
            detail = f"the statement needs more than {MEMORY_BYTES >> 20} MiB of memory and {TEMP_BYTES >> 30} GiB of temporary space"
            return SqlMemoryExceeded(detail, limit_bytes=MEMORY_BYTES)
        if fault["kind"] == "zero":
            return SqlValueNotFinite("// or % divides by zero; write x // nullif(y, 0), or filter the rows before")
        if fault["kind"] == "not_whole":
            return SqlFailed(
                "// takes whole numbers; write floor(x / y), or (x - x % y) / y, which no digit of a decimal leaves"
            )
        return SqlFailed(f"the engine stopped: {fault['detail']}; look at types, conversions and divisions")

    async def _send(self, kind: bytes, body: bytes) -> None:
        writer = self._writer
        if writer is None:
            return
        try:
            writer.write(FRAME.pack(kind, len(body)))
            writer.write(body)
            await writer.drain()
        except OSError:
            raise self._fault(b"") from None

    async def _receive(self) -> tuple[bytes, bytes]:
        reader = self._reader
        if reader is None:
            return b"", b""
        try:
            kind, size = FRAME.unpack(await reader.readexactly(FRAME.size))
            return kind, await reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            return b"", b""


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())
