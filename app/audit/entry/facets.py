"""Search terms of an entry and its facet: the id of its whole combination of terms.

Pure. Many entries share one combination, so an entry carries one number and one index row, and a small table maps each
term to the facets that have it. Both can be derived from the entry bytes (for members that moved, with their detail).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from app.audit.entry.members import MOVABLE

Terms = tuple[str, ...]

_SINGLE = ("agreement", "purpose", "basis", "mode")
_LISTS = (("providers", "provider"), ("schemas", "schema"), ("fields", "field"), ("datasets", "dataset"))


def entry_terms(found: Mapping[str, Any]) -> Terms:
    """Terms (`dimension:value`, sorted) of an entry's members. A moved list stands as `dimension:#digest`."""
    terms = [f"kind:{found['kind']}", f"op:{found['op']}"]
    parties = set()
    if (client := found.get("client")) is not None:
        terms += (f"agency:{client['agency']}", f"client:{client['client']}")
        parties.add(client["agency"])
    if (verdict := found.get("dec")) is not None:
        terms += (f"effect:{verdict['effect']}", f"rule:{verdict['rule']}")
    if (status := found.get("status")) is not None:
        terms += (f"status:{status}", f"class:{status // 100}xx")
    if rows := found.get("rows"):
        terms.append(f"rows:{len(str(rows))}")
    terms += [f"{dimension}:{found[dimension]}" for dimension in _SINGLE if dimension in found]
    for member, dimension in _LISTS:
        values = found.get(member, ())
        if isinstance(values, dict):
            terms.append(f"{dimension}:#{values['digest']}")
        elif member == "datasets":
            terms += [f"{dimension}:{use['dataset']}" for use in values]
        else:
            terms += [f"{dimension}:{value}" for value in values]
            if member == "providers":
                parties.update(values)
    terms += [f"party:{party}" for party in parties]
    return tuple(sorted(set(terms)))


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
