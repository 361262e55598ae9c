"""Area geometries: the rule that a GeoJSON Polygon or MultiPolygon must hold, and its form as text in Arrow.

A hole outside its shell, a line that crosses itself, parts that overlap are faults. Winding order is not judged (RFC 7946 asks
readers not to refuse it); `right_handed` mends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, pairwise
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
    return next((fault for ring in rings if (fault := _ring_fault(ring))), None) or _validity_fault(value)


def _validity_fault(value: dict[str, Any]) -> str | None:
    from shapely.geometry import shape  # noqa: PLC0415 - GEOS and numpy are loaded by the first geometry

    return None if shape(value).is_valid else "geometry_invalid"


def positions(value: dict[str, Any]) -> Iterator[list[float]]:
    """Every position of a valid geometry."""
    polygons = [value["coordinates"]] if value["type"] == "Polygon" else value["coordinates"]
    return chain.from_iterable(chain.from_iterable(polygons))


def right_handed(value: Any) -> dict[str, Any] | None:
    """The geometry with shells counter-clockwise and holes clockwise (RFC 7946, 3.1.6); None where it is so already or is no geometry."""
    try:
        single = value["type"] == "Polygon"
        polygons = [value["coordinates"]] if single else value["coordinates"]
        turned = [
            [ring[::-1] if _area(ring) * (-1 if index else 1) < 0 else ring for index, ring in enumerate(polygon)]
            for polygon in polygons
        ]
    except (TypeError, KeyError, ValueError, IndexError):
        return None
    if turned == polygons:
        return None
    return {**value, "coordinates": turned[0] if single else turned}


def _area(ring: list[Any]) -> float:
    """Twice the signed area, relative to the first position; positive where the ring runs counter-clockwise."""
    west, south = ring[0]
    return float(
        sum(
            (x - west) * (ahead - south) - (further - west) * (y - south) for (x, y), (further, ahead) in pairwise(ring)
        )
    )


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
