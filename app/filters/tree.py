"""The filter tree: the only form of a filter below `api/`. Pure data, CQL2 semantics (OGC 21-065), three-valued logic.

Above the mapping a `Property` names a schema field, below it (in a `ScanRequest`) a raw column. Parsing stands in
`filters/cql2/parse.py`, evaluation in `residual.py`, text for a source in each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal as OneOf
from typing import overload

Value = str | int | Decimal | float | bool | date | datetime
Comparison = OneOf["=", "<>", "<", "<=", ">", ">="]
ArithmeticOp = OneOf["+", "-", "*", "/", "%", "div", "^"]


@dataclass(frozen=True, slots=True)
class Property:
    """A field of the schema (or a raw column, below the mapping)."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A bound value; never part of generated text, always a parameter."""

    value: Value


@dataclass(frozen=True, slots=True)
class DayLiteral(Literal):
    """A date at the start or the end of an interval; against a time it is the first or the last moment of that day in UTC."""

    last: bool = False


@dataclass(frozen=True, slots=True)
class Listed(Sequence[Literal]):
    """The values of a long list. A literal is made only for who asks for one: made of all of a hundred thousand they take as long as
    the rest of a read.
    """

    plain: tuple[Value, ...]

    def __len__(self) -> int:
        return len(self.plain)

    @overload
    def __getitem__(self, index: int) -> Literal: ...

    @overload
    def __getitem__(self, index: slice) -> Listed: ...

    def __getitem__(self, index: int | slice) -> Literal | Listed:
        return Listed(self.plain[index]) if isinstance(index, slice) else Literal(self.plain[index])


@dataclass(frozen=True, slots=True)
class CaseFold:
    """CASEI of CQL2: compare without regard to case (Unicode case folding)."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class AccentFold:
    """ACCENTI of CQL2: compare without regard to accents (combining marks are taken off)."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left op right` over numbers, exact where a decimal holds the result; division by zero is null."""

    op: ArithmeticOp
    left: Operand
    right: Operand


Operand = Property | Literal | CaseFold | AccentFold | Arithmetic


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`; unknown when either side is null. Text compares by binary UTF-8 order."""

    op: Comparison
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class In:
    """`operand IN (values)`; values are not empty and not null."""

    operand: Operand
    values: tuple[Literal, ...] | Listed

    @property
    def plain(self) -> Sequence[Value]:
        """What the literals hold."""
        return self.values.plain if isinstance(self.values, Listed) else [value.value for value in self.values]


@dataclass(frozen=True, slots=True)
class Like:
    """`operand LIKE pattern`: `%` any run, `_` one character, backslash escapes."""

    operand: Operand
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """True when the property is null; never unknown."""

    property: Property


@dataclass(frozen=True, slots=True)
class Intersects:
    """S_INTERSECTS: the coordinates have a point in common with a GeoJSON geometry (text in canonical form, WGS 84, longitude first).

    The coordinates are one property that holds a geometry, or two that hold longitude and latitude.
    """

    coordinates: tuple[Property, ...]
    geometry: str


@dataclass(frozen=True, slots=True)
class And:
    """All parts; `And(())` is true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any part; `Or(())` is false."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not unknown is unknown."""

    part: Filter


Filter = Compare | In | Like | IsNull | Intersects | And | Or | Not

TRUE: Filter = And(())
FALSE: Filter = Or(())


def walk(node: Filter) -> Iterator[Filter]:
    """The node and everything below it, parents first."""
    yield node
    if isinstance(node, And | Or):
        for part in node.parts:
            yield from walk(part)
    elif isinstance(node, Not):
        yield from walk(node.part)


def operands(node: Filter) -> tuple[Operand, ...]:
    """The operands that stand directly in this node; of a list what is looked for in it: its values are literals."""
    if isinstance(node, Compare):
        return (node.left, node.right)
    if isinstance(node, In | Like):
        return (node.operand,)
    if isinstance(node, IsNull):
        return (node.property,)
    return node.coordinates if isinstance(node, Intersects) else ()


def inside(operand: Operand) -> Iterator[Operand]:
    """The operand and every operand within it."""
    yield operand
    if isinstance(operand, CaseFold | AccentFold):
        yield from inside(operand.operand)
    elif isinstance(operand, Arithmetic):
        yield from inside(operand.left)
        yield from inside(operand.right)


def properties(node: Filter) -> frozenset[str]:
    """Names of all properties that the filter looks at."""
    found: set[str] = set()
    for part in walk(node):
        for operand in operands(part):
            found.update(inner.name for inner in inside(operand) if isinstance(inner, Property))
    return frozenset(found)


def operators(node: Filter) -> frozenset[str]:
    """The operators in a filter, as `Capabilities.filter_operators` names them."""
    return frozenset(name for part in walk(node) for name in _operators(part))


def _operators(node: Filter) -> Iterator[str]:
    yield node.op if isinstance(node, Compare) else type(node).__name__.lower()
    for operand in operands(node):
        for part in inside(operand):
            if isinstance(part, CaseFold | AccentFold | Arithmetic):
                yield type(part).__name__.lower()


def conjuncts(node: Filter) -> tuple[Filter, ...]:
    """The parts of the topmost AND, flattened; a filter that is no AND is its only conjunct."""
    if isinstance(node, And):
        return tuple(inner for part in node.parts for inner in conjuncts(part))
    return (node,)


def all_of(*parts: Filter | None) -> Filter:
    """The conjunction of what is given, flat; nothing given is TRUE."""
    flat = tuple(inner for part in parts if part is not None for inner in conjuncts(part))
    return flat[0] if len(flat) == 1 else And(flat)


def rename(node: Filter, names: Callable[[str], str]) -> Filter:
    """The same filter over other property names."""
    match node:
        case Compare(op, left, right):
            return Compare(op, _rename_operand(left, names), _rename_operand(right, names))
        case In(operand, values):
            return In(_rename_operand(operand, names), values)
        case Like(operand, pattern):
            return Like(_rename_operand(operand, names), pattern)
        case IsNull(prop):
            return IsNull(Property(names(prop.name)))
        case Intersects(coordinates, geometry):
            return Intersects(tuple(Property(names(prop.name)) for prop in coordinates), geometry)
        case And(parts):
            return And(tuple(rename(part, names) for part in parts))
        case Or(parts):
            return Or(tuple(rename(part, names) for part in parts))
        case Not(part):
            return Not(rename(part, names))


def _rename_operand(operand: Operand, names: Callable[[str], str]) -> Operand:
    if isinstance(operand, Property):
        return Property(names(operand.name))
    if isinstance(operand, CaseFold):
        return CaseFold(_rename_operand(operand.operand, names))
    if isinstance(operand, AccentFold):
        return AccentFold(_rename_operand(operand.operand, names))
    if isinstance(operand, Arithmetic):
        return Arithmetic(operand.op, _rename_operand(operand.left, names), _rename_operand(operand.right, names))
    return operand
