"""The steps that a field's mapping may take, by the name they have in a manifest."""

from __future__ import annotations

from collections.abc import Mapping

from app.datasets.mapping.steps import codes, coordinates, lists, numbers, texts, times
from app.datasets.mapping.steps.contract import Builder

STEPS: Mapping[str, Builder] = {
    **texts.STEPS,
    **numbers.STEPS,
    **times.STEPS,
    **codes.STEPS,
    **coordinates.STEPS,
    **lists.STEPS,
}
"""Name -> function (options, context) -> step. `months` and `else` stand beside a step and are no steps."""
