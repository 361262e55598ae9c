"""How a rejected value is shown in quarantine and preview: enough to find the row's trouble, never the value itself."""

from __future__ import annotations

from typing import Any

_CLASSES = ((4, "1-4"), (8, "5-8"), (16, "9-16"), (32, "17-32"), (128, "33-128"))


def mask(value: Any) -> str:
    """First and last character and a length class: `J…a (5-8)`. Digits show as `#`, short values show no character."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return f"[list of {len(value)}]"
    if isinstance(value, dict):
        return f"[object of {len(value)}]"
    text = value if isinstance(value, str) else str(value)
    size = next((name for most, name in _CLASSES if len(text) <= most), "over 128")
    if not text:
        return "(empty)"
    if len(text) <= 4:
        return f"… ({size})"
    return f"{_shown(text[0])}…{_shown(text[-1])} ({size})"


def _shown(character: str) -> str:
    if character.isdigit() or character.isnumeric():
        return "#"
    return character if character.isprintable() else "?"
