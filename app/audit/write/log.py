"""The exchange log as the rest of the gateway sees it: append and be sure, last checkpoint, health."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from app.audit.entry.record import Gateway, Record
from app.audit.keys.details import DetailKeys
from app.audit.keys.files import KEY_FOLDER, load_signer
from app.audit.keys.subjects import SubjectKeys
from app.audit.store.contract import Committed, DetailEraser, LogReader, LogStore
from app.audit.tlog.checkpoint import Checkpoint
from app.audit.write.prepare import prepare
from app.audit.write.presence import BEAT_SECONDS, Presence
from app.audit.write.publisher import Publisher
from app.audit.write.recovery import check_extension, close_orphans, last_signed
from app.audit.write.standing_details import seal_standing
from app.audit.write.witnessing import Witnessing, WitnessRules, WitnessState
from app.audit.write.writer import GroupWriter
from app.errors import LogError, LogUnavailable
from app.telemetry import Metrics

_logger = structlog.get_logger("simpul.log")


class ExchangeLog:
    """One per process. What `append` acknowledged is on stable storage, in the tree, and never lost."""

    def __init__(
        self,
        store: LogStore,
        writer: GroupWriter,
        publisher: Publisher,
        presence: Presence,
        keys: SubjectKeys,
        seals: DetailKeys,
    ) -> None:
        """Use `ExchangeLog.open`."""
        self._presence = presence
        self._store = store
        self._writer = writer
        self._publisher = publisher
        self._keys = keys
        self._seals = seals
        self._sealing: asyncio.Task[None] | None = None

    @classmethod
    async def open(  # noqa: PLR0913 - all that a log is opened with, named
        cls,
        store: LogStore,
        folder: Path,
        *,
        origin: str,
        gateway: Gateway,
        batch_entries: int = 256,
        queue_entries: int = 4096,
        checkpoint_seconds: float = 1.0,
        beat_seconds: float = BEAT_SECONDS,
        witnesses: WitnessRules | None = None,
        metrics: Metrics | None = None,
    ) -> ExchangeLog:
        """Open the store, refuse a tree that is not an extension of the last signed checkpoint, close orphaned intents.

        `folder` is the instance's folder (keys, local checkpoint); `witnesses` cosign checkpoints, and when their
        quorum is missing for too long nothing is acknowledged. InstanceMissing without keys; LogLocked, LogBroken,
        LogUnavailable as their names say.
        """
        signer = load_signer(folder, origin)
        keys, seals = SubjectKeys(folder / KEY_FOLDER), DetailKeys.of(folder)
        witnessing = None if witnesses is None else Witnessing(store, witnesses)
        publisher = Publisher(store, signer, folder, interval_seconds=checkpoint_seconds, witnessing=witnessing)
        local = last_signed(folder, signer.verifier)
        try:
            await store.open(create=local is None or local.size == 0)
            known = await check_extension(store, signer.verifier, local)
            publisher.resume(known)
            if witnessing is not None:
                await witnessing.start(known)
            writer = GroupWriter(
                store,
                replica=gateway.replica,
                batch_entries=batch_entries,
                queue_entries=queue_entries,
                recheck=publisher.recheck,
                metrics=metrics,
            )
            publisher.attach(writer)
            writer.start((await store.head()).size)
            presence = Presence(
                store.replicas,
                writer,
                lambda: close_orphans(store, log.append_many, gateway, seals),
                beat_seconds=beat_seconds,
            )
            log = cls(store, writer, publisher, presence, keys, seals)
            await close_orphans(store, log.append_many, gateway, seals)
            await publisher.publish()
            publisher.start()
            presence.start()
            log._seal_standing(folder)
        except BaseException:
            if witnessing is not None:
                await witnessing.stop()
            await store.close()
            raise
        return log

    async def close(self) -> None:
        """Write what waits, sign a last checkpoint, release the store."""
        if self._sealing is not None:
            self._sealing.cancel()
            await asyncio.wait({self._sealing})
        await self._presence.stop()
        await self._writer.stop()
        await self._publisher.stop()
        try:
            if self._writer.error is None and not self._writer.has_open_intents:
                await self._store.replicas.leave(nothing_open=True)
        except LogUnavailable:
            _logger.warning("log_closed_without_last_word")  # the next start looks for open intents
        finally:
            await self._store.close()

    def _seal_standing(self, folder: Path) -> None:
        """Seals in the background what an older version stored plain."""

        async def work() -> None:
            try:
                await seal_standing(self._store, self._store.eraser, self._seals, folder, self.size())
            except LogError as error:
                _logger.exception("details_not_sealed", code=error.code, reason=error.detail)

        self._sealing = asyncio.create_task(work(), name="exchange-log-sealing")

    async def append(self, record: Record) -> Committed:
        """Append one entry; durable when this returns.

        LogUnavailable or LogOverloaded when it cannot be (then no data may leave); EntryInvalid or EntryTooLarge for a
        record that is not a good entry.
        """
        return (await self._writer.submit((prepare(record, self._keys, self._seals),)))[0]

    def submit(self, records: Sequence[Record]) -> asyncio.Future[list[Committed]]:
        """As `append_many`, as a future: what is handed over is written also when nobody waits for it any more."""
        return self._writer.submit([prepare(record, self._keys, self._seals) for record in records])

    async def append_many(self, records: Sequence[Record]) -> list[Committed]:
        """Append several entries in one transaction, in order; all or none. Errors as for `append`."""
        if not records:
            return []
        return await self.submit(records)

    def latest_checkpoint(self) -> Checkpoint | None:
        """The last signed checkpoint; None before the first."""
        return self._publisher.last

    async def checkpoint(self, size: int) -> Checkpoint:
        """A signed checkpoint of at least `size` entries, published now if there is none yet."""
        return await self._publisher.covering(size)

    def size(self) -> int:
        """Entries in the tree, as of this process's last commit."""
        return self._writer.size

    def healthy(self) -> bool:
        """True while entries can be written and checkpoints are signed; `last_error` says why not."""
        return self.last_error() is None

    def last_error(self) -> str | None:
        """What keeps the log from being written or signed; None when nothing does."""
        error = self._writer.error or self._publisher.error
        return None if error is None else f"{error.code}: {error.detail}"

    @property
    def failures(self) -> int:
        """Batches that could not be committed since start."""
        return self._writer.failed_batches

    @property
    def witnesses(self) -> Sequence[WitnessState]:
        """The witnesses that are asked for cosignatures, each with what it last answered."""
        return self._publisher.witnesses

    @property
    def reader(self) -> LogReader:
        """Read-only access to the log's tables."""
        return self._store

    @property
    def eraser(self) -> DetailEraser:
        """Takes away details and tags that an erasure entry names."""
        return self._store.eraser

    @property
    def subject_keys(self) -> SubjectKeys:
        """Keys of the subject tags, for searching by subject."""
        return self._keys

    @property
    def seals(self) -> DetailKeys:
        """Keys of the details, for reading them."""
        return self._seals
