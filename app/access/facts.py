"""What access must know of a shared schema: names and classes of its fields, its key, whether it is about persons.

Built once per schema from the registry by `gateway/` (the rooms do not know each other); compared by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

AccessClass = Literal["terbuka", "internal", "terbatas"]
PersonalClass = Literal["none", "personal", "sensitive"]


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """Class of access (Satu Data) and class of personal data (UU 27/2022) of one field."""

    access: AccessClass
    personal: PersonalClass = "none"


@dataclass(frozen=True, slots=True, eq=False)
class SchemaFacts:
    """A schema as decisions see it. `open_fields` need no agreement: classed terbuka, without personal data."""

    name: str
    fields: Mapping[str, FieldFacts]
    key: tuple[str, ...]
    lookup_only: bool = False
    subject: str | None = None
    names: frozenset[str] = field(init=False)
    open_fields: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the two sets once: they are asked for on every request."""
        open_fields = frozenset(
            name for name, facts in self.fields.items() if facts.access == "terbuka" and facts.personal == "none"
        )
        object.__setattr__(self, "names", frozenset(self.fields))
        object.__setattr__(self, "open_fields", frozenset() if self.about_persons else open_fields)

    @property
    def about_persons(self) -> bool:
        """Personal schemas are never open and need the officer and the case of each request."""
        return self.lookup_only or self.subject is not None

    @property
    def readable_openly(self) -> bool:
        """Whether a record can be shown without an agreement: its whole key is open."""
        return bool(self.open_fields) and self.open_fields.issuperset(self.key)
