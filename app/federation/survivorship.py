"""One record of several agencies' records of one key, field by field, and where they disagree. Only on request.

Rules in this order: the data induk (the agency that the schema names as producer), the most recent record (where datasets say
which field tells), the most complete record, the agency's name. Each field of the result says whose it is and by which rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.federation.question.query import AnswerRecord, SourceStatus
from app.schemas.registry import SchemaDef


@dataclass(frozen=True, slots=True)
class MergeRules:
    """Who is data induk, and by which field each dataset tells when a record was last changed."""

    masters: frozenset[str] = frozenset()
    changed: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Merged:
    """The merged values and, by field, (record it is from, rule)."""

    key: str
    values: dict[str, Any]
    provenance: dict[str, tuple[AnswerRecord, str]]
    records: Sequence[AnswerRecord]


@dataclass(slots=True)
class MergedAnswer:
    """A page of merged records, in key order."""

    schema: SchemaDef
    records: list[Merged]
    sources: list[SourceStatus]
    complete: bool


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One field on which agencies differ; null is no opinion."""

    field: str
    values: tuple[tuple[AnswerRecord, Any], ...]


def is_master(schema: SchemaDef, agency_name: str) -> bool:
    """Whether the schema names this agency as its producer (`Dinas Kesehatan` for `Dinas Kesehatan Kabupaten Jepara`)."""
    producers = [part.strip().casefold() for part in schema.meta.produsen_data.split("/")]
    name = f"{agency_name.casefold()} "
    return any(name.startswith(f"{producer} ") for producer in producers if producer)


def grouped(records: Iterable[AnswerRecord]) -> Iterator[list[AnswerRecord]]:
    """Runs of records of one key; the records stand in key order."""
    run: list[AnswerRecord] = []
    for found in records:
        if run and run[0].record.key != found.record.key:
            yield run
            run = []
        run.append(found)
    if run:
        yield run


def merge_records(schema: SchemaDef, records: Sequence[AnswerRecord], rules: MergeRules) -> Merged:
    """The merged record. A field that no agency grants is absent."""
    ordered = sorted(records, key=lambda found: (found.agency, found.dataset))
    values: dict[str, Any] = {}
    provenance: dict[str, tuple[AnswerRecord, str]] = {}
    for name in schema.fields:
        granting = [found for found in ordered if name in found.fields]
        if not granting:
            continue
        given = [found for found in granting if found.record.values.get(name) is not None]
        values[name] = None
        if given:
            chosen, rule = _survivor(given, rules)
            values[name] = chosen.record.values[name]
            provenance[name] = (chosen, rule)
    return Merged(records[0].record.key, values, provenance, ordered)


def disagreements(schema: SchemaDef, records: Sequence[AnswerRecord]) -> list[Disagreement]:
    """The fields on which at least two agencies say something different."""
    found = []
    for name in schema.fields:
        said = [
            (one, one.record.values[name])
            for one in sorted(records, key=lambda one: (one.agency, one.dataset))
            if name in one.fields and one.record.values.get(name) is not None
        ]
        if any(value != said[0][1] for _, value in said):
            found.append(Disagreement(name, tuple(said)))
    return found


def _survivor(given: Sequence[AnswerRecord], rules: MergeRules) -> tuple[AnswerRecord, str]:
    if len(given) == 1:
        return given[0], "only"
    masters = [found for found in given if found.agency in rules.masters]
    if masters:
        return masters[0], "source_priority"
    times: list[tuple[Any, AnswerRecord]] = [
        (found.record.values.get(rules.changed.get(found.dataset, "")), found) for found in given
    ]
    if all(moment is not None and type(moment) is type(times[0][0]) for moment, _ in times):
        latest = max(moment for moment, _ in times)
        newest = [found for moment, found in times if moment == latest]
        if len(newest) == 1:
            return newest[0], "most_recent"
        given = newest
    return max(given, key=_completeness), "most_complete"


def _completeness(found: AnswerRecord) -> int:
    return sum(found.record.values.get(name) is not None for name in found.fields)
