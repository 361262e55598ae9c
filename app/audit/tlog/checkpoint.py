"""Checkpoints as C2SP signed notes: text, Ed25519 signature lines, key ids, verifier and signer keys.

Pure. Does not live here: key files (`keys/files.py`), when a checkpoint is published (`publisher.py`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
KEY_BYTES = 32
SIGNATURE_BYTES = 64
MAX_SIGNATURES = 16
_SIGNATURE_MARK = "\u2014 "


class NoteError(ValueError):
    """A note, key or checkpoint text that is not what C2SP signed-note / tlog-checkpoint says."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One signed state of the tree. `note` is the whole signed note as published."""

    origin: str
    size: int
    root: bytes
    note: str


def decode_base64(text: str) -> bytes:
    """Bytes of standard base64 in its canonical form; NoteError for any other text."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(f"not base64: {error}") from None
    if base64.b64encode(value).decode() != text:
        raise NoteError("base64 is not in its canonical form")
    return value


def check_name(name: str) -> None:
    """NoteError for what cannot be the name of a key."""
    if not name or "+" in name or any(c.isspace() or ord(c) < 0x20 for c in name):
        raise NoteError("a key name (origin) has no space, no control character and no '+', and is not empty")


def key_id(name: str, public_key: bytes, kind: int = ED25519) -> bytes:
    """First four bytes of SHA-256(name || 0A || kind || public key), C2SP signed-note."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:4]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A log's public key. Text form: `name+hex8(keyid)+base64(01||key)`."""

    name: str
    public_key: bytes

    @classmethod
    def parse(cls, vkey: str) -> Verifier:
        """Read a vkey; NoteError when malformed, of another algorithm, or when the key id is not the key's."""
        name, _, rest = vkey.strip().partition("+")
        ident, _, encoded = rest.partition("+")
        check_name(name)
        raw = decode_base64(encoded)
        if len(raw) != 1 + KEY_BYTES or raw[0] != ED25519:
            raise NoteError("a verifier key holds an Ed25519 key of 32 bytes")
        if key_id(name, raw[1:]).hex() != ident:
            raise NoteError("the key id does not belong to this name and key")
        return cls(name, raw[1:])

    def text(self) -> str:
        """The vkey."""
        return (
            f"{self.name}+{key_id(self.name, self.public_key).hex()}+"
            + base64.b64encode(bytes([ED25519]) + self.public_key).decode()
        )

    def open(self, note: str) -> Checkpoint:
        """Verify a signed note and read its checkpoint; NoteError says what is wrong with it."""
        text, signatures = split_note(note)
        wanted = key_id(self.name, self.public_key)
        key = Ed25519PublicKey.from_public_bytes(self.public_key)
        mine = [raw for name, raw in signatures if name == self.name and raw[:4] == wanted]
        if len(mine) != 1:
            raise NoteError(f"{len(mine)} signatures by the log's key {self.name}; exactly one is needed")
        if len(mine[0]) != 4 + SIGNATURE_BYTES:
            raise NoteError("the log's signature has a wrong length")
        try:
            key.verify(mine[0][4:], text.encode())
        except InvalidSignature:
            raise NoteError("the log's signature does not verify") from None
        origin, size, root = parse_text(text)
        if origin != self.name:
            raise NoteError(f"the checkpoint is of origin {origin}, the key of {self.name}")
        return Checkpoint(origin, size, root, note)


class Signer:
    """A log's private key. Text form: `PRIVATE+KEY+name+hex8(keyid)+base64(01||seed)`."""

    __slots__ = ("_key", "verifier")

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed` are the 32 bytes of an Ed25519 private key."""
        check_name(name)
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name, self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Signer({self.verifier.name})"

    @classmethod
    def parse(cls, skey: str) -> Signer:
        """Read a signer key; NoteError when malformed (its text never appears in the message)."""
        parts = skey.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise NoteError("a signer key starts with PRIVATE+KEY+ and has five parts")
        raw = decode_base64(parts[4])
        if len(raw) != 1 + KEY_BYTES or raw[0] != ED25519:
            raise NoteError("a signer key holds an Ed25519 seed of 32 bytes")
        signer = cls(parts[2], raw[1:])
        if key_id(parts[2], signer.verifier.public_key).hex() != parts[3]:
            raise NoteError("the key id does not belong to this name and key")
        return signer

    def text(self) -> str:
        """The signer key: secret."""
        seed = bytes([ED25519]) + self._key.private_bytes_raw()
        ident = key_id(self.verifier.name, self.verifier.public_key).hex()
        return f"PRIVATE+KEY+{self.verifier.name}+{ident}+" + base64.b64encode(seed).decode()

    def checkpoint(self, size: int, root: bytes) -> Checkpoint:
        """Sign the tree of `size` and `root`. Ed25519 is deterministic: the same tree gives the same note."""
        name = self.verifier.name
        text = checkpoint_text(name, size, root)
        signature = key_id(name, self.verifier.public_key) + self._key.sign(text.encode())
        note = f"{text}\n{_SIGNATURE_MARK}{name} {base64.b64encode(signature).decode()}\n"
        return Checkpoint(name, size, root, note)


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """The three lines that are signed (C2SP tlog-checkpoint)."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def parse_text(text: str) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint text; extension lines are refused."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise NoteError("a checkpoint has three lines: origin, size, root")
    origin, size, encoded = lines[:3]
    if not size.isascii() or not size.isdigit() or (size != "0" and size.startswith("0")):
        raise NoteError("the size of a checkpoint is a decimal number without leading zeros")
    root = decode_base64(encoded)
    if len(root) != KEY_BYTES:
        raise NoteError("the root of a checkpoint has 32 bytes")
    return origin, int(size), root


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Text and signatures (name, key id || signature) of a signed note, split at the last blank line."""
    if any((ord(c) < 0x20 and c != "\n") or c == "\ufffd" for c in note):
        raise NoteError("a note holds no control characters except newlines")
    text, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise NoteError("a note ends in a blank line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"more than {MAX_SIGNATURES} signatures")
    signatures: list[tuple[str, bytes]] = []
    for line in lines:
        if not line.startswith(_SIGNATURE_MARK):
            raise NoteError("a signature line starts with an em dash and a space")
        name, _, encoded = line[len(_SIGNATURE_MARK) :].partition(" ")
        check_name(name)
        raw = decode_base64(encoded)
        if len(raw) <= 4:
            raise NoteError("a signature holds a key id of four bytes and a signature")
        signatures.append((name, raw))
    return text + "\n", signatures
