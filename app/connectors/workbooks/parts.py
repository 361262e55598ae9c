"""The parts of an Open Packaging archive (XLSX, XLSB) and what refers to what."""

from __future__ import annotations

import posixpath
from typing import Final
from xml.etree import ElementTree as ET
from zipfile import ZipFile

BUILT_IN_PERCENTS: Final = frozenset({"9", "10"})
"""Number formats without a text of their own that are percentages."""


def local(name: str) -> str:
    """A tag without its namespace."""
    return name.rpartition("}")[2]


def tree(archive: ZipFile, part: str) -> ET.Element:
    """The XML of a part."""
    return ET.fromstring(archive.read(part))  # noqa: S314 - in a child under limits, and expat bounds entities


def relations(archive: ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Id -> (kind, part) of what a part refers to."""
    folder, name = posixpath.split(part)
    found = {}
    for relation in tree(archive, posixpath.join(folder, "_rels", f"{name}.rels")):
        part_of_it = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", ""))).lstrip("/")
        found[relation.get("Id", "")] = (relation.get("Type", "").rpartition("/")[2], part_of_it)
    return found


def target(archive: ZipFile, part: str, kind: str) -> str:
    """The part of this kind that a part refers to; empty where there is none."""
    return next((behind for found, behind in relations(archive, part).values() if found == kind), "")
