"""YAML as manifests and `simpul apply` documents are written in: a safe subset in which a word is a word.

Only `true` and `false` are booleans (`no` is the text no, YAML 1.2), dates stay text, a key stands once, aliases are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from app.schemas.numbers import MOST_DIGITS


class _Loader(yaml.SafeLoader):
    """SafeLoader with distinct keys and the scalar rules of YAML 1.2's core schema."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT002 - PyYAML's signature
        """A mapping with distinct keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {name} stands twice", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)

    def construct_number(self, node: Any) -> Any:
        """A number whose digits are bounded before one is made of them."""
        if len(str(node.value)) > MOST_DIGITS:
            raise yaml.MarkedYAMLError(
                problem=f"a number has at most {MOST_DIGITS} digits", problem_mark=node.start_mark
            )
        return super().construct_yaml_int(node) if node.tag.endswith(":int") else super().construct_yaml_float(node)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)
_DROPPED = frozenset({"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"})
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DROPPED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))


def load_yaml(text: str) -> Any:
    """The one document of a text; raises `yaml.YAMLError`."""
    _refuse_aliases(text)
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader


def load_all_yaml(text: str) -> Iterator[Any]:
    """The documents of a text; raises `yaml.YAMLError`."""
    _refuse_aliases(text)
    yield from yaml.load_all(text, Loader=_Loader)


def _refuse_aliases(text: str) -> None:
    """Aliases can be made to explode."""
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not read; write the value out", problem_mark=token.start_mark
            )
