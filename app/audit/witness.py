"""Being a witness for other logs (C2SP tlog-witness): checks that a checkpoint extends the last one seen, and cosigns it.

The last checkpoint of each log stands in `witness.db` and is durable before the cosignature leaves. Does not live here:
HTTP (`api/witness_server.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from app.audit.tlog.checkpoint import Checkpoint, NoteError, Verifier, decode_base64, split_note
from app.audit.tlog.cosignatures import Cosigner
from app.audit.tlog.merkle import HASH_BYTES
from app.audit.tlog.proofs import consistency_holds

WITNESS_FILE = "witness.db"
MOST_BYTES = 65_536
_MOST_HASHES = 63
_TABLE = """CREATE TABLE IF NOT EXISTS seen (
 origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL) STRICT"""
_SELECT = "SELECT size, root FROM seen WHERE origin = ?"
_KEEP = "INSERT OR REPLACE INTO seen (origin, size, root, note) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: str = ""
    kind: str = "text/plain; charset=utf-8"


class Witness:
    """One witness. Calls come from one thread; the database's lock keeps a second process out of a decision."""

    def __init__(
        self, folder: Path, cosigner: Cosigner, logs: Mapping[str, Verifier], clock: Callable[[], float] = time.time
    ) -> None:
        """`logs`: trusted keys by origin. `folder` keeps `witness.db`."""
        self._cosigner = cosigner
        self._logs = logs
        self._clock = clock
        self._connection = apsw.Connection(str(folder / WITNESS_FILE))
        self._connection.set_busy_timeout(5000)
        self._connection.pragma("journal_mode", "WAL")
        self._connection.pragma("synchronous", "FULL")
        self._connection.execute(_TABLE)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer `POST /add-checkpoint`: 200 with a cosignature, or why not (400, 403, 404, 409, 422)."""
        try:
            old, proof, note = _parse(body)
            origin = split_note(note)[0].partition("\n")[0]
        except NoteError as error:
            return Answer(400, f"{error}\n")
        verifier = self._logs.get(origin)
        if verifier is None:
            return Answer(404, "this witness does not know the log\n")
        try:
            checkpoint = verifier.open(note)
        except NoteError as error:
            return Answer(403, f"{error}\n")
        if old > checkpoint.size:
            return Answer(400, "the old size is larger than the checkpoint's\n")
        return self._decide(old, proof, checkpoint)

    def _decide(self, old: int, proof: Sequence[bytes], checkpoint: Checkpoint) -> Answer:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            row = connection.execute(_SELECT, (checkpoint.origin,)).fetchone()
            size, root = (0, b"") if row is None else (int(row[0]), bytes(row[1]))
            if old != size:
                refused: Answer | None = Answer(409, f"{size}\n", "text/x.tlog.size")
            elif not consistency_holds(size, root if row else checkpoint.root, checkpoint.size, checkpoint.root, proof):
                refused = Answer(422, "the proof does not show that this tree extends the last one seen\n")
            else:
                refused = None
                connection.execute(_KEEP, (checkpoint.origin, checkpoint.size, checkpoint.root, checkpoint.note))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if refused is not None:
            return refused
        return Answer(200, self._cosigner.cosign(split_note(checkpoint.note)[0], int(self._clock())))


def _parse(body: bytes) -> tuple[int, list[bytes], str]:
    """Old size, proof and note of a request; NoteError says which part is malformed."""
    try:
        head, blank, note = body.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise NoteError("the body is not UTF-8") from None
    first, *lines = head.split("\n")
    word, _, number = first.partition(" ")
    good = number.isascii() and number.isdigit() and len(number) < 20 and (number == "0" or not number.startswith("0"))
    if not blank or word != "old" or not good:
        raise NoteError("the body is 'old <size>', the proof's hashes, a blank line and a checkpoint")
    if len(lines) > _MOST_HASHES:
        raise NoteError(f"a proof has at most {_MOST_HASHES} hashes")
    proof = [decode_base64(line) for line in lines]
    if any(len(value) != HASH_BYTES for value in proof):
        raise NoteError("a hash of the proof has 32 bytes")
    return int(number), proof, note
