"""Where the records of a JSON document may be: every list of objects in it, and whether it is GeoJSON. Shared by files and services."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"[^.\[\]']+")
_DEPTH = 6
_MOST_ITEMS = 2_000


def record_lists(document: Any, path: str = "$", depth: int = 0) -> Iterator[tuple[str, int, int]]:
    """Every list of objects in a document: its path, how many objects, how many members they have in common use."""
    if depth > _DEPTH:
        return
    if isinstance(document, list):
        objects = [one for one in document if isinstance(one, Mapping)]
        if objects and len(objects) == len(document):
            yield f"{path}[*]", len(objects), max(len(one) for one in objects[:_MOST_ITEMS])
        return
    if isinstance(document, Mapping):
        for name, value in document.items():
            step = f".{name}" if _PLAIN.fullmatch(str(name)) else f"['{name}']"
            if "'" not in str(name):
                yield from record_lists(value, path + step, depth + 1)


def records_path(document: Any) -> tuple[str, str] | None:
    """The path to the records and why; None where the document itself is one record, or the list is its only list at the top."""
    found = sorted(record_lists(document), key=lambda one: (-one[1] * one[2], one[0]))
    if not found:
        return None
    path, count, members = found[0]
    others = f"; other lists: {', '.join(f'{other} ({size})' for other, size, _ in found[1:4])}" if found[1:] else ""
    return path, f"{count} objects with up to {members} members stand there{others}"


def is_geojson(document: Any) -> bool:
    """Whether it is a FeatureCollection (RFC 7946)."""
    return (
        isinstance(document, Mapping)
        and document.get("type") == "FeatureCollection"
        and isinstance(document.get("features"), list)
    )
