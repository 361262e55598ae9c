"""What a source tells of how it has to be read, before anything is mapped: guesses with their reasons, for a steward to look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Guess:
    """A key of the manifest that was not stated: its JSON pointer, the value, what told it."""

    pointer: str
    value: Any
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What should stand in the manifest: members of `source` and of `read` by name, the reasons, and what has to be known besides."""

    source: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Any] = field(default_factory=dict)
    guesses: tuple[Guess, ...] = ()
    notes: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    """What stands above the table."""


class Findings:
    """Collects a diagnosis."""

    def __init__(self) -> None:
        self._source: dict[str, Any] = {}
        self._read: dict[str, Any] = {}
        self._guesses: list[Guess] = []
        self._notes: list[str] = []
        self._titles: list[str] = []

    def source(self, name: str, value: Any, why: str) -> None:
        """`source.name` should be this."""
        self._source[name] = value
        self._guesses.append(Guess(f"/source/{name}", value, why))

    def has(self, name: str) -> bool:
        """Whether `source.name` was guessed."""
        return name in self._source

    def read(self, name: str, value: Any, why: str) -> None:
        """`read.name` should be this."""
        self._read[name] = value
        self._guesses.append(Guess(f"/read/{name}", value, why))

    def note(self, text: str) -> None:
        """What has to be known."""
        self._notes.append(text)

    def title(self, text: str) -> None:
        """A text that stands above the table."""
        self._titles.append(text)

    def diagnosis(self) -> Diagnosis:
        """All of it."""
        return Diagnosis(
            self._source, self._read, tuple(self._guesses), tuple(dict.fromkeys(self._notes)), tuple(self._titles)
        )


class Diagnoses(ABC):
    """Ability: looks at the source and says how it has to be read. What the manifest states is never contradicted, only noted."""

    @abstractmethod
    async def diagnose(self) -> Diagnosis:
        """Raises a `SourceError` leaf where the source cannot be read at all."""
