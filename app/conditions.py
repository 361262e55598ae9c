"""What must hold of a thing before it is changed or sent again: entity tags and the conditions that name them (RFC 9110, section 13)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from app.errors import PreconditionFailed, RequestError

CODINGS: Final = ("gzip", "br")
"""Content codings; the tag of a coded answer ends in `-gzip` or `-br`, so that no two forms share one."""
_TAG_CHARACTERS = 22


class PreconditionRequired(RequestError):
    """A change that does not say which state it is meant for (RFC 6585, section 3)."""

    code = "precondition_required"


def tag_of(digest: bytes) -> str:
    """The strong entity tag of an answer whose bytes have this SHA-256."""
    return f'"{base64.urlsafe_b64encode(digest).decode()[:_TAG_CHARACTERS]}"'


def tag_of_bytes(body: bytes) -> str:
    """The same of the bytes themselves."""
    return tag_of(hashlib.sha256(body).digest())


def names(listed: str, tag: str, *, weak: bool = False) -> bool:
    """Whether `If-Match` (strong) or `If-None-Match` (weak comparison) names the tag; `*` names every tag.

    A tag as it was sent with a content coding names the same answer. Behind `;` a tag may tell more than the version: the part
    before it is what a change is about.
    """
    if listed.strip() == "*":
        return True
    given = [part.strip() for part in listed.split(",")]
    if weak:
        return _plain(tag) in {_plain(one.removeprefix("W/")) for one in given}
    return _version(tag) in {_version(one) for one in given}


def _plain(tag: str) -> str:
    """Without the quotes and the mark of a coding; what is no strong tag stays as it is, and so equals none."""
    if len(tag) < len('""') or not (tag.startswith('"') and tag.endswith('"')):
        return f'"{tag}'
    bare = tag[1:-1]
    for coding in CODINGS:
        bare = bare.removesuffix(f"-{coding}")
    return bare


def _version(tag: str) -> str:
    """Of a weak tag this is none that a strong one has."""
    return _plain(tag).partition(";")[0]


@dataclass(frozen=True, slots=True)
class Precondition:
    """The conditions of one request. `required`: a change without `If-Match` is refused."""

    if_match: str | None = None
    if_none_match: str | None = None
    required: bool = False

    def stands(self, thing: str, tag: str) -> None:
        """What is to be changed exists with this tag. Raises `PreconditionRequired`, `PreconditionFailed`."""
        if self.if_none_match is not None and names(self.if_none_match, tag, weak=True):
            raise PreconditionFailed(f"{thing} exists already, and If-None-Match forbids that", etag=tag)
        if self.if_match is None and self.required:
            message = f"{thing} exists: say which state you change with If-Match, its ETag {tag} (or * for any)"
            raise PreconditionRequired(message, etag=tag)
        if self.if_match is not None and not names(self.if_match, tag):
            message = f"{thing} was changed meanwhile; read it again and repeat with its ETag {tag}"
            raise PreconditionFailed(message, etag=tag)

    def absent(self, thing: str) -> None:
        """It does not exist yet. Raises `PreconditionFailed` where If-Match says that it does."""
        if self.if_match is not None:
            raise PreconditionFailed(f"{thing} does not exist yet: leave If-Match out")


UNCONDITIONAL: Final = Precondition()
