"""Soft rules of records that have a position: what is doubtful about a pair of coordinates in Indonesia."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.schemas.base import SoftRule

SOUTH, NORTH, WEST, EAST = -11.5, 6.5, 94.5, 141.5
"""Indonesia's islands with half a degree of sea (Rote 11.0 S, Sabang 5.9 N, Sabang 95.0 E, Merauke 141.0 E)."""


def _inside(values: Mapping[str, Any]) -> bool:
    return bool(SOUTH <= values["lat"] <= NORTH and WEST <= values["lng"] <= EAST)


POSITION_RULES = (
    SoftRule(
        field="lat",
        code="outside_indonesia",
        needs=("lat", "lng"),
        holds=_inside,
        sure={"lat": (SOUTH, NORTH), "lng": (WEST, EAST)},
        detail_id="posisi berada di luar Indonesia; apakah lintang dan bujur tertukar?",
        detail_en="the position lies outside Indonesia; are latitude and longitude swapped?",
    ),
)
