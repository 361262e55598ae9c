"""The processes that read files of agencies: parsers and SQLite see no environment, no key, no socket of the gateway.

One process that has everything loaded forks a worker for each job that `isolation.py` sends; a worker serves one source, under limits.
"""

from __future__ import annotations

import importlib
import os
import pickle
import resource
import select
import socket
from collections.abc import Iterator
from typing import IO, Any, Final

from app.connectors.isolation.wire import FRAME, faulted, packed
from app.errors import SimpulError, SourceFailed, SourceTooLarge
from app.nursery import fork_for_each

IDLE_SECONDS: Final = 60.0
_PAGE_BYTES = resource.getpagesize()


def main(*modules: str) -> None:
    """Forks a worker for each socket that arrives; ends when the gateway does. `modules`: what workers need, loaded once for all."""
    for module in modules:
        importlib.import_module(module)
    fork_for_each(_serve)


def _serve(talk: socket.socket) -> None:
    """A worker: the object of one source, whose methods are called one after the other."""
    with talk.makefile("rb", buffering=0) as source, talk.makefile("wb") as sink:
        served, memory_bytes = _job(source)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = _mapped() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        while select.select([source], [], [], IDLE_SECONDS)[0]:
            method, given = _job(source)
            _answer(sink, getattr(served, method), given)


def _answer(sink: IO[bytes], method: Any, given: tuple[Any, ...]) -> None:
    try:
        found = method(*given)
        if isinstance(found, Iterator):
            for item in found:
                _give(sink, item)
        else:
            _give(sink, found)
    except SimpulError as error:
        _send(sink, b"X", faulted(error))
    except MemoryError:
        _send(
            sink, b"X", faulted(SourceTooLarge("the source needs more memory than the limits allow", field="/source"))
        )
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - nothing of a parser's text goes out: it may quote values
        _send(
            sink, b"X", faulted(SourceFailed(f"the source could not be read ({type(error).__name__})", field="/source"))
        )
    _send(sink, b"E", b"")


def _job(source: socket.SocketIO) -> Any:
    """One pickled object from the gateway, which is the one that is trusted here."""
    head = _exactly(source, FRAME.size)
    return pickle.loads(_exactly(source, FRAME.unpack(head)[1]))  # noqa: S301 - from the gateway, never from a file


def _exactly(source: socket.SocketIO, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = source.read(size - len(parts))
        if not part:
            os._exit(0)
        parts += part
    return bytes(parts)


def _give(sink: IO[bytes], item: Any) -> None:
    beside: list[pickle.PickleBuffer] = []
    body = packed(item, beside.append)
    for part in beside:
        _send(sink, b"B", part.raw())
    _send(sink, b"I", body)


def _send(sink: IO[bytes], kind: bytes, body: bytes | memoryview) -> None:
    sink.write(FRAME.pack(kind, len(body)))
    sink.write(body)
    sink.flush()


def _mapped() -> int:
    """Bytes of address space that are mapped now."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path object is needed
        return int(file.read().split()[0]) * _PAGE_BYTES
