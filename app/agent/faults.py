"""What can go wrong on the way from a file to the inbox: at which step, under which code, and what to do."""

from __future__ import annotations

from typing import Literal

Step = Literal["config", "state", "secret", "file", "query", "connect", "tls", "token", "permission", "upload"]
Retry = Literal["soon", "rarely", "next_time"]


class AgentFault(Exception):
    """One fault, told to a person: `detail` says what happened, `advice` what to do. Neither holds a secret.

    `retry`: `soon` where it may pass by itself, `rarely` where a person has to act first, `next_time` where the same bytes would be
    refused again.
    """

    def __init__(
        self,
        step: Step,
        code: str,
        detail: str,
        advice: str,
        *,
        retry: Retry = "soon",
        after_seconds: float = 0.0,
    ) -> None:
        super().__init__(f"{step}: {code}: {detail}")
        self.step = step
        self.code = code
        self.detail = detail
        self.advice = advice
        self.retry = retry
        self.after_seconds = after_seconds
        """What the gateway asked for with `Retry-After`."""

    def told(self) -> dict[str, str]:
        """As it stands in the state and in lines of the agent."""
        return {"step": self.step, "code": self.code, "detail": self.detail, "advice": self.advice}


class ConfigWrong(Exception):
    """Everything that is wrong with a configuration, each with the path of its key."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Stopping(Exception):
    """The agent was asked to end: what is under way can be gone on with later."""
