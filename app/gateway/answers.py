"""A whole answer: the form that was asked for, and the finished bytes before their release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.gateway.spool import Spool

MARK: Final = b'"mode":"uji"'
"""What the JSON object of an answer of practice begins with."""
MARKED_FORMS: Final = frozenset({"json", "geojson"})


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """The format asked for. `indonesian` is the CSV that Excel there reads."""

    form: str
    indonesian: bool = False


@dataclass(slots=True)
class FinishedAnswer:
    """A finished answer, not yet released."""

    spool: Spool
    complete: bool
    rows: int
    form: AnswerForm
