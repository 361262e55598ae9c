"""A page of the documentation as a test sees it: sections by heading, and the code blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_HEADING = re.compile(r"^(#{1,4}) (.+)$")
_BORDER = re.compile(r"(?<!\\)\|")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading, up to the next: the heading of level 2 above it, its own heading, its text."""

    part: str
    heading: str
    text: str

    def blocks(self, language: str) -> list[str]:
        """The code blocks of a language."""
        return [body for found, body in _FENCE.findall(self.text) if found == language]

    @property
    def prose(self) -> str:
        """The text without code blocks."""
        return _FENCE.sub("", self.text).strip()


@cache
def sections(page: str) -> tuple[Section, ...]:
    """The sections of a page under `docs`; a line inside a code block is no heading."""
    found: list[tuple[str, str, list[str]]] = []
    part, fenced = "", False
    for line in (DOCS / page).read_text("utf-8").splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            if found:
                found[-1][2].append(line)
            continue
        part = heading[2] if len(heading[1]) <= 2 else part
        found.append((part, heading[2], []))
    return tuple(Section(part, heading, "\n".join(lines) + "\n") for part, heading, lines in found)


def table_rows(text: str) -> list[list[str]]:
    """The cells of every row of the tables in a text, without heads and rules; an escaped bar is no border."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in _BORDER.split(line)[1:-1]] for line in rows]
    rules = [place for place, line in enumerate(rows) if set(line) <= set("|-: ")]
    return [line for place, line in enumerate(cells) if place not in rules and place + 1 not in rules]
