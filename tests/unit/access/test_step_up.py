"""Which acts ask a person for a fresh second factor, and whom nothing is asked of."""

from __future__ import annotations

from typing import get_args

import pytest

from app.access.hands import Act, require_hand
from app.access.principals import Principal, Role
from app.access.step_up import FRESH_SECONDS, StepUpRequired, require_fresh

FRESH_ACTS = {"agreement.provider", "agreement.walidata", "erasure.propose", "erasure.approve", "hold.release"}
ROLES: dict[str, Role] = {"agreement.walidata": "admin", "incident.move": "admin"}


def person(role: Role, fresh_until: float | None) -> Principal:
    return Principal("person:a", "dinkes", role, "c", "person", fresh_until)


@pytest.mark.parametrize("act", get_args(Act))
def test_an_act_that_lets_out_or_destroys_needs_one(act: Act) -> None:
    role = ROLES.get(act, "steward")
    require_hand(Principal("k", "dinkes", role, "c"), act, concerned=("dinkes",))
    require_hand(person(role, 1e12), act, concerned=("dinkes",))
    if act in FRESH_ACTS:
        with pytest.raises(StepUpRequired) as refused:
            require_hand(person(role, None), act, concerned=("dinkes",))
        assert refused.value.facts["rule"] == "step_up_required"
    else:
        require_hand(person(role, None), act, concerned=("dinkes",))


def test_it_counts_until_its_moment() -> None:
    until = 1_000_000.0
    require_fresh(person("steward", until), "act", now=until - FRESH_SECONDS)
    require_fresh(person("steward", until), "act", now=until - 0.001)
    for now in (until, until + 1):
        with pytest.raises(StepUpRequired):
            require_fresh(person("steward", until), "act", now=now)


def test_a_session_makes_no_other_decision() -> None:
    """Decisions are remembered by principal: when the factor was shown must not make another one."""
    assert person("steward", None) == person("steward", 5.0)
    assert hash(person("steward", None)) == hash(person("steward", 5.0))
