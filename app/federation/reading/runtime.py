"""What the reads of a process share, and what one request adds: its deadline and who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.federation.planning.planner import Planner
from app.federation.question.query import Grant
from app.federation.reading.breaker import Circuit, CircuitState, Guards, Mark
from app.federation.reading.bulkhead import Bulkhead
from app.federation.reading.masks import Cut
from app.schemas.registry import SchemaDef
from app.settings import Settings

SQL_WORKERS = 4
_CUTS_KEPT = 4096


@dataclass(slots=True)
class Runtime:
    """What runs share: guards of connectors, kept plans, the key of hash masks; and the deadline (monotonic) of this request."""

    guards: Guards
    deadline: float | None = None
    planner: Planner = field(default_factory=Planner)
    mask_key: bytes = b""
    workers: Bulkhead = field(default_factory=lambda: Bulkhead(SQL_WORKERS))
    """Processes for callers' SQL at once."""
    client: str = ""
    """Who asks: slots at sources are shared by clients."""
    max_age_seconds: float | None = None
    """How old an answer from a copy may be at most, as the caller says; None: as the dataset has it."""
    cuts: dict[int, tuple[Grant, Cut]] = field(default_factory=dict)
    """What grants leave of records, by the grant's identity: a look-up's grants are kept with its plan."""

    @classmethod
    def from_settings(cls, settings: Settings, mask_key: bytes = b"") -> Runtime:
        """The runtime of a process."""
        guards = Guards(settings.breaker_failures, settings.breaker_seconds, settings.source_concurrency)
        return cls(guards, mask_key=mask_key, workers=Bulkhead(settings.sql_workers))

    def until(self, deadline: float | None, client: str, max_age_seconds: float | None = None) -> Runtime:
        """The same for one request of a client."""
        return Runtime(
            self.guards, deadline, self.planner, self.mask_key, self.workers, client, max_age_seconds, self.cuts
        )

    def cut(self, schema: SchemaDef, grant: Grant) -> Cut:
        """What this grant leaves of a record."""
        known = self.cuts.get(id(grant))
        if known is not None and known[0] is grant:
            return known[1]
        if len(self.cuts) >= _CUTS_KEPT:
            self.cuts.clear()
        made = Cut(schema, grant, self.mask_key)
        self.cuts[id(grant)] = (grant, made)
        return made

    def circuit(self, connector: str, mark: Mark | None = None) -> CircuitState:
        """State of a connector's circuit, for its health. `mark`: the source as it is now, which may not be the one that failed."""
        breaker = self.guards.breaker(connector)
        if mark is not None:
            breaker.renew(mark)
        return breaker.state

    def report(self, connector: str) -> Circuit:
        """A connector's circuit in this process, for people."""
        return self.guards.breaker(connector).report(datetime.now(UTC))
