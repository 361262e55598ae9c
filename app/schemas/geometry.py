"""Area geometries: the rule that a GeoJSON Polygon or MultiPolygon must hold, and its form as text in Arrow.

Winding order is not judged (RFC 7946 asks readers not to refuse it), nor is self-intersection.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

MOST_POSITIONS = 100_000
"""Most positions of one geometry. The finest district boundary seen in real files has some 20,000."""
MOST_TEXT_CHARACTERS = 8 * 1024 * 1024


def geometry_fault(value: Any) -> str | None:
    """The rule that a geometry breaks, or None. Polygon and MultiPolygon, two axes, CRS84 (RFC 7946)."""
    if not isinstance(value, dict) or set(value) != {"type", "coordinates"}:
        return "geometry_type"
    match value["type"]:
        case "Polygon":
            polygons = [value["coordinates"]]
        case "MultiPolygon":
            polygons = value["coordinates"]
        case _:
            return "geometry_type"
    if not _filled_lists(polygons) or not _filled_lists(rings := list(chain.from_iterable(polygons))):
        return "geometry_structure"
    if sum(map(len, rings)) > MOST_POSITIONS:
        return "geometry_size"
    return next((fault for ring in rings if (fault := _ring_fault(ring))), None)


def _filled_lists(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, list) and part for part in value)


def _ring_fault(ring: list[Any]) -> str | None:
    for position in ring:
        if not isinstance(position, list) or len(position) != 2:
            return "geometry_position"
        lng, lat = position
        if type(lng) not in (int, float) or type(lat) not in (int, float):
            return "geometry_position"
        if not (-180 <= lng <= 180 and -90 <= lat <= 90):  # false for NaN too
            return "geometry_range"
    return None if len(ring) >= 4 and ring[0] == ring[-1] else "geometry_ring"


def geometry_text(value: dict[str, Any]) -> str:
    """A geometry as compact GeoJSON text: how Arrow, Parquet and the engine hold it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def geometry_value(text: str) -> dict[str, Any] | None:
    """The geometry of a GeoJSON text; None when the text is no JSON object (or too long to be one that is kept)."""
    if len(text) > MOST_TEXT_CHARACTERS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
