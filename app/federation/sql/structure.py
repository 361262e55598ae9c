"""The structure of a statement for the log: made from the parsed tree, with `?` for every value and neutral names for the caller's.

What stays are words of the grammar, functions of the list, schemas and their fields. Nothing that the caller made up gets
in, however it is written: aliases, names of WITH queries and unknown columns become a1, a2 (tables) and c1, c2 (columns).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from app.federation.sql.allowed import FUNCTIONS
from app.schemas.registry import SchemaDef

MOST_CHARACTERS: Final = 1_200
SOURCE_COLUMNS: Final = ("_agency", "_dataset")
_VALUES = (exp.Literal, exp.Boolean, exp.Var, exp.DataTypeParam, exp.Parameter, exp.Placeholder)


def statement_structure(tree: exp.Query, schemas: Mapping[str, SchemaDef]) -> str:
    """The statement's structure, cut at `MOST_CHARACTERS`: the whole statement stands in the entry's detail."""
    copy = tree.copy()
    names = _Names(schemas)
    for node in list(copy.dfs()):
        if isinstance(node, exp.Identifier):
            node.set("quoted", None)
            node.set("this", names.of(node))
    for node in reversed(list(copy.walk())):
        if isinstance(node, _VALUES):
            node.replace(exp.Placeholder())
        elif isinstance(node, exp.Interval):
            node.replace(_call("interval", node))
        elif type(node).__name__ in FUNCTIONS:
            node.replace(_call(FUNCTIONS[type(node).__name__], node))
    return _short(copy.sql(dialect="duckdb", comments=False))


def _call(name: str, node: exp.Expr) -> exp.Anonymous:
    """A function as its name and its parts: units that the tree keeps as words, and parts that a dialect adds, become values."""
    return exp.Anonymous(this=name, expressions=list(node.iter_expressions()))


class _Names:
    """Which name of the statement stands under which name in its structure."""

    def __init__(self, schemas: Mapping[str, SchemaDef]) -> None:
        self._tables = {name: name for name in schemas}
        self._columns = {name: name for schema in schemas.values() for name in (*schema.fields, *SOURCE_COLUMNS)}
        self._made = {"a": 0, "c": 0}

    def of(self, node: exp.Identifier) -> str:
        """The name in the structure; the same one for the same name."""
        parent, role = node.parent, node.arg_key
        table = isinstance(parent, exp.Table | exp.TableAlias) and role == "this"
        table = table or (isinstance(parent, exp.Column | exp.Star) and role == "table")
        known, letter = (self._tables, "a") if table else (self._columns, "c")
        name = node.name.lower()
        if name not in known:
            self._made[letter] += 1
            known[name] = f"{letter}{self._made[letter]}"
        return known[name]


def _short(structure: str) -> str:
    """An entry holds little; the whole statement stands in the detail."""
    if len(structure) <= MOST_CHARACTERS:
        return structure
    return f"{structure[:MOST_CHARACTERS]} ... ({len(structure)} characters, whole in the detail)"
