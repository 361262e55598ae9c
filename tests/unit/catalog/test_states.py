"""The life of a connector: what may be done in each state, and a refusal that says what may be done instead."""

from __future__ import annotations

import pytest

from app.catalog.states import Action, State, allowed, require
from app.errors import StateConflict


def test_only_a_published_connector_serves():
    assert [state for state in State if state.serves] == [State.PUBLISHED]


@pytest.mark.parametrize("state", [state for state in State if state is not State.RETIRED])
def test_until_it_is_retired_a_connector_may_be_changed_checked_published_and_retired(state: State):
    for action in (Action.PUT, Action.CHECK, Action.PUBLISH, Action.RETIRE):
        require("faskes", state, action)


@pytest.mark.parametrize("action", Action)
def test_nothing_may_be_done_with_a_retired_connector(action: Action):
    with pytest.raises(StateConflict, match="register the source under a new id") as caught:
        require("faskes", State.RETIRED, action)

    assert caught.value.facts["allowed"] == ()


@pytest.mark.parametrize(
    ("action", "states"),
    [
        (Action.SUSPEND, [State.PUBLISHED]),
        (Action.RESUME, [State.SUSPENDED]),
        (Action.ROLLBACK, [State.PUBLISHED, State.SUSPENDED]),
    ],
)
def test_what_serves_can_be_stopped_what_is_stopped_resumed_and_both_rolled_back(action: Action, states: list[State]):
    assert [state for state in State if action in allowed(state)] == states


def test_a_refusal_names_connector_state_action_and_what_is_allowed_instead():
    with pytest.raises(StateConflict) as caught:
        require("faskes", State.DRAFT, Action.RESUME)

    assert "connector faskes is draft" in caught.value.detail
    assert "put, check, publish, retire" in caught.value.detail
    assert caught.value.facts == {
        "connector": "faskes",
        "state": "draft",
        "action": "resume",
        "allowed": allowed(State.DRAFT),
    }
