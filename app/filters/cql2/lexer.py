"""The tokens of CQL2 text, the bounds that are counted before anything is parsed, and the errors of filters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from app.errors import FieldError, FilterMalformed, FilterTooComplex, OperatorUnsupported

MAX_TEXT_CHARACTERS = 2048
MAX_DEPTH = 32
MAX_OPERATORS = 64
ALLOWED = (
    "= <> < <= > >=, + - * / % div ^, AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL, CASEI, ACCENTI, DATE('…'), TIMESTAMP('…'), "
    "INTERVAL('…', '…'), T_AFTER and the other relations of time, S_INTERSECTS with BBOX, POINT, POLYGON, "
    "induk(kode, 'kecamatan') and tingkat(kode)"
)
_COUNTED = frozenset({"and", "or", "not", "in", "like", "is", "div"})
"""Words that count as one operator each; BETWEEN is counted by its AND."""
_GEOMETRIES = frozenset({"point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "bbox"})
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[^\W\d][\w.:]*)
    | (?P<comparison><>|<=|>=|!=|[=<>])
    | (?P<arithmetic>[-+*/%^])
    | (?P<mark>[(),])
    """,
    re.VERBOSE,
)


@dataclass(slots=True)
class Token:
    """One token: its kind (a group of the pattern above), its text as written, its 0-based position."""

    kind: str
    text: str
    start: int


def malformed(text: str, position: int, expected: str) -> NoReturn:
    """Raises FilterMalformed that says where (1-based) and what was expected; only the caller's own text is repeated."""
    rest = text[position : position + 20]
    near = f"at character {position + 1}, before {rest!r}" if rest else f"at the end (character {position + 1})"
    detail = f"the filter is not CQL2 text {near}: {expected}"
    raise FilterMalformed(detail, errors=[FieldError("/filter", "filter_malformed", detail)], position=position + 1)


def invalid(pointer: str, detail: str) -> FilterMalformed:
    """The error that names the node of the tree."""
    text = f"the filter is not valid at {pointer}: {detail}"
    return FilterMalformed(text, errors=[FieldError(pointer, "filter_malformed", detail)])


def unsupported(operator: str) -> OperatorUnsupported:
    """The error for an operator that CQL2 has and this gateway does not."""
    detail = f"the operator {operator} is not supported in filters; use {ALLOWED}"
    return OperatorUnsupported(
        detail, errors=[FieldError("/filter", "operator_unsupported", detail)], operator=operator, allowed=ALLOWED
    )


def too_complex(what: str) -> FilterTooComplex:
    """The error for a filter beyond a bound."""
    detail = f"the filter has {what}; split the question or use fewer conditions"
    return FilterTooComplex(detail, errors=[FieldError("/filter", "filter_too_complex", detail)])


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text within bounds. Raises before anything is parsed."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise too_complex(f"{len(text)} characters, at most {MAX_TEXT_CHARACTERS} are read")
    tokens = _tokens(text)
    _bounds(tokens)
    return tokens


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            _strange(text, position)
        kind = found.lastgroup or ""
        if kind == "number" and text[found.end() : found.end() + 1].isidentifier():
            malformed(text, found.end(), "a number ends here; separate words by blanks")
        if kind != "blank":
            tokens.append(Token(kind, found.group(), position))
        position = found.end()
    return tokens


def _strange(text: str, position: int) -> NoReturn:
    char = text[position]
    if char == "'":
        malformed(text, position, "the text starts here and has no closing quote; write a quote inside a text twice")
    if char == '"':
        malformed(text, position, "the name starts here and has no closing double quote")
    if char == "[":
        raise unsupported("[ ] (arrays)")
    malformed(text, position, f"the character {char!r} has no meaning here")


def _bounds(tokens: list[Token]) -> None:
    depth = deepest = operators = 0
    geometry_depth = 0  # the depth inside which the coordinates of a geometry stand; their signs are no operators
    for index, token in enumerate(tokens):
        word = token.text.lower() if token.kind == "word" else ""
        if token.text == "(" and token.kind == "mark":
            depth += 1
            deepest = max(deepest, depth)
            if not geometry_depth and index and tokens[index - 1].text.lower() in _GEOMETRIES:
                geometry_depth = depth
        elif token.text == ")" and token.kind == "mark":
            geometry_depth = 0 if geometry_depth == depth else geometry_depth
            depth -= 1
        operators += word in _COUNTED or (token.kind in {"comparison", "arithmetic"} and not geometry_depth)
    if deepest > MAX_DEPTH:
        raise too_complex(f"parentheses nested {deepest} deep, at most {MAX_DEPTH} are read")
    if operators > MAX_OPERATORS:
        raise too_complex(f"{operators} operators, at most {MAX_OPERATORS} are read")
