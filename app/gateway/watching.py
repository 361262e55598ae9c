"""Looks at every published source on a schedule, one replica for all: does it answer, and if not, at which stage and why.

Nothing is released, so it is no exchange: the findings stand in the history of the connector's health. Of a source that holds personal
data no record is asked for. A look is the probe of a circuit that has rested.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from app.catalog import probes, turns
from app.catalog.agencies import Agency
from app.catalog.probes import ProbeRun
from app.connectors.contract import CheckStep
from app.connectors.steps import step_of
from app.database import Database
from app.datasets.manifest import Manifest, is_personal
from app.errors import SimpulError, SourceFailed, SourceTimeout
from app.federation.reading.breaker import NO_FAULT_OF_SOURCE
from app.federation.reading.runtime import Runtime
from app.gateway.sources import OpenDataset, Opener, SourcePool
from app.settings import Settings
from app.telemetry import Metrics

log = structlog.get_logger("simpul.health")

LOOK_SECONDS = 0.5
AT_ONCE = 4
JITTER = 0.1
"""Share of the time between two looks by which it varies, so that sources are not all asked at one moment."""
_DETAIL = 2000
_CALLER = "simpul:health"


@dataclass(frozen=True, slots=True)
class WatchMeans:
    """What looking at sources needs. `agency`: the agency of an id, as it stands at this moment."""

    settings: Settings
    database: Database
    opener: Opener
    sources: SourcePool
    runtime: Runtime
    metrics: Metrics
    replica: str
    agency: Callable[[str], Agency]


class Watcher:
    """The looks of one process."""

    def __init__(self, means: WatchMeans) -> None:
        self._means = means
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._next: dict[str, float] = {}
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to look."""
        self._follower = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Ends what is under way."""
        tasks = [*self._under_way.values(), *([self._follower] if self._follower else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def seconds(self, manifest: Manifest) -> float:
        """The time between two looks at a source; 0: none."""
        every = manifest.health.every
        return self._means.settings.health_seconds if every is None else every.total_seconds()

    async def _follow(self) -> None:
        while True:
            try:
                self._begin_what_is_due()
            except Exception as error:
                log.exception("sources_not_watched", kind=type(error).__name__, exc_info=error)
            await asyncio.sleep(LOOK_SECONDS)

    def _begin_what_is_due(self) -> None:
        now = time.monotonic()
        for opened in self._means.sources.all():
            name, manifest = opened.dataset, opened.manifest
            if manifest is None or opened.error is not None or name in self._under_way or self.seconds(manifest) == 0:
                continue
            rested = self._means.runtime.circuit(name) == "half_open"
            if len(self._under_way) >= AT_ONCE or (now < self._next.get(name, 0.0) and not rested):
                continue
            self._next[name] = now + LOOK_SECONDS
            task = asyncio.create_task(self._look(opened, manifest, rested=rested))
            self._under_way[name] = task
            task.add_done_callback(lambda _, name=name: self._under_way.pop(name, None))  # type: ignore[misc]

    async def _look(self, opened: OpenDataset, manifest: Manifest, *, rested: bool) -> None:
        """One look, if it is this replica's turn."""
        means, turn = self._means, f"health:{opened.dataset}"
        with suppress(SimpulError):
            async with means.database.begin() as connection:
                if rested:
                    await turns.soon(connection, turn)
                mine = await turns.take(connection, turn, means.replica, datetime.now(UTC))
            if not mine:
                return
            seconds = self.seconds(manifest) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
            try:
                found = await self._found(opened, manifest)
            finally:
                async with means.database.begin() as connection:
                    await turns.end(connection, turn, means.replica, datetime.now(UTC) + timedelta(seconds=seconds))
            async with means.database.begin() as connection:
                moved = await probes.record(connection, found)
            means.metrics.count_probe(opened.agency, passed=found.passed)
            if moved:
                log.info(
                    "source_health", connector=opened.dataset, passed=found.passed, step=found.step, code=found.code
                )

    async def _found(self, opened: OpenDataset, manifest: Manifest) -> ProbeRun:
        """What the check of the source says; its circuit learns of it where it asked for a record."""
        means, started, personal = self._means, time.perf_counter(), is_personal(opened.schema, manifest.fields)
        breaker = means.runtime.guards.breaker(opened.dataset)
        bulkhead = means.runtime.guards.bulkhead(opened.dataset, opened.slots)
        probing = breaker.state == "half_open" and not personal and breaker.allow()
        failed: CheckStep | None = None
        try:
            async with bulkhead.slot(_CALLER):
                failed = await self._check(opened, manifest, whole=not personal)
        finally:
            if probing and failed is None:
                breaker.succeed()
            elif probing and failed is not None and not isinstance(failed.error, NO_FAULT_OF_SOURCE):
                breaker.fail(failed.error, (opened.revision, await opened.source.version()))
            elif probing:
                breaker.release()
        now, elapsed = datetime.now(UTC), round((time.perf_counter() - started) * 1000, 1)
        if failed is None or failed.error is None:
            return ProbeRun(
                opened.dataset, opened.revision, passed=True, since=now, at=now, checks=1, elapsed_ms=elapsed
            )
        return ProbeRun(
            opened.dataset, opened.revision, passed=False, since=now, at=now, checks=1, elapsed_ms=elapsed,
            step=failed.name, code=failed.error.code, detail=failed.error.detail[:_DETAIL],
        )  # fmt: skip

    async def _check(self, opened: OpenDataset, manifest: Manifest, *, whole: bool) -> CheckStep | None:
        """The stage that failed, None where none did."""
        seconds = opened.source.deadline_seconds
        source = None
        try:
            source = self._means.opener.connector(manifest, self._means.agency(opened.agency), whole_checks=whole)
            async with asyncio.timeout(seconds):
                steps = await source.check()
        except TimeoutError:
            return CheckStep("read", seconds * 1000, SourceTimeout(f"no answer within {seconds:.3g} s"))
        except SimpulError as error:
            return CheckStep(step_of(error), 0.0, error)
        except Exception as error:
            log.exception("source_not_checked", connector=opened.dataset, kind=type(error).__name__, exc_info=error)
            return CheckStep("read", 0.0, SourceFailed("the gateway could not check this source"))
        finally:
            if source is not None:
                with suppress(SimpulError):
                    await source.close()
        return next((step for step in steps if step.error is not None), None)
