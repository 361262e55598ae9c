"""Who may act, sign and see in matters of governance: agreements, erasures, legal holds, incidents. Every door asks here, and nowhere else.

Two keys, two hands: what lets data out or destroys what is known takes two steps by two different credentials, whatever their roles.
A steward acts for its own agency alone, an admin for the walidata and for nobody else, a supervisor over all of the log. What only
stops something (ending, revoking, refusing, placing a hold) takes one hand. Source: the access design, "Two keys, two hands".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from app.access.principals import Principal, Role
from app.access.step_up import require_fresh
from app.errors import AgencyForbidden, RoleForbidden

Act = Literal[
    "agreement.propose", "agreement.provider", "agreement.walidata", "agreement.end", "agreement.revoke",
    "erasure.propose", "erasure.approve", "erasure.refuse", "hold.place", "hold.release", "incident.move",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hand:
    """Who took an earlier step: agency, client, and the credential where it was kept."""

    agency: str
    client: str
    credential: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, str]) -> Hand:
        """As it stands in the store."""
        return cls(stored["agency"], stored["client"], stored.get("credential", ""))

    def is_of(self, principal: Principal) -> bool:
        """Whether it is the same client or the same credential."""
        return self.client == principal.client_id or (bool(self.credential) and self.credential == principal.credential)


@dataclass(frozen=True, slots=True)
class _Rule:
    """`own`: roles that act for their own agency, if it is concerned; `over_all`: roles that act whoever is concerned."""

    said: str
    own: frozenset[Role] = frozenset()
    over_all: frozenset[Role] = frozenset()
    another_hand: bool = False
    fresh: bool = False
    """A person needs a fresh second factor."""


_STEWARD: Final[frozenset[Role]] = frozenset({"steward"})
_ADMIN: Final[frozenset[Role]] = frozenset({"admin"})
_SUPERVISOR: Final[frozenset[Role]] = frozenset({"supervisor"})
_GUARDIANS: Final[frozenset[Role]] = frozenset({"steward", "supervisor", "admin"})
_RULES: Final[Mapping[Act, _Rule]] = {
    "agreement.propose": _Rule("propose an agreement", own=_STEWARD),
    "agreement.provider": _Rule("approve for the provider", own=_STEWARD, another_hand=True, fresh=True),
    "agreement.walidata": _Rule("approve for the walidata", over_all=_ADMIN, another_hand=True, fresh=True),
    "agreement.end": _Rule("end an agreement", own=_STEWARD, over_all=_ADMIN),
    "agreement.revoke": _Rule("revoke an agreement", own=_STEWARD, over_all=_ADMIN),
    "erasure.propose": _Rule("propose an erasure", over_all=_GUARDIANS, fresh=True),
    "erasure.approve": _Rule("approve an erasure", own=_STEWARD, over_all=_SUPERVISOR, another_hand=True, fresh=True),
    "erasure.refuse": _Rule("refuse an erasure", own=_STEWARD | _ADMIN, over_all=_SUPERVISOR),
    "hold.place": _Rule("place a legal hold", over_all=_GUARDIANS),
    "hold.release": _Rule("release a legal hold", own=_STEWARD | _ADMIN, over_all=_SUPERVISOR, fresh=True),
    "incident.move": _Rule("move an incident", own=_ADMIN, over_all=_SUPERVISOR),
}


def require_hand(
    principal: Principal, act: Act, *, concerned: Collection[str] = (), earlier: Iterable[Hand] = ()
) -> None:
    """Passes for who may take this step. `concerned`: the agencies that may; `earlier`: the steps that were taken before.

    Raises `RoleForbidden` (`role_not_allowed`) and `AgencyForbidden` (`other_agency`, `second_hand`), each with who may instead, and
    `StepUpRequired` where a person who may needs a fresh second factor.
    """
    rule = _RULES[act]
    if principal.role not in rule.own | rule.over_all:
        raise RoleForbidden(
            f"To {rule.said} needs {_who(rule, concerned)}, not role {principal.role}.", rule="role_not_allowed"
        )
    if principal.role not in rule.over_all and principal.agency not in concerned:
        raise AgencyForbidden(
            f"To {rule.said} needs {_who(rule, concerned)}, not one of {principal.agency}.", rule="other_agency"
        )
    if rule.another_hand and any(hand.is_of(principal) for hand in earlier):
        raise AgencyForbidden(
            f"{principal.client_id} took an earlier step itself; to {rule.said} needs another credential: {_who(rule, concerned)}.",
            rule="second_hand",
        )
    if rule.fresh:
        require_fresh(principal, rule.said)


def sees(principal: Principal, concerned: Collection[str]) -> bool:
    """Whether a matter is shown to the caller: to the supervisor, and to the agencies that it concerns."""
    return principal.role == "supervisor" or principal.agency in concerned


def _who(rule: _Rule, concerned: Collection[str]) -> str:
    agencies = " or ".join(sorted(concerned)) or "an agency that it concerns"
    own = [f"{' or '.join(sorted(rule.own))} of {agencies}"] if rule.own else []
    over = [f"role {' or '.join(sorted(rule.over_all))}"] if rule.over_all else []
    return ", or ".join([*own, *over])
