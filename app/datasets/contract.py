"""The contract of a dataset: what everybody who reads one may ask of it, whatever stands behind it.

`tests/contract/datasets/suite.py` says it as tests. Trying a mapping out (`trial`, `preview`) is asked of `MappedDataset` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from app.connectors.contract import RowEstimate
from app.datasets.outline import Outline
from app.datasets.records import ReadRequest, ReadResult
from app.schemas.registry import SchemaDef


class Dataset(Protocol):
    """Records of one schema from one agency. Every method but `close` raises `SimpulError` leaves only."""

    @property
    def schema(self) -> SchemaDef:
        """What its records are."""

    @property
    def deadline_seconds(self) -> float:
        """The longest that one read may take."""

    async def read(self, request: ReadRequest) -> ReadResult:
        """The wanted records in order, cut to the limit. The result may be another reader's too and is not to be changed.

        `SourceTimeout` behind the deadline of the request, unless the answer is held in memory.
        """

    def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """Every wanted record, part by part, in the source's own order. Closing it stops the work at the source.

        With a `limit` the reader stops there by itself: none is refused for what the source holds beyond it. Beside it
        `fields`, `filter`, `deadline` and `findings` of the request count. `rejected_rows`, `by_rule`, `rejects` of a part are those of the
        read so far; the last part tells whether every record was read.
        """

    async def outline(self, request: ReadRequest) -> Outline:
        """How `read` would do it. Asks the source for no record."""

    async def estimate(self, request: ReadRequest) -> RowEstimate | None:
        """About how many records the filter lets through (order, position and limit count for nothing); None where nothing tells.

        Asks the source for no record. `SourceTimeout` behind the deadline of the request.
        """

    async def version(self) -> str | None:
        """The source's freshness mark, None where it has none or cannot tell. Never raises for a fault of the source."""

    async def close(self) -> None:
        """Gives back what is held; may be called twice."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How old an answer may be at most (None: as the dataset has it; 0: the source itself), and the copy that pages before came from."""

    max_age_seconds: float | None = None
    copy: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A copy that answers: its id, and what it is read by."""

    copy: str
    dataset: Dataset


class HoldsCopies(ABC):
    """Ability of a dataset: reads may be answered from a copy, without the source."""

    @abstractmethod
    def held(self, wish: Wish) -> Held | None:
        """The copy for this wish, None when the source has to be asked. Raises `SnapshotGone` for a named one that is not there."""
