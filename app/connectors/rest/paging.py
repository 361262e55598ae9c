"""How a paged service is read to its end: what each kind of paging takes as the end, and what it takes as a fault.

`page` and `offset` end at an empty page, at a 404 behind a page, at the stated total, at the last page by its number, or where the service
says that there is no more; `cursor` and `next_link` where the mark is absent or the service says that there is no more. A short page is
no end. A total that is not what was read is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.connectors.http import HttpAnswer
from app.connectors.json_paths import JsonPath, NothingThere
from app.connectors.links import linked, links_at, next_address
from app.connectors.rest.presets import Paging
from app.errors import SourceFormatError

_MORE = ("has_more", "hasMore", "more")
_EMPTY_PAGES = 20
_NUMBERED = frozenset({"page", "offset"})


class PagedReading:
    """Where one read of a service stands."""

    def __init__(self, paging: Paging, url: str) -> None:
        self._paging = paging
        self._url = url
        self._number = paging.first if paging.kind == "page" else 0
        self._mark: Any = None
        self._seen: set[str] = set()
        self._before: list[Any] | None = None
        self._empty = 0
        self._read = 0
        self._total: int | None = None

    @property
    def begins(self) -> bool:
        """Whether no page has been read yet."""
        return self._before is None

    @property
    def behind_the_end(self) -> bool:
        """Whether a page has been read and a 404 for the next one says that there is none."""
        return self._paging.kind in _NUMBERED and self._before is not None

    def parameters(self) -> Mapping[str, Any]:
        """What asks for the page at hand: numbers, and a mark as the service gave it."""
        paging, asked = self._paging, dict[str, Any]()
        if paging.kind in _NUMBERED:
            asked[paging.param] = self._number
        if paging.kind == "cursor" and self._mark is not None:
            asked[paging.param] = self._mark
        if paging.kind != "none" and paging.size_param:
            asked[paging.size_param] = paging.size
        return asked

    def goes_on(self, document: Any, answer: HttpAnswer, records: list[Any]) -> bool:
        """Whether there may be a page behind this one. Raises `SourceFormatError` where the service contradicts itself."""
        self._read += len(records)
        if self._paging.kind == "none":
            return False
        self._refuse_the_same(records)
        self._note_total(document)
        more = self._more(document)
        if self._paging.kind in _NUMBERED:
            ended = self._numbered(document, records, more=more)
        else:
            self._mark = self._next_mark(document, answer)
            self._empty = 0 if records else self._empty + 1
            ended = self._mark is None or more is False
        if ended:
            self.close()
        else:
            self._refuse_a_circle()
        return not ended

    def close(self) -> None:
        """The read is at its end: what the service said that it has must have come."""
        if self._total is not None and self._read != self._total:
            detail = f"the service says that it has {self._total} records and gave {self._read}"
            rule = "total_not_reached" if self._read < self._total else "total_exceeded"
            raise SourceFormatError(detail, field="/source/paging", rule=rule)

    def link(self, url: str) -> str | None:
        """The address of the next page, taken whole, where a link leads there: to the same scheme, host and port.

        One to the same host by http, as services behind a proxy write it, is followed by the https of the address.
        """
        if self._paging.kind != "next_link" or self._mark is None:
            return None
        return next_address(self._url, url, str(self._mark))

    def _numbered(self, document: Any, records: list[Any], *, more: bool | None) -> bool:
        """Whether this was the last page of those with numbers."""
        if not records and more:
            raise SourceFormatError("an empty page, and the service says that there are more", field="/source/paging")
        at = self._number
        self._number += 1 if self._paging.kind == "page" else len(records)
        last = self._number_at(document, self._paging.last, "last")
        reached = self._total is not None and self._read >= self._total
        return not records or more is False or reached or (last is not None and at >= last)

    def _refuse_the_same(self, records: list[Any]) -> None:
        if records and records == self._before and self._paging.kind in _NUMBERED:
            raise SourceFormatError("the service gives the same page again and again", field="/source/paging")
        self._before = records

    def _refuse_a_circle(self) -> None:
        if self._mark is None:
            return
        mark = repr(self._mark)
        if mark in self._seen:
            raise SourceFormatError("the service gives the same page again and again", field="/source/paging")
        if self._empty > _EMPTY_PAGES:
            detail = f"{_EMPTY_PAGES} empty pages and always another mark: say in paging.more where the service tells that it is over"
            raise SourceFormatError(detail, field="/source/paging/more")
        self._seen.add(mark)

    def _note_total(self, document: Any) -> None:
        """The total of this page, or of one before where this one tells none and need not."""
        found = self._number_at(document, self._paging.totals, "total")
        self._total = self._total if found is None else found

    def _number_at(self, document: Any, paths: Sequence[str], name: str) -> int | None:
        if not paths:
            return None
        found = first_at(document, paths)
        if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 16:
            found = int(found)
        if type(found) is int:
            return found
        if not self._paging.strict:
            return None
        raise SourceFormatError(f"there is no number at {paths[0]}", field=f"/source/paging/{name}")

    def _more(self, document: Any) -> bool | None:
        """Whether the service says that there are more pages; None where it says nothing."""
        told = [found for path in self._paging.more for found in _values(document, path)]
        if told:
            return any(map(bool, told))
        if self._paging.kind in _NUMBERED:
            return None
        if self._paging.more:
            return False
        return False if isinstance(document, dict) and any(document.get(name) is False for name in _MORE) else None

    def _next_mark(self, document: Any, answer: HttpAnswer) -> Any:
        paging = self._paging
        if paging.header is not None:
            return answer.headers.get(paging.header) or None
        if not paging.marks and paging.kind == "next_link" and answer.next_link is not None:
            return answer.next_link
        for path in paging.marks or ("$.next",):
            if path.endswith("[*].href"):
                return linked(links_at(document, path.removesuffix("[*].href")))
            found = first_at(document, (path,))
            if isinstance(found, dict) and isinstance(found.get("href"), str):  # JSON:API writes links as objects too
                found = found["href"]
            if found not in (None, "", False):
                return found
        return None


def first_at(document: Any, paths: Sequence[str]) -> Any:
    """The value at the first of the paths at which one stands that is not null; None where there is none."""
    for path in paths:
        found = _values(document, path)
        if found and found[0] is not None:
            return found[0]
    return None


def _values(document: Any, path: str) -> list[Any]:
    try:
        return JsonPath.parse(path).values(document)
    except NothingThere:
        return []
