"""What a text of SQL says where the parser has names of its own: by which word a function was called (`strftime`, not TIME_TO_STR)."""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_WORD = re.compile(r"[A-Za-z_]\w*")
_MOST_CALLS = 50
_MISSING = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]*?(\w+)'>\.?")


def called(node: exp.Expr, text: str) -> str | None:
    """The word in the text that was parsed, None where there is none: an operator, a word without brackets.

    The parser notes where most calls stand; of the others each word before a bracket is tried.
    """
    start, end = node.meta.get("start"), node.meta.get("end")
    if isinstance(start, int) and isinstance(end, int) and _WORD.fullmatch(word := text[start : end + 1]):
        return word
    words = list(dict.fromkeys(_CALL.findall(text)))[:_MOST_CALLS]
    return next((word for word in words if _makes(word, type(node))), None)


def without_classes(said: str) -> str:
    """What the parser says of a text that it cannot read, without the names of its own classes."""
    return _MISSING.sub(lambda match: f"an argument of {match[1].lower()} is missing;", said)


def _makes(word: str, kind: type[exp.Expr]) -> bool:
    for arguments in ("a, 1", "a"):
        try:
            tree = sqlglot.parse_one(f"SELECT {word}({arguments})", dialect="duckdb")
        except SqlglotError:
            continue
        if tree.find(kind) is not None:
            return True
    return False
