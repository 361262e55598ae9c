"""The states of a connector and what may be done in each. Pure; the rows stand in `connectors.py`.

draft -> checked -> published -> suspended / retired. Only a published connector serves records.
"""

from __future__ import annotations

from enum import StrEnum

from app.errors import StateConflict


class State(StrEnum):
    """Where a connector stands."""

    DRAFT = "draft"
    CHECKED = "checked"
    PUBLISHED = "published"
    SUSPENDED = "suspended"
    RETIRED = "retired"

    @property
    def serves(self) -> bool:
        """True when records of this connector may be read through the gateway."""
        return self is State.PUBLISHED


class Action(StrEnum):
    """What somebody does with a connector."""

    PUT = "put"
    CHECK = "check"
    PUBLISH = "publish"
    SUSPEND = "suspend"
    RESUME = "resume"
    ROLLBACK = "rollback"
    RETIRE = "retire"


_ALLOWED: dict[State, tuple[Action, ...]] = {
    State.DRAFT: (Action.PUT, Action.CHECK, Action.PUBLISH, Action.RETIRE),
    State.CHECKED: (Action.PUT, Action.CHECK, Action.PUBLISH, Action.RETIRE),
    State.PUBLISHED: (Action.PUT, Action.CHECK, Action.PUBLISH, Action.SUSPEND, Action.ROLLBACK, Action.RETIRE),
    State.SUSPENDED: (Action.PUT, Action.CHECK, Action.PUBLISH, Action.RESUME, Action.ROLLBACK, Action.RETIRE),
    State.RETIRED: (),
}


def allowed(state: State) -> tuple[Action, ...]:
    """What may be done in this state, in the order of a connector's life."""
    return _ALLOWED[state]


def require(connector: str, state: State, action: Action) -> None:
    """Raises `StateConflict` that says what is allowed instead."""
    if action in _ALLOWED[state]:
        return
    instead = ", ".join(_ALLOWED[state]) or "nothing: register the source under a new id"
    message = f"connector {connector} is {state}, so it cannot be changed by {action}; allowed: {instead}"
    raise StateConflict(message, connector=connector, state=str(state), action=str(action), allowed=_ALLOWED[state])
