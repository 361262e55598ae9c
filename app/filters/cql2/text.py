"""CQL2 text (OGC 21-065, annex B) to the nodes of CQL2-JSON, by precedence climbing over bounded tokens.

Numbers are exact. Which operators and types fit together is judged in `cql2_tree.py` and `filter_typing.py`.
"""

from __future__ import annotations

from typing import Any, NoReturn

from app.filters.cql2.lexer import Token, malformed, tokens_of, unsupported
from app.filters.cql2.regions import FUNCTIONS as REGION_FUNCTIONS
from app.schemas.numbers import MOST_DIGITS, NumberBeyond, exact_number

_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _POWER, _SIGN = range(1, 9)
_BINARY = {
    "or": _OR,
    "and": _AND,
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "%": _PRODUCT,
    "div": _PRODUCT,
    "^": _POWER,
}
_RESERVED = frozenset({"and", "or", "not", "in", "between", "like", "is", "null", "div"})
_FUNCTIONS = frozenset({"casei", "accenti"})
_DEPTHS = {
    "POINT": ("Point", 0),
    "LINESTRING": ("LineString", 1),
    "POLYGON": ("Polygon", 2),
    "MULTIPOINT": ("MultiPoint", 1),
    "MULTILINESTRING": ("MultiLineString", 2),
    "MULTIPOLYGON": ("MultiPolygon", 3),
}
"""WKT word -> GeoJSON type, and how deep its coordinates nest."""
_VALUE = "a field, a value or a condition is expected here"
_OPERATOR = "an operator (=, <>, LIKE, IN, AND, …) or the end is expected here"


def parse(text: str) -> Any:
    """The node of a whole text. Raises FilterTooComplex, FilterMalformed (with the position) or OperatorUnsupported."""
    parser = _Parser(text)
    node = parser.expression(0)
    parser.end()
    return node


class _Parser:
    """One pass over the tokens. Depth is bounded by the lexer: brackets and operators are counted there."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._at = 0

    def end(self) -> None:
        """Refuses what is left over."""
        if self._at < len(self._tokens):
            self._wrong(_OPERATOR)

    def expression(self, least: int) -> Any:
        """An expression whose operators bind at least so strongly."""
        left = self._prefix()
        while True:
            word = self._word()
            strength = _BINARY.get(word, 0)
            if strength > least:
                self._at += 1
                right = self.expression(strength - 1 if word == "^" else strength)
                left = {"op": word, "args": [left, right]}
            elif least < _COMPARISON and (found := self._predicate(left)) is not None:
                left = found
            else:
                return left

    def _prefix(self) -> Any:
        token = self._token()
        word = self._word()
        if token is None or word in _RESERVED - {"not"}:
            self._wrong(_VALUE)
        self._at += 1
        match token.kind:
            case "number":
                return self._number(token)
            case "text":
                return token.text[1:-1].replace("''", "'")
            case "quoted":
                return {"property": token.text[1:-1].replace('""', '"')}
            case "word":
                return self._named(token, word)
        if token.text in "+-":
            return self._signed(token)
        if token.text != "(":
            malformed(self._text, token.start, _VALUE)
        inner = self.expression(0)
        self._take(")")
        return inner

    def _signed(self, sign: Token) -> Any:
        following = self._token()
        if following is not None and following.kind == "number":
            self._at += 1
            return self._number(following, "-" if sign.text == "-" else "")
        inner = self.expression(_SIGN)
        return {"op": "*", "args": [-1, inner]} if sign.text == "-" else inner

    def _named(self, token: Token, word: str) -> Any:
        if word == "not":
            return {"op": "not", "args": [self.expression(_NOT)]}
        if word in ("true", "false"):
            return word == "true"
        following = self._token()
        if following is None or following.text != "(" or following.kind != "mark":
            return {"property": token.text}
        self._at += 1
        return self._called(token, word)

    def _called(self, token: Token, word: str) -> Any:
        """What stands in the brackets of a function, a literal or a geometry."""
        if word in _FUNCTIONS:
            found: Any = {"op": word, "args": [self.expression(0)]}
            self._take(")")
            return found
        if word in ("date", "timestamp"):
            return {word: self._quoted_text(f"{word.upper()} takes a text")}
        if word == "interval":
            ends = self._arguments()
            return {"interval": ends}
        if word == "bbox":
            return {"bbox": self._arguments()}
        if word.upper() in _DEPTHS:
            kind, depth = _DEPTHS[word.upper()]
            return {"type": kind, "coordinates": self._coordinates(depth, kind)}
        if word == "geometrycollection":
            return {"type": "GeometryCollection", "geometries": self._arguments()}
        if word.startswith(("s_", "t_")) or word in REGION_FUNCTIONS:
            return {"op": word, "args": self._arguments()}
        raise unsupported(token.text)

    def _quoted_text(self, expected: str) -> str:
        token = self._token()
        if token is None or token.kind != "text":
            self._wrong(expected)
        self._at += 1
        self._take(")")
        return token.text[1:-1].replace("''", "'")

    def _arguments(self) -> list[Any]:
        found = [self.expression(0)]
        while self._is(","):
            self._at += 1
            found.append(self.expression(0))
        self._take(")")
        return found

    def _coordinates(self, depth: int, kind: str) -> Any:
        """Behind the opening bracket: one position, or a list of what lies one level deeper."""
        if depth == 0:
            position = self._position()
            self._take(")")
            return position
        found = [self._nested(depth - 1, kind)]
        while self._is(","):
            self._at += 1
            found.append(self._nested(depth - 1, kind))
        self._take(")")
        return found

    def _nested(self, depth: int, kind: str) -> Any:
        if depth == 0 and not (kind == "MultiPoint" and self._is("(")):
            return self._position()
        self._take("(")
        return self._coordinates(depth, kind)

    def _position(self) -> list[Any]:
        found: list[Any] = []
        while (token := self._token()) is not None and (token.kind == "number" or token.text in "+-"):
            self._at += 1
            if token.kind != "number":
                number = self._token()
                if number is None or number.kind != "number":
                    self._wrong("a number is expected here")
                self._at += 1
                found.append(self._number(number, "-" if token.text == "-" else ""))
            else:
                found.append(self._number(token))
        if len(found) not in (2, 3):
            self._wrong("a position is two numbers: longitude and latitude, with a blank between them")
        return found

    def _predicate(self, left: Any) -> Any:
        """A comparison that begins behind a value; None where none does."""
        token, word = self._token(), self._word()
        if token is not None and token.kind == "comparison":
            self._at += 1
            op = "<>" if token.text == "!=" else token.text
            return {"op": op, "args": [left, self.expression(_COMPARISON)]}
        if word == "is":
            self._at += 1
            negated = self._takes_word("not")
            if not self._takes_word("null"):
                self._wrong("NULL is expected here")
            return _negated({"op": "isNull", "args": [left]}, negated)
        start = self._at
        negated = self._takes_word("not")
        word = self._word()
        if word not in ("like", "between", "in"):
            self._at = start
            return None
        self._at += 1
        return _negated(self._compared(word, left), negated)

    def _compared(self, word: str, left: Any) -> Any:
        if word == "like":
            return {"op": "like", "args": [left, self.expression(_COMPARISON)]}
        if word == "between":
            low = self.expression(_COMPARISON)
            if not self._takes_word("and"):
                self._wrong("AND and the upper bound are expected here")
            return {"op": "between", "args": [left, low, self.expression(_COMPARISON)]}
        self._take("(")
        return {"op": "in", "args": [left, self._arguments()]}

    def _number(self, token: Token, sign: str = "") -> Any:
        try:
            return exact_number(sign + token.text)
        except NumberBeyond:
            detail = f"the number is not finite or has more than {MOST_DIGITS} digits"
            malformed(self._text, token.start, detail)

    def _token(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _word(self) -> str:
        """The token as an operator or reserved word; a quoted name is never one."""
        token = self._token()
        return token.text.lower() if token is not None and token.kind in {"word", "arithmetic"} else ""

    def _is(self, mark: str) -> bool:
        token = self._token()
        return token is not None and token.kind == "mark" and token.text == mark

    def _take(self, mark: str) -> None:
        if not self._is(mark):
            self._wrong(f"{mark!r} or an operator is expected here" if mark == ")" else f"{mark!r} is expected here")
        self._at += 1

    def _takes_word(self, word: str) -> bool:
        found = self._word() == word
        self._at += found
        return found

    def _wrong(self, expected: str) -> NoReturn:
        token = self._token()
        malformed(self._text, len(self._text) if token is None else token.start, expected)


def _negated(node: Any, negated: bool) -> Any:
    return {"op": "not", "args": [node]} if negated else node
