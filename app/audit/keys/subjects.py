"""Keyed pseudonyms of the people an exchange touched: yearly random keys, normalisation, tags.

A national id has little entropy: whoever holds a key can try all of them, so the key is the asset. Keys are random,
never derived from one another; destroying a year's key file shreds that year's tags.
"""

from __future__ import annotations

import hmac
import unicodedata
from pathlib import Path

from app.audit.entry.record import Subject
from app.audit.keys.files import YearKeys
from app.errors import EntryInvalid

TAG_BYTES = 16
_DOMAIN = b"simpul-subj/1\x00"


def normalise(value: str) -> str:
    """One form for all ways to write an identifier: NFKC, upper case, letters and digits only, all digits as 0-9.

    EntryInvalid when nothing is left.
    """
    if value.isascii():
        if value.isalnum():
            return value.upper()
        found = "".join(c for c in value.upper() if c.isalnum())
    else:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", value).upper())
        found = "".join(_fold(c) for c in folded)
    if not found:
        raise EntryInvalid("the identifier of a subject holds no letter or digit")
    return found


def _fold(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return character if unicodedata.category(character)[0] in "LNM" else ""


def subject_tag(key: bytes, id_type: str, value: str) -> bytes:
    """First 16 bytes of HMAC-SHA-256(key, "simpul-subj/1" 00 id_type 00 normalised value)."""
    message = _DOMAIN + id_type.encode() + b"\x00" + normalise(value).encode()
    return hmac.digest(key, message, "sha256")[:TAG_BYTES]


class SubjectKeys:
    """The yearly keys in a folder (`subject-2026.key`, mode 0400), made when first needed."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the instance's `keys` folder; replicas of one instance share its content."""
        self._keys = YearKeys(folder, "subject")

    def key(self, year: int) -> bytes:
        """The key of a year; a new random one when there is none. LogUnavailable when it cannot be read or made."""
        return self._keys.key(year)

    def epochs(self) -> list[int]:
        """Years whose key is there, newest first."""
        return self._keys.years()

    def tags(self, subjects: tuple[Subject, ...], year: int) -> list[tuple[bytes, str, int]]:
        """Distinct (tag, role, epoch) of the subjects of one entry written in `year`."""
        if not subjects:
            return []
        key = self.key(year)
        return sorted({(subject_tag(key, s.id_type, s.value), s.role, year) for s in subjects})

    def search_tags(self, id_type: str, value: str) -> list[tuple[int, bytes]]:
        """(epoch, tag) of one identifier under every key that is there: what "who asked about me" looks for."""
        return [(year, subject_tag(self.key(year), id_type, value)) for year in self.epochs()]
