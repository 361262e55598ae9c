"""Step-up: what lets data out, makes credentials, destroys what is known or reads a person's trail needs a second factor shown just now.

One function for every door, beside `hands.py`: routes whose rule says `fresh` ask it before anything else is looked at. A client
proves itself for each token, at most a quarter of an hour ago; a person's session lives for hours and its machine may stand open.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from app.access.principals import Principal
from app.errors import AccessDenied

FRESH_SECONDS: Final = 300
SUBJECT_TRAIL: Final = "read whose data about a person went where"
ACCOUNTS: Final = "make, change or reset the account of a person"
CREDENTIALS: Final = "make, replace or enable the credential of a client"
"""Whoever does this holds what another one proves itself by: the second hand might be the first one in disguise."""


class StepUpRequired(AccessDenied):
    """The person may, once a fresh second factor is there. `fresh_until`: until when the last one counted."""

    code = "step_up_required"


def require_fresh(principal: Principal, said: str, *, now: float | None = None) -> None:
    """Passes for clients, and for people whose second factor was shown at most five minutes ago; else `StepUpRequired`."""
    refusal = step_up_needed(principal, said, now=now)
    if refusal is not None:
        raise refusal


def step_up_needed(principal: Principal, said: str, *, now: float | None = None) -> StepUpRequired | None:
    """The refusal, None where `require_fresh` passes."""
    if principal.kind != "person":
        return None
    moment = time.time() if now is None else now
    until = principal.fresh_until
    if until is not None and moment < until:
        return None
    return StepUpRequired(
        f"To {said} needs a fresh second factor: POST /v1/session/step-up with a new code of your authenticator "
        "(or sign in again at your provider: /sign-in/oidc?step_up=true), then repeat the request within five minutes.",
        rule="step_up_required",
        fresh_until=None if until is None else datetime.fromtimestamp(until, UTC),
    )
