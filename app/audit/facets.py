"""Search terms of an entry and its facet: the id of its whole combination of terms.

Pure. Many entries share one combination, so an entry carries one number and one index row, and a small table maps each
term to the facets that have it. Both can be derived from the entry bytes (for members that moved, with their detail).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from app.audit.shape import MOVABLE

Terms = tuple[str, ...]


def entry_terms(found: Mapping[str, Any]) -> Terms:
    """Terms (`dimension:value`, sorted) of an entry's members. A moved list stands as `dimension:#digest`."""
    terms = {f"kind:{found['kind']}", f"op:{found['op']}"}
    parties = set()
    if (client := found.get("client")) is not None:
        terms.add(f"agency:{client['agency']}")
        terms.add(f"client:{client['client']}")
        parties.add(client["agency"])
    for dimension in ("agreement", "purpose", "basis", "mode"):
        if (value := found.get(dimension)) is not None:
            terms.add(f"{dimension}:{value}")
    if (verdict := found.get("dec")) is not None:
        terms.add(f"effect:{verdict['effect']}")
        terms.add(f"rule:{verdict['rule']}")
    if (status := found.get("status")) is not None:
        terms.add(f"status:{status}")
        terms.add(f"class:{status // 100}xx")
    if rows := found.get("rows"):
        terms.add(f"rows:{len(str(rows))}")
    for member, dimension in (("providers", "provider"), ("schemas", "schema"), ("fields", "field")):
        values = found.get(member, ())
        if isinstance(values, dict):
            terms.add(f"{dimension}:#{values['digest']}")
        else:
            terms.update(f"{dimension}:{value}" for value in values)
            if member == "providers":
                parties.update(values)
    datasets = found.get("datasets", ())
    if isinstance(datasets, dict):
        terms.add(f"dataset:#{datasets['digest']}")
    else:
        terms.update(f"dataset:{use['dataset']}" for use in datasets)
    terms.update(f"party:{party}" for party in parties)
    return tuple(sorted(terms))


@lru_cache(maxsize=16384)
def facet_id(terms: Terms) -> int:
    """Signed 64-bit id of a combination of terms: the first eight bytes of SHA-256 over them."""
    return int.from_bytes(sha256("\x00".join(terms).encode()).digest()[:8], "big", signed=True)


def facet_terms(found: Mapping[str, Any], moved: Mapping[str, Any] | None = None) -> Terms:
    """All terms under which a facet is found: those of the entry, and those of the lists that moved into the detail."""
    terms = entry_terms(found)
    if not moved:
        return terms
    return tuple(sorted({*terms, *entry_terms({**found, **moved})}))


def has_moved(found: Mapping[str, Any]) -> bool:
    """True when some member of an entry stands in its detail."""
    return any(isinstance(found.get(name), dict) for name in MOVABLE)
