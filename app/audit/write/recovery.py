"""What happens before the first append: the anti-rollback check, and closing intents that a crash left open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import structlog

from app.audit.entry.members import CLOSERS
from app.audit.entry.record import Caller, DatasetUse, Entry, Gateway, Record, Verdict
from app.audit.keys.details import DetailKeys
from app.audit.keys.files import CHECKPOINT_FILE
from app.audit.store.contract import Committed, LogReader, LogStore
from app.audit.store.stored_hashes import root_at, stored_head
from app.audit.tlog.checkpoint import Checkpoint, NoteError, Verifier
from app.errors import LogBroken

_logger = structlog.get_logger("simpul.log")
_SPAN_ENTRIES = 10_000
_BATCH_ENTRIES = 256
_UNANSWERED = f"""SELECT e.idx, e.entry, e.id, d.detail FROM log_entry e LEFT JOIN exchange_detail d ON d.idx = e.idx
 WHERE e.idx >= $1 AND e.idx < $2 AND e.kind = 'intent' AND NOT EXISTS (SELECT 1 FROM log_entry c
 WHERE c.xid = e.xid AND c.kind IN ({", ".join(f"'{kind}'" for kind in sorted(CLOSERS))})) ORDER BY e.idx"""

Append = Callable[[Sequence[Record]], Awaitable[list[Committed]]]


def last_signed(folder: Path, verifier: Verifier) -> Checkpoint | None:
    """The checkpoint in the local file, verified; None when there is no file. LogBroken when it does not verify."""
    path = folder / CHECKPOINT_FILE
    try:
        return verifier.open(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, NoteError) as error:
        raise LogBroken(f"{path}: the local checkpoint does not verify ({error})") from None


async def check_extension(store: LogReader, verifier: Verifier, local: Checkpoint | None) -> Checkpoint | None:
    """Refuse (LogBroken) a stored tree that does not extend the last signed checkpoints; returns the larger one.

    All of it is read in one snapshot: other replicas append and sign meanwhile.
    """
    async with store.snapshot() as reader:
        size, root = await stored_head(reader, verifier.name)
        if await root_at(reader, size) != root:
            raise LogBroken(f"the rows of the log do not give the root of its head at size {size}")
        extra = await reader.fetch("SELECT max(idx) FROM log_entry")
        if extra[0][0] is not None and extra[0][0] >= size:
            raise LogBroken(f"entry {size} stands beyond the head of the log", first_broken_index=size)
        notes = [local] if local is not None else []
        for (note,) in await reader.fetch("SELECT note FROM log_checkpoint ORDER BY size DESC LIMIT 1"):
            try:
                notes.append(verifier.open(str(note)))
            except NoteError as error:
                raise LogBroken(f"the last stored checkpoint does not verify: {error}") from None
        for known in notes:
            if known.size > size:
                raise LogBroken(
                    f"the store holds {size} entries, a checkpoint over {known.size} is signed:"
                    " entries were lost or removed",
                    first_broken_index=size,
                )
            if await root_at(reader, known.size) != known.root:
                raise LogBroken(f"the first {known.size} entries are not those of the signed checkpoint")
    return max(notes, key=lambda known: known.size, default=None)


async def close_orphans(store: LogStore, append: Append, gateway: Gateway, seals: DetailKeys) -> int:
    """Append an `aborted` entry for every intent that a stopped replica never answered; returns how many there were.

    Nobody else does the same: the stopped replicas were claimed first, and nothing of theirs is committed since. Should we
    be declared stopped ourselves meanwhile, another one goes on, and this ends.
    """
    registered = store.replicas.registrations
    stopped = await store.replicas.claim()
    if not stopped:
        return 0
    closed = 0
    end = (await store.head()).size
    for start in range(min(stopped.values()), end, _SPAN_ENTRIES):
        rows = await store.fetch(_UNANSWERED, start, min(start + _SPAN_ENTRIES, end))
        found = [(int(idx), restored(entry, seals.document(name, detail))) for idx, entry, name, detail in rows]
        orphans = [aborted(intent, idx, gateway) for idx, intent in found if intent["gw"]["replica"] in stopped]
        for first in range(0, len(orphans), _BATCH_ENTRIES):
            if store.replicas.registrations != registered:
                return closed
            closed += len(await append(orphans[first : first + _BATCH_ENTRIES]))
    await store.replicas.retire(list(stopped))
    if closed:
        _logger.warning("left_open_closed", count=closed)
    return closed


def restored(entry: bytes, detail: Mapping[str, Any] | None) -> dict[str, Any]:
    """Members of an entry, with the lists that moved into its detail back in place where the detail is there."""
    found: dict[str, Any] = orjson.loads(entry)
    if detail is not None:
        found.update(detail.get("lists", {}))
    return found


def aborted(intent: dict[str, Any], idx: int, gateway: Gateway) -> Record:
    """The entry that closes an orphaned intent: same exchange, same parties, no outcome known."""
    client, verdict = intent.get("client"), intent.get("dec")
    uses = intent.get("datasets", ())
    entry = Entry(
        xid=intent["xid"],
        kind="aborted",
        gw=gateway,
        op=intent["op"],
        client=None if client is None else Caller(client["agency"], client["client"], client.get("cred")),
        schemas=tuple(intent.get("schemas", ())),
        providers=_listed(intent.get("providers", ())),
        datasets=() if isinstance(uses, dict) else tuple(DatasetUse(use["dataset"], use["revision"]) for use in uses),
        agreement=intent.get("agreement"),
        purpose=intent.get("purpose"),
        basis=intent.get("basis"),
        dec=None if verdict is None else Verdict(verdict["effect"], verdict["rule"]),
        mode=intent.get("mode"),
    )
    return Record(entry, {"reason": "the gateway stopped before the outcome was recorded", "intent": idx})


def _listed(value: Any) -> tuple[str, ...]:
    return () if isinstance(value, dict) else tuple(value)
