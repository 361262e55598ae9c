"""Step-up: what lets data out, destroys what is known or reads a person's trail needs a second factor that a person showed just now.

One function for every door, beside `hands.py`. A client proves itself for each token, at most a quarter of an hour ago; a person's
session lives for hours and its machine may stand open.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from app.access.principals import Principal
from app.errors import AccessDenied

FRESH_SECONDS: Final = 300
SUBJECT_TRAIL: Final = "read whose data about a person went where"


class StepUpRequired(AccessDenied):
    """The person may, once a fresh second factor is there. `fresh_until`: until when the last one counted."""

    code = "step_up_required"


def require_fresh(principal: Principal, said: str, *, now: float | None = None) -> None:
    """Passes for clients, and for people whose second factor was shown at most five minutes ago; else `StepUpRequired`."""
    if principal.kind != "person":
        return
    moment = time.time() if now is None else now
    until = principal.fresh_until
    if until is not None and moment < until:
        return
    raise StepUpRequired(
        f"To {said} needs a fresh second factor: POST /v1/session/step-up with a new code of your authenticator "
        "(or sign in again at your provider: /sign-in/oidc?step_up=true), then repeat the request within five minutes.",
        rule="step_up_required",
        fresh_until=None if until is None else datetime.fromtimestamp(until, UTC),
    )
