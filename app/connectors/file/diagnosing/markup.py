"""Where the records of an XML document are: the path of the element that comes again and has the most parts."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from app.connectors.diagnosis import Findings
from app.connectors.file.source import FileSource
from app.connectors.xml_records import CHUNK_BYTES, Elements
from app.errors import SourceFormatError

MOST_BYTES = 16_777_216
_MOST_PATHS = 2_000


def diagnose_markup(path: Path, source: FileSource, found: Findings) -> None:
    """Looks at the first 16 MiB of the document."""
    if source.record_path is not None:
        return
    seen = _Paths(source.location)
    read = 0
    with path.open("rb") as file:
        while read < MOST_BYTES and (chunk := file.read(CHUNK_BYTES)):
            seen.feed(chunk)
            read += len(chunk)
    best = seen.ranked()
    if not best:
        raise SourceFormatError(f"{source.location}: no element of the XML has children or attributes", field="/source")
    (chosen, count), others = best[0], best[1:4]
    also = f"; also {', '.join(f'{one} ({size})' for one, size in others)}" if others else ""
    found.source("record_path", chosen, f"{count} elements with the most attributes and children stand there{also}")


class _Paths(Elements):
    """How often each path of an element with parts comes, and what parts it has."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
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
        if len(self._count) < _MOST_PATHS or path in self._count:
            self._count[path] += 1
            self._parts[path].update(f"@{name}" for name in attributes)
            if len(self._open) > 1:
                self._parts[above].add(self._open[-1])

    def _end(self, _: str) -> None:
        self._open.pop()
