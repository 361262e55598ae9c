"""Key files of the log in the instance's folder: `keys/log.key` (secret, 0400) and `log.vkey` (for verifiers)."""

from __future__ import annotations

import os
from pathlib import Path

from app.audit.checkpoint import KEY_BYTES, NoteError, Signer, Verifier
from app.audit.durable_files import create_file, replace_file
from app.errors import InstanceMissing, SettingsInvalid

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
