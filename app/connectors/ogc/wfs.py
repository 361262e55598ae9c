"""A server of WFS 2 (OGC 09-025r2) that gives GeoJSON: its feature types, their count, the pages of one by `startIndex` and `count`."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.connectors.http import HttpAnswer, document_of, merged
from app.connectors.ogc.filters import Filtering
from app.connectors.ogc.reading import Asks, Collection, Totals, degrees, features_of
from app.connectors.ogc.source import OgcSource
from app.connectors.xml_records import Elements, XmlRecords
from app.errors import SourceFormatError, SourceMissing, SourceRejected, SourceTooLarge
from app.filters.tree import Filter

VERSION: Final = "2.0.0"
MOST_PAGES: Final = 100_000
_MOST_NAMED: Final = 20
_CRS84: Final = "urn:ogc:def:crs:OGC:1.3:CRS84"
_EPSG_4326: Final = "urn:ogc:def:crs:EPSG::4326"
_CODE = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_FORMATS = ("application/geo+json", "application/json", "geojson", "json")
_XML = "application/xml, text/xml;q=0.9"
_ANY = "application/geo+json, application/json;q=0.9, */*;q=0.1"


@dataclass(frozen=True, slots=True)
class Told:
    """What the capabilities of a server tell: feature types with the coordinate systems that they name, formats, whether it pages."""

    types: Mapping[str, Collection]
    systems: Mapping[str, frozenset[str]]
    formats: tuple[str, ...]
    pages: bool

    @property
    def json(self) -> str | None:
        """How GeoJSON is asked for; None where it is not given."""
        by_name = {one.lower(): one for one in self.formats}
        named = next((by_name[one] for one in _FORMATS if one in by_name), None)
        return named or next(
            (one for one in self.formats if "json" in one.lower() and "script" not in one.lower()), None
        )


class WfsServer:
    """One server, and the feature type that is read."""

    filtering = Filtering({})

    def __init__(self, source: OgcSource, ask: Asks) -> None:
        self._source = source
        self._ask = ask
        self._capabilities: Told | None = None

    async def learn(self) -> None:
        """Nothing is pushed: there is nothing to learn."""

    async def conforms(self) -> bool:
        """Whether it answered as a WFS 2: what else it may be raises before."""
        return bool((await self._told()).types)

    async def collections(self) -> list[Collection]:
        """All feature types."""
        return list((await self._told()).types.values())

    async def collection(self) -> Collection:
        """The feature type that is read. Raises `SourceMissing` with the names that there are."""
        told = await self._told()
        if self._source.collection is None:
            raise SourceMissing("state source.collection: one of those that the server has", field="/source/collection")
        found = told.types.get(self._source.collection)
        if found is None:
            there = ", ".join(list(told.types)[:_MOST_NAMED])
            detail = f"the server has no feature type {self._source.collection}; it has {there or 'none'}"
            raise SourceMissing(detail, field="/source/collection")
        return found

    async def matched(self, wanted: Filter | None, deadline: float | None) -> int | None:
        """How many features there are, by the server's own count (`resultType=hits`)."""
        del wanted
        answer = await self._ask(await self._question({"resultType": "hits"}), _XML, deadline)
        matched = _root(answer).attributes.get("numberMatched", "")
        return int(matched) if matched.isascii() and matched.isdigit() and len(matched) < 16 else None

    async def pages(
        self, wanted: Filter | None, limit: int | None, deadline: float | None
    ) -> AsyncGenerator[tuple[Any, list[Any]]]:
        """The features of each page, until as many came as the server counts, or a page is empty; counted before and after."""
        told, totals = await self._told(), Totals()
        totals.note_matched(await self.matched(wanted, deadline))
        for _ in range(MOST_PAGES):
            answer = await self._ask(await self._question(self._part(told, totals.read, limit)), _ANY, deadline)
            document = await _geojson(answer)
            features = features_of(document, answer)
            totals.note_page(features)
            yield document, features
            if limit is not None and totals.read >= limit:
                return
            if not features or not told.pages or totals.read == totals.matched:
                totals.note_matched(await self.matched(wanted, deadline))
                totals.close()
                return
        raise SourceTooLarge(f"more than {MOST_PAGES} pages", field="/source/size", limit_pages=MOST_PAGES)

    def _part(self, told: Told, at: int, limit: int | None) -> dict[str, str]:
        if told.json is None:
            offered = ", ".join(told.formats)[:300] or "none"
            detail = (
                f"the server gives no GeoJSON, only {offered}; ask its owner to offer GeoJSON (application/geo+json)"
            )
            raise SourceFormatError(detail, field="/source/service", rule="no_geojson")
        asked = {"outputFormat": told.json, "srsName": self._system(told)}
        if self._source.sort is not None:
            asked["sortBy"] = self._source.sort
        if not told.pages:
            return asked if limit is None else {**asked, "count": str(limit)}
        size = self._source.size if limit is None else min(self._source.size, limit - at)
        return {**asked, "startIndex": str(at), "count": str(size)}

    def _system(self, told: Told) -> str:
        """The system that features are asked for in: longitude first, where the server names it."""
        offered = told.systems.get(str(self._source.collection), frozenset())
        return next((one for one in sorted(offered) if one.upper().endswith("CRS84")), _EPSG_4326)

    async def _question(self, more: Mapping[str, str]) -> str:
        name = (await self.collection()).name
        asked = {"service": "WFS", "version": VERSION, "request": "GetFeature", "typeNames": name, **more}
        if self._source.bbox is not None:
            west, south, east, north = map(degrees, self._source.bbox)
            system = self._system(await self._told())
            edges = (south, west, north, east) if system == _EPSG_4326 else (west, south, east, north)
            asked["bbox"] = ",".join((*edges, system))
        return merged(self._source.url, asked)

    async def _told(self) -> Told:
        if self._capabilities is None:
            asked = {"service": "WFS", "acceptVersions": VERSION, "version": VERSION, "request": "GetCapabilities"}
            self._capabilities = _capabilities(await self._ask(merged(self._source.url, asked), _XML, None))
        return self._capabilities


class _Root(Elements):
    """The outermost element of an answer."""

    def __init__(self, location: str) -> None:
        super().__init__(location, "/source/url")
        self.name = ""
        self.attributes: dict[str, str] = {}
        self.code = ""
        self.parser.StartElementHandler = self._start

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if not self.name:
            self.name, self.attributes = name, attributes
        elif name == "Exception" and not self.code:
            self.code = attributes.get("exceptionCode", "")


def _root(answer: HttpAnswer) -> _Root:
    """The outermost element. Raises `SourceRejected` for an exception report, whose text is not quoted."""
    root = _Root("the answer")
    root.feed(answer.content)
    root.end()
    if root.name in {"ExceptionReport", "ServiceExceptionReport"}:
        code = f" ({root.code})" if _CODE.fullmatch(root.code) else ""
        raise SourceRejected(f"the server answered with an exception report{code}", field="/source/url")
    return root


async def _geojson(answer: HttpAnswer) -> Any:
    """The document; an exception report in its place is told as such."""
    if answer.content.lstrip()[:1] == b"<":
        _root(answer)
    return await document_of(answer)


def _capabilities(answer: HttpAnswer) -> Told:
    root = _root(answer)
    if root.name != "WFS_Capabilities" or not root.attributes.get("version", "").startswith("2."):
        detail = "the answer is no WFS_Capabilities of version 2: this is no WFS 2"
        raise SourceFormatError(detail, field="/source/url")
    types: dict[str, Collection] = {}
    systems: dict[str, frozenset[str]] = {}
    formats: dict[str, None] = {}
    for one in _records(answer, "/WFS_Capabilities/FeatureTypeList/FeatureType"):
        name = str(one.get("Name", "")).strip()
        if not name:
            continue
        types[name] = Collection(name, _text(one.get("Title")), _box(one.get("WGS84BoundingBox")))
        systems[name] = frozenset(map(_text, [*_several(one.get("DefaultCRS")), *_several(one.get("OtherCRS"))]))
        inside = one.get("OutputFormats")
        formats |= dict.fromkeys(map(_text, _several(inside.get("Format") if isinstance(inside, dict) else None)))
    for one in _records(answer, "/WFS_Capabilities/OperationsMetadata/Operation"):
        if one.get("@name") == "GetFeature":
            formats |= dict.fromkeys(_values(one, "outputFormat"))
    pages = True
    for one in _records(answer, "/WFS_Capabilities/OperationsMetadata/Constraint"):
        if one.get("@name") == "ImplementsResultPaging":
            pages = _text(one.get("DefaultValue")).strip().upper() != "FALSE"
    return Told(types, systems, tuple(one for one in formats if one), pages)


def _records(answer: HttpAnswer, path: str) -> Iterator[dict[str, Any]]:
    """The elements at a path; none where there are none."""
    records = XmlRecords(path, "the answer", "/source/url", tolerant=True)
    records.feed(answer.content)
    records.end()
    return (record for _, record in records.found)


def _values(operation: Mapping[str, Any], name: str) -> list[str]:
    """The allowed values of a parameter of an operation."""
    for parameter in _several(operation.get("Parameter")):
        if isinstance(parameter, dict) and parameter.get("@name") == name:
            inside = parameter.get("AllowedValues", parameter)
            return [_text(one) for one in _several(inside.get("Value") if isinstance(inside, dict) else None)]
    return []


def _several(value: Any) -> Sequence[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    found = value.get("#text", "") if isinstance(value, dict) else value
    return found.strip() if isinstance(found, str) else ""


def _box(value: Any) -> tuple[float, float, float, float] | None:
    """`WGS84BoundingBox`: longitude first (OGC 06-121r9, 10.2.2)."""
    if not isinstance(value, dict):
        return None
    try:
        west, south = map(float, _text(value.get("LowerCorner")).split())
        east, north = map(float, _text(value.get("UpperCorner")).split())
    except ValueError:
        return None
    return west, south, east, north
