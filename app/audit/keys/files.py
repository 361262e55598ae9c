"""Key files of the log in the instance's folder: `keys/log.key` (secret, 0400) and `log.vkey` (for verifiers)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from app.audit.keys.durable_files import create_file, replace_file
from app.audit.tlog.checkpoint import KEY_BYTES, NoteError, Signer, Verifier
from app.errors import InstanceMissing, LogUnavailable, SettingsInvalid

KEY_FOLDER = "keys"
KEY_FILE = "log.key"
VKEY_FILE = "log.vkey"
CHECKPOINT_FILE = "log.checkpoint"


def create_log_keys(folder: Path, origin: str) -> str:
    """Make the log's key pair in `folder` unless it is there; the vkey text. SettingsInvalid for a bad origin."""
    try:
        signer = Signer(origin, os.urandom(KEY_BYTES))
    except NoteError as error:
        raise SettingsInvalid(f"log origin {origin!r}: {error}") from None
    create_file(folder / KEY_FOLDER / KEY_FILE, signer.text().encode() + b"\n")
    signer = load_signer(folder, origin)
    vkey = signer.verifier.text()
    replace_file(folder / VKEY_FILE, vkey.encode() + b"\n")
    return vkey


def load_signer(folder: Path, origin: str) -> Signer:
    """The log's key. InstanceMissing without key file, SettingsInvalid when it is unreadable or of another origin."""
    path = folder / KEY_FOLDER / KEY_FILE
    try:
        signer = Signer.parse(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InstanceMissing(f"{path}: the log's key is not there; `simpul init` makes one") from None
    except (OSError, UnicodeDecodeError, NoteError) as error:
        raise SettingsInvalid(f"{path}: the log's key cannot be read ({error})") from None
    if signer.verifier.name != origin:
        raise SettingsInvalid(
            f"the log's key is of origin {signer.verifier.name}, the settings say {origin}: a log keeps its origin"
        )
    return signer


def load_verifier(folder: Path) -> Verifier:
    """The log's public key from `log.vkey`. InstanceMissing or SettingsInvalid as for the key."""
    path = folder / VKEY_FILE
    try:
        return Verifier.parse(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InstanceMissing(f"{path}: no verifier key here; is this the folder of an instance?") from None
    except (OSError, UnicodeDecodeError, NoteError) as error:
        raise SettingsInvalid(f"{path}: not a verifier key ({error})") from None


class YearKeys:
    """Random keys by year in a folder (`NAME-2026.key`, mode 0400), never derived from one another, made when first needed."""

    def __init__(self, folder: Path, name: str) -> None:
        """`folder`: the instance's `keys` folder; replicas of one instance share its content."""
        self._folder = folder
        self._name = name
        self._file = re.compile(rf"{name}-(\d{{4}})\.key")
        self._keys: dict[int, bytes] = {}

    def key(self, year: int) -> bytes:
        """The key of a year; a new random one when there is none. LogUnavailable when it cannot be read or made."""
        if (known := self._keys.get(year)) is not None:
            return known
        path = self._path(year)
        try:
            if not path.exists():
                create_file(path, os.urandom(KEY_BYTES).hex().encode() + b"\n")
            key = bytes.fromhex(path.read_text("ascii").strip())
        except (OSError, ValueError) as error:
            raise LogUnavailable(f"the {self._name} key of {year} cannot be read: {type(error).__name__}") from error
        if len(key) != KEY_BYTES:
            raise LogUnavailable(f"the {self._name} key of {year} does not have {KEY_BYTES} bytes")
        self._keys[year] = key
        return key

    def has(self, year: int) -> bool:
        """Whether the key of a year is there."""
        return year in self._keys or self._path(year).exists()

    def years(self) -> list[int]:
        """Years whose key is there, newest first."""
        found = [self._file.fullmatch(path.name) for path in self._folder.glob(f"{self._name}-*.key")]
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def _path(self, year: int) -> Path:
        return self._folder / f"{self._name}-{year:04d}.key"
