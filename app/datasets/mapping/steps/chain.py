"""What steps take and give, by name: a chain that can never give its field's type is refused when it is written, not row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.datasets.mapping.steps.contract import StepContext

_TEXT, _NUMBER, _LIST = frozenset({"text"}), frozenset({"number"}), frozenset({"list"})
_TAKES: Mapping[str, frozenset[str]] = {
    "text": _TEXT,
    "slice": _TEXT,
    "split": _TEXT,
    "join": _LIST,
    "as_text": frozenset({"text", "number", "date", "datetime"}),
    "number": frozenset({"text", "number"}),
    "multiply": _NUMBER,
    "unit": _NUMBER,
    "date": frozenset({"text", "date", "datetime"}),
    "datetime": frozenset({"text", "datetime"}),
    "crosswalk": _TEXT,
    "lookup": _TEXT,
    "hemisphere": _TEXT,
    "position": frozenset({"text", "list"}),
    "geometry": frozenset({"text", "list", "object"}),
    "each": _LIST,
    "prices": _TEXT,
    "felt": _TEXT,
}
"""What a step takes; one that is not named here takes everything."""
_GIVES: Mapping[str, str] = {
    "text": "text",
    "slice": "text",
    "join": "text",
    "as_text": "text",
    "boolean": "boolean",
    "number": "number",
    "multiply": "number",
    "unit": "number",
    "date": "date",
    "datetime": "datetime",
    "crosswalk": "text",
    "lookup": "text",
    "hemisphere": "number",
    "position": "number",
    "geometry": "object",
    "each": "list",
    "prices": "list",
    "felt": "list",
}
"""What a step gives; of one that is not named here (`codes`, `list: first`) it depends on the value."""
_FIELDS = {"integer": "number", "decimal": "number", "number": "number", "geometry": "object"}
_CONSTANTS: tuple[tuple[type, str], ...] = (
    (str, "text"), (bool, "boolean"), (int, "number"), (float, "number"), (list, "list"), (dict, "object"),
)  # fmt: skip
_MEND = {
    "text": "text, as_text",
    "number": "number",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "list": "list, split, each",
    "object": "geometry",
}


def check_chain(source: str, given: Any, steps: Sequence[tuple[str, Any]], context: StepContext) -> None:
    """Refuses a step that can never take what comes to it, and an end that can never be the field's type."""
    kind = (
        _of_constant(given) if source == "const" else "list" if source == "from" and isinstance(given, list) else None
    )
    if source == "const" and given is None:
        return
    for name, options in steps:
        takes = _TAKES.get(name)
        if kind is not None and takes is not None and kind not in takes:
            context.at(name).refuse(f"it takes {' or '.join(sorted(takes))}, and what comes to it is {kind}")
        two = isinstance(given, list) and len(given) == 2 and source == "from"
        if name == "geometry" and isinstance(options, Mapping) and options.get("notation") == "columns" and not two:
            context.at(name).refuse("notation columns takes two columns: from: [Lintang, Bujur], and stands first")
        kind = _given(name, options)
    wanted = context.spec.kind if context.spec is not None else None
    if wanted is None or kind is None or kind == _FIELDS.get(wanted, wanted):
        return
    last = context.at(steps[-1][0]) if steps else context.at(source)
    last.refuse(
        f"it gives {kind}, and the field is {wanted}; end with {_MEND.get(_FIELDS.get(wanted, wanted), wanted)}"
    )


def _of_constant(given: Any) -> str | None:
    return next((name for kind, name in _CONSTANTS if isinstance(given, kind)), None)


def _given(name: str, options: Any) -> str | None:
    if name == "split":
        return "text" if isinstance(options, Mapping) and options.get("part") is not None else "list"
    if name == "list":
        return {"first": None, "keep": "list"}.get(options, "text") if isinstance(options, str) else "text"
    return _GIVES.get(name)
