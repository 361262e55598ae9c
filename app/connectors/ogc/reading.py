"""What holds for one read of a collection, by either service: totals, features that come twice, coordinates and their order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from app.connectors.http import HttpAnswer
from app.errors import SourceFailed, SourceFormatError

EMPTY_PAGES = 20
_LNG_LAT = re.compile(
    r"(?:https?://www\.opengis\.net/def/crs/OGC/[0-9.]+/|urn:ogc:def:crs:OGC:[0-9.]*:)CRS84h?", re.IGNORECASE
)
_MOST_NAMED = 200
_AS_DEGREES = "{:.9f}"


class Asks(Protocol):
    """Sends a GET with the credentials of the source."""

    async def __call__(self, url: str, accept: str, deadline: float | None) -> HttpAnswer:
        """The answer. Raises `SourceError` leaves."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as the server describes it. `box`: west, south, east, north in degrees, None where it says none."""

    name: str
    title: str = ""
    box: tuple[float, float, float, float] | None = None


class Totals:
    """What came in one read, beside what the server says that there is."""

    def __init__(self) -> None:
        self.read = 0
        self.matched: int | None = None
        self._changed = self._fewer = False
        self._before: frozenset[str] = frozenset()
        self._page: Sequence[Any] = ()
        self._empty = 0

    def note_matched(self, matched: int | None) -> None:
        """A number of all features that the server told."""
        if matched is None:
            return
        self._changed = self._changed or (self.matched is not None and self.matched != matched)
        self._fewer = self._fewer or (self.matched is not None and self.matched > matched)
        self.matched = matched

    def note_page(self, features: Sequence[Any]) -> None:
        """The features of a page. Raises `SourceFailed` where one of the page before comes again: rows have moved between the pages."""
        names = frozenset(repr(one["id"]) for one in features if isinstance(one, dict) and one.get("id") is not None)
        twice = len(names & self._before)
        if features and features == self._page:
            raise SourceFormatError("the server gives the same page again and again", field="/source/url")
        if twice:
            detail = f"{twice} features of one page came again on the next: the collection changed while it was read; read it again"
            raise SourceFailed(detail, field="/source/collection", rule="moved_between_pages")
        self._before, self._page = names, features
        self.read += len(features)
        self._empty = 0 if features else self._empty + 1
        if self._empty > EMPTY_PAGES:
            raise SourceFormatError(f"{EMPTY_PAGES} empty pages, and always a next one", field="/source/url")

    def close(self) -> None:
        """The read is at its end: what the server said that it has must have come.

        One that was taken away from the pages before moved the others: the number fits, and one did not come.
        """
        if self.matched is None or (self.matched == self.read and not self._fewer):
            return
        if self._changed:
            detail = f"the collection changed while it was read: {self.matched} features match now, {self.read} came; read it again"
            raise SourceFailed(detail, field="/source/collection", rule="moved_between_pages")
        detail = f"the server says that {self.matched} features match and gave {self.read}"
        rule = "total_not_reached" if self.read < self.matched else "total_exceeded"
        raise SourceFormatError(detail, field="/source/collection", rule=rule)


def features_of(document: Any, answer: HttpAnswer) -> list[Any]:
    """The features of a GeoJSON answer. Raises `SourceFormatError` where it is none, or its coordinates are no longitude and latitude."""
    features = document.get("features") if isinstance(document, Mapping) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        raise SourceFormatError("the answer is no GeoJSON FeatureCollection", field="/source/url")
    stated = answer.headers.get("content-crs", "").strip("<> ")
    if stated and _LNG_LAT.fullmatch(stated) is None:
        detail = f"the server gives its coordinates in {stated[:_MOST_NAMED]}, not in CRS84 (longitude, latitude), which was asked for"
        raise SourceFormatError(detail, field="/source/collection", rule="crs")
    returned = document.get("numberReturned")
    if type(returned) is int and returned != len(features):
        detail = f"the server says that it returned {returned} features and gave {len(features)}"
        raise SourceFormatError(detail, field="/source/url", rule="number_returned")
    return features


def matched_of(document: Mapping[str, Any]) -> int | None:
    """`numberMatched` (OGC 17-069r4, 7.15.9) of an answer; None where the server does not know it, or says so by a word."""
    found = document.get("numberMatched")
    return found if type(found) is int and found >= 0 else None


def box_of(given: Any) -> tuple[float, float, float, float] | None:
    """A rectangle of four numbers, or of six with heights; None for anything else."""
    if not isinstance(given, list) or not all(map(_is_number, given)):
        return None
    numbers = [float(one) for one in given]
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None


def axis_note(features: Sequence[Any], box: tuple[float, float, float, float] | None) -> str | None:
    """Told where positions lie in the stated extent only when they are read latitude first."""
    if box is None:
        return None
    positions = [
        found for one in features if isinstance(one, dict) and (found := _position(one.get("geometry"))) is not None
    ]
    swapped = [(y, x) for x, y in positions]
    if not positions or any(_inside(one, box) for one in positions) or not all(_inside(one, box) for one in swapped):
        return None
    return "the coordinates lie in the collection's extent only when they are read latitude first: state geometry: {axis: latlng}"


def _inside(position: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    return box[0] <= position[0] <= box[2] and box[1] <= position[1] <= box[3]


def _position(geometry: Any) -> tuple[float, float] | None:
    """The first position of a geometry."""
    found = geometry.get("coordinates") if isinstance(geometry, dict) else None
    while isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]
    if isinstance(found, list) and len(found) >= 2 and all(map(_is_number, found[:2])):
        return float(found[0]), float(found[1])
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def degrees(edge: float) -> str:
    """A coordinate as a parameter holds it: to a tenth of a millimetre, without an exponent."""
    return _AS_DEGREES.format(edge).rstrip("0").rstrip(".")
