"""One mapping for every field that can have one: the best proposals, a column for one field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.datasets.mapping.codes import CodeBook
from app.datasets.suggesting.columns import sample_columns
from app.datasets.suggesting.derived import derived
from app.datasets.suggesting.forms import Around
from app.datasets.suggesting.preparing import Preparation, prepared
from app.datasets.suggesting.trying import Proposal, proposals_of
from app.schemas.registry import SchemaDef

LEAST_SCORE = 0.35
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is proposed for a source. `others` are the next best of each field; `unused` the columns that no field takes."""

    schema: SchemaDef
    chosen: Mapping[str, Proposal]
    others: Mapping[str, Sequence[Proposal]]
    preparation: Preparation
    unused: tuple[str, ...]
    sampled: int

    @property
    def lacking(self) -> tuple[str, ...]:
        """Required fields without a proposal."""
        return tuple(name for name, spec in self.schema.fields.items() if spec.required and name not in self.chosen)


def suggest(
    schema: SchemaDef,
    rows: Sequence[Mapping[str, Any]],
    codes: CodeBook,
    *,
    read: Mapping[str, Any],
    words: Sequence[str] = (),
) -> Suggestion:
    """Proposals for a schema from raw records. `read`: what the manifest states of preparing rows; `words`: names of the source."""
    preparation = prepared(rows, schema, read)
    columns = tuple(sample_columns(preparation.rows, preparation.read.get("missing", ())))
    around = Around(schema, codes, columns)
    every = {name: proposals_of(schema, spec, around) for name, spec in schema.fields.items()}
    chosen: dict[str, Proposal] = {}
    for proposal in derived(schema, {}, around, preparation.melted, ()):
        chosen.setdefault(proposal.field, proposal)
    used = {proposal.column for name, proposal in chosen.items() if name in {"kode_indikator", "kode_asal"}}
    ranked = sorted((one for found in every.values() for one in found), key=lambda one: -one.score)
    for proposal in ranked:
        free = proposal.column not in used or _shares(proposal, chosen)
        if proposal.field in chosen or proposal.score < LEAST_SCORE or not free:
            continue
        chosen[proposal.field] = proposal
        used.add(proposal.column)
    told = [*words, *(column.name for column in columns)]
    for proposal in derived(schema, chosen, around, preparation.melted, told):
        chosen.setdefault(proposal.field, proposal)
    others = {name: [one for one in found if one != chosen.get(name)][: SHOWN - 1] for name, found in every.items()}
    taken = {proposal.column.removeprefix("$.").split(".")[0] for proposal in chosen.values()}
    names = [column.name for column in columns if not column.name.startswith("$.")]
    ordered = {name: chosen[name] for name in schema.fields if name in chosen}
    unused = tuple(name for name in names if name not in taken)
    return Suggestion(schema, ordered, others, preparation, unused, len(rows))


def _shares(proposal: Proposal, chosen: Mapping[str, Proposal]) -> bool:
    """Both coordinates may come out of one column."""
    if not isinstance(proposal.mapping, dict) or "position" not in proposal.mapping:
        return False
    users = [name for name, one in chosen.items() if one.column == proposal.column]
    return set(users) <= {"lat", "lng"}
