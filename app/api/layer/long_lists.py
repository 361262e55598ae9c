"""A long list inside a JSON body, read part by part: the whole of it as Python values would take ten times the memory of its text.

Only a body of the plain form is parted: one object whose other members are flat, items that are texts, numbers, words, or objects
at most two deep. Every part is read by the same reader as a whole body; what is parted is valid as a whole when its parts are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from app.connectors.json_text import duplicate_name

LONG_LIST_DEPTH = 5
"""Levels of the deepest body that is parted."""
_BLANK = rb"[ \t\n\r]*+"
_TEXT = rb'"(?:[^"\\]++|\\.)*+"'
_WORD = rb"[-+.0-9A-Za-z]++"
_FLAT = rb"\{(?:[^{}\[\]\"]++|" + _TEXT + rb")*+\}"
_OBJECT = rb"\{(?:[^{}\[\]\"]++|" + _TEXT + rb"|" + _FLAT + rb")*+\}"
_ITEM = rb"(?:" + _TEXT + rb"|" + _OBJECT + rb"|" + _WORD + rb")"
_LIST = rb"\[(?:[^{}\[\]\"]++|" + _TEXT + rb")*+\]"
_MEMBER = _BLANK + _TEXT + _BLANK + rb":" + _BLANK + rb"(?:" + _TEXT + rb"|" + _LIST + rb"|" + _WORD + rb")" + _BLANK
_BEFORE = (
    _BLANK
    + rb"\{(?:(?!"
    + _BLANK
    + rb'"%b")'
    + _MEMBER
    + rb",)*+"
    + _BLANK
    + rb'"%b"'
    + _BLANK
    + rb":"
    + _BLANK
    + rb"\["
)
_AFTER = re.compile(_BLANK + rb"\]" + _BLANK + rb"(?:," + _MEMBER + rb")*+\}" + _BLANK, re.DOTALL)
_RUN = re.compile(rb"(?:" + _BLANK + _ITEM + _BLANK + rb",)*+", re.DOTALL)
_LAST = re.compile(_BLANK + _ITEM, re.DOTALL)


@dataclass(frozen=True, slots=True)
class LongList:
    """Where the items of one member stand in a body. `rest` is the body with an empty list there."""

    member: str
    body: bytes
    first: int
    last: int
    rest: bytes

    def parts(self, most: int) -> Iterator[list[Any]]:
        """The items, at most so many at once. Raises `orjson.JSONDecodeError` for what is none."""
        run = re.compile(rb"(?:" + _BLANK + _ITEM + _BLANK + rb",){1,%d}+" % most, re.DOTALL)
        start = self.first
        while (found := run.match(self.body, start, self.last)) is not None:
            yield _read(b"[%b]" % self.body[start : found.end() - 1])
            start = found.end()
        yield _read(b"[%b]" % self.body[start : self.last])


def _read(part: bytes) -> list[Any]:
    items: list[Any] = orjson.loads(part)
    if b"{" in part and (position := duplicate_name(part)) is not None:
        raise orjson.JSONDecodeError(f"a name stands twice in one object ({position} of a part)", "", 0)
    return items


def long_list(body: bytes, member: str) -> LongList | None:
    """The items of this member; None where the body is not of the plain form, or names the member twice."""
    name = member.encode()
    head = re.compile(_BEFORE % (name, name), re.DOTALL).match(body)
    if head is None:
        return None
    run = _RUN.match(body, head.end())
    last = _LAST.match(body, run.end() if run is not None else head.end())
    tail = None if last is None else _AFTER.fullmatch(body, last.end())
    if last is None or tail is None or b"\\" in head[0] + tail[0] or b'"%b"' % name in tail[0]:
        return None
    return LongList(member, body, head.end(), last.end(), head[0] + tail[0].lstrip())
