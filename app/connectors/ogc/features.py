"""A server of OGC API Features (OGC 17-069r4): its collections, what it can filter by, the pages of one collection."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import quote

from app.connectors.http import document_of, merged
from app.connectors.links import linked, next_address
from app.connectors.ogc.filters import CORE, Filtering, filtering
from app.connectors.ogc.reading import Asks, Collection, Totals, box_of, degrees, features_of, matched_of
from app.connectors.ogc.source import OgcSource
from app.errors import SourceFormatError, SourceMissing, SourceRejected, SourceTooLarge
from app.filters.tree import Filter

MOST_PAGES = 100_000
_MOST_NAMED = 20
_JSON = "application/json"
_GEOJSON = "application/geo+json, application/json;q=0.9"


class FeaturesServer:
    """One server, and the collection that is read."""

    def __init__(self, source: OgcSource, ask: Asks) -> None:
        self._source = source
        self._ask = ask
        self._filtering: Filtering | None = None
        self._conformance: frozenset[str] | None = None

    @property
    def filtering(self) -> Filtering:
        """What is known of how it filters; nothing before `learn`."""
        return self._filtering or Filtering({})

    async def learn(self) -> None:
        """What the server states of itself, asked for once."""
        if self._filtering is not None or self._source.collection is None:
            return
        self._filtering = filtering(await self._classes(), await self._told(f"{self._collection()}/queryables"))

    async def conforms(self) -> bool:
        """Whether the server says that it is one of OGC API Features."""
        return CORE in await self._classes()

    async def collections(self) -> list[Collection]:
        """All collections of features."""
        document = await self._document(f"{self._source.url}/collections")
        found = document.get("collections")
        if not isinstance(found, list):
            raise SourceFormatError(
                "collections is no list: this is no landing page of OGC API Features", field="/source/url"
            )
        return [
            _described(one)
            for one in found
            if isinstance(one, dict) and isinstance(one.get("id"), str) and one.get("itemType", "feature") == "feature"
        ]

    async def collection(self) -> Collection:
        """The collection that is read. Raises `SourceMissing` with the names that there are."""
        try:
            return _described(await self._document(self._collection()))
        except SourceMissing:
            there = ", ".join(one.name for one in (await self.collections())[:_MOST_NAMED])
            detail = f"the server has no collection {self._source.collection}; it has {there or 'none'}"
            raise SourceMissing(detail, field="/source/collection") from None

    async def matched(self, wanted: Filter | None, deadline: float | None) -> int | None:
        """How many features there are, by the server's own count."""
        document = await document_of(await self._ask(self._items(wanted, 1), _GEOJSON, deadline))
        return matched_of(document) if isinstance(document, dict) else None

    async def pages(
        self, wanted: Filter | None, limit: int | None, deadline: float | None
    ) -> AsyncGenerator[tuple[Any, list[Any]]]:
        """The features of each page, until no link leads to a next one: a short page is no end, nor is an empty one."""
        size = self._source.size if limit is None else min(limit, self._source.size)
        url, totals, seen = self._items(wanted, size), Totals(), set[str]()
        for _ in range(MOST_PAGES):
            seen.add(url)
            answer = await self._ask(url, _GEOJSON, deadline)
            document = await document_of(answer)
            features = features_of(document, answer)
            totals.note_matched(matched_of(document))
            totals.note_page(features)
            yield document, features
            if limit is not None and totals.read >= limit:
                return
            following = linked(_features_links(document.get("links")))
            if following is None:
                totals.close()
                return
            url = next_address(self._source.url, url, following)
            if url in seen:
                raise SourceFormatError("the server's links lead to the same page again and again", field="/source/url")
        raise SourceTooLarge(f"more than {MOST_PAGES} pages", field="/source/size", limit_pages=MOST_PAGES)

    def _items(self, wanted: Filter | None, size: int) -> str:
        source = self._source
        asked = {} if wanted is None else self.filtering.parameters(wanted)
        if source.bbox is not None:
            asked["bbox"] = ",".join(degrees(edge) for edge in source.bbox)
        if source.datetime is not None:
            asked["datetime"] = source.datetime
        return merged(f"{self._collection()}/items", {**asked, "limit": str(size)})

    def _collection(self) -> str:
        if self._source.collection is None:
            raise SourceMissing("state source.collection: one of those that the server has", field="/source/collection")
        return f"{self._source.url}/collections/{quote(self._source.collection, safe='')}"

    async def _classes(self) -> frozenset[str]:
        if self._conformance is None:
            told = await self._told(f"{self._source.url}/conformance")
            classes = told.get("conformsTo") if isinstance(told, Mapping) else None
            self._conformance = frozenset(
                one for one in (classes if isinstance(classes, list) else ()) if isinstance(one, str)
            )
        return self._conformance

    async def _told(self, url: str) -> Any:
        """A document that a server need not have."""
        try:
            return await self._document(url)
        except (SourceMissing, SourceRejected, SourceFormatError):
            return None

    async def _document(self, url: str) -> dict[str, Any]:
        document = await document_of(await self._ask(url, _JSON, None))
        if not isinstance(document, dict):
            raise SourceFormatError(
                "the answer is no JSON object: this is no server of OGC API Features", field="/source/url"
            )
        return document


def _described(document: Mapping[str, Any]) -> Collection:
    extent = document.get("extent")
    spatial = extent.get("spatial") if isinstance(extent, Mapping) else None
    boxes = spatial.get("bbox") if isinstance(spatial, Mapping) else None
    box = box_of(boxes[0]) if isinstance(boxes, list) and boxes else None
    return Collection(str(document.get("id", "")), str(document.get("title") or ""), box)


def _features_links(links: Any) -> list[Any]:
    """The links of a page; of several to the next one those that lead to GeoJSON."""
    known = [one for one in (links if isinstance(links, list) else ()) if isinstance(one, dict)]
    following = [one for one in known if one.get("rel") == "next"]
    json = [one for one in following if "json" in str(one.get("type", "json"))]
    return json or following
