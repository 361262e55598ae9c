"""Receipts: one entry with its proof under a signed checkpoint, in one file (C2SP tlog-proof).

Pure. The `extra` line carries the entry's bytes and the salt of the answer's body, so that the file alone proves what was
logged; both are checked against the proof, never trusted.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from app.audit.tlog.checkpoint import Checkpoint, NoteError, decode_base64
from app.audit.tlog.merkle import HASH_BYTES, leaf_hash
from app.audit.tlog.policy import Policy
from app.audit.tlog.proofs import root_from_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
MOST_CHARACTERS = 65_536
_MOST_HASHES = 63
_MOST_INDEX = 1 << 62


class ReceiptError(ValueError):
    """A receipt that is malformed or proves nothing; the text says what does not hold."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The parts of a proof file. `entry` and `body_salt` come from `extra`, None where it has none."""

    index: int
    hashes: tuple[bytes, ...]
    note: str
    entry: bytes | None = None
    body_salt: bytes | None = None

    def text(self) -> str:
        """The file's content."""
        lines = [HEADER]
        if self.entry is not None:
            extra: dict[str, str] = {"entry": base64.b64encode(self.entry).decode()}
            if self.body_salt is not None:
                extra["body_salt"] = self.body_salt.hex()
            lines.append("extra " + base64.b64encode(orjson.dumps(extra, option=orjson.OPT_SORT_KEYS)).decode())
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(value).decode() for value in self.hashes]
        return "\n".join(lines) + "\n\n" + self.note


@dataclass(frozen=True, slots=True)
class Proven:
    """What a receipt proves: this entry stands at this index of the tree that the checkpoint signs."""

    index: int
    checkpoint: Checkpoint
    members: Mapping[str, Any]
    body_checked: bool


def parse_receipt(text: str) -> Receipt:
    """Read a proof file; ReceiptError for anything that is not exactly the format."""
    if len(text) > MOST_CHARACTERS:
        raise ReceiptError(f"a receipt has at most {MOST_CHARACTERS} characters")
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if "\r" in text:
        raise ReceiptError("lines end in a newline alone, not in CR LF")
    if not blank or lines.pop(0) != HEADER:
        raise ReceiptError(f"a receipt starts with {HEADER} and holds a checkpoint after a blank line")
    entry, salt = _extra(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else (None, None)
    word, _, number = lines.pop(0).partition(" ") if lines else ("", "", "")
    if word != "index" or not _is_number(number):
        raise ReceiptError("the line before the hashes is 'index' and a decimal number without leading zeros")
    if len(lines) > _MOST_HASHES:
        raise ReceiptError(f"a proof has at most {_MOST_HASHES} hashes")
    hashes = tuple(_decoded(line) for line in lines)
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ReceiptError("a hash of the proof has 32 bytes")
    return Receipt(int(number), hashes, note, entry, salt)


def check_receipt(receipt: Receipt, policy: Policy, *, entry: bytes | None = None, body: bytes | None = None) -> Proven:
    """Check a receipt against trusted keys, offline. ReceiptError says what does not hold.

    `entry`: the entry's bytes where the receipt carries none; `body`: the answer as received, compared with `body_c`.
    """
    try:
        checkpoint = policy.open(receipt.note)
    except NoteError as error:
        raise ReceiptError(str(error)) from None
    if entry is not None and receipt.entry is not None and entry != receipt.entry:
        raise ReceiptError("the entry given is not the one that the receipt carries")
    content = receipt.entry if entry is None else entry
    if content is None:
        raise ReceiptError("the receipt carries no entry; give the entry's bytes")
    if receipt.index >= checkpoint.size:
        raise ReceiptError(f"index {receipt.index} is outside a tree of {checkpoint.size} entries")
    root = root_from_inclusion(leaf_hash(content), receipt.index, checkpoint.size, receipt.hashes)
    if root != checkpoint.root:
        raise ReceiptError(f"the proof does not lead from this entry at index {receipt.index} to the signed root")
    members = orjson.loads(content)
    if body is not None:
        _check_body(members, receipt.body_salt, body)
    return Proven(receipt.index, checkpoint, members, body is not None)


def _check_body(members: Mapping[str, Any], salt: bytes | None, body: bytes) -> None:
    committed = members.get("body_c")
    if committed is None or salt is None:
        raise ReceiptError("the entry commits to no body, or the receipt carries no salt: the body cannot be checked")
    if sha256(salt + body).hexdigest() != committed:
        raise ReceiptError("the body is not the one that was released: it does not fit the entry's commitment")


def _extra(encoded: str) -> tuple[bytes | None, bytes | None]:
    try:
        found = orjson.loads(_decoded(encoded))
        salt = found.get("body_salt")
        return _decoded(found["entry"]), None if salt is None else bytes.fromhex(salt)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReceiptError("the extra line is not what the gateway writes there: entry and body_salt") from None


def _decoded(text: str) -> bytes:
    try:
        return decode_base64(text)
    except NoteError as error:
        raise ReceiptError(str(error)) from None


def _is_number(text: str) -> bool:
    good = text.isascii() and text.isdigit() and len(text) < 20 and (text == "0" or not text.startswith("0"))
    return good and int(text) < _MOST_INDEX


def receipt_of(
    index: int, hashes: Sequence[bytes], note: str, entry: bytes, detail: Mapping[str, Any] | None
) -> Receipt:
    """The receipt of a stored entry; the salt comes from its detail, while that is there."""
    salt = None if detail is None else detail.get("body_salt")
    return Receipt(index, tuple(hashes), note, entry, None if salt is None else bytes.fromhex(salt))
