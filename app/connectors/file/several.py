"""A location that means several files: `inbox/harga-{bulan}-{tahun}.xlsx`. A name in braces is a part of the file's name and a column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.connectors.agency_files import agency_file
from app.errors import SourceMissing, SourceTooLarge

MOST_FILES = 1_000
_SIGN = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,62})\}|(\*)")


@dataclass(frozen=True, slots=True)
class OneFile:
    """A file that a location means, and what its name says."""

    location: str
    parts: Mapping[str, str]


def is_pattern(location: str) -> bool:
    """Whether a location means several files."""
    return "*" in location or "{" in location or "}" in location


def part_names(location: str) -> tuple[str, ...]:
    """The columns that the name of each file gives. Raises `ValueError` where the pattern is not written as one."""
    folder, _, name = location.rpartition("/")
    if is_pattern(folder):
        raise ValueError("* and {name} stand in the name of the file, not in its folder")
    if re.search(r"[{}]", _SIGN.sub("", name)):
        raise ValueError("a part of a file's name is written {bulan}: letters, digits and _ in braces")
    names = [match[1] for match in _SIGN.finditer(name) if match[1]]
    if len(set(names)) < len(names):
        raise ValueError("each part of a file's name is named once")
    return tuple(names)


def literal_start(name: str) -> str:
    """What every name that the pattern means begins with."""
    first = _SIGN.search(name)
    return name if first is None else name[: first.start()]


def files_of(root: Path, location: str) -> list[OneFile]:
    """The files in the order of their names. Raises `SourceMissing` where there is none, `SourceTooLarge` above 1,000."""
    folder, _, name = location.rpartition("/")
    pattern = matching(name)
    found = []
    base = root / folder
    for path in sorted(base.iterdir(), key=lambda one: one.name) if base.is_dir() else ():
        match = pattern.fullmatch(path.name)
        if match is None or path.name.startswith("."):
            continue
        inner = f"{folder}/{path.name}" if folder else path.name
        agency_file(root, inner)  # a link that leads out of the folder is refused
        found.append(OneFile(inner, match.groupdict()))
    if not found:
        detail = f"no file in the agency's folder fits {location}; upload one"
        raise SourceMissing(detail, field="/source/location")
    if len(found) > MOST_FILES:
        detail = f"{len(found)} files fit {location}; at most {MOST_FILES} are one dataset"
        raise SourceTooLarge(detail, field="/source/location", limit_files=MOST_FILES)
    return found


def matching(name: str) -> re.Pattern[str]:
    """What the names that a pattern means look like, its parts as groups."""
    parts, end = [], 0
    for match in _SIGN.finditer(name):
        parts.append(re.escape(name[end : match.start()]))
        parts.append(f"(?P<{match[1]}>[^/]+?)" if match[1] else "[^/]*")
        end = match.end()
    return re.compile("".join([*parts, re.escape(name[end:])]))
