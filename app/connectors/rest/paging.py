"""How a paged service is read to its end: what each kind of paging takes as the end, and what it takes as a fault.

`page` and `offset` end at an empty page, at a 404 behind a page, or at the stated total; `cursor` and `next_link` where the
mark is absent or the service says that there is no more. A short page is no end. A stated total that is not reached is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.http import HttpAnswer, joined
from app.connectors.json_paths import JsonPath, NothingThere
from app.connectors.network import HttpAddress
from app.connectors.rest.source import RestPaging
from app.errors import SourceFormatError

_MORE = ("has_more", "hasMore", "more")
_EMPTY_PAGES = 20


class PagedReading:
    """Where one read of a service stands."""

    def __init__(self, paging: RestPaging, url: str) -> None:
        self._paging = paging
        self._url = url
        self._number = paging.first if paging.kind == "page" else 0
        self._mark: str | None = None
        self._seen: set[str] = set()
        self._before: list[Any] | None = None
        self._empty = 0
        self._read = 0

    @property
    def begins(self) -> bool:
        """Whether no page has been read yet."""
        return self._before is None

    @property
    def behind_the_end(self) -> bool:
        """Whether a page has been read and a 404 for the next one says that there is none."""
        return self._paging.kind in {"page", "offset"} and self._before is not None

    def parameters(self) -> Mapping[str, str]:
        """What asks for the page at hand."""
        paging, asked = self._paging, dict[str, str]()
        if paging.kind in {"page", "offset"}:
            asked[paging.param] = str(self._number)
        if paging.kind == "cursor" and self._mark is not None:
            asked[paging.param] = self._mark
        if paging.kind != "none" and paging.size_param:
            asked[paging.size_param] = str(paging.size)
        return asked

    def goes_on(self, document: Any, answer: HttpAnswer, records: list[Any]) -> bool:
        """Whether there may be a page behind this one. Raises `SourceFormatError` where the service contradicts itself."""
        self._read += len(records)
        if self._paging.kind == "none":
            return False
        self._refuse_the_same(records)
        total = self._total(document)
        if self._paging.kind in {"page", "offset"}:
            self._number += 1 if self._paging.kind == "page" else len(records)
            ended = not records or (total is not None and self._read >= total)
        else:
            self._mark = self._next_mark(document, answer)
            self._empty = 0 if records else self._empty + 1
            ended = self._mark is None or self._says_no_more(document)
        if ended and total is not None and self._read < total:
            detail = f"the service says that it has {total} records and gave {self._read}"
            raise SourceFormatError(detail, field="/source/paging", rule="total_not_reached")
        if not ended:
            self._refuse_a_circle()
        return not ended

    def following(self, url: str, params: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Address and own parameters of the next page. A link is taken whole, and leads to the same scheme, host and port."""
        if self._paging.kind != "next_link" or self._mark is None:
            return url, params
        target = joined(url, self._mark)
        if HttpAddress.of(target) != HttpAddress.of(self._url):
            raise SourceFormatError("the link to the next page leads to another host", field="/source/paging")
        return target, {}

    def _refuse_the_same(self, records: list[Any]) -> None:
        if records and records == self._before and self._paging.kind in {"page", "offset"}:
            raise SourceFormatError("the service gives the same page again and again", field="/source/paging")
        self._before = records

    def _refuse_a_circle(self) -> None:
        if self._mark is None:
            return
        if self._mark in self._seen:
            raise SourceFormatError("the service gives the same page again and again", field="/source/paging")
        if self._empty > _EMPTY_PAGES:
            detail = f"{_EMPTY_PAGES} empty pages and always another mark: say in paging.more where the service tells that it is over"
            raise SourceFormatError(detail, field="/source/paging/more")
        self._seen.add(self._mark)

    def _total(self, document: Any) -> int | None:
        if self._paging.total is None:
            return None
        found = _at(document, self._paging.total)
        if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 16:
            found = int(found)
        if type(found) is not int:
            raise SourceFormatError(f"there is no number at {self._paging.total}", field="/source/paging/total")
        return found

    def _says_no_more(self, document: Any) -> bool:
        if self._paging.more is not None:
            return not _at(document, self._paging.more)
        return isinstance(document, dict) and any(document.get(name) is False for name in _MORE)

    def _next_mark(self, document: Any, answer: HttpAnswer) -> str | None:
        path = self._paging.path
        if path is None and self._paging.kind == "next_link":
            link = answer.next_link
            if link is not None:
                return link
            path = "$.next"
        path = path or "$.next"
        if path.endswith("[*].href"):
            return _linked(_listed(document, path.removesuffix("[*].href")))
        found = _at(document, path)
        return None if found in (None, "", False) else str(found)


def _linked(links: Any) -> str | None:
    """The `href` with `rel` next among links (OGC API, HAL lists); where none has a `rel`, the only one."""
    known = [link for link in links if isinstance(link, dict) and isinstance(link.get("href"), str)]
    if any("rel" in link for link in known):
        known = [link for link in known if link.get("rel") == "next"]
    return known[0]["href"] if known else None


def _listed(document: Any, path: str) -> list[Any]:
    try:
        return JsonPath.parse(path).items(document)
    except NothingThere:
        return []


def _at(document: Any, path: str) -> Any:
    """The one value at a path, None where there is nothing."""
    found = _listed(document, path)
    return found[0] if found else None
