"""Asking witnesses to cosign checkpoints (C2SP tlog-witness), and what their answers say about our own tree.

A witness that has seen a larger or another tree is an alarm: nothing is released until an operator has looked. Does not
live here: signing (`publisher.py`), the policy file (`policy.py`), being a witness (`witness.py`).
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from app.audit.store.contract import LogStore
from app.audit.store.stored_hashes import stored_hashes
from app.audit.tlog.checkpoint import Checkpoint, NoteError
from app.audit.tlog.cosignatures import Cosignature, signed_note
from app.audit.tlog.policy import Policy, Witness
from app.audit.tlog.proofs import consistency_ranges, proof_hashes
from app.errors import LogBroken, LogError, LogUnavailable
from app.tls import verified

_logger = structlog.get_logger("simpul.log")
_ANSWER_BYTES = 65_536
_SIZE_TYPE = "text/x.tlog.size"
_PAUSE_SECONDS = 5.0
_ALARM_PAUSE_SECONDS = 60.0
_REFRESH_SECONDS = 600
_WARN_SHARE = 0.7
_PAGE_LINES = 32
_PAGES_AT_START = 1000
_COSIGNED = f"""SELECT s.size, s.line, c.note FROM log_cosignature s JOIN log_checkpoint c ON c.size = s.size
 WHERE s.size >= $1 AND s.size <= $2 ORDER BY s.size DESC LIMIT {_PAGE_LINES}"""
_FIRST_AFTER = "SELECT at_us FROM log_checkpoint WHERE size > $1 AND size > 0 ORDER BY size LIMIT 1"


@dataclass(frozen=True, slots=True)
class WitnessRules:
    """Whom to ask, how long the log may go on without a quorum, and how long one witness may take to answer."""

    policy: Policy
    failure_seconds: float = 14_400.0
    timeout_seconds: float = 1.0
    ca_file: Path | None = None
    """Authorities of TLS in PEM; None: the system's."""


class _NotCosignedError(Exception):
    """A witness gave no cosignature this time; `pause_seconds` until it is asked again."""

    def __init__(self, reason: str, pause_seconds: float = _PAUSE_SECONDS) -> None:
        super().__init__(reason)
        self.pause_seconds = pause_seconds


@dataclass(slots=True)
class WitnessState:
    """What is known of one witness. `size`: of the last checkpoint it holds, None before it was asked."""

    witness: Witness
    size: int | None = None
    cosigned: Cosignature | None = None
    next_try: float = 0.0
    fault: str | None = None


class Witnessing:
    """Keeps checkpoints cosigned. `error` says why nothing may be released: a fork or rollback, or no quorum for too long."""

    def __init__(self, store: LogStore, rules: WitnessRules) -> None:
        """Nothing is asked before `start`."""
        policy = rules.policy
        self._store = store
        self._policy = policy
        self._failure_seconds = rules.failure_seconds
        self._timeout_seconds = rules.timeout_seconds
        self._ca_file = rules.ca_file
        self.states = [WitnessState(witness) for witness in policy.witnesses.values() if witness.url is not None]
        self._client: httpx.AsyncClient | None = None
        self._quorum_size = 0
        self._warned = False
        self.error: LogError | None = None

    async def start(self, last: Checkpoint | None) -> None:
        """Ask each witness whether our last signed checkpoint is the last it saw. LogBroken when we were rolled back."""
        self._client = httpx.AsyncClient(
            timeout=self._timeout_seconds, verify=verified(self._ca_file), trust_env=False, follow_redirects=False
        )
        await self._remember_quorum(_PAGES_AT_START)
        if last is not None and last.size:
            await self.cosign(last)
        if isinstance(self.error, LogBroken):
            raise self.error

    async def stop(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def cosign(self, checkpoint: Checkpoint) -> None:
        """Ask every witness that has not cosigned this checkpoint lately, all at once; keeps what they sign."""
        now = time.monotonic()
        wanted = [state for state in self.states if now >= state.next_try and _is_due(state, checkpoint)]
        answers = await asyncio.gather(*(self._ask(state, checkpoint) for state in wanted))
        found = [cosignature for cosignature in answers if cosignature is not None]
        if found:
            await self._store.save_checkpoint(checkpoint, time.time_ns() // 1000, found)
        await self.judge()

    async def judge(self) -> None:
        """Whether the log's last checkpoints have a quorum, and for how long they have had none."""
        if isinstance(self.error, LogBroken):
            return
        await self._remember_quorum()
        rows = await self._store.fetch(_FIRST_AFTER, self._quorum_size)
        enough = not rows or self._policy.satisfied(frozenset())
        waited = 0.0 if enough else time.time() - int(rows[0][0]) / 1_000_000
        if waited > self._failure_seconds:
            self.error = LogUnavailable(
                f"no quorum of witnesses has cosigned the log for {waited:,.0f} s (limit {self._failure_seconds:,.0f} s)"
            )
            return
        self.error = None
        late = waited > _WARN_SHARE * self._failure_seconds
        if late and not self._warned:
            _logger.warning("witness_quorum_late", waited_seconds=round(waited), stop_seconds=self._failure_seconds)
        self._warned = late

    def require(self) -> None:
        """Raises what `error` holds."""
        if self.error is not None:
            raise self.error

    async def _remember_quorum(self, pages: int = 1) -> None:
        """The last checkpoint that has a quorum, whichever replica asked for it; `pages` to look back."""
        end = 1 << 62
        for _ in range(pages):
            rows = await self._store.fetch(_COSIGNED, self._quorum_size + 1, end)
            notes: dict[int, str] = {}
            for size, line, note in rows:
                notes[int(size)] = signed_note(notes.get(int(size), str(note)), [str(line)])
            for size in sorted(notes, reverse=True):
                if self._policy.satisfied(self._policy.cosignatures(notes[size]).keys()):
                    self._quorum_size = size
                    return
            if len(rows) < _PAGE_LINES:
                return
            end = min(notes)

    async def _ask(self, state: WitnessState, checkpoint: Checkpoint) -> Cosignature | None:
        try:
            state.cosigned = await self._submit(state, checkpoint)
            state.fault = None
            return state.cosigned
        except LogBroken as error:
            _logger.critical("witness_objects", witness=state.witness.name, code=error.code, reason=error.detail)
            self.error = error
            state.fault, pause_seconds = str(error.detail), _ALARM_PAUSE_SECONDS
        except _NotCosignedError as error:
            state.fault, pause_seconds = str(error), error.pause_seconds
            _logger.warning("witness_gave_no_cosignature", witness=state.witness.name, reason=state.fault)
        except (httpx.HTTPError, OSError) as error:
            state.fault, pause_seconds = f"cannot be reached ({type(error).__name__})", _PAUSE_SECONDS
            _logger.warning("witness_not_reached", witness=state.witness.name, kind=type(error).__name__)
        state.next_try = time.monotonic() + pause_seconds
        return None

    async def _submit(self, state: WitnessState, checkpoint: Checkpoint) -> Cosignature:
        """One submission, and once more from the size that the witness says it holds."""
        old = checkpoint.size if state.size is None else state.size
        for attempt in range(2):
            status, kind, text = await self._post(state.witness, checkpoint, old)
            if status == httpx.codes.OK:
                state.size = checkpoint.size
                return self._cosignature(state.witness, checkpoint, text)
            if status != httpx.codes.CONFLICT:
                break
            old = state.size = self._size(kind, text, checkpoint)
            if old > checkpoint.size:
                await self._beyond(old, checkpoint)
            if attempt:
                raise _NotCosignedError("it holds another size each time it is asked")
        if status == httpx.codes.UNPROCESSABLE_ENTITY:
            raise LogBroken(f"a witness says that our tree does not extend the one of {old} entries that it cosigned")
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.BAD_GATEWAY:
            raise _NotCosignedError(f"it answers {status}")
        raise _NotCosignedError(
            f"it answers {status}: does it know the log {checkpoint.origin} and its key?", _ALARM_PAUSE_SECONDS
        )

    async def _beyond(self, size: int, checkpoint: Checkpoint) -> None:
        """The witness holds more than was submitted: another replica was faster, or entries are gone."""
        head = (await self._store.head()).size
        if size > head:
            raise LogBroken(f"a witness cosigned {size} entries, the log has {head}: entries were lost or removed")
        raise _NotCosignedError(f"it holds {size} entries already, {checkpoint.size} were submitted", 0.0)

    def _size(self, kind: str, text: str, checkpoint: Checkpoint) -> int:
        body = text.removesuffix("\n")
        if kind != _SIZE_TYPE or not (body.isascii() and body.isdigit() and len(body) < 20):
            raise LogBroken(f"a witness holds another root for a tree of {checkpoint.size} entries: the log has forked")
        return int(body)

    def _cosignature(self, witness: Witness, checkpoint: Checkpoint, text: str) -> Cosignature:
        try:
            found = witness.key.find(checkpoint.note + text)
        except NoteError:
            found = None
        if found is None:
            raise _NotCosignedError("its answer holds no valid cosignature by its key", _ALARM_PAUSE_SECONDS)
        return found

    async def _post(self, witness: Witness, checkpoint: Checkpoint, old: int) -> tuple[int, str, str]:
        """Status, media type and body of `add-checkpoint`; a body above the bound is no answer."""
        if self._client is None:
            raise _NotCosignedError("the log is closed")
        ranges = consistency_ranges(min(old, checkpoint.size), checkpoint.size)
        hashes = proof_hashes(ranges, await stored_hashes(self._store, ranges))
        proof = "".join(f"{base64.b64encode(value).decode()}\n" for value in hashes)
        content = f"old {old}\n{proof}\n{checkpoint.note}".encode()
        address = f"{witness.url}/add-checkpoint"
        async with asyncio.timeout(self._timeout_seconds * 2):
            async with self._client.stream("POST", address, content=content) as answer:
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _ANSWER_BYTES:
                        raise _NotCosignedError(
                            f"its answer is longer than {_ANSWER_BYTES} bytes", _ALARM_PAUSE_SECONDS
                        )
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return answer.status_code, kind, body.decode("utf-8", "replace")


def _is_due(state: WitnessState, checkpoint: Checkpoint) -> bool:
    """Not cosigned yet, or so long ago that a verifier may doubt its freshness; a witness further on is left alone."""
    if state.size is not None and state.size > checkpoint.size:
        return False
    if state.cosigned is None or state.size != checkpoint.size:
        return True
    return time.time() - state.cosigned.time > _REFRESH_SECONDS
