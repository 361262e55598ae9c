"""The lines of a text file, as UTF-8, one by one or many at once. Both ways go through the same bytes and count the same lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from app.errors import SourceFormatError

READ_BYTES = 1 << 20
_LINE_BYTES = 1 << 16
"""Of the line in the middle of which a read ended: so much more is read for its end."""
_UTF8 = frozenset({"utf-8", "utf8", "utf-8-sig"})


class Lines(Iterator[str]):
    """Lines end with LF, CR LF or a lone CR, as a table's reader has them.

    Bytes that are not in the encoding end the read with `SourceFormatError`, which tells their line.
    """

    def __init__(self, file: BinaryIO, encoding: str, location: str) -> None:
        plain = encoding.lower().replace("_", "-") in _UTF8
        self._decoder = None if plain else codecs.getincrementaldecoder(encoding)()
        self._file = file
        self._location = location
        self._bytes = b""
        self._at = 0
        self._ended = False
        self.number = 0
        """How many lines were taken."""
        self.offset = 0
        """How many bytes were taken."""
        if plain:
            self._fill(READ_BYTES)
            self._bytes = self._bytes.removeprefix(codecs.BOM_UTF8)

    def __next__(self) -> str:
        end = self._end_of_line()
        line = self._bytes[self._at : end]
        if not line:
            raise StopIteration
        self.take(len(line), 1)
        try:
            return line.decode()
        except UnicodeDecodeError:
            raise self._wrong(self.number) from None

    def block(self, size: int) -> bytes:
        """The next lines, about so many bytes, up to a line feed or to the end of the file; they are not taken yet.

        A line longer than that is given as far as it was read, without its end.
        """
        while (have := len(self._bytes) - self._at) < size and not self._ended:
            self._fill(max(size - have, READ_BYTES))
        if have <= size + _LINE_BYTES and (self._bytes.endswith(b"\n") or (self._ended and have <= size)):
            return self._bytes[self._at :]
        end = self._bytes.rfind(b"\n", self._at, self._at + size)
        return self._bytes[self._at : end + 1 if end >= 0 else self._at + size]

    def whole(self, block: bytes) -> bool:
        """Whether the last line of the block stands in it to its end."""
        return block.endswith(b"\n") or (self._ended and len(self._bytes) - self._at == len(block))

    def take(self, size: int, lines: int) -> None:
        """Goes on behind so many bytes, which are so many lines."""
        self._at += size
        self.offset += size
        self.number += lines

    def _end_of_line(self) -> int:
        searched = self._at
        while True:
            feed = self._bytes.find(b"\n", searched)
            stop = feed if feed >= 0 else len(self._bytes)
            carriage = self._bytes.find(b"\r", searched, stop)
            if carriage >= 0 and (carriage + 1 < len(self._bytes) or self._ended):
                return carriage + 2 if carriage + 1 == feed else carriage + 1
            if feed >= 0:
                return feed + 1
            if self._ended:
                return len(self._bytes)
            searched = max(0, len(self._bytes) - 1 - self._at)  # what is behind was searched already
            self._fill(READ_BYTES)

    def _fill(self, size: int) -> None:
        """More bytes behind those that are not taken yet."""
        read = self._file.read(size)
        self._ended = not read
        if self._decoder is not None:
            try:
                read = self._decoder.decode(read, final=not read).encode()
            except UnicodeError as error:
                before = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
                lines = self._bytes.count(b"\n", self._at) + before.count(b"\n")
                raise self._wrong(self.number + lines + 1) from None
        more = b"" if self._decoder is not None or read.endswith(b"\n") else self._file.readline(_LINE_BYTES)
        self._bytes = b"".join((self._bytes[self._at :], read, more))
        self._at = 0

    def _wrong(self, line: int) -> SourceFormatError:
        detail = f"{self._location}: near line {line} the bytes are not in the stated encoding"
        return SourceFormatError(detail, field="/source/encoding", line=line)
