"""May this principal read these fields of this provider's records, and by which rule: one pure function.

Deny by default. Fields classed terbuka need no agreement. All others need exactly one that is active today, names the
consumer, the provider, the schema and the fields, and allows the stated purpose; only role `client` reads under one,
also its own agency's records. Where a record can be shown openly and the agreement for more is missing, the open
fields are given and `shortfall` says what the rest would have needed. Order: 403 before 422 (`access.md`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Final, Literal

from app.access.agreements import ALL_RIGHTS, Agreement
from app.access.clients import Client
from app.access.facts import SchemaFacts
from app.access.people.accounts import Person
from app.access.principals import Principal
from app.access.snapshot import AccessSnapshot
from app.errors import (
    AccessDenied,
    AgreementAmbiguous,
    AgreementMissing,
    AgreementNotActive,
    FieldForbidden,
    LookupOnly,
    OfficerRequired,
    PurposeForbidden,
    PurposeRequired,
    PurposeUnknown,
    RoleForbidden,
    SimpulError,
    TokenMissing,
)

Operation = Literal["list", "lookup", "search", "verify", "match", "aggregate", "sql", "export", "changes", "explain"]
RIGHTS: Final = frozenset(ALL_RIGHTS)
PERSONAL_OPERATIONS: Final = frozenset({"verify", "match", "explain"})
CACHED_DECISIONS: Final = 4096


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What is asked of one provider. `needed` are the fields of filter and sort: without them the answer is no.

    `fields` None means all that is granted. `purpose`, `agreement`, `officer`, `case` are the caller's unchecked words.
    """

    operation: Operation
    schema: SchemaFacts
    provider: str
    fields: frozenset[str] | None = None
    needed: frozenset[str] = frozenset()
    purpose: str | None = None
    agreement: str | None = None
    officer: str | None = None
    case: str | None = None
    rights: frozenset[str] = frozenset()
    """What a statement does beyond reading: `join`, `aggregate`. An operation of that name needs its right anyway."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: the rule's stable name and the error it becomes. The error is made anew each time it is raised."""

    rule: str
    kind: type[SimpulError]
    detail: str
    facts: Mapping[str, object] = field(default_factory=dict)

    def error(self) -> SimpulError:
        """The error to raise or to report for this source; `rule` is in its facts."""
        error = self.kind(self.detail, rule=self.rule)
        error.facts.update(self.facts)
        return error


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow or deny. `fields` is all that may be seen or filtered by; `withheld` is what was asked beyond it."""

    allow: bool
    rule: str
    fields: frozenset[str] = frozenset()
    withheld: frozenset[str] = frozenset()
    agreement: str | None = None
    purpose: str | None = None
    basis: str | None = None
    valid_until: date | None = None
    row_filter: str | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    refusal: Refusal | None = None
    shortfall: Refusal | None = None
    """With `allow`: why withheld fields are withheld. The error of a field that no provider grants."""

    @property
    def error(self) -> SimpulError | None:
        """A fresh error when denied."""
        return self.refusal.error() if self.refusal else None


def decide(principal: Principal, request: AccessRequest, snapshot: AccessSnapshot, today: date) -> Decision:
    """The decision for one provider on one local day. Pure; a few microseconds."""
    refusal = _refuse_principal(principal, request, snapshot)
    if refusal:
        return _deny(refusal)
    closed = _asked(request) - request.schema.open_fields
    if not closed:
        return _open(request, snapshot, None)
    found = _fitting(principal, request, snapshot, today)
    if isinstance(found, Refusal):
        return _open(request, snapshot, found) if _open_is_enough(request) else _deny(found)
    # Who names no fields and no agreement asks for the default: an agreement is used where the purpose allows it.
    by_default = request.fields is None and request.agreement is None and _open_is_enough(request)
    if by_default and request.purpose is None:
        return _open(request, snapshot, _purpose_required(found))
    chosen = _choose(request, snapshot, found)
    if isinstance(chosen, Refusal):
        openly = by_default and chosen.kind is PurposeForbidden
        return _open(request, snapshot, chosen) if openly else _deny(chosen)
    return _under(chosen, request)


def _asked(request: AccessRequest) -> frozenset[str]:
    names = request.schema.names
    return (names if request.fields is None else request.fields & names) | (request.needed & names)


def _open_is_enough(request: AccessRequest) -> bool:
    """Whether the open fields alone answer something: the key is open, filter and sort too, and some asked field."""
    schema = request.schema
    if not schema.readable_openly or not request.needed <= schema.open_fields:
        return False
    return request.fields is None or not request.fields.isdisjoint(schema.open_fields)


def _refuse_principal(principal: Principal, request: AccessRequest, snapshot: AccessSnapshot) -> Refusal | None:
    held = snapshot.people if principal.kind == "person" else snapshot.clients
    found: Client | Person | None = held.get(principal.client_id)
    if principal.kind != "public" and (found is None or found.disabled):
        return Refusal("client_disabled", AccessDenied, f"{principal.client_id} is not enabled.")
    if request.agreement is not None:
        named = snapshot.agreements.get(request.agreement)
        if named is None or not named.concerns(principal):
            # The same words whether it exists or not: ids of others' agreements are not confirmed.
            detail = "The agreement named in Simpul-Agreement is none of yours; see GET /v1/access."
            return Refusal("agreement_unknown", AgreementMissing, detail)
    return None


def _fitting(
    principal: Principal, request: AccessRequest, snapshot: AccessSnapshot, today: date
) -> list[Agreement] | Refusal:
    """The active agreements that grant something asked for beyond open data, or the reason (403) why none does."""
    schema, provider = request.schema, request.provider
    if principal.kind == "public":
        names = ", ".join(sorted(_asked(request) - schema.open_fields))
        detail = f"Not open in {schema.name}: {names}. Ask with a token from /oauth/token, or for open fields alone."
        return Refusal("token_needed", TokenMissing, detail)
    if principal.role != "client":
        detail = f"Role {principal.role} reads open data only; {schema.name} of {provider} needs a client's agreement."
        return Refusal("role_cannot_read", RoleForbidden, detail)
    held = [
        agreement
        for agreement in snapshot.held(principal, schema.name, provider)
        if request.agreement in (None, agreement.id)
    ]
    if not held:
        detail = f"No agreement lets {principal.agency} read {schema.name} of {provider}; propose one."
        if schema.readable_openly:
            names = ", ".join(sorted(_asked(request) - schema.open_fields))
            detail = f"Not open in {schema.name}, and granted to {principal.agency} by no agreement with {provider}: {names}; propose one."
        return Refusal("no_agreement", AgreementMissing, detail)
    active = [agreement for agreement in held if agreement.state_on(today) == "active"]
    if not active:
        return _inactive(held, today)
    rights = request.rights | ({request.operation} & RIGHTS)
    if rights:
        able = [found for found in active if rights.issubset(found.terms.rights_in(lookup_only=schema.lookup_only))]
        if not able:
            return _without_right(principal, request, active, rights)
        active = able
    needed = request.needed - schema.open_fields
    key = frozenset(schema.key) - schema.open_fields
    closed = _asked(request) - schema.open_fields
    granting = []
    for agreement in active:
        granted = agreement.granted(schema.names)
        if needed | key <= granted and not closed.isdisjoint(granted):
            granting.append(agreement)
    if granting:
        return granting
    short = min(((needed | key) - agreement.granted(schema.names) for agreement in active), key=len)
    fields = ", ".join(sorted(short or closed))
    detail = f"No active agreement with {provider} grants {fields} of {schema.name}."
    return Refusal("field_not_granted", FieldForbidden, detail)


def _without_right(
    principal: Principal, request: AccessRequest, active: list[Agreement], rights: frozenset[str]
) -> Refusal:
    schema, ids = request.schema, ", ".join(agreement.id for agreement in active)
    instead = "verify one by one" if schema.lookup_only else "read its records"
    what = f"{' and '.join(sorted(rights))} {schema.name} of {request.provider}"
    detail = (
        f"No agreement lets {principal.agency} {what} ({ids} does not grant it); {instead}, or propose one with it."
    )
    return Refusal("right_not_granted", AgreementMissing, detail, {"rights": sorted(rights)})


def _inactive(held: list[Agreement], today: date) -> Refusal:
    """Why none is active, told by the one that lasted longest."""
    latest = max(held, key=lambda agreement: (agreement.terms.valid_until, agreement.id))
    state, terms = latest.state_on(today), latest.terms
    rules = {"proposed": "agreement_not_approved", "approved": "agreement_not_approved"}
    days = f"valid {terms.valid_from.isoformat()} to {terms.valid_until.isoformat()}"
    detail = f"Agreement {latest.id} is {state} ({days}); nothing is read under it on {today.isoformat()}."
    return Refusal(
        rules.get(state, f"agreement_{state}"), AgreementNotActive, detail, {"agreement": latest.id, "state": state}
    )


def _choose(request: AccessRequest, snapshot: AccessSnapshot, fitting: list[Agreement]) -> Agreement | Refusal:
    """The one agreement to read under, or what is wrong: first the forbidden (403), then what must be added (422)."""
    purpose, schema = request.purpose, request.schema
    known = purpose in snapshot.purposes
    allowing = [agreement for agreement in fitting if purpose in agreement.terms.purposes]
    if known and not allowing:
        allowed = sorted({code for agreement in fitting for code in agreement.terms.purposes})
        detail = f"The agreement does not allow purpose {purpose}; it allows {', '.join(allowed)}."
        return Refusal("purpose_not_in_agreement", PurposeForbidden, detail, {"allowed": allowed})
    if schema.lookup_only and request.operation not in PERSONAL_OPERATIONS:
        detail = f"{schema.name} is never listed; use POST /v1/records/{schema.name.replace('_', '-')}/verify."
        return Refusal("lookup_only", LookupOnly, detail)
    if purpose is None:
        return _purpose_required(fitting)
    if not known:
        return _purpose_unknown(purpose, snapshot)
    if request.fields is not None:
        asked = _asked(request) - schema.open_fields
        allowing = [agreement for agreement in allowing if asked <= agreement.granted(schema.names)] or allowing
    if len(allowing) > 1:
        ids = [agreement.id for agreement in allowing]
        detail = f"More than one agreement fits: {', '.join(ids)}. Choose with the header Simpul-Agreement."
        return Refusal("agreement_ambiguous", AgreementAmbiguous, detail, {"agreements": ids})
    if schema.about_persons and not (_given(request.officer) and _given(request.case)):
        detail = "Name the officer (header X-Road-UserId) and the case (header X-Road-Issue) behind this request."
        return Refusal("officer_required", OfficerRequired, detail)
    return allowing[0]


def _given(text: str | None) -> bool:
    return text is not None and not text.isspace() and text != ""


def _purpose_required(fitting: list[Agreement]) -> Refusal:
    allowed = sorted({code for agreement in fitting for code in agreement.terms.purposes})
    detail = f"Name the purpose (header Simpul-Purpose or member `purpose`); allowed here: {', '.join(allowed)}."
    return Refusal("purpose_required", PurposeRequired, detail, {"allowed": allowed})


def _purpose_unknown(purpose: str, snapshot: AccessSnapshot) -> Refusal:
    """The given text is not repeated: callers put case notes and names there."""
    close = get_close_matches(purpose[:64], sorted(snapshot.purposes), n=3)
    hint = f"closest: {', '.join(close)}" if close else "see GET /v1/purposes"
    return Refusal("purpose_unknown", PurposeUnknown, f"The stated purpose is not a known code; {hint}.")


def _deny(refusal: Refusal) -> Decision:
    return Decision(allow=False, rule=refusal.rule, refusal=refusal)


def _open(request: AccessRequest, snapshot: AccessSnapshot, shortfall: Refusal | None) -> Decision:
    """Open data: a purpose is optional, recorded, and must be a known one."""
    if request.purpose is not None and request.purpose not in snapshot.purposes:
        return _deny(_purpose_unknown(request.purpose, snapshot))
    granted = request.schema.open_fields
    return Decision(
        allow=True,
        rule="open_data",
        fields=granted,
        withheld=_asked(request) - granted,
        purpose=request.purpose,
        shortfall=shortfall,
    )


def _under(agreement: Agreement, request: AccessRequest) -> Decision:
    terms, schema = agreement.terms, request.schema
    granted = schema.open_fields | agreement.granted(schema.names)
    withheld = _asked(request) - granted
    names = ", ".join(sorted(withheld))
    detail = f"Agreement {agreement.id} does not grant {names} of {schema.name}."
    return Decision(
        allow=True,
        rule="agreement",
        fields=granted,
        withheld=withheld,
        agreement=agreement.id,
        purpose=request.purpose,
        basis=terms.basis,
        valid_until=terms.valid_until,
        row_filter=terms.row_filter,
        masks=terms.masks,
        shortfall=Refusal("field_not_granted", FieldForbidden, detail) if withheld else None,
    )


class DecisionCache:
    """`decide`, remembered while neither the access stamp nor the local day moves. Bounded; the oldest goes first.

    Only what is allowed is kept: its words are all known ones, so a stranger's texts never fill the memory.
    """

    def __init__(self, *, entries: int = CACHED_DECISIONS) -> None:
        self._entries = entries
        self._made_for: tuple[int, date] | None = None
        self._decisions: OrderedDict[tuple[object, ...], Decision] = OrderedDict()

    def decide(self, principal: Principal, request: AccessRequest, snapshot: AccessSnapshot, today: date) -> Decision:
        """The same as `decide`. Officer and case count only as given or not, so that their values are never kept."""
        made_for = (snapshot.stamp, today)
        if made_for != self._made_for:
            self._decisions.clear()
            self._made_for = made_for
        key = (
            principal,
            request.schema,
            request.provider,
            request.operation,
            request.fields,
            request.needed,
            request.purpose,
            request.agreement,
            request.rights,
            _given(request.officer),
            _given(request.case),
        )
        known = self._decisions.get(key)
        if known is None:
            known = decide(principal, request, snapshot, today)
            if known.allow:
                self._decisions[key] = known
            if len(self._decisions) > self._entries:
                self._decisions.popitem(last=False)
        return known
