"""What a caller may use, and why: told from decisions and counts alone, without touching a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.access.agreements import Agreement
from app.access.decisions import Decision, Operation
from app.access.principals import Principal
from app.access.quotas import KINDS, Kind, Quota
from app.errors import AgencyForbidden, NotFound, RoleForbidden
from app.gateway.access import facts_of
from app.gateway.agreements import today
from app.gateway.exchange import Assertions
from app.gateway.services import Services
from app.schemas import registry
from app.schemas.registry import SchemaDef

Left = dict[Kind, tuple[int, int]]
"""By kind: the limit of a day, and what is left of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody would ask: `format` and `rights` (of a statement) as the read would have them."""

    operation: Operation
    schema: SchemaDef
    provider: str | None
    fields: tuple[str, ...] | None
    form: str
    rights: frozenset[str]
    asserted: Assertions


@dataclass(frozen=True, slots=True)
class FieldVerdict:
    """One field: whether its value would be there (under a mask, perhaps), and by which rule."""

    name: str
    allow: bool
    rule: str
    mask: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one provider would answer. `provided`: whether it has a published dataset of the schema."""

    provider: str
    provided: bool
    allow: bool
    rule: str
    code: str | None
    detail: str | None
    decision: Decision
    agreement: Agreement | None
    left: Left
    fields: tuple[FieldVerdict, ...]


@dataclass(frozen=True, slots=True)
class Usable:
    """What may be used of one provider's schema, under an agreement or openly."""

    schema: SchemaDef
    provider: str
    fields: frozenset[str]
    provided: bool
    agreement: Agreement | None = None
    left: Left | None = None


async def usable(state: Services, caller: Principal) -> list[Usable]:
    """What is open, by schema and provider, then the caller's agreements that are in force today, by id."""
    found = []
    for opened in sorted(state.sources.all(), key=lambda one: (one.schema.name, one.agency)):
        decision = state.access.decide(caller, opened.schema, opened.agency, "list", Assertions())
        if decision.allow and decision.agreement is None:
            found.append(Usable(opened.schema, opened.agency, decision.fields, provided=True))
    held = state.access.snapshot.usable(caller, today(state))
    left = await _left(state, held)
    for agreement in held:
        schema = _schema(agreement)
        provided = agreement.terms.provider in _providers(state, schema)
        fields = agreement.granted(frozenset(schema.fields))
        found.append(Usable(schema, agreement.terms.provider, fields, provided, agreement, left[agreement.id]))
    return found


async def explain(state: Services, caller: Principal, asked: Question) -> list[Verdict]:
    """One verdict a provider: of the one that is named, else of all that provide the schema."""
    providers = _providers(state, asked.schema)
    names = [asked.provider] if asked.provider is not None else providers
    verdicts = [_verdict(state, caller, asked, name, provided=name in providers) for name in names]
    left = await _left(state, [one.agreement for one in verdicts if one.agreement is not None])
    return [_with_quota(one, asked, left) for one in verdicts]


def spoken_for(state: Services, caller: Principal, client: str | None) -> Principal:
    """Whose access is explained: the caller's own, or that of a client of its agency (of any for the walidata and the supervisor)."""
    if client is None or client == caller.client_id:
        return caller
    if caller.role not in {"steward", "admin", "supervisor"}:
        detail = f"Role {caller.role} asks about itself alone; a steward asks for the clients of its agency."
        raise RoleForbidden(detail, rule="role_not_allowed")
    found = state.access.snapshot.clients.get(client)
    everybody = caller.role != "steward"
    if found is None:
        if everybody:
            raise NotFound(f"no client has the id {client[:63]}; GET /v1/clients lists them")
        raise AgencyForbidden("this is no client of your agency", rule="other_agency")
    if not everybody and found.agency != caller.agency:
        raise AgencyForbidden("this is no client of your agency", rule="other_agency")
    return Principal(found.id, found.agency, found.role, found.credential)


def _verdict(state: Services, caller: Principal, asked: Question, provider: str, *, provided: bool) -> Verdict:
    names = asked.fields if asked.fields is not None else tuple(asked.schema.fields)
    whole = _decide(state, caller, asked, provider, frozenset(asked.fields) if asked.fields is not None else None)
    agreement = state.access.snapshot.agreements.get(whole.agreement or "")
    fields = tuple(_field(state, caller, asked, provider, name, whole) for name in names)
    error = whole.error
    code, detail = (error.code, error.detail) if error is not None else (None, None)
    return Verdict(provider, provided, whole.allow, whole.rule, code, detail, whole, agreement, {}, fields)


def _decide(
    state: Services, caller: Principal, asked: Question, provider: str, fields: frozenset[str] | None
) -> Decision:
    return state.access.decide(
        caller, asked.schema, provider, asked.operation, asked.asserted, fields=fields, rights=asked.rights
    )


def _field(
    state: Services, caller: Principal, asked: Question, provider: str, name: str, whole: Decision
) -> FieldVerdict:
    """As the whole question has it; a field that is not there then, by the rule that denies it alone."""
    if whole.allow and name in whole.fields:
        open_field = name in facts_of(asked.schema).open_fields
        rule = "open_data" if open_field else whole.rule
        mask = whole.masks.get(name)
        hidden = mask == "hide"
        return FieldVerdict(name, not hidden, "field_hidden" if hidden else rule, mask, None)
    alone = _decide(state, caller, asked, provider, frozenset({name}))
    refusal = alone.refusal or whole.shortfall or whole.refusal
    if refusal is None:
        return FieldVerdict(name, allow=False, rule="field_not_granted", mask=None, detail=None)
    return FieldVerdict(name, allow=False, rule=refusal.rule, mask=None, detail=refusal.detail)


def _with_quota(one: Verdict, asked: Question, left: dict[str, Left]) -> Verdict:
    """What holds beyond the decision: the format, and what is left of the day."""
    agreement = one.agreement
    if one.allow and not one.provided:
        detail = f"{one.provider} has published no dataset of {asked.schema.name}; the decision itself allows it."
        one = replace(one, allow=False, rule="not_provided", detail=detail)
    if agreement is None:
        return one
    terms, quota = agreement.terms, left[agreement.id]
    spent = next((kind for kind, (_, rest) in quota.items() if rest == 0), None)
    if not one.allow:
        return replace(one, left=quota)
    if terms.formats and asked.form not in terms.formats:
        detail = f"Agreement {agreement.id} lets answers leave as {', '.join(terms.formats)}, not as {asked.form}."
        one = replace(one, allow=False, rule="format_not_granted", code="format_not_granted", detail=detail)
    elif spent is not None:
        detail = f"Agreement {agreement.id} allows {quota[spent][0]} {spent} a day and 0 are left."
        one = replace(one, allow=False, rule=f"quota_{spent}", code="agreement_quota_spent", detail=detail)
    return replace(one, left=quota)


async def _left(state: Services, agreements: Sequence[Agreement]) -> dict[str, Left]:
    limited = [one.id for one in agreements if one.terms.quota is not None]
    used = await state.quotas.used_today(limited) if limited else {}
    none: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    found: dict[str, Left] = {}
    for one in agreements:
        quota, spent = one.terms.quota or Quota(), used.get(one.id, none)
        limits = {kind: quota.of(kind) for kind in KINDS}
        found[one.id] = {
            kind: (limit, max(limit - spent[kind], 0)) for kind, limit in limits.items() if limit is not None
        }
    return found


def _providers(state: Services, schema: SchemaDef) -> list[str]:
    return sorted({opened.agency for opened in state.sources.of_schema(schema.name)})


def _schema(agreement: Agreement) -> SchemaDef:
    return registry.get(agreement.terms.schema)
