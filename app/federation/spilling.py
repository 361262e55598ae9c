"""An engine that computes over more records than memory holds: bounded memory, the rest encrypted in a folder of its own.

It works in a thread of its own, one piece of work after the other, so that the loop and the bulk thread go on beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import duckdb

from app.children import passing_folder
from app.errors import AnswerTooLarge

Given = ParamSpec("Given")
Result = TypeVar("Result")

_MEMORY = "128MB"
SPILL_BYTES = 4 << 30
"""Most bytes that one computation may stand on disk with."""


class SpillingEngine:
    """One connection and its thread."""

    def __init__(self, folder: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spilling")
        self._engine = duckdb.connect(":memory:", config={"threads": 2, "memory_limit": _MEMORY})
        self._engine.execute("SET temp_file_encryption = true")
        self._engine.execute("SET temp_directory = '" + str(folder).replace("'", "''") + "'")
        self._engine.execute(f"SET max_temp_directory_size = '{SPILL_BYTES}B'")
        self._engine.execute("SET TimeZone = 'UTC'")

    async def run(
        self,
        work: Callable[Concatenate[duckdb.DuckDBPyConnection, Given], Result],
        *given: Given.args,
        **named: Given.kwargs,
    ) -> Result:
        """The result of `work`, which is given the connection. `AnswerTooLarge` where the room on disk does not do."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: work(self._engine, *given, **named))
        except duckdb.OutOfMemoryException:
            detail = f"more than {SPILL_BYTES} bytes would have to stand on disk; narrow the filter or name agencies"
            raise AnswerTooLarge(detail, limit_bytes=SPILL_BYTES) from None

    async def close(self) -> None:
        """Stops what is under way and waits for its end."""
        self._engine.interrupt()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.close)
        self._thread.shutdown(wait=False)


@asynccontextmanager
async def spilling_engine(root: Path) -> AsyncGenerator[SpillingEngine]:
    """An engine for one answer. What it spills stands below `root` and is gone afterwards."""
    with passing_folder(root, "sort") as folder:
        engine = await asyncio.to_thread(SpillingEngine, folder)
        try:
            yield engine
        finally:
            await engine.close()
