"""Group, count, sum, min, max, avg, count distinct, having: over the records of the union as the caller may see them.

What is asked, and what would be a wrong number and is refused: sums over regions of several levels, over several units, and
over keys that several agencies hold. `federation/adding.py` computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.errors import OverlapRefused
from app.federation.question.query import AnswerRecord
from app.filters.tree import Filter
from app.schemas.registry import SchemaDef

Function = Literal["count", "sum", "min", "max", "avg", "count_distinct"]
_UNIT_FIELDS = ("satuan", "pengali")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of each group. `field` None only for `count`, which then counts records."""

    function: Function
    field: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Aggregation:
    """What is asked of the records; every name exists in the schema."""

    measures: tuple[Measure, ...]
    group_by: tuple[str, ...] = ()
    having: Filter | None = None

    @property
    def fields(self) -> frozenset[str]:
        """The fields that the answer is made of."""
        return frozenset(self.group_by) | {found.field for found in self.measures if found.field is not None}

    @property
    def adds_up(self) -> bool:
        """Whether something is summed."""
        return any(found.function in {"sum", "avg"} for found in self.measures)

    def units(self, schema: SchemaDef) -> tuple[str, ...]:
        """The fields of the schema that may not differ within a group, because what is of another unit cannot be added."""
        return tuple(name for name in _UNIT_FIELDS if name in schema.fields) if self.adds_up else ()


@dataclass(frozen=True, slots=True)
class Overlap:
    """Keys that several agencies hold."""

    keys: int
    agencies: tuple[str, ...]


def overlap_of(records: Sequence[AnswerRecord]) -> Overlap | None:
    """The overlap among the records of a page, None when there is none."""
    if len({found.record.key for found in records}) == len(records):
        return None
    holders: dict[str, set[str]] = {}
    for found in records:
        holders.setdefault(found.record.key, set()).add(found.agency)
    shared = [agencies for agencies in holders.values() if len(agencies) > 1]
    return Overlap(len(shared), tuple(sorted(set().union(*shared)))) if shared else None


def refuse_overlap(asked: Aggregation, overlap: Overlap | None) -> None:
    """Raises `OverlapRefused` where a record of two agencies would be added twice."""
    if overlap is not None and asked.adds_up:
        raise OverlapRefused(
            f"{overlap.keys} keys are held by several agencies ({', '.join(overlap.agencies)}): name `agencies`, or ask "
            'with "view": "merged", or accept that they count for each agency with "overlap": "accept"',
            keys=overlap.keys,
            agencies=list(overlap.agencies),
        )
