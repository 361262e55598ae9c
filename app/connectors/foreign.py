"""Connectors of installed packages, held so that an error of theirs is one of their source and of nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, TypeVar

import structlog

from app.connectors.capabilities import Capabilities
from app.connectors.contract import (
    Aggregation,
    CheckStep,
    Connector,
    CountEstimate,
    Discovery,
    Explains,
    Freshness,
    KeyRows,
    RawBatch,
    RowEstimate,
)
from app.connectors.diagnosis import Diagnoses, Diagnosis
from app.connectors.environment import Environment
from app.connectors.requests import AggregateRequest, ScanRequest
from app.connectors.source import Kind, SourceBase
from app.errors import SimpulError, SourceFailed
from app.filters.tree import Filter

log = structlog.get_logger("simpul.extensions")
Result = TypeVar("Result")


def guarded(kind: Kind, source: SourceBase, environment: Environment) -> Connector:
    """The opened connector of a package, with the abilities that it has. Raises `SourceFailed` where it cannot be opened."""
    try:
        inner = kind.open(source, environment)
        if not isinstance(inner, Connector):
            raise TypeError(f"open gave a {type(inner).__name__}")
    except SimpulError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a package raises is its source's error
        raise _failed(kind.name, error) from None
    return _class_of(inner)(kind.name, inner)


def _failed(kind: str, error: Exception) -> SourceFailed:
    """The type alone is told: the text of a foreign error may hold values or secrets."""
    log.warning("kind_failed", connector_kind=kind, error=type(error).__name__)
    return SourceFailed(
        f"kind {kind} of an installed package failed ({type(error).__name__}); its maintainers can tell"
    )


class _Guarded(Connector):
    """The contract itself. What the package raises beside errors of the tree becomes `SourceFailed`."""

    def __init__(self, kind: str, inner: Any) -> None:
        self._name, self._inner = kind, inner
        self.kind = kind  # type: ignore[misc]

    @property
    def capabilities(self) -> Capabilities:
        """What the package declares."""
        try:
            found: Capabilities = self._inner.capabilities
        except SimpulError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a package raises is its source's error
            raise _failed(self._name, error) from None
        return found

    async def learn(self) -> None:
        """See the contract."""
        await self._held(self._inner.learn())

    def takes(self, node: Filter) -> bool:
        """See the contract."""
        try:
            return bool(self._inner.takes(node))
        except SimpulError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a package raises is its source's error
            raise _failed(self._name, error) from None

    async def check(self) -> Sequence[CheckStep]:
        """See the contract; an error that is raised all the same is the step `read`."""
        try:
            found: Sequence[CheckStep] = await self._held(self._inner.check())
        except SimpulError as error:
            return [CheckStep("read", 0.0, error, "/source")]
        return found

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """See the contract."""
        found: Discovery = await self._held(self._inner.discover(sample_rows))
        return found

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """See the contract."""
        batches: Any = None
        try:
            batches = self._inner.scan(request)
            async for batch in batches:
                yield batch
        except SimpulError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a package raises is its source's error
            raise _failed(self._name, error) from None
        finally:
            if hasattr(batches, "aclose"):
                await self._held(batches.aclose())

    async def close(self) -> None:
        """See the contract; a package that fails at it is logged, and nobody waits for it."""
        try:
            await self._inner.close()
        except Exception as error:  # noqa: BLE001 - what is closed is gone for the gateway
            log.warning("kind_not_closed", connector_kind=self._name, error=type(error).__name__)

    async def _held(self, work: Awaitable[Result]) -> Result:
        try:
            return await work
        except SimpulError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a package raises is its source's error
            raise _failed(self._name, error) from None


class _Aggregates(_Guarded, Aggregation):
    async def aggregate(self, request: AggregateRequest) -> RawBatch:
        """See the contract."""
        found: RawBatch = await self._held(self._inner.aggregate(request))
        return found


class _RowsOfKeys(_Guarded, KeyRows):
    async def rows_of(
        self, columns: tuple[str, ...] | None, key: tuple[tuple[str, Any], ...], deadline: float | None
    ) -> RawBatch | None:
        """See the contract."""
        found: RawBatch | None = await self._held(self._inner.rows_of(columns, key, deadline))
        return found


class _Texts(_Guarded, Explains):
    async def text(self, request: ScanRequest) -> str:
        """See the contract."""
        return str(await self._held(self._inner.text(request)))


class _Estimates(_Guarded, CountEstimate):
    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """See the contract."""
        found: RowEstimate | None = await self._held(self._inner.estimate(request))
        return found


class _Versions(_Guarded, Freshness):
    async def version(self) -> str | None:
        """See the contract."""
        found: str | None = await self._held(self._inner.version())
        return found


class _Diagnoses(_Guarded, Diagnoses):
    async def diagnose(self) -> Diagnosis:
        """See the contract."""
        found: Diagnosis = await self._held(self._inner.diagnose())
        return found


_ABILITIES: tuple[tuple[type, type[_Guarded]], ...] = (
    (Aggregation, _Aggregates),
    (KeyRows, _RowsOfKeys),
    (Explains, _Texts),
    (CountEstimate, _Estimates),
    (Freshness, _Versions),
    (Diagnoses, _Diagnoses),
)


def _class_of(inner: Connector) -> type[_Guarded]:
    """The class with just the abilities that the package's connector has."""
    bases = tuple(held for ability, held in _ABILITIES if isinstance(inner, ability))
    return type("_GuardedWithAbilities", bases, {}) if bases else _Guarded
