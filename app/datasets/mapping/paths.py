"""The nested paths (`$.lokasi.lat`, `$['@id'].teks[0]`) of a mapping, and whether they lead anywhere in a raw record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MEMBER = r"\.[^.\[\]]+|\['[^']+'\]"
_PATH = re.compile(rf"\$(?:{_MEMBER})(?:{_MEMBER}|\[\d+\])*")
_STEP = re.compile(r"\.([^.\[\]]+)|\['([^']+)'\]|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Path:
    """A path, and where it stands in the manifest."""

    pointer: str
    text: str
    steps: tuple[str | int, ...]

    def stands_in(self, row: Mapping[str, Any]) -> bool:
        """Whether the record has the member at the end of the path, be it null."""
        found: Any = row
        for step in self.steps:
            if isinstance(step, int):
                if not isinstance(found, list) or step >= len(found):
                    return False
            elif not isinstance(found, Mapping) or step not in found:
                return False
            found = found[step]
        return True


def is_path(name: str) -> bool:
    """Whether a name in `from` is meant as a path; one that is none then is a fault (`sound`)."""
    return name.startswith(("$.", "$["))


def sound(path: str) -> bool:
    """Whether a path is written as one: a member of the record, then members and indexes."""
    return _PATH.fullmatch(path) is not None


def steps_of(path: str) -> tuple[str | int, ...]:
    """The members and indexes that a sound path goes through."""
    return tuple(plain or quoted or int(index) for plain, quoted, index in _STEP.findall(path[1:]))


def paths_of(fields: Mapping[str, Any]) -> list[Path]:
    """Every path of a mapping; those inside `each` start at an item and are not among them."""
    return [
        Path(pointer, text, steps_of(text))
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
