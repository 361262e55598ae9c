"""Practice (`Simpul-Mode: uji`): the services of a process with invented agencies in the place of the real ones.

Every door runs its own code with them: the same parameters, limits, decisions and errors. What differs: the datasets are
synthetic, an agreement over everything stands for each caller, and nothing of it meets real sources, quotas, cursors or jobs.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from app.access.agreements import ALL_FIELDS, ALL_RIGHTS, Agreement, Terms
from app.access.days import local_day
from app.access.decisions import AccessRequest, Decision, Operation, decide
from app.access.facts import FieldFacts, SchemaFacts
from app.access.principals import Principal
from app.access.snapshot import AccessSnapshot, make_snapshot
from app.catalog.agencies import PRACTICE, Agency
from app.catalog.snapshot import CatalogSnapshot
from app.catalog.tables import change_feed, change_mark, change_step
from app.database import Database
from app.datasets.practice.dataset import PracticeDataset
from app.datasets.practice.records import synthetic
from app.errors import AgreementMissing, SimpulError
from app.federation.question.query import SourceStatus
from app.federation.reading.breaker import Guards
from app.federation.reading.bulkhead import Bulkhead
from app.federation.reading.runtime import Runtime
from app.gateway.access import Gate, facts_of
from app.gateway.exchange import Assertions
from app.gateway.jobs import JobMeans, JobRunner
from app.gateway.notes import Notes
from app.gateway.plans import PlanCache
from app.gateway.quotas import Quotas
from app.gateway.services import Services
from app.gateway.snapshot import Snapshot
from app.gateway.sources import OpenDataset, Opens, SourcePool
from app.gateway.verification_limits import VerificationLimits
from app.schemas import registry
from app.schemas.registry import SchemaDef

AGENCIES: Final[Mapping[str, Agency]] = {
    name: Agency(id=name, name=title, name_en=english)
    for name, title, english in zip(
        PRACTICE, ("Dinas Uji Satu", "Dinas Uji Dua"), ("Practice agency one", "Practice agency two"), strict=True
    )
}
"""Who provides the synthetic records. No real agency may have these ids."""
_FIRST, _SECOND = AGENCIES
_AGREEMENT: Final = "uji"
_BASIS: Final = "Latihan tanpa perjanjian (Simpul-Mode: uji)"
_QUOTA_A_DAY: Final = 1000
_NEVER: Final = 2**62


class PracticePool(SourcePool):
    """The synthetic datasets, made when their schema is first asked for; no connector is published in it."""

    def of_schema(self, schema: str) -> tuple[OpenDataset, ...]:
        """One of each invented agency; of a schema that is never listed both are of the first: one agency keeps a register."""
        return _made(registry.get(schema))

    def get(self, connector: str) -> OpenDataset | None:
        """The dataset of this id."""
        return next((found for found in self.all() if found.dataset == connector), None)

    def all(self) -> Iterable[OpenDataset]:
        """Every synthetic dataset."""
        return [found for schema in registry.all_schemas() for found in _made(schema)]


@cache
def _made(schema: SchemaDef) -> tuple[OpenDataset, ...]:
    found = synthetic(schema)
    return (
        _opened(_FIRST, "", PracticeDataset(schema, found.first, plays=True)),
        _opened(
            _FIRST if schema.meta.lookup_only else _SECOND, "-2", PracticeDataset(schema, found.second, plays=False)
        ),
    )


def _opened(agency: str, suffix: str, source: PracticeDataset) -> OpenDataset:
    return OpenDataset(agency, f"uji-{source.schema.meta.slug}{suffix}", 1, source.schema, source, None)


@dataclass(frozen=True, slots=True, eq=False)
class PracticeSnapshot(AccessSnapshot):
    """The present clients, purposes and agreements, and for each caller an agreement over everything that is synthetic."""

    def held(self, principal: Principal, schema: str, provider: str) -> tuple[Agreement, ...]:
        """The one agreement of practice."""
        return (_agreement(principal.agency, schema, provider, tuple(self.purposes)),)


@lru_cache(maxsize=4096)
def _agreement(consumer: str, schema: str, provider: str, purposes: tuple[str, ...]) -> Agreement:
    terms = Terms(
        provider=provider,
        consumer=consumer,
        schema=schema,
        fields=(ALL_FIELDS,),
        purposes=purposes,
        basis=_BASIS,
        valid_from=date.min,
        valid_until=date.max,
        rights=("match",) if registry.get(schema).meta.lookup_only else ALL_RIGHTS,
    )
    moment = datetime.min.replace(tzinfo=UTC)
    return Agreement(_AGREEMENT, terms, "active", (), None, moment, moment)


class PracticeGate(Gate):
    """Decides as the real one does, over `PracticeSnapshot`. What it allows rests on no agreement, and says so."""

    def decide(
        self,
        principal: Principal,
        schema: SchemaDef,
        provider: str,
        operation: Operation,
        asserted: Assertions,
        *,
        fields: frozenset[str] | None = None,
        needed: frozenset[str] = frozenset(),
        rights: frozenset[str] = frozenset(),
    ) -> Decision:
        """The decision. An agreement of the caller's own that it names, whatever its state, chooses nothing here."""
        named = self.snapshot.agreements.get(asserted.agreement or "")
        if named is not None and named.concerns(principal):
            asserted = replace(asserted, agreement=None)
        # Gate is a dataclass with slots, made anew by its decorator: super() without arguments does not find it
        found = Gate.decide(
            self, principal, schema, provider, operation, asserted, fields=fields, needed=needed, rights=rights
        )
        if found.agreement is None:
            return found
        return replace(found, rule="practice", agreement=None, basis=None, valid_until=None)

    def check_keys(
        self,
        principal: Principal,
        schema: SchemaDef,
        operation: Operation,
        keys_of: Callable[[], Collection[str]],
        quotas: Quotas,
    ) -> None:
        """Raises what a magic key plays: the refusal without an agreement, or that of a spent quota."""
        magic, keys = synthetic(schema).keys, frozenset(keys_of())
        if magic["refused"] in keys:
            raise self._without_agreement(principal, schema, operation)
        if magic["quota"] in keys:
            raise quotas.spent(_AGREEMENT, "requests", _QUOTA_A_DAY, 0)

    def _without_agreement(self, principal: Principal, schema: SchemaDef, operation: Operation) -> SimpulError:
        """The refusal that a caller without an agreement gets where no field is open."""
        facts = facts_of(schema)
        closed = {name: FieldFacts("terbatas", one.personal) for name, one in facts.fields.items()}
        guarded = SchemaFacts(facts.name, closed, facts.key, facts.lookup_only, facts.subject)
        snapshot = self.snapshot
        bare = make_snapshot(snapshot.stamp, snapshot.clients.values(), (), snapshot.purposes.values())
        today = local_day(datetime.now(UTC), self.zone)
        return decide(principal, AccessRequest(operation, guarded, _FIRST), bare, today).error or AgreementMissing()


class NoNotes(Notes):
    """Notes nothing: synthetic records have no health and no quarantine."""

    def take(self, sources: Iterable[SourceStatus]) -> None:
        """Nothing is noted."""
        del sources


@dataclass(frozen=True, slots=True)
class _Present:
    """The snapshot of practice."""

    snapshot: Snapshot

    async def refresh(self) -> None:
        """It follows the real one when it is asked for."""


class Practice:
    """The services of practice of one process, made again when the real snapshot moves."""

    def __init__(self, means: JobMeans, opener: Opens) -> None:
        """`means`: of the jobs of this process; `opener`: of its connectors, of which practice has none."""
        settings, access = means.settings, means.access
        self._sources = PracticePool(opener)
        self._of = access.snapshot
        self._gate = PracticeGate(
            access.issuer, access.rates, access.agreement_rates, access.zone, _practised(self._of)
        )
        self._notes = NoNotes(means.database, settings.quarantine_rows, means.metrics.store_failures.inc)
        self._limits = VerificationLimits(
            requests=settings.verify_requests_per_day,
            people=settings.verify_people_per_day,
            burst=_NEVER,
            zone=settings.zone,
            metrics=means.metrics,
        )
        guards = Guards(_NEVER, settings.breaker_seconds, settings.source_concurrency)
        self._runtime = Runtime(guards, mask_key=b"uji", workers=Bulkhead(settings.sql_workers))
        self._jobs = JobRunner(replace(means, access=self._gate, sources=self._sources), mode="uji")
        self._made: tuple[Services, Snapshot] | None = None
        self._database: Database | None = None

    async def start(self, folder: Path) -> None:
        """Opens what the change feed of practice remembers, in a folder of this process."""
        self._database = await Database.apart(folder / "uji.db", (change_feed, change_step, change_mark))

    async def stop(self) -> None:
        """Ends its jobs and closes what it remembers."""
        await self._jobs.stop()
        if self._database is not None:
            await self._database.close()

    def of(self, state: Services) -> Services:
        """The services with which a door answers in practice."""
        if self._of is not state.access.snapshot:
            self._of = state.access.snapshot
            self._gate.snapshot = _practised(self._of)
        now = state.current.snapshot
        if self._made is None or self._made[1] is not now:
            self._made = self._services(state, now), now
        return self._made[0]

    def _services(self, state: Services, now: Snapshot) -> Services:
        catalog = CatalogSnapshot(stamp=now.catalog.stamp, agencies=AGENCIES)
        return replace(
            state,
            database=self._database or state.database,
            access=self._gate,
            sources=self._sources,
            runtime=self._runtime,
            current=_Present(replace(now, catalog=catalog)),
            cursor_key=hmac.digest(state.cursor_key, b"uji", "sha256"),
            notes=self._notes,
            verifications=self._limits,
            jobs=self._jobs,
            plans=PlanCache(),
        )


def _practised(real: AccessSnapshot) -> PracticeSnapshot:
    return PracticeSnapshot(real.stamp, real.clients, real.agreements, real.purposes, real.by_dataset)
