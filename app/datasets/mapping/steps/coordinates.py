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
    """`geometry: {notation: coordinates | geojson | wkt | columns, axis: latlng | lnglat}`: a GeoJSON Polygon or MultiPolygon, lng-lat.

    Bare coordinates: nesting of 3 is a Polygon, of 4 a MultiPolygon. `axis: latlng` swaps every position. `columns`: the corners stand in
    `from: [Lintang, Bujur]`, a list of numbers in each or a text with `by` between them, in the notation `decimal` or `hemisphere: true`.
    """
    options = context.options(given, "notation", "axis", "by", "decimal", "hemisphere")
    notation, axis = options.get("notation", "geojson"), options.get("axis", "lnglat")
    if notation not in {"coordinates", "geojson", "wkt", "columns"} or axis not in {"latlng", "lnglat"}:
        context.refuse("geometry takes notation (coordinates, geojson, wkt, columns) and axis (latlng, lnglat)")
    swap = axis == "latlng"
    if notation == "columns":
        return _corners(options, context, swap=swap)
    beside = next((name for name in ("by", "decimal", "hemisphere") if name in options), None)
    if beside is not None:
        context.at(beside).refuse(f"{beside} is for notation columns; leave it out")

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


def _corners(options: Mapping[str, Any], context: StepContext, *, swap: bool) -> Step:
    """The step for corners in two columns: a Polygon of one ring in their order."""
    by, decimal, halves = options.get("by"), options.get("decimal", "."), options.get("hemisphere", False)
    if "axis" not in options:
        context.refuse(
            "two columns need axis: latlng where the first holds latitudes, lnglat where it holds longitudes"
        )
    if (
        (by is not None and (not isinstance(by, str) or not by))
        or decimal not in {".", ","}
        or halves not in {True, False}
    ):
        context.refuse(
            "columns takes by (the text between coordinates), decimal (a point or a comma) and hemisphere: true"
        )
    if by is not None and decimal in by:
        context.at("by").refuse(f"{by!r} cannot stand between coordinates whose decimal mark it is")
    if halves and by is not None and not by.strip():
        context.at("by").refuse("a blank stands before the hemisphere; the coordinates need another sign between them")
    single = _with_hemisphere(context) if halves else _decimal_text(decimal)

    def step(value: Any, row: Row) -> Any:
        if not isinstance(value, list) or len(value) != 2:
            raise StepReject("geometry_malformed")
        first, second = (_of_column(part, by, single, row) for part in value)
        if first is None and second is None:
            return None
        if not first or not second or len(first) != len(second):
            raise StepReject("geometry_malformed")
        lng, lat = (second, first) if swap else (first, second)
        return {"type": "Polygon", "coordinates": [[list(corner) for corner in zip(lng, lat, strict=True)]]}

    return step


def _of_column(value: Any, by: str | None, single: Step, row: Row) -> list[float] | None:
    """The coordinates that stand in one column; a single one is a point, which is no area."""
    parts = value
    if isinstance(value, str):
        text = value.strip()
        parts = text.split(by) if by is not None else _loaded(text) if text.startswith("[") else text
    if parts is not None and not isinstance(parts, list):
        raise StepReject("geometry_depth")
    return None if parts is None else [float(single(part, row)) for part in parts]


def _with_hemisphere(context: StepContext) -> Step:
    """One coordinate as `hemisphere` reads it; a comma is its decimal mark."""
    read = hemisphere(True, context)  # noqa: FBT003 - what a manifest gives
    return lambda value, row: read(value.strip().replace(",", ".") if isinstance(value, str) else value, row)


def _decimal_text(decimal: str) -> Step:
    """One coordinate as a number, or as text with this decimal mark."""
    written = re.compile(rf"-?\d+(?:{re.escape(decimal)}\d+)?", re.ASCII)

    def step(value: Any, _: Row) -> Any:
        if not isinstance(value, str):
            return _number(value)
        if written.fullmatch(value.strip()) is None:
            raise StepReject("not_a_coordinate")
        return _exact(value.strip().replace(decimal, "."))

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
