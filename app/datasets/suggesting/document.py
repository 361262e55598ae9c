"""The proposed manifest as YAML that can be sent as it is: a comment behind each guess, a line for each field without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from app.connectors.diagnosis import Guess
from app.datasets.suggesting.choosing import Suggestion
from app.datasets.suggesting.trying import Proposal

_WIDTH = 1_000_000


def written(
    head: Mapping[str, Any], source: Mapping[str, Any], guesses: Sequence[Guess], found: Suggestion | None
) -> str:
    """The manifest. `head`: connector, agency, title; `source`: the block with the guesses in it."""
    why = {guess.pointer: guess.why for guess in guesses}
    lines = [
        "# Proposed from what stands at the source. Each comment tells why; nothing is used before you send and publish it.",
    ]
    lines += [f"{name}: {_flow(value)}" for name, value in head.items() if value is not None]
    if found is not None:
        lines.insert(3, f"schema: {found.schema.meta.ref}")
    lines += _block("source", source, why)
    if found is not None:
        reasons = {f"/read/{name}": text for name, text in found.preparation.reasons.items()}
        if found.preparation.read:
            lines += _block("read", found.preparation.read, {**why, **reasons})
        lines += ["fields:", *_fields(found)]
    return "\n".join(lines) + "\n"


def _block(name: str, values: Mapping[str, Any], why: Mapping[str, str]) -> Iterator[str]:
    yield f"{name}:"
    for key, value in values.items():
        yield f"  {key}: {_flow(value)}{_comment(why.get(f'/{name}/{key}'))}"


def _fields(found: Suggestion) -> Iterator[str]:
    for name, spec in found.schema.fields.items():
        proposal = found.chosen.get(name)
        if proposal is not None:
            yield f"  {name}: {_flow(proposal.mapping)}{_comment(reason_of(proposal))}"
        elif spec.required:
            yield f"  # {name}: needed, and no column is like it ({spec.title_en}); write it before you send this"
        else:
            yield f"  # {name}: no column is like it ({spec.title_en})"
    if found.unused:
        yield f"# Columns that no field takes: {', '.join(map(_one_line, found.unused))}"


def reason_of(proposal: Proposal) -> str:
    """Score and reasons on one line."""
    tried = [f"{proposal.taken} of {proposal.tried} values valid"] if proposal.tried else []
    return f"{proposal.score:.2f}: " + "; ".join([*tried, *proposal.reasons])


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=_WIDTH, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _comment(text: str | None) -> str:
    return f"  # {_one_line(text)}" if text else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
