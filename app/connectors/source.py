"""The part of a manifest that every kind's `source:` block shares, and the facts a kind registers with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from app.connectors.contract import Connector
from app.connectors.environment import Environment
from app.connectors.network import Dialled
from app.connectors.pace import seconds_between
from app.extensions import Unfit, require_contract, told

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_WRITTEN = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)", re.ASCII)
_MOST_SECONDS = 366 * 86400
_KIND_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


def _duration(value: Any) -> Any:
    """`0`, `400ms`, `30s`, `15m`, `1h`, `2d`, or ISO 8601 such as `PT0.4S`; at most 366 days."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_SECONDS:
        return timedelta(seconds=value)
    written = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if written is not None:
        return timedelta(seconds=float(written[1]) * _UNITS[written[2]])
    if isinstance(value, timedelta) or (
        isinstance(value, str) and value.startswith("P") and len(value) <= len("P366DT23H59M59.999999S")
    ):
        return value
    raise ValueError("a duration is a number with its unit, such as 400ms, 30s, 15m, 1h, 2d (at most 366 days)")


def _bounded(value: timedelta) -> timedelta:
    if not 0 <= value.total_seconds() <= _MOST_SECONDS:
        raise ValueError("a duration is between 0 and 366 days")
    return value


_Written = Annotated[str, Field(max_length=40)] | Annotated[int, Field(ge=0, le=_MOST_SECONDS)]
Duration = Annotated[timedelta, BeforeValidator(_duration, json_schema_input_type=_Written), AfterValidator(_bounded)]


class SourceBase(BaseModel):
    """Members that each kind's source has."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    of_schema: ClassVar[bool] = False
    """Whether the source gives records of a shared schema, so that its fields need no mapping."""

    kind: str
    refresh: Duration = Field(default=timedelta(0), description="How stale a cached read may be; 0 = always live")
    deadline: Duration | None = Field(default=None, description="Deadline of one scan; not above the gateway's own")
    concurrency: int | None = Field(default=None, ge=1, le=64, description="Scans at once; not above the gateway's own")
    rate: str | None = Field(
        default=None,
        description="At most so many requests of an HTTP service, or reads of a database or file, in a time: 5/s, 100/m, 1000/h",
    )

    def dialled(self) -> Sequence[Dialled]:
        """Every address that this source states; each is held against the agency's network policy when it is registered."""
        return ()

    @field_validator("rate")
    @classmethod
    def _rate(cls, rate: str | None) -> str | None:
        if rate is not None:
            seconds_between(rate)
        return rate


def _text_encoding(name: str) -> str:
    """An encoding of texts: `base64` and its like are none."""
    try:
        "a".encode(name)
    except (LookupError, ValueError):
        raise ValueError("unknown encoding; write utf-8, cp1252, latin-1, utf-16") from None
    return name


Encoding = Annotated[str, AfterValidator(_text_encoding)]


@dataclass(frozen=True, slots=True)
class Kind:
    """One connector kind: its name, the model of its `source:` block, and how to open it (no I/O)."""

    name: str
    source_model: type[SourceBase]
    open: Callable[[Any, Environment], Connector]
    contract: int | None = None
    """Of a kind in a package of its own: the version of the contract that it was written against."""
    requests: bool = False
    """Whether it asks by requests over HTTP, and paces each of them; else a whole read is what is paced."""


def kind_of_package(name: str, found: object) -> Kind:
    """The kind that an entry point of this name gives; raises `Unfit`."""
    if not isinstance(found, Kind):
        raise Unfit("wrong_object", f"it is a {type(found).__name__}, not a Kind of app.connectors.source")
    require_contract(found.contract)
    if found.name != name or not _KIND_NAME.fullmatch(name):
        detail = f"its kind is called {found.name!r:.40}: kind and entry point have one name, of a-z, 0-9 and _"
        raise Unfit("wrong_object", detail)
    model: Any = found.source_model
    if not (isinstance(model, type) and issubclass(model, SourceBase)):
        raise Unfit("wrong_object", "its source_model is no subclass of SourceBase")
    try:
        schema = found.source_model.model_json_schema()
    except Exception as error:  # noqa: BLE001 - whatever a model of a package raises concerns it alone
        raise Unfit("wrong_object", f"its source_model has no JSON Schema: {told(error)}") from None
    if schema["properties"]["kind"].get("const") != name:
        raise Unfit("wrong_object", f'its source_model does not declare kind: Literal["{name}"]')
    return found
