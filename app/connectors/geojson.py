"""Features of GeoJSON (RFC 7946) as records: their properties with geometry and id beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_OWN = ("geometry", "id")


class FeatureColumns:
    """What the feature's own members are called beside its properties: `geometry` and `id`.

    A property of that name keeps it: then the feature's own member is called `feature_geometry` or `feature_id`, in every record from the
    first that has properties on.
    """

    def __init__(self) -> None:
        self._names: Mapping[str, str] | None = None

    def records(self, features: Sequence[Any]) -> list[Any]:
        """The records of these features; what is no feature is given as it is, to be rejected as such."""
        known = [one for one in features if isinstance(one, dict) and isinstance(one.get("properties"), dict)]
        if known and self._names is None:
            taken = {name for name in _OWN if any(name in one["properties"] for one in known)}
            self._names = {name: f"feature_{name}" if name in taken else name for name in _OWN}
        names = self._names or {name: name for name in _OWN}
        return [_record(one, names) for one in features]


def _record(feature: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(feature, dict):
        return feature
    properties = feature.get("properties")
    if properties is not None and not isinstance(properties, dict):
        return properties  # no object: rejected as such
    return {**(properties or {}), **{names[member]: feature.get(member) for member in _OWN}}
