"""Cosignatures of witnesses over checkpoints (C2SP tlog-cosignature, type 0x04): making, checking, attaching.

Pure. Does not live here: asking witnesses (`witnessing.py`), being one (`witness.py`), which are enough (`policy.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.audit.tlog.checkpoint import (
    COSIGNATURE,
    KEY_BYTES,
    SIGNATURE_BYTES,
    NoteError,
    check_name,
    decode_base64,
    key_id,
    split_note,
)

_TIME_BYTES = 8
_MARK = "\u2014 "


@dataclass(frozen=True, slots=True)
class Cosignature:
    """One verified cosignature: when the witness saw the checkpoint (seconds since 1970), and its line as served."""

    name: str
    time: int
    line: str


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's public key. Text form: `name+hex8(keyid)+base64(04||key)`."""

    name: str
    public_key: bytes

    @classmethod
    def parse(cls, vkey: str) -> WitnessKey:
        """Read a witness's vkey; NoteError when malformed or of another type."""
        name, _, rest = vkey.strip().partition("+")
        ident, _, encoded = rest.partition("+")
        check_name(name)
        raw = decode_base64(encoded)
        if len(raw) != 1 + KEY_BYTES or raw[0] != COSIGNATURE:
            raise NoteError("a witness key holds an Ed25519 key of 32 bytes with type 04 (cosignature/v1)")
        if key_id(name, raw[1:], COSIGNATURE).hex() != ident:
            raise NoteError("the key id does not belong to this name and key")
        return cls(name, raw[1:])

    def text(self) -> str:
        """The vkey."""
        ident = key_id(self.name, self.public_key, COSIGNATURE).hex()
        return f"{self.name}+{ident}+" + base64.b64encode(bytes([COSIGNATURE]) + self.public_key).decode()

    def find(self, note: str) -> Cosignature | None:
        """This witness's cosignature in a note, None without a valid one. NoteError when it is no note."""
        text, signatures = split_note(note)
        wanted = key_id(self.name, self.public_key, COSIGNATURE)
        for name, raw in signatures:
            if name != self.name or raw[:4] != wanted or len(raw) != 4 + _TIME_BYTES + SIGNATURE_BYTES:
                continue
            seen = int.from_bytes(raw[4 : 4 + _TIME_BYTES])
            try:
                key = Ed25519PublicKey.from_public_bytes(self.public_key)
                key.verify(raw[4 + _TIME_BYTES :], _message(seen, text))
            except InvalidSignature:
                continue
            return Cosignature(name, seen, f"{_MARK}{name} {base64.b64encode(raw).decode()}")
        return None


class Cosigner:
    """A witness's private key."""

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed` are the 32 bytes of an Ed25519 private key."""
        check_name(name)
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = WitnessKey(name, self._key.public_key().public_bytes_raw())

    def seed(self) -> bytes:
        """The 32 bytes of the key: secret."""
        return self._key.private_bytes_raw()

    def cosign(self, text: str, seconds: int) -> str:
        """The signature line, with its newline, over a checkpoint's text at a time."""
        raw = key_id(self.key.name, self.key.public_key, COSIGNATURE) + seconds.to_bytes(_TIME_BYTES)
        raw += self._key.sign(_message(seconds, text))
        return f"{_MARK}{self.key.name} {base64.b64encode(raw).decode()}\n"


def _message(seconds: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def signed_note(note: str, lines: Sequence[str]) -> str:
    """A checkpoint's note with cosignature lines attached."""
    return note + "".join(f"{line}\n" for line in lines)
