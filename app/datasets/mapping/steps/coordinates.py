"""Steps on positions and geometry: `hemisphere`, `position`, `geometry`. Axis order is stated, never detected."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps.contract import Builder, Row, Step, StepContext, need_text
from app.datasets.mapping.text import squeeze
from app.schemas.numbers import NumberBeyond, exact_decimal

_HEMISPHERES = {"LS": -1, "LU": 1, "BT": 1, "BB": -1, "S": -1, "N": 1, "E": 1, "W": -1}
_COORDINATE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*°?\s*([A-Za-z]{1,2})", re.ASCII)
_POINT = re.compile(r"POINT\s*\(\s*(-?\d+(?:\.\d+)?)\s+(-?\d+(?:\.\d+)?)\s*\)", re.ASCII | re.IGNORECASE)
_PAIRS = (
    re.compile(r"(-?\d+(?:\.\d+)?)(?:\s*;\s*|\s*,\s+|\s+,|\s+)(-?\d+(?:\.\d+)?)", re.ASCII),
    re.compile(r"(-?\d+\.\d+),(-?\d+(?:\.\d+)?)|(-?\d+),(-\d+|-?\d+\.\d+)", re.ASCII),
    re.compile(r"(-?\d+(?:,\d+)?)(?:\s*;\s*|\s*,\s+|\s+)(-?\d+(?:,\d+)?)", re.ASCII),
)
_LISTED = re.compile(r"\[\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*\]", re.ASCII)
"""A pair as text: with decimal points, with one bare comma between that can be no decimal mark, with decimal commas; as a JSON list."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_DEPTHS = {3: "Polygon", 4: "MultiPolygon"}
_MOST_TEXT = 16_777_216
_POSITION_LENGTHS = (2, 3)


def hemisphere(given: Any, context: StepContext) -> Step:
    """`hemisphere: true`: "4.61 LS" is -4.61, "102.75 BT" is 102.75 (LS, LU, BT, BB, S, N, E, W)."""
    if given is not True:
        context.refuse("hemisphere is true")

    def step(value: Any, _: Row) -> Any:
        match = _COORDINATE.fullmatch(squeeze(need_text(value)))
        sign = _HEMISPHERES.get(match[2].upper()) if match else None
        if match is None or sign is None:
            raise StepReject("not_a_coordinate")
        return Decimal(match[1]) * sign

    return step


def position(given: Any, context: StepContext) -> Step:
    """`position: {notation: wkt | lnglat | latlng, part: lat | lng}`: one coordinate of `POINT(lng lat)`, of a pair or of a list.

    A comma is the decimal mark or stands between the numbers: where it may be either (`-6,58`) the record is rejected.
    """
    options = context.options(given, "notation", "part")
    notation, part = options.get("notation"), options.get("part")
    if notation not in {"wkt", "lnglat", "latlng"} or part not in {"lat", "lng"}:
        context.refuse("position needs notation (wkt, lnglat, latlng) and part (lat, lng)")
    second = (part == "lat") == (notation != "latlng")

    def step(value: Any, _: Row) -> Any:
        if isinstance(value, list):
            numbers = [_number(part) for part in value]
        else:
            numbers = _written(need_text(value).strip(), (_POINT,) if notation == "wkt" else (*_PAIRS, _LISTED))
        if len(numbers) not in _POSITION_LENGTHS:
            raise StepReject("not_a_coordinate")
        return numbers[1 if second else 0]

    return step


def _written(text: str, forms: tuple[re.Pattern[str], ...]) -> list[Decimal]:
    for form in forms:
        if match := form.fullmatch(text):
            return [_exact(part.replace(",", ".")) for part in match.groups() if part is not None]
    raise StepReject("not_a_coordinate")


def _number(part: Any) -> Decimal:
    """A number of a list, or a text that is one."""
    if isinstance(part, str) and _NUMBER.fullmatch(part.strip()):
        return _exact(part.strip())
    if isinstance(part, bool) or not isinstance(part, int | float | Decimal):
        raise StepReject("not_a_coordinate")
    return _exact(repr(part) if isinstance(part, float) else str(part))


def _exact(text: str) -> Decimal:
    try:
        return exact_decimal(text)
    except NumberBeyond:
        raise StepReject("not_a_coordinate") from None


def geometry(given: Any, context: StepContext) -> Step:
    """`geometry: {notation: coordinates | geojson | wkt, axis: latlng | lnglat}`: a GeoJSON Polygon or MultiPolygon, lng-lat.

    Bare coordinates: nesting of 3 is a Polygon, of 4 a MultiPolygon. `axis: latlng` swaps every position.
    """
    options = context.options(given, "notation", "axis")
    notation, axis = options.get("notation", "geojson"), options.get("axis", "lnglat")
    if notation not in {"coordinates", "geojson", "wkt"} or axis not in {"latlng", "lnglat"}:
        context.refuse("geometry takes notation (coordinates, geojson, wkt) and axis (latlng, lnglat)")
    swap = axis == "latlng"

    def step(value: Any, _: Row) -> Any:
        if notation == "wkt":
            found: Any = _from_wkt(need_text(value))
        else:
            found = _loaded(value) if isinstance(value, str) else value
        if notation != "coordinates":
            if not isinstance(found, Mapping) or found.get("type") not in _DEPTHS.values():
                raise StepReject("geometry_malformed")
            coordinates, kind = found.get("coordinates"), str(found["type"])
        else:
            coordinates = found
            kind = _DEPTHS.get(_depth(coordinates), "")
        if not kind:
            raise StepReject("geometry_depth")
        return {"type": kind, "coordinates": _positions(coordinates, swap=swap)}

    return step


def _from_wkt(text: str) -> Any:
    """A text of OGC 06-103r4 as a GeoJSON object, its height left out. An SRID before it (EWKT) and curves are refused."""
    import shapely  # noqa: PLC0415 - GEOS and numpy are loaded by the first geometry
    from shapely.geometry import mapping  # noqa: PLC0415 - the same

    if len(text) > _MOST_TEXT:
        raise StepReject("geometry_malformed")
    try:
        return json.loads(json.dumps(mapping(shapely.force_2d(shapely.from_wkt(text)))))
    except (shapely.errors.ShapelyError, NotImplementedError):  # the second is what shapely says of every curve
        raise StepReject("geometry_malformed") from None


def _loaded(text: str) -> Any:
    if len(text) > _MOST_TEXT:
        raise StepReject("geometry_malformed")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise StepReject("json_malformed") from None


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list) and value:
        value, depth = value[0], depth + 1
    return depth


def _positions(value: Any, *, swap: bool) -> Any:
    if not isinstance(value, list) or not value:
        raise StepReject("geometry_malformed")
    if isinstance(value[0], list):
        return [_positions(part, swap=swap) for part in value]
    if len(value) not in _POSITION_LENGTHS or any(
        isinstance(part, bool) or not isinstance(part, int | float | Decimal) for part in value
    ):
        raise StepReject("geometry_malformed")
    first, second = float(value[0]), float(value[1])
    return [second, first] if swap else [first, second]


STEPS: Mapping[str, Builder] = {"hemisphere": hemisphere, "position": position, "geometry": geometry}
