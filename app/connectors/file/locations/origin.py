"""What every location offers: which files it means, each as a whole local file with a mark, and the stages of a check."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType

from app.connectors.contract import CheckStep, milliseconds_since
from app.connectors.environment import Environment
from app.connectors.network import dial, resolve_allowed
from app.errors import SimpulError, SourceRejected

LIVE_SECONDS = 1.0
"""With `refresh: 0` the source is asked anew for what was last confirmed longer ago than this: one read asks once."""
FETCH_SECONDS = 900.0
"""Longest time that one file may take to come; a question that waits for it leaves earlier, at its own deadline."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a location means. `name`: as people are shown it; `parts`: what its name says; `mark`: changes when the file does."""

    name: str
    parts: Mapping[str, str] = field(default_factory=dict)
    mark: str = ""
    seen: datetime | None = None
    """When a list told the mark."""


@dataclass(frozen=True, slots=True)
class Local:
    """A whole file under `root`. `as_of`: when its source was last seen to hold just this; None for what is local anyway."""

    root: Path
    inner: str
    mark: str
    as_of: datetime | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.root / self.inner


class Origin(ABC):
    """Where files come from. Opening does no I/O."""

    @abstractmethod
    async def files(self, deadline: float | None) -> Sequence[Found]:
        """The files that the location means, in the order of their names; never empty. Raises `SourceError` leaves."""

    @abstractmethod
    def local(self, found: Found, deadline: float | None) -> AbstractAsyncContextManager[Local]:
        """The file as it is now (or was within `refresh`). It stays as it is until the context ends."""

    @abstractmethod
    async def check(self) -> Sequence[CheckStep]:
        """The stages up to permission; stops at the first that fails. Never raises for a fault of the source."""

    async def close(self) -> None:  # noqa: B027 - most hold nothing
        """Gives back connections and copies; may be called twice."""


def extra(name: str, *modules: str) -> list[ModuleType]:
    """The modules of an extra, loaded when first needed. Raises `SourceRejected` that says what the operator installs."""
    try:
        return [import_module(module) for module in modules]
    except ModuleNotFoundError as missing:
        detail = (
            f"this location needs {missing.name}, which is not installed here: the operator installs simpul[{name}]"
        )
        raise SourceRejected(detail, field="/source/location") from None


_STAGES = {
    "network_forbidden": "dns",
    "source_dns_failed": "dns",
    "source_unreachable": "tcp",
    "source_tls_failed": "tls",
    "source_auth_failed": "auth",
    "secret_unknown": "auth",
    "source_permission_denied": "permission",
    "source_missing": "permission",
}


def at_location(error: SimpulError, pointer: str = "/source/location") -> SimpulError:
    """The same error; where it names `source.url`, which a file does not have, it names this member."""
    if error.facts.get("field", "/source/url") in {"/source/url", "/source"}:
        error.facts["field"] = pointer
    return error


async def check_server(
    host: str, port: int, environment: Environment, first: Callable[[], Awaitable[object]], pointer: str
) -> list[CheckStep]:
    """The stages of a location on a server: dns, tcp, then permission, or the stage that the first request fails at."""
    steps: list[CheckStep] = []
    started = time.perf_counter()
    stage = "dns"
    try:
        addresses = await resolve_allowed(host, port, environment.network)
        steps.append(CheckStep(stage, milliseconds_since(started), None, pointer))
        started, stage = time.perf_counter(), "tcp"
        (await dial(addresses, port)).close()
        steps.append(CheckStep(stage, milliseconds_since(started), None, pointer))
        started, stage = time.perf_counter(), "permission"
        await first()
    except SimpulError as error:
        at_location(error, pointer)
        failed = _STAGES.get(error.code, stage) if stage == "permission" else stage
        return [*steps, CheckStep(failed, milliseconds_since(started), error, str(error.facts["field"]))]
    return [*steps, CheckStep(stage, milliseconds_since(started), None, pointer)]
