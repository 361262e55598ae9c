"""Geometries of filters: read from GeoJSON, said in one canonical text, and met with points or geometries of records.

Shapely (GEOS) does the geometry. Planar on longitude and latitude, as GeoJSON and CQL2 see them (WGS 84, longitude first).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import box, mapping, shape
from shapely.geometry.base import BaseGeometry

MOST_POSITIONS = 1000
KINDS = frozenset(
    {"Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"}
)


def geometry_text(document: dict[str, Any]) -> str:
    """The canonical text of a GeoJSON geometry. Raises `ValueError` that says what is wrong with it."""
    try:
        found = shape(document)
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise ValueError(
            "the coordinates do not fit the type of the geometry; rings have four positions or more"
        ) from None
    if found.is_empty:
        raise ValueError("the geometry is empty")
    if shapely.get_num_coordinates(found) > MOST_POSITIONS:
        raise ValueError(f"the geometry has more than {MOST_POSITIONS} positions; simplify it")
    _check_range(found)
    if not found.is_valid:
        raise ValueError(f"the geometry is not valid ({shapely.is_valid_reason(found).partition('[')[0].lower()})")
    return _text(found)


def box_text(west: float, south: float, east: float, north: float) -> str:
    """The canonical text of a BBOX; one whose west lies east of its east crosses the date line."""
    if south > north:
        raise ValueError("the south of a BBOX lies below its north: west, south, east, north")
    boxes = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    found = shapely.union_all([_box(left, south, right, north) for left, right in boxes])
    _check_range(found)
    return _text(found)


def bounds(geometry: str) -> tuple[float, float, float, float]:
    """West, south, east, north."""
    west, south, east, north = shape(json.loads(geometry)).bounds
    return west, south, east, north


def meets_point(geometry: str) -> Callable[[float, float], bool]:
    """A function (longitude, latitude) -> whether the point lies in the geometry, its border included."""
    found = _prepared(geometry)
    return lambda lng, lat: bool(shapely.intersects_xy(found, lng, lat))


def meets_geometry(geometry: str) -> Callable[[Any], bool | None]:
    """A function GeoJSON object -> whether the two have a point in common; None where the object is no geometry."""
    found = _prepared(geometry)

    def meets(document: Any) -> bool | None:
        try:
            return bool(shapely.intersects(found, shape(document)))
        except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
            return None

    return meets


def _prepared(geometry: str) -> BaseGeometry:
    found = shape(json.loads(geometry))
    shapely.prepare(found)
    return found


def _box(west: float, south: float, east: float, north: float) -> BaseGeometry:
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return box(west, south, east, north)


def _check_range(found: BaseGeometry) -> None:
    west, south, east, north = found.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise ValueError("longitude comes first (-180..180), then latitude (-90..90); are the axes swapped?")


def _text(found: BaseGeometry) -> str:
    return json.dumps(mapping(shapely.force_2d(found)), separators=(",", ":"))
