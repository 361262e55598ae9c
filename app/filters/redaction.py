"""A filter as text with every literal replaced by `?`: what stands in the log."""

from __future__ import annotations

from app.filters.tree import (
    AccentFold,
    And,
    Arithmetic,
    CaseFold,
    Compare,
    Filter,
    In,
    Intersects,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    Property,
)


def filter_structure(node: Filter) -> str:
    """The structure of a filter. No value of the caller stands in it."""
    match node:
        case Compare(op, left, right):
            return f"{_operand(left)} {op} {_operand(right)}"
        case In(operand, values):
            return f"{_operand(operand)} in (?x{len(values)})"
        case Like(operand, _):
            return f"{_operand(operand)} like ?"
        case IsNull(prop):
            return f"{prop.name} is null"
        case Intersects(coordinates, _):
            return f"s_intersects({', '.join(prop.name for prop in coordinates)}, ?)"
        case And(parts):
            return "(" + " and ".join(filter_structure(part) for part in parts) + ")"
        case Or(parts):
            return "(" + " or ".join(filter_structure(part) for part in parts) + ")"
        case Not(part):
            return f"not ({filter_structure(part)})"


def _operand(operand: Operand) -> str:
    match operand:
        case Property(name):
            return name
        case CaseFold(part):
            return f"casei({_operand(part)})"
        case AccentFold(part):
            return f"accenti({_operand(part)})"
        case Arithmetic(op, left, right):
            return f"({_operand(left)} {op} {_operand(right)})"
        case Literal():
            return "?"
