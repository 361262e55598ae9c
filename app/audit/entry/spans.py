"""What `erasure` entries say: which entries lost their detail. Spans as text, and looking one up.

Pure. The span list stands in the member `q`, digits grouped (`17 1_020-1_031`), and moves into the detail when it is long.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from app.errors import EntryInvalid

Span = tuple[int, int]
"""First and last index, both included."""


def spans_of(indexes: Iterable[int]) -> list[Span]:
    """Runs of rising distinct indexes."""
    found: list[Span] = []
    for index in indexes:
        if found and found[-1][1] + 1 == index:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return found


def spans_text(spans: Sequence[Span]) -> str:
    """Spans as `q` of an erasure entry holds them."""
    return " ".join(f"{first:_}" if first == last else f"{first:_}-{last:_}" for first, last in spans)


def parse_spans(text: str) -> list[Span]:
    """The spans of `spans_text`. EntryInvalid for anything else."""
    found: list[Span] = []
    for part in text.split(" "):
        first, _, last = part.partition("-")
        try:
            found.append((int(first), int(last or first)))
        except ValueError:
            raise EntryInvalid("/q: not a list of erased entries") from None
    if any(first > last for first, last in found):
        raise EntryInvalid("/q: a span of erased entries goes backwards")
    return found


def entry_spans(found: dict[str, Any], detail: dict[str, Any] | None) -> list[Span]:
    """The spans of an erasure entry; `detail` where its list moved there. EntryInvalid when the list is missing."""
    text = found.get("q")
    if isinstance(text, dict):
        text = (detail or {}).get("lists", {}).get("q")
    if not isinstance(text, str):
        raise EntryInvalid("/q: an erasure names the entries whose detail it erased")
    return parse_spans(text)


class Erased:
    """Which erasure entry erased the detail of which entry."""

    def __init__(self, erasures: Iterable[tuple[int, Sequence[Span]]] = ()) -> None:
        """Pairs of (index of the erasure entry, its spans). A span that reaches its own entry or beyond counts for nothing."""
        known = sorted((first, last, by) for by, spans in erasures for first, last in spans if last < by)
        self._spans: list[tuple[int, int, int]] = []
        for first, last, by in known:
            start = max(first, self._spans[-1][1] + 1) if self._spans else first
            if start <= last:
                self._spans.append((start, last, by))

    def by(self, index: int) -> int | None:
        """Index of the erasure entry that covers an entry; None when there is none."""
        at = bisect_right(self._spans, (index, 2**63, 0)) - 1
        if at < 0 or self._spans[at][1] < index:
            return None
        return self._spans[at][2]
