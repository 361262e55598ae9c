"""XML: the elements at a path are the records, streamed in bounded memory. Attributes and children are their columns.

A document type (and with it entities of its own) is refused. Namespaces are left out of names: two elements of one name from two
namespaces in one record reject it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any, Final
from xml.parsers import expat

from app.connectors.contract import RawBatch, RawReject
from app.connectors.json_records import json_batch
from app.errors import SourceFormatError, SourceTooLarge

CHUNK_BYTES: Final = 1 << 16
MOST_RECORD_CHARACTERS: Final = 16_777_216
MOST_DEPTH: Final = 100
MOST_PATHS: Final = 2_000
XML_PATH: Final = re.compile(r"(?:/[^/\s:@\[\]*'\"]+)+")
"""The path to the element of each record: /data/item."""
_NIL: Final = "http://www.w3.org/2001/XMLSchema-instance}nil"


class Elements:
    """A pass of expat over a document without a document type; `start` and `end` are called with names without their namespaces."""

    def __init__(self, location: str, field: str = "/source/location") -> None:
        self.location = location
        self.field = field
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refused
        self.depth = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self._parse(chunk, last=False)

    def end(self) -> None:
        """The end of the file: an element that is still open is a fault."""
        self._parse(b"", last=True)

    def _parse(self, chunk: bytes, *, last: bool) -> None:
        try:
            self.parser.Parse(chunk, last)
        except expat.ExpatError as error:
            said = expat.ErrorString(error.code)
            detail = f"{self.location}: line {error.lineno}: the XML is broken or cut off ({said})"
            raise SourceFormatError(detail, field=self.field, line=error.lineno) from None
        except LookupError:
            raise SourceFormatError(
                f"{self.location}: the encoding that the XML names is unknown", field="/source"
            ) from None

    def _refused(self, *_: Any) -> None:
        detail = f"{self.location}: the XML declares a document type (DTD), which is not read; export it without one"
        raise SourceFormatError(detail, field=self.field)


class XmlRecords(Elements):
    """The records of a document as far as it was read."""

    def __init__(self, path: str, location: str, field: str = "/source/location", *, tolerant: bool = False) -> None:
        """`tolerant`: that nothing stands at the path is no fault."""
        super().__init__(location, field)
        self._tolerant = tolerant
        self._steps = path[1:].split("/")
        self._open: list[str] = []
        self._above = len(self._steps) == 1
        self._met = False
        self._beside: dict[str, None] = {}
        self._stack: list[_Element] = []
        self._line = self._size = 0
        self.found: list[tuple[int, Any]] = []
        self.rejects: list[RawReject] = []
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._said

    def batch(self, most: int) -> RawBatch:
        """Up to so many records, taken off."""
        taken, self.found = self.found[:most], self.found[most:]
        rejects, self.rejects = self.rejects, []
        return json_batch([record for _, record in taken], self.location, [line for line, _ in taken], rejects)

    def end(self) -> None:
        """The end of the document. Elements of other names where the records should be are a fault, none at all are no records."""
        super().end()
        lacking = self.lacking()
        if lacking is not None and not self._tolerant:
            raise lacking

    def lacking(self) -> SourceFormatError | None:
        """What is wrong where no element stands at the path; None where one does, or nothing stands in its stead."""
        if self._met or (self._above and not self._beside):
            return None
        path = "/" + "/".join(self._steps)
        beside = f"; beside it stand {', '.join(self._beside)}" if self._beside else ""
        detail = f"{self.location}: there is no element at {path}{beside}; discover shows where records are"
        return SourceFormatError(detail[:500], field="/source/record_path")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self._open.append(name)
        depth = len(self._open)
        if depth > MOST_DEPTH:
            raise SourceFormatError(f"{self.location}: elements stand more than {MOST_DEPTH} deep", field="/source")
        if self._stack:
            self._grown(len(tag))
            self._stack.append(_Element(tag, attributes))
        elif depth <= len(self._steps) and self._open[:-1] == self._steps[: depth - 1]:
            if name != self._steps[depth - 1]:
                if depth == len(self._steps) and len(self._beside) < MOST_DEPTH:
                    self._beside[name] = None
                return
            self._above = self._above or depth >= len(self._steps) - 1
            if depth == len(self._steps):
                self._met = True
                self._line, self._size = self.parser.CurrentLineNumber, 0
                self._stack.append(_Element(tag, attributes))

    def _said(self, text: str) -> None:
        if self._stack:
            self._grown(len(text))
            self._stack[-1].text.append(text)

    def _end(self, _: str) -> None:
        self._open.pop()
        if not self._stack:
            return
        element = self._stack.pop()
        if self._stack:
            self._stack[-1].add(element)
            return
        if element.clash is not None:
            detail = f"two elements {element.clash} of different namespaces stand in one record"
            self.rejects.append(RawReject(f"{self.location}, line {self._line}", "xml_names", detail))
            return
        self.found.append((self._line, element.record()))

    def _grown(self, characters: int) -> None:
        self._size += characters
        if self._size > MOST_RECORD_CHARACTERS:
            detail = (
                f"{self.location}: the record in line {self._line} has more than {MOST_RECORD_CHARACTERS} characters"
            )
            raise SourceTooLarge(detail, field="/source/record_path", limit_bytes=MOST_RECORD_CHARACTERS)


class _Element:
    """An element while it is read."""

    __slots__ = ("children", "clash", "members", "nil", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.nil = attributes.get(_NIL, "").strip() in {"true", "1"}
        self.members: dict[str, Any] = {}
        self.clash: str | None = None
        self.children: dict[str, str] = {}
        self.text: list[str] = []
        for name, value in attributes.items():
            if name != _NIL:
                self.members[f"@{name.rpartition('}')[2]}"] = value

    def add(self, child: _Element) -> None:
        """A child; of several of one name a list is made."""
        name = child.tag.rpartition("}")[2]
        before = self.children.setdefault(name, child.tag)
        self.clash = self.clash or child.clash or (name if before != child.tag else None)
        value = child.value()
        if name not in self.members:
            self.members[name] = value
        elif type(self.members[name]) is list:  # no value of its own is one
            self.members[name].append(value)
        else:
            self.members[name] = [self.members[name], value]

    def value(self) -> Any:
        """Null, the text, or an object where there are attributes or children."""
        if self.nil:
            return None
        return self.record() if self.members else "".join(self.text)

    def record(self) -> dict[str, Any]:
        """Attributes (`@name`), children, and under `#text` what is said beside them."""
        text = "".join(self.text)
        return {**self.members, "#text": text} if text.strip() or not self.members else self.members


class XmlPaths(Elements):
    """How often each path of an element with parts comes, and what parts it has."""

    def __init__(self, location: str, field: str = "/source/location") -> None:
        super().__init__(location, field)
        self._open: list[str] = []
        self._count: Counter[str] = Counter()
        self._parts: defaultdict[str, set[str]] = defaultdict(set)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def ranked(self) -> list[tuple[str, int]]:
        """Paths with how often they come, the likeliest first."""
        scores = [(count * len(self._parts[path]), path) for path, count in self._count.items() if self._parts[path]]
        several = [(score, path) for score, path in scores if self._count[path] > 1]
        return [(path, self._count[path]) for _, path in sorted(several or scores, key=lambda one: (-one[0], one[1]))]

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        above = "/" + "/".join(self._open)
        self._open.append(tag.rpartition("}")[2])
        path = "/" + "/".join(self._open)
        if len(self._count) < MOST_PATHS or path in self._count:
            self._count[path] += 1
            self._parts[path].update(f"@{name}" for name in attributes)
            if len(self._open) > 1:
                self._parts[above].add(self._open[-1])

    def _end(self, _: str) -> None:
        self._open.pop()
