"""In which form a finished answer is sent: its entity tag, 304 where the caller has it, a part of it, a content coding.

Does not live here: which media type (`formats.py`); conditions on changes (`app/conditions.py`).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]

from app.api.layer.formats import quality
from app.conditions import CODINGS, names, tag_of_bytes
from app.errors import PreconditionFailed, RequestError
from app.lanes import in_bulk

Header = tuple[bytes, bytes]

_LEAST_BYTES: Final = 1024
"""Below it the answer fits one packet anyhow."""
_INLINE_BYTES: Final = 65_536
_GZIP = (6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
_BROTLI_QUALITY = 4
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})-(\d{0,18})\s*")
_OF_CONTENT = frozenset({b"content-type", b"content-length", b"content-disposition", b"content-encoding"})


class RangeNotSatisfiable(RequestError):
    """A part behind the end of the answer."""

    code = "range_not_satisfiable"


class _Coder(Protocol):
    def part(self, data: bytes) -> bytes:
        """What is ready of the coded form after this part."""

    def rest(self) -> bytes:
        """What is left of it."""


class _Gzip:
    def __init__(self) -> None:
        level, method, bits = _GZIP
        self._coder = zlib.compressobj(level, method, bits)

    def part(self, data: bytes) -> bytes:
        return self._coder.compress(data)

    def rest(self) -> bytes:
        return self._coder.flush()


class _Brotli:
    def __init__(self) -> None:
        self._coder = brotli.Compressor(quality=_BROTLI_QUALITY)

    def part(self, data: bytes) -> bytes:
        found: bytes = self._coder.process(data)
        return found

    def rest(self) -> bytes:
        found: bytes = self._coder.finish()
        return found


_CODERS: dict[str, type[_Coder]] = {"gzip": _Gzip, "br": _Brotli}


def unchanged(asked: Mapping[bytes, bytes], tag: str) -> bool:
    """Whether `If-None-Match` of a read names the tag: 304. Raises `PreconditionFailed` where `If-Match` does not."""
    held, wanted = asked.get(b"if-none-match"), asked.get(b"if-match")
    if wanted is not None and not names(wanted.decode("latin-1"), tag):
        raise PreconditionFailed("what stands there is not what If-Match names; read it without", etag=tag)
    return held is not None and names(held.decode("latin-1"), tag, weak=True)


def coding_of(accepted: bytes | None, headers: Iterable[Header], size: int) -> str | None:
    """The coding that `Accept-Encoding` (RFC 9110, section 12.5.3) rates highest, for texts that gain by it; `br` among equals."""
    if accepted is None or size < _LEAST_BYTES or not _textual(headers):
        return None
    rated: dict[str, float] = {}
    for part in accepted.decode("latin-1").split(","):
        name, *parameters = [word.strip().lower() for word in part.split(";")]
        rated[{"x-gzip": "gzip"}.get(name, name)] = quality(parameters)
    others = rated.get("*", 0.0)
    best = max(reversed(CODINGS), key=lambda coding: rated.get(coding, others))
    return best if rated.get(best, others) > 0 else None


def _textual(headers: Iterable[Header]) -> bool:
    """Whether the media type is a text; `application/octet-stream`, archives and columns have a form of their own."""
    for name, value in headers:
        if name.lower() == b"content-encoding":
            return False
        if name.lower() == b"content-type":
            media = value.partition(b";")[0].strip().lower()
            texts = (b"json", b"xml", b"yaml", b"javascript")
            return media.startswith(b"text/") or media.endswith(texts)
    return False


def coded(coding: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks in this coding."""
    coder = _CODERS[coding]()
    for chunk in chunks:
        ready = coder.part(chunk)
        if ready:
            yield ready
    yield coder.rest()


def retagged(headers: Iterable[Header], coding: str) -> list[Header]:
    """The headers of an answer that is sent in this coding: another form has another strong tag (RFC 9110, section 8.8.3.3)."""
    mark = f"-{coding}".encode()
    kept = [
        (name, value[:-1] + mark + b'"' if name.lower() == b"etag" and value.endswith(b'"') else value)
        for name, value in headers
    ]
    return [*kept, (b"content-encoding", coding.encode())]


def varied(headers: Iterable[Header]) -> list[Header]:
    """The headers with `Accept-Encoding` in `Vary`, where the form could be another one."""
    found = list(headers)
    if not _textual(found):
        return found
    vary = b", ".join(value for name, value in found if name.lower() == b"vary")
    kept = [(name, value) for name, value in found if name.lower() != b"vary"]
    return [*kept, (b"vary", b"Accept-Encoding" + (b", " + vary if vary else b""))]


def header_of(headers: Iterable[Header], name: bytes) -> bytes | None:
    """The header of an answer, None where it has none."""
    return next((value for found, value in headers if found.lower() == name), None)


def without_content(headers: Iterable[Header]) -> list[Header]:
    """The headers that a 304 keeps."""
    return [(name, value) for name, value in headers if name.lower() not in _OF_CONTENT]


def part_of(asked: Mapping[bytes, bytes], tag: str, size: int) -> tuple[int, int] | None:
    """First byte and end of the one part that `Range` names (RFC 9110, section 14.2), None for the whole.

    Several parts, other units and an `If-Range` that names another state are answered whole, as the RFC lets a server do.
    Raises `RangeNotSatisfiable`.
    """
    wanted, state = asked.get(b"range"), asked.get(b"if-range")
    found = _RANGE.fullmatch(wanted.decode("latin-1")) if wanted is not None else None
    if found is None or (state is not None and state.decode("latin-1").strip() != tag):
        return None
    first, last = found.groups()
    if first == last == "" or (first and last and int(last) < int(first)):
        return None
    start = int(first) if first else max(size - int(last), 0)
    stop = size if not first or not last else min(int(last) + 1, size)
    if start >= size or (not first and int(last) == 0):
        raise RangeNotSatisfiable(f"the result has {size} bytes; ask for a part within them", size_bytes=size)
    return start, stop


async def represented(
    asked: Mapping[bytes, bytes], method: str, status: int, headers: list[Header], body: bytes
) -> tuple[int, list[Header], bytes]:
    """An answer in memory as it is sent: status, headers and bytes. Raises `PreconditionFailed`."""
    headers = varied(headers)
    if method == "GET" and status == 200:
        tag = header_of(headers, b"etag")
        if tag is None:
            tag = tag_of_bytes(body).encode()
            headers.append((b"etag", tag))
        if unchanged(asked, tag.decode()):
            return 304, without_content(headers), b""
    coding = coding_of(asked.get(b"accept-encoding"), headers, len(body))
    if coding is not None:
        work = b"".join
        body = (
            work(coded(coding, (body,)))
            if len(body) <= _INLINE_BYTES
            else await in_bulk(lambda: work(coded(coding, (body,))))
        )
        headers = [(name, value) for name, value in retagged(headers, coding) if name.lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
    return status, headers, body
