"""Where work runs that a caller or a source can size: one thread of the process for all of it, beside the event loop.

Threads of Python share one interpreter. Several that compute keep the loop waiting for each of them, again and again: with five a
look-up took seconds. One, asked to step aside every half a millisecond, costs it a few.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

Result = TypeVar("Result")
Given = ParamSpec("Given")

SWITCH_SECONDS: Final = 0.00005
"""How long a thread computes before one that waits is let in (Python's own choice is ten times as long)."""

_executors: dict[tuple[int, str], ThreadPoolExecutor] = {}


def let_others_in() -> None:
    """Called once by a process that answers requests."""
    sys.setswitchinterval(SWITCH_SECONDS)


def bulk_executor() -> Executor:
    """The one thread of this process for bulk work (a forked process has its own)."""
    return _executor("bulk")


async def in_bulk(work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """The result of blocking work, which waits its turn behind other bulk work. Keep each piece short: a batch, not a file."""
    run = functools.partial(contextvars.copy_context().run, work, *given, **named)
    return await asyncio.get_running_loop().run_in_executor(bulk_executor(), run)


def in_writing(work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> asyncio.Future[Result]:
    """The result of writing some of an answer, behind other such work, beside bulk work: text, hashes, ciphers and files are made
    outside of the interpreter, so that the next batch can be mapped meanwhile. It is begun at once, whether it is awaited or not.
    """
    run = functools.partial(contextvars.copy_context().run, work, *given, **named)
    return asyncio.get_running_loop().run_in_executor(_executor("writing"), run)


def _executor(name: str) -> ThreadPoolExecutor:
    """The one thread of this process of that name (a forked process has its own)."""
    process = os.getpid()
    found = _executors.get((process, name))
    if found is None:
        for kept in [kept for kept in _executors if kept[0] != process]:
            del _executors[kept]
        found = _executors[process, name] = ThreadPoolExecutor(1, thread_name_prefix=name)
    return found
