"""What an auditor may ask the log for, and whose entries he sees.

Pure. Does not live here: running a search (`search.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from app.audit.entry.members import Kind
from app.audit.entry.record import utc_microseconds

CASE_TYPE = "case"
"""Identifier type under which case references are tagged."""

Outcome = Literal["allow", "deny", "1xx", "2xx", "3xx", "4xx", "5xx"]
_ROW_DIGITS = 16
"""Row counts are below 2^53, which has 16 digits."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose entries are seen: those with `agency` (`INSTANCE/CLASS/agency`) as consumer or provider; None sees all."""

    agency: str | None

    def sees(self, found: Mapping[str, Any]) -> bool:
        """True when an entry (members, moved lists put back) lies in this scope."""
        if self.agency is None:
            return True
        client = found.get("client")
        return (client is not None and client["agency"] == self.agency) or self.agency in found.get("providers", ())

    def sees_detail(self, found: Mapping[str, Any]) -> bool:
        """True when the detail may be shown too.

        The supervisor, the consumer, and a provider that was the only one: another provider's errors stay its own.
        """
        if self.agency is None:
            return True
        client = found.get("client")
        if client is not None and client["agency"] == self.agency:
            return True
        return tuple(found.get("providers", ())) == (self.agency,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeFilter:
    """Conditions that must all hold; None means any. Times: microseconds since 1970, from (included), to (excluded).

    `case` is a whole case reference, however it is spelled; `text` a part of the purpose or legal basis, or a whole case
    reference. Case references stand as keyed tags only, so a part of one cannot be looked for.
    `tags` are those of one subject; no entry has any of none.
    """

    from_us: int | None = None
    to_us: int | None = None
    agency: str | None = None
    client: str | None = None
    provider: str | None = None
    schema: str | None = None
    dataset: str | None = None
    field: str | None = None
    purpose: str | None = None
    basis: str | None = None
    agreement: str | None = None
    outcome: Outcome | None = None
    status: int | None = None
    rule: str | None = None
    kind: Kind | None = None
    op: str | None = None
    mode: Literal["uji"] | None = None
    xid: str | None = None
    min_rows: int | None = None
    case: str | None = None
    text: str | None = None
    tags: tuple[bytes, ...] | None = None

    @property
    def only_terms(self) -> bool:
        """True when neither an exchange, a case, a text nor tags narrow the search."""
        return self.xid is None and self.case is None and self.text is None and self.tags is None

    def terms(self, scope: Scope) -> list[tuple[str, ...]]:
        """Alternatives of search terms (`facets.py`), one tuple for each condition that the index can answer."""
        wanted: list[tuple[str, ...]] = [
            (f"{item.name}:{value}",)
            for item in fields(self)
            if item.name in _TERM_FIELDS and (value := getattr(self, item.name)) is not None
        ]
        if self.outcome is not None:
            dimension = "effect" if self.outcome in ("allow", "deny") else "class"
            wanted.append((f"{dimension}:{self.outcome}",))
        if self.min_rows:
            wanted.append(tuple(f"rows:{digits}" for digits in range(len(str(self.min_rows)), _ROW_DIGITS + 1)))
        if scope.agency is not None:
            wanted.append((f"party:{scope.agency}",))
        return wanted

    def holds(self, found: Mapping[str, Any]) -> bool:
        """The conditions that terms answer only roughly: time and number of rows."""
        if self.min_rows is not None and found.get("rows", 0) < self.min_rows:
            return False
        if self.xid is not None and found["xid"] != self.xid:
            return False
        if self.from_us is None and self.to_us is None:
            return True
        moment = utc_microseconds(found["t"])
        return (self.from_us is None or moment >= self.from_us) and (self.to_us is None or moment < self.to_us)


_TERM_FIELDS = frozenset(
    {
        "agency", "client", "provider", "schema", "dataset", "field", "purpose", "basis", "agreement", "status",
        "rule", "kind", "op", "mode",
    }
)  # fmt: skip
