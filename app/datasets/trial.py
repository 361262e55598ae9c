"""A manifest tried on the whole source: how many records it gives, which are rejected and why, what it never finds.

The same steps as a read takes (prepare, map, validate, one record a key), without filter, order and cut. Bounded by rows and seconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

from app.connectors.contract import RawBatch
from app.datasets.date_order import DateOrder
from app.datasets.manifest import Manifest
from app.datasets.mapping import CompiledMapping
from app.datasets.mapping.paths import MappedPath, paths_of
from app.datasets.quality import QualityCounter
from app.datasets.records import Reject
from app.datasets.selection import LeftOut, duplicate_key, map_record, prepared_rows
from app.schemas.registry import SchemaDef

MOST_LOCATIONS = 5
_LOOK_EVERY = 1_000


@dataclass(slots=True)
class RuleFound:
    """Rejects of one rule on one field: how many records, and where the first of them stand."""

    field: str
    rule: str
    detail: str
    records: int = 0
    locations: list[str] = made(default_factory=list)


@dataclass(slots=True)
class Trial:
    """What came of it. `bounded` says which bound ended it before the end of the source (rows, seconds), None: the whole source."""

    rows: int = 0
    mapped: int = 0
    rejected: int = 0
    duplicate_keys: int = 0
    skipped_blank: int = 0
    bounded: str | None = None
    rejects: dict[tuple[str, str], RuleFound] = made(default_factory=dict)
    nulls: Counter[str] = made(default_factory=Counter)
    nulled: Counter[tuple[str, str]] = made(default_factory=Counter)
    absent: list[MappedPath] = made(default_factory=list)
    """Paths that no record has."""
    hints: list[str] = made(default_factory=list)

    @property
    def reject_share(self) -> float:
        """Rejected of all records read; 0 where there is none."""
        return self.rejected / self.rows if self.rows else 0.0

    def document(self, fields: Collection[str]) -> Mapping[str, Any]:
        """As JSON. Shares are of the mapped records."""
        return {
            "rows": self.rows,
            "mapped": self.mapped,
            "rejected": self.rejected,
            "duplicate_keys": self.duplicate_keys,
            "skipped_blank": self.skipped_blank,
            "bounded": self.bounded,
            "rejects": [
                {"field": f.field, "rule": f.rule, "detail": f.detail, "records": f.records, "places": f.locations}
                for f in sorted(self.rejects.values(), key=lambda found: (-found.records, found.field, found.rule))
            ],
            "null_share": {name: round(self.nulls[name] / self.mapped, 4) for name in fields} if self.mapped else {},
            "nulled": [
                {"field": name, "rule": rule, "records": count} for (name, rule), count in self.nulled.most_common()
            ],
            "paths_never_found": [{"pointer": path.pointer, "path": path.text} for path in self.absent],
            "hints": self.hints,
        }


class Trier:
    """Goes through the batches of one source."""

    def __init__(
        self,
        manifest: Manifest,
        schema: SchemaDef,
        mapping: CompiledMapping,
        rows: int,
        seconds: float,
        quality: QualityCounter | None = None,
    ) -> None:
        self._schema = schema
        self._mapping = mapping
        self.fields = tuple(found.name for found in mapping.fields)
        self.most_rows = rows
        self.ends = time.monotonic() + seconds
        self._keys: set[int] = set()
        self._paths = paths_of(manifest.fields)
        self._dates = DateOrder(manifest.fields)
        self.quality = quality
        self.found = Trial()

    def take(self, batch: RawBatch) -> bool:
        """Goes through a batch; false when a bound is reached."""
        found = self.found
        found.hints += batch.notes
        for raw in batch.rejects:
            self.reject([Reject(raw.location, "", raw.rule, raw.detail)], None)
        keyed = batch.numbers is None
        left_out, blank = LeftOut(), found.skipped_blank + batch.skipped_blank
        for prepared in prepared_rows(self._mapping, batch, left_out):
            found.skipped_blank = blank + left_out.rows
            if found.rows >= self.most_rows:
                found.bounded = "rows"
                return False
            if found.rows % _LOOK_EVERY == 0 and time.monotonic() > self.ends:
                found.bounded = "seconds"
                return False
            if isinstance(prepared, Reject):
                self.reject([prepared], None)
            else:
                self._row(*prepared, keyed=keyed)
        found.skipped_blank = blank + left_out.rows
        return True

    def done(self) -> Trial:
        """What was found."""
        self.found.absent = self._paths if self.found.rows else []
        self.found.hints += self._dates.hints()
        return self.found

    def _row(self, location: str, row: Mapping[str, Any], *, keyed: bool) -> None:
        if self._paths:
            self._paths = [path for path in self._paths if not path.stands_in(row)]
        record, rejects = map_record(self._mapping, self._schema, row, location, keyed=keyed)
        if record is None:
            self.reject(rejects, row)
            return
        mark = hash(record.key)
        if mark in self._keys:
            location = self._mapping.location_of(row, location, keyed=keyed)
            self.reject([duplicate_key(self._schema, record, location)], None)
            return
        self._keys.add(mark)
        self.found.rows += 1
        self.found.mapped += 1
        values = record.values
        self.found.nulls.update([name for name in self.fields if values[name] is None])
        if record.warnings:
            told = ((warning.field, warning.code) for warning in record.warnings if values[warning.field] is None)
            self.found.nulled.update(told)
        if self.quality is not None:
            found = self.quality.take(values)
            if found:
                self.quality.stands_at(found, self._mapping.location_of(row, location, keyed=keyed))

    def reject(self, rejects: Sequence[Reject], row: Mapping[str, Any] | None) -> None:
        """A raw record that is none, for these reasons; the row where the mapping refused it."""
        self.found.rows += 1
        self.found.rejected += 1
        for reject in rejects:
            self.found.duplicate_keys += reject.rule == "duplicate_key"
            known = self.found.rejects.get((reject.field, reject.rule))
            if known is None:
                known = RuleFound(reject.field, reject.rule, reject.detail)
                self.found.rejects[reject.field, reject.rule] = known
            known.records += 1
            if len(known.locations) < MOST_LOCATIONS:
                known.locations.append(reject.location)
            if row is not None and reject.rule == "not_a_date":
                self._dates.met(reject.field, row)
