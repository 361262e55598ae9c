"""What a step is: a function of one value (and the raw row) that converts or raises `StepReject`; never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from app.datasets.mapping.codes import CodeBook
from app.datasets.mapping.rules import StepReject
from app.errors import FieldError, MappingInvalid
from app.schemas.base import FieldSpec

Row = Mapping[str, Any]
Step = Callable[[Any, Row], Any]
"""Value and raw row to value. Null goes in only where the step says so; steps are not called for null."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """Where a step stands and what it may use. `columns` collects the raw columns that it reads beside its value."""

    pointer: str
    codes: CodeBook
    zone: str
    months: str = "id"
    spec: FieldSpec | None = None
    columns: set[str] = field(default_factory=set)
    missing: frozenset[str] = frozenset()
    """Texts that mean "no value"."""

    def at(self, name: str) -> StepContext:
        """The same context one member deeper."""
        return replace(self, pointer=f"{self.pointer}/{name}")

    def refuse(self, detail: str) -> NoReturn:
        """A fault of the manifest at this pointer."""
        raise MappingInvalid(f"{self.pointer}: {detail}", errors=[FieldError(self.pointer, "mapping_invalid", detail)])

    def options(self, given: Any, *known: str) -> dict[str, Any]:
        """The options of a step as a mapping with these members and no others."""
        if given is True or given is None:
            return {}
        if not isinstance(given, Mapping):
            self.refuse(f"takes a mapping with {', '.join(known)}")
        unknown = sorted(set(given) - set(known))
        if unknown:
            self.refuse(f"unknown key {unknown[0]}; known: {', '.join(known)}")
        return dict(given)

    def word(self, options: Mapping[str, Any], name: str) -> str:
        """An option that is a text, empty where it is left out."""
        given = options.get(name, "")
        if not isinstance(given, str):
            self.at(name).refuse(f"{name} is a text in quotes")
        return given


def is_count(given: Any) -> bool:
    """A whole number; `true` is none, though Python takes it for 1."""
    return isinstance(given, int) and not isinstance(given, bool)


Builder = Callable[[Any, StepContext], Step]


def need_text(value: Any) -> str:
    """The value if it is text, else a reject."""
    if not isinstance(value, str):
        raise StepReject("wrong_type")
    return value
