"""Moving through a table of states: `TRANSITIONS = {(state, act): next state}`."""

from collections.abc import Mapping

from models.errors import Conflict

Transitions = Mapping[tuple[str, str], str]


def step(transitions: Transitions, state: str, act: str) -> str:
    """The state after the act; Conflict `wrong_state` where the table does not have it."""
    if (state, act) not in transitions:
        raise Conflict("wrong_state", state=state, act=act)
    return transitions[state, act]
