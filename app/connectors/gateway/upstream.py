"""What another gateway says beside its records: who of its agencies is missing, and under which number it recorded the question."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.connectors.contract import Upstream
from app.connectors.http import HttpAnswer
from app.errors import SourceFormatError, SourcePartial

_ANSWERED = frozenset({"ok", "stale"})
_MOST_RECEIPTS = 20
_MOST_TOLD = 10
_GRANTED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the other gateway."""

    items: Sequence[Mapping[str, Any]]
    cursor: str | None
    upstream: Upstream
    notes: list[str]
    """What a steward has to know, told once a read."""


class Reading:
    """The pages of one read, and what they say together."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._receipts: list[str] = []
        self._absent: dict[str, str] = {}
        self._incomplete = False
        self._cursors: set[str] = set()

    def page(self, document: Any, answer: HttpAnswer) -> Page:
        """The records of an answer. Raises `SourceFormatError` for what no gateway answers."""
        if not isinstance(document, dict) or not isinstance(document.get("complete"), bool):
            raise SourceFormatError(
                "this is no answer of a gateway: it does not say whether it is complete", field="/source/url"
            )
        items, sources, cursor = _objects(document, "items"), _objects(document, "sources"), document.get("next_cursor")
        if not (cursor is None or isinstance(cursor, str)):
            raise SourceFormatError("this is no answer of a gateway: next_cursor is no text", field="/source/url")
        if cursor is not None and cursor in self._cursors:
            raise SourceFormatError("the other gateway gives the same page again and again", field="/source/url")
        self._cursors.add(cursor or "")
        before = self._incomplete
        self._note(document["complete"], sources, answer)
        missing = self._missing()
        notes = [missing.detail] if missing is not None and not before else []
        return Page(items, cursor, Upstream(tuple(self._receipts), missing), notes)

    def _note(self, complete: bool, sources: Sequence[Mapping[str, Any]], answer: HttpAnswer) -> None:
        exchange = answer.headers.get("exchange-id")
        if exchange and len(self._receipts) < _MOST_RECEIPTS:
            self._receipts.append(f"{self._url}/v1/exchanges/{exchange}/receipt")
        if complete:
            return
        self._incomplete = True
        for one in sources:
            if one.get("status") not in _ANSWERED:
                self._absent[f"{one.get('agency')} ({one.get('dataset')})"] = str(one.get("status"))

    def _missing(self) -> SourcePartial | None:
        if not self._incomplete:
            return None
        told = ", ".join(f"{name}: {status}" for name, status in list(self._absent.items())[:_MOST_TOLD])
        more = len(self._absent) - _MOST_TOLD
        told += f" and {more} more" if more > 0 else ""
        return SourcePartial(f"the other gateway's answer is not complete: {told or 'it does not say why'}"[:1000])


@dataclass(frozen=True, slots=True)
class Granted:
    """What some agency there withholds from this client, or masks, as it was told at a time (monotonic seconds)."""

    withheld: frozenset[str]
    masked: frozenset[str]
    at: float

    @property
    def old(self) -> bool:
        """Whether it is asked again."""
        return time.monotonic() - self.at > _GRANTED_SECONDS


def granted(explained: Any) -> Granted:
    """What an explanation tells of the client's grants. Raises `SourceFormatError`."""
    sources = _objects(explained, "sources")
    withheld, masked = (
        frozenset(name for one in sources for name in one.get(member) or ()) for member in ("withheld", "masked")
    )
    return Granted(withheld, masked, time.monotonic())


def _objects(document: Any, name: str) -> list[dict[str, Any]]:
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise SourceFormatError(f"this is no answer of a gateway: {name} is no list of objects", field="/source/url")
    return found
