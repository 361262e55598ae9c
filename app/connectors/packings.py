"""Content codings of what a source answers: which are taken, and taking them off in bounded parts."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator, Sequence

import aiohttp

from app.errors import SourceFormatError, SourceTooLarge

_CHUNK_BYTES = 16_384
_MOST_PACKINGS = 3
_PACKINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


class Gunzip:
    """Unpacks what gzip packed, chunk by chunk; a stream that has no end shows."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(31)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether what came so far is whole: its checksum and length have come and are right."""
        return not self._begun or self._stream.eof

    def parts(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk unpacks to, in bounded parts. Raises `SourceFormatError`."""
        while chunk:
            if self._stream.eof:  # several streams one after the other are one file (RFC 1952, 2.2)
                self._stream = zlib.decompressobj(31)
            self._begun = True
            try:
                yield self._stream.decompress(chunk, _CHUNK_BYTES)
            except zlib.error:
                raise SourceFormatError("the answer cannot be unpacked", field="/source/url") from None
            chunk = self._stream.unconsumed_tail or self._stream.unused_data


class Inflate:
    """Unpacks what is called deflate: with the frame of zlib, as RFC 9110 has it, or without, as some servers send it."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()
        self._begun = False

    def parts(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk unpacks to, in bounded parts. Raises `SourceFormatError`."""
        while chunk and not self._stream.eof:
            try:
                part = self._stream.decompress(chunk, _CHUNK_BYTES)
            except zlib.error:
                if self._begun:
                    raise SourceFormatError("the answer cannot be unpacked", field="/source/url") from None
                self._stream, self._begun = zlib.decompressobj(-zlib.MAX_WBITS), True
                continue
            self._begun, chunk = True, self._stream.unconsumed_tail
            yield part


async def unpacked(sent: aiohttp.StreamReader, packed: str, most: int) -> AsyncIterator[bytes]:
    """The body in bounded parts, each packing taken off in turn; what comes of any of them may be no longer than `most`.

    A library's decoder gives all that a chunk holds at once: of what is packed twice that is a million times as much.
    """
    words = [word.strip() for word in packed.split(",")]
    stages = [Gunzip() if word == "gzip" else Inflate() for word in reversed(words) if word not in {"", "identity"}]
    sizes = [0] * len(stages)

    def through(stage: int, chunk: bytes) -> Iterator[bytes]:
        if stage == len(stages):
            yield chunk
            return
        for part in stages[stage].parts(chunk):
            sizes[stage] += len(part)
            if sizes[stage] > most:
                raise SourceTooLarge("the answer is larger than the limit", limit_bytes=most)
            yield from through(stage + 1, part)

    async for chunk in sent.iter_chunked(_CHUNK_BYTES):
        for part in through(0, chunk):
            yield part


def packed_as_asked(stated: Sequence[str]) -> str:
    """How the body is packed, "" where it is not. Refuses a way that was not asked for: unpacked by nobody, it would be broken text."""
    if not stated:
        return ""
    packed = [word.strip().lower() for word in ",".join(stated).split(",")]
    strange = [word for word in packed if word not in _PACKINGS]
    if len(packed) > _MOST_PACKINGS:
        raise SourceFormatError(
            f"the source packed its answer {len(packed)} times; at most {_MOST_PACKINGS} are taken off",
            field="/source/url",
            rule="content_encoding",
        )
    if strange:
        known = ", ".join(sorted(_PACKINGS - {""}))
        raise SourceFormatError(
            f"the source packed its answer as {strange[0][:40]!r}, which was not asked for; it may use {known}",
            field="/source/url",
            rule="content_encoding",
        )
    return ", ".join(word.removeprefix("x-") for word in packed)
