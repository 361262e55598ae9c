"""The part of a manifest that every kind's `source:` block shares, and the facts a kind registers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.connectors.contract import Connector
from app.connectors.environment import Environment

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: Any) -> Any:
    """`0`, `30s`, `15m`, `1h`, `2d`; anything else is left for Pydantic to refuse."""
    if isinstance(value, str) and value[:-1].isdigit() and value[-1:] in _UNITS:
        return timedelta(seconds=int(value[:-1]) * _UNITS[value[-1]])
    if isinstance(value, int) and not isinstance(value, bool):
        return timedelta(seconds=value)
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration, json_schema_input_type=str | int)]


class SourceBase(BaseModel):
    """Members that each kind's source has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    refresh: Duration = Field(default=timedelta(0), description="How stale a cached read may be; 0 = always live")
    deadline: Duration | None = Field(default=None, description="Deadline of one scan; not above the gateway's own")
    concurrency: int | None = Field(default=None, ge=1, le=64, description="Scans at once; not above the gateway's own")


@dataclass(frozen=True, slots=True)
class Kind:
    """One connector kind: its name, the model of its `source:` block, and how to open it (no I/O)."""

    name: str
    source_model: type[SourceBase]
    open: Callable[[Any, Environment], Connector]
