"""The guard in front of the CQL2 parser: tokens, bounds, and a rewritten text in which no literal or name can be misread.

The parser reads numbers as doubles and can be crashed by deep nesting; it therefore only ever sees a short text of known
depth, in which each literal and name is an ordinal. What the ordinals stand for is kept here, exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from app.errors import FieldError, FilterMalformed, FilterTooComplex, OperatorUnsupported

MAX_TEXT_CHARACTERS = 2048
MAX_DEPTH = 32
MAX_OPERATORS = 64
MAX_NUMBER_DIGITS = 60
ALLOWED = "= <> < <= > >=, AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL, CASEI, DATE('…') and TIMESTAMP('…')"

_RESERVED = frozenset({"and", "or", "not", "in", "between", "like", "is", "null", "true", "false"})
_FUNCTIONS = frozenset({"casei", "date", "timestamp"})
_COUNTED = frozenset({"and", "or", "not", "in", "like", "is"})
"""Words that count as one operator each; BETWEEN is counted by its AND."""
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
class Guarded:
    """A text that the parser may see, and what its ordinals stand for."""

    text: str = ""
    numbers: list[int | Decimal] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    """(place in `text`, place in the caller's text) of each token, ascending."""

    def original_place(self, place: int) -> int:
        """The 0-based character of the caller's text that stands behind a 0-based character of `text`."""
        found = 0
        for rewritten, original in self.places:
            if rewritten > place:
                break
            found = original
        return found


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    start: int


def malformed(text: str, place: int, expected: str) -> NoReturn:
    """Raises FilterMalformed that says where (1-based) and what was expected; only the caller's own text is repeated."""
    rest = text[place : place + 20]
    near = f"at character {place + 1}, before {rest!r}" if rest else f"at the end (character {place + 1})"
    detail = f"the filter is not CQL2 text {near}: {expected}"
    raise FilterMalformed(detail, errors=[FieldError("/filter", "filter_malformed", detail)], position=place + 1)


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


def guard(text: str) -> Guarded:
    """Counts characters, depth and operators without parsing, then rewrites. Raises before the parser sees anything."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise too_complex(f"{len(text)} characters, at most {MAX_TEXT_CHARACTERS} are read")
    tokens = _tokens(text)
    _bounds(tokens)
    return _rewritten(text, tokens)


def exact_number(text: str) -> int | Decimal:
    """The number as written: an int where it has neither point nor exponent. Raises InvalidOperation beyond bounds."""
    if text.lstrip("+-").isdigit():
        if len(text) > MAX_NUMBER_DIGITS:
            raise InvalidOperation
        return int(text)
    number = Decimal(text)
    if not number.is_finite() or len(number.as_tuple().digits) > MAX_NUMBER_DIGITS or abs(number.adjusted()) > 400:
        raise InvalidOperation
    return number


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            _strange(text, position)
        kind = found.lastgroup or ""
        if kind == "number" and text[found.end() : found.end() + 1].isidentifier():
            malformed(text, found.end(), "a number ends here; separate words by blanks")
        if kind != "blank":
            tokens.append(_Token(kind, found.group(), position))
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


def _bounds(tokens: list[_Token]) -> None:
    depth = deepest = operators = 0
    for token in tokens:
        word = token.text.lower() if token.kind == "word" else ""
        if token.text == "(" and token.kind == "mark":
            depth += 1
            deepest = max(deepest, depth)
        elif token.text == ")" and token.kind == "mark":
            depth -= 1
        operators += word in _COUNTED or token.kind in {"comparison", "arithmetic"}
    if deepest > MAX_DEPTH:
        raise too_complex(f"parentheses nested {deepest} deep, at most {MAX_DEPTH} are read")
    if operators > MAX_OPERATORS:
        raise too_complex(f"{operators} operators, at most {MAX_OPERATORS} are read")


def _rewritten(text: str, tokens: list[_Token]) -> Guarded:
    guarded = Guarded()
    sign = ""
    for index, token in enumerate(tokens):
        if token.kind == "arithmetic":
            _sign_or_refuse(token, tokens, index)
            sign = token.text
            continue
        following = tokens[index + 1].text if index + 1 < len(tokens) else ""
        piece = _piece(text, token, following, sign, guarded)
        sign = ""
        guarded.places.append((len(guarded.text), token.start))
        guarded.text += piece + " "
    guarded.places.append((max(len(guarded.text) - 1, 0), len(text)))
    return guarded


def _sign_or_refuse(token: _Token, tokens: list[_Token], index: int) -> None:
    """A `-` or `+` is a sign only where a value may start and a number follows; all else is arithmetic."""
    before = tokens[index - 1] if index else None
    operand_before = before is not None and (
        before.kind in {"number", "text", "quoted"}
        or before.text == ")"
        or (before.kind == "word" and before.text.lower() not in _RESERVED)
    )
    number_after = index + 1 < len(tokens) and tokens[index + 1].kind == "number"
    if token.text not in "+-" or operand_before or not number_after:
        raise unsupported(f"{token.text} (arithmetic)")


def _piece(text: str, token: _Token, following: str, sign: str, guarded: Guarded) -> str:
    if token.kind == "number":
        try:
            guarded.numbers.append(exact_number(sign + token.text))
        except (InvalidOperation, ValueError):
            malformed(text, token.start, f"the number is not finite or has more than {MAX_NUMBER_DIGITS} digits")
        return str(len(guarded.numbers))
    if token.kind == "text":
        guarded.texts.append(token.text[1:-1].replace("''", "'"))
        return f"'{len(guarded.texts)}'"
    if token.kind == "quoted":
        return _name(token.text[1:-1].replace('""', '"'), guarded)
    if token.kind == "word":
        lowered = token.text.lower()
        if lowered in _RESERVED:
            return lowered
        if following == "(":
            if lowered not in _FUNCTIONS:
                raise unsupported(token.text)
            return lowered
        return _name(token.text, guarded)
    return token.text


def _name(name: str, guarded: Guarded) -> str:
    guarded.names.append(name)
    return f'"n{len(guarded.names)}"'
