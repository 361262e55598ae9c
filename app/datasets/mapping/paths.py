"""The nested paths (`$.lokasi.lat`, `$['@id'].teks[0]`) of a mapping, and whether they lead anywhere in a raw record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.connectors.json_paths import JsonPath, NothingThere


@dataclass(frozen=True, slots=True)
class MappedPath:
    """A path, and where it stands in the manifest."""

    pointer: str
    path: JsonPath

    @property
    def text(self) -> str:
        """As it is written."""
        return self.path.text

    def stands_in(self, row: Mapping[str, Any]) -> bool:
        """Whether the record has the member at the end of the path, be it null."""
        try:
            return bool(self.path.values(row))
        except NothingThere:
            return False


def is_path(name: str) -> bool:
    """Whether a name in `from` is meant as a path; one that is none then is a fault (`JsonPath.in_record`)."""
    return name.startswith(("$.", "$["))


def paths_of(fields: Mapping[str, Any]) -> list[MappedPath]:
    """Every path of a mapping; those inside `each` start at an item and are not among them."""
    return [
        MappedPath(pointer, JsonPath.in_record(text))
        for name, given in fields.items()
        for pointer, text in _named(given, f"/fields/{name}")
        if is_path(text)
    ]


def _named(given: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(given, str):
        yield pointer, given
        return
    if not isinstance(given, Mapping):
        return
    source = given.get("from")
    for name in source if isinstance(source, list) else [source]:
        if isinstance(name, str):
            yield f"{pointer}/from", name
    branches = given.get("when")
    for index, branch in enumerate(branches if isinstance(branches, list) else []):
        if isinstance(branch, Mapping):
            yield from _named(branch, f"{pointer}/when/{index}")
