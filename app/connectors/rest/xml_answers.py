"""An answer in XML: its records, and beside them what tells of further pages, by the paths that a manifest writes.

`/data/total` is the text of an element, `/data/@total` an attribute, `/feed/link[@rel=next]/@href` that of the element with this `rel`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.connectors.contract import RawReject
from app.connectors.http import INLINE_BYTES, HttpAnswer
from app.connectors.xml_records import CHUNK_BYTES, XmlPaths, XmlRecords
from app.errors import SourceFormatError
from app.lanes import in_bulk

BESIDE_PATH: Final = re.compile(r"(?:/[^/\s:@\[\]*'\"]+(?:\[@rel=[^/\s\[\]'\"]+\])?)+(?:/@[^/\s:@\[\]*'\"]+)?")
_MOST_BESIDE: Final = 10_000
_MOST_CHARACTERS: Final = 10_000
_WORDS: Final = {"true": True, "false": False, "": None}


@dataclass(frozen=True, slots=True)
class XmlAnswer:
    """One answer. A record that cannot be one stands among them as its reject."""

    records: Sequence[Any]
    beside: Mapping[str, Any]
    """What stands outside of the records, by its path: texts, numbers, `true` and `false`, None where an element is empty."""
    lacking: SourceFormatError | None
    """Why nothing stands where the records should be; None where that is no fault."""


async def xml_of(answer: HttpAnswer, path: str) -> XmlAnswer:
    """The answer read; a large one in a thread, so that others go on. Raises `SourceFormatError`, `SourceTooLarge`."""
    if len(answer.content) <= INLINE_BYTES:
        return _read(answer.content, path)
    return await in_bulk(_read, answer.content, path)


def is_xml(answer: HttpAnswer) -> bool:
    """Whether an answer is XML and no JSON, by its first sign."""
    return answer.content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def proposed_path(content: bytes) -> tuple[str, str] | None:
    """Where the records of an answer are, and why; None where no element has parts."""
    seen = XmlPaths("the answer", "/source/url")
    for at in range(0, len(content), CHUNK_BYTES):
        seen.feed(content[at : at + CHUNK_BYTES])
    seen.end()
    best = seen.ranked()
    if not best:
        return None
    (chosen, count), others = best[0], best[1:4]
    also = f"; also {', '.join(f'{one} ({size})' for one, size in others)}" if others else ""
    return chosen, f"{count} elements with the most attributes and children stand there{also}"


def beside_member(path: str) -> str:
    """The path as one into `XmlAnswer.beside`."""
    return f"$['{path}']"


def _read(content: bytes, path: str) -> XmlAnswer:
    found = _Answer(path)
    for at in range(0, len(content), CHUNK_BYTES):
        found.feed(content[at : at + CHUNK_BYTES])
    found.end()
    refused = [RawReject("record", reject.rule, reject.detail) for reject in found.rejects]
    return XmlAnswer([*(record for _, record in found.found), *refused], found.beside, found.lacking())


class _Answer(XmlRecords):
    """The records of an answer with what stands outside of them."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "the answer", "/source/url", tolerant=True)
        self.beside: dict[str, Any] = {}
        self._names: list[str] = []
        self._texts: list[list[str]] = []

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        super()._start(tag, attributes)
        if self._stack:
            return
        name = tag.rpartition("}")[2]
        rel = next((value for key, value in attributes.items() if key == "rel"), None)
        here = "/" + "/".join([*self._names, name])
        for key, value in attributes.items():
            local = key.rpartition("}")[2]
            self._note(f"{here}/@{local}", value)
            if rel is not None:
                self._note(f"{here}[@rel={rel}]/@{local}", value)
        self._names.append(name)
        self._texts.append([])

    def _said(self, text: str) -> None:
        super()._said(text)
        if not self._stack and self._texts:
            self._texts[-1].append(text)

    def _end(self, tag: str) -> None:
        inside = bool(self._stack)
        super()._end(tag)
        if inside:
            return
        here = "/" + "/".join(self._names)
        self._names.pop()
        self._note(here, "".join(self._texts.pop()))

    def _note(self, path: str, text: str) -> None:
        """The first that stands at a path; what is long is no mark of a page."""
        told = text.strip()
        if len(self.beside) < _MOST_BESIDE and len(told) <= _MOST_CHARACTERS and "'" not in path:
            number = (
                int(told) if told.isascii() and told.isdigit() and len(told) < 16 and str(int(told)) == told else told
            )
            self.beside.setdefault(path, _WORDS.get(told, number))
