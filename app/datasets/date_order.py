"""Whether dates that fit no stated format would fit with day and month the other way round: a hint, never a guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from app.datasets.mapping.codes import empty_code_book
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.contract import Step, StepContext


class DateOrder:
    """Counts, for each date field with stated formats, how many of its rejected texts fit the other order."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._others: dict[str, tuple[str, Step, str]] = {}
        self._met: Counter[str] = Counter()
        self._fit: Counter[str] = Counter()
        for name, given in fields.items():
            if isinstance(given, Mapping) and isinstance(given.get("from"), str) and "date" in given:
                self._add(name, given)

    def met(self, name: str, row: Mapping[str, Any]) -> None:
        """A record whose field was rejected as no date."""
        if name not in self._others:
            return
        column, step, _ = self._others[name]
        self._met[name] += 1
        try:
            step(row.get(column), row)
        except StepReject:
            return
        self._fit[name] += 1

    def hints(self) -> list[str]:
        """What to say of the fields whose rejects fit the other order."""
        return [
            f"{name}: {fit} of {self._met[name]} rejected dates fit {self._others[name][2]}; is the day behind the month there?"
            for name, fit in self._fit.items()
        ]

    def _add(self, name: str, given: Mapping[str, Any]) -> None:
        listed = given["date"] if isinstance(given["date"], list) else [given["date"]]
        formats = [_swapped(one) for one in listed if isinstance(one, str) and "%d" in one and "%m" in one]
        if formats:
            context = StepContext(f"/fields/{name}/date", empty_code_book(), "UTC")
            self._others[name] = (given["from"], STEPS["date"](formats, context), ", ".join(formats))


def _swapped(pattern: str) -> str:
    return pattern.replace("%d", "%\0").replace("%m", "%d").replace("%\0", "%m")
