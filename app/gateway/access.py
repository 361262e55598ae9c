"""Who asks and what they may: the bridge from tokens and decisions to the planner's `Grant` and `DatasetRef`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from app.access.days import local_day
from app.access.decisions import AccessRequest, Decision, DecisionCache, Operation
from app.access.facts import FieldFacts, SchemaFacts
from app.access.principals import Principal
from app.access.rates import Allowance, RateLimiter
from app.access.snapshot import AccessSnapshot
from app.access.tokens import TokenIssuer
from app.errors import FieldForbidden, SimpulError
from app.federation.question.query import DatasetRef, Grant
from app.filters.cql2.parse import parse_filter
from app.filters.typing import typed
from app.gateway.exchange import Assertions, Authority, Exchange
from app.gateway.sources import OpenDataset
from app.schemas.registry import SchemaDef

if TYPE_CHECKING:
    from app.gateway.quotas import Quotas


@cache
def facts_of(schema: SchemaDef) -> SchemaFacts:
    """A schema as decisions see it, built once."""
    return SchemaFacts(
        name=schema.name,
        fields={name: FieldFacts(spec.akses, spec.pdp) for name, spec in schema.fields.items()},
        key=schema.meta.key,
        lookup_only=schema.meta.lookup_only,
        subject=schema.meta.subject,
    )


@dataclass(slots=True)
class Gate:
    """Authentication, rates and decisions of one process, over the present snapshot."""

    issuer: TokenIssuer
    rates: RateLimiter
    agreement_rates: RateLimiter
    zone: str
    snapshot: AccessSnapshot
    decisions: DecisionCache = field(default_factory=DecisionCache)

    def authenticate(self, token: str) -> Principal:
        """The principal of a valid token whose client is enabled; raises `TokenInvalid`."""
        return self.issuer.verify(token)

    def check_rate(self, principal: Principal) -> Allowance:
        """Counts the request and tells what is left; raises `RateLimited`."""
        return self.rates.check(principal.client_id)

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
        """The decision for one provider, cached by stamp and day."""
        request = AccessRequest(
            operation=operation,
            schema=facts_of(schema),
            provider=provider,
            fields=fields,
            needed=needed,
            purpose=asserted.purpose,
            agreement=asserted.agreement,
            officer=asserted.officer,
            case=asserted.case,
            rights=rights,
        )
        return self.decisions.decide(principal, request, self.snapshot, local_day(datetime.now(UTC), self.zone))

    def check_keys(
        self,
        principal: Principal,
        schema: SchemaDef,
        operation: Operation,
        keys_of: Callable[[], Collection[str]],
        quotas: Quotas,
    ) -> None:
        """Raises what is refused by the keys themselves: nothing but in practice, whose magic keys play refusals."""


def dataset_ref(opened: OpenDataset, decision: Decision) -> DatasetRef:
    """A dataset with the caller's grant, or with the reason why it is denied."""
    return DatasetRef(
        agency=opened.agency,
        dataset=opened.dataset,
        revision=opened.revision,
        source=opened.source,
        grant=_grant(decision, opened.schema) if decision.allow else None,
        denied=decision.error,
        slots=opened.slots,
    )


def _grant(decision: Decision, schema: SchemaDef) -> Grant:
    row_filter = typed(schema, parse_filter(decision.row_filter)) if decision.row_filter else None
    return Grant(
        fields=decision.fields,
        row_filter=row_filter,
        masks=decision.masks,
        agreement=decision.agreement,
        basis=decision.basis,
    )


def note_decisions(exchange: Exchange, decisions: Sequence[Decision], rates: RateLimiter) -> None:
    """Writes into the exchange what was decided: the agreement's decision where one is used, else the first.

    Counts the request for each agreement that it rests on; raises `RateLimited`.
    """
    if not decisions:
        exchange.decide(allow=True, rule="no_provider")
        return
    allowed = [decision for decision in decisions if decision.allow]
    chosen = next((decision for decision in allowed if decision.agreement), (allowed or list(decisions))[0])
    authority = Authority(chosen.allow, chosen.rule, chosen.agreement, chosen.purpose, chosen.basis)
    exchange.authorised(authority)
    for agreement in sorted({decision.agreement for decision in allowed if decision.agreement}):
        exchange.authorised(authority, rates.check(agreement))


def refusal_of(decisions: Sequence[Decision], asked: frozenset[str]) -> SimpulError | None:
    """The error when nobody may be asked, or when a field asked for is granted by nobody."""
    if not decisions:
        return None
    allowed = [decision for decision in decisions if decision.allow]
    if not allowed:
        return decisions[0].error
    missing = asked.difference(*(decision.fields for decision in allowed))
    if not missing:
        return None
    short = next((decision.shortfall for decision in allowed if decision.shortfall), None)
    if short is not None:
        return short.error()
    names = ", ".join(sorted(missing))
    return FieldForbidden(f"no provider grants you {names}", rule="field_not_granted", fields=sorted(missing))
