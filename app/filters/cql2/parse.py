"""CQL2 (OGC 21-065), text and JSON, to the filter tree. Literals are exact; names and types are not looked at here.

Supported: basic and advanced comparison, CASEI, ACCENTI, field against field, arithmetic, relations of time, S_INTERSECTS.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

from app.errors import FieldError, FilterMalformed
from app.filters.cql2 import text as cql2_text
from app.filters.cql2 import tree as cql2_tree
from app.filters.cql2.lexer import MAX_DEPTH, MAX_OPERATORS, malformed, too_complex
from app.filters.tree import Filter
from app.schemas.numbers import exact_decimal, exact_number

MAX_JSON_CHARACTERS = 16_384
"""CQL2-JSON says the same as 2,048 characters of text in several times the space."""


def parse_filter(value: str | dict[str, Any] | bool) -> Filter:
    """A filter in either form: a text that starts with `{` is CQL2-JSON, any other text is CQL2 text."""
    if isinstance(value, str):
        return parse_json(value) if value.lstrip().startswith("{") else parse_text(value)
    return parse_json(value)


def parse_text(text: str) -> Filter:
    """CQL2 text. Raises FilterTooComplex, FilterMalformed (with the position) or OperatorUnsupported."""
    if not text.strip():
        malformed(text, 0, "the filter is empty; leave the parameter out instead")
    return cql2_tree.build(cql2_text.parse(text))


def parse_json(document: str | dict[str, Any] | bool) -> Filter:
    """CQL2-JSON as text or already parsed. Numbers of a text are kept exact; floats are taken by their shortest form."""
    text = document if isinstance(document, str) else None
    if text is not None:
        if len(text) > MAX_JSON_CHARACTERS:
            raise too_complex(f"{len(text)} characters, at most {MAX_JSON_CHARACTERS} are read")
        document = _loaded(text)
    counter = _Counter()
    node = counter.walk(document, 0)
    if text is None and counter.characters > MAX_JSON_CHARACTERS:
        raise too_complex(f"more than {MAX_JSON_CHARACTERS} characters")
    return cql2_tree.build(node)


def _loaded(text: str) -> Any:
    depth = deepest = 0
    for char in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        depth += (char in "{[") - (char in "}]")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH * 4:
        raise too_complex(f"members nested {deepest} deep")
    try:
        return json.loads(text, parse_float=exact_number, parse_int=exact_number, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        detail = f"the filter is not JSON at line {error.lineno}, character {error.colno}: {error.msg}"
    except ValueError:
        detail = "the filter holds a number that is not finite or has too many digits"
    raise FilterMalformed(detail, errors=[FieldError("/filter", "filter_malformed", detail)])


def _no_constant(_name: str) -> NoReturn:
    raise ValueError


class _Counter:
    """Counts depth, operators and size of a parsed CQL2-JSON document while making its numbers exact."""

    def __init__(self) -> None:
        self.operators = 0
        self.characters = 0

    def walk(self, node: Any, depth: int, nesting: int = 0) -> Any:
        """The node with exact numbers. `depth` counts operators inside operators, `nesting` members inside members."""
        if depth > MAX_DEPTH or nesting > MAX_DEPTH * 4:
            raise too_complex(f"conditions nested more than {MAX_DEPTH} deep")
        self.characters += 4
        if isinstance(node, dict):
            self.operators += isinstance(node.get("op"), str)
            if self.operators > MAX_OPERATORS:
                raise too_complex(f"more than {MAX_OPERATORS} operators")
            self.characters += sum(len(str(key)) + 3 for key in node)
            return {key: self.walk(part, depth + (key == "args"), nesting + 1) for key, part in node.items()}
        if isinstance(node, list):
            return [self.walk(part, depth, nesting + 1) for part in node]
        if isinstance(node, str):
            self.characters += len(node)
        if isinstance(node, float):
            return self._exact(node)
        return node

    def _exact(self, number: float) -> Decimal:
        try:
            return exact_decimal(repr(number))
        except ValueError:
            detail = "the filter holds a number that is not finite"
            raise FilterMalformed(detail, errors=[FieldError("/filter", "filter_malformed", detail)]) from None
