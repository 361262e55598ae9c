"""A database whose driver blocks: its sessions work in threads of the connector's own, and are broken off from outside."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from app.connectors.blocking import Threads, pull
from app.connectors.capabilities import Capabilities
from app.connectors.contract import CheckStep, Connector, Discovery, RawBatch, RawColumn, milliseconds_since
from app.connectors.environment import Environment
from app.connectors.requests import ScanRequest
from app.connectors.sql.address import ServerAddress, ServerTarget, dial_addresses, resolve_target
from app.connectors.sql.columns import Column, Table
from app.connectors.sql.diagnosing import DatabaseDiagnosis
from app.connectors.sql.render import Renderer, declared, renders
from app.connectors.sql.source import SqlSource
from app.errors import SimpulError, SourceUnreachable
from app.filters.tree import Filter

_ADDRESS_SECONDS: Final = 30.0
_MOST_SESSIONS: Final = 8

_STAGES: Final[Mapping[str, str]] = {
    "source_unreachable": "tcp",
    "source_tls_failed": "tls",
    "source_auth_failed": "auth",
    "source_permission_denied": "permission",
}
"""The stage in which an error arose, by its code, where it is another than the one that was tried."""
Result = TypeVar("Result")
SessionT = TypeVar("SessionT")


class SessionPool(Protocol[SessionT]):
    """The sessions of one database."""

    def take(self, begin: Callable[[SessionT], None]) -> SessionT:
        """One that nobody uses; `begin` is told each that is tried."""
        ...

    def give_back(self, session: SessionT) -> None:
        """One that can be used again."""
        ...


class BlockingDatabase(DatabaseDiagnosis, Connector, Generic[SessionT]):
    """What such connectors share: a piece of work on a session, looking at the tables, the stages of a check."""

    kind: ClassVar[str] = "sql"
    database: ClassVar[str]
    """Whose it is, as its maker writes it."""
    aggregates: ClassVar[frozenset[str]] = frozenset()
    """What the server itself can count and add up."""

    def __init__(self, source: SqlSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._table: tuple[Table, str] | None = None
        self._sessions: Any = None
        self._dialled_at = 0.0
        self._count = max(1, min(environment.limits.concurrency, _MOST_SESSIONS))
        self._threads = Threads(f"{self.database.lower()}-{environment.connector}", self._count)

    @property
    def capabilities(self) -> Capabilities:
        """Columns, exact filters, order, position, limit; after `learn` also which columns and keys."""
        table = self._table[0] if self._table is not None else None
        return declared(table, exact=True, aggregates=self.aggregates, concurrent_scans=self._count)

    def takes(self, node: Filter) -> bool:
        """What can be rendered is done."""
        if self._table is None:
            return super().takes(node)
        return renders(self._renderer(self._table[0]), node)

    @abstractmethod
    def _renderer(self, table: Table) -> Renderer:
        """What writes conditions on this table."""

    @abstractmethod
    def _pool(self, target: ServerTarget, addresses: list[str]) -> Any:
        """Sessions of this server, none of them open yet."""

    @abstractmethod
    def _break_off(self, sessions: Any, session: SessionT) -> None:
        """Ends what the session does at the server, without waiting."""

    @abstractmethod
    def _dropped(self, session: SessionT) -> None:
        """Gives up a session that is not to be used again."""

    @abstractmethod
    def _translated(self, error: Exception) -> SimpulError:
        """What the driver raised as one of our errors."""

    @abstractmethod
    def _tables_of(self, session: SessionT) -> tuple[str, ...]:
        """Tables and views that the user sees."""

    @abstractmethod
    def _read(self, session: SessionT, request: ScanRequest) -> Iterator[RawBatch]:
        """The rows, a batch at a time."""

    @abstractmethod
    def _describe(self, session: SessionT) -> tuple[Table, str]:
        """The table or query, and how it stands behind FROM."""

    @abstractmethod
    def _note(self) -> str:
        """What a check has to say of the server, once it was met."""

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, auth (with tcp and tls in one), read. Tells what is to be known of the server."""
        steps: list[CheckStep] = []
        for name in ("dns", "auth", "read") if self._environment.whole_checks else ("dns", "auth"):
            started = time.perf_counter()
            try:
                await self._stage(name)
            except SimpulError as error:
                pointer = str(error.facts.get("field", "/source/url"))
                stage = _STAGES.get(error.code, name)
                return [*steps, CheckStep(stage, milliseconds_since(started), error, pointer)]
            note = self._note() if name == "auth" else ""
            pointer = "/source/table" if name == "read" else "/source/url"
            steps.append(CheckStep(name, milliseconds_since(started), None, pointer, note))
        return steps

    def _columns(self) -> tuple[Column, ...]:
        return self._table[0].columns if self._table is not None else ()

    async def learn(self) -> None:
        """Reads the catalogue, once."""
        if self._table is None:
            self._table = await self._once(self._describe)

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """Tables and views; columns and sample of the chosen one."""
        tables = await self._once(self._tables_of)
        if self._source.table is None and self._source.query is None:
            return Discovery(tables, ())
        self._table = None
        await self.learn()
        sample: list[dict[str, Any]] = []
        ends = time.monotonic() + self._environment.limits.deadline_seconds
        async for batch in self.scan(ScanRequest(limit=max(sample_rows, 1), deadline=ends)):
            sample += [dict(zip(batch.schema.names, row, strict=True)) for row in batch.rows or ()]
        columns = self._columns()
        shown = tuple(RawColumn(part.name, part.source_type, part.arrow_type, part.nullable) for part in columns)
        return Discovery(tables, shown, tuple(sample))

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The rows, a batch at a time as the server sends them."""
        await self.learn()
        async for batch in self._run(lambda session: self._read(session, request), request.deadline):
            yield batch

    async def _run(self, work: Callable[[SessionT], Iterator[Result]], deadline: float | None) -> AsyncIterator[Result]:
        """Work on a session in a thread; leaving it in the middle breaks the statement off at the server.

        The line is cut too: a server that hangs or trickles would hold the thread, and whoever comes next.
        """
        sessions = await self._opened()
        running: list[SessionT] = []
        left = Event()

        def stop() -> None:
            left.set()
            for session in running[:]:  # a thread may take it out meanwhile
                self._break_off(sessions, session)

        batches = pull(self._threads, self._on_session(sessions, work, running, left), deadline, stop)
        try:
            async for batch in batches:
                yield batch
        finally:
            await batches.aclose()  # type: ignore[attr-defined]

    async def _once(self, work: Callable[[SessionT], Result], deadline: float | None = None) -> Result:
        """What one piece of work on a session gives."""

        def step(session: SessionT) -> Iterator[Result]:
            yield work(session)

        (found,) = [one async for one in self._run(step, deadline)]
        return found

    def _on_session(
        self,
        sessions: SessionPool[SessionT],
        work: Callable[[SessionT], Iterator[Result]],
        running: list[SessionT],
        left: Event,
    ) -> Iterator[Result]:
        def begin(session: SessionT) -> None:
            self._begun(running, session)
            if left.is_set():
                session.cut()  # type: ignore[attr-defined]

        session = sessions.take(begin)
        whole = False
        try:
            yield from work(session)
            whole = True
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
            fault = self._translated(error)
            if fault.code in ("source_schema_mismatch", "source_missing"):
                self._table = None  # described anew at the next read
            raise fault from None
        finally:
            running.clear()
            if whole and sessions is self._sessions and not left.is_set():
                sessions.give_back(session)
            else:
                self._dropped(session)

    async def _opened(self) -> Any:
        """The sessions, dialled at literal addresses that the policy allowed; asked for again after a while."""
        now = time.monotonic()
        if self._sessions is not None and now - self._dialled_at < _ADDRESS_SECONDS:
            return self._sessions
        address = self._source.address
        if not isinstance(address, ServerAddress):
            raise SourceUnreachable(f"the address is none of {self.database}", field="/source/url")
        try:
            target = resolve_target(address, self._environment)
        except ValueError:
            raise SourceUnreachable("the port that the address refers to is no number", field="/source/url") from None
        addresses = await dial_addresses(target, self._environment)
        if self._sessions is None:
            self._sessions = self._pool(target, addresses)
        self._sessions.addresses, self._dialled_at = addresses, now
        return self._sessions

    def _begun(self, running: list[SessionT], session: SessionT) -> None:
        running[:] = [session]

    async def _stage(self, name: str) -> None:
        """One stage of a check: dns, auth (with tcp and tls in one), read."""
        if name == "dns":
            await self._opened()
        elif name == "auth":
            await self._once(lambda _: None)
        elif self._source.table is not None or self._source.query is not None:
            await self.discover(sample_rows=1)
